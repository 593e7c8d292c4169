"""Speculative decoding: acceptance by place and costs, beside what the tools themselves say."""

import re

import pytest

import commands
from servers import Recording, Server

BINARIES = commands.ROOT / ".targets/builds/shared-openmp/bin"


class Answer:
    """One request to a server with a draft model, recorded; shorter drafts where the draft model is not sure."""

    def __init__(self, folder):
        self.trace, log = folder / "places.pitrace", folder / "places.log"
        more = ["-md", str(commands.MODELS / "draft-q8_0.gguf"), "--spec-type", "draft-simple", "-ngld", "0"]
        # Not sure enough, nothing is drafted, and the step decodes one token. The log has acceptance by place.
        more += ["-td", "1", "--spec-draft-p-min", "0.3", "-lv", "5"]
        with open(log, "wb") as file:
            server = Server("dense-q8_0", file, more=more)
            try:
                body = {"prompt": "Once upon a time", "n_predict": 160, "temperature": 0, "ignore_eos": True}
                with Recording(server, self.trace, "--buffer", "32"):
                    self.timings = server.request("/completion", body)["timings"]
            finally:
                server.stop()
        places = re.search(r"acc per pos = \(([^)]*)\)", log.read_text(errors="replace"))[1]
        self.places = [float(place) for place in places.split(",")]


@pytest.fixture(scope="module")
def answer(workdir) -> Answer:
    return Answer(workdir)


def test_acceptance_by_place_is_what_the_server_says(answer):
    rows = commands.table("speculation", answer.trace)
    assert [int(row["position"]) for row in rows] == [1, 2, 3]
    drafted, accepted = ([int(row[name]) for row in rows] for name in ("drafted", "accepted"))
    assert (sum(drafted), sum(accepted)) == (answer.timings["draft_n"], answer.timings["draft_n_accepted"])
    # The server divides by its verifying steps with a draft, each of which has a first place.
    assert [round(count / drafted[0], 3) for count in accepted] == pytest.approx(answer.places, abs=0.0011)
    assert answer.places[0] > 0
    for row in rows:
        assert float(row["rate"]) == pytest.approx(int(row["accepted"]) / int(row["drafted"]), abs=1e-6)


def test_rounds(answer):
    rows = commands.table("speculation", answer.trace, "--rounds")
    steps = {row["step"]: row for row in commands.table("tokens", answer.trace)}
    assert sum(int(row["drafted"]) for row in rows) == answer.timings["draft_n"]
    assert sum(int(row["accepted"]) for row in rows) == answer.timings["draft_n_accepted"]
    for row in rows:
        verify = steps[row["verify_step"]]
        assert verify["phase"] == "verify" and int(verify["n_tokens"]) == int(row["drafted"]) + 1
        assert int(row["verify_ns"]) == int(verify["duration_ns"])
    # All the draft model's time is in a round: drafting holds its steps there, feeding is those behind.
    feed = sum(int(row["feed_ns"]) for row in rows)
    all_draft = sum(int(row["duration_ns"]) for row in steps.values() if row["phase"] == "draft")
    prompt = sum(
        int(row["duration_ns"])
        for row in steps.values()
        if row["phase"] == "draft" and int(row["n_tokens"]) > 10
    )
    drafting = sum(int(row["draft_ns"]) for row in rows)
    assert all_draft - prompt - feed <= drafting
    assert feed > 0


def test_costs_against_plain_steps(answer):
    """Steps of one token of the target model are there: compared with them, worked out again from the tables."""
    rows = commands.table("speculation", answer.trace, "--rounds")
    steps = commands.table("tokens", answer.trace)
    (context,) = {row["context"] for row in steps if row["phase"] == "verify"}
    plain = [
        int(row["duration_ns"])
        for row in steps
        if row["context"] == context and row["n_tokens"] == "1" and row["phase"] in ("verify", "decode")
    ]
    assert len(plain) >= 8
    cost = sum(int(row["draft_ns"]) + int(row["feed_ns"]) + int(row["verify_ns"]) for row in rows) / len(rows)
    tokens = 1 + sum(int(row["accepted"]) for row in rows) / len(rows)
    mean = sum(plain) / len(plain)
    text = commands.expect(commands.analyze("summary", answer.trace), commands.COMPLETE).stdout
    text = " ".join(text.split())
    said, uncertainty = map(float, re.search(r"against plain decoding ([\d.]+) ± ([\d.]+) times", text).groups())
    assert said == pytest.approx(tokens * mean / cost, abs=0.006)
    # Four of six layers for a draft that is right one time in four never pay.
    assert said + uncertainty < 1 and "it does not pay" in text
    assert re.search(r"break-even acceptance none", text)


def test_without_plain_steps_there_is_a_bound_and_no_guess(workdir):
    """llama-speculative-simple drafts in every round. Its counts are those that it prints."""
    binary = BINARIES / "llama-speculative-simple"
    if not binary.exists():
        pytest.skip(f"{binary} is not built (tools/fetch-targets)")
    trace = workdir / "simple.pitrace"
    command = [
        binary, "-m", commands.MODELS / "dense-q8_0.gguf", "-md", commands.MODELS / "draft-q8_0.gguf",
        "--spec-type", "draft-simple", "-p", "Once upon a time", "-n", "60", "-t", "1", "-td", "1",
        "--temp", "0", "-ngl", "0", "-ngld", "0",
    ]  # fmt: skip
    said = commands.expect(commands.record(trace, command, "--buffer", "32", errors="replace"), 0)
    drafted, accepted = (
        int(re.search(rf"{name} += (\d+)", said.stdout + said.stderr)[1]) for name in ("n_drafted", "n_accept")
    )
    rows = commands.table("speculation", trace)
    assert (sum(int(row["drafted"]) for row in rows), sum(int(row["accepted"]) for row in rows)) == (drafted, accepted)
    text = " ".join(commands.expect(commands.analyze("summary", trace), commands.COMPLETE).stdout.split())
    assert "against plain decoding cannot tell" in text
    most = float(re.search(r"At most ([\d.]+) times as fast", text)[1])
    assert 0 < most < 1
    assert "break-even" not in text
