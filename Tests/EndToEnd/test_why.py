"""Why a token was slow: explanations add up, name who took the CPU, and agree with the kernel; findings on runs that
show the matter and on runs that do not."""

import bisect
import json
import os
import re
import pathlib
import statistics
import subprocess
import sys
import threading
import time

import pytest

import commands
from commands import Workload
from servers import Server
from test_layers import Competitor, on_cpu, wait_for_text


def explain(trace, *options) -> list[dict]:
    text = commands.expect(commands.analyze("explain", trace, "--json", *options), commands.COMPLETE).stdout
    return json.loads(text)["tokens"]


def part(token: dict, cause: str) -> dict:
    return next(part for part in token["parts"] if part["cause"] == cause)


def expect_exact(tokens: list[dict]) -> list[dict]:
    """Those that could be compared with others; each adds up."""
    explained = [token for token in tokens if token["excess_ns"] is not None]
    for token in explained:
        assert sum(part["ns"] or 0 for part in token["parts"]) == token["excess_ns"]
        assert token["excess_ns"] == token["explained_ns"] - token["typical_ns"]
        taken = ["preemption", "migration", "blocked", "page_faults", "expert_misses", "frequency"]
        assert all((part(token, cause)["ns"] or 0) >= 0 for cause in taken)
    return explained


def findings(trace) -> str:
    text = commands.expect(commands.analyze("summary", trace), commands.COMPLETE).stdout
    return text[text.index("\nFindings\n") :] if "\nFindings\n" in text else ""


@pytest.mark.parametrize(
    ("model", "threads", "options"),
    [
        ("dense-q8_0", 1, []),
        ("dense-q8_0", 2, ["--sched", "--pmc", "page-faults,major-faults"]),
        ("moe-q4_0", 2, ["--sched"]),
        ("dense-q8_0", 2, ["--sched", "--no-structure"]),
        ("dense-q8_0", 1, ["--sched", "--level", "graph"]),
        ("dense-q8_0", 1, ["--level", "token"]),
    ],
)
def test_every_step_adds_up(tmp_path, model, threads, options):
    trace = tmp_path / "explained.pitrace"
    workload = Workload(model, threads, tokens=40)
    commands.expect(commands.record(trace, workload.command(), *options), 0)
    tokens = explain(trace, "--all")
    explained = expect_exact(tokens)
    assert len(tokens) == 41 and len(explained) == 39
    steps = {row["step"]: row for row in commands.table("tokens", trace)}
    whys = commands.table("tokens", trace, "--why")
    for token, why in zip(tokens, whys, strict=True):
        assert token["duration_ns"] == int(steps[str(token["step"])]["duration_ns"]) == int(why["duration_ns"])
        assert str(token["excess_ns"] if token["excess_ns"] is not None else "") == why["excess_ns"]
        # What was not recorded is null, and it is said how to record it.
        recorded = "--sched" in options
        if token["excess_ns"] is not None:
            assert (part(token, "preemption")["ns"] is not None) == recorded
        assert any("--sched" in line for line in token["missing"]) != recorded
    if "--level" not in options:
        # All time inside of steps has a name, so nothing is left unexplained.
        assert all(abs(part(token, "unexplained")["ns"]) <= token["explained_ns"] // 100 for token in explained)


class Delays(threading.Thread):
    """Reads from the kernel, again and again, how long each thread of a process had waited for a CPU."""

    def __init__(self, pid: int):
        super().__init__()
        self.pid, self.samples = pid, {}

    def run(self):
        tasks = pathlib.Path(f"/proc/{self.pid}/task")
        while tasks.exists():
            for task in list(tasks.iterdir()):
                try:
                    delay = int((task / "schedstat").read_text().split()[1])
                except (OSError, IndexError):
                    continue
                self.samples.setdefault(task.name, []).append((time.monotonic_ns(), delay))
            time.sleep(0.02)


def test_interference_is_named_and_sized(tmp_path):
    """A competitor on the target's CPU in the middle of its run: who it is, and how much it took, by the kernel's own
    account."""
    trace = tmp_path / "interference.pitrace"
    with open(tmp_path / "server.log", "wb") as log:
        server = Server("dense-q8_0", log, prefix=on_cpu(1, []))
        delays = Delays(server.process.pid)
        try:
            recorder = subprocess.Popen(
                [commands.PI_RECORD, "-o", trace, "--sched", "--pid", str(server.process.pid)],
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
            wait_for_text(recorder, trace)
            delays.start()
            server.complete(400)
            with Competitor(1, niceness=-10):
                server.complete(200)
            server.complete(400)
            recorder.send_signal(2)
            _, said = recorder.communicate(timeout=60)
            assert recorder.returncode == 0, said
        finally:
            server.stop()
            if delays.is_alive():
                delays.join()
    tokens = expect_exact(explain(trace, "--all"))
    # The worst steps are those in which the competitor had the CPU: most of them, since others may disturb one or two.
    shares, names = [], []
    for worst in explain(trace, "--worst", "5"):
        preemption = part(worst, "preemption")
        shares.append(preemption["ns"] / (worst["explained_ns"] - worst["expected_ns"]))
        names.append("competitor" in [detail["name"] for detail in preemption["details"]][:2])
    assert statistics.median(shares) > 0.8
    assert names.count(True) >= 3
    (main,) = [row for row in commands.table("threads", trace) if row["main"] == "yes"]
    samples = delays.samples[main["tid"]]
    times = [moment for moment, _ in samples]
    # The kernel's figure moves in steps of whole waits, so windows begin and end at samples, and hold whole steps.
    disturbed = [token for token in tokens if (part(token, "preemption")["ns"] or 0) > 1_000_000]
    assert len(disturbed) >= 10
    first = bisect.bisect_left(times, disturbed[0]["start_ns"]) - 1
    end = max(token["start_ns"] + token["explained_ns"] for token in disturbed)
    last = min(bisect.bisect_left(times, end), len(times) - 1)
    kernel = samples[last][1] - samples[first][1]
    counted = sum(
        part(token, "preemption")["ns"] for token in tokens
        if times[first] <= token["start_ns"] and token["start_ns"] + token["explained_ns"] <= times[last]
    )  # fmt: skip
    assert counted == pytest.approx(kernel, rel=0.15)
    takers = {row["task"]: int(row["cost_ns"]) for row in commands.table("threads", trace, "--show", "takers")}
    assert takers["competitor"] > 0.3 * sum(takers.values())
    text = findings(trace)
    assert "* preempted: " in text and "competitor" in text


def test_context_growth_has_stairs_and_a_carrier(tmp_path):
    trace = tmp_path / "long.pitrace"
    workload = Workload("dense-q8_0", 1, tokens=900)
    commands.expect(commands.record(trace, [*workload.command(), "--context", "2048"], "--sched", timeout=300), 0)
    text = commands.expect(commands.analyze("summary", trace), commands.COMPLETE).stdout
    section = text[text.index("Across the context") : text.index("Where the time goes")]
    assert "FLASH_ATTN_EXT" in section
    # The cache is padded to 256 cells: levels begin where it grows.
    levels = [line.split() for line in section.splitlines() if line.strip()[:3] in ("256", "512", "768", "102")]
    assert [level[0] for level in levels] == ["256", "512", "768", "1024"]
    assert [level[1].split("–")[0] for level in levels[1:]] == ["256", "512", "768"]
    assert "* context-growth: " in findings(trace)
    growth = [part(token, "kv_growth")["ns"] for token in expect_exact(explain(trace, "--all"))]
    assert growth[0] < 0 < growth[-1]
    short = tmp_path / "short.pitrace"
    commands.expect(commands.record(short, Workload("dense-q8_0", 1, tokens=60).command(), "--sched"), 0)
    assert "context-growth" not in findings(short)


def test_too_many_threads(tmp_path):
    trace = tmp_path / "crowded.pitrace"
    cpus = os.cpu_count() or 1
    workload = Workload("dense-q8_0", cpus + 2, tokens=20)
    commands.expect(commands.record(trace, workload.command(), "--sched", timeout=300), 0)
    text = findings(trace)
    assert f"* more-threads-than-cpus: graphs are computed with {cpus + 2} threads on {cpus} CPUs" in text
    expect_exact(explain(trace, "--all"))
    rows = commands.table("threads", trace, "--show", "takers")
    assert "the target's own threads" in [row["task"] for row in rows]
    alone = tmp_path / "alone.pitrace"
    commands.expect(commands.record(alone, Workload("dense-q8_0", 1, tokens=20).command(), "--sched"), 0)
    assert "more-threads-than-cpus" not in findings(alone)


def test_probe_cost_is_found_where_it_is(tmp_path):
    """A tiny model: its operators take as long as a probe. At the level of graphs a tenth of it is left, which is worth a
    word only on a fast machine."""
    workload = Workload("dense-q8_0", 1, tokens=60)
    operators, graphs = tmp_path / "operators.pitrace", tmp_path / "graphs.pitrace"
    commands.expect(commands.record(operators, workload.command()), 0)
    commands.expect(commands.record(graphs, workload.command(), "--level", "graph"), 0)
    found = {trace: findings(trace) for trace in (operators, graphs)}
    shares = {trace: re.search(r"\* probe-cost: .*about ([\d.]+) % of the token steps", found[trace]) for trace in found}
    assert shares[operators] and "record with --level graph" in found[operators]
    assert "record with --level graph" not in found[graphs]
    if shares[graphs]:
        assert float(shares[graphs][1]) < float(shares[operators][1]) / 2


def test_sampling_cost_is_found_where_it_is(tmp_path):
    """A long chain of samplers over all of the vocabulary, and greedy decoding."""
    body = {"prompt": "Once upon a time", "n_predict": 80, "ignore_eos": True, "cache_prompt": False}
    costly = {
        "temperature": 1.0, "top_k": 0, "top_p": 0.9, "typical_p": 0.9, "min_p": 0.01, "dry_multiplier": 0.8,
        "repeat_penalty": 1.2, "repeat_last_n": 512, "xtc_probability": 0.3, "n_probs": 40, "seed": 1,
    }  # fmt: skip
    shown = {}
    for name, options in (("costly", costly), ("greedy", {"temperature": 0})):
        trace = tmp_path / f"{name}.pitrace"
        with open(tmp_path / "server.log", "wb") as log:
            server = Server("dense-q8_0", log)
            try:
                recorder = subprocess.Popen(
                    [commands.PI_RECORD, "-o", trace, "--level", "graph", "--pid", str(server.process.pid)],
                    stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                )  # fmt: skip
                wait_for_text(recorder, trace)
                server.request("/completion", body | options)
                recorder.send_signal(2)
                _, said = recorder.communicate(timeout=60)
                assert recorder.returncode == 0, said
            finally:
                server.stop()
        shown[name] = findings(trace)
    assert "* sampling: " in shown["costly"]
    assert "* sampling: " not in shown["greedy"]


def test_nothing_to_explain(tmp_path):
    trace = tmp_path / "nothing.pitrace"
    # No engine: the recorder says so, and leaves a trace without token steps.
    commands.expect(commands.record(trace, [sys.executable, "-c", "pass"]), commands.RECORDER_FAILED)
    for options, status in ([], commands.COMPLETE), (["--token", "7"], commands.USAGE):
        result = commands.expect(commands.analyze("explain", trace, *options), status)
        assert "no token step" in result.stderr
    assert json.loads(commands.analyze("explain", trace, "--json").stdout) == {"tokens": []}
    for subcommand in ("summary", "tokens", "threads"):
        commands.expect(commands.analyze(subcommand, trace), commands.COMPLETE)
    assert commands.table("tokens", trace, "--why") == []
