"""Experts that come from the disk again when they were not used for long."""

import re

import pytest

import commands
import from_disk


def test_experts_from_the_disk(tmp_path):
    trace = tmp_path / "disk.pitrace"
    try:
        from_disk.record(trace, tmp_path)
    except OSError as error:
        pytest.skip(str(error))
    rows = [row for row in commands.table("experts", trace, "--reuse") if row["distance"] != "first use"]
    assert rows[0]["distance"] == "1" and len(rows) > 4

    def mean(rows: list[dict], column: str) -> float:
        samples = [(float(row[column]), int(row["samples"])) for row in rows if int(row["samples"])]
        assert sum(count for _, count in samples) >= 20
        return sum(value * count for value, count in samples) / sum(count for _, count in samples)

    # Beyond a period everything was thrown out since; three steps before it mostly was not.
    near, far = rows[:2], [row for row in rows if int(row["from_steps"]) > from_disk.PERIOD]
    assert mean(far, "mean_major_faults") > 100
    assert mean(far, "mean_major_faults") > 2 * mean(near, "mean_major_faults")
    assert mean(far, "mean_op_ns") > 2 * mean(near, "mean_op_ns")
    text = " ".join(commands.expect(commands.analyze("summary", trace), commands.COMPLETE).stdout.split())
    assert "MUL_MAT_ID by distance takes longer when its experts were last used long ago" in text
    assert re.search(r"major faults in it \d+ faults; more when experts were last used long ago", text)
