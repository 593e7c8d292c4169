"""What an archive holds, in a form that can be compared."""

import hashlib
import json
import pathlib
import sqlite3

import commands


def batch(folder, *paths, **keywords):
    options = keywords.pop("options", ["-j", "2"])
    return commands.run(commands.PROF_ANALYZE, "batch", *paths, "-o", folder, *options, **keywords)


def connect(folder) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{folder}/archive.sqlite?mode=ro", uri=True)


def content(folder: pathlib.Path) -> dict[str, str]:
    """A digest of each table, of those with runs one for each run, and of each file of results.

    Runs count by what was read: their numbers are in the order of arrival.
    """
    found = {}
    with connect(folder) as database:
        assert database.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        ids = dict(database.execute("SELECT run, id FROM runs").fetchall())
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        for table in tables:
            columns = [name for (name,) in database.execute("SELECT name FROM pragma_table_info(?)", (table,))]
            rows = database.execute(f"SELECT * FROM {table} ORDER BY {', '.join(columns)}")
            digests: dict[str, hashlib._Hash] = {}
            for row in rows:
                named = dict(zip(columns, row))
                run = ids[named.pop("run")] if "run" in named else "all"
                digest = digests.setdefault(run, hashlib.sha256())
                digest.update(json.dumps(named, sort_keys=True, default=repr).encode())
            found |= {f"{table} of {run}": digest.hexdigest() for run, digest in digests.items()}
    for file in (folder / "runs").rglob("*"):
        if file.is_file():
            found[str(file.relative_to(folder))] = hashlib.sha256(file.read_bytes()).hexdigest()
    return found
