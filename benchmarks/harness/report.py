"""The section of RESULTS.md, from what was measured."""

import costs as accounting
import places
import rows
from costs import Costs, Work
from intervals import Estimate
from rows import Row
from stress import Load, Size
from turns import Turns

INTRODUCTION = """## What recording costs

Written by `benchmarks/overhead --write`. A target does the same work over and over on one thread, pinned to a core;
recorders come and go in it, in random order, and each stretch with one is compared with the stretches before and after.

- *Added* is CPU time of the computing thread: first quartile of the pieces (tokens, prompts) of a stretch, median
  over pairs of stretches, 95 % bootstrap interval in parentheses, nothing clamped. *Wall*: the same of wall time.
- *In the kernel* is the share of the thread's CPU time that the kernel's tick found there, more than without: it misses
  what a probe does to the caches of the program, and is steady where the others are not.
- *Accounted* is hits a token x cost of a hit, measured in the same run: with the caches warm, and with those hits cold
  that follow a large matrix multiplication. The walk of a new graph is not in it. In decoding the graph repeats and is
  walked once; each prefill here follows a decoded token, so its graph is new and is walked.
- Probes of an operator: BCC (what the paper says of its recorder) and bpftrace at the entry and the return, perf
  at the entry and the barrier behind it, pi-record at the entry only, as one thread computes. bpftrace is not at fused operators nor token steps: Debian's takes
  only a function's first instruction.

"""


def table(header: list[str], body: list[list[str]]) -> str:
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _microseconds(estimate: Estimate, digits: int = 1) -> str:
    return estimate.scaled(1e-3).text(digits)


def turns_table(turns: Turns, costs: Costs, work: Work) -> str:
    """One line a recorder: what it added to a piece, and what hits x cost says of it."""
    cpu, wall = turns.none()
    body = [["none", _microseconds(cpu, 0) + " µs in all", "", "", "", "", "", "", str(cpu.count)]]
    for row in (*rows.OWN, *rows.PEERS):
        if row.name in turns.failures:
            body.append([row.name, f"did not run: {turns.failures[row.name].splitlines()[-1]}", *[""] * 7])
            continue
        if not (found := turns.compare(row)):
            continue
        line = [row.name, _microseconds(found.added_ns), found.cpu.text(), found.wall.text(), found.system.text(3)]
        if row.own:
            account = accounting.account(row, work, costs)
            percent = 100 * account.total_ns / cpu.median
            both = f"{account.warm_ns / 1e3:.0f} / {account.total_ns / 1e3:.0f}"
            line += [f"{account.hits:.0f}", both, f"{percent:.3f}"]
        else:
            line += ["", "", ""]
        body.append([*line, str(found.cpu.count)])
    header = ["recorder", "added, µs", "added, %", "wall, %", "in the kernel, %", "hits", "accounted, µs, warm / cold",
              "accounted, %", "pairs"]  # fmt: skip
    return table(header, body)


def hits_table(costs: Costs) -> str:
    body = [[f"empty program, {name}", found.scaled(1e-3).text(3)] for name, found in costs.empty.items()]
    for name, found in costs.hot.items():
        body.append([f"{name}, operator on a push", found.scaled(1e-3).text(3)])
        for size, cold in costs.cold.get(name, {}).items():
            body.append([f"{name}, the same after reading {size} MiB", cold.scaled(1e-3).text(3)])
    return table(["hit", "µs"], body)


def sizes_table(sizes: list[Size]) -> str:
    body = []
    for size in sizes:
        each = [f"{size.per_record(size.file):.2f}", f"{size.per_operator(size.file):.2f}"]
        counts = [str(number) for number in (size.level, size.operators, size.records, size.file)]
        run = f"{size.model}, {size.tokens} tokens"
        body.append([run, *counts, f"{size.per_record(size.raw):.1f}", *each, str(size.lost)])
    header = ["run", "zstd level", "operators", "operator and barrier records", "file, bytes", "raw, bytes a record",
              "file, bytes a record", "file, bytes an operator", "lost"]  # fmt: skip
    return table(header, body)


def loads_table(loads: list[Load]) -> str:
    body = []
    for load in loads:
        memory = load.memory_kib
        parts = " + ".join(f"{memory.get(name, 0) / 1024:.1f}" for name in ("RssAnon", "RssFile", "RssShmem"))
        percent = f"{load.recorder_percent:.2f}" if load.recorder_percent == load.recorder_percent else ""
        rates = [f"{load.wanted_per_second:,.0f}", f"{load.per_second:,.0f}", f"{load.seconds:.2f}"]
        counts = [str(load.called), str(load.recorded), str(load.lost)]
        body.append([*rates, *counts, percent, f"{memory.get('VmHWM', 0) / 1024:.1f} ({parts})"])
    header = ["wanted, operators/s", "reached", "seconds", "called", "recorded", "lost", "recorder, % of a core",
              "peak memory, MiB (anonymous + file + shared)"]  # fmt: skip
    return table(header, body)


def memory_table(turns: list[Turns]) -> str:
    body = []
    for one in turns:
        for name, memory in one.memory.items():
            if memory:
                values = [f"{memory.get(key, 0) / 1024:.1f}" for key in ("VmHWM", "RssAnon", "RssFile", "RssShmem")]
                body.append([f"{name}, on {one.name}", *values])
    return table(["recorder", "peak, MiB", "anonymous", "of files and the ring buffer", "shared"], body)


def write(section: str, name: str = "overhead") -> None:
    """Replaces what is between the markers of this name, or adds the section at the end."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    text = places.RESULTS.read_text(encoding="utf-8") if places.RESULTS.exists() else "# Results\n"
    if begin in text:
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
    else:
        before, after = f"{text.rstrip()}\n\n", "\n"
    places.RESULTS.write_text(f"{before}{begin}\n{section.rstrip()}\n{end}{after}", encoding="utf-8")
