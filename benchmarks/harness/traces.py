"""What a trace says: sites and hits from `prof-analyze info`, sizes from the headers of its chunks."""

import pathlib
import re
import struct
import subprocess
from dataclasses import dataclass, field

import places

# An operator event is an operator that begins, or the barrier that ends it.
OPERATORS, BARRIERS = ("OP_BEGIN", "OP_FUSED"), ("BARRIER",)
# C++ functions have no uretprobe, but probes on the instructions by which they are left.
LEFT_BY_ENTRY = ("ubatch_return", "sample_llama_return", "sample_common_return", "enqueue_vulkan_return")
SHARED = "(all of its role)"


@dataclass(frozen=True)
class Site:
    role: str
    function: str
    path: str
    offset: int
    instruction: str
    kind: str
    hits: int

    @property
    def is_return(self) -> bool:
        return self.role.endswith("_return") and self.role not in LEFT_BY_ENTRY


@dataclass
class Facts:
    sites: list[Site] = field(default_factory=list)
    records: dict[str, int] = field(default_factory=dict)
    lost: int = 0
    total: int = 0

    def count(self, *types: str) -> int:
        return sum(self.records.get(name, 0) for name in types)

    @property
    def steps(self) -> int:
        return self.count("TOKEN_BEGIN")


def facts(trace: pathlib.Path) -> Facts:
    # Status 4 tells of losses; they are among the facts.
    done = subprocess.run([str(places.ANALYZER), "info", str(trace)], capture_output=True, text=True, check=False)
    if done.returncode not in (0, 4):
        raise RuntimeError(f"prof-analyze info {trace}: {done.stderr.strip()}")
    result = Facts()
    libraries: dict[str, str] = {}
    for line in done.stdout.splitlines():
        cells = re.split(r"\s{2,}", line.strip())
        if match := re.match(r"library (\d+)$", cells[0]):
            libraries[match[1]] = cells[1]
        elif len(cells) >= 8 and re.match(r"0x[0-9a-f]+$", cells[3]):
            role, function, library, offset, instruction, kind, _, hits = cells[:8]
            # Hits of a role with several sites are told in sum: counted once here, at its first site.
            repeated = SHARED in hits and any(site.role == role for site in result.sites)
            count = 0 if repeated else int(hits.split()[0])
            result.sites.append(Site(role, function, libraries[library], int(offset, 16), instruction, kind, count))
        elif len(cells) == 2 and re.match(r"[A-Z][A-Z_]+$", cells[0]) and cells[1].isdigit():
            result.records[cells[0]] = int(cells[1])
        elif cells[0] == "lost" and (match := re.match(r"(\d+) of (\d+) records", cells[1])):
            result.lost, result.total = int(match[1]), int(match[2])
    return result


def raw_bytes(trace: pathlib.Path) -> int:
    """Bytes of the event chunks' payloads before compression: transposed and differenced, as a chunk has them."""
    data = trace.read_bytes()
    (header,) = struct.unpack_from("<I", data, 12)
    total, at = 0, header
    while at + 64 <= len(data):
        _, kind, _, head, stored, raw = struct.unpack_from("<IHHIII", data, at)
        total += raw if kind != 1 else 0
        at += head + stored
    return total
