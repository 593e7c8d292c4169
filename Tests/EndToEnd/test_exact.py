"""Counts are exact: what prof-analyze says of a recording equals what the target executed."""

import csv
import io
import json
from collections import Counter

import pytest

import commands
import truth
from commands import Workload

WORKLOADS = [
    Workload("dense-q8_0", 1),
    Workload("dense-q4_0", 2),
    Workload("moe-q4_0", 1),
    Workload("moe-q4_0", 2),
    # Two micro-batches, so two graphs, in one prefill step.
    Workload("moe-q4_0", 1, micro_batch=8),
]


class Case:
    """A workload counted and recorded: in two runs of the same deterministic work."""

    def __init__(self, workload: Workload, folder):
        self.workload = workload
        self.trace = folder / f"{workload}.pitrace"
        self.steps, self.counted = truth.count(workload, folder / f"{workload}.jsonl")
        self.recording = commands.expect(commands.record(self.trace, workload.command()), 0)
        self.timeline = commands.timeline(self.trace, folder / f"{workload}.timeline.json")

    def slices(self, category: str) -> list[dict]:
        return [event for event in self.timeline["traceEvents"] if event.get("cat") == category]


@pytest.fixture(scope="module", params=WORKLOADS, ids=str)
def case(request, workdir) -> Case:
    return Case(request.param, workdir)


def test_target_is_undisturbed(case):
    assert json.loads(case.recording.stdout)["text"] == case.counted["text"]


def test_nothing_is_lost(case):
    # Exit status 4 would say that records are missing.
    commands.expect(commands.analyze("info", case.trace), commands.COMPLETE)
    assert {row["coverage"] for row in commands.table("tokens", case.trace)} == {"1.000000"}


def test_token_steps(case):
    rows = commands.table("tokens", case.trace)
    found = [(int(row["n_tokens"]), int(row["n_graphs"]), int(row["n_ops"])) for row in rows]
    assert found == [(step.n_tokens, len(step.computes), len(step.operators(0))) for step in case.steps]
    # N tokens generated: N - 1 decode steps after the prefill, which gives the first one.
    phases = [row["phase"] for row in rows]
    assert phases[-case.workload.tokens :] == ["prefill"] + ["decode"] * (case.workload.tokens - 1)
    assert [int(row["step"]) for row in rows] == list(range(len(rows)))


def test_operators_of_each_thread_and_step(case):
    """The same operators on the same nodes in the same order, on each thread of each step."""
    steps = sorted(case.slices("token step"), key=lambda slice: slice["ts"])
    assert len(steps) == len(case.steps)
    operators = sorted(case.slices("operator"), key=lambda slice: slice["ts"])
    main = steps[0]["tid"]
    for recorded, true in zip(steps, case.steps):
        begin, end = recorded["ts"], recorded["ts"] + recorded["dur"]
        by_thread: dict[int, list] = {}
        for slice in operators:
            if begin <= slice["ts"] < end:
                by_thread.setdefault(slice["tid"], []).append((slice["args"]["op"], slice["args"]["node"]))
        assert len(by_thread) == case.workload.threads
        assert by_thread.pop(main) == true.operators(0)
        for found in by_thread.values():
            assert found == true.operators(1)
    executed = sum(len(step.operators(thread)) for step in case.steps for thread in range(case.workload.threads))
    assert len(operators) == executed


def test_operator_and_node_tables(case):
    executed = [operator for step in case.steps for operator in step.operators(0)]
    by_op, by_node = Counter(), Counter()
    # Without --phase the tables leave out the server's warm-up step.
    every = [word for phase in ("warmup", "prefill", "decode") for word in ("--phase", phase)]
    for row in commands.table("ops", case.trace, *every):
        by_op[row["op"]] += int(row["count"])
    for row in commands.table("nodes", case.trace, *every):
        by_node[row["op"], row["name"]] += int(row["count"])
    assert by_op == Counter(op for op, _ in executed)
    assert by_node == Counter(executed)


def test_experts(case):
    text = commands.expect(commands.analyze("experts", case.trace, "--csv"), commands.COMPLETE).stdout
    rows = [tuple(map(int, row.values())) for row in csv.DictReader(io.StringIO(text))]
    expected = {(number, *activation) for number, step in enumerate(case.steps) for activation in step.experts}
    assert sorted(rows) == sorted(expected)
    assert bool(rows) == case.workload.model.startswith("moe")


def test_graph(case, tmp_path):
    """Nodes, shapes and all sources of the prefill's and of the last step's graph equal the target's own."""
    for number in (1, len(case.steps) - 1):
        found = commands.dag(case.trace, tmp_path / "dag.json", "--token", number)
        # Of several micro-batches `dag` shows the largest graph, the first of equals.
        shown = max(case.steps[number].computes, key=lambda compute: len(compute.graph.nodes))
        true = shown.graph
        nodes = [node for node in found["nodes"] if node["op"] != "NONE"]
        others = [node for node in found["nodes"] if node["op"] == "NONE"]
        assert truth.edges(nodes, others, "op") == true.edges()
        run = {name for _, name in shown.operators[0]}
        # ggml runs its fused operator on empty tensors, too.
        assert run <= {node["name"] for node in nodes if node["executed"] or 0 in node["shape"]}


def test_counted_and_recorded_at_once(workdir):
    """The same process counted and recorded: addresses can be compared, too."""
    workload = Workload("moe-q4_0", 2, tokens=6)
    trace, output = workdir / "at-once.pitrace", workdir / "at-once.jsonl"
    # Through env(1): the recorder itself is not to be counted.
    command = ["env", *(f"{name}={value}" for name, value in truth.variables(output).items())]
    commands.expect(commands.record(trace, command + workload.command()), 0)
    steps = truth.read(output)
    rows = commands.table("tokens", trace)
    assert [(int(row["n_tokens"]), int(row["n_ops"])) for row in rows] == [
        (step.n_tokens, len(step.operators(0))) for step in steps
    ]
    last = steps[-1].computes[-1].graph
    found = commands.dag(trace, workdir / "at-once.dag.json", "--token", len(steps) - 1)
    nodes = [node for node in found["nodes"] if node["op"] != "NONE"]
    assert [node["address"] for node in nodes] == [node["address"] for node in last.nodes]
    assert [node["sources"] for node in nodes] == [node["sources"] for node in last.nodes]
