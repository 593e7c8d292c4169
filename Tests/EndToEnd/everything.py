"""Every command of prof-analyze on one trace, and whether what it writes can be read by who is to read it."""

import csv
import html.parser
import io
import json
import pathlib
import subprocess
import sys
import unicodedata
import xml.etree.ElementTree
from dataclasses import dataclass

import commands

TABLES = ["tokens", "ops", "nodes", "experts", "threads", "backends", "speculation", "roofline"]
PAGES = ["info", "summary", "check", "explain", *TABLES]
EVENTS = ["operators", "steps", "graphs", "gaps", "slices", "experts", "losses"]
# Nothing takes a tenth of this on a quiet machine.
SECONDS = 120
# Runs a command and writes the peak memory of it, KiB, into a file. A process of its own: what a command is started by counts
# as the command's own until exec (Linux keeps the larger of both).
MEASURE = """
import resource, subprocess, sys
status = subprocess.run(sys.argv[2:]).returncode
open(sys.argv[1], "w").write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(status if status >= 0 else 128 - status)
"""


@dataclass
class Ended:
    """How a command ended; a signal is a negative status."""

    command: list[str]
    status: int
    stdout: bytes
    stderr: str


def run(command: str, trace: pathlib.Path, *options) -> Ended:
    """One command; fails when it takes too long."""
    arguments = [str(part) for part in (commands.PROF_ANALYZE, command, trace, *options)]
    done = subprocess.run(arguments, capture_output=True, timeout=SECONDS)
    return Ended(arguments, done.returncode, done.stdout, done.stderr.decode())


def peak_mib(command: str, trace: pathlib.Path, folder: pathlib.Path, *options) -> float:
    """Peak memory of a command, which must end by itself."""
    said = folder / "peak"
    arguments = [commands.PROF_ANALYZE, command, trace, *options]
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", MEASURE, said, *arguments], capture_output=True, timeout=SECONDS
    )
    assert 0 <= done.returncode < 128, f"{arguments}: {done.stderr.decode()}"
    return int(said.read_text()) / 1024


def run_all(trace: pathlib.Path, folder: pathlib.Path) -> list[Ended]:
    """Every command in each of its forms."""
    ended = [text(run(command, trace)) for command in PAGES]
    for table in TABLES:
        ended.append(rows(run(table, trace, "--csv")))
        ended.append(objects(run(table, trace, "--json")))
    ended.append(objects(run("explain", trace, "--json")))
    for events in EVENTS:
        ended.append(rows(run("export", trace, "-o", "-", "--what", events)))
        ended.append(lines(run("export", trace, "-o", "-", "--what", events, "--format", "ndjson")))
    ended.append(folded(run("export", trace, "-o", "-", "--format", "folded")))
    for options in ([], ["--raw"], ["--fold-layers"], ["--constants", "--by", "bandwidth"]):
        ended.append(dot(run("dag", trace, "-o", "-", *options)))
        ended.append(objects(run("dag", trace, "-o", "-", "--format", "json", *options)))
    ended.append(svg(run("dag", trace, "-o", "-", "--format", "svg")))
    ended.append(objects(run("timeline", trace, "-o", "-")))
    ended.append(run("timeline", trace, "-o", "-", "--format", "perfetto"))
    ended.append(page(run("report", trace, "-o", "-")))
    ended.append(text(run("diff", trace, trace)))
    ended.append(objects(run("diff", trace, trace, "--json")))
    ended.append(page(run("diff", trace, trace, "-o", "-")))
    ended.append(run("tables", trace, "-o", folder / "tables", "--report"))
    ended.append(run("check", trace, "--salvage", folder / "saved.pitrace"))
    ended.append(run("batch", trace, "-o", folder / "archive"))
    for one in ended:
        told(one)
    return ended


def told(ended: Ended) -> None:
    """Ended by itself, and said in plain lines why where something is missing."""
    assert 0 <= ended.status < 128, f"{ended.command} ended with {ended.status}:\n{ended.stderr[-2000:]}"
    assert printable(ended.stderr), f"{ended.command}: {ended.stderr[:500]!r}"
    assert ended.status == commands.COMPLETE or ended.stderr.strip(), f"{ended.command} did not say why"


def printable(said: str) -> bool:
    return all(character.isprintable() or character in "\n" for character in said)


def text(ended: Ended) -> Ended:
    """For a terminal: names change neither the lines nor the terminal."""
    said = ended.stdout.decode()
    assert printable(said), f"{ended.command}: {[c for c in said if not c.isprintable() and c != chr(10)][:5]}"
    return ended


def rows(ended: Ended) -> Ended:
    """CSV: as many fields in each record as in the first."""
    found = list(csv.reader(io.StringIO(ended.stdout.decode(), newline=""), strict=True))
    assert len({len(row) for row in found}) <= 1, ended.command
    return ended


def objects(ended: Ended) -> Ended:
    if ended.stdout or ended.status == commands.COMPLETE:
        strict(ended.stdout.decode())
    return ended


def lines(ended: Ended) -> Ended:
    # NEL and U+2028 are parts of names, not ends of lines.
    for line in ended.stdout.decode().split("\n"):
        if line:
            strict(line)
    return ended


def strict(written: str):
    """JSON without NaN, Infinity or a key twice."""

    def refuse(constant: str):
        raise AssertionError(f"{constant} is not JSON")

    def once(pairs: list):
        assert len({key for key, _ in pairs}) == len(pairs), [key for key, _ in pairs]
        return dict(pairs)

    return json.loads(written, parse_constant=refuse, object_pairs_hook=once)


def folded(ended: Ended) -> Ended:
    """`frame;frame;frame count`: a name must not make a frame or a line."""
    for line in ended.stdout.decode().split("\n"):
        if line:
            stack, _, count = line.rpartition(" ")
            assert stack and count.isdigit() and all(stack.split(";")), line
            assert not any(unicodedata.category(character) == "Cc" for character in line), line
    return ended


def dot(ended: Ended) -> Ended:
    """Graphviz reads it; `nop` lays nothing out."""
    if ended.stdout:
        subprocess.run(["nop", "-p"], input=ended.stdout, check=True, capture_output=True, timeout=SECONDS)
    return ended


def svg(ended: Ended) -> Ended:
    if ended.stdout:
        xml.etree.ElementTree.fromstring(ended.stdout)
    return ended


class Elements(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.names: list[str] = []
        self.handlers: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.names.append(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on")]


def page(ended: Ended) -> Ended:
    """No name became an element, a script or a handler."""
    found = Elements()
    found.feed(ended.stdout.decode())
    assert not {"img", "iframe", "object", "embed", "base"} & set(found.names), ended.command
    assert found.handlers == [], ended.command
    assert not ended.stdout or found.names.count("html") == 1
    return ended
