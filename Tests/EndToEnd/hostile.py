"""Makes traces that nobody should trust out of a recorded one: names that are markup, tensors in circles, counts without
sense, metadata that is no text, chunks that grow without end. Their checksums are right: whoever can write a trace can do that."""

import json
import struct
import zlib
from collections.abc import Callable

import numpy

from faults import pitrace

ROWS, COLUMNS = 0, 1
TENSOR_HEAD_BYTES = 40
# Where a ggml_tensor has its fields; `layout` in the metadata says the same.
SHAPE, OP, SOURCES, VIEW_SOURCE, NAME, NAME_BYTES = 16, 80, 152, 232, 256, 64

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
    b"a;b;c 17",
    b"\x1b]0;title\x07\x1b[2J",
    "\u202egnp\u200b.exe\u0085".encode(),
    b"=HYPERLINK(\"http://x\")",
    b"<img src=x onerror=alert(1)>",
]
HUGE = "huge \"name\"\n" * 20_000

# Changes a record in place; gets its number among those of its type.
Change = Callable[[bytearray, int], None]


class Chunk:
    """Header, tables and payload of a chunk, taken apart."""

    def __init__(self, trace: bytes, at: int):
        self.kind, codec = struct.unpack_from("<HH", trace, at + 4)
        header_bytes, stored_bytes, raw_bytes = struct.unpack_from("<III", trace, at + 8)
        self.header = bytearray(trace[at : at + header_bytes])
        stored = trace[at + header_bytes : at + header_bytes + stored_bytes]
        self.payload = pitrace.expand(stored, raw_bytes) if codec else stored
        self.end = at + header_bytes + stored_bytes

    def change(self, changes: dict[int, Change], seen: dict[int, int]) -> None:
        """Applies the changes; groups of changed types become ROWS."""
        cpus, groups = struct.unpack_from("<HH", self.header, 44)
        payload, begin = b"", 0
        for index in range(groups):
            at = 64 + 16 * (cpus + index)
            kind, encoding, record_bytes, count, deltas = struct.unpack_from("<BBHII", self.header, at)
            part = self.payload[begin : begin + record_bytes * count]
            begin += len(part)
            if change := changes.get(kind):
                part = rows(part, count, record_bytes, deltas) if encoding == COLUMNS else part
                struct.pack_into("<BBHII", self.header, at, kind, ROWS, record_bytes, count, 0)
                records = [bytearray(part[i : i + record_bytes]) for i in range(0, len(part), record_bytes)]
                for record in records:
                    change(record, seen.get(kind, 0))
                    seen[kind] = seen.get(kind, 0) + 1
                part = b"".join(records)
            payload += part
        self.payload = payload

    def sealed(self) -> bytes:
        """The chunk with its payload stored as it is, and its checksums."""
        return sealed(self.header, 0, self.payload, len(self.payload))


def sealed(header: bytearray, codec: int, stored: bytes, raw_bytes: int) -> bytes:
    struct.pack_into("<H", header, 6, codec)
    struct.pack_into("<II", header, 12, len(stored), raw_bytes)
    struct.pack_into("<I", header, 48, zlib.crc32(stored))
    struct.pack_into("<I", header, 52, 0)
    struct.pack_into("<I", header, 52, zlib.crc32(header))
    return bytes(header) + stored


def rows(part: bytes, count: int, record_bytes: int, deltas: int) -> bytes:
    first, *words = pitrace.columns(part, count, record_bytes, deltas)
    halves = [first.view("<u4")[0::2], first.view("<u4")[1::2]]
    return numpy.stack([*halves, *words], axis=1).astype("<u4").tobytes()


def chunks(trace: bytes) -> list[Chunk]:
    found, at = [], struct.unpack_from("<I", trace, 12)[0]
    while at < len(trace):
        found.append(Chunk(trace, at))
        at = found[-1].end
    return found


def header(trace: bytes) -> bytes:
    return trace[: struct.unpack_from("<I", trace, 12)[0]]


def changed(
    trace: bytes, changes: dict[int, Change], metadata: Callable[[bytes], bytes] | None = None, *, rare: int | None = None
) -> bytes:
    """The trace with its records, and the text of each metadata chunk, changed; fails where a type does not occur, but
    for one that is `rare`."""
    result, seen = header(trace), {}
    for chunk in chunks(trace):
        if chunk.kind == pitrace.METADATA:
            chunk.payload = metadata(chunk.payload) if metadata else chunk.payload
        else:
            chunk.change(changes, seen)
        result += chunk.sealed()
    assert set(changes) - set(seen) <= {rare}, f"no records of types {set(changes) - set(seen)}"
    return result


def forge(trace: bytes) -> bytes:
    """Other names of all tensors, operators, threads, counters and of the command."""

    def tensor(record: bytearray, index: int) -> None:
        name = TENSOR_HEAD_BYTES + NAME
        record[name : name + NAME_BYTES] = NAMES[index % len(NAMES)].ljust(NAME_BYTES, b"\x00")

    def thread(record: bytearray, index: int) -> None:
        record[32:48] = NAMES[index % len(NAMES)][:16].ljust(16, b"\x00")

    return changed(trace, {pitrace.TENSOR: tensor, pitrace.THREAD: thread}, forge_metadata, rare=pitrace.THREAD)


def forge_metadata(text: bytes) -> bytes:
    found = json.loads(text)
    if "target" in found:
        found["target"]["command"] = [HUGE, '"', "\x00"]
    if "engine" in found:
        names = found["engine"].get("op_names", [])
        found["engine"]["op_names"] = [f'{name}"\n\\' for name in names]
    if "machine" in found:
        found["machine"]["hostname"] = "host\n\x1b[2J\"><script>alert(1)</script>"
        found["machine"]["cpu_model"] = "\u202eCPU\x07 </td>"
    for library in found.get("libraries", []):
        library["path"] = f"/tmp/\n{library['path']}\x1b[31m"
    for site in found.get("sites", []):
        site["function"] = f"<b>{site.get('function')}\n"
    for counter in found.get("counters", []):
        counter["name"] = f"{counter['name']}\"\n"
    found["notes"] = found.get("notes", []) + ["a note\nof two lines\x1b[0m<script>alert(1)</script>"]
    return json.dumps(found).encode()


def addresses(trace: bytes) -> list[int]:
    """Of all tensors, in the order of their records."""
    found = []
    changed(trace, {pitrace.TENSOR: lambda record, _: found.append(struct.unpack_from("<Q", record, 24)[0])})
    return found


def circular(trace: bytes) -> bytes:
    """Each tensor reads the one after it, and the last the first, beside what it read before."""
    known = addresses(trace)

    def tensor(record: bytearray, index: int) -> None:
        next_one = known[(index + 1) % len(known)]
        struct.pack_into("<Q", record, TENSOR_HEAD_BYTES + SOURCES, next_one)

    return changed(trace, {pitrace.TENSOR: tensor})


def circular_views(trace: bytes) -> bytes:
    """Each tensor is a view of the one after it, and of itself where it was one before."""
    known = addresses(trace)

    def tensor(record: bytearray, index: int) -> None:
        (was,) = struct.unpack_from("<Q", record, TENSOR_HEAD_BYTES + VIEW_SOURCE)
        target = known[index] if was else known[(index + 1) % len(known)]
        struct.pack_into("<Q", record, TENSOR_HEAD_BYTES + VIEW_SOURCE, target)

    return changed(trace, {pitrace.TENSOR: tensor})


def absurd_counts(trace: bytes) -> bytes:
    """Every count of a record at its limits by turns: the largest, the most negative, none."""
    limits = [2**64 - 1, 2**63, 2**63 - 1, 2**32 - 1, 2**31, 2**31 - 1, 1, 0]

    def fill(*fields: tuple[str, int]) -> Change:
        def change(record: bytearray, index: int) -> None:
            for place, (code, offset) in enumerate(fields):
                if offset + struct.calcsize(code) <= len(record):
                    bits = 8 * struct.calcsize(code)
                    value = limits[(index + place) % len(limits)] % 2**bits
                    struct.pack_into(f"<{code}", record, offset, value)

        return change

    shape = [("Q", TENSOR_HEAD_BYTES + SHAPE + 8 * i) for i in range(8)]
    return changed(
        trace,
        {
            1: fill(("I", 20)),  # tokens
            3: fill(("I", 20), ("I", 32), ("I", 36)),  # tokens, position, sequences
            5: fill(("I", 48), ("I", 52)),  # nodes, threads
            10: fill(("I", 48), ("I", 52)),
            11: fill(("I", 24), ("I", 28)),  # first node, nodes
            pitrace.TENSOR: fill(("I", 32), *shape),
            13: fill(("I", 24), ("I", 28), ("I", 32), ("I", 36)),
            14: fill(("I", 24), ("I", 28), ("I", 32), ("I", 40), ("I", 44)),  # token, tokens, experts, and which
            128: fill(("Q", 24), ("Q", 32)),  # clocks
            129: fill(("Q", 24), ("Q", 32), ("Q", 40), ("Q", 48)),  # losses
            130: fill(("Q", 24), ("Q", 32), ("Q", 40), ("Q", 48)),  # the recorder's cost
            132: fill(("I", 20), ("Q", 24)),  # sites and hits
            134: fill(("Q", 24), ("Q", 32), ("I", 40)),
        },
    )


def absurd_shapes(trace: bytes) -> bytes:
    """Shapes and strides only, so that the graphs stay whole and all that is computed from them is."""
    limits = [2**63 - 1, 2**62, 2**32, 2**63, 1, 0]

    def tensor(record: bytearray, index: int) -> None:
        for place in range(8):
            struct.pack_into("<Q", record, TENSOR_HEAD_BYTES + SHAPE + 8 * place, limits[(index + place) % len(limits)])

    return changed(trace, {pitrace.TENSOR: tensor})


def crowd(trace: bytes) -> bytes:
    """Every operator on a thread of its own."""

    def thread(record: bytearray, index: int) -> None:
        struct.pack_into("<I", record, 8, 1_000_000 + index)

    return changed(trace, {7: thread})


def not_text(trace: bytes) -> bytes:
    """Bytes in the strings of the metadata that are no UTF-8."""
    return changed(trace, {}, lambda text: text.replace(b'"name":"ggml"', b'"name":"gg\xff\xfe\xc3("'))


def nested(trace: bytes) -> bytes:
    """Arrays in arrays, deeper than any stack."""
    return changed(trace, {}, lambda text: b'{"target":' + b"[" * 500_000 + b"]" * 500_000 + b"}")


def bombs(trace: bytes, count: int) -> bytes:
    """`count` chunks of 16 MiB of zeros, each some 500 bytes of zstd, before the END chunk."""
    *first, last = chunks(trace)
    raw_bytes = 16 << 20
    result = header(trace) + b"".join(chunk.sealed() for chunk in first)
    number = len(first)
    for index in range(count):
        head = bytearray(64 + 16)
        struct.pack_into("<4sHHI", head, 0, b"PICK", pitrace.EVENTS, 0, len(head))
        struct.pack_into("<I", head, 20, number + index)
        struct.pack_into("<IHH", head, 40, raw_bytes // 64, 0, 1)
        struct.pack_into("<BBHI", head, 64, 200, ROWS, 64, raw_bytes // 64)
        result += sealed(head, 1, zeros(raw_bytes), raw_bytes)
    struct.pack_into("<I", last.header, 20, number + count)
    return result + last.sealed()


def lying_bomb(trace: bytes, tells_size: bool) -> bytes:
    """An END chunk that claims its usual size, of which zstd would make a gigabyte."""
    *first, last = chunks(trace)
    stored = zeros(1 << 30, tells_size)
    return header(trace) + b"".join(chunk.sealed() for chunk in first) + sealed(last.header, 1, stored, len(last.payload))


def zeros(count: int, tells_size: bool = True) -> bytes:
    """A zstd frame of so many zeros (RFC 8878): blocks of 128 KiB that are one byte, repeated. By hand, since a library
    would want the zeros."""
    block = 128 << 10
    assert count % block == 0
    # A window of 128 KiB; then the size of the content, or nothing of it.
    frame = struct.pack("<IBBI", 0xFD2FB528, 0x80, 7 << 3, count) if tells_size else struct.pack("<IBB", 0xFD2FB528, 0, 7 << 3)
    for index in range(count // block):
        is_last = index == count // block - 1
        frame += (block << 3 | 1 << 1 | is_last).to_bytes(3, "little") + b"\0"
    return frame
