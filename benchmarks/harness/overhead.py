"""What recording costs: the ProfInfer paper's Table 6 on the same kind of work, beside other recorders.

    benchmarks/overhead [--minutes N] [--write] [--no-large] [--no-peers] [--recorder FILE] [--keep DIR]

Decoding and prefill of a model in the shape of LLaMA-3.2-1B in F16 (made when it is missing: 2.5 GB), and of a
tiny model, on which an operator takes microseconds: the worst case. Also what a hit costs, what the recorder itself
takes, what it bears, and how large its traces are. Prints a section of Markdown; --write puts it into
benchmarks/RESULTS.md.
"""

import argparse
import datetime
import os
import pathlib
import shlex
import shutil
import sys
import tempfile
import time

import costs
import places
import report
import rows
import stress
import targets
import verdicts
from turns import Turns

# Shares of the time for the parts that take as long as they get, after the fixed ones.
SHARES = {"small decode": 0.10, "small prefill": 0.06, "decode": 0.54, "prefill": 0.22, "hits": 0.08}
PREFILL = "128"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=75, help="about how long (default: %(default)s)")
    parser.add_argument("--write", action="store_true", help="put the results into benchmarks/RESULTS.md")
    parser.add_argument("--no-large", action="store_true", help="without the 1B model")
    parser.add_argument("--no-peers", action="store_true", help="pi-record alone")
    parser.add_argument("--recorder", type=pathlib.Path, default=places.ROOT / ".build-recorder/pi-record")
    parser.add_argument("--keep", type=pathlib.Path, metavar="DIR", help="keep traces and measurements here")
    return parser.parse_args()


def say(what: str) -> None:
    print(f"==> {time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


class Run:
    def __init__(self, chosen: argparse.Namespace, folder: pathlib.Path):
        self.chosen, self.folder = chosen, folder
        # A copy: the original may be built anew meanwhile.
        self.recorder = pathlib.Path(shutil.copy(chosen.recorder, folder / "pi-record"))
        self.peers = () if chosen.no_peers else rows.PEERS
        # Loads and sizes take their time, whatever the budget.
        self.fixed = 2.0 + (3.0 if not chosen.no_large else 0.5)
        self.scale = 1.0 if chosen.minutes >= 20 else 0.2
        self.sections: list[str] = []

    def minutes(self, part: str) -> float:
        return max(0.2, (self.chosen.minutes - self.fixed * self.scale) * SHARES[part])

    def turns(
        self, part: str, model: str, mode: tuple[str, ...], on: float, off: float, own, peers, skipped: int = 2
    ) -> Turns:
        say(f"{part}: {self.minutes(part):.1f} minutes")
        command = targets.repeat_llama(places.PROGRAMS, places.MODELS / f"{model}.gguf", *mode)
        turns = Turns(part.replace(" ", "-"), command, on, off, self.recorder, self.folder, skipped)
        return turns.run(own, peers, self.minutes(part), peers_every=4).select(mode[0])

    def measure(self) -> str:
        say(f"cost of a hit: {self.minutes('hits'):.1f} minutes")
        hit = costs.measure(self.recorder, self.folder, self.minutes("hits") * 0.8, 9 if self.scale == 1 else 3)
        say("loads")
        long, short = 60 * self.scale, 0.25
        wanted = [(20_000, long, 1), (150_000, long, 2), *[(1_000_000, short, 2)] * 5]
        loads = [stress.load(self.recorder, self.folder, *load) for load in wanted]
        say("sizes of traces")
        models = [places.SMALL] if self.chosen.no_large else [places.SMALL, places.LARGE]
        sizes = []
        for model in models:
            tokens = int(440 * self.scale) if model == places.LARGE else 440
            sizes += [stress.size(self.recorder, self.folder, model, tokens, level) for level in (1, 3)]
        own, work = rows.OWN, {model: costs.work_of(self.recorder, self.folder, model) for model in models}
        small = self.turns("small decode", places.SMALL, ("decode",), 1.0, 0.7, own, self.peers)
        small_prefill = self.turns("small prefill", places.SMALL, ("prefill", PREFILL), 1.0, 0.7, own[2:], (), 0)
        parts = [(f"Decoding, {places.SMALL}: the worst case", small, work[places.SMALL]),
                 (f"Prefill of {PREFILL} tokens, {places.SMALL}", small_prefill, work[places.SMALL])]  # fmt: skip
        decode = prefill = None
        if not self.chosen.no_large:
            weighted = [*own, rows.OPERATORS, rows.EVERYTHING, rows.GRAPH]
            decode = self.turns("decode", places.LARGE, ("decode",), 2.6, 2.2, weighted, self.peers)
            mode = ("prefill", PREFILL)
            prefill = self.turns("prefill", places.LARGE, mode, 11.0, 8.0, (rows.OPERATORS, rows.EVERYTHING), (), 0)
            parts = [(f"Decoding, {places.LARGE}", decode, work[places.LARGE]),
                     (f"Prefill of {PREFILL} tokens, {places.LARGE}", prefill, work[places.LARGE]), *parts]  # fmt: skip
        verdict = verdicts.verdicts(decode, prefill, small, hit, work[models[-1]], loads, sizes)
        every = [turns for turns in (small, decode) if turns]
        return self._section(verdict, parts, hit, loads, sizes, every)

    def _section(self, verdict, parts, hit, loads, sizes, memories) -> str:
        command = shlex.join(["benchmarks/overhead", *sys.argv[1:]])
        load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
        today = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
        lines = [report.INTRODUCTION]
        machine = f"{places.machine()}, revision {places.commit()}"
        lines.append(f"{today}, {machine}, `{command}`; load average at the end {load}.\n")
        lines.append(f"### Figures\n\n{verdict}\n")
        for title, turns, done in parts:
            lines.append(f"### {title}\n\n{report.turns_table(turns, hit, done)}\n")
        lines.append(f"### A hit\n\n{report.hits_table(hit)}\n")
        lines.append(f"### Loads\n\n{report.loads_table(loads)}\n")
        lines.append(f"### Memory\n\n{report.memory_table(memories)}\n")
        lines.append(f"### Traces on disk\n\n{report.sizes_table(sizes)}\n")
        return "\n".join(lines)


def main() -> int:
    chosen = arguments()
    if os.geteuid() != 0:
        sys.exit("overhead: recording needs root")
    with tempfile.TemporaryDirectory() as scratch:
        folder = chosen.keep or pathlib.Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        section = Run(chosen, folder).measure()
    print(section)
    if chosen.write:
        report.write(section)
    return 0


if __name__ == "__main__":
    sys.exit(main())
