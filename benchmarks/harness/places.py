"""Where things are, and the machine in words."""

import os
import pathlib
import platform
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
PEERS = ROOT / "benchmarks/peers"
RESULTS = ROOT / "benchmarks/RESULTS.md"
PROGRAMS = ROOT / ".targets/benchmarks"
MODELS = ROOT / ".targets/models"
RUN_LLAMA = ROOT / ".targets/builds/shared-openmp/bin/run-llama"
ANALYZER = pathlib.Path(os.environ.get("PROF_ANALYZE", ROOT / ".build/release/prof-analyze"))
# Debian's own: it has BCC.
SYSTEM_PYTHON = "/usr/bin/python3"
LARGE, SMALL = "llama1b-f16", "dense-q8_0"


def kernel_headers() -> pathlib.Path:
    own = pathlib.Path(f"/lib/modules/{os.uname().release}/build")
    return own if own.exists() else PROGRAMS / "kernel-headers"


def machine() -> str:
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        models = [line.partition(":")[2].strip() for line in file if line.startswith(("model name", "CPU part"))]
    virtual = "hypervisor" in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8")
    kind = ", virtual machine" if virtual else ""
    return f"{os.cpu_count()} x {models[0] if models else platform.machine()}{kind}, Linux {os.uname().release}"


def commit() -> str:
    done = subprocess.run(
        ["git", "-C", str(ROOT), "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"
