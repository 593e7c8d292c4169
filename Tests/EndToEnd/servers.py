"""A llama-server of the tests, and a load on it."""

import json
import os
import signal
import socket
import subprocess
import threading
import time
import urllib.request

import commands


class Server:
    """llama-server (stripped, shared libraries) with one of the tests' models, until `stop`."""

    def __init__(self, model: str, log, device="none", layers=0, more=(), prefix=(), environment=None):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.process = subprocess.Popen(
            [
                *prefix, commands.LLAMA_SERVER, "-m", commands.MODELS / f"{model}.gguf", "--host", "127.0.0.1",
                "--port", str(self.port), "--device", device, "-ngl", str(layers), "-t", "1", "-c", "4096",
                "--parallel", "1", "--no-warmup", *more,
            ],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
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

    def load(self, tokens: int) -> "Load":
        return Load(self, tokens)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Recording:
    """pi-record attached to a server while the `with` block runs."""

    def __init__(self, server: Server, trace, *options):
        self.recorder = subprocess.Popen(
            [commands.PI_RECORD, "-o", trace, *options, "--pid", str(server.process.pid)],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        # Attached: its probes stand in the trace's metadata, flushed before anything else.
        for _ in range(400):
            if trace.exists() and trace.stat().st_size > 1500:
                time.sleep(0.3)
                return
            assert self.recorder.poll() is None, self.recorder.stderr.read()
            time.sleep(0.02)
        raise AssertionError("the recorder did not attach in time")

    def __enter__(self):
        return self

    def __exit__(self, failure, *_):
        self.recorder.send_signal(signal.SIGINT)
        _, said = self.recorder.communicate(timeout=30)
        assert failure or self.recorder.returncode == 0, said


class Load:
    """Requests for so many tokens without a pause, from a thread, until told to stop."""

    def __init__(self, server: Server, tokens: int = 64):
        self.server, self.tokens, self.answers, self.stopping = server, tokens, 0, False
        self.error: Exception | None = None
        self.thread = threading.Thread(target=self.work)
        self.thread.start()

    def work(self):
        try:
            while not self.stopping:
                self.server.complete(self.tokens)
                self.answers += 1
        except Exception as error:  # shown by the test that stops this thread
            self.error = error

    def stop(self):
        self.stopping = True
        self.thread.join()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def is_there() -> bool:
    return os.access(commands.LLAMA_SERVER, os.X_OK)
