"""What a hit costs, and what follows for a token: hits x cost, to be compared with what the token was measured to cost.

A hit is dearer when the caches are cold: the kernel's and the recorder's own memory has to come back from far. After a
matrix multiplication over 32 MiB of weights it costs several times what it does in a loop. So each operator that
reads much is followed by one cold hit, and how cold is measured for three sizes.
"""

import csv
import io
import math
import pathlib
import subprocess
from dataclasses import dataclass, field

import places
import rows
import traces
from intervals import Estimate, estimate
from rows import Row
from turns import Turns

MEBIBYTES = (2, 8, 32)
SMALLEST = 1 << 20
# prof-analyze's words for hit-cost's.
CLASSES = {"nop5": ("nop5", "nop"), "nop": ("nop5", "nop"), "push": ("push", "stp"), "jump": ("jcc", "b"),
           "call": ("call", "b"), "singleStepped": ("mov",)}  # fmt: skip
MEASURED = (rows.TIMES, rows.OPERATORS, rows.EVERYTHING)


@dataclass
class Costs:
    """In ns. `hot` and `cold` are pi-record's at an operator's begin, on a push."""

    empty: dict[str, Estimate] = field(default_factory=dict)
    hot: dict[str, Estimate] = field(default_factory=dict)
    cold: dict[str, dict[int, Estimate]] = field(default_factory=dict)

    def _class(self, kind: str) -> float:
        names = CLASSES.get(kind, CLASSES["singleStepped"])
        return next(self.empty[name].median for name in names if name in self.empty)

    def _push(self, suffix: str = "") -> float:
        return self.empty[("push" if "push" in self.empty else "stp") + suffix].median

    def _like(self, row: Row) -> str:
        """The row whose program runs in this one's probes."""
        return row.name if row.name in self.hot else rows.OPERATORS.name

    def site(self, site: traces.Site, row: Row) -> float:
        """One hit with warm caches: the trap of the instruction, and the program as it is on a push."""
        program = self.hot[self._like(row)].median - self._push()
        trap = self._push("+return") - self._push() if site.is_return else self._class(site.kind)
        return trap + program

    def extra(self, row: Row, read_bytes: int) -> float:
        """What a hit costs more after so many bytes were read."""
        points = self.cold.get(self._like(row))
        if not points or read_bytes < SMALLEST:
            return 0.0
        position = min(max(math.log2(read_bytes / (1 << 20)), 1.0), 5.0)
        sizes = sorted(points)
        for low, high in zip(sizes, sizes[1:]):
            if position <= math.log2(high):
                part = (position - math.log2(low)) / (math.log2(high) - math.log2(low))
                cost = points[low].median * (1 - part) + points[high].median * part
                return cost - self.hot[self._like(row)].median
        return points[sizes[-1]].median - self.hot[self._like(row)].median


@dataclass
class Account:
    hits: float
    warm_ns: float
    cold_ns: float

    @property
    def total_ns(self) -> float:
        return self.warm_ns + self.cold_ns


@dataclass
class Work:
    """What a model's token step does, from a recording of a whole run: exact counts."""

    facts: traces.Facts
    # Bytes that an operator reads, and how many such there are in a step.
    large_reads: list[tuple[int, float]]


def account(row: Row, work: Work, costs: Costs) -> Account:
    """Of one token step whose graph is known already: without the walk of a new one."""
    steps = work.facts.steps or 1
    sites = row.sites(work.facts.sites)
    hits = sum(site.hits for site in sites) / steps
    warm = sum(site.hits * costs.site(site, row) for site in sites) / steps
    cold = sum(count * costs.extra(row, size) for size, count in work.large_reads) if row.level == "op" else 0.0
    return Account(hits, warm, cold)


def work_of(recorder: pathlib.Path, folder: pathlib.Path, model: str) -> Work:
    """Records a short run, and finds the operators that read more than the caches near the core hold."""
    trace = folder / f"work-{model}.pitrace"
    target = [str(places.RUN_LLAMA), str(places.MODELS / f"{model}.gguf"), "Once", "16", "1"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run([str(recorder), "--quiet", "-o", str(trace), "--", *target], check=True, timeout=600, **quiet)
    facts = traces.facts(trace)
    command = [str(places.ANALYZER), "nodes", str(trace), "--csv"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    reads = [
        (int(node["bytes"]), int(node["count"]) / facts.steps)
        for node in csv.DictReader(io.StringIO(done.stdout))
        if node["op"].startswith("MUL_MAT") and node["bytes"] and int(node["bytes"]) >= SMALLEST
    ]
    return Work(facts, reads)


def empty_costs(rounds: int) -> dict[str, Estimate]:
    command = [str(places.PROGRAMS / "hit-cost"), str(rounds)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Estimate] = {}
    for line in done.stdout.splitlines():
        name, link, _, *values = line.split()
        if link == "multi" or name not in found:
            found[name] = estimate([float(value) for value in values])
    return found


def measure(recorder: pathlib.Path, folder: pathlib.Path, minutes: float, rounds: int) -> Costs:
    costs = Costs(empty=empty_costs(rounds))
    modes = [("cost", "batch", 1e-4, 0)] + [(f"cold {size}", "cold", 1.0, size) for size in MEBIBYTES]
    for mode, phase, scale, size in modes:
        command = [str(places.PROGRAMS / "synthetic-target"), *mode.split()]
        # A line of the target takes up to half a second at 32 MiB.
        seconds = 4.0 if size == MEBIBYTES[-1] else 1.0
        turns = Turns(f"hit-{mode.replace(' ', '-')}", command, seconds, seconds * 0.7, recorder, folder, skipped=1)
        turns.run(MEASURED, (), minutes / len(modes)).select(phase)
        for row in MEASURED:
            if not (found := turns.compare(row)):
                continue
            cost = found.added_ns.scaled(scale)
            if size:
                costs.cold.setdefault(row.name, {})[size] = cost
            else:
                costs.hot[row.name] = cost
    return costs
