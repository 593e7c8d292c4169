"""Statistics of operators by pandas, from begin and end events as a CSV trace has them.

pandas_ops.py quadratic|vectorised OPERATORS.CSV ROWS

`quadratic` looks for the end of each begin among all events behind it, row by row, as notebooks do;
`vectorised` sorts, pairs by shifting, and groups. Both read the same CSV. Prints the seconds of reading and of the rest.
"""

import sys
import time

import pandas

how, path, rows = sys.argv[1], sys.argv[2], int(sys.argv[3])
started = time.perf_counter()
spans = pandas.read_csv(path, nrows=rows, usecols=["tid", "op", "node", "start_ns", "duration_ns"])
begins = spans.assign(time=spans.start_ns, kind="begin")
ends = spans.assign(time=spans.start_ns + spans.duration_ns, kind="end")
events = pandas.concat([begins, ends])[["tid", "op", "node", "time", "kind"]].sort_values("time", kind="stable")
read = time.perf_counter()

if how == "quadratic":
    durations = []
    for begin in events[events.kind == "begin"].itertuples():
        candidates = events[
            (events.kind == "end") & (events.tid == begin.tid) & (events.node == begin.node)
            & (events.time >= begin.time)
        ]  # fmt: skip
        durations.append((begin.op, candidates.time.iloc[0] - begin.time))
    paired = pandas.DataFrame(durations, columns=["op", "duration_ns"])
else:
    events = events.sort_values(["tid", "time"], kind="stable")
    following = events.groupby("tid")["time"].shift(-1)
    begun = events.kind == "begin"
    paired = events[begun].assign(duration_ns=(following - events.time)[begun])
table = paired.groupby("op").duration_ns.agg(["count", "sum", "mean", "median", lambda x: x.quantile(0.95)])
assert table["count"].sum() == len(spans)
print(f"{read - started:.6f} {time.perf_counter() - read:.6f}")
