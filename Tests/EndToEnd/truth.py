"""What the counting shim saw: the target's own steps, graphs, operators and experts."""

import json
import os
import pathlib
from dataclasses import dataclass, field

import commands


@dataclass
class Graph:
    nodes: list[dict]
    others: list[dict]

    def operator(self, item: int | list[int]) -> tuple[str, str]:
        """(operator, node name) of an entry of a compute's node list; a fused pair is named by its last node."""
        members = [item] if isinstance(item, int) else item
        names = [self.nodes[index]["description"] for index in members]
        return "+".join(names), self.nodes[members[-1]]["name"]

    def dependencies(self, operators: list[list[int]]) -> set[tuple]:
        """What each operator waits for: (from, to, kind); an operator as the tuple of its nodes, a constant as its
        address.

        `data`: a source; `view`: a source through tensors that are never computed; `memory`: an operator before it
        wrote into the memory of a source, through another tensor.
        """
        index = {node["address"]: number for number, node in enumerate(self.nodes)}
        tensors = {tensor["address"]: tensor for tensor in self.others + self.nodes}
        owner = {number: tuple(members) for members in operators for number in members}

        def origins(address: str) -> set[str]:
            """What a tensor is computed from, or looks at: itself, where it is computed or no node."""
            number = index.get(address)
            if number is None or number in owner:
                return {address}
            node = self.nodes[number]
            sources = [source for source in node["sources"] if source] or [node["view_source"]]
            return set().union(*(origins(source) for source in sources if source)) or {address}

        def memory(address: str) -> str:
            """The tensor whose memory a tensor is in."""
            view = tensors[address]["view_source"]
            return memory(view) if view else address

        found: dict[tuple, str] = {}
        writers: dict[str, list[tuple]] = {}
        for members in operators:
            to = tuple(members)
            sources = [source for number in members for source in self.nodes[number]["sources"] if source]
            for source in sources:
                for origin in origins(source):
                    producer = owner.get(index.get(origin), origin)
                    if producer != to and found.get((producer, to)) != "data":
                        found[producer, to] = "data" if origin == source else "view"
            targets = [self.nodes[number]["address"] for number in members if self.nodes[number]["view_source"]]
            for storage in {memory(address) for address in sources + targets}:
                for writer in writers.get(storage, []):
                    found.setdefault((writer, to), "memory")
            for target in targets:
                writers.setdefault(memory(target), []).append(to)
        return {(*ends, kind) for ends, kind in found.items()}

    def edges(self) -> list[tuple]:
        """Per node: its name, operator, shape, and its sources as (kind, what): see `resolve`."""
        return edges(self.nodes, self.others, "description")


@dataclass
class Compute:
    graph: Graph
    n_threads: int
    # Per thread (ith 0 first): the operators in order.
    operators: list[list[tuple[str, str]]]
    # The same as indexes of the graph's nodes: one, or the first and the last of a fused pair.
    members: list[list[list[int]]]


@dataclass
class Step:
    function: str
    result: int
    # What the old token API was asked for; -1 of the new one.
    asked_tokens: int = -1
    micro_batches: list[int] = field(default_factory=list)
    computes: list[Compute] = field(default_factory=list)
    # (row, layer, slot, expert), each once. Rows are the tokens of the step in order, but in the last layer
    # only those with logits.
    experts: set[tuple[int, int, int, int]] = field(default_factory=set)

    @property
    def n_tokens(self) -> int:
        """A target of early 2025 has no function that is called once a micro-batch."""
        return sum(self.micro_batches) if self.micro_batches else self.asked_tokens

    def operators(self, thread: int) -> list[tuple[str, str]]:
        return [operator for compute in self.computes for operator in compute.operators[thread]]


def edges(nodes: list[dict], others: list[dict], op_key: str) -> list[tuple]:
    """A graph without its addresses, so that graphs of two runs can be compared.

    Names repeat and can be empty, so a source that is a node is told by its index, any other by its name.
    """
    known = {other["address"]: ("constant", other["name"]) for other in others}
    known |= {node["address"]: ("node", index) for index, node in enumerate(nodes)}
    return [
        (
            node["name"],
            node[op_key],
            node["type"],
            tuple(node["shape"]),
            tuple(known[source] if source else None for source in node["sources"]),
        )
        for node in nodes
    ]


def read(path: pathlib.Path) -> list[Step]:
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    graphs = {line["graph"]: Graph(line["nodes"], line["others"]) for line in lines if line["kind"] == "graph"}
    ends = {line["step"]: line for line in lines if line["kind"] == "step"}
    steps = {number: Step(end["function"], end["result"], end["n_tokens"]) for number, end in ends.items()}
    outside = [line for line in lines if line.get("step", 0) < 0]
    assert not outside, f"the target computed outside of any token step: {outside[:3]}"
    for line in lines:
        if line["kind"] == "ubatch":
            steps[line["step"]].micro_batches.append(line["n_tokens"])
        elif line["kind"] == "compute":
            graph = graphs[line["graph"]]
            threads = sorted(line["threads"], key=lambda thread: thread["ith"])
            assert [thread["ith"] for thread in threads] == list(range(line["n_threads"]))
            operators = [[graph.operator(item) for item in thread["nodes"]] for thread in threads]
            members = [[[item] if isinstance(item, int) else item for item in thread["nodes"]] for thread in threads]
            steps[line["step"]].computes.append(Compute(graph, line["n_threads"], operators, members))
        elif line["kind"] == "experts":
            step = steps[line["step"]]
            before = sum(step.micro_batches[:-1])
            name, _, layer = line["ids"].rpartition("-")
            assert name == "ffn_moe_topk", line["ids"]
            for index, row in enumerate(line["rows"]):
                for slot, expert in enumerate(row):
                    step.experts.add((before + index, int(layer), slot, expert))
    return [steps[number] for number in sorted(steps)]


def variables(output: pathlib.Path) -> dict[str, str]:
    """The environment variables that make a process count into `output`."""
    return {"LD_PRELOAD": str(commands.SHIM), "COUNTING_SHIM_OUTPUT": str(output)}


def count(workload: commands.Workload, output: pathlib.Path) -> tuple[list[Step], dict]:
    """Runs a workload with the shim: its steps, and what the driver said."""
    said = commands.expect(commands.run(*workload.command(), env=os.environ | variables(output)), 0).stdout
    return read(output), json.loads(said)
