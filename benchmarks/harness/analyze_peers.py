"""Other programs at what prof-analyze does, and what they read."""

import pathlib
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

import places

PARTS = {"quadratic": 5_000, "vectorised": 2_000_000, "orjson": 1_000_000, "calls": 3_000_000}


class Inputs:
    """The operators of a trace in the peers' formats."""

    def __init__(self, trace: pathlib.Path, folder: pathlib.Path):
        self.trace = trace
        self.csv, self.parquet, self.binary = (folder / f"operators.{kind}" for kind in ("csv", "parquet", "bin"))
        self.calls = folder / "uftrace.data"
        self._counted = folder / "operators.txt"

    def prepare(self) -> None:
        if not self._counted.exists():
            # In a process of its own: the memory of the one that starts a command counts as the command's.
            subprocess.run([sys.executable, __file__, self.trace, self.csv.parent], check=True)
        self.rows = int(self._counted.read_text())

    def make(self) -> None:
        import duckdb

        export = [places.ANALYZER, "export", self.trace, "-o", self.csv, "--what", "operators", "--format", "csv"]
        subprocess.run(export, check=True)
        connection = duckdb.connect()
        connection.execute(f"copy (from '{self.csv}') to '{self.parquet}' (format parquet, compression zstd)")
        self.rows = connection.execute(f"select count(*) from '{self.parquet}'").fetchall()[0][0]
        self._write_binary()
        program = [places.PROGRAMS / "calls", str(PARTS["calls"])]
        subprocess.run(["uftrace", "record", "-d", self.calls, "--buffer", "64M", *program], check=True)
        self._counted.write_text(str(self.rows))

    def _write_binary(self) -> None:
        """As printf_chrome.c reads it: the names, then a structure for each operator."""
        import numpy
        from pyarrow import parquet

        kinds = [("start_ns", "<i8"), ("duration_ns", "<i8"), ("tid", "<i4"), ("step", "<i4"), ("op", "<i4"), ("node", "<i4")]
        columns = parquet.read_table(self.parquet, columns=[name for name, _ in kinds])
        records = numpy.zeros(self.rows, dtype=kinds)
        with open(self.binary, "wb") as file:
            for key in ("op", "node"):
                coded = columns[key].combine_chunks().dictionary_encode()
                records[key] = coded.indices.to_numpy()
                file.write(struct.pack("<i", len(coded.dictionary)))
                for name in coded.dictionary.to_pylist():
                    file.write((name or "").encode()[:63].ljust(64, b"\0"))
            for key in ("start_ns", "duration_ns", "tid", "step"):
                records[key] = columns[key].fill_null(0).to_numpy()
            file.write(records.tobytes())


@dataclass(frozen=True)
class Peer:
    name: str
    input: str
    command: Callable[[Inputs], list[str]]
    events: Callable[[Inputs], int] = lambda inputs: 0
    is_quick: bool = True
    remark: str = ""


def _script(name: str, *arguments) -> list[str]:
    return [sys.executable, str(places.PEERS / name), *map(str, arguments)]


# A begin and an end for each operator, where pairing them is part of the work.
STATISTICS = [
    Peer("DuckDB", "10 million operators, Parquet, zstd", lambda inputs: _script("duckdb_ops.py", inputs.parquet, 1),
         lambda inputs: inputs.rows, remark="begin and end are paired already in what it reads"),
    Peer("DuckDB", "10 million operators, CSV", lambda inputs: _script("duckdb_ops.py", inputs.csv, 1),
         lambda inputs: inputs.rows),
    Peer("pandas, vectorised", "2 million operators, CSV",
         lambda inputs: _script("pandas_ops.py", "vectorised", inputs.csv, PARTS["vectorised"]),
         lambda inputs: 2 * PARTS["vectorised"]),
    Peer("pandas, row by row", "5,000 operators, CSV",
         lambda inputs: _script("pandas_ops.py", "quadratic", inputs.csv, PARTS["quadratic"]),
         lambda inputs: 2 * PARTS["quadratic"], is_quick=False,
         remark="each begin looks for its end among all events, so twice as many operators take four times as long"),
]  # fmt: skip

CHROME = [
    Peer("C, `printf`", "10 million operators, binary, paired",
         lambda inputs: [str(places.PROGRAMS / "printf_chrome"), str(inputs.binary)]),
    Peer("Python, orjson", "1 million operators, CSV", lambda inputs: _script("orjson_chrome.py", inputs.csv, PARTS["orjson"])),
    Peer("`uftrace dump --chrome`", "3 million calls of its own",
         lambda inputs: ["uftrace", "dump", "--chrome", "-d", str(inputs.calls)]),
]  # fmt: skip

if __name__ == "__main__":
    Inputs(*map(pathlib.Path, sys.argv[1:3])).make()
