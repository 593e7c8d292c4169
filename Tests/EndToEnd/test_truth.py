"""The ground truth itself: the shim's counts must agree with what the target says, and with each other."""

import json

import pytest

import commands
import truth
from commands import Workload


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("model", ["dense-q4_0", "moe-q4_0"])
def test_shim_agrees_with_target(workdir, model, threads):
    workload = Workload(model, threads)
    steps, said = truth.count(workload, workdir / f"truth-{workload}.jsonl")
    assert said["generated_tokens"] == workload.tokens
    # llama.cpp's server first decodes two tokens to learn what the context can forget.
    probe, prefill, *decodes = [step.n_tokens for step in steps]
    assert (probe, prefill) == (2, said["prompt_tokens"])
    assert decodes == [1] * (workload.tokens - 1)
    for step in steps:
        assert step.result == 0
        for compute in step.computes:
            assert compute.n_threads == threads
            # Every thread takes part in every operator.
            assert all(operators == compute.operators[0] for operators in compute.operators)
            assert ("MUL_MAT", "result_output") in compute.operators[0]
        assert bool(step.experts) == model.startswith("moe")
    if model.startswith("moe"):
        # The last layer computes only what the logits need: one row.
        assert len(steps[1].experts) == (said["prompt_tokens"] * 11 + 1) * 4
        assert {expert for step in steps for *_, expert in step.experts} <= set(range(32))


def test_shim_does_not_change_the_result(workdir):
    workload = Workload("dense-q8_0", 1)
    plain = json.loads(commands.expect(commands.run(*workload.command()), 0).stdout)
    _, counted = truth.count(workload, workdir / "truth-same.jsonl")
    assert counted["text"] == plain["text"]
