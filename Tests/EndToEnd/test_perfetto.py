"""Timelines in Perfetto's own trace processor: slices, tracks, curves and arrows are what the target did, what the
tables say and what the kernel counted, in both formats."""

import gzip
import json
import signal
import subprocess
import time
from collections import Counter, defaultdict

import pytest

import commands
import hostile
import truth
from commands import COMPLETE, PARTIAL, Workload
from faults import pitrace, targets
from faults.targets import Recorder, Target
from perfetto import Timeline
from servers import Server
from test_layers import Competitor, on_cpu, wait_for_text

SUFFIXES = {"chrome": ".json", "perfetto": ".pftrace"}
EVERY_PHASE = [word for phase in ("warmup", "prefill", "decode") for word in ("--phase", phase)]


@pytest.fixture(params=SUFFIXES)
def suffix(request) -> str:
    """The format is chosen by the file's name."""
    return SUFFIXES[request.param]


# What the target did


class Case:
    """A model of experts on two threads: counted by the shim, and recorded with counters and scheduler events."""

    def __init__(self, folder):
        workload = Workload("moe-q4_0", 2)
        self.steps, _ = truth.count(workload, folder / "perfetto.jsonl")
        self.trace = folder / "perfetto.pitrace"
        options = ["--sched", "--pmc", "page-faults,task-clock"]
        commands.expect(commands.record(self.trace, workload.command(), *options), 0)
        self.timelines = {end: Timeline(self.trace, folder / f"perfetto{end}") for end in SUFFIXES.values()}


@pytest.fixture(scope="module")
def case(workdir) -> Case:
    return Case(workdir)


@pytest.fixture
def timeline(case, suffix) -> Timeline:
    return case.timelines[suffix]


def test_nothing_is_refused(case, timeline):
    assert timeline.problems == []
    assert timeline.said == "", "slices overlap"


def test_steps_graphs_and_arrows(case, timeline):
    steps, graphs = timeline.slices("token step"), timeline.slices("graph")
    rows = commands.table("tokens", case.trace)
    found = [(step["name"], str(step["dur"]), step["args"]["tokens"]) for step in steps]
    assert found == [(f"{row['phase']} {row['step']}", row["duration_ns"], row["n_tokens"]) for row in rows]
    assert [int(step["args"]["graphs"]) for step in steps] == [len(step.computes) for step in case.steps]
    # An arrow from each step to each of its graphs, and no other.
    arrows = timeline.arrows
    ids = {step["id"]: number for number, step in enumerate(steps)}
    reached = Counter(ids[arrow["slice_out"]] for arrow in arrows)
    assert reached == {number: len(step.computes) for number, step in enumerate(case.steps)}
    assert sorted(arrow["slice_in"] for arrow in arrows) == sorted(graph["id"] for graph in graphs)
    # Each graph lies in its step.
    for arrow in arrows:
        step = steps[ids[arrow["slice_out"]]]
        graph = next(graph for graph in graphs if graph["id"] == arrow["slice_in"])
        assert graph["depth"] == step["depth"] + 1 and graph["track_id"] == step["track_id"]
        assert step["ts"] <= graph["ts"] and graph["ts"] + graph["dur"] <= step["ts"] + step["dur"]


def test_operators_of_each_thread(case, timeline):
    """The same operators on the same nodes in the same order as the target ran them, below their graphs."""
    steps = timeline.slices("token step")
    threads = defaultdict(list)
    for slice in timeline.slices("operator"):
        threads[slice["tid"]].append(slice)
    main = steps[0]["tid"]
    assert len(threads) == 2
    for tid, slices in threads.items():
        found = [(slice["args"]["op"], slice["args"]["node"]) for slice in slices]
        ith = 0 if tid == main else 1
        assert found == [operator for step in case.steps for operator in step.operators(ith)]
        assert {slice["depth"] for slice in slices} == ({2} if tid == main else {0})
    names = {row["tid"]: row["comm"] for row in commands.table("threads", case.trace)}
    assert {str(tid): slices[0]["thread"] for tid, slices in threads.items()} == {
        str(tid): names[str(tid)] for tid in threads
    }


def test_times_are_those_of_the_tables(case, timeline):
    steps = timeline.slices("token step")
    main = steps[0]["tid"]
    totals, counters = Counter(), Counter()
    for slice in timeline.slices("operator"):
        counters[slice["args"]["op"]] += int(slice["args"].get("page-faults", 0))
        if slice["tid"] == main:
            totals[slice["args"]["op"]] += slice["dur"]
    expected, faults = Counter(), Counter()
    for row in commands.table("ops", case.trace, *EVERY_PHASE):
        expected[row["op"]] += int(row["total_ns"])
        faults[row["op"]] += int(row["page-faults"] or 0)
    assert totals == expected
    assert +counters == +faults
    waits = Counter()
    for slice in timeline.slices("barrier"):
        waits[str(slice["tid"])] += slice["dur"]
    rows = {row["tid"]: int(row["barrier_ns"]) for row in commands.table("threads", case.trace, *EVERY_PHASE)}
    assert waits == {tid: wait for tid, wait in rows.items() if wait > 0}


def test_experts_of_each_product(case, timeline):
    """Decoding, each MUL_MAT_ID tells the experts that the target took; of a prompt, the first tokens'."""
    steps = timeline.slices("token step")
    products = [slice for slice in timeline.slices("operator") if slice["args"]["op"] == "MUL_MAT_ID"]
    assert products and all("experts" in slice["args"] for slice in products)
    checked = 0
    for step, true in zip(steps, case.steps):
        if true.n_tokens != 1:
            continue
        chosen = defaultdict(dict)
        for _, layer, slot, expert in true.experts:
            chosen[layer][slot] = expert
        for slice in products:
            if step["ts"] <= slice["ts"] < step["ts"] + step["dur"]:
                layer = chosen[int(slice["args"]["layer"])]
                assert slice["args"]["experts"] == ", ".join(str(layer[slot]) for slot in sorted(layer))
                checked += 1
    # Three products in each layer of each thread.
    assert checked == 3 * 2 * sum(len({e[1] for e in step.experts}) for step in case.steps if step.n_tokens == 1)
    prompt = next(slice for slice in products if slice["ts"] >= steps[1]["ts"])
    assert prompt["args"]["experts"].count(";") == 8 and "tokens" in prompt["args"]["experts"]


def test_curves(case, timeline):
    curves = timeline.curves
    rows = commands.table("tokens", case.trace)
    decoding = [row for row in rows if row["phase"] == "decode"]
    speeds = [value for _, value in curves["decode speed tokens/s"] if value > 0]
    assert speeds == pytest.approx([int(row["n_tokens"]) * 1e9 / int(row["duration_ns"]) for row in decoding])
    starts = {slice["name"]: slice["ts"] for slice in timeline.slices("token step")}
    for counter in ("page-faults", "task-clock"):
        points = curves[f"{counter} in token steps a second"]
        # Where a switch was not seen, a step's count is not known: then there is no point, not a 0.
        known = [row for row in rows if row[counter]]
        assert len(known) > len(rows) / 2
        assert [time for time, _ in points] == [starts[f"{row['phase']} {row['step']}"] for row in known]
        assert [value for _, value in points] == pytest.approx(
            [int(row[counter]) * 1e9 / int(row["duration_ns"]) for row in known]
        )
        # What the CPUs counted, at least from begin to end.
        assert any(name.startswith(f"{counter} CPU ") for name in curves)
    graphs = timeline.slices("graph")
    bandwidth = [value for _, value in curves["modelled bandwidth GB/s"] if value > 0]
    assert len(bandwidth) == len(graphs)
    # In no less than the operators' time, in no more than the graph's.
    for graph, value in zip(graphs, bandwidth):
        assert value >= 0.99 * int(graph["args"]["modelled bytes"]) / graph["dur"]


def test_thread_states(case, timeline, suffix):
    """In Perfetto's format the states are below their thread, in Trace Event JSON on a track of that name."""
    states, cpus = defaultdict(Counter), set()
    for slice in timeline.slices("scheduler"):
        states[slice["track_id"]][slice["name"]] += slice["dur"]
        cpus.add(slice["args"]["CPU"])
    assert any(cpu.isdigit() for cpu in cpus)
    found = [tuple(state[name] for name in ("running", "runnable", "blocked")) for state in states.values()]
    rows = commands.table("threads", case.trace, *EVERY_PHASE)
    assert len(rows) == 2
    for row in rows:
        assert tuple(int(row[f"{name}_ns"]) for name in ("running", "runnable", "blocked")) in found
    if suffix == ".pftrace":
        query = "select distinct track.name from slice join track on track.id = track_id where category = 'scheduler'"
        assert timeline.rows(query) == [{"name": "scheduler"}]
    else:
        assert f"{rows[0]['comm']}, scheduler" in {slice["thread"] for slice in timeline.slices("scheduler")}


def test_part_of_the_steps(case, suffix, tmp_path):
    whole = case.timelines[suffix]
    part = Timeline(case.trace, tmp_path / f"part{suffix}", "--tokens", "3..5")
    assert part.problems == []
    steps = part.slices("token step")
    assert [step["args"]["phase"] for step in steps] == ["decode"] * 3
    begin, end = steps[0]["ts"], steps[-1]["ts"] + steps[-1]["dur"]
    inside = lambda slice: begin <= slice["ts"] and slice["ts"] + slice["dur"] <= end  # noqa: E731
    for category in ("operator", "barrier", "graph"):
        key = lambda slice: (slice["ts"], slice["dur"], slice["tid"], slice["name"])  # noqa: E731
        expected = [key(slice) for slice in whole.slices(category) if inside(slice)]
        assert sorted(map(key, part.slices(category))) == sorted(expected)
    # Thread states are cut to the window, and fill it on the main thread.
    states = part.slices("scheduler")
    assert all(map(inside, states))
    assert max(total(states).values()) == pytest.approx(end - begin, rel=0.01)
    assert all(begin <= time <= end for points in part.curves.values() for time, _ in points)


def total(slices: list[dict]) -> Counter:
    """Time of all slices of a track."""
    times = Counter()
    for slice in slices:
        times[slice["track_id"]] += slice["dur"]
    return times


def test_compressed(case, suffix, tmp_path):
    """The trace processor reads it as it is; unpacked it is the same file."""
    packed = Timeline(case.trace, tmp_path / f"packed{suffix}.gz")
    assert gzip.decompress(packed.path.read_bytes()) == case.timelines[suffix].path.read_bytes()
    assert packed.path.stat().st_size < case.timelines[suffix].path.stat().st_size / 4
    assert len(packed.slices("token step")) == len(case.steps)


def test_format_can_be_told(case, tmp_path):
    told = Timeline(case.trace, tmp_path / "told.anything", "--format", "perfetto")
    assert told.path.read_bytes() == case.timelines[".pftrace"].path.read_bytes()
    plain = Timeline(case.trace, tmp_path / "plain.anything")
    assert plain.path.read_bytes() == case.timelines[".json"].path.read_bytes()


# The scheduler


def test_who_took_the_core(suffix, workdir):
    trace = workdir / "taken.pitrace"
    if not trace.exists():
        target = on_cpu(1, Workload("dense-q8_0", 1, tokens=200).command())
        with Competitor(1):
            commands.expect(commands.record(trace, target, "--sched", timeout=180), 0)
    timeline = Timeline(trace, trace.with_suffix(suffix))
    assert timeline.problems == []
    states = timeline.slices("scheduler")
    taken = [slice for slice in states if slice["args"].get("preempted by") == "competitor"]
    assert taken and {slice["name"] for slice in taken} == {"runnable"}
    assert {slice["args"]["CPU"] for slice in taken} == {"1"}
    # The thread that computes waits as long as the tables say.
    (main,) = [row for row in commands.table("threads", trace, *EVERY_PHASE) if row["main"] == "yes"]
    waits = total([slice for slice in states if slice["name"] == "runnable"])
    assert int(main["runnable_ns"]) in waits.values()


# Losses


@pytest.fixture(scope="module")
def lossy(workdir):
    """The recorder stands still while the target floods the smallest buffer."""
    trace = workdir / "lossy.pitrace"
    with Target(targets.program(workdir)) as target:
        target.load()
        with Recorder(trace, target.pid, "--buffer", "1") as recorder:
            target.generate(24)
            recorder.process.send_signal(signal.SIGSTOP)
            target.generate(400, 4)
            recorder.process.send_signal(signal.SIGCONT)
            time.sleep(0.3)
            target.generate(24)
            recorder.end()
    return trace


def test_lost_stretches(lossy, suffix):
    timeline = Timeline(lossy, lossy.with_suffix(suffix), statuses=(PARTIAL,))
    assert timeline.problems == []
    gaps = timeline.slices("loss")
    assert {slice["name"] for slice in gaps} == {"records lost"}
    lost = pitrace.read(lossy).lost
    assert sum(int(slice["args"]["lost records"]) for slice in gaps) == sum(lost.values()) > 100_000
    # Most of what was lost, was lost while the recorder stood still: an interval without a whole token step.
    longest = max(gaps, key=lambda slice: slice["dur"])
    begin, end = longest["ts"], longest["ts"] + longest["dur"]
    coverage = {row["step"]: float(row["coverage"] or 0) for row in csv_rows(lossy)}
    whole = [slice for slice in timeline.slices("token step") if coverage[slice["name"].split()[-1]] == 1]
    assert whole and not [slice for slice in whole if begin < slice["ts"] and slice["ts"] + slice["dur"] < end]


def csv_rows(trace) -> list[dict]:
    text = commands.expect(commands.analyze("tokens", trace, "--json"), PARTIAL).stdout
    return [{key: str(value) if value is not None else "" for key, value in row.items()} for row in json.loads(text)]


# Speculative decoding


@pytest.fixture(scope="module")
def speculative(workdir):
    """A trace, and what the server says of it."""
    trace = workdir / "perfetto-speculative.pitrace"
    draft = ["-md", str(commands.MODELS / "draft-q8_0.gguf"), "--spec-type", "draft-simple", "-ngld", "0"]
    with open(workdir / "perfetto-server.log", "wb") as log:
        server = Server("dense-q8_0", log, more=[*draft, "-td", "1"])
        try:
            recorder = subprocess.Popen(
                [commands.PI_RECORD, "-o", trace, "--pid", str(server.process.pid)],
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
            wait_for_text(recorder, trace)
            body = {"prompt": "Once upon a time", "n_predict": 32, "temperature": 0, "ignore_eos": True}
            timings = server.request("/completion", body)["timings"]
            recorder.send_signal(signal.SIGINT)
            _, said = recorder.communicate(timeout=30)
            assert recorder.returncode == 0, said
        finally:
            server.stop()
    return trace, timings


def test_speculative_rounds(speculative, suffix):
    trace, timings = speculative
    timeline = Timeline(trace, trace.with_suffix(suffix))
    assert timeline.problems == []
    rounds = timeline.slices("speculation")
    assert sum(int(slice["args"].get("drafted", 0)) for slice in rounds) == timings["draft_n"]
    assert sum(int(slice["args"].get("accepted", 0)) for slice in rounds) == timings["draft_n_accepted"]
    steps = {slice["name"]: slice for slice in timeline.slices("token step")}
    for slice in rounds:
        verify = steps[f"verify {slice['args']['verify step']}"]
        assert slice["ts"] <= verify["ts"] and verify["ts"] + verify["dur"] <= slice["ts"] + slice["dur"]
    drafts = [name for name in steps if name.startswith("draft ")]
    # The draft model also reads what was verified, outside of drafting.
    assert 0 < sum(int(slice["args"]["draft steps"]) for slice in rounds) <= len(drafts)


# Hostile names


def test_hostile_names(case, suffix, tmp_path):
    forged = tmp_path / "forged.pitrace"
    forged.write_bytes(hostile.forge(case.trace.read_bytes()))
    timeline = Timeline(forged, tmp_path / f"forged{suffix}")
    assert timeline.problems == []
    plain = case.timelines[suffix]
    for category, slices in plain.categories.items():
        key = lambda slice: (slice["ts"], slice["dur"], slice["depth"])  # noqa: E731
        assert list(map(key, timeline.slices(category))) == list(map(key, slices))
    operators = timeline.slices("operator")
    names = {slice["args"].get("node", "") for slice in operators}
    assert '"}],"x":[{"' in names and "</script><!--" in names and "ünïcödé 🙂 \u2028" in names
    assert "x" * 63 in names or "x" * 64 in names
    assert all(slice["args"]["op"].endswith('"\n\\') for slice in operators)
    (process,) = timeline.rows("select name from process where name glob 'huge*'")
    assert process["name"].startswith('huge "name"\n') and len(process["name"]) > 200_000
    assert any(name.startswith('page-faults"\n in token steps') for name in timeline.curves)
