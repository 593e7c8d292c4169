"""Compares what prof-analyze says of a recording with what the target executed."""

import csv
import io
import json
import pathlib
import re
from collections import Counter
from dataclasses import dataclass, field

import commands
import truth


@dataclass
class Comparison:
    """One workload: counts of both sides, and every difference in words."""

    steps: int = 0
    graphs: int = 0
    recorded_operators: int = 0
    true_operators: int = 0
    lost: int = 0
    coverage: str = ""
    token_api: str = ""
    op_site: str = ""
    op_end: str = ""
    differences: list[str] = field(default_factory=list)
    # What the recorder says that it could not probe: no difference by itself.
    notes: list[str] = field(default_factory=list)

    @property
    def is_exact(self) -> bool:
        return not self.differences


def compare(trace: pathlib.Path, steps: list[truth.Step], folder: pathlib.Path) -> Comparison:
    """Every difference is kept: a part of the comparison that cannot be made is a difference, too."""
    result = Comparison()
    info = commands.expect(commands.analyze("info", trace), commands.COMPLETE, commands.PARTIAL)
    result.op_site, result.op_end, result.token_api = _sites(info.stdout)
    lost = re.search(r"^  lost +([\d,]+) of", info.stdout, re.MULTILINE)
    result.lost = int(lost[1].replace(",", "")) if lost else -1
    result.notes = _notes(info.stdout)
    rows = _rows("tokens", trace)
    result.steps, result.graphs = len(rows), sum(int(row["n_graphs"] or 0) for row in rows)
    result.coverage = min((row["coverage"] for row in rows), default="")
    result.true_operators = sum(
        len(operators) for step in steps for compute in step.computes for operators in compute.operators
    )
    _compare_steps(result, rows, steps)
    _compare_operators(result, trace, steps, folder)
    _compare_experts(result, trace, steps)
    _compare_graphs(result, trace, steps, folder)
    return result


def _rows(table: str, trace: pathlib.Path) -> list[dict[str, str]]:
    text = commands.expect(commands.analyze(table, trace, "--csv"), commands.COMPLETE, commands.PARTIAL).stdout
    return list(csv.DictReader(io.StringIO(text)))


def _notes(info: str) -> list[str]:
    """The lines `note` of `info`, each put together again from the lines that it was broken into."""
    notes, is_note = [], False
    for line in info.splitlines():
        if line.startswith("  note "):
            notes.append(line[7:].strip())
            is_note = True
        elif is_note and line.startswith(" " * 20):
            notes[-1] += " " + line.strip()
        else:
            is_note = False
    return notes


def _sites(info: str) -> tuple[str, str, str]:
    """Of the sites that were hit: where operators begin and end, and the token function."""
    op_site, op_end, token_api = "none", "next operator", "none"
    for line in info.splitlines():
        columns = re.split(r"\s{2,}", line.strip())
        if len(columns) < 8 or not columns[-1].isdigit() or columns[-1] == "0":
            continue
        role, function, instruction, kind = columns[0], columns[1], columns[-4], columns[-3]
        if role == "op_begin":
            op_site = f"`{function}` {instruction}, {kind}"
        elif role == "barrier_loop":
            op_end = f"{instruction}, {kind}"
        elif role in ("token_decode", "token_process"):
            token_api = f"`{function}`"
    return op_site, op_end, token_api


def _compare_steps(result: Comparison, rows: list[dict[str, str]], steps: list[truth.Step]) -> None:
    if result.coverage != "1.000000":
        result.differences.append(f"coverage {result.coverage or 'unknown'}")
    if result.lost:
        result.differences.append(f"{result.lost} records lost")
    found = [(int(row["n_tokens"] or -1), int(row["n_graphs"] or -1), int(row["n_ops"] or -1)) for row in rows]
    true = [(step.n_tokens, len(step.computes), len(step.operators(0))) for step in steps]
    if len(found) != len(true):
        result.differences.append(f"{len(found)} token steps recorded, {len(true)} executed")
    for number, (here, there) in enumerate(zip(found, true)):
        if here != there:
            result.differences.append(f"step {number}: (tokens, graphs, operators) {here} recorded, {there} executed")


def _compare_operators(
    result: Comparison, trace: pathlib.Path, steps: list[truth.Step], folder: pathlib.Path
) -> None:
    """The same operators on the same nodes in the same order, on each thread of each step."""
    output = folder / "timeline.json"
    written = commands.analyze("timeline", trace, "-o", output)
    commands.expect(written, commands.COMPLETE, commands.PARTIAL)
    events = json.loads(output.read_text(encoding="utf-8"))["traceEvents"]
    slices = sorted((event for event in events if event.get("cat") == "operator"), key=lambda event: event["ts"])
    result.recorded_operators = len(slices)
    spans = sorted((event for event in events if event.get("cat") == "token step"), key=lambda event: event["ts"])
    if result.recorded_operators != result.true_operators:
        result.differences.append(
            f"{result.recorded_operators} operators recorded, {result.true_operators} executed"
        )
    for number, (span, step) in enumerate(zip(spans, steps)):
        by_thread: dict[int, list] = {}
        for event in slices:
            if span["ts"] <= event["ts"] < span["ts"] + span["dur"]:
                by_thread.setdefault(event["tid"], []).append((event["args"]["op"], event["args"]["node"]))
        threads = max((compute.n_threads for compute in step.computes), default=0)
        true = Counter(tuple(step.operators(thread)) for thread in range(threads))
        found = Counter(tuple(operators) for operators in by_thread.values())
        if found != true:
            result.differences.append(f"step {number}: {_first_difference(found, true)}")


def _first_difference(found: Counter, true: Counter) -> str:
    only_found, only_true = list((found - true).elements()), list((true - found).elements())
    if len(only_found) != len(only_true):
        return f"operators of {found.total()} threads recorded, {true.total()} executed"
    pairs = enumerate(zip(only_found[0], only_true[0]))
    index, (here, there) = next(((i, pair) for i, pair in pairs if pair[0] != pair[1]), (-1, ("end", "end")))
    counts = f"{len(only_found[0])} operators recorded on a thread, {len(only_true[0])} executed"
    return f"{counts}; the first that differs is number {index}: {here} recorded, {there} executed"


def _compare_experts(result: Comparison, trace: pathlib.Path, steps: list[truth.Step]) -> None:
    rows = [tuple(int(value or -1) for value in row.values()) for row in _rows("experts", trace)]
    true = sorted((number, *activation) for number, step in enumerate(steps) for activation in step.experts)
    if sorted(rows) != true:
        shared = len(set(rows) & set(true))
        result.differences.append(
            f"experts: {len(rows)} activations recorded, {len(true)} executed, {shared} the same"
        )


def _compare_graphs(
    result: Comparison, trace: pathlib.Path, steps: list[truth.Step], folder: pathlib.Path
) -> None:
    """Nodes, shapes and sources of the first and the last step's graph."""
    for number in {0, len(steps) - 1}:
        output = folder / "dag.json"
        made = commands.analyze("dag", trace, "-o", output, "--format", "json", "--raw", "--token", str(number))
        commands.expect(made, commands.COMPLETE, commands.PARTIAL)
        nodes = json.loads(output.read_text(encoding="utf-8"))["nodes"]
        for node in nodes:
            node["sources"] = [source and source["address"] for source in node["sources"]]
        executed = [node for node in nodes if node["op"] != "NONE"]
        found = truth.edges(executed, [node for node in nodes if node["op"] == "NONE"], "op")
        true = max((compute.graph for compute in steps[number].computes), key=lambda graph: len(graph.nodes)).edges()
        if found != true:
            same = sum(here == there for here, there in zip(found, true))
            result.differences.append(
                f"step {number}: graph of {len(found)} nodes recorded, {len(true)} executed, {same} the same"
            )
