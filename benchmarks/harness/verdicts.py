"""The figures that the project set itself, each with what was measured and whether it was reached."""

import rows
from costs import Costs, account
from intervals import Estimate
from report import table
from stress import Load, Size
from turns import Turns


def _slowdown(name: str, limit: float, paper: str, turns: Turns, row: rows.Row, costs: Costs, reads) -> list[str] | None:
    """By CPU time; where its interval is wider than the limit, the kernel's share and the accounting are better."""
    if not (found := turns.compare(row)):
        return None
    accounted = ""
    if turns.facts[row.name].count("TOKEN_END"):
        total = account(row, turns.facts[row.name], costs, reads).total_ns
        accounted = f"; accounted {100 * total / turns.none()[0].median:.3f}"
    measured = f"{found.cpu.text()}; in the kernel {found.system.text(3)}{accounted}"
    reached = found.cpu.judge(limit)
    if found.cpu.high - found.cpu.low > limit:
        reached = f"CPU time cannot tell (its interval is wider than the limit); in the kernel: {found.system.judge(limit)}"
    return [name, f"<= {limit} %", measured, reached, paper]


def _number(name: str, limit: float, unit: str, value: float, paper: str, spread: str = "") -> list[str]:
    reached = "yes" if value <= limit else f"no, by {value - limit:.2f}{unit}"
    return [name, f"<= {limit}{unit}", f"{value:.2f}{unit}{spread}", reached, paper]


def _loads(loads: list[Load]) -> list[list[str]]:
    """One line a rate: the same load may have run several times."""
    body = []
    for wanted in dict.fromkeys(load.wanted_per_second for load in loads):
        same = [load for load in loads if load.wanted_per_second == wanted]
        if wanted == 20000:
            body.append(_number("recorder at 20,000 events/s, of a core", 0.5, " %", same[0].recorder_percent, "–"))
            continue
        lost = sum(max(load.lost, load.called - load.recorded) for load in same)
        fastest, events = max(load.per_second for load in same), sum(load.called for load in same)
        name = f"lost at {wanted:,.0f} events/s on two threads"
        measured = f"{lost} of {events:,}; {len(same)} x {same[0].called / wanted:.2f} s, rate reached at most {fastest:,.0f}/s"
        reached = "yes" if lost == 0 else "no"
        body.append([name, "0", measured, reached if fastest > 0.95 * wanted else f"{reached}, but the rate was not reached",
                     "0.4–0.6 %"])  # fmt: skip
    return body


def verdicts(
    decode: Turns, prefill: Turns, small: Turns, costs: Costs, reads, loads: list[Load], sizes: list[Size]
) -> str:
    body = [
        _slowdown("decode, operators with structure", 0.5, "1.46 %", decode, rows.OPERATORS, costs, reads),
        _slowdown("decode, everything on", 1.0, "3.67 %", decode, rows.EVERYTHING, costs, reads),
        _slowdown("decode, token and graph", 0.05, "0.1 %", decode, rows.GRAPH, costs, reads),
        _slowdown("prefill, operators with structure", 0.1, "0.25 %", prefill, rows.OPERATORS, costs, reads),
    ]
    peak = max((memory.get("VmHWM", 0) for memory in [small.memory.get(rows.OPERATORS.name, {})]), default=0) / 1024
    body.append(_number("recorder's peak memory, ring buffer full once", 12, " MiB", peak, "102–172 MB"))
    for size in sizes:
        body.append(_number(f"bytes an operator event, {size.model}, zstd {size.level}: per record", 3, "",
                            size.per_record(size.file), "about 90–240",
                            f" (per operator with its barrier {size.per_operator(size.file):.2f})"))  # fmt: skip
    body += _loads(loads)
    hot: Estimate | None = costs.hot.get(rows.OPERATORS.name)
    if hot:
        spread = f" ({hot.low / 1e3:.3f} … {hot.high / 1e3:.3f})"
        body.append(_number("a hit, operator on a push, caches warm", 1.15, " µs", hot.median / 1e3, "about 1.3", spread))
    return table(["figure", "to reach", "measured", "reached", "paper"], [line for line in body if line])
