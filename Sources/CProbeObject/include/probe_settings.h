/* SPDX-License-Identifier: MIT
 *
 * What the recorder tells the BPF programs. Included by both, like pi_trace.h,
 * but no part of the trace. */
#ifndef PROBE_SETTINGS_H
#define PROBE_SETTINGS_H

#if defined(__bpf__)
#include <linux/types.h>
typedef __u8 settings_u8;
typedef __u32 settings_u32;
typedef __s32 settings_s32;
typedef __u64 settings_u64;
#else
#include <stdint.h>
typedef uint8_t settings_u8;
typedef uint32_t settings_u32;
typedef int32_t settings_s32;
typedef uint64_t settings_u64;
#endif

/* What a probe tells: ENTRY where an instruction is reached, RETURN where a function is
 * left through a uretprobe. In the order of ProbeSites' SiteRole, a test compares them.
 * C++ functions are left by probes on their `ret` instructions, hence ENTRY: a uretprobe
 * would break an exception that unwinds through them. */
#define PROBE_ROLES(ENTRY, RETURN)                                                                           \
  ENTRY(token_decode)                                                                                        \
  RETURN(token_decode_return)                                                                                \
  ENTRY(token_process)                                                                                       \
  RETURN(token_process_return)                                                                               \
  ENTRY(token_encode)                                                                                        \
  RETURN(token_encode_return)                                                                                \
  ENTRY(ubatch)                                                                                              \
  ENTRY(ubatch_return)                                                                                       \
  ENTRY(draft)                                                                                               \
  ENTRY(draft_return)                                                                                        \
  ENTRY(accept)                                                                                              \
  ENTRY(sample_common)                                                                                       \
  ENTRY(sample_common_return)                                                                                \
  ENTRY(sample_llama)                                                                                        \
  ENTRY(sample_llama_return)                                                                                 \
  ENTRY(warmup)                                                                                              \
  ENTRY(backend_graph)                                                                                       \
  RETURN(backend_graph_return)                                                                               \
  ENTRY(graph)                                                                                               \
  RETURN(graph_return)                                                                                       \
  ENTRY(enqueue_opencl)                                                                                      \
  RETURN(enqueue_opencl_return)                                                                              \
  ENTRY(enqueue_rockchip)                                                                                    \
  RETURN(enqueue_rockchip_return)                                                                            \
  ENTRY(enqueue_vulkan)                                                                                      \
  ENTRY(enqueue_vulkan_return)                                                                               \
  ENTRY(op_begin)                                                                                            \
  ENTRY(op_fused)                                                                                            \
  ENTRY(barrier_loop)                                                                                        \
  ENTRY(barrier_final)

#define PROBE_ROLE_CONSTANT(role) PROBE_##role,
enum probe_role { PROBE_ROLES(PROBE_ROLE_CONSTANT, PROBE_ROLE_CONSTANT) PROBE_ROLE_COUNT };

/* Written before loading: the verifier sees constants and removes what is off. */
struct probe_settings {
  settings_u32 root_tgid; /* the process started or named by the user */
  settings_u32 record_structure;
  settings_u32 record_experts;
  settings_u32 token_limit;      /* token steps after which recording stops; 0: none */
  settings_u32 counters;         /* of --pmc that are recorded, at most PI_COUNTERS_CAPACITY */
  settings_u32 cpus;             /* possible CPUs */
  settings_u32 switch_has_state; /* sched_switch has a fourth argument (Linux 5.18) */
};

/* Byte offsets in the engine's structures: the layout of the trace's metadata. Known
 * only when the target's libraries are, so after loading. */
struct probe_layout {
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
  settings_u32 ubatch_positions; /* 0: unknown */
  settings_u32 backend_guid;
};

/* Read and written while recording, through the map's memory. */
struct probe_state {
  settings_u32 stopped;       /* set by either side: write no more records */
  settings_u32 token_begins;  /* token steps begun so far */
  settings_u32 token_steps;   /* of those, ended so far */
  settings_s32 op_mul_mat_id; /* the number of MUL_MAT_ID in this build; negative: unknown */
  settings_u32 moe_present;   /* a graph with routing was seen; spares dense models a lookup */
  settings_u32 has_children;  /* more processes than the first are followed */
  settings_u32 forks;         /* processes that followed ones have made so far */
  settings_u32 not_followed;  /* of those, how many found no room */

  /* Byte offsets in the kernel's task_struct, found by calibration. */
  settings_u32 task_pid;
  settings_u32 task_tgid;
  settings_u32 task_comm;
  settings_u32 task_state;
  struct probe_layout layout;

  settings_u32 calibrated_process;
  settings_u32 calibration_round;
};

/* The layout of the counters map's per-CPU value. */
struct probe_counters {
  settings_u64 sequence; /* numbers given out */
  settings_u64 lost;     /* records that found the ring buffer full */
  settings_u64 unreadable;
  settings_u64 experts_cut;
  settings_u64 structures;   /* walked */
  settings_u64 is_numbering; /* with -mcpu=v2: a number is just being taken */
};

/* task_structs are 8 to 10 KiB; those of debugging kernels are larger, with the fields
 * that are looked for at the front. */
#define PROBE_TASK_BYTES 8192
#define PROBE_CALIBRATION_ROUNDS 3
struct probe_calibration {
  settings_u64 taken;
  settings_u8 task[PROBE_TASK_BYTES];
};

#endif
