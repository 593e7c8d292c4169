"""A target that does the same work over and over, and whether probes are in it now."""

import os
import pathlib
import signal
import subprocess
import time
from dataclasses import dataclass

from traces import Site

# Long enough for the kernel's breakpoint to differ from what it replaced: 1 byte on x86_64, 4 on aarch64.
PROBE_BYTES = 4


@dataclass(frozen=True)
class Piece:
    """One token or prompt: times in ns, of the monotonic clock and of the thread's CPU use."""

    phase: str
    begin: int
    end: int
    cpu: int
    system: int


class Target:
    """The process. It has one core for itself alone as far as the recorder's placement goes: it is pinned to the last,
    and the recorder may run on the others."""

    def __init__(self, command: list[str], output: pathlib.Path):
        self.output = output
        last = str((os.cpu_count() or 1) - 1)
        with open(output, "wb") as file:
            self.process = subprocess.Popen(
                ["taskset", "-c", last, *command], stdout=file, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
            )
        self.pid = self.process.pid
        self._places: dict[tuple[str, int], tuple[int, bytes]] = {}
        deadline = time.monotonic() + 300
        while not output.stat().st_size:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the target does not start: {' '.join(command)}")
            time.sleep(0.02)

    def _place(self, site: Site) -> tuple[int, bytes]:
        """The address of a site in the process, and what its file has there."""
        key = (site.path, site.offset)
        if key in self._places:
            return self._places[key]
        for line in pathlib.Path(f"/proc/{self.pid}/maps").read_text(encoding="utf-8").splitlines():
            parts = line.split(maxsplit=5)
            if len(parts) < 6 or parts[5] != site.path:
                continue
            start, end = (int(part, 16) for part in parts[0].split("-"))
            offset = int(parts[2], 16)
            if offset <= site.offset < offset + end - start:
                with open(site.path, "rb") as file:
                    file.seek(site.offset)
                    self._places[key] = (start + site.offset - offset, file.read(PROBE_BYTES))
                return self._places[key]
        raise RuntimeError(f"the target has not mapped {site.path}")

    def probed(self, sites: list[Site]) -> int:
        """In how many of these places an instruction is replaced now."""
        with open(f"/proc/{self.pid}/mem", "rb", buffering=0) as memory:
            count = 0
            for site in sites:
                address, original = self._place(site)
                memory.seek(address)
                count += memory.read(PROBE_BYTES) != original
            return count

    def stop(self) -> list[Piece]:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=120)
        pieces = []
        with open(self.output, encoding="ascii") as lines:
            for line in lines:
                phase, *numbers = line.split()
                pieces.append(Piece(phase, *map(int, numbers)))
        return pieces


def repeat_llama(programs: pathlib.Path, model: pathlib.Path, *mode: str) -> list[str]:
    return [str(programs / "repeat-llama"), str(model), "1", *mode]
