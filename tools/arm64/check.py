"""Checks what the arm64 guest brought back, with prof-analyze on this machine.

    check.py plain|exact|clusters|lockdown FOLDER [COUNTED-FOLDER]

FOLDER is a session's (tools/arm64/session). COUNTED-FOLDER has dense.jsonl and moe.jsonl: the same program on this
machine, seen by the counting shim. Prints a line for each check; the last line is "N passed, M failed".
"""

import pathlib
import sys
from collections import Counter

import results
from results import check, complete, counters, reason, table, text

import commands  # results has put its folder on the path
import instructions
import truth


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


def doctor(name: str, status: int, *words: str) -> None:
    """Its exit status and what it tells; with status 0 nothing that recording needs is missing."""
    found = text(f"doctor-{name}.txt")
    missing = [word for word in words if word not in found]
    good = found.endswith(f"exit status {status}\n") and ("MISSING" in found) == (status != 0)
    check(f"doctor, {name}: says what is there and what is not", good and not missing, f"{missing} {found}")


def refused(name: str, *words: str) -> None:
    """pi-record has not started its command, and has said why."""
    found = text(f"refused-{name}.txt")
    missing = [word for word in words if word not in found]
    good = found.endswith("exit status 125\n") and found.startswith("pi-record: ")
    check(f"refused, {name}: nothing is started, and the reason is told", good and not missing, f"{missing} {found}")


def check_plain(counted: pathlib.Path) -> None:
    dense, moe = truth.read(counted / "dense.jsonl"), truth.read(counted / "moe.jsonl")
    for name, steps in (("dense", dense), ("moe", moe), ("hidden", dense)):
        complete(name)
        counts(name, steps)
    check("dense: the target computed what it computes alone", text("dense.out") == text("alone.out"), text("dense.out"))
    check("moe: the target computed what it computes counted", text("moe.out") == text("counted.out"), text("moe.out"))
    there = truth.read(results.folder / "moe.jsonl")
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
    doctor("root", 0, "Linux", "counters can be opened", "armv8_pmuv3")
    doctor("hidden", 0, "absent (not needed)", "tracefs is not needed")
    doctor(
        "user", 125, "lacks CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE", "no program can be loaded",
        "kernel.unprivileged_bpf_disabled is", "counters cannot be opened", "kernel.perf_event_paranoid is 3", "sudo",
    )  # fmt: skip
    # Links with many probes do without what sysfs shows, and prove that there are uprobes.
    if "many probes a link" in text("doctor-root.txt"):
        doctor("no-uprobes", 0)
        check("no uprobes in sysfs: records nevertheless", "started" in text("refused-no-uprobes.txt"))
    else:
        doctor("no-uprobes", 125, "MISSING  uprobes", "CONFIG_UPROBES=y", "no hardware counters")
        refused("no-uprobes", "uprobes", "CONFIG_UPROBES=y")
    check("doctor FILE: finds the operators' site", "op_begin" in text("doctor-file.txt"), text("doctor-file.txt"))
    check("list-pmc: cycles count", "counts" in text("list-pmc.txt"), text("list-pmc.txt"))


def check_exact() -> None:
    complete("exact")
    counters("exact", "cycles", "instructions")
    for counter in ("raw:0x2a", "l3d_cache_refill"):
        found = reason("exact", counter)
        check(f"{counter} is reported unsupported", "unsupported" in found, found)
    header = table("ops", "exact")
    check("no column for what is unsupported", header and not {"raw:0x2a", "l3d_cache_refill"} & set(header[0]), header[:1])

    graph = commands.dag(results.folder / "exact.pitrace", results.folder / "exact.json", "--token", "2")
    operators = {int(node["address"], 16) >> 4 & 0xFFFFFFFF: node["op"] for node in graph["nodes"]}
    # Two counters have columns. The prefill, step 1, is another graph.
    nodes = instructions.by_node(results.folder / "exact.pitrace", 2, 1)
    for node in nodes.values():
        node.at_barrier.pop(1, None)
        node.at_next.pop(1, None)
    steps = {step for node in nodes.values() for step in (*node.at_barrier, *node.at_next)}
    check("every node is known and was executed in each of 12 steps", nodes.keys() <= operators.keys() and len(steps) == 12
          and all(len(node.at_barrier) + len(node.at_next) == 12 for node in nodes.values()), nodes)  # fmt: skip
    # Attention has one more token to look at in each step.
    attention = [node for ref, node in nodes.items() if operators.get(ref) == "FLASH_ATTN_EXT"]
    others = [node for node in nodes.values() if node not in attention]
    found = [node for node in others if node.apart(1)]
    check(f"instructions of each of {len(others)} nodes repeat within 1 % from step to step", others and not found, found)
    found = [node for node in attention if node.apart(5)]
    check(f"instructions of {len(attention)} attention nodes repeat within 5 %", attention and not found, found)
    same = sum(not node.apart(0) for node in others)
    print(f"         exactly the same: {same} of {len(others)} nodes")
    # An operator that has no barrier probe behind it ends as the next one begins: the barrier of one thread is in it.
    barrier = [next(iter(node.at_next.values())) - next(iter(node.at_barrier.values())) for node in others
               if node.at_barrier and node.at_next]  # fmt: skip
    if barrier:
        check("with the barrier in it, a node has up to 400 instructions more", min(barrier) >= 0 and max(barrier) <= 400, barrier)
        print(f"         {min(barrier)} to {max(barrier)} instructions more")
    mine = sum(sum(node.at_barrier.values()) + sum(node.at_next.values()) for node in nodes.values())
    analyzed = sum(int(row["instructions"] or 0) for row in table("nodes", "exact", "--phase", "decode"))
    check("prof-analyze sums the same instructions", mine == analyzed, f"{analyzed}, not {mine}")


def check_lockdown() -> None:
    for name in ("unseen", "seen"):
        doctor(name, 125, "MISSING  lockdown         confidentiality", "boot without lockdown=confidentiality")
    refused("locked", "lockdown: confidentiality", "boot without")


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
    found = [row for row in table("nodes", "clusters") if row["counter_coverage"] != "1.000000"]
    check("scheduler events: each operator is counted whole, on one cluster or on both", not found, found)

    complete("unseen")
    counters("unseen", "cycles")
    rows = table("nodes", "unseen")
    unknown = sum(int(row["count"]) * (1 - float(row["counter_coverage"])) for row in rows)
    check("without them: an operator that changed the cluster has no count", unknown >= 1, f"{unknown} without")
    found = [row for row in rows if float(row["counter_coverage"]) > 0 and row["counter_other_tasks"] != "yes"]
    check("without them: counts are said to hold other tasks", rows and not found, found)
    print(f"         {unknown:.0f} operators without a count")


def main() -> None:
    mode, results.folder = sys.argv[1], pathlib.Path(sys.argv[2])
    try:
        if mode == "plain":
            check_plain(pathlib.Path(sys.argv[3]))
        else:
            {"exact": check_exact, "clusters": check_clusters, "lockdown": check_lockdown}[mode]()
    except Exception as error:  # what the guest did not bring back fails one check, not the whole report
        check("results can be read", False, repr(error))
    print(f"{results.passed} passed, {results.failed} failed")
    sys.exit(results.failed > 0)


if __name__ == "__main__":
    main()
