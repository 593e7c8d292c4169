"""The report opens in a real browser: no error of a script, no request, every section, whatever the trace holds."""

import json
import os
import re
import resource
import sys
import time

import pytest

import commands
import test_damage
from commands import COMPLETE, PARTIAL, Workload
from faults import targets
from servers import Server

FOLDER = commands.ROOT / "Tests/EndToEnd/report"
SECTIONS = ["verdict", "tokens", "time", "roofline", "layers", "threads", "experts", "graph", "device", "quality"]


def report(trace, page, *statuses: int) -> str:
    commands.expect(commands.analyze("report", trace, "-o", page), *(statuses or (COMPLETE,)))
    return page.read_text(encoding="utf-8")


def look(page, *options) -> dict:
    """What a browser makes of the page."""
    result = commands.run("node", commands.ROOT / "tools/view/page.mjs", page, *options)
    return json.loads(commands.expect(result, 0).stdout)


def expect_sound(page, *options) -> dict:
    """No error, no request, all sections, and nothing wider than the window; on a screen and on a phone."""
    for size in (("--size", "390x844", "--phone", "--theme", "dark"), ("--size", "1280x900")):
        seen = look(page, *size, *options)
        assert seen["errors"] == []
        assert seen["requests"] == []
        assert seen["sections"] == SECTIONS
        assert seen["width"] <= int(size[1].split("x")[0])
    return seen


def absent(html: str) -> list[str]:
    """What the page says was not recorded."""
    return re.findall(r"<b>Not recorded.</b> (.*?)</p>", html)


def section(html: str, name: str) -> str:
    return re.search(rf'<section id="{name}".*?</section>', html, re.DOTALL)[0]


@pytest.fixture(scope="module")
def dense(workdir):
    trace = workdir / "report-dense.pitrace"
    workload = Workload("dense-q8_0", 2, tokens=24)
    options = ["--sched", "--pmc", "page-faults"]
    # Threads that spin in barriers take long where others want the CPUs.
    commands.expect(commands.record(trace, workload.command(), *options, timeout=300), 0)
    return trace


def test_numbers_are_those_of_the_tables(dense, tmp_path):
    html = report(dense, tmp_path / "dense.html")
    expect_sound(tmp_path / "dense.html")
    tokens = [row for row in commands.table("tokens", dense) if row["phase"] == "decode"]
    assert f"{len(tokens)} decode steps" in html
    # The data that the chart zooms into has each step, in tenths of microseconds.
    data = json.loads(re.search(r'id="token-data">(.*?)</script>', html, re.DOTALL)[1])
    durations = {row["step"]: int(row["duration_ns"]) // 100 for row in commands.table("tokens", dense)}
    assert {str(step): duration for step, duration in zip(data["step"], data["duration"])} == durations
    (first, *_) = commands.table("ops", dense)
    share = f"{float(first['share']) * 100:.1f} %"
    assert re.search(rf"<code>{first['op']}</code>.*?{share}", section(html, "time"))
    assert absent(section(html, "threads")) == []
    assert "page-faults" in section(html, "time")


def test_tokens_zoom_and_tables_sort(dense, tmp_path):
    page = tmp_path / "dense.html"
    report(dense, page)
    script = """(() => {
      const dots = () => document.querySelector('[data-phase="decode"] .dots').getAttribute('d').split('M').length - 1;
      const key = key => document.querySelector('#token-plot .area').dispatchEvent(
        new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }));
      // Side by side, so that each step has a column of the chart.
      const tool = name => document.querySelector(`#token-tools [data-do="${name}"]`);
      if (tool('x').textContent === 'x: time') tool('x').click();
      if (tool('y').textContent === 'y: linear') tool('y').click();
      const before = dots();
      key('+');
      key('+');
      const zoomed = dots();
      key('0');
      key('ArrowRight');
      const tip = document.querySelector('#tip');
      const table = document.querySelector('#time table.sortable');
      const means = () => [...table.tBodies[0].rows].map(row => Number(row.cells[6].dataset.key));
      table.querySelectorAll('thead button')[6].click();
      const descending = means();
      table.querySelectorAll('thead button')[6].click();
      document.querySelector('#theme').click();
      return { before, zoomed, again: dots(), tip: tip.hidden ? '' : tip.textContent, descending, ascending: means(),
        theme: document.documentElement.dataset.theme };
    })()"""
    result = expect_sound(page, "--run", script)["result"]
    assert result["before"] == result["again"] == 23
    assert 0 < result["zoomed"] < 23
    assert re.match(r"step \d+, \w+: [\d.]+ .?s", result["tip"])
    assert result["descending"] == sorted(result["descending"], reverse=True)
    assert result["ascending"] == sorted(result["ascending"])
    assert result["theme"] == "dark"


def test_it_prints_on_paper(dense, tmp_path):
    report(dense, tmp_path / "dense.html")
    look(tmp_path / "dense.html", "--print", tmp_path / "dense.pdf", "--theme", "dark")
    assert (tmp_path / "dense.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("name", "workload", "options", "missing"),
    [
        ("moe", Workload("moe-q4_0", 1, tokens=8), [], ["--sched", "--pmc"]),
        ("no structure", Workload("dense-q8_0", 1, tokens=8), ["--no-structure"], ["without --no-structure", "--sched"]),
        ("graphs", Workload("dense-q8_0", 1, tokens=8), ["--level", "graph"], ["--level op"]),
        ("tokens", Workload("dense-q8_0", 1, tokens=8), ["--level", "token"], ["--level graph or --level op"]),
    ],
)  # fmt: skip
def test_what_is_missing_is_said(name, workload, options, missing, tmp_path):
    trace, page = tmp_path / f"{name}.pitrace", tmp_path / f"{name}.html"
    commands.expect(commands.record(trace, workload.command(), *options), 0)
    html = report(trace, page)
    expect_sound(page)
    for option in missing:
        assert any(option in text for text in absent(html)), f"{option} is not among {absent(html)}"


def test_speculative_rounds(tmp_path):
    trace, page = tmp_path / "speculative.pitrace", tmp_path / "speculative.html"
    with open(tmp_path / "server.log", "wb") as log:
        draft = ["-md", str(commands.MODELS / "draft-q8_0.gguf"), "--spec-type", "draft-simple", "-ngld", "0"]
        server = Server("dense-q8_0", log, more=[*draft, "-td", "1"])
        try:
            with targets.Recorder(trace, server.process.pid, wait=False) as recorder:
                targets.wait_for(recorder.is_recording, "the probes")
                server.complete(32)
                recorder.end()
        finally:
            server.stop()
    html = report(trace, page)
    expect_sound(page)
    assert "Speculative decoding" in section(html, "time")
    data = json.loads(re.search(r'id="token-data">(.*?)</script>', html, re.DOTALL)[1])
    assert {"draft", "verify"} <= set(data["phases"])


def test_hostile_names_without_a_token_step(tmp_path):
    """Names of tensors, threads and arguments are text and nothing else."""
    trace, page = tmp_path / "named.pitrace", tmp_path / "named.html"
    names = ["<script>document.title='bad'</script>-0", "\"'><img src=x onerror=alert(1)>-0", "a\nb\u202e-1"]
    package = targets.PACKAGE
    command = [
        sys.executable, FOLDER / "named.py", package / "lib/libggml-base.so.0", package / "bin/libggml-cpu.so",
        "5", *names, "<script>document.title='bad'<b>.gguf",
    ]  # fmt: skip
    commands.expect(commands.record(trace, command), 0)
    html = report(trace, page)
    seen = expect_sound(page, "--run", "document.querySelectorAll('img, section script').length")
    assert seen["result"] == 0
    assert "bad" in seen["title"] and seen["title"].endswith("prof-analyze report")
    assert "&lt;script&gt;document.title=" in section(html, "time")
    assert any("no token step" in text for text in absent(html))


def test_losses_and_a_cut(dense, tmp_path):
    """A chunk from the middle is gone, and everything behind another."""
    whole = dense.read_bytes()
    offsets = test_damage.chunk_offsets(whole)
    middle = len(offsets) // 2
    trace, page = tmp_path / "holed.pitrace", tmp_path / "holed.html"
    shown = 0
    # Which chunk has which records depends on how fast the machine was; where a step is left, each that had some shows.
    for first, next in zip(offsets, offsets[1:]):
        trace.write_bytes(whole[:first] + whole[next:])
        tokens = commands.analyze("tokens", trace, "--csv")
        lost = re.search(r"(\d+) records? lost", tokens.stderr)
        if not lost or len(tokens.stdout.splitlines()) < 2:
            continue
        html = report(trace, page, PARTIAL)
        expect_sound(page)
        assert f"{lost[1]} record" in section(html, "quality").replace("\u202f", "")
        assert 'class="lost"' in section(html, "tokens")
        shown += 1
    assert shown
    trace.write_bytes(whole[: offsets[middle] + 40])
    html = report(trace, page, PARTIAL)
    expect_sound(page)
    assert "cut short" in section(html, "quality")


def test_a_hundred_thousand_tokens(tmp_path):
    target = tmp_path / "long_run"
    engine = commands.ROOT / "benchmarks/native"
    sources = [FOLDER / "long_run.c", engine / "synthetic-engine.c"]
    commands.expect(commands.run("cc", "-O1", "-I", engine, "-o", target, *sources), 0)
    trace, page = tmp_path / "long.pitrace", tmp_path / "long.html"
    commands.expect(commands.record(trace, [target, "100000", "8"], timeout=300), 0)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    html = report(trace, page)
    seconds = time.monotonic() - start
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        f"{os.path.getsize(page)} bytes, {seconds:.2f} s, {used.ru_utime - before.ru_utime:.2f} s of CPU, "
        f"{used.ru_maxrss} KiB at most"
    )
    assert os.path.getsize(page) < 5_000_000
    assert seconds < 30
    assert "of 100\u202f000" in html
    expect_sound(page)
    # The slowest step of all is a point of the chart, and so is the fastest.
    data = json.loads(re.search(r'id="token-data">(.*?)</script>', html, re.DOTALL)[1])
    durations = [int(row["duration_ns"]) // 100 for row in commands.table("tokens", trace)]
    assert len(durations) == 100_000
    assert max(data["duration"]) == max(durations)
    assert min(data["duration"]) == min(durations)
