"""Runs a Kaitai Struct description: the part of the language that formats/pitrace.ksy uses, and nothing else.

Kaitai's own compiler is a Java program that neither Debian nor PyPI carries, so the description is interpreted here, over
the official runtime's stream. Whatever key or word is not known here is an error: a description that this runs has no part that
was passed over. What a key means is as https://doc.kaitai.io/user_guide.html says.
"""

import ctypes
import ctypes.util
import io
import pathlib
import re

import yaml
from kaitaistruct import KaitaiStream

ATTRIBUTE_KEYS = {
    "id", "type", "contents", "size", "size-eos", "repeat", "repeat-expr", "process", "enum", "encoding",
}  # fmt: skip
TYPE_KEYS = {"seq", "params"}
ROOT_KEYS = TYPE_KEYS | {"meta", "types", "enums"}
NUMBERS = {f"{sign}{size}": f"read_{sign}{size}" for sign in "us" for size in (1, 2, 4, 8)}

zstd = ctypes.CDLL(ctypes.util.find_library("zstd"))
zstd.ZSTD_decompress.restype = ctypes.c_size_t
zstd.ZSTD_decompress.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t]


class Struct:
    """A parsed type; its fields are attributes."""


def pitrace_codec(data: bytes, codec: int, raw_bytes: int) -> bytes:
    if codec == 0:
        return data
    assert codec == 1, f"codec {codec}"
    room = ctypes.create_string_buffer(max(raw_bytes, 1))
    assert zstd.ZSTD_decompress(room, raw_bytes, data, len(data)) == raw_bytes
    return room.raw[:raw_bytes]


def pitrace_rows(data: bytes, encoding: int, record_bytes: int, count: int, delta_columns: int) -> bytes:
    """TRACE-FORMAT.md, section 2, in the plainest way."""
    if encoding == 0:
        return data
    assert encoding == 1, f"encoding {encoding}"
    widths = [8] + [4] * ((record_bytes - 8) // 4)
    rows = [bytearray() for _ in range(count)]
    at = 0
    for column, width in enumerate(widths):
        previous, limit = 0, 1 << 8 * width
        for row in range(count):
            value = sum(data[at + plane * count + row] << 8 * plane for plane in range(width))
            if delta_columns >> column & 1:
                value = (previous + ((value >> 1) ^ -(value & 1))) % limit
                previous = value
            rows[row] += value.to_bytes(width, "little")
        at += width * count
    return b"".join(rows)


PROCESSES = {"pitrace_codec": pitrace_codec, "pitrace_rows": pitrace_rows}


class Description:
    def __init__(self, path: pathlib.Path):
        self.root = yaml.safe_load(path.read_text(encoding="utf-8"))
        self._only(self.root, ROOT_KEYS, path.name)
        self.types = self.root["types"]
        self.enums = {name: {value: key for key, value in values.items()} for name, values in self.root["enums"].items()}
        assert self.root["meta"]["endian"] == "le"
        for name, type_ in self.types.items():
            self._only(type_, TYPE_KEYS, name)
        for name, type_ in [("root", self.root), *self.types.items()]:
            for attribute in type_["seq"]:
                self._only(attribute, ATTRIBUTE_KEYS, f"{name}.{attribute['id']}")
        self._used: set[str] = set()

    @staticmethod
    def _only(mapping: dict, known: set[str], where: str):
        assert not (unknown := set(mapping) - known), f"{where}: {unknown} is not understood"

    def parse(self, data: bytes) -> Struct:
        return self._parse(self.root, KaitaiStream(io.BytesIO(data)), None, {})

    def unused(self) -> set[str]:
        """Types that nothing parsed so far has had."""
        return set(self.types) - self._used

    def _evaluate(self, expression, struct: Struct, index: int | None):
        if not isinstance(expression, str):
            return expression
        text = re.sub(r"(\w+)::(\w+)", lambda found: str(self.enums[found[1]][found[2]]), expression)
        assert re.fullmatch(r"[\w\s.\[\]()+*-]+", text), f"{expression} is not understood"
        return eval(text, {"__builtins__": {}}, vars(struct) | {"_index": index})

    def _parse(self, type_: dict, stream: KaitaiStream, parent: Struct | None, parameters: dict) -> Struct:
        struct = Struct()
        struct._parent = parent
        vars(struct).update(parameters)
        for attribute in type_["seq"]:
            repeat = attribute.get("repeat")
            if repeat is None:
                value = self._attribute(attribute, stream, struct, None)
            elif repeat == "expr":
                count = self._evaluate(attribute["repeat-expr"], struct, None)
                value = [self._attribute(attribute, stream, struct, index) for index in range(count)]
            else:
                assert repeat == "eos", repeat
                value = []
                while not stream.is_eof():
                    value.append(self._attribute(attribute, stream, struct, len(value)))
            setattr(struct, attribute["id"], value)
        return struct

    def _attribute(self, attribute: dict, stream: KaitaiStream, struct: Struct, index: int | None):
        if "contents" in attribute:
            wanted = attribute["contents"]
            wanted = wanted.encode() if isinstance(wanted, str) else bytes(wanted)
            found = stream.read_bytes(len(wanted))
            assert found == wanted, f"{attribute['id']}: {found!r} is not {wanted!r}"
            return found
        type_ = attribute.get("type")
        if isinstance(type_, dict):
            value = self._evaluate(type_["switch-on"], struct, index)
            cases = {self._evaluate(key, struct, index) if key != "_" else key: name for key, name in type_["cases"].items()}
            type_ = cases.get(value, cases.get("_"))
        if type_ in NUMBERS:
            value = getattr(stream, NUMBERS[type_] + ("" if type_[1] == "1" else "le"))()
            return value
        if "size" in attribute or attribute.get("size-eos"):
            data = stream.read_bytes(self._evaluate(attribute["size"], struct, index)) if "size" in attribute else stream.read_bytes_full()
            if process := attribute.get("process"):
                name, arguments = re.fullmatch(r"(\w+)\((.*)\)", process).groups()
                values = [self._evaluate(argument.strip(), struct, index) for argument in arguments.split(",")]
                data = PROCESSES[name](data, *values)
            if type_ is None:
                return data
            if type_ == "str":
                return data.decode(attribute["encoding"])
            stream = KaitaiStream(io.BytesIO(data))
        name, _, arguments = type_.partition("(")
        self._used.add(name)
        parameters = {}
        if arguments:
            values = [self._evaluate(argument, struct, index) for argument in arguments.removesuffix(")").split(",")]
            parameters = dict(zip([parameter["id"] for parameter in self.types[name]["params"]], values, strict=True))
        return self._parse(self.types[name], stream, struct, parameters)
