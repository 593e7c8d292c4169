"""What a Spark task does with its traces: a batch of prof-analyze in a folder of its own, whose index it reads."""

import contextlib
import pathlib
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from finder import shown

# Traces that lie in a task's scratch folder at a time.
TRACES_AT_A_TIME = 32
# Status of prof-analyze batch: everything read, or some of it could not be (the index says which).
COMPLETE, PARTIAL = 0, 4
# By a path of the archive; the others are by run.
BY_PATH = ("files", "failures")


@dataclass
class Run:
    """The rows of one trace: by table, in the order of the table's columns behind `run`."""

    id: str
    rows: dict[str, list[tuple]] = field(default_factory=dict)


@dataclass
class Seen:
    """A trace and what came of it: the id of its content, or a reason why there are no results."""

    path: str
    id: str | None
    reason: str | None


def tables(schema: str) -> dict[str, list[tuple[str, str]]]:
    """Columns and their SQL types, by table, as the index declares them."""
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        database.executescript(schema)
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        return {
            name: database.execute("SELECT name, type FROM pragma_table_info(?)", (name,)).fetchall() for name in names
        }


def read(analyzer: str, traces: Iterable[tuple[str, bytes | None]]) -> Iterator[Run | Seen]:
    """Analyses traces: (path, content), the content None where the worker opens the path itself."""
    group = []
    for trace in traces:
        group.append(trace)
        if len(group) == TRACES_AT_A_TIME:
            yield from _read_group(analyzer, group)
            group = []
    if group:
        yield from _read_group(analyzer, group)


def _read_group(analyzer: str, traces: list[tuple[str, bytes | None]]) -> Iterator[Run | Seen]:
    with tempfile.TemporaryDirectory(prefix="prof-analyze-") as scratch:
        folder = pathlib.Path(scratch)
        # Names of our own: those of traces are other people's, and two folders may have the same.
        paths = {}
        for number, (path, content) in enumerate(traces):
            file = folder / f"{number}.pitrace"
            if content is None:
                file.symlink_to(path)
            else:
                file.write_bytes(content)
            paths[str(file)] = shown(path)
        archive = folder / "archive"
        command = [analyzer, "batch", *paths, "-o", str(archive), "-j", "1"]
        batch = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
        if batch.returncode not in (COMPLETE, PARTIAL):
            raise RuntimeError(f"{' '.join(command[:2])} ended with {batch.returncode}: {batch.stderr[-2000:]}")
        with contextlib.closing(sqlite3.connect(archive / "archive.sqlite")) as database:
            yield from _rows(database, paths)


def _rows(database: sqlite3.Connection, paths: dict[str, str]) -> Iterator[Run | Seen]:
    names = [name for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    for run, run_id in database.execute("SELECT run, id FROM runs").fetchall():
        found = Run(run_id)
        for name in names:
            if name in BY_PATH:
                continue
            # `run` is the first column of each, and says something in this archive only.
            rows = database.execute(f"SELECT * FROM {name} WHERE run = ?", (run,))
            found.rows[name] = [row[1:] for row in rows]
        yield found
    told = set()
    for path, reason in database.execute("SELECT path, reason FROM failures").fetchall():
        told.add(path)
        yield Seen(paths[path], None, reason.replace(path, paths[path]))
    for path, run_id in database.execute("SELECT path, id FROM files").fetchall():
        if path not in told:
            told.add(path)
            yield Seen(paths[path], run_id, None)
    if missing := paths.keys() - told:
        raise RuntimeError(f"prof-analyze batch said nothing of {paths[missing.pop()]}")
