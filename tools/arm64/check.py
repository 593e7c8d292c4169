"""Checks what the arm64 guest brought back, with prof-analyze on this machine.

    check.py plain|exact|clusters FOLDER [COUNTED-FOLDER]

FOLDER is a session's (tools/arm64/session). COUNTED-FOLDER has dense.jsonl and moe.jsonl: the same program on this
machine, seen by the counting shim. Prints a line for each check; the last line is "N passed, M failed".
"""

import csv
import io
import pathlib
import sys
from collections import Counter

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "Tests/EndToEnd"))
import commands  # noqa: E402
import truth  # noqa: E402

passed = failed = 0
folder = pathlib.Path()


def check(what: str, good: bool, found: object = "") -> None:
    global passed, failed
    passed, failed = passed + bool(good), failed + (not good)
    print(f"  {'ok    ' if good else 'FAILED'} {what}{f': {found}' if not good else ''}", flush=True)


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


def counts(name: str, steps: list[truth.Step]) -> None:
    """Steps, graphs, operators and nodes are those that the shim counted on the other architecture."""
    rows = table("tokens", name)
    found = [(int(row["n_tokens"]), int(row["n_graphs"]), int(row["n_ops"])) for row in rows]
    wanted = [(step.n_tokens, len(step.computes), len(step.operators(0))) for step in steps]
    check(f"{name}: steps, tokens, graphs and operators of each", found == wanted, f"{found}, not {wanted}")
    phases = [row["phase"] for row in rows]
    check(f"{name}: phases", phases == ["prefill"] + ["decode"] * (len(steps) - 1), phases)
    executed = [operator for step in steps for operator in step.operators(0)]
    by_op, by_node = Counter(), Counter()
    for row in table("ops", name):
        by_op[row["op"]] += int(row["count"])
    for row in table("nodes", name):
        by_node[row["op"], row["name"]] += int(row["count"])
    wanted_ops = Counter(op for op, _ in executed)
    check(f"{name}: {len(executed)} operators by type", by_op == wanted_ops, f"{by_op}, not {wanted_ops}")
    check(f"{name}: operators by node", by_node == Counter(executed), by_node - Counter(executed))


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


def check_plain(counted: pathlib.Path) -> None:
    dense, moe = truth.read(counted / "dense.jsonl"), truth.read(counted / "moe.jsonl")
    for name, steps in (("dense", dense), ("moe", moe), ("hidden", dense)):
        complete(name)
        counts(name, steps)
    check("dense: the target computed what it computes alone", text("dense.out") == text("alone.out"), text("dense.out"))
    check("moe: the target computed what it computes counted", text("moe.out") == text("counted.out"), text("moe.out"))
    there = truth.read(folder / "moe.jsonl")
    wanted = sorted((number, *row) for number, step in enumerate(there) for row in step.experts)
    rows = sorted(tuple(map(int, row.values())) for row in table("experts", "moe"))
    check(f"moe: {len(wanted)} experts, as counted in the guest", wanted and rows == wanted, rows[:4])
    for name in ("dense", "hidden"):
        threads = table("threads", name)
        times = [threads[0][key] for key in ("running_ns", "runnable_ns", "blocked_ns")] if threads else []
        check(f"{name}: scheduler events", times and all(times) and int(times[0]) > 0, threads)
    counters("dense", "cycles")
    # Without -icount QEMU's core does not count instructions, and this one has no L3.
    for counter in ("instructions", "raw:0x2a"):
        found = reason("dense", counter)
        check(f"dense: {counter} is reported unsupported", "unsupported" in found, found)
    header = table("ops", "dense")
    check("dense: no column for what is unsupported", header and "instructions" not in header[0], header[:1])
    hidden = text("doctor-hidden.txt")
    check("hidden: doctor sees no BTF, and does without", "absent (not needed)" in hidden, hidden)
    doctor = text("doctor.txt")
    check("doctor: nothing that recording needs is missing", "Linux" in doctor and " missing " not in doctor, doctor)
    check("doctor: finds the core PMU", "armv8_pmuv3" in doctor, doctor)
    check("doctor FILE: finds the operators' site", "op_begin" in text("doctor-file.txt"), text("doctor-file.txt"))
    check("list-pmc: cycles count", "counts" in text("list-pmc.txt"), text("list-pmc.txt"))


def check_exact() -> None:
    sums = []
    for steps in (3, 4, 5):
        name = f"steps{steps}"
        complete(name)
        counters(name, "cycles", "instructions")
        rows = table("nodes", name, "--phase", "decode")
        sums.append({(row["op"], row["name"]): int(row["instructions"] or 0) for row in rows})
    check("the three recordings have the same nodes", sums[0] and sums[0].keys() == sums[1].keys() == sums[2].keys())
    fourth = {node: sums[1][node] - sums[0][node] for node in sums[0]}
    fifth = {node: sums[2][node] - sums[1][node] for node in sums[0]}

    def apart(nodes: list, percent: int) -> dict:
        return {n: (fourth[n], fifth[n]) for n in nodes if abs(fifth[n] - fourth[n]) * 100 >= percent * fourth[n]}

    # Attention has one more token to look at in each step.
    attention = [node for node in fourth if node[0] == "FLASH_ATTN_EXT"]
    found = apart([node for node in fourth if node not in attention], 1)
    check(f"instructions of each of {len(fourth) - len(attention)} nodes repeat within 1 % from step to step", not found, found)
    found = apart(attention, 5)
    check(f"instructions of {len(attention)} attention nodes repeat within 5 %", attention and not found, found)
    same = sum(fourth[node] == fifth[node] for node in fourth)
    print(f"         exactly the same: {same} of {len(fourth)} nodes, {sum(fifth.values())} instructions a step")
    check("raw:0x2a is reported unsupported", "unsupported" in reason("steps3", "raw:0x2a"), reason("steps3", "raw"))


def check_clusters() -> None:
    complete("clusters")
    found = reason("clusters", "cycles")
    check("both clusters' counters were opened", "armv8_cortex_a55, armv8_cortex_a76" in found, found)
    listed = text("list-pmc.txt")
    sections = [section for section in listed.split("\n\n") if section.startswith("armv8_")]
    counting = [section for section in sections if "cycles                      0x11      counts" in section]
    check("list-pmc: cycles count on both", len(sections) == 2 and counting == sections, listed)
    migrations = sum(int(row["migrations"] or 0) for row in table("threads", "clusters"))
    check("the target changed the cluster", migrations >= 4, f"{migrations} migrations; {text('moves.txt')[-200:]}")
    print(f"         {migrations} migrations")
    counters("clusters", "cycles")


def main() -> None:
    global folder
    mode, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    try:
        if mode == "plain":
            check_plain(pathlib.Path(sys.argv[3]))
        else:
            {"exact": check_exact, "clusters": check_clusters}[mode]()
    except Exception as error:  # what the guest did not bring back fails one check, not the whole report
        check("results can be read", False, repr(error))
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
