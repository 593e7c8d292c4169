"""The table of the build matrix, and its place in benchmarks/RESULTS.md."""

import pathlib

import commands
import comparison
from targets import Target

RESULTS = commands.ROOT / "benchmarks/RESULTS.md"
BEGIN, END = "<!-- build matrix: begin -->", "<!-- build matrix: end -->"
SECTION = f"""# Results

## Builds of llama.cpp

Each build runs three models at one and two threads (and its own `llama-simple`, which takes four), counted by a
preloaded shim and recorded by `pi-record`. *Exact* is: the same token steps with the same tokens and graphs, the same
operators on the same nodes in the same order on each thread of each step, the same experts, and the same graph in the
first and the last step. *Op end* is the probe that ends an operator; where the compiler inlined the barrier, an
operator ends as the next one begins. The static build is compared with the shared build of the same source.
Written by `tools/test-matrix --write`.

{BEGIN}
{END}
"""
HEADER = (
    "target", "link", "token API", "op site, instruction class", "op end", "tokens", "graphs",
    "operators recorded / true", "lost", "coverage", "exact",
)  # fmt: skip


def _words(values) -> str:
    return ", ".join(dict.fromkeys(value for value in values if value))


def _row(target: Target, done: list[comparison.Comparison]) -> tuple[str, ...]:
    return (
        target.name,
        target.link,
        _words(result.token_api for result in done),
        _words(result.op_site for result in done),
        _words(result.op_end for result in done),
        str(sum(result.steps for result in done)),
        str(sum(result.graphs for result in done)),
        f"{sum(result.recorded_operators for result in done)} / {sum(result.true_operators for result in done)}",
        str(sum(result.lost for result in done)),
        min((result.coverage for result in done), default=""),
        "yes" if all(result.is_exact for result in done) else "no",
    )


def table(found: list[tuple[Target, list[comparison.Comparison]]]) -> str:
    rows = [HEADER, tuple("---" for _ in HEADER), *(_row(target, done) for target, done in found)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def write(table: str) -> pathlib.Path:
    """Replaces what is between the markers; adds them, with their section, to a file that has none."""
    text = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else ""
    if BEGIN not in text:
        section = SECTION if not text else SECTION.partition("\n\n")[2]
        text = f"{text.rstrip()}\n\n{section}".lstrip()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")
    return RESULTS
