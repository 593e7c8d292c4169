"""--pid: attaching to a running, stripped llama-server and leaving it in peace."""

import json
import os
import signal
import socket
import subprocess
import threading
import time
import urllib.request

import pytest

import commands


class Server:
    def __init__(self, model: str, log):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.process = subprocess.Popen(
            [
                commands.LLAMA_SERVER, "-m", commands.MODELS / f"{model}.gguf", "--host", "127.0.0.1",
                "--port", str(self.port), "--device", "none", "-ngl", "0", "-t", "1", "-c", "4096",
                "--parallel", "1", "--no-warmup",
            ],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
        self.wait_until_ready()

    def wait_until_ready(self):
        for _ in range(240):
            if self.process.poll() is not None:
                raise AssertionError(f"llama-server ended with {self.process.returncode}")
            try:
                if self.request("/health")["status"] == "ok":
                    return
            except OSError:
                time.sleep(0.25)
        raise AssertionError("llama-server was not ready in time")

    def request(self, path: str, body: dict | None = None) -> dict:
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data=data)
        with urllib.request.urlopen(request, timeout=60) as reply:
            return json.load(reply)

    def complete(self, tokens: int) -> str:
        body = {
            "prompt": "Once upon a time", "n_predict": tokens, "temperature": 0, "ignore_eos": True,
            "cache_prompt": False,
        }  # fmt: skip
        reply = self.request("/completion", body)
        assert reply["tokens_predicted"] == tokens
        return reply["content"]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@pytest.fixture(scope="module")
def server(workdir):
    assert os.access(commands.LLAMA_SERVER, os.X_OK)
    with open(workdir / "llama-server.log", "wb") as log:
        server = Server("dense-q8_0", log)
        yield server
        server.stop()


class Load:
    """Requests without a pause, from a thread, until told to stop."""

    def __init__(self, server: Server):
        self.server, self.answers, self.stopping = server, 0, False
        self.error: Exception | None = None
        self.thread = threading.Thread(target=self.work)

    def work(self):
        try:
            while not self.stopping:
                self.server.complete(64)
                self.answers += 1
        except Exception as error:  # shown by the test that joins this thread
            self.error = error

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping = True
        self.thread.join()


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
