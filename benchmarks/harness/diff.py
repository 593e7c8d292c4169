"""What `prof-analyze diff` says of recordings of which it is known what was changed.

    benchmarks/diff [--write] [--runs N] [--pairs N]

Each side is a folder of N runs on one thread, recorded in turns (A B A B), since the speed of a shared machine drifts.
Exits with 1 where a culprit is not named or an alarm is false. Needs root (eBPF) and about five minutes.
"""

import argparse
import datetime
import json
import os
import pathlib
import sys
import tempfile
from dataclasses import dataclass, field

import places

ROOT = places.ROOT
# The end-to-end tests know how the targets are started.
sys.path.insert(0, str(ROOT / "Tests/EndToEnd"))

import commands  # noqa: E402
from commands import Workload  # noqa: E402

BEGIN, END = "<!-- diff: begin -->", "<!-- diff: end -->"
MODEL, TOKENS, LIMIT = "dense-q8_0", 300, 5
XLLAMACPP = Workload(MODEL, 1, tokens=TOKENS).command()


def own_build(name: str, model: str = MODEL) -> list:
    return [ROOT / f".targets/builds/{name}/bin/run-llama", commands.MODELS / f"{model}.gguf", "Once upon a time",
            str(TOKENS), "1"]  # fmt: skip


@dataclass
class Side:
    command: list = field(default_factory=lambda: XLLAMACPP)
    environment: dict[str, str] = field(default_factory=dict)

    def record(self, output: pathlib.Path) -> None:
        result = commands.run(
            commands.PI_RECORD, "-q", "-o", output, "--", *self.command, env=os.environ | self.environment, text=False
        )
        if result.returncode != 0:
            raise SystemExit(f"diff: recording {output.name} failed: {result.stderr.decode(errors='replace').strip()}")


@dataclass
class Case:
    """Two sides, and what `diff` must say: a part of the first culprits' names, and a kind of difference."""

    title: str
    a: Side
    b: Side
    culprit: str | None = None
    difference: str | None = None

    def failure(self, result: dict) -> str:
        """Empty where it says it."""
        names = [one["name"] for one in decode(result)["explained_by"]]
        if self.culprit and (decode(result)["low"] <= 0 or not any(self.culprit in name for name in names)):
            return f"not named: {self.culprit}"
        if self.difference and self.difference not in [one["kind"] for one in result["differences"]]:
            return f"not named: {self.difference}"
        return ""


def decode(result: dict) -> dict:
    return next(phase for phase in result["phases"] if phase["phase"] == "decode")


def compare(folder: pathlib.Path, a: Side, b: Side, runs: int) -> tuple[dict, bool]:
    """What diff says, and whether it gives an alarm."""
    for name in "ab":
        (folder / name).mkdir(parents=True)
    for number in range(runs):
        a.record(folder / f"a/{number}.pitrace")
        b.record(folder / f"b/{number}.pitrace")
    command = [commands.PROF_ANALYZE, "diff", folder / "a", folder / "b", "--json", "--fail-over", str(LIMIT)]
    done = commands.run(*command)
    if done.returncode not in (0, 1):
        raise SystemExit(f"diff: prof-analyze ended with {done.returncode}: {done.stderr.strip()}")
    return json.loads(done.stdout), done.returncode == 1


def slowed(folder: pathlib.Path, ratio: float) -> Side:
    """The same, with the six ffn_out of a step slower by so much of the step together."""
    result, _ = compare(folder, Side(), Side(), 1)
    step = next(row["a_ns"] for row in decode(result)["rows"] if row["scope"] == "step")
    shim = ROOT / ".targets/slow_shim.so"
    nanoseconds = str(round(ratio * step / 6))
    return Side(environment={"LD_PRELOAD": str(shim), "SLOW_SHIM_NAME": "ffn_out-", "SLOW_SHIM_NS": nanoseconds})


def cases(folder: pathlib.Path) -> list[Case]:
    two = Side(Workload(MODEL, 2, tokens=TOKENS).command())
    return [
        Case("5 % of the step in one operator", Side(), slowed(folder / "price", 0.05), "MUL_MAT in ffn_out"),
        Case("GGML_CPU_DISABLE_FUSION=1", Side(), Side(environment={"GGML_CPU_DISABLE_FUSION": "1"}), "RMS_NORM+MUL",
             "fusion"),
        Case("2 threads instead of 1", Side(), two, difference="threads"),
        Case("xllamacpp's build, own build with OpenMP", Side(), Side(own_build("shared-openmp")), difference="build"),
        Case("own builds: OpenMP, static without it", Side(own_build("shared-openmp")), Side(own_build("static")),
             difference="build"),
        Case("own builds, dense-q4_0: with repacked weights, without", Side(own_build("shared-openmp", "dense-q4_0")),
             Side(own_build("no-repack", "dense-q4_0")), "MUL_MAT", "build"),
    ]  # fmt: skip


def percent(ratio: float) -> str:
    return f"{100 * ratio:+.1f} %"


def section(folder: pathlib.Path, runs: int, pairs: int) -> tuple[str, bool]:
    lines = [
        "## What changed\n",
        f"Written by `benchmarks/diff --write`: {MODEL}, {TOKENS} tokens on one thread unless said otherwise, {runs} runs a"
        f" side in turns, `--fail-over {LIMIT}` ({places.machine()}; {datetime.date.today()}).\n",
        "| what was changed in B | decode, and 95 % interval | `prof-analyze diff A B` | alarm | as expected |",
        "| --- | ---: | --- | --- | --- |",
    ]
    good = True
    for number, case in enumerate(cases(folder)):
        result, alarm = compare(folder / f"case-{number}", case.a, case.b, runs)
        failure = case.failure(result)
        good = good and not failure
        phase = decode(result)
        kinds = [f"{one['kind']}: {one['a']} → {one['b']}" for one in result["differences"] if one["kind"] != "build"]
        said = "; ".join([result["headline"], *kinds]).replace("|", "\\|")
        interval = f"{percent(phase['change'])} ({percent(phase['low'])} … {percent(phase['high'])})"
        lines.append(f"| {case.title} | {interval} | {said} | {'yes' if alarm else 'no'} | {failure or 'yes'} |")
    lines += ["", "The same on both sides:", "", "| pair | decode, and 95 % interval | alarm |", "| ---: | ---: | --- |"]
    alarms = 0
    for number in range(pairs):
        result, alarm = compare(folder / f"pair-{number}", Side(), Side(), runs)
        phase = decode(result)
        alarms += alarm
        interval = f"{percent(phase['change'])} ({percent(phase['low'])} … {percent(phase['high'])})"
        lines.append(f"| {number + 1} | {interval} | {'yes' if alarm else 'no'} |")
    lines.append(f"\nFalse alarms: {alarms} of {pairs}.")
    return "\n".join(lines), good and alarms == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="replace the section of benchmarks/RESULTS.md")
    parser.add_argument("--runs", type=int, default=15, help="runs a side (default: %(default)s)")
    parser.add_argument("--pairs", type=int, default=10, help="pairs of the same (default: %(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        text, good = section(pathlib.Path(scratch), options.runs, options.pairs)
    print(text)
    if options.write:
        old = places.RESULTS.read_text(encoding="utf-8")
        before, _, rest = old.partition(BEGIN)
        after = rest.partition(END)[2] or "\n"
        places.RESULTS.write_text(f"{before.rstrip()}\n\n{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")
    sys.exit(0 if good else 1)


main()
