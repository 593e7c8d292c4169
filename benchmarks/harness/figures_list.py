"""The figures of the paper, and the command that makes each."""

from collections.abc import Callable
from dataclasses import dataclass


def first(count: int) -> Callable[[list[str]], list[str]]:
    return lambda lines: lines[:count]


def heading(*titles: str) -> Callable[[list[str]], list[str]]:
    """The sections of a page under these headings, up to the next empty line."""

    def select(lines: list[str]) -> list[str]:
        chosen: list[str] = []
        inside = False
        for line in lines:
            if not line.strip():
                inside = False
            elif not line.startswith(" "):
                inside = line.startswith(titles)
                if inside and chosen:
                    chosen.append("")
            if inside:
                chosen.append(line)
        return chosen

    return select


@dataclass(frozen=True)
class Figure:
    title: str
    # `$` is the folder of the recordings.
    command: str
    # Lines of the output worth showing.
    select: Callable[[list[str]], list[str]]
    remark: str = ""
    shows_messages: bool = False
    # The command prints nothing when all is well: its file is what it makes.
    is_quiet: bool = False


def messages(lines: list[str]) -> list[str]:
    return [line for line in lines if line.strip()]


FIGURES = [
    Figure(
        "The graph of a token as a DAG", "dag $dense-1.pitrace -o $dag.svg --format svg --fold-layers", messages,
        "One layer for all of them; without `--fold-layers` the whole graph. The drawing is in the README.",
        shows_messages=True,
    ),
    Figure(
        "The timeline of operators, threads and the scheduler",
        "timeline $dense-2.pitrace -o $timeline.pftrace", messages, "A picture from the Perfetto UI is in the README.",
        shows_messages=True, is_quiet=True,
    ),
    Figure(
        "Memory-bound or compute-bound", "summary $dense-1.pitrace", heading("Verdict"),
        "Recorded with `--calibrate`: against the ceilings that were measured on this machine before the target started.",
    ),
    Figure("The roofline of each operator type", "roofline $dense-1.pitrace", first(16)),
    Figure("Fig. 6: time and bandwidth by operator type", "ops $dense-1.pitrace", first(9)),
    Figure("Fig. 10: the same operators with one thread more", "ops $dense-2.pitrace", first(9)),
    Figure(
        "Fig. 11: threads, barriers, balance", "summary $dense-2.pitrace", heading("Threads"),
        "A thread that finishes early waits at the barrier.",
    ),
    Figure(
        "Fig. 8: interference by another process", "summary $interference.pitrace",
        heading("Scheduler", "What it cost", "Slowest"), "A busy loop shares the CPU.",
    ),
    Figure("Fig. 8, one token of it", "explain $interference.pitrace --worst 1", first(24)),
    Figure(
        "Fig. 9: attention grows with the context", "summary $long.pitrace", heading("Across the context"),
        "1,500 positions; the cache is padded to 256, hence the stairs.",
    ),
    Figure(
        "Fig. 12: the same nodes on two backends", "nodes $cpu.pitrace --beside $vulkan.pitrace", first(9),
        "CPU and Vulkan (Mesa's lavapipe, which computes on the CPU, too).",
    ),
    Figure("Graphs on two backends in one step", "backends $vulkan.pitrace", first(6)),
    Figure(
        "Fig. 13: experts and their reuse", "summary $moe.pitrace", heading("Experts"),
        "A model with random weights, of the shape of a small Mixtral.",
    ),
    Figure(
        "Fig. 13: experts from the disk", "summary $disk.pitrace", heading("Experts"),
        "The model's file is thrown out of memory every 20 tokens.",
    ),
    Figure("Fig. 13: time and major faults by reuse distance", "experts $disk.pitrace --reuse", first(9)),
    Figure(
        "Speculative decoding (not in the paper)", "summary $speculative.pitrace", heading("Speculative"),
        "Draft and target have random weights.",
    ),
]
