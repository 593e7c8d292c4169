/* SPDX-License-Identifier: MIT
 *
 * What the recorder tells the BPF programs. Included by both, like pi_trace.h,
 * but no part of the trace. */
#ifndef PROBE_SETTINGS_H
#define PROBE_SETTINGS_H

#if defined(__bpf__)
#include <linux/types.h>
typedef __u32 settings_u32;
typedef __s32 settings_s32;
typedef __u64 settings_u64;
#else
#include <stdint.h>
typedef uint32_t settings_u32;
typedef int32_t settings_s32;
typedef uint64_t settings_u64;
#endif

/* Written before loading: the verifier sees constants and removes what is off. */
struct probe_settings {
  settings_u32 root_tgid; /* the process started or named by the user */
  settings_u32 record_structure;
  settings_u32 record_experts;
  settings_u32 token_limit; /* token steps after which recording stops; 0: none */

  /* Byte offsets in ggml's structures: the layout of the trace's metadata. */
  settings_u32 tensor_bytes;
  settings_u32 tensor_ne;
  settings_u32 tensor_nb;
  settings_u32 tensor_op;
  settings_u32 tensor_sources;
  settings_u32 tensor_view_source;
  settings_u32 tensor_data;
  settings_u32 cgraph_n_nodes;
  settings_u32 cgraph_n_leafs;
  settings_u32 cgraph_nodes;
  settings_u32 cgraph_uid; /* 0: this build's graphs have none */
  settings_u32 cplan_n_threads;
  settings_u32 params_ith;
  settings_u32 ubatch_n_tokens;
  settings_u32 ubatch_n_sequences;
};

/* Read and written while recording, through the map's memory. */
struct probe_state {
  settings_u32 stopped;          /* set by either side: write no more records */
  settings_u32 token_begins;     /* token steps begun so far */
  settings_u32 token_steps;      /* of those, ended so far */
  settings_s32 op_mul_mat_id;    /* the number of MUL_MAT_ID in this build; negative: unknown */
  settings_u32 ubatch_positions; /* offset of llama_ubatch.pos in this build; 0: unknown */
  settings_u32 moe_present;      /* a graph with routing was seen; spares dense models a lookup */
};

/* The layout of the counters map's per-CPU value. */
struct probe_counters {
  settings_u64 sequence; /* numbers given out */
  settings_u64 lost;     /* records that found the ring buffer full */
  settings_u64 unreadable;
  settings_u64 experts_cut;
};

#endif
