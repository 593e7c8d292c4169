"""The tables of an archive of traces, made by Apache Spark: OUT/TABLE/day=2026-11-24/*.parquet.

Tables and columns are those of the index that `prof-analyze batch` writes (formats/ARCHIVE.md), with two differences: `id`,
which names a trace by its content, stands in place of `run`, and `day`, in UTC, is when the trace was recorded. `traces` has a
row for each file: the id of its content, or the reason why there are no results. Tables other than `traces` count a content once
however many files have it.
"""

import argparse
import datetime
import functools
import os
import pathlib
import sys

import finder
import worker
from pyspark import StorageLevel
from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession
from pyspark.sql.types import DoubleType, LongType, StringType, StructField, StructType

TYPES = {"INTEGER": LongType(), "REAL": DoubleType(), "TEXT": StringType()}
DAY = 86_400 * 10**9
COMPLETE, USAGE, UNREADABLE, PARTIAL, CANNOT_WRITE = 0, 2, 3, 4, 5
# Traces of one task: enough that starting it is nothing, few enough that a lost one is soon done again.
TRACES_OF_A_TASK = 32


def schema(columns: list[tuple[str, str]]) -> StructType:
    """Of a table of the index, behind `run`: with the id and the day first."""
    names = [("id", "TEXT"), ("day", "TEXT"), *(column for column in columns if column[0] not in ("run", "id"))]
    return StructType([StructField(name, TYPES[kind]) for name, kind in names])


def day(recorded_ns: int | None) -> str:
    if recorded_ns is None:
        return "unknown"
    return str(datetime.date(1970, 1, 1) + datetime.timedelta(days=recorded_ns // DAY))


def rows(run: worker.Run, table: str, columns: dict[str, list[str]]):
    recorded = run.rows["runs"][0][columns["runs"].index("recorded_ns")]
    for row in run.rows[table]:
        values = [value for name, value in zip(columns[table], row, strict=True) if name != "id"]
        yield (run.id, day(recorded), *values)


def own_files(paths: list[str], unreadable: list[str]) -> list[str]:
    """Traces that the driver sees itself."""
    return finder.find(
        (path for path in paths if finder.is_local(path) and os.path.exists(finder.local_path(path))),
        lambda error: unreadable.append(f"{finder.shown(error.filename)}: {error.strerror}"),
    )


def tell(line: str) -> None:
    """On one line, whatever names are in it."""
    print(f"spark: {ascii(line)[1:-1]}", file=sys.stderr)


def main() -> int:
    parser = argparse.ArgumentParser(prog="tools/spark/analyze", description=__doc__)
    parser.add_argument("paths", nargs="+", metavar="PATH", help="trace, or folder of folders; local, hdfs://, s3a://, …")
    parser.add_argument("-o", "--output", required=True, metavar="OUT", help="folder for the tables, on any of these")
    parser.add_argument("--analyzer", default=None, metavar="PROGRAM", help="prof-analyze on the workers")
    parser.add_argument(
        "--content", action="store_true",
        help="Spark reads the traces (each less than 2 GB; not those whose names begin with _ or .), for stores that workers do "
        "not have as a folder",
    )  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="replace the tables that are there")
    parser.add_argument("--schema", required=True, type=pathlib.Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    root = pathlib.Path(__file__).resolve().parents[2]
    analyzer = options.analyzer or str(root / ".build/release/prof-analyze")

    unreadable: list[str] = []
    own = own_files(options.paths, unreadable)
    if not options.content:
        for path in options.paths:
            if not finder.is_local(path):
                tell(f"{path}: no file that a worker can open; --content lets Spark read it")
                return USAGE
            if not os.path.exists(finder.local_path(path)):
                tell(f"{finder.shown(path)}: no such file or folder")
                return UNREADABLE
    passed_over: list[str] = []
    spark = SparkSession.builder.appName("prof-analyze").getOrCreate()
    if options.content:
        files = (
            spark.read.format("binaryFile").option("pathGlobFilter", f"*{finder.ENDING}")
            .option("recursiveFileLookup", "true").load(options.paths).select("path", "content")
        )  # fmt: skip
        seen = {row.path for row in files.select("path").collect()}
        passed_over = [finder.shown(path) for path in own if f"file:{path}" not in seen]
        count = len(seen) + len(passed_over)
        # Not shuffled, with their contents: Spark has split them by size already.
        tasks = files.rdd.map(lambda row: (row.path, bytes(row.content)))
    else:
        count = len(own)
        slices = max(-(-count // TRACES_OF_A_TASK), 1)
        tasks = spark.sparkContext.parallelize([(path, None) for path in own], slices)
    if not count:
        tell(f"no {finder.ENDING} file under {', '.join(map(finder.shown, options.paths))}")
        return UNREADABLE
    found = tasks.mapPartitions(functools.partial(worker.read, analyzer))
    # Each trace is read once: what comes of it is kept on the workers until all tables are written.
    found = found.persist(StorageLevel.DISK_ONLY)
    runs = (
        found.filter(lambda one: isinstance(one, worker.Run)).keyBy(lambda run: run.id)
        .reduceByKey(lambda first, _: first).values().persist(StorageLevel.DISK_ONLY)
    )  # fmt: skip
    mode = "overwrite" if options.overwrite else "error"
    declared = worker.tables(options.schema.read_text(encoding="utf-8"))
    columns = {name: [column for column, _ in kinds if column != "run"] for name, kinds in declared.items()}
    for table, kinds in declared.items():
        if table in worker.BY_PATH:
            continue
        of_table = runs.flatMap(functools.partial(rows, table=table, columns=columns))
        frame = spark.createDataFrame(of_table, schema(kinds))
        # One file for each day, sorted so that the rows of a trace lie together and others are passed over.
        frame = frame.repartition("day").sortWithinPartitions("day", "id")
        frame.write.mode(mode).partitionBy("day").option("compression", "zstd").parquet(f"{options.output}/{table}")
    reason = "Spark reads no file whose name begins with _ or . or is no UTF-8: rename it, or leave --content out"
    of_files = found.filter(lambda one: isinstance(one, worker.Seen)).map(lambda one: (one.path, one.id, one.reason))
    others = spark.sparkContext.parallelize([(path, None, reason) for path in passed_over], 1)
    traces = spark.createDataFrame(of_files.union(others), "path string, id string, reason string").persist()
    traces.coalesce(1).write.mode(mode).option("compression", "zstd").parquet(f"{options.output}/traces")
    bad = traces.where("reason IS NOT NULL").collect()
    for line in [*(f"{one.path}: {one.reason}" for one in bad), *unreadable]:
        tell(line)
    losses = runs.filter(lambda run: run.rows["losses"]).count()
    tell(f"{count} traces: {runs.count()} runs, {len(bad)} bad -> {options.output}")
    spark.stop()
    return PARTIAL if bad or losses or unreadable else COMPLETE


if __name__ == "__main__":
    try:
        sys.exit(main())
    except AnalysisException as error:  # a folder that is not there, or tables that are
        is_output = error.getCondition() == "PATH_ALREADY_EXISTS"
        hint = " (--overwrite replaces what is there)" if is_output else ""
        print(f"spark: {str(error).splitlines()[0]}{hint}", file=sys.stderr)
        sys.exit(CANNOT_WRITE if is_output else UNREADABLE)
