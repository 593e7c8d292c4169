"""Makes a trace of names that nobody should trust: quotes, line ends, no UTF-8, far too long."""

import json
import struct
import zlib

from faults import pitrace

TENSOR = 12
TENSOR_HEAD_BYTES = 40
ROWS = 0
# Where a ggml_tensor has its name; `layout` in the metadata says the same.
NAME_OFFSET, NAME_BYTES = 256, 64

NAMES = [
    b'"}],"x":[{"',
    b"back\\slash\\",
    b"line\nbreak\r\t\x01\x1f\x7f",
    b"\xff\xfe\xc3(\xf0\x9f\x98",
    "ünïcödé 🙂 \u2028".encode(),
    b"</script><!--",
    b"%s%n../../etc/passwd; drop table slice; --",
    b"x" * NAME_BYTES,
    b"",
]
HUGE = "huge \"name\"\n" * 20_000


def forge(trace: bytes) -> bytes:
    """The trace with other names of all its tensors, operators, counters and of its command."""
    at = struct.unpack_from("<I", trace, 12)[0]
    result, tensors = bytearray(trace[:at]), 0
    while at < len(trace):
        header_bytes, stored_bytes, raw_bytes = struct.unpack_from("<III", trace, at + 8)
        kind, codec = struct.unpack_from("<HH", trace, at + 4)
        header = bytearray(trace[at : at + header_bytes])
        stored = trace[at + header_bytes : at + header_bytes + stored_bytes]
        payload = bytearray(pitrace.expand(stored, raw_bytes) if codec else stored)
        if kind == pitrace.METADATA:
            payload = bytearray(metadata(json.loads(payload)))
        else:
            tensors += rename(header, payload)
        result += sealed(header, payload)
        at += header_bytes + stored_bytes
    assert tensors > 100
    return bytes(result)


def metadata(found: dict) -> bytes:
    if "target" in found:
        found["target"]["command"] = [HUGE, '"', "\x00"]
    if "engine" in found:
        names = found["engine"].get("op_names", [])
        found["engine"]["op_names"] = [f'{name}"\n\\' for name in names]
    for counter in found.get("counters", []):
        counter["name"] = f"{counter['name']}\"\n"
    return json.dumps(found).encode()


def rename(header: bytearray, payload: bytearray) -> int:
    """Gives the tensors of a chunk names in turn; returns how many there are."""
    cpus, groups = struct.unpack_from("<HH", header, 44)
    begin = count = 0
    for index in range(groups):
        kind, encoding, record_bytes, records = struct.unpack_from("<BBHI", header, 64 + 16 * (cpus + index))
        if kind == TENSOR:
            assert encoding == ROWS
            for record in range(records):
                name = begin + record * record_bytes + TENSOR_HEAD_BYTES + NAME_OFFSET
                payload[name : name + NAME_BYTES] = NAMES[count % len(NAMES)].ljust(NAME_BYTES, b"\x00")
                count += 1
        begin += record_bytes * records
    return count


def sealed(header: bytearray, payload: bytes) -> bytes:
    """A chunk with its payload stored as it is, and its checksums."""
    struct.pack_into("<H", header, 6, 0)
    struct.pack_into("<II", header, 12, len(payload), len(payload))
    struct.pack_into("<I", header, 48, zlib.crc32(payload))
    struct.pack_into("<I", header, 52, 0)
    struct.pack_into("<I", header, 52, zlib.crc32(header))
    return bytes(header) + payload
