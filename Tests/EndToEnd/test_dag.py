"""Graphs are exact: `dag` equals the target's own graph edge by edge, and a folded layer what its layers are."""

import json
import os
import re
import xml.etree.ElementTree

import pytest

import commands
import truth
from commands import Workload

# Dense, mixture of experts, biases, extra norms and two kinds of cache, weights of two types.
MODELS = {"dense-q8_0": 6, "moe-q4_0": 12, "qwen2-q8_0": 4, "gemma2-q8_0": 4, "mixed-q4_k": 8}


class Case:
    """A workload counted and recorded in one process, so that addresses can be compared."""

    def __init__(self, model: str, folder):
        self.model = model
        self.layers = MODELS[model]
        self.folder = folder
        self.trace = folder / f"dag-{model}.pitrace"
        counted = folder / f"dag-{model}.jsonl"
        # Through env(1): the recorder itself is not to be counted.
        variables = [f"{name}={value}" for name, value in truth.variables(counted).items()]
        command = ["env", *variables, *Workload(model, 1).command()]
        commands.expect(commands.record(self.trace, command, "--pmc", "page-faults"), 0)
        self.steps = truth.read(counted)

    def dag(self, *options) -> dict:
        output = self.folder / "dag.json"
        command = commands.analyze("dag", self.trace, "-o", output, "--format", "json", *options)
        commands.expect(command, commands.COMPLETE)
        return json.loads(output.read_text(encoding="utf-8"))


@pytest.fixture(scope="module", params=MODELS)
def case(request, workdir) -> Case:
    return Case(request.param, workdir)


def executed(graph: dict) -> list[dict]:
    return [node for node in graph["nodes"] if node["kind"] == "executed"]


def test_edges_of_operators(case):
    """Of the prefill and of the last step: the same operators in the same order, and the same edges between them."""
    for number in (1, len(case.steps) - 1):
        compute = max(case.steps[number].computes, key=lambda compute: len(compute.graph.nodes))
        # A batch without logits leaves the last layer empty tensors, on which ggml runs its fused operator only.
        true = [members for members in compute.members[0] if 0 not in compute.graph.nodes[members[-1]]["shape"]]
        found = case.dag("--token", number)
        operators = sorted(executed(found), key=lambda node: node["order"])
        assert [node["members"] for node in operators] == true
        assert [node["order"] for node in operators] == list(range(1, len(operators) + 1))
        key = {node["index"]: tuple(node["members"]) or node["address"] for node in found["nodes"]}
        edges = {(key[edge["from"]], key[edge["to"]], edge["kind"]) for edge in found["edges"]}
        assert edges == compute.graph.dependencies(true)
        assert len(edges) == len(found["edges"])
        assert {kind for *_, kind in edges} == {"data", "view", "memory"}


def test_edges_of_tensors(case):
    """With --raw: every tensor at its address, with all its sources."""
    number = len(case.steps) - 1
    true = case.steps[number].computes[-1].graph
    found = commands.dag(case.trace, case.folder / "dag.json", "--token", number)
    nodes = found["nodes"][: len(true.nodes)]
    for key in ("address", "name", "shape", "sources", "view_source"):
        assert [node[key] for node in nodes] == [node[key] for node in true.nodes]
    assert [node["op"] for node in nodes] == [node["description"] for node in true.nodes]
    address = [node["address"] for node in found["nodes"]]
    edges = [(address[edge["from"]], address[edge["to"]], edge["slot"]) for edge in found["edges"]]
    assert sorted(edges) == sorted(
        (source, node["address"], slot)
        for node in true.nodes + true.others
        for slot, source in enumerate(node["sources"])
        if source
    )


def test_kinds_of_constants(case):
    found = case.dag()
    for node in found["nodes"]:
        if node["name"].endswith((".weight", ".bias")):
            assert node["kind"] == "weight", node
        elif node["kind"] != "executed":
            assert (node["kind"] == "cache") == node["name"].startswith("cache_"), node


def test_figures_and_critical_path(case):
    found = case.dag("--token", len(case.steps) - 1)
    operators = executed(found)
    for node in operators:
        assert node["calls"] == 1 and node["duration_ns"] == node["p95_ns"] > 0
        assert node["counters"].keys() == {"page-faults"}
        if node["bytes"] is not None:
            assert node["bytes_per_s"] == pytest.approx(node["bytes"] / node["duration_ns"] * 1e9, rel=1e-6)
    products = [node for node in operators if node["op"] == "MUL_MAT"]
    assert all(node["flops"] > 0 and node["bytes"] > 0 for node in products)
    # The longest path, again: operators are in order of execution, which is one of dependencies.
    length = {}
    before = {node["index"]: [] for node in found["nodes"]}
    for edge in found["edges"]:
        before[edge["to"]].append(edge["from"])
    for node in operators:
        longest = max((length.get(source, 0) for source in before[node["index"]]), default=0)
        length[node["index"]] = node["duration_ns"] + longest
    path = found["critical_path"]
    assert path["length_ns"] == max(length.values())
    assert path["operators_ns"] == sum(node["duration_ns"] for node in operators) <= path["graph_ns"]
    assert all(a in before[b] for a, b in zip(path["nodes"], path["nodes"][1:]))
    critical = [node for node in operators if node["critical"]]
    assert [node["index"] for node in critical] == path["nodes"]
    assert sum(node["duration_ns"] for node in critical) == path["length_ns"]


def test_folded_layer(case):
    """Every operator of every layer is in the folded one, with its time."""
    folded = case.dag("--fold-layers")
    assert folded["form"] == "folded" and folded["layers"] == list(range(case.layers))
    steps = range(len(case.steps) - folded["steps"], len(case.steps))
    assert len(steps) >= 8, "the decode steps"
    graphs = [case.dag("--token", number) for number in steps]
    operators = executed(folded)
    outside = [node for node in operators if not node["layers"]]
    count = len(outside) + sum(len(node["layers"]) for node in operators)
    assert all(len(executed(graph)) == count for graph in graphs)
    assert {node["name"] for node in outside} >= {"result_norm", "result_output"}
    checked = 0
    for node in operators:
        assert node["calls"] == len(steps) * max(len(node["layers"]), 1)
        if not re.search("-N$", node["name"]):
            continue
        names = {node["name"][:-1] + str(layer) for layer in node["layers"]}
        times = sorted(
            other["duration_ns"]
            for graph in graphs
            for other in executed(graph)
            if other["name"] in names and other["op"] == node["op"] and other["layer"] in node["layers"]
        )
        if len(times) == node["calls"]:
            # Nearest rank.
            assert node["duration_ns"] == times[(len(times) + 1) // 2 - 1]
            assert node["p95_ns"] == times[-(-len(times) * 95 // 100) - 1]
            checked += 1
    assert checked >= 10
    carried = {edge["distance"] for edge in folded["edges"]}
    assert carried == {0, 1}


def test_what_differs_between_layers(case):
    folded = case.dag("--fold-layers", "--token", len(case.steps) - 1)
    differences = {}
    for difference in folded["differences"]:
        names = sorted(folded["nodes"][index]["name"] for index in difference["nodes"])
        differences.setdefault(difference["kind"], []).append((names, difference["layers"]))
    reads = {name for node in folded["nodes"] for name in node["weights"]}
    # The last layer computes only the tokens that need logits, which takes two operators without a name.
    assert differences["presence"] == [(["", ""], [case.layers - 1])]
    more_bits = [0, 3, 6, 7]
    if case.model == "mixed-q4_k":
        assert len(differences["weights"]) == 1
        names, layers = differences["weights"][0]
        assert names == ["Vcur-N", "ffn_out-N"]
        assert layers in (more_bits, [1, 2, 4, 5])
        product = next(node for node in folded["nodes"] if node["name"] == "ffn_out-N")
        types = {tuple(variant["weight_types"]): variant["layers"] for variant in product["variants"]}
        assert types == {("q6_K",): more_bits, ("q4_K",): [1, 2, 4, 5]}
    else:
        assert "weights" not in differences
    if case.model == "gemma2-q8_0":
        # Every other layer looks at the last tokens only, in a smaller cache.
        assert {tuple(layers) for _, layers in differences["shape"]} == {(1, 3)}
        assert {"blk.N.post_attention_norm.weight", "blk.N.post_ffw_norm.weight"} <= reads
        assert "GEGLU" in {node["op"] for node in folded["nodes"]}
    else:
        assert "shape" not in differences
    if case.model == "qwen2-q8_0":
        assert {f"blk.N.attn_{name}.bias" for name in "qkv"} <= reads
    if case.model == "moe-q4_0":
        assert {f"blk.N.ffn_{name}_exps.weight" for name in ("gate", "up", "down")} <= reads


PICTURES = [[], ["--fold-layers", "--by", "page-faults"], ["--by", "bandwidth", "--constants"]]


@pytest.mark.parametrize("options", PICTURES, ids=" ".join)
def test_svg_has_every_operator(case, options):
    picture = case.folder / "dag.svg"
    command = commands.analyze("dag", case.trace, "-o", picture, "--format", "svg", *options)
    said = commands.expect(command, commands.COMPLETE).stdout
    assert "critical path: " in said
    root = xml.etree.ElementTree.parse(picture).getroot()
    # Graphviz makes one of two spaces a hard one.
    text = "\n".join(root.itertext()).replace("\u00a0", " ")
    folds = [option for option in options if option == "--fold-layers"]
    for node in executed(case.dag(*folds)):
        assert re.search(rf"\b{node['order']}  {re.escape(node['name'] or node['op'])}\n", text), node
    if "--by" in options:
        assert ("page-faults of a call" if folds else "modelled bytes / time") in text


def test_errors(case, tmp_path):
    output = tmp_path / "dag.svg"
    result = commands.expect(commands.analyze("dag", case.trace, "-o", output, "--by", "cycles"), commands.USAGE)
    assert "page-faults" in result.stderr
    nowhere = os.environ | {"PATH": str(tmp_path)}
    result = commands.expect(commands.analyze("dag", case.trace, "-o", output, "--format", "svg", env=nowhere), 5)
    assert "Graphviz" in result.stderr and "--format dot" in result.stderr
    failing = tmp_path / "dot"
    failing.write_text("#!/bin/sh\necho no room >&2\nexit 3\n")
    failing.chmod(0o755)
    broken = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    result = commands.expect(commands.analyze("dag", case.trace, "-o", output, "--format", "svg", env=broken), 5)
    assert "status 3: no room" in result.stderr
    assert not output.exists()
    commands.expect(commands.analyze("dag", case.trace, "-o", output, "--raw", "--fold-layers"), commands.USAGE)
