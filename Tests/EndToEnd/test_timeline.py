"""The timeline is valid, nests, and accounts for the time of every token step."""

import json
from collections import defaultdict

import pytest

import commands
from commands import Workload


@pytest.fixture(scope="module", params=[1, 2], ids=["t1", "t2"])
def events(request, workdir) -> list[dict]:
    trace = workdir / f"timeline-{request.param}.pitrace"
    commands.expect(commands.record(trace, Workload("dense-q8_0", request.param, tokens=24).command()), 0)
    document = commands.timeline(trace, trace.with_suffix(".json"))
    assert document["displayTimeUnit"] == "ns"
    return document["traceEvents"]


def nanoseconds(slice: dict) -> tuple[int, int]:
    """(start, end); the file has microseconds with three decimals."""
    start = round(slice["ts"] * 1000)
    return start, start + round(slice["dur"] * 1000)


def slices(events: list[dict], *categories: str) -> list[dict]:
    return [event for event in events if event["ph"] == "X" and (not categories or event["cat"] in categories)]


def test_slices_nest(events):
    tracks = defaultdict(list)
    for slice in slices(events):
        tracks[slice["pid"], slice["tid"]].append((*nanoseconds(slice), slice["name"]))
    assert tracks
    for track, members in tracks.items():
        open_ends = []
        for start, end, name in sorted(members, key=lambda member: (member[0], -member[1])):
            assert end >= start
            while open_ends and open_ends[-1][0] <= start:
                open_ends.pop()
            if open_ends:
                assert end <= open_ends[-1][0], f"{name} reaches out of {open_ends[-1][1]} on track {track}"
            open_ends.append((end, name))


def test_tracks_are_named(events):
    used = {slice["tid"] for slice in slices(events)}
    named = {event["tid"] for event in events if event["ph"] == "M" and event["name"] == "thread_name"}
    assert used <= named


def test_operators_say_what_they_did(events):
    operators = slices(events, "operator")
    assert operators
    for slice in operators:
        assert {"node", "op", "type", "shape"} <= slice["args"].keys()
    assert slices(events, "barrier"), "no barrier waits"


def test_time_of_each_step_is_accounted_for(events):
    """At least 99 % of a step's wall time on its thread: operators, barriers and named gaps."""
    leaves = defaultdict(list)
    for slice in slices(events, "operator", "barrier", "gap"):
        leaves[slice["tid"]].append(nanoseconds(slice))
    steps = slices(events, "token step")
    assert len(steps) >= 24
    for step in steps:
        start, end = nanoseconds(step)
        covered = position = 0
        for leaf_start, leaf_end in sorted(leaves[step["tid"]]):
            begin = max(leaf_start, start, position)
            finish = min(leaf_end, end)
            if finish > begin:
                covered += finish - begin
                position = finish
        assert covered >= 0.99 * (end - start), f"{step['name']}: {covered} of {end - start} ns"


def test_part_of_the_steps(workdir):
    trace = workdir / "timeline-1.pitrace"
    if not trace.exists():
        commands.expect(commands.record(trace, Workload("dense-q8_0", 1, tokens=24).command()), 0)
    output = workdir / "part.json"
    commands.expect(commands.analyze("timeline", trace, "-o", output, "--tokens", "3..5"), 0)
    steps = slices(json.loads(output.read_text())["traceEvents"], "token step")
    assert sorted(int(step["name"].split()[-1]) for step in steps) == [3, 4, 5]
