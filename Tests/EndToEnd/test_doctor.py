"""pi-record doctor: everything that a machine lacks, at once, with what helps; and that it is right about it."""

import contextlib
import os
import pathlib
import re
import shutil
import tempfile

import pytest

import commands
from commands import RECORDER_FAILED
from faults import targets
from faults.targets import Target

@pytest.fixture(scope="module")
def public():
    """The recorder and a target where everybody can run them."""
    with tempfile.TemporaryDirectory(prefix="pi-record-") as name:
        folder = pathlib.Path(name)
        os.chmod(folder, 0o755)
        shutil.copy(commands.PI_RECORD, folder / "pi-record")
        targets.program(folder)
        yield folder


def findings(result) -> dict[str, tuple[str, str]]:
    """By subject: the mark and the rest of the line, with the hint behind it."""
    found, subject = {}, ""
    for line in result.stdout.splitlines()[1:]:
        # "  MISSING  permission       lacks CAP_BPF"
        if match := re.match(r"  (ok     |limited|MISSING|unknown)  (.{15})  (.*)", line):
            subject = match[2].strip()
            found[subject] = match[1].strip(), match[3]
        else:
            mark, text = found[subject]
            found[subject] = mark, f"{text} {line.strip()}"
    return found


def doctor(public, *before, status: int) -> dict[str, tuple[str, str]]:
    return findings(commands.expect(commands.run(*before, public / "pi-record", "doctor"), status))


def user(*capabilities: str) -> list[str]:
    """A command's beginning: as nobody, with these capabilities and no other."""
    sets = ",".join(["-all", *(f"+{name}" for name in capabilities)])
    return [
        "setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", f"--inh-caps={sets}", f"--ambient-caps={sets}",
    ]  # fmt: skip


def without(*capabilities: str) -> list[str]:
    """As root that has lost some capabilities for good."""
    lost = ",".join(f"-{name}" for name in capabilities)
    return ["setpriv", f"--inh-caps={lost}", f"--bounding-set={lost}"]


def in_mount_namespace(script: str) -> list[str]:
    return ["unshare", "--mount", "--propagation", "private", "sh", "-ec", f'{script}; exec "$0" "$@"']


def setting(name: str) -> str:
    return pathlib.Path(f"/proc/sys/kernel/{name}").read_text().strip()


def test_nothing_is_missing(public):
    found = doctor(public, status=0)
    assert not {mark for mark, _ in found.values()} & {"MISSING", "unknown"}
    assert found["lockdown"][0] == found["tracepoints"][0] == found["counter access"][0] == "ok"


def test_user_without_rights(public):
    """All of it at once, and nothing said of what cannot be tried."""
    found = doctor(public, *user(), status=RECORDER_FAILED)
    missing = {subject: text for subject, (mark, text) in found.items() if mark == "MISSING"}
    assert missing.keys() == {"permission", "BPF"}
    assert "lacks CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE" in missing["permission"]
    assert "setcap cap_bpf,cap_perfmon,cap_sys_ptrace+ep" in missing["permission"]
    if setting("unprivileged_bpf_disabled") != "0":
        assert f"kernel.unprivileged_bpf_disabled is {setting('unprivileged_bpf_disabled')}" in missing["BPF"]
    unknown = {subject for subject, (mark, _) in found.items() if mark == "unknown"}
    assert unknown == {"lockdown", "probe links", "tracepoints"}
    mark, text = found["counter access"]
    assert mark == "limited" and f"kernel.perf_event_paranoid is {setting('perf_event_paranoid')}" in text


@pytest.mark.parametrize("capability", ["bpf", "perfmon", "sys_ptrace"])
def test_one_capability_is_missing(public, capability):
    narrow = {"bpf", "perfmon", "sys_ptrace"} - {capability}
    for before in (user(*narrow), without("sys_admin", capability)):
        mark, text = doctor(public, *before, status=RECORDER_FAILED)["permission"]
        assert mark == "MISSING" and f"lacks CAP_{capability.upper()} " in text


def test_three_capabilities_are_enough(public, tmp_path):
    """doctor says so: then it is so."""
    found = doctor(public, *user("bpf", "perfmon", "sys_ptrace"), status=0)
    assert found["permission"][0] == found["BPF"][0] == found["tracepoints"][0] == "ok"
    with tempfile.TemporaryDirectory(prefix="pi-record-") as folder:
        os.chmod(folder, 0o777)
        trace = pathlib.Path(folder) / "x.pitrace"
        before = [*user("bpf", "perfmon", "sys_ptrace"), public / "pi-record", "-o", trace, "--sched", "--"]
        with Target(public / "target", *before) as target:
            assert len(target.load().generate(8)) == 8
            assert target.end(7) == 7
        phases = [row["phase"] for row in commands.table("tokens", trace)]
    assert phases == ["prefill"] + ["decode"] * 7


def test_user_namespace(public):
    """Root there, and nobody outside: a container without rights."""
    found = doctor(public, "unshare", "--user", "--map-root-user", status=RECORDER_FAILED)
    mark, text = found["BPF"]
    assert mark == "MISSING" and "user namespace" in text and "docker run --privileged" in text
    assert found["permission"][0] == "ok"


def test_no_process_filesystem_of_its_own(public):
    """In a PID namespace processes have other numbers than the programs see."""
    mark, text = doctor(public, "unshare", "--pid", "--fork", status=RECORDER_FAILED)["processes"]
    assert mark == "MISSING" and "--pid=host" in text


def test_no_tracefs_no_btf(public):
    """Neither is needed, as test_no_btf shows for recordings."""
    hidden = "; ".join(
        f"mount -t tmpfs none {path}" for path in ("/sys/kernel/btf", "/sys/kernel/tracing", "/sys/kernel/debug")
        if os.path.isdir(path)
    )  # fmt: skip
    found = doctor(public, *in_mount_namespace(hidden), status=0)
    assert found["BTF"] == ("ok", "absent (not needed)")
    assert "tracefs is not needed" in found["tracepoints"][1]


def test_no_sysfs(public):
    """Where links with many probes prove that there are uprobes, sysfs is not asked for them."""
    links, _ = doctor(public, status=0)["probe links"]
    found = findings(commands.run(*in_mount_namespace("mount -t tmpfs none /sys"), public / "pi-record", "doctor"))
    if links == "ok":
        assert found["uprobes"][0] == "ok"
    else:
        mark, text = found["uprobes"]
        assert mark == "MISSING" and "CONFIG_UPROBES=y" in text
    assert found["counters"][0] == "limited"


def test_recording_is_refused_with_all_reasons(public):
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="pi-record-"))
        os.chmod(folder, 0o777)
        trace, mark = f"{folder}/x.pitrace", f"{folder}/started"
        result = commands.run(*user(), public / "pi-record", "-o", trace, "--", "touch", mark)
        commands.expect(result, RECORDER_FAILED)
        assert os.listdir(folder) == [], "a command was started, or a file made"
    assert "lacks CAP_BPF" in result.stderr and "also: BPF" in result.stderr and "pi-record doctor" in result.stderr


def test_counters_without_permission(public):
    """--pmc asks for what doctor says is not permitted: refused before anything starts."""
    if int(setting("perf_event_paranoid")) < 1:
        pytest.skip("kernel.perf_event_paranoid lets everybody count here")
    mark, text = doctor(public, *without("sys_admin", "perfmon"), status=RECORDER_FAILED)["counter access"]
    assert mark == "limited" and "CAP_PERFMON" in text
