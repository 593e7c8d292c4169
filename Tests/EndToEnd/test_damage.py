"""Damaged traces: a clear error (exit status 3) or a partial result (4); never a crash, never a hang.

Every cut and every flipped bit of a small trace is the unit tests' work; here the program itself meets a
sample of them, in all regions of a real trace.
"""

import random
import struct
import zlib

import pytest

import commands
from commands import PARTIAL, UNREADABLE, USAGE, Workload

FILE_HEADER_BYTES = 64


@pytest.fixture(scope="module")
def trace(workdir) -> bytes:
    path = workdir / "whole.pitrace"
    commands.expect(commands.record(path, Workload("moe-q4_0", 1, tokens=4).command()), 0)
    commands.expect(commands.analyze("summary", path), commands.COMPLETE)
    return path.read_bytes()


def chunk_offsets(trace: bytes) -> list[int]:
    """Where chunks begin, found by hopping the headers as TRACE-FORMAT.md describes them."""
    offsets, at = [], FILE_HEADER_BYTES
    while at < len(trace):
        assert trace[at : at + 4] == b"PICK", f"no chunk at byte {at}"
        header_bytes, stored_bytes = struct.unpack_from("<II", trace, at + 8)
        offsets.append(at)
        at += header_bytes + stored_bytes
    assert at == len(trace)
    return offsets


def analyze(path, data: bytes, *statuses: int, subcommand: str = "summary"):
    path.write_bytes(data)
    result = commands.expect(commands.analyze(subcommand, path, timeout=30), *statuses)
    assert result.stderr.strip(), "ended with an error and did not say why"
    assert str(path) in result.stderr or path.name in result.stderr, result.stderr
    return result


def test_whole_chunks_survive_a_cut(trace, tmp_path):
    """What SIGKILL or a power cut leaves: everything up to the last whole chunk, and a note that it was cut."""
    offsets = chunk_offsets(trace)
    assert len(offsets) >= 3
    for offset in offsets[1:]:
        for cut in (offset - 1, offset, offset + 1, offset + 64):
            if cut < len(trace):
                analyze(tmp_path / "cut.pitrace", trace[:cut], PARTIAL, UNREADABLE)


def test_cut_anywhere(trace, tmp_path):
    generator = random.Random(1)
    cuts = list(range(0, FILE_HEADER_BYTES + 1, 7)) + [generator.randrange(len(trace)) for _ in range(60)]
    for cut in cuts:
        statuses = (UNREADABLE,) if cut < FILE_HEADER_BYTES else (PARTIAL, UNREADABLE)
        analyze(tmp_path / "cut.pitrace", trace[:cut], *statuses)


def test_flipped_bits(trace, tmp_path):
    generator = random.Random(2)
    offsets = chunk_offsets(trace)
    places = [("file header", 0, FILE_HEADER_BYTES)]
    for begin, end in zip(offsets, [*offsets[1:], len(trace)]):
        (header_bytes,) = struct.unpack_from("<I", trace, begin + 8)
        places.append((f"header of the chunk at {begin}", begin, begin + 64))
        places.append((f"tables of the chunk at {begin}", begin + 64, begin + header_bytes))
        places.append((f"payload of the chunk at {begin}", begin + header_bytes, end))
    for _, begin, end in places:
        for _ in range(6):
            if begin == end:
                continue
            damaged = bytearray(trace)
            damaged[generator.randrange(begin, end)] ^= 1 << generator.randrange(8)
            analyze(tmp_path / "flipped.pitrace", bytes(damaged), UNREADABLE, PARTIAL)


@pytest.mark.parametrize(
    "subcommand",
    ["info", "summary", "tokens", "ops", "nodes", "experts", "threads", "explain", "backends", "speculation"],
)
def test_not_a_trace(tmp_path, subcommand):
    analyze(tmp_path / "empty.pitrace", b"", UNREADABLE, subcommand=subcommand)
    text = b"tokens per second: 42\n" * 100
    analyze(tmp_path / "text.pitrace", text, UNREADABLE, subcommand=subcommand)


def test_future_version(trace, tmp_path):
    future = bytearray(trace)
    struct.pack_into("<H", future, 8, 99)
    struct.pack_into("<I", future, 60, zlib.crc32(future[:60]))
    assert "99" in analyze(tmp_path / "future.pitrace", bytes(future), UNREADABLE).stderr


def test_unknown_required_feature(trace, tmp_path):
    future = bytearray(trace)
    struct.pack_into("<Q", future, 16, 1 << 40)
    struct.pack_into("<I", future, 60, zlib.crc32(future[:60]))
    analyze(tmp_path / "feature.pitrace", bytes(future), UNREADABLE)


def test_no_such_file(tmp_path):
    missing = tmp_path / "missing.pitrace"
    assert str(missing) in commands.expect(commands.analyze("info", missing), UNREADABLE).stderr


def test_usage():
    commands.expect(commands.run(commands.PROF_ANALYZE, "no-such-subcommand"), USAGE)
    commands.expect(commands.run(commands.PROF_ANALYZE, "summary"), USAGE)


def test_trace_from_standard_input(trace):
    result = commands.run(commands.PROF_ANALYZE, "summary", "-", input=trace, text=False)
    assert result.returncode == commands.COMPLETE, result.stderr
