"""Spark in local mode: the rows that `prof-analyze batch` has in its index, for a few hundred recorded traces."""

import collections
import os
import random
import struct
import zlib

import commands
import duckdb
import finder
import hostile
import pytest
import worker
from archives import batch, connect
from commands import COMPLETE, PARTIAL, UNREADABLE, Workload

ANALYZE = commands.ROOT / "tools/spark/analyze"
SCHEMA = commands.ROOT / "Sources/Archive/Resources/schema.sql"
COPIES = 48
# Markup, patterns, escapes and ends of lines, in the names of the files; what is inside is forged too.
NAMED = [f"odd [a] {{b}}/{name}.pitrace" for name in ("a%41 100%", "q?x h#y", "nl\nx\t", "'\"<b>$(touch x)\\;--")]
UNSEEN = [b"_under.pitrace", b".hidden.pitrace", b"\xff\xfe.pitrace"]
DAY = 86_400 * 10**9
TABLES = [name for name in worker.tables(SCHEMA.read_text()) if name not in worker.BY_PATH]


def said(result) -> str:
    """spark-submit writes what its program says on either stream to its standard output."""
    return result.stdout + result.stderr


def again(trace: bytes, generator: random.Random) -> bytes:
    """The same recording as if of another day: another identity, another date, other bytes."""
    header = bytearray(trace[:64])
    (begun,) = struct.unpack_from("<Q", header, 48)
    struct.pack_into("<16sQ", header, 32, generator.randbytes(16), begun - generator.randrange(5) * DAY)
    struct.pack_into("<I", header, 60, zlib.crc32(header[:60]))
    return bytes(header) + trace[64:]


@pytest.fixture(scope="session")
def traces(tmp_path_factory):
    """240 traces of five recordings, one of them in four more places, one cut short, four forged ones, two that are none."""
    folder = tmp_path_factory.mktemp("spark")
    generator = random.Random(1)
    inputs = folder / "in"
    for number, (workload, options) in enumerate((
        (Workload("dense-q8_0", 1, tokens=6), ["--level", "op"]),
        (Workload("dense-q8_0", 2, tokens=4), ["--sched"]),
        (Workload("moe-q4_0", 1, tokens=4), ["--pmc", "page-faults"]),
        (Workload("moe-q4_0", 2, tokens=3), []),
        (Workload("dense-q8_0", 1, tokens=6), ["--level", "token"]),
    )):  # fmt: skip
        recorded = folder / f"{number}.pitrace"
        commands.expect(commands.record(recorded, workload.command(), *options), 0)
        for copy in range(COPIES):
            file = inputs / f"board {copy % 7}/{number} é-{copy}.pitrace"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(again(recorded.read_bytes(), generator))
    whole = (inputs / "board 0/0 é-0.pitrace").read_bytes()
    (inputs / "second <b>place.pitrace").write_bytes(whole)
    (inputs / "cut.pitrace").write_bytes(again(whole, generator)[:-100])
    (inputs / "header.pitrace").write_bytes(whole[:40])
    (inputs / "none.pitrace").write_text("not a trace\n")
    (inputs / "notes.txt").write_text("not looked at")
    (inputs / NAMED[0]).parent.mkdir()
    for name in NAMED:
        (inputs / name).write_bytes(again(hostile.forge(whole), generator))
    # Spark itself passes over these.
    for name in UNSEEN:
        with open(os.path.join(os.fsencode(inputs), name), "wb") as file:
            file.write(whole)
    return inputs


@pytest.fixture(scope="session")
def archive(traces, tmp_path_factory):
    folder = tmp_path_factory.mktemp("archive") / "archive"
    commands.expect(batch(folder, traces), PARTIAL)
    return folder


@pytest.fixture(scope="session", params=["paths", "content"])
def tables(request, traces, tmp_path_factory):
    output = tmp_path_factory.mktemp("tables") / request.param
    options = ["--content"] if request.param == "content" else []
    result = commands.run(ANALYZE, traces, "-o", output, *options, timeout=900)
    commands.expect(result, PARTIAL)
    assert f"spark: 251 traces: 245 runs, {2 if request.param == 'paths' else 5} bad" in said(result)
    assert all(character.isprintable() or character in "\n\t" for character in said(result))
    return output


def rows_of_index(archive, table: str) -> collections.Counter:
    with connect(archive) as database:
        columns = [name for (name,) in database.execute("SELECT name FROM pragma_table_info(?)", (table,))]
        columns = [name for name in columns if name not in ("run", "id")]
        chosen = ", ".join(f"{table}.{name}" for name in columns)
        join = "" if table == "runs" else "JOIN runs USING (run)"
        return collections.Counter(database.execute(f"SELECT runs.id, {chosen} FROM {table} {join}"))


def rows_of_spark(output, table: str, columns: list[str]) -> collections.Counter:
    chosen = ", ".join(f'"{name}"' for name in columns)
    files = f"{output}/{table}/**/*.parquet"
    query = f"SELECT id, {chosen} FROM read_parquet(?, hive_partitioning = true)"
    return collections.Counter(duckdb.connect().execute(query, [files]).fetchall())


@pytest.mark.parametrize("table", TABLES)
def test_rows_are_those_of_batch(archive, tables, table):
    expected = rows_of_index(archive, table)
    assert expected, "a table without rows tests nothing"
    columns = [name for name, _ in worker.tables(SCHEMA.read_text())[table] if name not in ("run", "id")]
    found = rows_of_spark(tables, table, columns)
    assert sum(found.values()) == sum(expected.values())
    assert found == expected


def test_days_are_those_of_the_recordings(archive, tables):
    with connect(archive) as database:
        expected = dict(database.execute("SELECT id, date(recorded_ns / 1000000000, 'unixepoch') FROM runs"))
    assert len(set(expected.values())) == 5
    for table in ("runs", "steps"):
        rows = duckdb.connect().execute(
            "SELECT DISTINCT id, day FROM read_parquet(?, hive_partitioning = true)", [f"{tables}/{table}/**/*.parquet"]
        ).fetchall()  # fmt: skip
        assert {run: str(day) for run, day in rows} == expected


def test_every_file_is_accounted_for(archive, tables, traces):
    rows = duckdb.connect().execute("SELECT path, id, reason FROM read_parquet(?)", [f"{tables}/traces/*.parquet"]).fetchall()
    with connect(archive) as database:
        good = {text(path): run for path, run in database.execute("SELECT path, id FROM files")}
        bad = {text(path) for (path,) in database.execute("SELECT path FROM failures")}
    if tables.name == "content":
        bad |= {text(os.path.join(os.fsencode(traces), name)) for name in UNSEEN}
    found = {finder.local_path(path): run for path, run, reason in rows if reason is None}
    assert found == {path: run for path, run in good.items() if path not in bad}
    assert {finder.local_path(path) for path, _, reason in rows if reason} == bad
    assert len(found) + len(bad) == len(rows) == 251 and len(set(found.values())) == 245


def text(path: str | bytes) -> str:
    """Of the index, which has paths that are no UTF-8 as they are."""
    return path.decode(errors="replace") if isinstance(path, bytes) else path


def test_the_example_of_a_query(tables):
    python, query = commands.ROOT / ".targets/spark/bin/python", commands.ROOT / "tools/spark/query.py"
    # As in the README: without what tools/spark/test sets.
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PYSPARK")}
    shown = commands.expect(commands.run(python, query, tables, timeout=300, env=plain), 0).stdout
    assert "engine_build" in shown and "MUL_MAT" in shown


def test_nothing_is_replaced_unasked(traces, tables):
    result = commands.run(ANALYZE, traces / "board 0", "-o", tables, timeout=300)
    assert result.returncode != COMPLETE
    assert "PATH_ALREADY_EXISTS" in said(result)


def test_a_store_that_workers_do_not_have(tmp_path):
    result = commands.run(ANALYZE, "s3a://bucket/traces", "-o", tmp_path / "out", timeout=300)
    assert result.returncode == commands.USAGE
    assert "--content" in said(result) and "s3a://bucket/traces" in said(result)


def test_a_folder_that_is_not_there(tmp_path):
    for options in ([], ["--content"]):
        result = commands.run(ANALYZE, tmp_path / "missing", "-o", tmp_path / "out", *options, timeout=300)
        assert result.returncode == UNREADABLE
        assert str(tmp_path / "missing") in said(result) and "Traceback" not in said(result)


def test_a_folder_without_traces(tmp_path):
    (tmp_path / "notes.txt").write_text("")
    result = commands.run(ANALYZE, tmp_path, "-o", tmp_path / "out", timeout=300)
    assert result.returncode == UNREADABLE
    assert "no .pitrace file under" in said(result)
    assert not (tmp_path / "out").exists()


def test_an_analyzer_that_cannot_be_started_is_an_error(traces, tmp_path):
    result = commands.run(
        ANALYZE, traces / "board 0", "-o", tmp_path / "out", "--analyzer", "/nonexistent/prof-analyze", timeout=300
    )
    assert result.returncode not in (COMPLETE, PARTIAL)
    assert "/nonexistent/prof-analyze" in said(result)
