"""--pid: attaching to a running, stripped llama-server and leaving it in peace."""

import signal
import subprocess
import time

import pytest

import commands
from servers import Load, Server, is_there


@pytest.fixture(scope="module")
def server(workdir):
    assert is_there()
    with open(workdir / "llama-server.log", "wb") as log:
        server = Server("dense-q8_0", log)
        yield server
        server.stop()


def test_attach_twenty_tokens_detach(server, workdir):
    before = server.complete(32)
    trace = workdir / "server.pitrace"
    with Load(server) as load:
        attach = ["-o", trace, "--pid", server.process.pid, "--tokens", "20"]
        commands.expect(commands.run(commands.PI_RECORD, *attach), 0)
        answered = load.answers
        time.sleep(1)
        assert load.answers > answered, "the server stopped answering after the recorder had left"
    assert load.error is None, load.error
    assert server.process.poll() is None
    assert server.complete(32) == before

    rows = commands.table("tokens", trace)
    # Attached in the middle of a step, the first may be seen in part: then it is marked, and is not one of
    # the twenty. Every step whose begin was recorded is seen whole.
    whole = [row for row in rows if row["complete"] == "yes"]
    assert len(whole) == 20
    assert rows[-20:] == whole
    assert {row["coverage"] for row in whole} == {"1.000000"}
    assert {row["phase"] for row in whole} <= {"prefill", "decode"}
    decodes = {row["n_ops"] for row in whole if row["phase"] == "decode"}
    assert len(decodes) == 1, f"decode steps of one model differ in operators: {decodes}"
    assert commands.table("nodes", trace)


def test_attach_again_and_interrupt(server, workdir):
    """Attach works again after detach; SIGINT leaves a complete trace."""
    trace = workdir / "server-again.pitrace"
    with Load(server) as load:
        recorder = subprocess.Popen(
            [commands.PI_RECORD, "-o", trace, "--pid", str(server.process.pid)],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        time.sleep(2)
        recorder.send_signal(signal.SIGINT)
        _, said = recorder.communicate(timeout=30)
        assert recorder.returncode == 0, said
    assert load.error is None, load.error
    assert len(commands.table("tokens", trace)) > 10
    assert server.complete(4)


def test_duration(server, workdir):
    trace = workdir / "server-idle.pitrace"
    begin = time.monotonic()
    attach = ["-o", trace, "--pid", server.process.pid, "--duration", "1"]
    commands.expect(commands.run(commands.PI_RECORD, *attach), 0)
    assert 1 <= time.monotonic() - begin < 20
    # A server without requests: a whole trace of nothing.
    assert commands.table("tokens", trace) == []


def test_no_such_process(workdir):
    child = subprocess.Popen(["true"])
    child.wait()
    attach = ["-o", workdir / "gone.pitrace", "--pid", child.pid]
    said = commands.expect(commands.run(commands.PI_RECORD, *attach), commands.RECORDER_FAILED).stderr
    assert str(child.pid) in said
