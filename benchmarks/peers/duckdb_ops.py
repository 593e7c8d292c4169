"""Statistics of operators by DuckDB: duckdb_ops.py FILE THREADS; FILE is CSV or Parquet. Prints the rows counted."""

import sys

import duckdb

connection = duckdb.connect()
connection.execute(f"set threads = {int(sys.argv[2])}")
table = connection.execute(
    f"""select op, type, count(*), sum(duration_ns), avg(duration_ns), approx_quantile(duration_ns, 0.5),
               approx_quantile(duration_ns, 0.95)
        from '{sys.argv[1]}' group by op, type order by sum(duration_ns) desc"""
).fetchall()
print(sum(row[2] for row in table))
