"""The tables of an archive of traces, made by Apache Spark: OUT/TABLE/day=2026-11-24/*.parquet.

Tables and columns are those of the index that `prof-analyze batch` writes (formats/ARCHIVE.md), with two differences: `id`,
which names a trace by its content, stands in place of `run`, and `day`, in UTC, is when the trace was recorded. `traces` has a
row for each file: the id of its content, or the reason why there are no results. Tables other than `traces` count a content once
however many files have it.
"""

import argparse
import datetime
import functools
import pathlib
import sys

import worker
from pyspark import StorageLevel
from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession
from pyspark.sql.types import DoubleType, LongType, StringType, StructField, StructType

TYPES = {"INTEGER": LongType(), "REAL": DoubleType(), "TEXT": StringType()}
DAY = 86_400 * 10**9
COMPLETE, UNREADABLE, PARTIAL, CANNOT_WRITE = 0, 3, 4, 5
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


def main() -> int:
    parser = argparse.ArgumentParser(prog="tools/spark/analyze", description=__doc__)
    parser.add_argument("paths", nargs="+", metavar="PATH", help="trace, or folder of folders; local, hdfs://, s3a://, …")
    parser.add_argument("-o", "--output", required=True, metavar="OUT", help="folder for the tables, on any of these")
    parser.add_argument("--analyzer", default=None, metavar="PROGRAM", help="prof-analyze on the workers")
    parser.add_argument(
        "--content", action="store_true",
        help="Spark reads the traces (each less than 2 GB), for stores that workers do not have as a folder",
    )  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="replace the tables that are there")
    parser.add_argument("--schema", required=True, type=pathlib.Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    root = pathlib.Path(__file__).resolve().parents[2]
    analyzer = options.analyzer or str(root / ".build/release/prof-analyze")

    spark = SparkSession.builder.appName("prof-analyze").getOrCreate()
    files = (
        spark.read.format("binaryFile").option("pathGlobFilter", "*.pitrace").option("recursiveFileLookup", "true")
        .load(options.paths).select("path", *(["content"] if options.content else []))
    )  # fmt: skip
    count = files.count()
    if not count:
        print(f"spark: no .pitrace file under {', '.join(options.paths)}", file=sys.stderr)
        return UNREADABLE
    read = functools.partial(worker.read, analyzer)
    # Not shuffled where contents would be: Spark has split them by size already.
    tasks = files.rdd if options.content else files.rdd.repartition(-(-count // TRACES_OF_A_TASK))
    found = tasks.mapPartitions(
        lambda rows: read((row.path, bytes(row.content) if "content" in row else None) for row in rows)
    )
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
    seen = found.filter(lambda one: isinstance(one, worker.Seen)).map(lambda one: (one.path, one.id, one.reason))
    traces = spark.createDataFrame(seen, "path string, id string, reason string").persist()
    traces.coalesce(1).write.mode(mode).option("compression", "zstd").parquet(f"{options.output}/traces")
    bad = traces.where("reason IS NOT NULL").collect()
    for one in bad:
        print(f"spark: {ascii(one.path)[1:-1]}: {ascii(one.reason)[1:-1]}", file=sys.stderr)
    losses = runs.filter(lambda run: run.rows["losses"]).count()
    print(f"spark: {count} traces: {runs.count()} runs, {len(bad)} bad -> {options.output}", file=sys.stderr)
    spark.stop()
    return PARTIAL if bad or losses else COMPLETE


if __name__ == "__main__":
    try:
        sys.exit(main())
    except AnalysisException as error:  # a folder that is not there, or tables that are
        is_output = error.getCondition() == "PATH_ALREADY_EXISTS"
        hint = " (--overwrite replaces what is there)" if is_output else ""
        print(f"spark: {str(error).splitlines()[0]}{hint}", file=sys.stderr)
        sys.exit(CANNOT_WRITE if is_output else UNREADABLE)
