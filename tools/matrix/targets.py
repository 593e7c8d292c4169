"""The targets of the build matrix: which there are, and how one run of a model in each is started.

Every run is the same deterministic work: a fixed prompt, greedy sampling, a fixed number of tokens.
"""

import contextlib
import itertools
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field

import commands

BUILDS = commands.ROOT / ".targets/builds"
PROMPT = "Once upon a time"
TOKENS = 8
WORKLOADS = list(itertools.product(("dense-q8_0", "dense-q4_0", "moe-q4_0"), (1, 2)))
# What llama-simple computes on; it cannot be told otherwise.
SIMPLE_THREADS = 4


@dataclass(frozen=True)
class Target:
    """A build of llama.cpp."""

    name: str
    # How the code that is probed gets into the process, for the table.
    link: str
    # Where the build is; what is not there is left out.
    file: pathlib.Path
    # The target whose counts are the truth for this one, when the shim cannot stand in front of its functions.
    truth: str | None = None
    # Models to run in place of those that it is too old to know.
    models: dict[str, str] = field(default_factory=dict)

    @property
    def is_built(self) -> bool:
        return self.file.exists()

    @property
    def workloads(self) -> list[tuple[str, int]]:
        """Models and numbers of threads."""
        return [(self.models.get(model, model), threads) for model, threads in WORKLOADS]

    def command(self, model: str, threads: int) -> list[str]:
        return [str(self.file), str(commands.MODELS / f"{model}.gguf"), PROMPT, str(TOKENS), str(threads)]

    def run(self, wrapper: list, model: str, threads: int) -> str:
        """Runs the work under `wrapper`, a command that is put before it. Returns the text generated."""
        done = commands.run(*wrapper, *self.command(model, threads), timeout=300, errors="replace")
        return commands.expect(done, 0).stdout


class ProgramTarget(Target):
    """A cmake build: run-llama, linked into it, and the llama-simple that is part of it."""

    @property
    def workloads(self) -> list[tuple[str, int]]:
        return [*super().workloads, ("dense-q8_0", SIMPLE_THREADS)]

    def command(self, model: str, threads: int) -> list[str]:
        if threads != SIMPLE_THREADS:
            return super().command(model, threads)
        program = self.file.with_name("llama-simple")
        return [str(program), "-m", str(commands.MODELS / f"{model}.gguf"), "-n", str(TOKENS), PROMPT]


class PipTarget(Target):
    def command(self, model: str, threads: int) -> list[str]:
        driver = commands.ROOT / "tools/targets/run-llama-cpp-python.py"
        _, *arguments = super().command(model, threads)
        return ["env", f"PYTHONPATH={BUILDS / 'pip/site'}", sys.executable, str(driver), *arguments]


class WheelTarget(Target):
    def command(self, model: str, threads: int) -> list[str]:
        return commands.Workload(model, threads, tokens=TOKENS, prompt=PROMPT).command()

    def run(self, wrapper: list, model: str, threads: int) -> str:
        return json.loads(super().run(wrapper, model, threads))["text"]


class ServerTarget(Target):
    """llama-server: started, asked for one completion, told to end."""

    def command(self, model: str, threads: int) -> list[str]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        return [
            str(self.file), "-m", str(commands.MODELS / f"{model}.gguf"), "--host", "127.0.0.1", "--port", str(port),
            "--device", "none", "-ngl", "0", "-t", str(threads), "-c", "512", "--parallel", "1", "--no-warmup",
        ]  # fmt: skip

    def run(self, wrapper: list, model: str, threads: int) -> str:
        command = self.command(model, threads)
        base = f"http://127.0.0.1:{command[command.index('--port') + 1]}"
        process = subprocess.Popen(
            [str(part) for part in (*wrapper, *command)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace",
        )  # fmt: skip
        try:
            text = self._complete(process, base)
            # The server, not what is wrapped around it: a recorder ends when its target does.
            os.kill(self._server(process.pid), signal.SIGTERM)
            output, _ = process.communicate(timeout=60)
        except BaseException:
            process.terminate()
            process.wait(timeout=60)
            raise
        if process.returncode != 0:
            raise AssertionError(f"{self.name} ended with {process.returncode}: {output[-2000:]}")
        return text

    def _server(self, pid: int) -> int:
        """The process that runs the server's file: `pid` itself or a child of it."""
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        for candidate in (pid, *map(int, children)):
            if pathlib.Path(f"/proc/{candidate}/exe").resolve() == self.file.resolve():
                return candidate
        raise AssertionError(f"no process runs {self.file}")

    def _complete(self, process: subprocess.Popen, base: str) -> str:
        body = {
            "prompt": PROMPT, "n_predict": TOKENS, "temperature": 0, "ignore_eos": True, "cache_prompt": False,
        }  # fmt: skip
        for _ in range(240):
            if process.poll() is not None:
                raise AssertionError(f"{self.name} ended with {process.returncode} before it was ready")
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{base}/health", timeout=5).close()
                break
            time.sleep(0.25)
        request = urllib.request.Request(f"{base}/completion", data=json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=120) as reply:
            return json.load(reply)["content"]


def _program(name: str, link: str, **options) -> Target:
    return ProgramTarget(name, link, BUILDS / name / "bin/run-llama", **options)


TARGETS = [
    WheelTarget("xllamacpp", "one Python extension", commands.SITE_PACKAGES / "xllamacpp"),
    ServerTarget("mineru", "shared, stripped", commands.LLAMA_SERVER),
    PipTarget("pip", "shared, stripped, ctypes", BUILDS / "pip/site/llama_cpp/lib/libllama.so"),
    _program("shared-openmp", "shared, OpenMP"),
    _program("shared", "shared"),
    _program("static", "static", truth="shared-openmp"),
    _program("backend-dl", "dlopen-ed CPU variants"),
    _program("clang", "shared, clang"),
    _program("feb2025", "shared, early 2025", models={"moe-q4_0": "mixtral-q8_0"}),
]
