-- The tables of the archive index, schema version 2. formats/ARCHIVE.md explains them; views.sql has the views.
-- NULL is "not recorded", never 0. Names carry units: _ns nanoseconds, _per_s a second; shares are 0 to 1.

-- One row a trace that was read. `run` is only short: `id` is what stays when an archive is made again.
CREATE TABLE runs (
  run INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  analyzer TEXT NOT NULL,
  bytes INTEGER NOT NULL, format TEXT NOT NULL, recording TEXT NOT NULL,
  recorded_ns INTEGER, duration_ns INTEGER, recorder TEXT, level TEXT,
  arguments TEXT NOT NULL, counters TEXT NOT NULL,
  host TEXT, architecture TEXT, kernel TEXT, cpu_model TEXT, cpus INTEGER, memory_bytes INTEGER,
  command TEXT NOT NULL, executable TEXT, model_file TEXT,
  engine TEXT, engine_version TEXT, engine_commit TEXT, engine_build TEXT, threads INTEGER,
  model TEXT,
  prefill_tokens INTEGER, prefill_tokens_per_s REAL, time_to_first_token_ns INTEGER,
  decode_tokens INTEGER, decode_tokens_per_s REAL, generated_steps_per_s REAL,
  decode_p50_ns INTEGER, decode_p95_ns INTEGER, decode_p99_ns INTEGER,
  verdict TEXT,
  coverage REAL, repaired_operators INTEGER NOT NULL, lost_records INTEGER NOT NULL, complete INTEGER NOT NULL,
  recorder_ns INTEGER, probes_ns INTEGER,
  report INTEGER NOT NULL
);

CREATE TABLE models (
  run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE, place INTEGER NOT NULL,
  label TEXT NOT NULL, layers INTEGER, embedding INTEGER, vocabulary INTEGER, feed_forward INTEGER, heads INTEGER,
  key_value_heads INTEGER, head_size INTEGER, experts INTEGER, experts_used INTEGER, cache_type TEXT,
  weights TEXT NOT NULL, hints TEXT NOT NULL,
  PRIMARY KEY (run, place)
) WITHOUT ROWID;

CREATE TABLE phases (
  run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE, phase TEXT NOT NULL,
  steps INTEGER NOT NULL, tokens INTEGER, wall_ns INTEGER NOT NULL,
  operators_ns INTEGER, barrier_ns INTEGER, graph_overhead_ns INTEGER, backend_graphs_ns INTEGER,
  not_probed_ns INTEGER, setup_ns INTEGER, between_graphs_ns INTEGER, finish_ns INTEGER,
  sampling_ns INTEGER NOT NULL, outside_ns INTEGER NOT NULL,
  verdict TEXT, evidence TEXT, bytes_per_s REAL, flops_per_s REAL, memory_share REAL, compute_share REAL,
  PRIMARY KEY (run, phase)
) WITHOUT ROWID;

CREATE TABLE findings (
  run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE, place INTEGER NOT NULL,
  name TEXT NOT NULL, evidence TEXT NOT NULL, advice TEXT NOT NULL, effect_ns INTEGER, effect_share REAL,
  PRIMARY KEY (run, place)
) WITHOUT ROWID;

-- What is missing in a run's results.
CREATE TABLE losses (
  run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE, place INTEGER NOT NULL, loss TEXT NOT NULL,
  PRIMARY KEY (run, place)
) WITHOUT ROWID;

-- The rows of tokens.csv, ops.csv, nodes.csv, threads.csv and expert-use.csv; `place` is the row's number.
CREATE TABLE steps (
  run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE, place INTEGER NOT NULL,
  step INTEGER NOT NULL, phase TEXT NOT NULL, start_ns INTEGER NOT NULL, duration_ns INTEGER NOT NULL,
  n_tokens INTEGER, n_graphs INTEGER, n_ops INTEGER, coverage REAL, position INTEGER, operators_ns INTEGER,
  barrier_ns INTEGER, setup_ns INTEGER, finish_ns INTEGER, sampling_ns INTEGER, outside_ns INTEGER, accounted REAL,
  context TEXT, tid INTEGER, complete TEXT NOT NULL,
  PRIMARY KEY (run, place)
) WITHOUT ROWID;

CREATE TABLE operators (
  run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE, place INTEGER NOT NULL,
  op TEXT NOT NULL, type TEXT, kind TEXT NOT NULL DEFAULT 'cpu', count INTEGER NOT NULL, total_ns INTEGER NOT NULL,
  mean_ns INTEGER NOT NULL, p50_ns INTEGER, p95_ns INTEGER, share REAL, barrier_ns INTEGER NOT NULL,
  min_ns INTEGER NOT NULL, max_ns INTEGER NOT NULL, all_threads_ns INTEGER NOT NULL, bytes INTEGER, flops INTEGER,
  repaired INTEGER NOT NULL, prefill_share REAL, decode_share REAL,
  PRIMARY KEY (run, place)
) WITHOUT ROWID;

CREATE TABLE nodes (
  run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE, place INTEGER NOT NULL,
  name TEXT NOT NULL, op TEXT NOT NULL, ne0 INTEGER, ne1 INTEGER, ne2 INTEGER, ne3 INTEGER, count INTEGER NOT NULL,
  total_ns INTEGER NOT NULL, mean_ns INTEGER NOT NULL, bytes INTEGER, flops INTEGER, type TEXT, layer INTEGER,
  part TEXT NOT NULL, barrier_ns INTEGER NOT NULL, min_ns INTEGER NOT NULL, max_ns INTEGER NOT NULL,
  all_threads_ns INTEGER NOT NULL,
  PRIMARY KEY (run, place)
) WITHOUT ROWID;

CREATE TABLE threads (
  run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE, place INTEGER NOT NULL,
  tid INTEGER NOT NULL, comm TEXT, op_ns INTEGER NOT NULL, barrier_ns INTEGER NOT NULL, running_ns INTEGER,
  runnable_ns INTEGER, blocked_ns INTEGER, migrations INTEGER, barrier_share REAL, n_ops INTEGER NOT NULL,
  main TEXT NOT NULL, preemptions INTEGER, last_arrivals INTEGER, late_ns INTEGER, held_up_ns INTEGER,
  PRIMARY KEY (run, place)
) WITHOUT ROWID;

CREATE TABLE experts (
  run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE, place INTEGER NOT NULL,
  model INTEGER, layer INTEGER, expert INTEGER NOT NULL, tokens INTEGER NOT NULL, share REAL,
  prefill_tokens INTEGER NOT NULL, generated_tokens INTEGER NOT NULL, uses INTEGER NOT NULL, first_step INTEGER,
  last_step INTEGER, mean_reuse_steps REAL, mean_reuse_experts REAL,
  PRIMARY KEY (run, place)
) WITHOUT ROWID;

-- Where traces were seen. A path that is no UTF-8 is a BLOB. The stamp tells without reading that a file is the same.
CREATE TABLE files (
  path PRIMARY KEY NOT NULL, id TEXT NOT NULL,
  bytes INTEGER NOT NULL, modified_ns INTEGER NOT NULL, changed_ns INTEGER NOT NULL,
  device INTEGER NOT NULL, inode INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX files_id ON files (id);

-- Traces that gave no results. `permanent`: the content is no trace, and is not read again by the same analyzer.
CREATE TABLE failures (
  path PRIMARY KEY NOT NULL, id TEXT, analyzer TEXT NOT NULL, permanent INTEGER NOT NULL, reason TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX failures_id ON failures (id);

-- "PITR" as the file's application.
PRAGMA application_id = 1346982994;
PRAGMA user_version = 2;
