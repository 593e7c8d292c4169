"""What each operator of each token step counted, straight from a trace's records.

prof-analyze sums a node's counters over a recording. Whether a node costs the same from step to step is seen in the
single executions only, and reading them here judges what the recorder wrote without the analyzer.
"""

import pathlib
import sys
from collections import defaultdict
from dataclasses import dataclass, field

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "Tests/EndToEnd/faults"))
import pitrace  # noqa: E402

TOKEN_BEGIN, TOKEN_END, GRAPH_BEGIN, GRAPH_END, OP_BEGIN, OP_FUSED, BARRIER = 1, 2, 5, 6, 7, 8, 9
SWITCH_OUT, SWITCH_IN = 18, 19
COUNTED = frozenset({TOKEN_BEGIN, TOKEN_END, GRAPH_BEGIN, GRAPH_END, OP_BEGIN, OP_FUSED, BARRIER, SWITCH_OUT, SWITCH_IN})


@dataclass(eq=False)
class Node:
    """Counts of one node, by number of the token step; an operator ends at its barrier's probe or, where that is
    not probed, as the next one begins, and then the barrier is part of it."""

    at_barrier: dict[int, int] = field(default_factory=dict)
    at_next: dict[int, int] = field(default_factory=dict)

    def apart(self, percent: float) -> list[tuple[int, int]]:
        """Counts of two steps, one after the other, that differ by so much; ended in the same way."""
        found = []
        for counts in (self.at_barrier, self.at_next):
            steps = sorted(counts)
            pairs = [(counts[one], counts[two]) for one, two in zip(steps, steps[1:])]
            found += [pair for pair in pairs if abs(pair[0] - pair[1]) * 100 > percent * min(pair)]
        return found


def by_node(path: pathlib.Path, columns: int, column: int) -> dict[int, Node]:
    """Nodes of a recording of one thread on one CPU, by reference to their tensor; step 1 is the prefill."""
    records = sorted(pitrace.read(path, COUNTED).records, key=lambda record: record.sequence)
    assert len({(record.tid, record.cpu) for record in records}) == 1, "more than one thread or CPU"
    nodes: dict[int, Node] = defaultdict(Node)
    step, elsewhere, left_at, running = 0, 0, None, None
    for record in records:
        value = record.values(columns)[column]
        if record.type == SWITCH_OUT:
            left_at = value
        elif record.type == SWITCH_IN:
            # What others did on this CPU meanwhile.
            elsewhere += 0 if left_at is None else value - left_at
            left_at = None
        else:
            if running:
                node, begin = running
                ended = nodes[node].at_barrier if record.type == BARRIER else nodes[node].at_next
                ended[step] = value - elsewhere - begin
                running = None
            if record.type == TOKEN_BEGIN:
                step += 1
            elif record.type in (OP_BEGIN, OP_FUSED):
                running = record.ref, value - elsewhere
    return nodes
