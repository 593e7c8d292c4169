"""A command is stopped for a moment each time it has mapped code: nobody may stay stopped."""

import os
import pathlib
import shutil
import signal
import subprocess
import time

import pytest

import commands

SOURCE = pathlib.Path(__file__).parent / "faults/halts.c"
# The command is no llama.cpp: its own status 7 says that it came to its end, and the recorder found nothing to say.
CAME_TO_ITS_END = 7


@pytest.fixture(scope="module")
def halts(tmp_path_factory) -> pathlib.Path:
    beside = pathlib.Path(shutil.which("swiftc")).resolve().with_name("clang")
    compiler = beside if beside.exists() else shutil.which("cc")
    output = tmp_path_factory.mktemp("halts") / "halts"
    command = [compiler, "-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread", "-o", output, SOURCE]
    commands.expect(commands.run(*command), 0)
    return output


def test_threads_that_map_at_once(halts, tmp_path):
    """Each of eight threads may halt its process in the middle of the recorder's continuing it."""
    result = commands.record(tmp_path / "x", [halts, "maps", 8, 2000], timeout=90)
    commands.expect(result, CAME_TO_ITS_END)


def test_many_children_at_once(halts, tmp_path):
    """More than a thousand processes halt at the same moment."""
    result = commands.record(tmp_path / "x", [halts, "burst", 1500], timeout=120)
    commands.expect(result, CAME_TO_ITS_END)


def test_quit_from_the_terminal_while_halting(halts, tmp_path):
    """SIGQUIT reaches the recorder, its watchdog and the command; the command must not be left stopped."""
    recorder = subprocess.Popen(
        [commands.PI_RECORD, "-q", "-o", tmp_path / "x", "--", halts, "maps", "1", "100000"],
        start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    time.sleep(1)
    os.killpg(recorder.pid, signal.SIGQUIT)
    recorder.wait(timeout=20)
    for _ in range(100):
        states = subprocess.run(
            ["ps", "-o", "state=,comm=", "-g", str(recorder.pid)], capture_output=True, text=True
        ).stdout.split("\n")
        left = [line.split()[0] for line in states if line.endswith("halts")]
        if not left or left == ["Z"]:
            return
        time.sleep(0.05)
    raise AssertionError(f"the command is left in state {left}")


def test_without_halting(tmp_path):
    """--no-halt: a shell with job control sees none of its children stop."""
    script = "set -m; /bin/true; exit $?"
    halting = commands.record(tmp_path / "x", ["bash", "-c", script], "--no-halt")
    # 125: no llama.cpp in it; what counts is that /bin/true did not look stopped.
    assert "no llama.cpp found" in commands.expect(halting, commands.RECORDER_FAILED).stderr


def test_failed_start_keeps_the_earlier_trace(tmp_path):
    trace = tmp_path / "earlier.pitrace"
    trace.write_bytes(b"earlier")
    commands.expect(commands.record(trace, ["no-such-program-in-path"]), commands.NOT_FOUND)
    commands.expect(commands.record(trace, ["true"], "--pmc", ",".join(["page-faults"] * 9)), commands.USAGE)
    assert trace.read_bytes() == b"earlier"
    assert [path.name for path in tmp_path.iterdir()] == [trace.name]
