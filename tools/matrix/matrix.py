"""The build matrix: does pi-record see every operator of every build of llama.cpp?

    tools/test-matrix [TARGET...] [--write]

Runs each build's workloads twice: once counted by a shim that shares no code with the recorder, once under
pi-record. What is not exactly equal is printed, and the exit status is 1. `--write` puts the table into
benchmarks/RESULTS.md. Targets come from tools/setup and tools/fetch-targets.
"""

import argparse
import os
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "Tests/EndToEnd"))

import commands
import comparison
import results
import truth
from targets import TARGETS, Target


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="default: all that are built")
    parser.add_argument("--write", action="store_true", help="put the table into benchmarks/RESULTS.md")
    parser.add_argument("--keep", type=pathlib.Path, metavar="DIR", help="keep traces and counts here")
    chosen = parser.parse_args()
    known = [target.name for target in TARGETS]
    unknown = sorted(set(chosen.targets) - set(known))
    if unknown:
        parser.error(f"no target is named {', '.join(unknown)}; there are: {', '.join(known)}")
    if chosen.write and chosen.targets:
        parser.error("--write wants the whole table: name no targets")
    return chosen


def count(target: Target, model: str, threads: int, folder: pathlib.Path) -> tuple[list[truth.Step], str]:
    """What the target executes, and the text that it generates."""
    output = folder / f"{target.name}-{model}-t{threads}.jsonl"
    environment = ["env", *(f"{name}={value}" for name, value in truth.variables(output).items())]
    text = target.run(environment, model, threads)
    return truth.read(output), text


def check(target: Target, model: str, threads: int, folder: pathlib.Path) -> comparison.Comparison:
    counted = next(other for other in TARGETS if other.name == (target.truth or target.name))
    steps, text = count(counted, model, threads, folder)
    trace = folder / f"{target.name}-{model}-t{threads}.pitrace"
    said = target.run([commands.PI_RECORD, "--quiet", "-o", trace, "--"], model, threads)
    result = comparison.compare(trace, steps, folder)
    if said != text:
        result.differences.append(f"the text generated is {said!r}, not {text!r}")
    return result


def check_all(target: Target, folder: pathlib.Path) -> list[comparison.Comparison]:
    done = []
    for model, threads in target.workloads:
        try:
            result = check(target, model, threads, folder)
        except Exception as error:  # the table says so; the other targets go on
            result = comparison.Comparison(differences=[f"{type(error).__name__}: {error}"])
        done.append(result)
        print(f"{target.name} {model} -t {threads}: {'exact' if result.is_exact else 'NOT EXACT'}", flush=True)
        for difference in result.differences[:6]:
            print(f"    {difference}", flush=True)
        for missed in result.notes if not result.is_exact else []:
            print(f"    note of the recorder: {missed}", flush=True)
    return done


def main() -> int:
    chosen = arguments()
    if os.geteuid() != 0:
        sys.exit("test-matrix: recording needs root")
    missing = [target.name for target in TARGETS if not target.is_built]
    wanted = [target for target in TARGETS if target.name in chosen.targets or not chosen.targets]
    if (chosen.targets or chosen.write) and (absent := [target.name for target in wanted if not target.is_built]):
        sys.exit(f"test-matrix: not built: {', '.join(absent)} (tools/fetch-targets makes them)")
    if missing:
        print(f"not built, left out: {', '.join(missing)} (tools/fetch-targets makes them)", file=sys.stderr)
    with tempfile.TemporaryDirectory() as scratch:
        folder = chosen.keep or pathlib.Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        found = [(target, check_all(target, folder)) for target in wanted if target.is_built]
    table = results.table(found)
    print(f"\n{table}")
    if chosen.write:
        print(f"written: {results.write(table)}")
    return 0 if all(result.is_exact for _, done in found for result in done) else 1


if __name__ == "__main__":
    sys.exit(main())
