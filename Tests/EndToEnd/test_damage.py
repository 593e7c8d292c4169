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


def salvage(path, output, status: int) -> str:
    return commands.expect(commands.analyze("check", path, "--salvage", output), status).stderr


def test_salvage_of_a_whole_trace(trace, tmp_path):
    path, output = tmp_path / "whole.pitrace", tmp_path / "saved.pitrace"
    path.write_bytes(trace)
    salvage(path, output, commands.COMPLETE)
    assert output.read_bytes() == trace
    # The trace itself is never written over.
    assert "this is the trace itself" in salvage(path, path, 5)
    assert path.read_bytes() == trace


def test_salvage_of_damage(trace, tmp_path):
    """A damaged header, garbage between chunks, a damaged payload and a cut: the rest is analysed as a trace."""
    offsets = chunk_offsets(trace)
    path, output = tmp_path / "damaged.pitrace", tmp_path / "saved.pitrace"
    damaged = bytearray(trace)
    damaged[20] ^= 0xFF
    path.write_bytes(bytes(damaged))
    commands.expect(commands.analyze("summary", path), UNREADABLE)
    assert "header is damaged and made anew" in salvage(path, output, PARTIAL)
    assert commands.table("ops", output)
    path.write_bytes(trace[: offsets[1]] + b"garbage" * 20 + trace[offsets[1] :])
    assert "140 bytes left out" in salvage(path, output, PARTIAL)
    assert output.read_bytes() == trace
    path.write_bytes(trace[: offsets[-1] + 30])
    said = salvage(path, output, PARTIAL)
    assert f"{len(offsets) - 1} whole chunks" in said
    result = commands.expect(commands.analyze("check", output), PARTIAL)
    assert "damage                  none" in result.stdout


def test_salvage_of_a_cut_chunk(trace, tmp_path):
    """Groups of records that are there to the last byte are saved of the chunk in which the file ends."""
    offsets = chunk_offsets(trace)
    events = max(range(len(offsets) - 1), key=lambda index: offsets[index + 1] - offsets[index])
    path, output = tmp_path / "cut.pitrace", tmp_path / "saved.pitrace"
    path.write_bytes(trace[: offsets[events + 1] - 1])
    said = salvage(path, output, PARTIAL)
    assert "no checksum vouches for" in said or f"{events} whole chunks" in said
    commands.expect(commands.analyze("ops", output), PARTIAL)


def test_salvage_of_something_else(tmp_path):
    path, output = tmp_path / "text.pitrace", tmp_path / "saved.pitrace"
    path.write_text("not a trace\n" * 100)
    assert "nothing can be saved" in salvage(path, output, UNREADABLE)
    assert not output.exists()
