"""A B A B within one process: recorders come and go while the target does the same work, and the CPU time that its
thread takes for a piece of it (a token, a prompt) is compared with that of the pieces before and after.

One process, so that every stretch has the same memory layout; CPU time, because wall time is also other processes';
neighbours, because the speed of a shared machine drifts. When probes are in is read from the target's own code, not
believed of the recorder.
"""

import json
import pathlib
import random
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import rows
import stress
import traces
from intervals import Estimate, estimate
from rows import Row
from targets import Piece, Target


def quartile(values: list[int]) -> int:
    """The first quartile. What a recorder costs every piece moves all quantiles alike; what other programs on the
    machine cost hits some pieces more than others, and disturbs this one least (half the spread of the median)."""
    return sorted(values)[len(values) // 4]


def end(recorder: subprocess.Popen) -> None:
    """As a user does, with Ctrl-C; bpftrace now and then misses the first."""
    for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        recorder.send_signal(number)
        try:
            recorder.wait(timeout=20)
            return
        except subprocess.TimeoutExpired:
            continue


@dataclass
class Stretch:
    row: Row | None
    begin: int = 0
    end: int = 0
    # First quartiles over its pieces, and the share of CPU time that the kernel's tick found in the kernel.
    cpu: float = 0.0
    wall: float = 0.0
    system: float = 0.0
    pieces: int = 0

    def fill(self, pieces: list[Piece], skipped: int) -> None:
        inside = [piece for piece in pieces if piece.begin >= self.begin and piece.end <= self.end][skipped:]
        self.pieces = len(inside)
        if inside:
            self.cpu = quartile([piece.cpu for piece in inside])
            self.wall = quartile([piece.end - piece.begin for piece in inside])
            self.system = sum(piece.system for piece in inside) / sum(piece.cpu for piece in inside)


@dataclass
class Comparison:
    """Of a row with none: relative differences in percent, and the CPU time in ns a piece."""

    cpu: Estimate
    wall: Estimate
    system: Estimate
    added_ns: Estimate
    pieces: int


@dataclass
class Turns:
    """A target and the recorders that take turns on it."""

    name: str
    command: list[str]
    on_seconds: float
    off_seconds: float
    recorder: pathlib.Path
    folder: pathlib.Path
    # The first pieces after a change pay for it: pages that the kernel copied, the structure of the graph.
    skipped: int = 2
    sites: list[traces.Site] = field(default_factory=list)
    pieces: list[Piece] = field(default_factory=list)
    stretches: list[Stretch] = field(default_factory=list)
    facts: dict[str, traces.Facts] = field(default_factory=dict)
    # Of the recorder, KiB by the kernel's names, at the end of the row's first stretch.
    memory: dict[str, dict[str, int]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def run(self, own: Sequence[Row], peers: Sequence[Row], minutes: float, peers_every: int = 3) -> "Turns":
        """Rounds in random order until the time is over: own rows in each (some twice), after them peers in every
        so-many-th."""
        target = Target(self.command, self.folder / f"{self.name}.pieces")
        try:
            self.sites = self._find_sites(target)
            self._off()
            end, number, chance = time.monotonic() + 60 * minutes, 0, random.Random(1)
            while number == 0 or time.monotonic() < end:
                also = list(peers) if number % peers_every == 0 else []
                for row in (*chance.sample(list(own), len(own)), *chance.sample(also, len(also))):
                    if number and time.monotonic() > end:
                        break
                    if row.name not in self.failures:
                        self._on(target, row)
                        self._off()
                number += 1
        finally:
            self.pieces = target.stop()
            when = [[stretch.row and stretch.row.name, stretch.begin, stretch.end] for stretch in self.stretches]
            (self.folder / f"{self.name}.stretches.json").write_text(json.dumps(when), encoding="utf-8")
        return self

    def select(self, phase: str) -> "Turns":
        """Looks at the pieces of this phase from now on."""
        pieces = [piece for piece in self.pieces if piece.phase == phase]
        for stretch in self.stretches:
            stretch.fill(pieces, self.skipped)
        return self

    def _find_sites(self, target: Target) -> list[traces.Site]:
        trace = self.folder / f"{self.name}-sites.pitrace"
        command = [str(self.recorder), "--quiet", "--duration", "2", "-o", str(trace), "--pid", str(target.pid)]
        subprocess.run(command, check=True, timeout=120)
        return traces.facts(trace).sites

    def _off(self) -> None:
        stretch = Stretch(None, time.monotonic_ns())
        time.sleep(self.off_seconds)
        stretch.end = time.monotonic_ns()
        self.stretches.append(stretch)

    def _on(self, target: Target, row: Row) -> None:
        sites = row.sites(self.sites)
        output = self.folder / f"{self.name}-{rows.PEERS.index(row) if row in rows.PEERS else row.options}.out"
        output.unlink(missing_ok=True)
        errors = self.folder / "recorder.log"
        with open(errors, "wb") as log:
            recorder = subprocess.Popen(
                row.command(self.recorder, target.pid, sites, output),
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=rows.environment(),
            )  # fmt: skip
            try:
                stretch = self._watch(target, row, recorder, sites)
            finally:
                if recorder.poll() is None:
                    end(recorder)
        if stretch is None:
            self.failures[row.name] = errors.read_text(errors="replace").strip()[-500:] or "no probes in 60 s"
            print(f"{row.name} on {self.name}: {self.failures[row.name]}", file=sys.stderr)
            return
        # Peers leave the removal of their probes to the kernel.
        while target.probed(sites):
            time.sleep(0.005)
        self.stretches.append(stretch)
        if row.own and row.name not in self.facts:
            self.facts[row.name] = traces.facts(output)

    def _watch(self, target: Target, row: Row, recorder: subprocess.Popen, sites: list[traces.Site]) -> Stretch | None:
        """From when all probes are in, for as long as a stretch is; None where they do not get there."""
        deadline = time.monotonic() + 60
        while target.probed(sites) < len(sites):
            if recorder.poll() is not None or time.monotonic() > deadline:
                return None
            time.sleep(0.005)
        stretch = Stretch(row, time.monotonic_ns())
        time.sleep(self.on_seconds)
        stretch.end = time.monotonic_ns()
        self.memory.setdefault(row.name, stress.memory(recorder.pid))
        return stretch

    def none(self) -> tuple[Estimate, Estimate]:
        """Without any recorder: CPU and wall time of a piece, ns."""
        plain = [stretch for stretch in self.stretches if stretch.row is None and stretch.pieces]
        return estimate([stretch.cpu for stretch in plain]), estimate([stretch.wall for stretch in plain])

    def compare(self, row: Row) -> Comparison | None:
        """Each stretch with the row against the mean of its two neighbours without."""
        cpu, wall, system, added, pieces = [], [], [], [], 0
        for before, stretch, after in zip(self.stretches, self.stretches[1:], self.stretches[2:]):
            if stretch.row is not row or not (before.pieces and stretch.pieces and after.pieces):
                continue
            plain = (before.cpu + after.cpu) / 2
            cpu.append(100 * (stretch.cpu / plain - 1))
            wall.append(100 * (2 * stretch.wall / (before.wall + after.wall) - 1))
            system.append(100 * (stretch.system - (before.system + after.system) / 2))
            added.append(stretch.cpu - plain)
            pieces += stretch.pieces
        if not cpu:
            return None
        mean = statistics.fmean
        return Comparison(estimate(cpu), estimate(wall), estimate(system, mean), estimate(added), pieces)
