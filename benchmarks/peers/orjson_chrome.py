"""Chrome Trace Event JSON by Python and orjson: orjson_chrome.py OPERATORS.CSV ROWS > JSON."""

import csv
import itertools
import sys

import orjson

out = sys.stdout.buffer
out.write(b'{"traceEvents":[\n')
separator = b""
with open(sys.argv[1], newline="", encoding="utf-8") as file:
    for row in itertools.islice(csv.DictReader(file), int(sys.argv[2])):
        event = {
            "name": row["op"], "cat": "operator", "ph": "X", "pid": 1, "tid": int(row["tid"]),
            "ts": int(row["start_ns"]) / 1000, "dur": int(row["duration_ns"]) / 1000,
            "args": {"node": row["node"], "step": int(row["step"])},
        }  # fmt: skip
        out.write(separator)
        out.write(orjson.dumps(event))
        separator = b",\n"
out.write(b"\n]}\n")
