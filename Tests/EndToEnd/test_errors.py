"""What goes wrong on people's machines: exit status and message of pi-record."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import pytest

import commands
from commands import NOT_EXECUTABLE, NOT_FOUND, RECORDER_FAILED, USAGE, Workload
from faults import pitrace

WORKLOAD = Workload("dense-q8_0", 1, tokens=8)


def record(tmp_path, *command, options=()):
    return commands.record(tmp_path / "x.pitrace", command, *options)


def in_mount_namespace(script: str, *arguments):
    """Runs a shell script where it may mount what it likes without anybody noticing."""
    return commands.run("unshare", "--mount", "--propagation", "private", "sh", "-ec", script, "sh", *arguments)


def test_command_not_found(tmp_path):
    result = commands.expect(record(tmp_path, "/no/such/program"), NOT_FOUND)
    assert "/no/such/program" in result.stderr
    commands.expect(record(tmp_path, "no-such-program-in-path"), NOT_FOUND)


def test_command_not_executable(tmp_path):
    plain = tmp_path / "plain-file"
    plain.write_text("#!/bin/sh\n")
    result = commands.expect(record(tmp_path, plain), NOT_EXECUTABLE)
    assert str(plain) in result.stderr


def test_own_exit_status(tmp_path):
    commands.expect(record(tmp_path, "sh", "-c", "exit 7"), 7)


def test_died_of_a_signal(tmp_path):
    commands.expect(record(tmp_path, "sh", "-c", "kill -TERM $$"), 128 + signal.SIGTERM)


def test_not_llama(tmp_path):
    result = commands.expect(record(tmp_path, "true"), commands.RECORDER_FAILED)
    assert "no llama.cpp found" in result.stderr


def test_target_is_killed(tmp_path):
    """A real target that dies of SIGKILL in the middle: its status, and a whole trace of what there was."""
    trace = tmp_path / "killed.pitrace"
    target = Workload("dense-q8_0", 1, tokens=900).command()
    # The shell tells its own pid, and becomes the target.
    told = tmp_path / "pid"
    script = f'echo $$ > "{told}"; exec "$@"'
    with subprocess.Popen(
        [commands.PI_RECORD, "-o", trace, "--", "sh", "-c", script, "sh", *target],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    ) as recorder:  # fmt: skip
        wait_for(lambda: trace.exists() and told.exists() and told.read_text().strip())
        # Until it generates: some steps are in the trace.
        wait_for(lambda: pitrace.read(trace).count(pitrace.TOKEN_END) > 2)
        os.kill(int(told.read_text()), signal.SIGKILL)
        _, said = recorder.communicate(timeout=30)
    assert recorder.returncode == 128 + signal.SIGKILL, said
    # Its last step has no end, which is no loss; the trace itself is complete.
    commands.expect(commands.analyze("summary", trace), commands.COMPLETE)
    assert len(commands.table("tokens", trace)) > 2


def wait_for(condition, seconds: float = 30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def test_tokens_limit(tmp_path):
    """Recording stops after N token steps; the target goes on to its own end."""
    trace = tmp_path / "limit.pitrace"
    result = commands.record(trace, Workload("dense-q8_0", 1, tokens=64).command(), "--tokens", "10")
    commands.expect(result, 0)
    assert '"generated_tokens": 64' in result.stdout
    assert 10 <= len(commands.table("tokens", trace)) <= 40


@pytest.mark.parametrize("level", ["token", "graph"])
def test_shallow_levels(tmp_path, level):
    trace = tmp_path / "level.pitrace"
    commands.expect(commands.record(trace, WORKLOAD.command(), "--level", level), 0)
    rows = commands.table("tokens", trace)
    assert [row["phase"] for row in rows][-8:] == ["prefill"] + ["decode"] * 7
    # Not recorded is an empty field, never 0.
    assert {row["coverage"] for row in rows} == {""}


def test_standard_output(tmp_path):
    """-o -: the trace can be piped; what the target prints must not get into it."""
    trace = tmp_path / "piped.pitrace"
    with open(trace, "wb") as file:
        result = subprocess.run(
            [commands.PI_RECORD, "-o", "-", "--", *WORKLOAD.command()],
            stdout=file, stderr=subprocess.PIPE, timeout=120,
        )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert len(commands.table("tokens", trace)) == 9


@pytest.mark.parametrize("arguments", [[], ["--"], ["--no-such-option", "--", "true"], ["--level", "x", "--", "true"]])
def test_usage(arguments):
    assert commands.expect(commands.run(commands.PI_RECORD, *arguments), USAGE).stderr.strip()


def test_not_root():
    folder = tempfile.mkdtemp(prefix="pi-record-")  # tmp_path is closed to others
    try:
        os.chmod(folder, 0o755)
        recorder = shutil.copy(commands.PI_RECORD, folder)
        unprivileged = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps=-all"]
        result = commands.run(*unprivileged, recorder, "-o", "/tmp/never-written.pitrace", "--", "true")
        commands.expect(result, RECORDER_FAILED)
        assert "root" in result.stderr
    finally:
        shutil.rmtree(folder)


def test_read_only_output_folder(tmp_path):
    script = 'mount -t tmpfs -o ro none "$1"; recorder=$2 folder=$1; shift 2; exec "$recorder" -o "$folder/x" -- "$@"'
    result = in_mount_namespace(script, tmp_path, commands.PI_RECORD, "true")
    commands.expect(result, RECORDER_FAILED)
    assert f"{tmp_path}/x" in result.stderr and "ead-only" in result.stderr


def test_no_such_output_folder(tmp_path):
    missing = tmp_path / "missing" / "x.pitrace"
    result = commands.expect(commands.record(missing, ["true"]), RECORDER_FAILED)
    assert str(missing) in result.stderr


def test_disk_full(tmp_path):
    """The target goes on to its end; the recorder says what happened; what was written can be read."""
    disk, kept = tmp_path / "disk", tmp_path / "kept.pitrace"
    disk.mkdir()
    script = """
        disk=$1 kept=$2 recorder=$3; shift 3
        mount -t tmpfs -o size=64k none "$disk"
        status=0; "$recorder" -o "$disk/x.pitrace" -- "$@" || status=$?
        cp "$disk/x.pitrace" "$kept"
        exit $status"""
    target = Workload("moe-q4_0", 2, tokens=400).command()
    result = in_mount_namespace(script, disk, kept, commands.PI_RECORD, *target)
    commands.expect(result, RECORDER_FAILED)
    assert "No space left" in result.stderr
    assert '"generated_tokens": 400' in result.stdout, "the target did not come to its end"
    commands.expect(commands.analyze("summary", kept), commands.PARTIAL)


def test_no_btf(tmp_path):
    """The kernel's own type information is not needed."""
    trace = tmp_path / "no-btf.pitrace"
    script = 'mount -t tmpfs -o ro none /sys/kernel/btf; recorder=$1 trace=$2; shift 2; exec "$recorder" -o "$trace" -- "$@"'
    commands.expect(in_mount_namespace(script, commands.PI_RECORD, trace, *WORKLOAD.command()), 0)
    assert len(commands.table("tokens", trace)) == 9


def test_environment_is_passed_on(tmp_path):
    script = "import os, sys; sys.exit(42 if os.environ.get('MARK') == 'x y' else 1)"
    result = commands.record(tmp_path / "x", [sys.executable, "-c", script], env=os.environ | {"MARK": "x y"})
    commands.expect(result, 42)
