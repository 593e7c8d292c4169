"""Events for other tools: the same numbers as the tables of prof-analyze, read by programs that are not ours."""

import collections
import csv
import gzip
import io
import json

import duckdb
import pytest

import commands
import hostile
from commands import COMPLETE, USAGE, Workload

COUNTED = ("prefill", "decode", "draft", "verify", "unknown")


@pytest.fixture(scope="module")
def dense(workdir):
    trace = workdir / "export-dense.pitrace"
    options = ["--sched", "--pmc", "page-faults"]
    commands.expect(commands.record(trace, Workload("dense-q8_0", 1, tokens=12).command(), *options, timeout=300), 0)
    return trace


def export(trace, what: str, *options) -> list[dict]:
    result = commands.expect(commands.analyze("export", trace, "-o", "-", "--what", what, *options, text=False), COMPLETE)
    return list(csv.DictReader(io.StringIO(result.stdout.decode(), newline="")))


def test_operators_add_up_to_the_tables(dense):
    steps = {row["step"]: row for row in export(dense, "steps")}
    sums, counts = collections.Counter(), collections.Counter()
    for row in export(dense, "operators"):
        if row["main"] == "yes" and steps[row["step"]]["phase"] in COUNTED:
            sums[row["op"], row["type"]] += int(row["duration_ns"])
            counts[row["op"], row["type"]] += 1
        assert row["page-faults"] != ""
    ops = commands.table("ops", dense)
    assert {(row["op"], row["type"]): int(row["total_ns"]) for row in ops} == sums
    assert {(row["op"], row["type"]): int(row["count"]) for row in ops} == counts
    tokens = {row["step"]: (row["phase"], row["duration_ns"], row["n_ops"]) for row in commands.table("tokens", dense)}
    assert {key: (row["phase"], row["duration_ns"], row["n_ops"]) for key, row in steps.items()} == tokens


def test_other_events(dense):
    tokens = commands.table("tokens", dense)
    graphs = export(dense, "graphs")
    assert len(graphs) == sum(int(row["n_graphs"]) for row in tokens)
    gaps = collections.Counter()
    for row in export(dense, "gaps"):
        gaps[row["step"], row["kind"]] += int(row["duration_ns"])
    for row in tokens:
        assert gaps[row["step"], "setup"] == int(row["setup_ns"])
    running = collections.Counter()
    for row in export(dense, "slices"):
        running[row["tid"]] += int(row["duration_ns"]) if row["activity"] == "running" else 0
    for row in commands.table("threads", dense):
        assert running[row["tid"]] == pytest.approx(int(row["running_ns"]), rel=0.2)
    assert export(dense, "losses") == []


def test_lines_of_json_and_gzip(dense, tmp_path):
    file = tmp_path / "operators.ndjson.gz"
    commands.expect(commands.analyze("export", dense, "-o", file), COMPLETE)
    lines = [json.loads(line) for line in gzip.open(file, "rt", encoding="utf-8")]
    rows = export(dense, "operators")
    assert len(lines) == len(rows)
    assert lines[5]["duration_ns"] == int(rows[5]["duration_ns"]) and lines[5]["barrier_ns"] in (
        None, int(rows[5]["barrier_ns"] or 0),
    )  # fmt: skip


def test_folded_stacks(dense, tmp_path):
    file = tmp_path / "dense.folded"
    commands.expect(commands.analyze("export", dense, "-o", file), COMPLETE)
    sums = collections.Counter()
    for line in file.read_text(encoding="utf-8").splitlines():
        stack, value = line.rsplit(" ", 1)
        sums[stack.split(";")[0]] += int(value)
    for phase in ("prefill", "decode"):
        rows = [row for row in commands.table("tokens", dense) if row["phase"] == phase]
        wall = sum(int(row["duration_ns"]) + int(row["sampling_ns"]) for row in rows)
        assert sums[phase] == pytest.approx(wall, rel=0.001)


def test_parquet(dense, tmp_path):
    tool = commands.ROOT / "tools/to-parquet"
    commands.expect(commands.run(tool, dense, "-o", tmp_path, "--what", "operators", "--what", "steps"), 0)
    operators, steps = (f"'{tmp_path}/{name}/*/*.parquet'" for name in ("operators", "steps"))
    rows = duckdb.sql(
        f"""select op, o.type, count(*), sum(duration_ns)::bigint from {operators} o
            join (select trace, step, phase from {steps}) using (trace, step)
            where main and phase in {COUNTED} group by all"""
    ).fetchall()
    ops = commands.table("ops", dense)
    assert {(op, type): (count, total) for op, type, count, total in rows} == {
        (row["op"], row["type"]): (int(row["count"]), int(row["total_ns"])) for row in ops
    }
    # What was not recorded is NULL, not 0 and not an empty text.
    empty = duckdb.sql(f"select count(*) from {operators} where layer is null and node = 'embd'").fetchall()[0][0]
    assert empty == len(commands.table("tokens", dense))


def test_parquet_of_hostile_names(dense, tmp_path):
    """In cells and, as names of counters, in columns: the same rows as the CSV."""
    forged = tmp_path / "forged.pitrace"
    forged.write_bytes(hostile.forge(dense.read_bytes()))
    commands.expect(commands.run(commands.ROOT / "tools/to-parquet", forged, "-o", tmp_path, "--what", "operators"), 0)
    rows = duckdb.sql(f"select node, op, duration_ns, \"page-faults\"\"\n\" from '{tmp_path}/operators/*/*.parquet'")
    assert [(node or "", op, str(time), str(faults)) for node, op, time, faults in rows.fetchall()] == [
        (row["node"], row["op"], row["duration_ns"], row['page-faults"\n']) for row in export(forged, "operators")
    ]
    assert any("line\nbreak" in (node or "") for node, *_ in rows.fetchall())


def test_usage(dense, tmp_path):
    result = commands.analyze("export", dense, "-o", tmp_path / "x.folded", "--what", "steps")
    assert "folded stacks are sums" in commands.expect(result, USAGE).stderr
    commands.expect(commands.analyze("export", dense, "-o", dense), 5)
