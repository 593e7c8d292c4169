"""The figures that the project set itself, each with what was measured and whether it was reached."""

import rows
from costs import Costs, Work, account
from intervals import Estimate
from report import table
from stress import Load, Size
from turns import Turns


def _slowdown(name: str, limit: float, paper: str, turns: Turns | None, row: rows.Row, accounts) -> list[str] | None:
    """By CPU time; where its interval is wider than the limit, the kernel's share and the accounting are better."""
    if not turns or not (found := turns.compare(row)):
        return None
    costs, work = accounts
    accounted = 100 * account(row, work, costs).total_ns / turns.none()[0].median
    measured = f"{found.cpu.text()}; in the kernel {found.system.text(3)}; accounted {accounted:.3f}"
    reached = found.cpu.judge(limit)
    if found.cpu.high - found.cpu.low > limit:
        reached = f"CPU time cannot tell, its interval is too wide; in the kernel: {found.system.judge(limit)}"
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
        length = f"{len(same)} x {same[0].called / wanted:.2f} s"
        measured = f"{lost} of {events:,}; {length}, rate reached at most {fastest:,.0f}/s"
        reached = ("yes" if lost == 0 else "no") + ("" if fastest > 0.95 * wanted else ", but the rate was not reached")
        body.append([name, "0", measured, reached, "0.4–0.6 %"])
    return body


def verdicts(
    decode: Turns | None, prefill: Turns | None, small: Turns, costs: Costs, work: Work, loads: list[Load],
    sizes: list[Size],
) -> str:  # fmt: skip
    """Slowdowns are of the large model: without it (None) there are none."""
    accounts = (costs, work)
    body = [
        _slowdown("decode, operators with structure", 0.5, "1.46 %", decode, rows.OPERATORS, accounts),
        _slowdown("decode, everything on", 1.0, "3.67 %", decode, rows.EVERYTHING, accounts),
        _slowdown("decode, token and graph", 0.05, "0.1 %", decode, rows.GRAPH, accounts),
        _slowdown("prefill, operators with structure", 0.1, "0.25 %", prefill, rows.OPERATORS, accounts),
    ]
    peak = small.memory.get(rows.OPERATORS.name, {}).get("VmHWM", 0) / 1024
    body.append(_number("recorder's peak memory, ring buffer full once", 12, " MiB", peak, "102–172 MB"))
    for size in sizes:
        body.append(_number(f"bytes an operator event, {size.model}, zstd {size.level}: per record", 3, "",
                            size.per_record(size.file), "about 90–240",
                            f" (per operator with its barrier {size.per_operator(size.file):.2f})"))  # fmt: skip
    body += _loads(loads)
    hot: Estimate | None = costs.hot.get(rows.OPERATORS.name)
    if hot:
        spread = f" ({hot.low / 1e3:.3f} … {hot.high / 1e3:.3f})"
        name = "a hit, operator on a push, caches warm"
        body.append(_number(name, 1.15, " µs", hot.median / 1e3, "about 1.3", spread))
    return table(["figure", "to reach", "measured", "reached", "paper"], [line for line in body if line])
