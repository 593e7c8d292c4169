"""Exported events as Parquet: DIR/EVENTS/trace=NAME/part.parquet, which DuckDB, Spark, pandas and Polars read as one table."""

import argparse
import csv
import io
import os
import pathlib
import subprocess
import sys
import urllib.parse

import duckdb

# Columns that are not whole numbers; yes and no become booleans. Counters have the names they were asked for by.
TEXTS = {"node", "op", "type", "part", "phase", "context", "backend", "kind", "activity", "inside", "preemptor"}
BOOLEANS = {"main", "repaired", "complete", "migration"}
RATIOS = {"coverage"}


def first_record(descriptor: int) -> list[str]:
    """The names of the columns, which may hold line ends. Byte by byte: what is behind it is for somebody else."""
    record = b""
    while not record.endswith(b"\r\n") or record.count(b'"') % 2:
        byte = os.read(descriptor, 1)
        if not byte:
            return []
        record += byte
    return next(csv.reader(io.StringIO(record.decode(), newline="")))


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def convert(analyzer: str, trace: pathlib.Path, events: str, output: pathlib.Path) -> int:
    """Writes one file. Returns the exit status of prof-analyze: 0, or 4 for a trace with losses."""
    export = subprocess.Popen(
        [analyzer, "export", trace, "-o", "-", "--what", events, "--format", "csv"], stdout=subprocess.PIPE
    )
    names = first_record(export.stdout.fileno())
    if names:
        types = {name: "VARCHAR" if name in TEXTS | BOOLEANS else "DOUBLE" if name in RATIOS else "BIGINT" for name in names}
        yes = ", ".join(f"{quoted(name)} = 'yes' as {quoted(name)}" for name in names if name in BOOLEANS)
        source = f"/dev/fd/{export.stdout.fileno()}"
        output.parent.mkdir(parents=True, exist_ok=True)
        part = output.with_suffix(".part")
        connection = duckdb.connect()
        connection.execute("set preserve_insertion_order = true")
        connection.execute(
            f"copy (select * {f'replace ({yes})' if yes else ''} from read_csv(?, header = false, auto_detect = false,"
            " columns = ?, delim = ',', quote = '\"', escape = '\"', new_line = '\\r\\n', nullstr = '', parallel = false))"
            f" to '{str(part).replace(chr(39), 2 * chr(39))}' (format parquet, compression zstd)",
            [source, types],
        )
        part.replace(output)
    export.stdout.close()
    return export.wait()


def main() -> int:
    parser = argparse.ArgumentParser(prog="tools/to-parquet", description=__doc__)
    parser.add_argument("traces", nargs="+", type=pathlib.Path, metavar="TRACE")
    parser.add_argument("-o", "--output", required=True, type=pathlib.Path, metavar="DIR")
    parser.add_argument(
        "--what", action="append", metavar="EVENTS",
        help="as of prof-analyze export; may be repeated (default: operators, steps and graphs)",
    )  # fmt: skip
    options = parser.parse_args()
    worst = 0
    for trace in options.traces:
        for events in options.what or ["operators", "steps", "graphs"]:
            name = urllib.parse.quote(trace.name.removesuffix(".pitrace"), safe="")
            output = options.output / events / f"trace={name}" / "part.parquet"
            worst = max(worst, convert(os.environ["PROF_ANALYZE"], trace, events, output))
    return worst


sys.exit(main())
