/* SPDX-License-Identifier: MIT
 * Memory of a thread for records that are too large for the BPF stack (512 bytes), and
 * for what lies between two of its probes. By thread and not by CPU: see record.bpf.h. */
#ifndef SCRATCH_BPF_H
#define SCRATCH_BPF_H

#include "record.bpf.h"

#define TENSOR_WORDS (PI_TENSOR_MAX_BYTES / 8)

struct scratch {
  struct pi_node_list list;
  struct pi_tensor tensor; /* its bytes follow */
  pi_u64 words[TENSOR_WORDS];
  pi_u32 tensors, unwritten, unreadable;
  pi_u32 backend_structure; /* of the graph that a backend was just given, 0: none */
  pi_u64 backend_cgraph;
  struct pi_experts row; /* its ids follow */
  pi_s32 expert[PI_EXPERTS_CAPACITY];
};

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 1024);
  __type(key, pi_u32);
  __type(value, struct scratch);
} scratches SEC(".maps");

/* What a thread's scratch is at first: a hash map takes its values from memory. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, pi_u32);
  __type(value, struct scratch);
} empty_scratch SEC(".maps");

static __always_inline struct scratch *known_scratch(void) {
  pi_u32 tid = bpf_get_current_pid_tgid();

  return bpf_map_lookup_elem(&scratches, &tid);
}

static __always_inline struct scratch *thread_scratch(void) {
  struct scratch *scratch = known_scratch();
  pi_u32 tid = bpf_get_current_pid_tgid(), zero = 0;

  if (scratch)
    return scratch;
  void *empty = bpf_map_lookup_elem(&empty_scratch, &zero);
  if (!empty || bpf_map_update_elem(&scratches, &tid, empty, BPF_ANY))
    return NULL;
  return bpf_map_lookup_elem(&scratches, &tid);
}

#endif
