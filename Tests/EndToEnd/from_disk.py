"""A model whose experts come from the disk again when they were not used for long: its file is thrown out of memory now
and then."""

import ctypes
import json
import os
import pathlib
import subprocess
import urllib.request

import commands
from servers import Recording, Server

MODEL = "moe-wide-q8_0"
TOKENS = 120
# Tokens between two times that the model is thrown out: what is used in each token is mostly there, what is used more
# rarely is not.
PERIOD = 20

LIBC = ctypes.CDLL(None, use_errno=True)
SYS_PIDFD_OPEN, SYS_PROCESS_MADVISE, MADV_PAGEOUT = 434, 440, 21


class Range(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]


def throw_out(process: int, path: str):
    """Takes what a process has mapped of a file out of memory, as the kernel does when memory is short.

    Raises OSError where the kernel cannot.
    """
    descriptor = LIBC.syscall(SYS_PIDFD_OPEN, process, 0)
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), "pidfd_open")
    with open(f"/proc/{process}/maps", encoding="utf-8") as maps:
        mappings = [line.split()[0].split("-") for line in maps if line.rstrip().endswith(path)]
    assert mappings, f"{path} is not mapped"
    try:
        for first, last in mappings:
            part = Range(int(first, 16), int(last, 16) - int(first, 16))
            if LIBC.syscall(SYS_PROCESS_MADVISE, descriptor, ctypes.byref(part), 1, MADV_PAGEOUT, 0) < 0:
                raise OSError(ctypes.get_errno(), "process_madvise")
    finally:
        os.close(descriptor)


def generate(server: Server, each_period):
    """One request, with a call after every so many tokens."""
    body = {"prompt": "Once upon a time", "n_predict": TOKENS, "temperature": 0, "ignore_eos": True, "stream": True}
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.port}/completion", data=json.dumps(body | {"cache_prompt": False}).encode()
    )
    tokens = 0
    with urllib.request.urlopen(request, timeout=120) as reply:
        for line in reply:
            if not line.startswith(b"data:") or json.loads(line[5:]).get("stop"):
                continue
            tokens += 1
            if tokens % PERIOD == 0:
                each_period()
    assert tokens >= TOKENS - 1


def record(trace: pathlib.Path, scratch: pathlib.Path, *options: str):
    """Records such a run with the counter of major faults."""
    subprocess.run([commands.ROOT / "tools/make-models", commands.MODELS, MODEL], check=True)
    os.sync()  # pages of a file just written are dirty, and dirty pages stay in memory
    shim = scratch / "random_access.so"
    source = commands.ROOT / "Tests/EndToEnd/shim/random_access.c"
    subprocess.run(["cc", "-O2", "-Wall", "-Werror", "-shared", "-fPIC", source, "-o", shim, "-ldl"], check=True)
    with open(scratch / "server.log", "wb") as log:
        server = Server(MODEL, log, environment=os.environ | {"LD_PRELOAD": str(shim)})
        try:
            server.complete(2)
            with Recording(server, trace, "--pmc", "major-faults", "--buffer", "32", *options):
                generate(server, lambda: throw_out(server.process.pid, f"{MODEL}.gguf"))
        finally:
            server.stop()
