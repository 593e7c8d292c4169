"""Token steps split over the CPU and Mesa's lavapipe, a Vulkan device without a GPU."""

import csv
import io
import os
import re

import pytest

import commands
from commands import Workload
from servers import Recording, Server

TOKENS = 4


@pytest.fixture(scope="module")
def cache_on_cpu(workdir):
    """All layers on the device, but the key-value cache in the CPU's memory: it has to write it, layer by layer."""
    trace = workdir / "nkvo.pitrace"
    environment = os.environ | {"GGML_VK_VISIBLE_DEVICES": "0"}
    with open(workdir / "nkvo.log", "wb") as log:
        server = Server("dense-q8_0", log, "Vulkan0", 99, ["-nkvo"], environment=environment)
        try:
            first = server.complete(TOKENS)  # compiles shaders
            with Recording(server, trace):
                assert server.complete(TOKENS) == first
        finally:
            server.stop()
    return trace


def test_splits(cache_on_cpu):
    rows = commands.table("backends", cache_on_cpu)
    steps = [row for row in commands.table("tokens", cache_on_cpu) if row["complete"] == "yes"]
    assert [row["phase"] for row in steps] == ["prefill"] + ["decode"] * (TOKENS - 1)
    # The embedding, then six times what the device computes and the CPU's writing, and the rest.
    assert {row["n_graphs"] for row in steps} == {"14"}
    for phase, count in (("prefill", 1), ("decode", TOKENS - 1)):
        mine = [row for row in rows if row["phase"] == phase]
        assert [row["split"] for row in mine] == [str(place) for place in range(14)]
        assert [row["backend"] for row in mine] == ["CPU", "Vulkan"] * 7
        assert {row["count"] for row in mine} == {str(count)}
        assert mine[0]["before_ns"] == "" and all(int(row["before_ns"]) > 0 for row in mine[1:])
        # Graphs and what lies between them are parts of the steps.
        inside = sum(int(row["total_ns"]) + int(row["before_ns"] or 0) for row in mine)
        assert inside < sum(int(row["duration_ns"]) for row in steps if row["phase"] == phase)


def test_islands_are_the_operators_that_write_the_cache(cache_on_cpu):
    text = commands.expect(
        commands.analyze("backends", cache_on_cpu, "--islands", "--csv"), commands.COMPLETE
    ).stdout
    rows = {row["phase"]: row for row in csv.DictReader(io.StringIO(text))}
    assert set(rows) == {"prefill", "decode"}
    for phase, steps in (("prefill", 1), ("decode", TOKENS - 1)):
        row = rows[phase]
        assert row["operators"] == "SET_ROWS cache_k_l* (view), SET_ROWS cache_v_l* (view)"
        assert (row["n_operators"], row["before"], row["behind"]) == ("2", "Vulkan", "Vulkan")
        assert int(row["count"]) == 6 * steps
    summary = commands.expect(commands.analyze("summary", cache_on_cpu), commands.COMPLETE).stdout
    assert re.search(r"island on the CPU +SET_ROWS cache_k_l\* \(view\)", summary)


def test_transfers(cache_on_cpu):
    text = commands.expect(
        commands.analyze("backends", cache_on_cpu, "--transfers", "--csv", "--phase", "decode"), commands.COMPLETE
    ).stdout
    rows = {(row["from"], row["to"]): row for row in csv.DictReader(io.StringIO(text))}
    steps = TOKENS - 1
    assert {pair: int(row["count"]) for pair, row in rows.items()} == {
        ("CPU", "Vulkan"): 7 * steps,
        ("Vulkan", "CPU"): 6 * steps,
    }
    # To take something from the device is to wait until it has computed it; to hand something over is not.
    assert int(rows["Vulkan", "CPU"]["mean_ns"]) > int(rows["CPU", "Vulkan"]["mean_ns"])


def test_the_cpu_alone_has_one_split_and_no_island(workdir):
    trace = workdir / "cpu-alone.pitrace"
    commands.expect(commands.record(trace, Workload("dense-q8_0", 1, tokens=3).command()), 0)
    rows = commands.table("backends", trace)
    assert {(row["split"], row["backend"]) for row in rows} == {("0", "CPU")}
    result = commands.analyze("backends", trace, "--islands", "--csv")
    assert len(commands.expect(result, commands.COMPLETE).stdout.splitlines()) == 1
    assert "all graphs are of CPU" in result.stderr
    assert "Backends" not in commands.analyze("summary", trace).stdout


def test_nodes_of_two_recordings_side_by_side(workdir):
    """The same graph with other weights: every node of the one is in the other, with the times of its own table."""
    traces = {}
    for model in ("dense-q8_0", "dense-q4_0"):
        traces[model] = workdir / f"beside-{model}.pitrace"
        commands.expect(commands.record(traces[model], Workload(model, 1, tokens=6).command()), 0)
    first, second = traces["dense-q8_0"], traces["dense-q4_0"]
    rows = commands.table("nodes", first, "--beside", second, "--phase", "decode")
    alone = {
        (row["name"], row["op"]): row for row in commands.table("nodes", first, "--phase", "decode")
    }
    both = [row for row in rows if row["ratio"]]
    assert len(both) > 100
    for row in both:
        node = alone[row["name"], row["op"]]
        assert (row["count_a"], row["total_ns_a"], row["type_a"]) == (node["count"], node["total_ns"], node["type"])
        ratio = int(row["total_ns_b"]) / int(row["count_b"]) / (int(row["total_ns_a"]) / int(row["count_a"]))
        assert float(row["ratio"]) == pytest.approx(ratio, rel=1e-5, abs=1e-6)
    (head,) = [row for row in both if row["name"] == "result_output"]
    assert (head["type_a"], head["kind_a"], head["kind_b"]) == ("q8_0", "cpu", "cpu")
    assert head["type_b"].startswith("q4_")
