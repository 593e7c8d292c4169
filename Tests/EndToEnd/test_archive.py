"""Many traces become an archive: the same numbers as the commands give, whatever happens to the batch."""

import csv
import html
import io
import json
import os
import pathlib
import pty
import re
import shutil
import signal
import sqlite3
import struct
import subprocess
import time
import zlib

import pytest

import commands
import hostile
import test_report
from archives import batch, connect, content
from commands import COMPLETE, PARTIAL, UNREADABLE, USAGE, Workload

CANNOT_WRITE = 5
DAY = 86_400 * 10**9
# Each with the command that writes the same.
TABLES = {
    "tokens.csv": ["tokens"], "ops.csv": ["ops"], "nodes.csv": ["nodes"], "threads.csv": ["threads"],
    "experts.csv": ["experts"], "expert-use.csv": ["experts", "--histogram"],
}  # fmt: skip


@pytest.fixture(scope="module")
def traces(workdir) -> pathlib.Path:
    """Three recordings in a folder of folders, one of them twice, and files that are no traces."""
    folder = workdir / "archive-traces"
    (folder / "boards/one").mkdir(parents=True)
    for name, workload, options in (
        ("dense", Workload("dense-q8_0", 1, tokens=6), ["--level", "op"]),
        ("boards/moe", Workload("moe-q4_0", 2, tokens=6), ["--sched", "--pmc", "page-faults"]),
        ("boards/one/level", Workload("dense-q8_0", 1, tokens=6), ["--level", "token"]),
    ):
        commands.expect(commands.record(folder / f"{name}.pitrace", workload.command(), *options), 0)
    shutil.copy(folder / "dense.pitrace", folder / "boards/copy.pitrace")
    (folder / "boards/no trace.pitrace").write_text("<b>hello</b>\n")
    (folder / "notes.txt").write_text("not looked at")
    return folder


@pytest.fixture(scope="module")
def archive(traces, workdir) -> pathlib.Path:
    folder = workdir / "archive"
    result = commands.expect(batch(folder, traces), PARTIAL)
    assert "5 traces: 3 read, 1 known, 1 bad" in result.stderr
    assert "no trace.pitrace: byte 0: the file does not begin with the magic" in result.stderr
    return folder


def query(folder, sql: str, *arguments) -> list[tuple]:
    with connect(folder) as database:
        return database.execute(sql, arguments).fetchall()


def run_of(folder, trace) -> tuple[int, pathlib.Path]:
    ((run, name),) = query(
        folder, "SELECT run, id FROM runs JOIN files USING (id) WHERE path = ?", str(trace)
    )
    return run, folder / "runs" / name


def test_tables_are_those_of_the_commands(traces, archive):
    for trace in ("dense.pitrace", "boards/moe.pitrace", "boards/one/level.pitrace"):
        _, folder = run_of(archive, traces / trace)
        for file, (command, *options) in TABLES.items():
            said = commands.run(commands.PROF_ANALYZE, command, traces / trace, "--csv", *options, text=False)
            assert said.returncode == COMPLETE
            assert (folder / file).read_bytes() == said.stdout, f"{trace}: {file}"


def test_the_index_has_the_same_sums(traces, archive):
    for trace in ("dense.pitrace", "boards/moe.pitrace"):
        run, _ = run_of(archive, traces / trace)
        for table, command, columns in (
            ("operators", "ops", ("total_ns", "count", "barrier_ns", "bytes", "flops")),
            ("nodes", "nodes", ("total_ns", "count", "ne0")),
            ("steps", "tokens", ("duration_ns", "n_ops", "start_ns", "position")),
            ("threads", "threads", ("op_ns", "n_ops", "running_ns")),
        ):
            rows = commands.table(command, traces / trace)
            expected = [len(rows)]
            for column in columns:
                values = [int(row[column]) for row in rows if row[column]]
                expected.append(sum(values) if values else None)
            sums = ", ".join(f"sum({column})" for column in columns)
            ((*found,),) = query(archive, f"SELECT count(*), {sums} FROM {table} WHERE run = ?", run)
            assert found == expected, f"{trace}: {table}"
    run, _ = run_of(archive, traces / "boards/moe.pitrace")
    used = query(archive, "SELECT layer, expert, tokens FROM experts WHERE run = ?", run)
    rows = commands.table("experts", traces / "boards/moe.pitrace", "--histogram")
    assert used == [(int(row["layer"]), int(row["expert"]), int(row["tokens"])) for row in rows]
    assert sum(tokens for _, _, tokens in used) > 0


def test_runs_are_described(traces, archive):
    run, folder = run_of(archive, traces / "boards/moe.pitrace")
    ((host, model, file, threads, level, command, counters, build, rate),) = query(
        archive,
        "SELECT host, model, model_file, threads, level, command, counters, engine_build, decode_tokens_per_s"
        " FROM runs WHERE run = ?",
        run,
    )
    assert host == os.uname().nodename
    assert model == "12 layers, embedding 256, vocabulary 2048, 32 experts, q4_0"
    assert (file, threads, level, json.loads(counters)) == ("moe-q4_0.gguf", 2, "op", ["page-faults"])
    assert json.loads(command) == Workload("moe-q4_0", 2, tokens=6).command()
    info = commands.expect(commands.analyze("info", traces / "boards/moe.pitrace"), COMPLETE).stdout
    assert build in info
    ((engine, version),) = query(archive, "SELECT engine, engine_version FROM runs WHERE run = ?", run)
    assert f"{engine} {version}" in info and version[0].isdigit()
    decode = [row for row in commands.table("tokens", traces / "boards/moe.pitrace") if row["phase"] == "decode"]
    time_of_all = sum(int(row["duration_ns"]) for row in decode)
    assert rate == pytest.approx(1e9 * len(decode) / time_of_all)
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["speed"]["decode_tokens_per_s"] == pytest.approx(rate)
    assert "memory_share" not in summary["phases"][0], "not calibrated is not 0"
    # At the level of token steps nothing is known of graphs.
    run, _ = run_of(archive, traces / "boards/one/level.pitrace")
    assert query(archive, "SELECT DISTINCT n_ops, model FROM steps JOIN runs USING (run) WHERE run = ?", run) == [
        (None, None)
    ]
    assert query(archive, "SELECT operators_ns FROM phases WHERE run = ? AND phase = 'decode'", run) == [(None,)]
    assert len(query(archive, "SELECT * FROM run_list")) == 3
    for view in ("decode_operators", "layers", "expert_layers", "problems"):
        assert query(archive, f"SELECT * FROM {view}")


def test_a_second_batch_reads_nothing(traces, archive):
    before = content(archive)
    stamps = {file: file.stat().st_mtime_ns for file in (archive / "runs").rglob("*")}
    result = commands.expect(batch(archive, traces), PARTIAL)
    assert "5 traces: 0 read, 4 known, 1 bad" in result.stderr
    assert "no trace.pitrace" in result.stderr, "a bad trace is listed each time"
    assert content(archive) == before
    assert {file: file.stat().st_mtime_ns for file in (archive / "runs").rglob("*")} == stamps


def test_content_decides(traces, tmp_path):
    trace, folder = tmp_path / "x.pitrace", tmp_path / "archive"
    shutil.copy(traces / "dense.pitrace", trace)
    assert "1 read" in commands.expect(batch(folder, trace), COMPLETE).stderr
    os.utime(trace)
    assert "0 read, 1 known" in commands.expect(batch(folder, trace), COMPLETE).stderr
    # Another content of the same size, with the time of modification set back.
    status = trace.stat()
    data = bytearray(trace.read_bytes())
    data[-20] ^= 1
    trace.write_bytes(data)
    os.utime(trace, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert "1 read" in commands.expect(batch(folder, trace), PARTIAL).stderr
    # An older analyzer read it.
    with sqlite3.connect(folder / "archive.sqlite") as database:
        database.execute("UPDATE runs SET analyzer = 'prof-analyze 0.0.1'")
    assert "1 read" in commands.expect(batch(folder, trace), PARTIAL).stderr
    # Its results were removed.
    (run,) = [path for path in (folder / "runs").iterdir() if path.name == query(folder, "SELECT id FROM files")[0][0]]
    shutil.rmtree(run)
    assert "1 read" in commands.expect(batch(folder, trace), PARTIAL).stderr
    assert "1 read" in commands.expect(batch(folder, trace, options=["--report"]), PARTIAL).stderr
    assert "from x.pitrace" in (run / "report.html").read_text()
    assert "0 read" in commands.expect(batch(folder, trace, options=["--report"]), PARTIAL).stderr
    assert "1 read" in commands.expect(batch(folder, trace, options=["--again"]), PARTIAL).stderr


def test_a_reader_is_not_in_the_way(traces, tmp_path):
    """It sees what is new, and the index is one file in the end."""
    folder, trace = tmp_path / "archive", tmp_path / "x.pitrace"
    shutil.copy(traces / "dense.pitrace", trace)
    commands.expect(batch(folder, trace), COMPLETE)
    with connect(folder) as database:
        assert database.execute("SELECT count(*) FROM runs").fetchall() == [(1,)]
        assert "1 read" in commands.expect(batch(folder, traces / "boards/moe.pitrace"), COMPLETE).stderr
        assert database.execute("SELECT count(*) FROM runs").fetchall() == [(2,)]
    assert [path.name for path in folder.iterdir() if "archive" in path.name] == ["archive.sqlite"]


def test_losses_are_listed_and_results_written(traces, tmp_path):
    trace = tmp_path / "cut.pitrace"
    trace.write_bytes((traces / "dense.pitrace").read_bytes()[:-100])
    result = commands.expect(batch(tmp_path / "archive", trace), PARTIAL)
    assert f"{trace}: " in result.stderr and "1 read" in result.stderr
    ((complete,),) = query(tmp_path / "archive", "SELECT complete FROM runs")
    assert complete == 0
    ((path, problem),) = query(tmp_path / "archive", "SELECT path, problem FROM problems WHERE kind = 'loss'")
    assert path == str(trace) and problem in result.stderr


def test_killed_in_the_middle(traces, tmp_path):
    """SIGKILL at any time, and again: the same archive as of a batch that nobody disturbed."""
    source = tmp_path / "traces"
    source.mkdir()
    original = (traces / "boards/moe.pitrace").read_bytes()
    for index in range(24):
        (source / f"{index:02}.pitrace").write_bytes(another(original, index))
    shutil.copy(traces / "boards/no trace.pitrace", source)
    commands.expect(batch(tmp_path / "whole", source, options=["-j", "2"]), PARTIAL)
    for index, delay in enumerate((0.01, 0.05, 0.1, 0.2, 0.3, 0.4)):
        process = subprocess.Popen(
            [commands.PROF_ANALYZE, "batch", source, "-o", tmp_path / "killed", "-j", "2"],
            stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        time.sleep(delay)
        # Workers may go on for a moment, when the next batch has begun.
        (os.kill if index % 2 else os.killpg)(process.pid, signal.SIGKILL)
        process.wait()
    result = commands.expect(batch(tmp_path / "killed", source), PARTIAL)
    assert "25 traces:" in result.stderr and "1 bad" in result.stderr
    assert content(tmp_path / "killed") == content(tmp_path / "whole")


def test_progress_on_a_terminal(traces, tmp_path):
    for index in range(6):
        (tmp_path / f"{index}.pitrace").write_bytes(another((traces / "dense.pitrace").read_bytes(), index))
    main, terminal = pty.openpty()
    command = [commands.PROF_ANALYZE, "batch", tmp_path, "-o", tmp_path / "archive", "-j", "1"]
    with subprocess.Popen(command, stderr=terminal) as process:
        os.close(terminal)
        said = b""
        while True:
            try:
                said += os.read(main, 4096)
            except OSError:  # no process has the terminal any more
                break
    os.close(main)
    assert process.returncode == COMPLETE
    steps = [line for line in said.decode().split("\r\x1b[K") if line]
    assert steps[-2] == "6 of 6 traces"
    assert steps[-1].strip().startswith("prof-analyze: 6 traces: 6 read, 0 known, 0 bad")
    assert any(re.fullmatch(r"[1-5] of 6 traces, about \d+ s left", step) for step in steps)


def another(trace: bytes, number: int) -> bytes:
    """The same events as a recording of its own, begun so many days later."""
    header = bytearray(trace[:64])
    (begun,) = struct.unpack_from("<Q", header, 48)
    struct.pack_into("<16sQ", header, 32, bytes([number] * 16), begun + number * DAY)
    struct.pack_into("<I", header, 60, zlib.crc32(header[:60]))
    return bytes(header) + trace[64:]


def test_hostile_names(traces, tmp_path):
    """In tensors, operators, counters, the command line and the path: text everywhere, and nothing else."""
    folder = tmp_path / "archive"
    odd = tmp_path / "a\n\"'$(touch x)<script>alert(1)"
    odd.mkdir()
    names = [b"-o.pitrace", b"\xff\xfe.pitrace", b"';drop table runs;--\n.pitrace"]
    data = hostile.forge((traces / "boards/moe.pitrace").read_bytes())
    for index, name in enumerate(names):
        with open(os.path.join(os.fsencode(odd), name), "wb") as file:
            file.write(another(data, index))
    result = batch(folder, odd, options=["--report"])
    assert result.returncode in (COMPLETE, PARTIAL), result.stderr
    assert "3 read" in result.stderr and "0 bad" in result.stderr
    assert all(character.isprintable() or character == "\n" for character in result.stderr)
    paths = [path for (path,) in query(folder, "SELECT path FROM files")]
    assert {path if isinstance(path, bytes) else path.encode() for path in paths} == {
        os.path.join(os.fsencode(odd), name) for name in names
    }
    assert json.loads(query(folder, "SELECT command FROM runs")[0][0]) == [hostile.HUGE, '"', "\x00"]
    for (run, name) in query(folder, "SELECT run, id FROM runs"):
        rows = list(csv.DictReader(io.StringIO((folder / "runs" / name / "nodes.csv").read_bytes().decode(), newline="")))
        stored = query(folder, "SELECT name, op, total_ns FROM nodes WHERE run = ? ORDER BY place", run)
        assert stored == [(row["name"], row["op"], int(row["total_ns"])) for row in rows]
        assert any("line\nbreak" in row["name"] for row in rows)
        test_report.expect_sound(folder / "runs" / name / "report.html")
        json.loads((folder / "runs" / name / "summary.json").read_text())
    assert query(folder, "PRAGMA integrity_check") == [("ok",)]
    page = tmp_path / "page.html"
    commands.expect(commands.run(commands.PROF_ANALYZE, "archive", folder, "--page", page), COMPLETE)
    assert "<script>alert" not in page.read_text()
    assert html.escape("<script>alert(1)") in page.read_text()
    text = commands.expect(commands.run(commands.PROF_ANALYZE, "archive", folder), COMPLETE).stdout
    assert all(character.isprintable() or character == "\n" for character in text)


def test_listing_and_filters(traces, archive):
    def listed(*options) -> set[str]:
        said = commands.expect(commands.run(commands.PROF_ANALYZE, "archive", archive, "--csv", *options), COMPLETE)
        return {pathlib.Path(row["path"]).name for row in csv.DictReader(io.StringIO(said.stdout))}

    everything = {"copy.pitrace", "moe.pitrace", "level.pitrace"}
    assert listed() == everything
    assert listed("--model", "MOE") == {"moe.pitrace"} == listed("--threads", "2")
    assert listed("--level", "token") == {"level.pitrace"}
    assert listed("--device", os.uname().nodename) == everything
    assert listed("--device", "no such board") == set()
    assert listed("--since", "2000-01-01") == everything and listed("--until", "2000-01-01") == set()
    ((build,),) = query(archive, "SELECT DISTINCT engine_build FROM runs")
    assert listed("--build", build[:8]) == everything and listed("--build", "ffff" + build) == set()
    said = commands.run(commands.PROF_ANALYZE, "archive", archive, "--json", "--model", "moe")
    (row,) = json.loads(commands.expect(said, COMPLETE).stdout)
    assert row["threads"] == 2 and row["complete"] == "yes"
    said = commands.expect(commands.run(commands.PROF_ANALYZE, "archive", archive, "--failures", "--csv"), COMPLETE)
    assert [pathlib.Path(row["path"]).name for row in csv.DictReader(io.StringIO(said.stdout))] == ["no trace.pitrace"]


def test_the_page_marks_a_regression(traces, tmp_path):
    """Five runs of which the last is slower, told by what the index says of them."""
    folder, page = tmp_path / "archive", tmp_path / "page.html"
    data = (traces / "dense.pitrace").read_bytes()
    for index in range(5):
        (tmp_path / f"{index}.pitrace").write_bytes(another(data, index))
    commands.expect(batch(folder, *sorted(tmp_path.glob("*.pitrace"))), COMPLETE)
    with sqlite3.connect(folder / "archive.sqlite") as database:
        (slow,) = database.execute("SELECT run FROM runs ORDER BY recorded_ns DESC LIMIT 1").fetchone()
        database.execute("UPDATE runs SET decode_tokens_per_s = decode_tokens_per_s * 0.9 WHERE run = ?", (slow,))
        database.execute(
            "UPDATE operators SET decode_share = decode_share * 2 WHERE run = ? AND op = 'MUL_MAT'", (slow,)
        )
    commands.expect(commands.run(commands.PROF_ANALYZE, "archive", folder, "--page", page), COMPLETE)
    seen = test_report.look(page, "--run", "document.querySelectorAll('.finding').length")
    assert (seen["errors"], seen["requests"]) == ([], [])
    assert seen["sections"] == ["changes", "speed", "runs", "problems"]
    assert seen["result"] == 1
    text = page.read_text()
    assert "10.0 % slower" in text and f"Run {slow} of" in text
    assert "Carried by <b>MUL_MAT" in text
    phone = test_report.look(page, "--size", "390x844", "--phone", "--theme", "dark")
    assert phone["width"] <= 390 and phone["errors"] == []


def test_what_cannot_be_done_is_said(traces, archive, tmp_path):
    (tmp_path / "empty").mkdir()
    result = commands.expect(batch(tmp_path / "archive", tmp_path / "empty"), USAGE)
    assert "no .pitrace file there" in result.stderr
    result = commands.expect(batch(tmp_path / "archive", tmp_path / "missing.pitrace"), PARTIAL)
    assert "missing.pitrace: cannot be opened: No such file" in result.stderr
    (tmp_path / "file").write_text("")
    result = commands.expect(batch(tmp_path / "file", traces), CANNOT_WRITE)
    assert "cannot be written" in result.stderr
    result = commands.expect(commands.run(commands.PROF_ANALYZE, "archive", tmp_path / "empty"), UNREADABLE)
    assert "no archive.sqlite" in result.stderr
    (tmp_path / "empty/archive.sqlite").write_text("SQLite format 4, but not quite\n" * 200)
    for result in (commands.run(commands.PROF_ANALYZE, "archive", tmp_path / "empty"), batch(tmp_path / "empty", traces)):
        assert "damaged or no index" in commands.expect(result, UNREADABLE).stderr
    result = commands.run(commands.PROF_ANALYZE, "tables", traces / "dense.pitrace", "-o", traces)
    assert "holds other things than results" in commands.expect(result, CANNOT_WRITE).stderr
    assert (traces / "dense.pitrace").exists()
    commands.expect(commands.run(commands.PROF_ANALYZE, "batch", traces, "-o", archive, "-j", "0"), USAGE)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_disk_ends_the_batch(traces, tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "small", folder], check=True)
    try:
        result = commands.expect(batch(folder / "archive", traces, options=["-j", "1"]), CANNOT_WRITE)
        assert result.stderr.count("\n") <= 2
    finally:
        subprocess.run(["umount", folder], check=True)
