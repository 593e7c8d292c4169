"""One run of a command, measured from outside: wall and CPU time, memory, and how much it wrote."""

import os
import subprocess
import time
from dataclasses import dataclass

# The harness reads on the first core what the command writes on the last.
LAST_CORE = (os.cpu_count() or 1) - 1


@dataclass(frozen=True)
class Run:
    """Seconds and bytes; `peak` is the largest resident set."""

    wall: float
    cpu: float
    peak: int
    written: int


def run(command: list[str], cores: str | None = str(LAST_CORE)) -> Run:
    """`cores`: as of taskset; None: all."""
    started = time.perf_counter()
    process = subprocess.Popen(["taskset", "-c", cores, *command] if cores else command, stdout=subprocess.PIPE)
    # By descriptor: Python's own buffering would be measured, too.
    written = 0
    while count := len(os.read(process.stdout.fileno(), 1 << 20)):
        written += count
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    if process.returncode:
        raise SystemExit(f"benchmark: {' '.join(command)} ended with {process.returncode}")
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, written)


def best_of(rounds: int, command: list[str], cores: str | None = str(LAST_CORE)) -> list[Run]:
    return [run(command, cores) for _ in range(rounds)]
