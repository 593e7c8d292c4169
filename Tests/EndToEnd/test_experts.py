"""How experts are used: every figure worked out again from what the counting shim saw the target route."""

from collections import Counter, OrderedDict, defaultdict

import pytest

import commands
import truth
from commands import Workload

WORKLOADS = [
    Workload("moe-q4_0", 1, tokens=40),
    Workload("mixtral-q8_0", 1, tokens=24),
    # Each micro-batch reads the weights again.
    Workload("moe-q4_0", 1, tokens=8, micro_batch=4),
]
# The server's own warm-up, whose routing is left out.
FIRST_STEP = 1


def graphs_of(step: truth.Step) -> list[dict[int, Counter]]:
    """Per micro-batch and layer: tokens routed to each expert."""
    ends, total = [], 0
    for tokens in step.micro_batches:
        total += tokens
        ends.append(total)
    graphs = [defaultdict(Counter) for _ in ends]
    for row, layer, _, expert in step.experts:
        graph = next(index for index, end in enumerate(ends) if row < end)
        graphs[graph][layer][expert] += 1
    return graphs


def lru_hits(uses: list, size: int) -> int:
    cache, hits = OrderedDict(), 0
    for use in uses:
        if use in cache:
            hits += 1
            cache.move_to_end(use)
            continue
        if len(cache) == size:
            cache.popitem(last=False)
        cache[use] = True
    return hits


def best_hits(uses: list, size: int) -> int:
    """Throws out what is used again latest."""
    next_use, seen = [], {}
    for now in reversed(range(len(uses))):
        next_use.append(seen.get(uses[now], len(uses) + now))
        seen[uses[now]] = now
    cache, hits = {}, 0
    for use, following in zip(uses, reversed(next_use)):
        if use in cache:
            hits += 1
        elif len(cache) == size:
            del cache[max(cache, key=cache.get)]
        cache[use] = following
    return hits


class Case:
    """A workload counted and recorded, in two runs of the same deterministic work."""

    def __init__(self, workload: Workload, folder):
        self.workload = workload
        self.trace = folder / f"use-{workload}.pitrace"
        steps, _ = truth.count(workload, folder / f"use-{workload}.jsonl")
        commands.expect(commands.record(self.trace, workload.command()), 0)
        self.graphs = [
            (number, graph)
            for number, step in enumerate(steps)
            if number >= FIRST_STEP
            for graph in graphs_of(step)
        ]
        # (step, layer, expert), as ggml goes through them.
        self.uses = [
            (number, layer, expert)
            for number, graph in self.graphs
            for layer in sorted(graph)
            for expert in sorted(graph[layer])
        ]

    def table(self, view: str) -> list[dict[str, str]]:
        return commands.table("experts", self.trace, view)

    def tokens(self) -> Counter:
        tokens = Counter()
        for _, graph in self.graphs:
            for layer, experts in graph.items():
                tokens.update({(layer, expert): count for expert, count in experts.items()})
        return tokens


@pytest.fixture(scope="module", params=WORKLOADS, ids=str)
def case(request, workdir) -> Case:
    return Case(request.param, workdir)


def test_histogram(case):
    tokens, uses = case.tokens(), Counter((layer, expert) for _, layer, expert in case.uses)
    rows = {(int(row["layer"]), int(row["expert"])): row for row in case.table("--histogram")}
    assert len(rows) == 12 * 32
    for key, row in rows.items():
        assert (int(row["tokens"]), int(row["uses"])) == (tokens[key], uses[key])
        steps = [step for step, *use in case.uses if tuple(use) == key]
        assert row["first_step"] == (str(steps[0]) if steps else "")
        if len(steps) > 1:
            assert float(row["mean_reuse_steps"]) == pytest.approx(
                (steps[-1] - steps[0]) / (len(steps) - 1), abs=1e-6
            )
    prefill = sum(int(row["prefill_tokens"]) for row in rows.values())
    generated = sum(int(row["generated_tokens"]) for row in rows.values())
    assert generated == (case.workload.tokens - 1) * 12 * 4
    assert prefill + generated == sum(tokens.values())


def test_over_time(case):
    windows = Counter()
    for row in case.table("--over-time"):
        windows[int(row["layer"]), int(row["expert"])] += int(row["tokens"])
    assert windows == case.tokens()


def test_imbalance(case):
    tokens = case.tokens()
    for row in case.table("--summary"):
        layer = int(row["layer"])
        counts = sorted(tokens[layer, expert] for expert in range(32))
        assert int(row["never_used"]) == counts.count(0)
        assert float(row["max_over_mean"]) == pytest.approx(counts[-1] * 32 / sum(counts), abs=1e-6)
        differences = sum(abs(a - b) for a in counts for b in counts)
        assert float(row["gini"]) == pytest.approx(differences / (2 * 32 * sum(counts)), abs=1e-6)


def test_reuse_distances(case):
    """In token steps with any expert: here all steps are."""
    last, distances = {}, Counter()
    for step, *key in case.uses:
        key = tuple(key)
        distances["first use" if key not in last else (step - last[key]).bit_length()] += 1
        last[key] = step
    found = {
        "first use" if row["distance"] == "first use" else int(row["from_steps"]).bit_length(): int(row["uses"])
        for row in case.table("--reuse")
    }
    assert found == distances
    samples = sum(int(row["samples"]) for row in case.table("--reuse"))
    assert samples == (case.workload.tokens - 1) * 12


def test_cache_of_every_size(case):
    """Hit rates of caches that are played through, one for each size."""
    uses = [use for _, *use in case.uses]
    everything = [tuple(use) for use in uses]
    by_layer = {layer: [tuple(use) for use in uses if use[0] == layer] for layer in range(12)}
    checked = 0
    for row in case.table("--cache"):
        size, kind = int(row["experts"]), row["cache"]
        if size == 0:
            assert float(row["lru"]) == float(row["optimal"]) == 0
            continue
        if kind == "global" and size % 17 not in (1, 5) and size != 384:
            continue
        if kind == "global":
            sequences = [everything]
        elif kind == "layer":
            sequences = [by_layer[int(row["layer"])]]
        else:
            sequences = list(by_layer.values())
        if kind == "per-layer" and size % 4:
            continue
        total = sum(map(len, sequences))
        lru = sum(lru_hits(sequence, size) for sequence in sequences) / total
        best = sum(best_hits(sequence, size) for sequence in sequences) / total
        assert float(row["lru"]) == pytest.approx(lru, abs=1e-6), row
        assert float(row["optimal"]) == pytest.approx(best, abs=1e-6), row
        checked += 1
    assert checked > 12 * 32
    assert f"of {len(case.uses)} uses" in commands.expect(
        commands.analyze("summary", case.trace), commands.COMPLETE
    ).stdout


def test_bytes_of_an_expert(case):
    """Three matrices of 64 by 256, quantised."""
    blocks = 3 * 64 * 256 // 32
    each = blocks * (18 if "q4_0" in case.workload.model else 34)
    assert {row["expert_bytes"] for row in case.table("--summary")} == {str(each)}
    sizes = {
        int(row["experts"]): int(row["bytes"]) for row in case.table("--cache") if row["cache"] == "global"
    }
    assert sizes[384] == 384 * each and sizes[100] == 100 * each


def test_a_dense_model_has_no_experts(workdir):
    trace = workdir / "no-experts.pitrace"
    commands.expect(commands.record(trace, Workload("dense-q8_0", 1, tokens=3).command()), 0)
    for view in ("--summary", "--histogram", "--over-time", "--reuse", "--cache"):
        result = commands.expect(commands.analyze("experts", trace, view, "--csv"), commands.COMPLETE)
        assert len(result.stdout.splitlines()) == 1
        assert "no expert routing" in result.stderr
    assert "Experts" not in commands.analyze("summary", trace).stdout
    assert commands.analyze("experts", trace, "--cache", "--reuse").returncode == commands.USAGE
