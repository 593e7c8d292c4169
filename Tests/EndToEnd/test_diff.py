"""Two recordings compared: what was changed on purpose must be what `diff` names."""

import csv
import io
import json
import os
import subprocess

import pytest

import commands
from commands import Workload

WORKLOAD = Workload("dense-q8_0", 1, tokens=150)
OVER = 1


def record(path, workload=WORKLOAD, **environment):
    variables = os.environ | environment
    commands.expect(commands.record(path, workload.command(), env=variables), 0)
    return path


def diff(a, b, *options, statuses=(commands.COMPLETE,)):
    return commands.expect(commands.run(commands.PROF_ANALYZE, "diff", a, b, *options), *statuses).stdout


def compare(a, b) -> tuple[dict, dict]:
    """The comparison, and its decode phase."""
    result = json.loads(diff(a, b, "--json"))
    return result, next(phase for phase in result["phases"] if phase["phase"] == "decode")


@pytest.fixture(scope="module")
def plain(workdir):
    return record(workdir / "diff-plain.pitrace")


@pytest.fixture(scope="module")
def slow(workdir):
    """Every ffn_out, one of them in each of the 6 layers, spins for 400 µs."""
    command = [commands.ROOT / "tools/targets/build-shim", "slow_shim"]
    shim = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    return record(
        workdir / "diff-slow.pitrace", LD_PRELOAD=shim, SLOW_SHIM_NAME="ffn_out-", SLOW_SHIM_NS="400000"
    )


def test_slow_operator_is_found_by_name(plain, slow):
    result, decode = compare(plain, slow)
    first = decode["explained_by"][0]
    assert first["name"] == "MUL_MAT in ffn_out"
    # The shim's own account: 6 x 400 µs a step.
    nodes = [row for row in decode["rows"] if row["scope"] == "node" and row["name"].startswith("ffn_out-")]
    assert len(nodes) == 6
    assert 0.8 < sum(row["change_ns"] for row in nodes) / (6 * 400_000) < 1.2
    assert "MUL_MAT in ffn_out explains" in result["headline"]
    assert "slower" in result["headline"]
    assert decode["low"] > 0


def test_parts_add_up_to_the_nanosecond(plain, slow):
    _, decode = compare(plain, slow)

    def total(column, *scopes):
        return sum(row[column] for row in decode["rows"] if row["scope"] in scopes)

    for column in ("a_ns", "b_ns", "change_ns"):
        assert total(column, "part", "operator") == total(column, "step")
        assert total(column, "node") == total(column, "operator") == total(column, "layer")


def test_fail_over(plain, slow):
    text = diff(plain, slow, "--fail-over", "5", statuses=(OVER,))
    assert text.startswith("decode got ")
    # What the sentence is about comes first.
    assert text.index("\ndecode: ") < text.index("\nprefill: ")
    diff(slow, plain, "--fail-over", "5")
    diff(plain, plain, "--fail-over", "0")
    assert diff(plain, plain).startswith("no clear change: decode")


def test_threads_are_named(workdir, plain):
    other = record(workdir / "diff-t2.pitrace", Workload("dense-q8_0", 2, tokens=150))
    result, _ = compare(plain, other)
    difference = next(one for one in result["differences"] if one["kind"] == "threads")
    assert (difference["a"], difference["b"]) == ("1", "2")
    assert result["comparable"]


def test_fusion_is_named(workdir, plain):
    other = record(workdir / "diff-no-fusion.pitrace", GGML_CPU_DISABLE_FUSION="1")
    result, decode = compare(plain, other)
    difference = next(one for one in result["differences"] if one["kind"] == "fusion")
    assert (difference["a"], difference["b"]) == ("RMS_NORM+MUL", "RMS_NORM and MUL")
    presence = {row["name"]: row["presence"] for row in decode["rows"] if row["scope"] == "operator"}
    assert presence["RMS_NORM+MUL"] == "only in A"
    assert presence["RMS_NORM"] == presence["MUL"] == "only in B"
    assert presence["MUL_MAT"] == ""


def test_another_model_is_not_comparable(workdir, plain):
    other = record(workdir / "diff-moe.pitrace", Workload("moe-q4_0", 1))
    assert "not comparable" in diff(plain, other)
    diff(plain, other, "--fail-over", "5", statuses=(commands.USAGE,))


def test_folders_are_groups(workdir, plain, slow):
    for name, traces in (("diff-a", [plain, plain]), ("diff-b", [slow, slow])):
        (workdir / name).mkdir()
        for number, trace in enumerate(traces):
            (workdir / name / f"{number}.pitrace").symlink_to(trace)
    _, decode = compare(workdir / "diff-a", workdir / "diff-b")
    assert decode["runs"] == [2, 2]
    (workdir / "diff-empty").mkdir()
    diff(plain, workdir / "diff-empty", statuses=(commands.UNREADABLE,))


def test_csv_and_page(workdir, plain, slow):
    rows = list(csv.DictReader(io.StringIO(diff(plain, slow, "--csv"))))
    assert {row["scope"] for row in rows} == {"step", "part", "operator", "node", "layer"}
    page = workdir / "diff.html"
    diff(plain, slow, "-o", page)
    text = page.read_text(encoding="utf-8")
    assert "MUL_MAT in ffn_out explains" in text
    assert text.index('id="decode"') < text.index('id="prefill"')
    assert "http://" not in text and "https://" not in text
    before = plain.read_bytes()
    diff(plain, slow, "-o", plain, statuses=(5,))
    assert plain.read_bytes() == before


def test_losses_end_with_4(workdir, plain, slow):
    cut = workdir / "diff-cut.pitrace"
    cut.write_bytes(plain.read_bytes()[:-200])
    diff(cut, slow, statuses=(commands.PARTIAL,))
