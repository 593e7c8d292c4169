"""An example of what the tables answer: per engine build and day, how fast, and what its operators took.

python tools/spark/query.py OUT, or spark-submit tools/spark/query.py OUT
"""

import sys

from pyspark.sql import SparkSession

SPEED = """
SELECT engine_build, day, count(*) AS runs, round(percentile(decode_tokens_per_s, 0.5), 2) AS tokens_per_s
FROM runs WHERE decode_tokens_per_s IS NOT NULL GROUP BY engine_build, day ORDER BY day DESC, engine_build LIMIT 20
"""
OPERATORS = """
SELECT op, type, count(DISTINCT operators.id) AS runs, round(sum(total_ns) / sum(count)) AS mean_ns,
  round(sum(total_ns) / sum(sum(total_ns)) OVER (), 4) AS share
FROM operators JOIN runs ON runs.id = operators.id AND runs.day = operators.day
WHERE kind = 'cpu' AND complete = 1 GROUP BY op, type ORDER BY share DESC LIMIT 10
"""

spark = SparkSession.builder.appName("prof-analyze query").getOrCreate()
for table in ("runs", "operators"):
    spark.read.parquet(f"{sys.argv[1]}/{table}").createOrReplaceTempView(table)
for query in (SPEED, OPERATORS):
    spark.sql(query).show(truncate=40)
spark.stop()
