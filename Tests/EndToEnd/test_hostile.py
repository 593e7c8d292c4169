"""Traces made to harm, through every command: an ending of its own, output that its readers can read, bounded memory."""

import json
import re
import struct

import pytest

import commands
import everything
import hostile
import test_damage
import test_report
from commands import COMPLETE, PARTIAL, USAGE, Workload

# Graphviz failed, among others.
CANNOT_WRITE = 5
# Of the analyzer on a small trace, MiB: it maps the file, and holds a chunk of 16 MiB at a time and what it makes of it.
PEAK = 150

FORGERIES = {
    "names": hostile.forge,
    "circular graph": hostile.circular,
    "circular views": hostile.circular_views,
    "absurd counts": hostile.absurd_counts,
    "absurd shapes": hostile.absurd_shapes,
    "a thread for each operator": hostile.crowd,
    "metadata that is no text": hostile.not_text,
    "metadata without a bottom": hostile.nested,
}


@pytest.fixture(scope="module")
def trace(workdir) -> bytes:
    path = workdir / "hostile.pitrace"
    options = ["--sched", "--pmc", "page-faults"]
    workload = Workload("moe-q4_0", 2, tokens=6)
    commands.expect(commands.record(path, workload.command(), *options, timeout=300), 0)
    return path.read_bytes()


@pytest.mark.parametrize("forgery", FORGERIES)
def test_every_command_survives(trace, forgery, tmp_path):
    path = tmp_path / "forged.pitrace"
    path.write_bytes(FORGERIES[forgery](trace))
    for ended in everything.run_all(path, tmp_path):
        allowed = [COMPLETE, PARTIAL]
        # A graph without layers has none to fold, and Graphviz may not be done in its time: both are said.
        allowed += [USAGE] if "--fold-layers" in ended.command else [CANNOT_WRITE] if "svg" in ended.command else []
        assert ended.status in allowed, f"{ended.command}: {ended.status}\n{ended.stderr}"


def test_names_stay_what_they_are(trace, tmp_path):
    """The same numbers as before, and each name where it is data, to the byte that UTF-8 allows."""
    plain, forged = tmp_path / "plain.pitrace", tmp_path / "forged.pitrace"
    plain.write_bytes(trace)
    forged.write_bytes(hostile.forge(trace))
    before = json.loads(everything.run("dag", plain, "-o", "-", "--format", "json", "--raw").stdout)
    after = json.loads(everything.run("dag", forged, "-o", "-", "--format", "json", "--raw").stdout)
    assert [edge["from"] for edge in before["edges"]] == [edge["from"] for edge in after["edges"]]
    assert len(before["nodes"]) == len(after["nodes"])
    names = {node["name"] for node in after["nodes"]}
    expected = {name.decode(errors="replace") for name in hostile.NAMES if name}
    assert expected <= names, expected - names
    drawn = everything.dot(everything.run("dag", forged, "-o", "-", "--raw")).stdout
    plainly = everything.dot(everything.run("dag", plain, "-o", "-", "--raw")).stdout
    # A name that ended its label would be a node of its own, or an attribute.
    of_nodes = re.compile(rb"^ *(n\d+) \[label=", re.M)
    assert set(of_nodes.findall(drawn)) == set(of_nodes.findall(plainly)) != set()
    assert b"onerror" not in re.sub(rb'"(?:[^"\\]|\\.)*"', b"", drawn)
    page = tmp_path / "report.html"
    commands.expect(commands.analyze("report", forged, "-o", page), COMPLETE)
    seen = test_report.expect_sound(page, "--run", "document.querySelectorAll('img, section script').length")
    assert seen["result"] == 0


def test_circles_are_told(trace, tmp_path):
    """A graph that cannot be computed is drawn, and what has no order is said."""
    path = tmp_path / "circle.pitrace"
    path.write_bytes(hostile.circular(trace))
    ended = everything.run("dag", path, "-o", "-", "--format", "json")
    assert ended.status in (COMPLETE, PARTIAL) and json.loads(ended.stdout)["nodes"]
    assert "cycle" in ended.stderr


@pytest.mark.parametrize("forgery", ["metadata that is no text", "metadata without a bottom"])
def test_metadata_that_is_no_text_is_told(trace, forgery, tmp_path):
    """Names are missing then, which every command says."""
    path = tmp_path / "forged.pitrace"
    path.write_bytes(FORGERIES[forgery](trace))
    for command in everything.PAGES:
        ended = everything.run(command, path)
        assert ended.status == PARTIAL
        assert "no JSON object in UTF-8" in ended.stderr, ended.stderr


def test_chunks_that_grow(trace, tmp_path):
    """3 GiB of zeros in some 100 KiB: passed over chunk by chunk."""
    path = tmp_path / "bombs.pitrace"
    path.write_bytes(hostile.bombs(trace, 200))
    assert path.stat().st_size < 2 << 20
    for command in everything.PAGES:
        ended = everything.run(command, path)
        assert ended.status in (COMPLETE, PARTIAL), ended.stderr
    assert b"type 200" in everything.run("info", path).stdout
    for command in ("info", "check", "summary", "ops"):
        assert everything.peak_mib(command, path, tmp_path) < PEAK


@pytest.mark.parametrize("tells_size", [True, False])
def test_a_chunk_that_lies_about_its_size(trace, tells_size, tmp_path):
    path = tmp_path / "lie.pitrace"
    path.write_bytes(hostile.lying_bomb(trace, tells_size))
    data = path.read_bytes()
    (*_, last) = test_damage.chunk_offsets(data)
    payload = last + struct.unpack_from("<I", data, last + 8)[0]
    for command in everything.PAGES:
        ended = everything.run(command, path)
        assert ended.status == PARTIAL and f"byte {payload}" in ended.stderr
    for command in ("info", "check", "summary", "ops"):
        assert everything.peak_mib(command, path, tmp_path) < PEAK


@pytest.mark.parametrize("forgery", ["absurd counts", "absurd shapes", "circular graph", "metadata without a bottom"])
def test_memory_stays_small(trace, forgery, tmp_path):
    path = tmp_path / "forged.pitrace"
    path.write_bytes(FORGERIES[forgery](trace))
    for command, *options in (["summary"], ["ops"], ["report", "-o", "/dev/null"], ["dag", "-o", "/dev/null"]):
        assert everything.peak_mib(command, path, tmp_path, *options) < PEAK
