"""What a session of the arm64 guest left in a folder, read with prof-analyze, and the count of what was checked in it."""

import csv
import io
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "Tests/EndToEnd"))
import commands  # noqa: E402

passed = failed = 0
# Of the session; set before anything is read.
folder = pathlib.Path()


def check(what: str, good: bool, found: object = "") -> None:
    global passed, failed
    passed, failed = passed + bool(good), failed + (not good)
    # Whole tables are of no use to anybody; what they were made of is in the folder.
    print(f"  {'ok    ' if good else 'FAILED'} {what}{f': {str(found)[:800]}' if not good else ''}", flush=True)


def analyze(subcommand: str, name: str, *options: str):
    return commands.analyze(subcommand, folder / f"{name}.pitrace", *options)


def table(subcommand: str, name: str, *options: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(analyze(subcommand, name, "--csv", *options).stdout)))


def text(name: str) -> str:
    path = folder / name
    return path.read_text(errors="replace") if path.exists() else ""


def complete(name: str) -> None:
    info = analyze("info", name)
    rows = table("tokens", name)
    check(f"{name}: complete, nothing lost", info.returncode == commands.COMPLETE, info.stderr.strip())
    check(f"{name}: coverage 1 in every step", rows and {row["coverage"] for row in rows} == {"1.000000"}, rows)


def counters(name: str, *wanted: str) -> None:
    """Everything has counted, and never more than one event a nanosecond: QEMU's core does no more."""
    types, nodes = table("ops", name), table("nodes", name)
    for counter in wanted:
        values = {row["op"]: row.get(counter) or "" for row in types}
        check(f"{name}: {counter} of every operator", types and all(v and int(v) > 0 for v in values.values()), values)
        often = [row for row in types + nodes if row.get(counter) and int(row[counter]) > int(row["total_ns"])]
        check(f"{name}: {counter} of each of {len(nodes)} nodes within its time", not often, often)


def reason(name: str, counter: str) -> str:
    lines = [line.strip() for line in analyze("info", name).stdout.splitlines()]
    return next((line for line in lines if line.startswith(counter)), "")
