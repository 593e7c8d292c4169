"""Faults: whatever goes wrong in the recording, the target is unharmed, no probe is left behind, and the trace
says what is missing."""

import csv
import os
import pathlib
import re
import shutil
import signal
import stat
import struct
import subprocess
import sys
import time

import pytest

import commands
from commands import COMPLETE, PARTIAL, RECORDER_FAILED, UNREADABLE
from faults import pitrace, targets
from faults.targets import BACKEND, ENGINE, MODEL, Recorder, Target, wait_for


@pytest.fixture(scope="module")
def binary(workdir):
    return targets.program(workdir)


@pytest.fixture(scope="module")
def text(binary) -> list[int]:
    """What the target says when nobody looks; fewer tokens are a prefix of it."""
    with Target(binary) as target:
        return target.load().generate(480)


@pytest.fixture
def target(binary):
    with Target(binary) as target:
        yield target.load()
        # Whatever the test did, it left the target as it was.
        if target.process.poll() is None:
            targets.expect_no_trace_of_recorder(target.pid)


@pytest.fixture
def trace(tmp_path):
    return tmp_path / "x.pitrace"


def recorded(trace, binary, *before, options=(), **keywords) -> Target:
    """The target started by pi-record."""
    return Target(binary, commands.PI_RECORD, "-o", trace, *options, "--", *before, **keywords)


def expect_unharmed(target: Target, text: list[int], tokens: int = 24):
    """The target that the recorder left still computes, and the same."""
    assert target.generate(tokens) == text[:tokens]
    targets.expect_no_trace_of_recorder(target.pid)


def expect_steps(trace, *generated: int, phases=("prefill", "decode")) -> list[dict]:
    """A trace without losses that holds the token steps of so many tokens, each whole and with all operators."""
    rows = commands.table("tokens", trace)
    found = pitrace.read(trace)
    assert found.is_ended and not found.rest
    prefill, decode = phases
    expected = [phase for tokens in generated for phase in [prefill] + [decode] * (tokens - 1)]
    assert [row["phase"] for row in rows] == expected
    assert {row["coverage"] for row in rows} == {"1.000000"}
    assert len({(row["n_graphs"], row["n_ops"]) for row in rows if row["phase"] == decode}) <= 1
    return rows


def in_mount_namespace(script: str, *arguments) -> list:
    """A command that runs a shell script where it may mount what it likes without anybody noticing."""
    return ["unshare", "--mount", "--propagation", "private", "sh", "-ec", script, "sh", *arguments]


# Losses


def torn_steps(found: pitrace.Trace) -> int:
    """Steps of one thread that begin and do not end. One, or none where the gap begins between two steps."""
    marks = [record.type for record in sorted(found.records, key=lambda record: record.time_ns)]
    assert len({record.tid for record in found.records}) == 1
    followers = zip(marks, marks[1:] + [None])
    return sum(mark == pitrace.TOKEN_BEGIN and follower != pitrace.TOKEN_END for mark, follower in followers)


def test_overrun(target, text, trace):
    """The recorder stands still while the target floods the smallest buffer: each lost event is counted."""
    with Recorder(trace, target.pid, "--buffer", "1") as recorder:
        assert target.generate(24) == text[:24]
        recorder.process.send_signal(signal.SIGSTOP)
        # More than 100,000 operators, 24 bytes each and more, while nobody empties 1 MiB.
        assert target.generate(400, 4) == text[:400]
        recorder.process.send_signal(signal.SIGCONT)
        time.sleep(0.3)
        assert target.generate(24) == text[:24]
        said = recorder.end()
    found = pitrace.read(trace, frozenset({pitrace.TOKEN_BEGIN, pitrace.TOKEN_END}))
    assert found.is_ended
    assert sum(found.lost.values()) > 100_000
    for cpu, lost in found.lost.items():
        assert found.missing(cpu) == lost, f"CPU {cpu}: numbers are missing that nobody counted"
    assert f"{sum(found.lost.values())} lost" in said
    info = commands.expect(commands.analyze("info", trace), PARTIAL).stdout
    for cpu, lost in found.lost.items():
        row = [f"{cpu}", f"{len(found.numbers[cpu])}", f"{lost}", f"{lost}", "0", "0"]
        assert row in [line.split() for line in info.splitlines()]
    shown = commands.expect(commands.analyze("tokens", trace, "--csv"), PARTIAL)
    assert str(sum(found.lost.values())) in shown.stderr.replace(",", "")
    rows = list(csv.DictReader(shown.stdout.splitlines()))
    whole = [row["coverage"] == "1.000000" and row["complete"] == "yes" for row in rows]
    # Whole before and behind the gap, torn or absent within. Of a step that is torn in its last microseconds
    # all operators are there, but not its end; of one torn before its graph nobody knows how many there were.
    assert all(whole[:24]) and all(whole[-24:])
    assert whole.count(False) == torn_steps(found)
    assert all(0 <= float(row["coverage"]) <= 1 for row in rows if row["coverage"])
    assert len(rows) < 24 + 1600 + 24
    expect_unharmed(target, text)


# Ends that nobody planned


@pytest.mark.parametrize("start", ["pid", "command"])
def test_target_killed_in_a_token(binary, tmp_path, start):
    """SIGKILL while it computes; now and then that falls between two tokens, so it is tried again."""
    for attempt in range(5):
        trace = tmp_path / f"{attempt}.pitrace"
        with (Target(binary) if start == "pid" else recorded(trace, binary)) as target:
            target.load()
            pid = target.pid
            recorder = Recorder(trace, pid) if start == "pid" else None
            target.send("generate 400 100")
            time.sleep(0.3 + attempt * 0.0037)
            os.kill(pid, signal.SIGKILL)
            if recorder:
                target.process.wait()
                recorder.wait(0)
            else:
                assert target.process.wait(30) == 128 + signal.SIGKILL
        found = pitrace.read(trace)
        assert found.is_ended and not any(found.lost.values())
        assert targets.holders(pid) == []
        if found.count(pitrace.TOKEN_BEGIN) == found.count(pitrace.TOKEN_END) + 1:
            break
    else:
        raise AssertionError("never killed in a token")
    rows = commands.table("tokens", trace)
    assert len(rows) == found.count(pitrace.TOKEN_BEGIN) > 20
    assert [row["complete"] for row in rows[-2:]] == ["yes", "no"]


def test_command_gone_before_its_records_are_read(binary, text, trace):
    """All that it did in the recorder's absence is there, and whose thread it was."""
    with recorded(trace, binary) as target:
        pid = target.load().pid
        wait_for(lambda: targets.changed_code(pid), "probes")
        target.process.send_signal(signal.SIGSTOP)
        assert target.generate(24) == text[:24]
        target.send("exit 7")
        wait_for(lambda: targets.state(pid) == "Z", "the target's end")
        target.process.send_signal(signal.SIGCONT)
        assert target.process.wait(30) == 7
    expect_steps(trace, 24)
    found = pitrace.read(trace, frozenset({pitrace.THREAD}))
    assert [(record.tid, named(record)) for record in found.records] == [(pid, binary.name[:15])]


def named(thread: pitrace.Record) -> str:
    """16 bytes that end with a zero, behind the process and a reserved word."""
    return struct.pack("<4I", *thread.words[2:6]).split(b"\0")[0].decode()


@pytest.mark.parametrize("start", ["pid", "command"])
def test_recorder_killed(binary, text, trace, start):
    """The target goes on to its own end; the trace can be read up to its last whole chunk."""
    with (Target(binary) if start == "pid" else recorded(trace, binary)) as target:
        target.load()
        pid = target.pid
        recorder = Recorder(trace, pid).process if start == "pid" else target.process
        target.send("generate 400 5")
        time.sleep(1.1)
        assert targets.changed_code(pid)
        recorder.kill()
        recorder.communicate() if start == "pid" else recorder.wait()
        assert numbers_of(target) == text[:400]
        expect_unharmed(target, text)
        if start == "pid":
            assert target.end(7) == 7
        else:
            target.send("exit 7")
            wait_for(lambda: not targets.state(pid), "the end of the target")
    found = pitrace.read(trace)
    assert not found.is_ended and found.count(pitrace.TOKEN_END) > 100
    for name in ("summary", "tokens", "info"):
        assert "cut short" in commands.expect(commands.analyze(name, trace), PARTIAL).stderr


def numbers_of(target: Target) -> list[int]:
    return targets.numbers(target.answer(60))


@pytest.mark.parametrize(
    "before",
    [
        pytest.param([], id="command"),
        pytest.param(
            ["sh", "-c", '"$0"; exit $?'], id="child-of-a-shell",
        ),
        pytest.param(
            ["setpriv", "--reuid", "65534", "--clear-groups"], id="other-user",
        ),
    ],
)
def test_recorder_killed_while_the_command_is_halted(binary, text, trace, before):
    """A command is stopped while probes go in; if its recorder dies just then, it goes on."""
    with reachable_by_all(binary) as public, recorded(trace, public, *before) as target:
        pid = target.pid
        target.process.send_signal(signal.SIGSTOP)
        # Halts when it has mapped the engine: nobody is there to let it go on.
        target.send(f"engine {ENGINE}")
        wait_for(lambda: targets.state(pid) == "T", "the halt")
        target.process.kill()
        target.process.wait()
        try:
            wait_for(lambda: targets.state(pid) != "T", "the target to go on", 1.5)
        finally:
            if targets.state(pid) == "T":
                os.kill(pid, signal.SIGKILL)
        target.answer()
        target.ask(f"backend {BACKEND}")
        target.ask(f"model {MODEL}")
        expect_unharmed(target, text)


class reachable_by_all:
    """A copy of a file where every user can get at it; pytest's folders are closed."""

    def __init__(self, file):
        self.file = file

    def __enter__(self):
        self.folder = pathlib.Path(f"/tmp/pi-record-test-{os.getpid()}")
        self.folder.mkdir(mode=0o755)
        return shutil.copy(self.file, self.folder)

    def __exit__(self, *_):
        shutil.rmtree(self.folder)


def test_disk_full_while_attached(target, text, tmp_path):
    """The target goes on; the recorder takes its probes out at once and says why."""
    disk, kept = tmp_path / "disk", tmp_path / "kept.pitrace"
    disk.mkdir()
    script = """
        mount -t tmpfs -o size=64k none "$1"
        status=0; "$3" -o "$1/x.pitrace" --pid "$4" || status=$?
        cp "$1/x.pitrace" "$2"
        exit $status"""
    command = in_mount_namespace(script, disk, kept, commands.PI_RECORD, target.pid)
    recorder = subprocess.Popen([str(word) for word in command], stderr=subprocess.PIPE, text=True)
    wait_for(lambda: targets.holders(target.pid), "the probes")
    assert target.generate(400, 4) == text[:400]
    _, said = recorder.communicate(timeout=10)
    assert recorder.returncode == RECORDER_FAILED, said
    assert "No space left" in said and f"{disk}/x.pitrace" in said
    commands.expect(commands.analyze("summary", kept), PARTIAL)
    assert pitrace.read(kept).rest == 0, "half a chunk was left behind"
    expect_unharmed(target, text)


# Processes that come and go


PYTHON_PARENT = "import subprocess, sys; sys.exit(subprocess.Popen(sys.argv[1:]).wait())"
PYTHON_FORK = """
import os, sys
child = os.fork() or os.execv(sys.argv[1], sys.argv[1:])
sys.exit(os.waitpid(child, 0)[1] >> 8)
"""


@pytest.mark.parametrize(
    "before",
    [
        pytest.param(["env", "A=b"], id="env"),
        pytest.param(["sh", "-c", 'true; "$0"; status=$?; true; exit $status'], id="shell-child"),
        # A shell gives its background children /dev/null to read, unless told otherwise.
        pytest.param(["sh", "-c", 'exec 3<&0; (true; "$0" <&3) & wait $!'], id="background-child"),
        pytest.param([sys.executable, "-c", PYTHON_PARENT], id="python-popen"),
        pytest.param([sys.executable, "-c", PYTHON_FORK], id="python-fork-exec"),
    ],
)
def test_engine_in_a_child(binary, text, trace, before):
    """From the first token on, wherever in the family the engine is loaded."""
    with recorded(trace, binary, *before, stderr=subprocess.PIPE) as target:
        assert target.load().generate(24) == text[:24]
        assert target.pid != target.process.pid
        assert "T" not in target.states().values()
        assert target.end(7) == 7
    expect_steps(trace, 24)


def test_fork_after_the_model_is_loaded(binary, text, trace):
    """Parent and child both compute from the fork on; both are recorded."""
    with recorded(trace, binary) as target:
        target.load()
        child = targets.numbers(target.ask("fork 400"))
        assert child == numbers_of(target) == text[:400]
        pid = target.pid
        assert target.end() == 0
    found = pitrace.read(trace)
    assert found.count(pitrace.TOKEN_END, pid) == 401
    # The child's probes come some milliseconds after it: what may be missing is said.
    assert found.count(pitrace.TOKEN_END) > 600
    assert "may be missing" in commands.expect(commands.analyze("info", trace), commands.COMPLETE).stdout
    # The prompts with which they part are of different length. That the child's graph has the number and the
    # address of the parent's must not make it the parent's.
    prompts = [row["n_tokens"] for row in commands.table("tokens", trace) if row["phase"] == "prefill"][-2:]
    nodes = commands.table("nodes", trace, "--phase", "prefill")
    embedded = {row["ne1"]: row["count"] for row in nodes if row["name"] == "embd"}
    assert len(set(prompts)) == 2 and all(embedded.get(prompt) == "1" for prompt in prompts), embedded


@pytest.mark.parametrize("start", ["pid", "command"])
def test_exec_of_itself(binary, text, trace, start):
    """The same program in the same process, from the start: a server that restarts."""
    with (Target(binary) if start == "pid" else recorded(trace, binary)) as target:
        target.load()
        recorder = Recorder(trace, target.pid) if start == "pid" else None
        assert target.generate(24) == text[:24]
        target.ask(f"exec {binary}")
        assert target.load().generate(24) == text[:24]
        if recorder:
            recorder.end()
            expect_unharmed(target, text)
        assert target.end(7) == 7
    expect_steps(trace, 24, 24)


def test_engine_after_a_thousand_children(binary, text, trace):
    """What a script does before it comes to the point must not use up the room for its processes."""
    script = 'exec 3<&0; i=0; while [ $i -lt 1100 ]; do (:); i=$((i + 1)); done; "$0" <&3; exit $?'
    with recorded(trace, binary, "sh", "-c", script) as target:
        assert target.load().generate(24) == text[:24]
        assert target.end(7) == 7
    expect_steps(trace, 24)


def test_fork_after_more_children_than_there_is_room_for(binary, text, trace):
    """8192 processes can be followed at a time: those that have ended must have left their places."""
    with recorded(trace, binary, stderr=subprocess.PIPE) as target:
        target.ask("children 9000")
        target.load()
        child = targets.numbers(target.ask("fork 400"))
        assert child == numbers_of(target) == text[:400]
        pid = target.pid
        assert target.end() == 0
        assert b"no room" not in target.process.stderr.read()
    found = pitrace.read(trace)
    assert found.count(pitrace.TOKEN_END, pid) == 401
    assert found.count(pitrace.TOKEN_END) > 600, "the child was not followed"


def test_engine_while_another_thread_maps_code(binary, text, trace):
    """A halt of one thread that comes while the process is being continued for another must not be forgotten: the
    engine would run without probes until the next look."""
    for _ in range(3):
        with recorded(trace, binary) as target:
            target.ask("map")
            assert target.load().generate(24) == text[:24]
            assert target.end(7) == 7
        expect_steps(trace, 24)


def test_child_dies_while_probes_go_in(binary, tmp_path):
    """The command goes on without it, and so does the recording."""
    for attempt in range(8):
        trace = tmp_path / f"{attempt}.pitrace"
        with recorded(trace, binary, "sh", "-c", '"$0"; read line; exit 7', stderr=subprocess.PIPE) as target:
            pid = target.pid
            target.send(f"engine {ENGINE}")
            end = time.monotonic() + 5
            while targets.state(pid) != "T" and time.monotonic() < end:
                pass
            os.kill(pid, signal.SIGKILL)
            target.send("on")
            assert target.process.wait(10) == 7, target.process.stderr.read().decode()
            assert pitrace.read(trace).is_ended


def test_backend_loaded_after_the_attach(binary, text, trace):
    with Target(binary) as target:
        target.ask(f"engine {ENGINE}")
        with Recorder(trace, target.pid) as recorder:
            target.ask(f"backend {BACKEND}")
            # Nothing of an attached process is ever stopped, so its first steps could come before the probes.
            wait_for(lambda: any("libggml-cpu" in place for place in targets.changed_code(target.pid)), "its probes")
            target.ask(f"model {MODEL}")
            assert target.generate(24) == text[:24]
            recorder.end()
        expect_unharmed(target, text)
    expect_steps(trace, 24)


def test_nothing_to_record_yet(binary, text, trace):
    """Attached before the engine is there: refused with a reason, and no file is left."""
    with Target(binary) as target:
        recorder = Recorder(trace, target.pid, wait=False)
        said = recorder.wait(RECORDER_FAILED)
        assert "no llama.cpp found" in said and str(target.pid) in said
        assert not trace.exists()
        expect_unharmed(target.load(), text)


# More than one recorder


def test_two_recorders(target, text, tmp_path):
    """Both see everything; the one that leaves first takes nothing from the other."""
    first, second = tmp_path / "first.pitrace", tmp_path / "second.pitrace"
    with Recorder(first, target.pid) as a, Recorder(second, target.pid) as b:
        assert target.generate(24) == text[:24]
        a.end()
        assert target.generate(24) == text[:24]
        b.end()
    rows = expect_steps(first, 24)
    more = expect_steps(second, 24, 24)
    counts = [[(row["n_tokens"], row["n_graphs"], row["n_ops"]) for row in table] for table in (rows, more)]
    assert counts[0] == counts[1][:24] == counts[1][24:]
    expect_unharmed(target, text)


def test_attach_to_a_recorded_command(binary, text, tmp_path):
    first, second = tmp_path / "first.pitrace", tmp_path / "second.pitrace"
    with recorded(first, binary) as target:
        target.load()
        with Recorder(second, target.pid) as recorder:
            assert target.generate(24) == text[:24]
            recorder.end()
        assert target.generate(24) == text[:24]
        assert target.end(7) == 7
    expect_steps(second, 24)
    expect_steps(first, 24, 24)


def test_recorder_in_a_recorded_command(binary, text, tmp_path):
    """pi-record -- pi-record -- target: both halt the target, and both let it go on."""
    inner, outer = tmp_path / "inner.pitrace", tmp_path / "outer.pitrace"
    with recorded(outer, binary, commands.PI_RECORD, "-o", inner, "--") as target:
        target.load()
        # Neither waits for the other: who is first lets it go on.
        for trace in (inner, outer):
            wait_for(lambda: probed(trace, "op_begin") and probed(trace, "backend_graph"), "the probes of both")
        assert target.generate(24) == text[:24]
        assert target.end(7) == 7
    expect_steps(inner, 24)
    expect_steps(outer, 24)


def probed(trace, role: str) -> bool:
    sites = [site for entry in pitrace.read(trace).metadata for site in entry.get("sites", [])]
    return role in [site["role"] for site in sites]


# Files that are not where they seem to be


def test_mount_namespace(binary, text, trace, tmp_path):
    """The library's path exists only inside."""
    inside = tmp_path / "inside"
    inside.mkdir()
    script = 'mount --bind "$1" "$2"; exec "$3"'
    command = in_mount_namespace(script, targets.PACKAGE, inside)
    with Target(binary, *command) as target:
        target.load(inside / "lib/libllama.so.0", inside / "bin/libggml-cpu.so")
        assert not (inside / "lib").exists()
        with Recorder(trace, target.pid) as recorder:
            assert target.generate(24) == text[:24]
            recorder.end()
        expect_unharmed(target, text)
        assert target.end(7) == 7
    expect_steps(trace, 24)
    assert str(inside) in commands.analyze("info", trace).stdout


@pytest.mark.parametrize("start", ["pid", "command"])
def test_chroot(binary, text, trace, tmp_path, start):
    """The target's folders have short names that do not exist outside."""
    script = """
        mount -t tmpfs none "$1"
        mkdir "$1/package" "$1/models"
        mount --bind "$2" "$1/package"
        mount --bind "$3" "$1/models"
        for folder in /usr /lib /lib64; do
          [ ! -e "$folder" ] || { mkdir "$1$folder"; mount --rbind "$folder" "$1$folder"; }
        done
        cp "$4" "$1/target"
        exec chroot "$1" /target"""
    root = tmp_path / "root"
    root.mkdir()
    command = in_mount_namespace(script, root, targets.PACKAGE, commands.MODELS, binary)
    with (Target(*last_first(command)) if start == "pid" else recorded(trace, *last_first(command))) as target:
        target.load("/package/lib/libllama.so.0", "/package/bin/libggml-cpu.so", f"/models/{MODEL.name}")
        assert os.readlink(f"/proc/{target.pid}/root") != "/"
        recorder = Recorder(trace, target.pid) if start == "pid" else None
        assert target.generate(24) == text[:24]
        if recorder:
            recorder.end()
            expect_unharmed(target, text)
        assert target.end(7) == 7
    expect_steps(trace, 24)


def last_first(command: list) -> list:
    """As Target takes a command that does not end in the target itself."""
    return [command[-1], *command[:-1]]


@pytest.fixture
def package(tmp_path):
    """A copy of the libraries that a test can do what it likes with."""
    return shutil.copytree(targets.PACKAGE, tmp_path / "package", symlinks=True)


def build_id(file) -> str:
    shown = commands.run(commands.PI_RECORD, "doctor", file).stdout
    return next(line.split()[-1] for line in shown.splitlines() if "build id" in line)


def test_replaced_on_disk(binary, text, trace, package):
    """An upgrade while the process runs: what it has mapped is recorded, not what lies at the path now."""
    with Target(binary) as target:
        target.load(package / "lib/libllama.so.0", package / "bin/libggml-cpu.so")
        for name in ("lib/libllama.so.0", "bin/libggml-cpu.so"):
            # Shifted by a page, so that sites of the new file do not fit the old.
            new = package / "new"
            new.write_bytes(bytes(4096) + (package / name).read_bytes())
            new.rename(package / name)
        with Recorder(trace, target.pid) as recorder:
            assert target.generate(24) == text[:24]
            recorder.end()
        expect_unharmed(target, text)
        assert target.end(7) == 7
    expect_steps(trace, 24)
    assert build_id(BACKEND) in commands.analyze("info", trace).stdout


def test_replaced_by_a_mount(binary, text, trace, package):
    """The same path leads to another file in the target's namespace, and to yet another outside."""
    inside = package / "bin/libggml-cpu.so"
    other = package / "lib/libggml-base.so.0"
    script = 'mount --bind "$1" "$2"; exec "$3"'
    with Target(binary, *in_mount_namespace(script, BACKEND, inside)) as target:
        inside.write_bytes(other.read_bytes())
        target.load(package / "lib/libllama.so.0", inside)
        with Recorder(trace, target.pid) as recorder:
            assert target.generate(24) == text[:24]
            recorder.end()
        expect_unharmed(target, text)
    expect_steps(trace, 24)
    assert build_id(BACKEND) in commands.analyze("info", trace).stdout


def test_equal_inode_numbers(binary, text, trace, tmp_path):
    """Two libraries on two file systems can have one inode number."""
    a, b = tmp_path / "a", tmp_path / "b"
    a.mkdir()
    b.mkdir()
    script = """
        mount -t tmpfs none "$1"; mount -t tmpfs none "$2"
        cp "$3" "$1/other.so"; cp "$4" "$2/libggml-cpu.so"
        [ $(stat -c %i "$1/other.so") = $(stat -c %i "$2/libggml-cpu.so") ]
        exec "$5" """
    other = targets.PACKAGE / "lib/libgomp.so.1"
    with Target(binary, *in_mount_namespace(script, a, b, other, BACKEND)) as target:
        # Later ones lie lower, so the process's maps list the other one first.
        target.load(backend=b / "libggml-cpu.so")
        target.ask(f"library {a}/other.so")
        with Recorder(trace, target.pid) as recorder:
            assert target.generate(24) == text[:24]
            recorder.end()
        expect_unharmed(target, text)
    expect_steps(trace, 24)


def test_covered_by_a_mount(binary, text, trace, tmp_path):
    """Another file at the path since then, on another file system, and by chance with the same inode number."""
    folder = tmp_path / "folder"
    folder.mkdir()
    script = 'mount -t tmpfs none "$1"; cp "$2" "$1/libggml-cpu.so"; exec "$3"'
    with Target(binary, *in_mount_namespace(script, folder, BACKEND)) as target:
        target.load(backend=folder / "libggml-cpu.so")
        inside = pathlib.Path(f"/proc/{target.pid}/root{folder}/libggml-cpu.so")
        before = inside.stat()
        script = 'mount -t tmpfs none "$1"; cp "$2" "$1/libggml-cpu.so"'
        other = targets.PACKAGE / "lib/libggml-base.so.0"
        enter = ["nsenter", "--mount", "--target", target.pid]
        commands.expect(commands.run(*enter, "sh", "-ec", script, "sh", folder, other), 0)
        after = inside.stat()
        assert before.st_ino == after.st_ino and before.st_dev != after.st_dev
        with Recorder(trace, target.pid) as recorder:
            assert target.generate(24) == text[:24]
            recorder.end()
        expect_unharmed(target, text)
    expect_steps(trace, 24)


# Process numbers that are no target


def refused(trace, pid: int) -> str:
    said = Recorder(trace, pid, wait=False).wait(RECORDER_FAILED)
    assert str(pid) in said
    assert not trace.exists()
    return said


def test_pid_of_a_kernel_thread(trace):
    kthreadd = 2
    assert not os.path.exists(f"/proc/{kthreadd}/exe") and targets.state(kthreadd)
    refused(trace, kthreadd)


def test_pid_of_a_zombie(trace):
    zombie = subprocess.Popen(["true"])
    wait_for(lambda: targets.state(zombie.pid) == "Z", "its end")
    refused(trace, zombie.pid)
    assert zombie.wait() == 0


def test_pid_of_a_thread(trace, tmp_path):
    script = "import threading, time; threading.Thread(target=time.sleep, args=[60], daemon=True).start(); input()"
    process = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE)
    tasks = wait_for(lambda: len(names := os.listdir(f"/proc/{process.pid}/task")) > 1 and names, "the thread")
    refused(trace, max(map(int, tasks)))
    assert process.poll() is None
    process.communicate(b"\n")
    assert process.returncode == 0


def test_pid_of_another_program(trace):
    process = subprocess.Popen(["sleep", "60"])
    assert "no llama.cpp found" in refused(trace, process.pid)
    targets.expect_no_trace_of_recorder(process.pid)
    process.kill()
    process.wait()


# Words


ODD_WORDS = [
    b"two\nlines", b'"quoted" \\ \x01\x7f', b"\xff\xfe\xc3(", "schöne Grüße 🦙".encode(), b"", b"x" * 100_000,
]  # fmt: skip
SAY_WORDS = "import os, sys; sys.stdout.write(repr([os.fsencode(word) for word in sys.argv[1:]]))"


def test_odd_arguments_reach_the_command(trace):
    command = [os.fsencode(commands.PI_RECORD), b"-o", os.fsencode(trace), b"--", os.fsencode(sys.executable), b"-c"]
    result = subprocess.run([*command, SAY_WORDS.encode(), *ODD_WORDS], capture_output=True, timeout=30)
    assert result.returncode == RECORDER_FAILED and b"no llama.cpp found" in result.stderr, result.stderr
    assert result.stdout.decode() == repr(ODD_WORDS)


@pytest.mark.parametrize(
    "start",
    [
        pytest.param("pid"),
        "command",
    ],
)
def test_odd_arguments_in_the_metadata(binary, text, trace, start):
    words = [word.decode(errors="surrogateescape") for word in ODD_WORDS]
    command = [words[-1], binary, *words[:-1]]
    with (Target(*command) if start == "pid" else recorded(trace, *command)) as target:
        target.load()
        recorder = Recorder(trace, target.pid) if start == "pid" else None
        assert target.generate(24) == text[:24]
        if recorder:
            recorder.end()
        assert target.end(7) == 7
    expect_steps(trace, 24)
    # Each chunk of metadata is JSON, or pitrace.read had failed.
    found = pitrace.read(trace).metadata[0]["target"]["command"]
    # How many replacement characters stand for what is no UTF-8 is nobody's promise.
    expected = [re.sub("\ufffd+", "\ufffd", word.decode(errors="replace")) for word in ODD_WORDS]
    assert [re.sub("\ufffd+", "\ufffd", word) for word in found[1:]] == expected
    commands.expect(commands.analyze("info", trace), COMPLETE)


# The output file


def test_planted_symlink(target, text, tmp_path):
    """In a folder that everybody can write to; neither followed nor removed."""
    folder, precious = tmp_path / "shared", tmp_path / "precious"
    folder.mkdir()
    folder.chmod(0o1777)
    precious.write_text("precious")
    trace = folder / "x.pitrace"
    for aim in (precious, tmp_path / "does-not-exist-yet"):
        trace.symlink_to(aim)
        said = Recorder(trace, target.pid, wait=False).wait(RECORDER_FAILED)
        assert str(trace) in said
        assert trace.is_symlink()
        trace.unlink()
    assert precious.read_text() == "precious"
    assert not (tmp_path / "does-not-exist-yet").exists()
    expect_unharmed(target, text)


def test_planted_symlink_and_command(tmp_path):
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "x").symlink_to(tmp_path / "precious")
    ran = tmp_path / "ran"
    commands.expect(commands.record(tmp_path / "x", ["touch", ran]), RECORDER_FAILED)
    assert not ran.exists(), "the command ran although nothing could be recorded"
    assert (tmp_path / "precious").read_text() == "precious"



def test_planted_hard_link(target, trace, tmp_path):
    """The other name of the file keeps its content."""
    precious = tmp_path / "precious"
    precious.write_text("precious")
    trace.hardlink_to(precious)
    commands.run(commands.PI_RECORD, "-o", trace, "--pid", target.pid, "--duration", "0.1")
    assert precious.read_bytes() == b"precious"


@pytest.mark.parametrize("existing", [None, *(pytest.param(mode) for mode in (0o644, 0o666))])
def test_mode_of_the_trace(target, trace, existing):
    """A trace tells of prompts' lengths, paths and addresses: nobody else may read it, whatever the umask."""
    if existing:
        trace.touch()
        trace.chmod(existing)
    with Recorder(trace, target.pid, umask=0) as recorder:
        assert stat.S_IMODE(trace.stat().st_mode) == 0o600
        recorder.end()
    assert stat.S_IMODE(trace.stat().st_mode) == 0o600


def test_existing_trace_of_another_user(target, trace):
    """Who made the file before could still read what is written into it."""
    trace.touch()
    os.chown(trace, 65534, 65534)
    with Recorder(trace, target.pid) as recorder:
        assert trace.stat().st_uid == os.geteuid()
        recorder.end()


def test_fifo(target, text, trace, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with open(trace, "wb") as file, subprocess.Popen(["cat", fifo], stdout=file) as reader:
        with Recorder(fifo, target.pid, wait=False) as recorder:
            wait_for(lambda: trace.read_bytes().count(b"PICK") >= 2, "the probes")
            assert target.generate(24) == text[:24]
            recorder.end()
        assert reader.wait(10) == 0
    expect_steps(trace, 24)
    assert stat.S_ISFIFO(fifo.stat().st_mode)
    expect_unharmed(target, text)


def test_fifo_without_a_reader(target, text, tmp_path):
    """Waits for one; can be interrupted."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with Recorder(fifo, target.pid, wait=False) as recorder:
        time.sleep(0.3)
        recorder.process.send_signal(signal.SIGINT)
        recorder.process.communicate(timeout=5)
        assert recorder.process.returncode != 0
    expect_unharmed(target, text)


def test_dev_null(target, text):
    before = os.stat("/dev/null")
    with Recorder("/dev/null", target.pid, wait=False) as recorder:
        wait_for(lambda: targets.changed_code(target.pid), "the probes")
        assert target.generate(24) == text[:24]
        said = recorder.end()
    after = os.stat("/dev/null")
    assert (before.st_mode, before.st_rdev, before.st_ino) == (after.st_mode, after.st_rdev, after.st_ino)
    assert "token steps" in said
    expect_unharmed(target, text)


def test_dev_null_and_command_not_found():
    """The trace of a command that never ran is removed; /dev/null is not."""
    commands.expect(commands.record("/dev/null", ["/no/such/program"]), commands.NOT_FOUND)
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


@pytest.mark.parametrize("start", ["pid", "command"])
def test_reader_goes_away(binary, text, tmp_path, start):
    """-o - into head -c 100: says so, and the target goes on."""
    script = '"$@" | head -c 100 > "$0"'
    head = tmp_path / "head"
    recorder = [commands.PI_RECORD, "-o", "-"]
    if start == "pid":
        with Target(binary) as target:
            target.load()
            command = ["bash", "-o", "pipefail", "-c", script, head, *recorder, "--pid", target.pid]
            process = subprocess.Popen([str(word) for word in command], stderr=subprocess.PIPE, text=True)
            assert target.generate(400, 3) == text[:400]
            _, said = process.communicate(timeout=10)
            status = process.returncode
            expect_unharmed(target, text)
    else:
        # The trace has standard output, so the target answers on standard error.
        command = ["bash", "-o", "pipefail", "-c", script, head, *recorder, "--", binary]
        lines = [f"engine {ENGINE}", f"backend {BACKEND}", f"model {MODEL}", "generate 400 3", "exit 7"]
        result = commands.run(*command, input="\n".join(lines) + "\n")
        status, said = result.returncode, result.stderr
        assert " ".join(map(str, text[:400])) in said.splitlines()
    assert status == RECORDER_FAILED
    assert "standard output" in said and "Broken pipe" in said
    assert len(head.read_bytes()) == 100


# Signals


SIGNALS = [
    signal.SIGINT,
    signal.SIGTERM,
    pytest.param(signal.SIGHUP),
]


@pytest.mark.parametrize("number", SIGNALS)
def test_signal_while_attached(target, text, trace, number):
    with Recorder(trace, target.pid) as recorder:
        target.send("generate 400 2")
        time.sleep(0.2)
        recorder.end(number)
    assert numbers_of(target) == text[:400]
    expect_unharmed(target, text)
    assert len(commands.table("tokens", trace)) > 20
    assert pitrace.read(trace).is_ended


def test_signal_twice_while_attached(target, text, trace):
    with Recorder(trace, target.pid) as recorder:
        target.send("generate 400 2")
        time.sleep(0.2)
        for _ in range(5):
            recorder.process.send_signal(signal.SIGINT)
        recorder.wait(0)
    assert numbers_of(target) == text[:400]
    expect_unharmed(target, text)
    assert pitrace.read(trace).is_ended


@pytest.mark.parametrize("number", SIGNALS)
def test_signal_is_passed_on_to_the_command(binary, text, trace, number):
    with recorded(trace, binary) as target:
        assert target.load().generate(24) == text[:24]
        target.process.send_signal(number)
        assert target.process.wait(10) == 128 + number
    expect_steps(trace, 24)


def test_command_that_handles_the_signal(binary, text, trace):
    """It is asked once, goes on as long as it likes, and its status counts."""
    with recorded(trace, binary) as target:
        target.ask(f"count {int(signal.SIGINT)}")
        assert target.load().generate(24) == text[:24]
        target.process.send_signal(signal.SIGINT)
        wait_for(lambda: target.ask("counted") == "1", "the signal")
        wait_for(lambda: not targets.holders(target.pid), "the end of the recording")
        expect_unharmed(target, text)
        assert target.process.poll() is None
        assert target.ask("counted") == "1"
        assert target.end(7) == 7
    expect_steps(trace, 24)


def test_second_signal_leaves_a_command_that_ignores_it(binary, text, trace):
    """The second one ends the wait; the trace was complete before."""
    with recorded(trace, binary) as target:
        target.ask(f"ignore {int(signal.SIGINT)}")
        assert target.load().generate(24) == text[:24]
        pid = target.pid
        target.process.send_signal(signal.SIGINT)
        wait_for(lambda: pitrace.read(trace).is_ended, "the end of the trace")
        target.process.send_signal(signal.SIGINT)
        assert target.process.wait(10) == 128 + signal.SIGINT
        expect_unharmed(target, text)
        os.kill(pid, signal.SIGKILL)
    expect_steps(trace, 24)


TAKE_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(2, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""


def test_interrupt_from_the_terminal(binary, text, trace):
    """^C goes to the command and the recorder alike: the command must not get it a second time, which for
    llama-server means to drop everything at once."""
    controller, terminal = os.openpty()
    before = [sys.executable, "-c", TAKE_TERMINAL, commands.PI_RECORD, "-q", "-o", trace, "--"]
    with Target(binary, *before, stderr=terminal, start_new_session=True) as target:
        target.ask(f"count {int(signal.SIGINT)}")
        assert target.load().generate(24) == text[:24]
        os.write(controller, b"\x03")
        wait_for(lambda: target.ask("counted") != "0", "the signal")
        wait_for(lambda: not targets.holders(target.pid), "the end of the recording")
        time.sleep(0.1)
        assert target.ask("counted") == "1"
        assert target.end(7) == 7
    os.close(controller)
    os.close(terminal)
    expect_steps(trace, 24)


def test_interrupt_while_the_command_is_halted(binary, text, trace):
    with recorded(trace, binary) as target:
        pid = target.pid
        target.ask(f"ignore {int(signal.SIGINT)}")
        target.process.send_signal(signal.SIGSTOP)
        target.send(f"engine {ENGINE}")
        wait_for(lambda: targets.state(pid) == "T", "the halt")
        target.process.send_signal(signal.SIGINT)
        target.process.send_signal(signal.SIGCONT)
        target.answer()
        target.ask(f"backend {BACKEND}")
        target.ask(f"model {MODEL}")
        wait_for(lambda: not targets.holders(pid), "the end of the recording")
        expect_unharmed(target, text)
        assert target.end(7) == 7


def test_stopped_target_stays_stopped(target, text, trace):
    """It is the user who stopped it, and who lets it go on."""
    os.kill(target.pid, signal.SIGSTOP)
    wait_for(lambda: targets.state(target.pid) == "T", "the stop")
    with Recorder(trace, target.pid) as recorder:
        assert targets.state(target.pid) == "T"
        recorder.end()
    assert targets.state(target.pid) == "T"
    os.kill(target.pid, signal.SIGCONT)
    expect_unharmed(target, text)


def test_signals_that_the_command_inherits(trace):
    """As it would find them without the recorder."""
    show = ["env", "--ignore-signal=PIPE", "--ignore-signal=HUP", "--block-signal=USR1"]
    read = ["grep", "-E", "^Sig(Blk|Ign|Cgt)", "/proc/self/status"]
    plain = commands.expect(commands.run(*show, *read), 0).stdout
    result = commands.run(*show, commands.PI_RECORD, "-q", "-o", trace, "--", *read)
    assert result.stdout == plain


# Surroundings


@pytest.mark.parametrize("closed", ["2>&-", "0<&- 1>&- 2>&-"])
def test_closed_descriptors(target, text, trace, closed):
    """What pi-record has to say must not get into the trace that took the closed one's place."""
    command = ["sh", "-c", f'exec "$@" {closed}', "sh", commands.PI_RECORD, "-v", "-o", trace, "--pid", target.pid]
    process = subprocess.Popen(
        [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    wait_for(lambda: trace.exists() and trace.read_bytes().count(b"PICK") >= 2, "the probes")
    assert target.generate(24) == text[:24]
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode == 0
    expect_steps(trace, 24)
    expect_unharmed(target, text)


def test_closed_error_output_and_command(binary, text, trace):
    with Target(binary, "sh", "-c", 'exec "$@" 2>&-', "sh", commands.PI_RECORD, "-v", "-o", trace, "--") as target:
        assert target.load().generate(24) == text[:24]
        assert target.end(7) == 7
    expect_steps(trace, 24)


def test_closed_descriptors_and_command(trace):
    """A command that was to have no descriptors gets none of the recorder's own."""
    listing = trace.with_name("listing")
    close = ["sh", "-c", 'exec "$@" 0<&- 1>&- 2>&-', "sh"]
    script = 'ls -l /proc/$$/fd > "$1"; exit 7'
    command = [*close, commands.PI_RECORD, "-o", trace, "--", "bash", "-c", script, "bash", listing]
    commands.expect(commands.run(*command), 7)
    assert not re.search("bpf|pitrace|pipe", listing.read_text())


def test_no_descriptor_leaks_into_the_command(trace):
    script = "import os; print(sorted(os.listdir('/proc/self/fd')))"
    plain = commands.run(sys.executable, "-c", script)
    result = commands.record(trace, [sys.executable, "-c", script])
    assert result.stdout == plain.stdout


def test_command_of_another_user(binary, text, trace):
    with reachable_by_all(binary) as public:
        user = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--no-new-privs"]
        with recorded(trace, public, *user) as target:
            assert target.load().generate(24) == text[:24]
            assert os.stat(f"/proc/{target.pid}").st_uid == 65534
            assert target.end(7) == 7
    expect_steps(trace, 24)


def test_attach_to_another_user(binary, text, trace):
    with reachable_by_all(binary) as public:
        with Target(public, "setpriv", "--reuid", "65534", "--clear-groups") as target:
            target.load()
            with Recorder(trace, target.pid) as recorder:
                assert target.generate(24) == text[:24]
                recorder.end()
            expect_unharmed(target, text)
            assert target.end(7) == 7
    expect_steps(trace, 24)


LIMITS = {
    "memlock=0:0": "Max locked memory",
    "nofile=64:64": "Max open files",
    "stack=1048576:1048576": "Max stack size",
}


@pytest.mark.parametrize("limit", LIMITS)
def test_low_limits(binary, text, trace, limit):
    """Enough to work with; and the command keeps the limits that it was given."""
    with Target(binary, "prlimit", f"--{limit}", commands.PI_RECORD, "-o", trace, "--") as target:
        assert target.load().generate(24) == text[:24]
        name = LIMITS[limit]
        (line,) = [line for line in open(f"/proc/{target.pid}/limits") if line.startswith(name)]
        assert line.removeprefix(name).split()[:2] == limit.partition("=")[2].split(":")
        assert target.end(7) == 7
    expect_steps(trace, 24)


@pytest.mark.parametrize(
    "limit",
    [
        4, 12,
        pytest.param(20),
        pytest.param(24),
        40,
    ],
)
def test_too_few_descriptors(target, text, trace, limit):
    """Says so, or works; never half."""
    before = ["prlimit", f"--nofile={limit}:{limit}"]
    recorder = Recorder(trace, target.pid, "--duration", "0.5", before=before, wait=False)
    _, said = recorder.process.communicate(timeout=30)
    if recorder.process.returncode == 0:
        commands.expect(commands.analyze("info", trace), COMPLETE)
        assert "op_begin" in commands.analyze("info", trace).stdout
    else:
        assert recorder.process.returncode == RECORDER_FAILED
        assert "oo many open files" in said or "may open only" in said
    expect_unharmed(target, text)


@pytest.mark.parametrize("start", ["pid", "command"])
def test_largest_file(binary, text, trace, start):
    """ulimit -f: as a full disk, the target goes on."""
    limit = ["prlimit", "--fsize=65536:65536"]
    if start == "pid":
        with Target(binary) as target:
            target.load()
            with Recorder(trace, target.pid, before=limit) as recorder:
                assert target.generate(400, 4) == text[:400]
                said = recorder.wait(RECORDER_FAILED)
            expect_unharmed(target, text)
    else:
        with Target(binary, *limit, commands.PI_RECORD, "-o", trace, "--", stderr=subprocess.PIPE) as target:
            assert target.load().generate(400, 4) == text[:400]
            assert target.end(7) == RECORDER_FAILED
            said = target.process.stderr.read().decode()
    assert "File too large" in said and str(trace) in said
    assert pitrace.read(trace).rest == 0
    commands.expect(commands.analyze("summary", trace), PARTIAL)


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="only there probes make system calls")
def test_filter_of_system_calls(target, text, trace):
    """A container's seccomp filter allows what it knows; the system calls by which newer kernels leave a
    probed function must not kill the target."""
    target.ask("filter")
    with Recorder(trace, target.pid) as recorder:
        assert target.generate(24) == text[:24]
        recorder.end()
    expect_steps(trace, 24)
    expect_unharmed(target, text)


def test_recorder_in_a_pid_namespace(binary, trace):
    """The kernel's programs see other process numbers than the recorder there: it says so and starts nothing."""
    namespace = ["unshare", "--pid", "--fork", "--mount-proc"]
    result = commands.run(*namespace, commands.PI_RECORD, "-o", trace, "--", binary)
    said = commands.expect(result, RECORDER_FAILED).stderr
    assert "PID namespace" in said and "on the host" in said
    assert not trace.exists()


def test_command_in_a_pid_namespace(binary, text, trace):
    with recorded(trace, binary, "unshare", "--pid", "--fork", "--mount-proc") as target:
        assert target.load().generate(24) == text[:24]
        assert target.end(7) == 7
    expect_steps(trace, 24)
