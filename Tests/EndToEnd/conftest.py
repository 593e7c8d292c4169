"""Fixtures of the end-to-end tests: what must be there before anything can be recorded, and folders."""

import os
import pathlib
import signal
import subprocess

import pytest

import commands


def pytest_configure(config):
    missing = [path for path in (commands.PI_RECORD, commands.PROF_ANALYZE) if not path.exists()]
    if missing:
        pytest.exit(f"{', '.join(map(str, missing))}: not built (tools/build builds them)", 2)
    if os.geteuid() != 0:
        pytest.exit("recording needs root: run tools/test as root, or with sudo installed", 2)
    # Whoever starts the tests with `&` or nohup ignores these, and so would every command that the tests send them to.
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


@pytest.fixture(scope="session", autouse=True)
def prerequisites():
    for tool, *arguments in (
        ["make-models"], ["targets/build-shim"], ["targets/build-shim", "timing_shim"]
    ):
        command = [commands.ROOT / "tools" / tool, *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


@pytest.fixture(scope="session")
def ceilings(workdir) -> pathlib.Path:
    """What this machine can do, measured once."""
    path = workdir / "ceilings.json"
    commands.expect(commands.run(commands.PI_RECORD, "calibrate", "-o", path), 0)
    return path


@pytest.fixture(scope="session")
def workdir(tmp_path_factory) -> pathlib.Path:
    """A folder for the files of the whole run."""
    return tmp_path_factory.mktemp("traces")
