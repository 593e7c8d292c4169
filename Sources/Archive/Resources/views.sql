-- The views of the archive index: made again when an older index is brought up to date. formats/ARCHIVE.md explains them.

-- Runs as people ask for them, the oldest first.
DROP VIEW IF EXISTS run_list;
CREATE VIEW run_list AS
SELECT run, id, datetime(recorded_ns / 1000000000, 'unixepoch') AS recorded, host, cpu_model, model, model_file,
  threads, level, engine_version, engine_build, decode_tokens_per_s, decode_p50_ns / 1e6 AS decode_p50_ms, prefill_tokens_per_s,
  verdict, coverage, lost_records, complete, (SELECT min(path) FROM files WHERE files.id = runs.id) AS path
FROM runs ORDER BY recorded_ns, run;

-- What a decoded token spends in each operator type.
DROP VIEW IF EXISTS decode_operators;
CREATE VIEW decode_operators AS
SELECT operators.run, op, type, decode_share, decode_share * phases.wall_ns / phases.tokens AS ns_per_token
FROM operators JOIN phases ON phases.run = operators.run AND phases.phase = 'decode'
WHERE kind = 'cpu' AND phases.tokens > 0;

-- Time of each layer's parts, all phases but warm-up.
DROP VIEW IF EXISTS layers;
CREATE VIEW layers AS
SELECT run, layer, part, sum(total_ns) AS total_ns, sum(barrier_ns) AS barrier_ns, sum(count) AS count
FROM nodes GROUP BY run, layer, part;

-- How evenly tokens are spread over the experts of a layer: 1 is evenly.
DROP VIEW IF EXISTS expert_layers;
CREATE VIEW expert_layers AS
SELECT run, model, layer, count(*) AS experts, sum(tokens = 0) AS never_used, sum(tokens) AS routings,
  max(tokens) * 1.0 * count(*) / nullif(sum(tokens), 0) AS max_over_mean
FROM experts GROUP BY run, model, layer;

-- Everything that is not as it should be.
DROP VIEW IF EXISTS problems;
CREATE VIEW problems AS
SELECT 'failure' AS kind, path, reason AS problem FROM failures
UNION ALL
SELECT 'loss', (SELECT min(path) FROM files WHERE files.id = runs.id), loss FROM losses JOIN runs USING (run);
