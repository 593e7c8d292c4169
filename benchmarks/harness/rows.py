"""The recorders that are compared: how each is put on a running process."""

import os
import pathlib
from dataclasses import dataclass

import places
from traces import Site

GRAPH_ROLES = ("backend_graph", "graph")
OPERATOR_ROLES = ("op_begin", "op_fused", "barrier_loop", "barrier_final")


def level_of(site: Site) -> str:
    role = site.role.removesuffix("_return")
    return "op" if role in OPERATOR_ROLES else "graph" if role in GRAPH_ROLES else "token"


@dataclass(frozen=True)
class Row:
    """A recorder with its options. `own`: it is pi-record."""

    name: str
    own: bool
    options: tuple[str, ...] = ()
    peer: str = ""

    @property
    def level(self) -> str:
        return self.options[self.options.index("--level") + 1] if "--level" in self.options else "op"

    def sites(self, all_sites: list[Site]) -> list[Site]:
        """Those of the sites that have hits in which this recorder puts a probe."""
        used = [site for site in all_sites if site.hits]
        if self.own:
            deepest = ("token", "graph", "op").index(self.level)
            return [site for site in used if ("token", "graph", "op").index(level_of(site)) <= deepest]
        return [site for site in used if site.role in self._peer_roles()]

    def _peer_roles(self) -> tuple[str, ...]:
        if self.peer == "bcc":
            return ("token_process", "token_decode", "graph", "op_begin", "op_fused")
        if self.peer == "bpftrace":
            return ("graph", "op_begin")
        return ("token_process", "token_decode", "graph", *OPERATOR_ROLES)

    def command(self, recorder: pathlib.Path, pid: int, sites: list[Site], output: pathlib.Path) -> list[str]:
        if self.own:
            return [str(recorder), "--quiet", *self.options, "-o", str(output), "--pid", str(pid)]
        return getattr(self, f"_{self.peer}")(pid, sites, str(output))

    def _bcc(self, pid: int, sites: list[Site], output: str) -> list[str]:
        kinds = {"op_begin": "operator", "op_fused": "fused", "graph": "graph"}
        script = str(places.PEERS / "bcc_recorder.py")
        named = [f"{kinds.get(site.role, 'token')}:{site.path}:{site.offset:#x}" for site in sites]
        return [places.SYSTEM_PYTHON, script, "--pid", str(pid), *self.options, "--output", output, *named]

    def _bpftrace(self, pid: int, sites: list[Site], output: str) -> list[str]:
        """By function, entry and return: Debian's bpftrace refuses other places in a file."""
        program = ""
        for site in sites:
            for kind in ("uprobe", "uretprobe"):
                action = f"@{kind}_{site.role} = count();"
                if "printf" in self.options:
                    action = f'printf("{kind} {site.role} %llu %d %llx\\n", nsecs, tid, arg1);'
                    if kind == "uretprobe":
                        action = action.replace("arg1", "retval")
                program += f"{kind}:{site.path}:{site.function} {{ {action} }}\n"
        return ["bpftrace", "-p", str(pid), "-o", output, "-e", program]

    def _perf(self, pid: int, sites: list[Site], output: str) -> list[str]:
        named = dict.fromkeys(f"{site.path}:{site.offset:#x}" for site in sites)
        return [str(places.PEERS / "perf-uprobes"), str(pid), output, *named]


def environment() -> dict[str, str]:
    return {**os.environ, "BCC_KERNEL_SOURCE": str(places.kernel_headers()), "BPFTRACE_LOG_SIZE": "1000000"}


TOKEN = Row("pi-record --level token", True, ("--level", "token"))
GRAPH = Row("pi-record --level graph", True, ("--level", "graph"))
TIMES = Row("pi-record --no-structure", True, ("--no-structure",))
OPERATORS = Row("pi-record", True)
EVERYTHING = Row("pi-record --pmc page-faults,task-clock --sched", True, ("--pmc", "page-faults,task-clock", "--sched"))
OWN = (GRAPH, TOKEN, TIMES, OPERATORS, EVERYTHING)
BCC_RING = Row("BCC, ring buffer", False, ("--buffer", "ring"), "bcc")
BCC_PERF = Row("BCC, perf buffer", False, ("--buffer", "perf"), "bcc")
PEERS = (
    BCC_RING,
    BCC_PERF,
    Row("bpftrace, count", False, (), "bpftrace"),
    Row("bpftrace, printf", False, ("printf",), "bpftrace"),
    Row("perf record, uprobe events", False, (), "perf"),
)
