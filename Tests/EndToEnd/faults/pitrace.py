"""Reads a trace as formats/TRACE-FORMAT.md describes it, so that what the recorder wrote is not judged by the
analyzer alone: every number of every record, and what the recorder says it lost."""

import ctypes
import ctypes.util
import json
import pathlib
import struct
import zlib
from collections import defaultdict
from dataclasses import dataclass, field

import numpy

FILE_HEADER_BYTES = 64
METADATA, EVENTS, END = 1, 2, 3
COLUMNS = 1
# The types below are written by the BPF programs and carry a number of their CPU.
FIRST_RECORDER_TYPE = 128
TOKEN_BEGIN, TOKEN_END, TENSOR, LOSS, THREAD = 1, 2, 12, 129, 131

zstd = ctypes.CDLL(ctypes.util.find_library("zstd"))
zstd.ZSTD_decompress.restype = ctypes.c_size_t
zstd.ZSTD_decompress.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t]


@dataclass
class Record:
    time_ns: int
    tid: int
    cpu: int
    type: int
    flags: int
    sequence: int
    ref: int
    # What follows the head, as u32: fields of the type, then counter values.
    words: list[int]

    def values(self, columns: int) -> list[int]:
        """Counter values, which are 64 bits wide and come last."""
        last = self.words[-2 * columns :]
        return [low | high << 32 for low, high in zip(last[::2], last[1::2])]


@dataclass
class Trace:
    is_ended: bool = False
    chunks: int = 0
    # Bytes behind the last whole chunk.
    rest: int = 0
    metadata: list[dict] = field(default_factory=list)
    # Per CPU: the numbers of the records that are there, in no order.
    numbers: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    # Per CPU, as the last LOSS record tells: how many found no room, how many numbers were given out.
    lost: dict[int, int] = field(default_factory=dict)
    given: dict[int, int] = field(default_factory=dict)
    # How many records of each type each thread wrote.
    counts: dict[tuple[int, int], int] = field(default_factory=lambda: defaultdict(int))
    # Those of the types that were asked for, by group and chunk.
    records: list[Record] = field(default_factory=list)

    def count(self, kind: int, tid: int | None = None) -> int:
        return sum(n for (type_, thread), n in self.counts.items() if type_ == kind and tid in (None, thread))

    def missing(self, cpu: int) -> int:
        """Numbers that were given out and are not there; each must be there at most once."""
        numbers = self.numbers[cpu]
        assert len(numbers) == len(set(numbers)), f"a number of CPU {cpu} was given out twice"
        return self.given[cpu] - len(numbers)


def expand(stored: bytes, raw_bytes: int) -> bytes:
    raw = ctypes.create_string_buffer(raw_bytes)
    assert zstd.ZSTD_decompress(raw, raw_bytes, stored, len(stored)) == raw_bytes
    return raw.raw


def columns(payload: bytes, count: int, record_bytes: int, deltas: int) -> list[numpy.ndarray]:
    found, at = [], 0
    for index in range((record_bytes - 8) // 4 + 1):
        width = 4 if index else 8
        planes = numpy.frombuffer(payload, numpy.uint8, width * count, at).reshape(width, count)
        values = numpy.ascontiguousarray(planes.T).view(f"<u{width}").ravel().copy()
        if deltas >> index & 1:
            one = values.dtype.type(1)
            values = numpy.add.accumulate((values >> one) ^ (~(values & one) + one), dtype=values.dtype)
        found.append(values)
        at += width * count
    assert at == len(payload)
    return found


def rows(payload: bytes, count: int, record_bytes: int) -> list[numpy.ndarray]:
    words = numpy.frombuffer(payload, "<u4").reshape(count, record_bytes // 4)
    return [words[:, 0]] + [words[:, at] for at in range(2, record_bytes // 4)]


def read(path: pathlib.Path, keep: frozenset[int] = frozenset()) -> Trace:
    data, trace, at = path.read_bytes(), Trace(), FILE_HEADER_BYTES
    assert data[:8] == b"\x93PITR\r\n\x1a", "not a trace"
    while len(data) - at >= 64:
        magic, kind, codec, header_bytes, stored_bytes, raw_bytes, number = struct.unpack_from("<4sHHIIII", data, at)
        assert (magic, number) == (b"PICK", trace.chunks), f"no chunk {trace.chunks} at byte {at}"
        cpus, groups, checksum = struct.unpack_from("<HHI", data, at + 44)
        stored = data[at + header_bytes : at + header_bytes + stored_bytes]
        if len(stored) < stored_bytes:
            break
        assert zlib.crc32(stored) == checksum
        payload = expand(stored, raw_bytes) if codec else stored
        if kind == METADATA:
            trace.metadata.append(json.loads(payload))
        else:
            take(trace, payload, data[at + 64 + 16 * cpus :][: 16 * groups], keep)
        trace.is_ended |= kind == END
        trace.chunks += 1
        at += header_bytes + stored_bytes
    trace.rest = len(data) - at
    return trace


def take(trace: Trace, payload: bytes, table: bytes, keep: frozenset[int]) -> None:
    begin = 0
    for kind, encoding, record_bytes, count, deltas, _ in struct.iter_unpack("<BBHIII", table):
        part = payload[begin : begin + record_bytes * count]
        begin += record_bytes * count
        words = columns(part, count, record_bytes, deltas) if encoding == COLUMNS else rows(part, count, record_bytes)
        cpus = words[2] & 0xFFFF
        if kind in keep:
            for time_ns, tid, place, sequence, ref, *rest in zip(*(column.tolist() for column in words)):
                trace.records.append(
                    Record(time_ns, tid, place & 0xFFFF, kind, place >> 24, sequence, ref, rest)
                )
        for tid, records in zip(*numpy.unique(words[1], return_counts=True)):
            trace.counts[kind, int(tid)] += int(records)
        if kind < FIRST_RECORDER_TYPE:
            for cpu in numpy.unique(cpus):
                trace.numbers[int(cpu)] += words[3][cpus == cpu].tolist()
        elif kind == LOSS:
            for index in range(count):
                # Four 64-bit values, the lower halves first.
                low, high = ([int(column[index]) for column in words[first:13:2]] for first in (5, 6))
                trace.lost[int(cpus[index])] = low[0] | high[0] << 32
                trace.given[int(cpus[index])] = low[3] | high[3] << 32
    assert begin == len(payload)
