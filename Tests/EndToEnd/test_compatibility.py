"""Traces of every version of the format: old ones through every command, later minor ones with a warning, other major
ones refused. What the old ones hold is in the unit tests; here none of the commands may stop reading them."""

import struct
import zlib

import pytest

import commands
import everything
from commands import COMPLETE, PARTIAL, UNREADABLE

GOLDEN = sorted((commands.ROOT / "formats/golden").glob("*.pitrace"))
KNOWN = "1.1"
UNKNOWN_CHUNK, UNKNOWN_RECORD = 77, 140


def of_version(trace: bytes, major: int, minor: int) -> bytes:
    """The same trace, as a recorder of another version would have begun it."""
    header = bytearray(trace[:64])
    struct.pack_into("<HH", header, 8, major, minor)
    struct.pack_into("<I", header, 60, zlib.crc32(header[:60]))
    return bytes(header) + trace[64:]


def chunk(kind: int, number: int, time: int, payload: bytes, groups: list[tuple[int, int, int]], more: bytes) -> bytes:
    """A chunk of ROWS groups (type, bytes of a record, records) of one time, with `more` behind its tables."""
    header = bytearray(64 + 16 * len(groups)) + more
    count = sum(records for *_, records in groups)
    struct.pack_into(
        "<4sHHIIIIQQIHHII", header, 0,
        b"PICK", kind, 0, len(header), len(payload), len(payload), number, time, time, count, 0, len(groups),
        zlib.crc32(payload), 0,
    )  # fmt: skip
    for index, (record, size, records) in enumerate(groups):
        struct.pack_into("<BBHIII", header, 64 + 16 * index, record, 0, size, records, 0, 0)
    struct.pack_into("<I", header, 52, zlib.crc32(header))
    return bytes(header) + payload


def later(trace: bytes) -> bytes:
    """A trace of 1.9: a chunk of a new kind, and new records in a chunk with a longer header, before its END."""
    offsets, at = [], 64
    while at < len(trace):
        header_bytes, stored_bytes = struct.unpack_from("<II", trace, at + 8)
        offsets.append(at)
        at += header_bytes + stored_bytes
    end = offsets[-1]
    (number,) = struct.unpack_from("<I", trace, end + 20)
    last = bytearray(trace[end:])
    struct.pack_into("<I", last, 20, number + 2)
    (header_bytes,) = struct.unpack_from("<I", last, 8)
    struct.pack_into("<I", last, 52, 0)
    struct.pack_into("<I", last, 52, zlib.crc32(last[:header_bytes]))
    (time,) = struct.unpack_from("<Q", last, 24)
    record = struct.pack("<QIHBBII", time, 0, 0, UNKNOWN_RECORD, 0, 0, 0) + bytes(40)
    added = chunk(UNKNOWN_CHUNK, number, 0, b"from the future", [], b"")
    added += chunk(2, number + 1, time, 5 * record, [(UNKNOWN_RECORD, len(record), 5)], bytes(24))
    return of_version(trace[:end] + added + bytes(last), 1, 9)


def trace_of(tmp_path, name: str, data: bytes):
    path = tmp_path / f"{name}.pitrace"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda path: path.stem)
def test_every_command_reads_every_version(golden, tmp_path):
    """The golden traces have one lost record, which each command that reads events must say."""
    for ended in everything.run_all(golden, tmp_path):
        assert ended.status in (COMPLETE, PARTIAL), f"{ended.command}: {ended.status}\n{ended.stderr}"
        assert "version" not in ended.stderr
    assert (tmp_path / "saved.pitrace").read_bytes() == golden.read_bytes()


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda path: path.stem)
def test_later_minor_versions_are_read_with_a_warning(golden, tmp_path):
    """What is known in it is what an older version of the same trace holds."""
    old = trace_of(tmp_path, "old", golden.read_bytes())
    new = trace_of(tmp_path, "new", later(golden.read_bytes()))
    for table in everything.TABLES:
        before, after = (everything.run(table, trace, "--csv") for trace in (old, new))
        assert (before.status, before.stdout) == (after.status, after.stdout)
        (warning,) = [line for line in after.stderr.splitlines() if "version 1.9" in line]
        assert KNOWN in warning and "(records of unknown types: 5, chunks: 1)" in warning
    for command in ("info", "check"):
        ended = everything.run(command, new)
        assert ended.status in (COMPLETE, PARTIAL) and b"version 1.9" in ended.stdout
        assert b"newer prof-analyze" in ended.stdout and f"type {UNKNOWN_RECORD}".encode() in everything.run("info", new).stdout
    for ended in everything.run_all(new, tmp_path):
        assert ended.status in (COMPLETE, PARTIAL), f"{ended.command}: {ended.status}\n{ended.stderr}"
    assert (tmp_path / "saved.pitrace").read_bytes() == new.read_bytes()


def test_other_major_versions_are_refused(tmp_path):
    trace = trace_of(tmp_path, "future", of_version(GOLDEN[-1].read_bytes(), 2, 0))
    for ended in everything.run_all(trace, tmp_path):
        if "batch" in ended.command:
            assert ended.status == PARTIAL and "1 bad" in ended.stderr
            continue
        assert ended.status == UNREADABLE, f"{ended.command}: {ended.status}\n{ended.stderr}"
        assert ended.stdout == b"" and "version 2.0" in ended.stderr
        assert str(trace) in ended.stderr and "at least as new as the recorder" in ended.stderr
    assert not (tmp_path / "saved.pitrace").exists()
