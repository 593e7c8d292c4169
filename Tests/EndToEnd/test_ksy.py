"""formats/pitrace.ksy, an independent description of the format, against the golden traces, a real one and prof-analyze."""

import collections
import json
import re
import zlib

import pytest

import commands
import ksy
from commands import Workload

KSY = commands.ROOT / "formats/pitrace.ksy"
GOLDEN = sorted((commands.ROOT / "formats/golden").glob("*.pitrace"))


def counted_by_prof_analyze(trace) -> dict[str, int]:
    """The counts of the record types that `info` prints."""
    text = commands.expect(commands.analyze("info", trace), commands.COMPLETE, commands.PARTIAL).stdout
    rows = re.search(r"\n  type +count\n((?:  \w+ +\d+\n)+)", text)[1].splitlines()
    return {name.lower(): int(count) for name, count in map(str.split, rows)}


def check(trace) -> ksy.Struct:
    data = trace.read_bytes()
    description = ksy.Description(KSY)
    parsed = description.parse(data)
    names = {number: name for name, number in description.enums["record_type"].items()}
    counts = collections.Counter()
    at = parsed.header.header_bytes
    for number, chunk in enumerate(parsed.chunks):
        assert chunk.number == number
        header = bytearray(data[at : at + chunk.header_bytes])
        header[52:56] = bytes(4)
        assert zlib.crc32(header) == chunk.header_crc32
        stored = data[at + chunk.header_bytes : at + chunk.header_bytes + chunk.stored_bytes]
        assert zlib.crc32(stored) == chunk.payload_crc32
        at += chunk.header_bytes + chunk.stored_bytes
        if chunk.kind == description.enums["chunk_kind"]["metadata"]:
            json.loads(chunk.payload.json)
            continue
        records = [(group.info, record) for group in chunk.payload.groups for record in group.records]
        assert len(records) == chunk.record_count
        for info, record in records:
            assert record.type == info.type
            counts[names[record.type]] += 1
        times = [record.time_ns for _, record in records]
        assert (min(times), max(times)) == (chunk.first_time_ns, chunk.last_time_ns)
        for cpu in chunk.cpus:
            own = [record.sequence for _, record in records if record.cpu == cpu.cpu and record.type < 128]
            assert (len(own), min(own), max(own)) == (cpu.count, cpu.first_sequence, cpu.last_sequence)
    assert at == len(data)
    assert counts == counted_by_prof_analyze(trace)
    end = parsed.chunks[-1].payload.groups[-1].records[-1]
    assert names[end.type] == "end" and end.body.chunks == len(parsed.chunks) - 1
    return parsed


@pytest.mark.parametrize("trace", GOLDEN, ids=lambda path: path.name)
def test_golden_traces(trace):
    parsed = check(trace)
    assert f"v{parsed.header.major}.{parsed.header.minor}" in trace.name


def test_every_type_is_in_the_goldens():
    description = ksy.Description(KSY)
    for trace in GOLDEN:
        description.parse(trace.read_bytes())
    assert description.unused() == set()


def test_real_trace(tmp_path):
    trace = tmp_path / "real.pitrace"
    options = ["--sched", "--pmc", "page-faults,task-clock"]
    commands.expect(commands.record(trace, Workload("moe-q4_0", 1, tokens=3).command(), *options), 0)
    parsed = check(trace)
    # Values that prof-analyze prints, from the bytes: the token steps' durations.
    durations, open_steps = [], {}
    records = [
        record for chunk in parsed.chunks if chunk.kind != 1 for group in chunk.payload.groups for record in group.records
    ]
    for record in sorted(records, key=lambda record: record.time_ns):
        if record.type == 1:
            open_steps[record.tid] = record.time_ns
        elif record.type == 2:
            durations.append(record.time_ns - open_steps.pop(record.tid))
    assert durations == [int(row["duration_ns"]) for row in commands.table("tokens", trace)]


def test_what_is_not_understood_is_refused(tmp_path):
    text = KSY.read_text()
    for old, new in [("repeat: eos", "repeat: until"), ("size: 16", "terminator: 0"), ("- 64", "/ 64")]:
        changed = tmp_path / "changed.ksy"
        changed.write_text(text.replace(old, new, 1))
        with pytest.raises((AssertionError, KeyError)):
            ksy.Description(changed).parse(GOLDEN[0].read_bytes())
