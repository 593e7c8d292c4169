/* SPDX-License-Identifier: MIT
 * Walking a graph: its node list, and each tensor that is new or changed.
 *
 * The walk runs inside the probe because the target reuses the memory for the
 * next graph: a reader in user space would race. Non-static functions are
 * verified once, on their own (kernel 5.6), which keeps the loops far below the
 * verifier's one million instructions without bpf_loop (5.17).
 */
#ifndef STRUCTURE_BPF_H
#define STRUCTURE_BPF_H

#include "scratch.bpf.h"

#define SOURCES 10
#define WALK_BLOCKS 512
#define WALK_NODES (WALK_BLOCKS * PI_NODE_LIST_CAPACITY)

/* Hash of the bytes last written for a tensor address. A tensor pushed out by
 * newer ones is written again: more bytes, no loss. */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 65536);
  __type(key, pi_u64);
  __type(value, pi_u64);
} tensor_hashes SEC(".maps");

struct moe_owner {
  pi_u64 node;
  pi_u64 number;
};

/* ids tensor -> the first MUL_MAT_ID of a structure that uses it: a layer's
 * gate, up and down projections share their ids, one of them records it. */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 4096);
  __type(key, pi_u64);
  __type(value, struct moe_owner);
} moe_owners SEC(".maps");

/* MUL_MAT_ID node that records the routing -> its ids tensor. */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 4096);
  __type(key, pi_u64);
  __type(value, pi_u64);
} moe_nodes SEC(".maps");

/* Unique and never 0. Numbers of a CPU go up by themselves, so that no atomic operation
 * that returns a value is needed; and walks are not made in interrupts, so
 * -mcpu=v2 needs no more care. */
static __always_inline pi_u32 next_structure(void) {
  struct probe_counters *cpu = cpu_counters();

  if (!cpu)
    return 0;
#if __BPF_CPU_VERSION__ >= 3
  pi_u32 number = __sync_fetch_and_add(&cpu->structures, 1);
#else
  pi_u32 number = cpu->structures++;
#endif
  return (number << 10 | (bpf_get_smp_processor_id() & 1023)) + 1;
}

static __always_inline void note_moe_node(pi_u64 node, pi_u64 ids, pi_u32 number) {
  struct moe_owner *owner = bpf_map_lookup_elem(&moe_owners, &ids);

  if (owner && owner->number == number && owner->node != node) {
    bpf_map_delete_elem(&moe_nodes, &node);
    return;
  }
  struct moe_owner mine = {.node = node, .number = number};
  bpf_map_update_elem(&moe_owners, &ids, &mine, BPF_ANY);
  bpf_map_update_elem(&moe_nodes, &node, &ids, BPF_ANY);
  state.moe_present = 1;
}

/* Write the tensor if it is new or changed. Returns 1 if so, else 0. */
__noinline int record_tensor(pi_u64 address, pi_u32 number) {
  struct scratch *scratch = thread_scratch();
  pi_u64 bytes = state.layout.tensor_bytes;

  /* 0: the recorder does not know this build's tensors. */
  if (!scratch || !bytes)
    return 0;
  /* Keep clang from testing a copy, or both limits at once: older verifiers bound only the register that is
   * compared. */
  asm volatile("" : "+r"(bytes));
  if (bytes > PI_TENSOR_MAX_BYTES)
    return 0;
  if (bpf_probe_read_user(scratch->words, bytes, (void *)address)) {
    scratch->unreadable++;
    count_unreadable();
    return 0;
  }

  pi_u64 hash = address | 1;
  for (pi_u32 i = 0; i < TENSOR_WORDS; i++) {
    if (i * 8 >= bytes)
      break;
    hash = (hash ^ scratch->words[i]) * 0x9e3779b97f4a7c15ull;
    hash ^= hash >> 29;
  }
  pi_u64 *known = bpf_map_lookup_elem(&tensor_hashes, &address);
  if (known && *known == hash)
    return 0;

  struct probe_counters *cpu = cpu_counters();
  if (!cpu)
    return 0;
  fill(&scratch->tensor.head, cpu, (pi_u32)bpf_get_current_pid_tgid(), PI_RECORD_TENSOR, 0, number);
  scratch->tensor.address = address;
  scratch->tensor.tensor_bytes = bytes;
  scratch->tensor.reserved = 0;
  /* Layouts with a size that is no multiple of 8 do not exist: a tensor holds pointers. */
  if (bpf_ringbuf_output(&events, &scratch->tensor, sizeof(scratch->tensor) + bytes, BPF_RB_NO_WAKEUP)) {
    __sync_fetch_and_add(&cpu->lost, 1);
    scratch->unwritten++;
    return 0;
  }
  scratch->tensors++;
  bpf_map_update_elem(&tensor_hashes, &address, &hash, BPF_ANY);
  return 1;
}

/* A changed node may bring new constants or views: look at what it refers to. */
__noinline int record_sources(pi_u64 address, pi_u32 number) {
  pi_u64 source[SOURCES + 1] = {};

  if (bpf_probe_read_user(source, SOURCES * sizeof(pi_u64),
                          (void *)(address + state.layout.tensor_sources)) ||
      bpf_probe_read_user(&source[SOURCES], sizeof(pi_u64),
                          (void *)(address + state.layout.tensor_view_source))) {
    count_unreadable();
    return 0;
  }
  for (int i = 0; i < SOURCES + 1; i++)
    if (source[i])
      record_tensor(source[i], number);
  return 0;
}

/* Up to 64 nodes: the list, then the tensors. */
__noinline int walk_block(pi_u64 nodes, pi_u32 number, pi_u32 first, pi_u32 count) {
  struct scratch *scratch = thread_scratch();
  struct probe_counters *cpu = cpu_counters();

  if (!scratch || !cpu)
    return 0;
  if (count > PI_NODE_LIST_CAPACITY)
    count = PI_NODE_LIST_CAPACITY;
  pi_u64 bytes = count * sizeof(pi_u64);
  /* As in record_tensor. */
  asm volatile("" : "+r"(bytes));
  if (bytes > sizeof(scratch->list.address))
    return 0;
  __builtin_memset(scratch->list.address, 0, sizeof(scratch->list.address));
  if (bpf_probe_read_user(scratch->list.address, bytes, (void *)(nodes + first * sizeof(pi_u64)))) {
    scratch->unreadable++;
    count_unreadable();
    return 0;
  }
  fill(&scratch->list.head, cpu, (pi_u32)bpf_get_current_pid_tgid(), PI_RECORD_NODE_LIST, 0, number);
  scratch->list.first = first;
  scratch->list.count = count;
  if (bpf_ringbuf_output(&events, &scratch->list, sizeof(scratch->list), BPF_RB_NO_WAKEUP)) {
    __sync_fetch_and_add(&cpu->lost, 1);
    scratch->unwritten++;
  }
  for (pi_u32 i = 0; i < PI_NODE_LIST_CAPACITY; i++) {
    if (i >= count)
      break;
    pi_u64 node = scratch->list.address[i];
    if (record_tensor(node, number))
      record_sources(node, number);
    if (settings.record_experts && state.op_mul_mat_id >= 0 &&
        READ_USER(pi_s32, node + state.layout.tensor_op) == state.op_mul_mat_id)
      note_moe_node(node, READ_USER(pi_u64, node + state.layout.tensor_sources + 2 * sizeof(pi_u64)), number);
  }
  return 0;
}

/* Returns true when everything of the graph is in the trace. */
static __always_inline bool walk_structure(pi_u64 cgraph, pi_u64 nodes, pi_u64 uid, pi_s32 n_nodes,
                                           pi_s32 n_leafs, pi_u32 number) {
  struct scratch *scratch = thread_scratch();
  if (!scratch)
    return false;
  scratch->tensors = scratch->unwritten = scratch->unreadable = 0;

  struct pi_structure_begin *begin = RESERVE(pi_structure_begin, PI_RECORD_STRUCTURE_BEGIN, 0, number);
  if (!begin)
    return false;
  begin->cgraph = cgraph;
  begin->nodes = nodes;
  begin->uid = uid;
  begin->n_nodes = n_nodes;
  begin->n_leafs = n_leafs;
  submit(begin);

  /* Each round begins anew from `total`: counting it down gives the verifier a new state each time. */
  pi_u32 total = n_nodes > 0 ? n_nodes : 0;
  for (pi_u32 block = 0; block < WALK_BLOCKS; block++) {
    pi_u32 first = block * PI_NODE_LIST_CAPACITY;
    if (first >= total)
      break;
    walk_block(nodes, number, first, total - first);
  }

  struct pi_structure_end *end = RESERVE(pi_structure_end, PI_RECORD_STRUCTURE_END, 0, number);
  if (!end)
    return false;
  end->tensors = scratch->tensors;
  end->unwritten = scratch->unwritten;
  end->unreadable = scratch->unreadable;
  end->node_limit = WALK_NODES;
  bool whole = !end->unwritten && !end->unreadable;
  submit(end);
  return whole;
}

#endif
