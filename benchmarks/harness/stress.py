"""What the recorder itself takes and bears: memory, CPU time, lost events, bytes on disk.

    benchmarks/stress [PER_SECOND SECONDS THREADS]     default 150000 60 2

Exit status 1 when an event was lost.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field

import places
import traces

MEMORY = ("VmHWM", "VmRSS", "RssAnon", "RssFile", "RssShmem")


@dataclass
class Load:
    """One recording of a target that calls operators at a set rate."""

    wanted_per_second: float
    called: int = 0
    seconds: float = 0.0
    recorded: int = 0
    lost: int = 0
    # Of one core, between one second after the start and one before the end.
    recorder_percent: float = float("nan")
    memory_kib: dict[str, int] = field(default_factory=dict)

    @property
    def per_second(self) -> float:
        return self.called / self.seconds if self.seconds else 0.0


def cpu_ns(pid: int) -> int:
    """Time on a CPU of all threads of the process that live."""
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text(encoding="ascii").split()[0])
    return total


def memory(pid: int) -> dict[str, int]:
    found = {}
    for line in pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name in MEMORY:
            found[name] = int(value.split()[0])
    return found


def load(recorder: pathlib.Path, folder: pathlib.Path, per_second: float, seconds: float, threads: int) -> Load:
    """The default options but for the output. Called and recorded operators are both exact counts."""
    trace = folder / "load.pitrace"
    trace.unlink(missing_ok=True)
    target = [str(places.PROGRAMS / "synthetic-target"), "rate", str(per_second), str(seconds), str(threads)]
    command = [str(recorder), "--quiet", "-o", str(trace), "--", *target]
    result = Load(per_second)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    samples: list[tuple[float, int]] = []
    start = time.monotonic()
    while process.poll() is None:
        try:
            samples.append((time.monotonic() - start, cpu_ns(process.pid)))
            result.memory_kib = memory(process.pid) or result.memory_kib
        except (OSError, IndexError):
            break
        time.sleep(0.02 if seconds < 5 else 0.2)
    output, errors = process.communicate(timeout=120)
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {errors.strip()}")
    called, _, nanoseconds, _ = map(int, output.split())
    facts = traces.facts(trace)
    result.called, result.seconds = called, nanoseconds / 1e9
    result.recorded, result.lost = facts.count("OP_BEGIN"), facts.lost
    steady = [sample for sample in samples if 1 <= sample[0] <= seconds - 1]
    if len(steady) > 1:
        (first, before), (last, after) = steady[0], steady[-1]
        result.recorder_percent = (after - before) / (last - first) / 1e7
    trace.unlink()
    return result


@dataclass
class Size:
    """A trace of one run of a model, prompt and tokens."""

    model: str
    level: int
    tokens: int
    operators: int
    records: int
    all_records: int
    raw: int
    file: int
    lost: int

    def per_operator(self, size: int) -> float:
        return size / self.operators

    def per_record(self, size: int) -> float:
        return size / self.records


def size(recorder: pathlib.Path, folder: pathlib.Path, model: str, tokens: int, level: int) -> Size:
    trace = folder / f"size-{model}-{level}.pitrace"
    target = [str(places.RUN_LLAMA), str(places.MODELS / f"{model}.gguf"), "Once upon a time", str(tokens), "1"]
    command = [str(recorder), "--quiet", "--compress", str(level), "-o", str(trace), "--", *target]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=3600)
    facts = traces.facts(trace)
    operators, barriers = facts.count(*traces.OPERATORS), facts.count(*traces.BARRIERS)
    found = Size(
        model, level, facts.steps, operators, operators + barriers, facts.total, traces.raw_bytes(trace),
        trace.stat().st_size, facts.lost,
    )  # fmt: skip
    trace.unlink()
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("per_second", type=float, nargs="?", default=150_000)
    parser.add_argument("seconds", type=float, nargs="?", default=60)
    parser.add_argument("threads", type=int, nargs="?", default=2)
    parser.add_argument("--recorder", type=pathlib.Path, default=places.ROOT / ".build-recorder/pi-record")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = load(chosen.recorder, pathlib.Path(folder), chosen.per_second, chosen.seconds, chosen.threads)
    print(f"called     {found.called} in {found.seconds:.2f} s, {found.per_second:,.0f}/s")
    print(f"recorded   {found.recorded}, counted as lost {found.lost}")
    print(f"recorder   {found.recorder_percent:.2f} % of a core")
    print("memory     " + ", ".join(f"{name} {kib} KiB" for name, kib in found.memory_kib.items()))
    return 1 if found.lost or found.recorded != found.called else 0


if __name__ == "__main__":
    sys.exit(main())
