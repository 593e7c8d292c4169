/* SPDX-License-Identifier: MIT
 * Graphs: one event per computation, and the structure when it is new. */
#ifndef GRAPH_BPF_H
#define GRAPH_BPF_H

#include "record.bpf.h"
#include "structure.bpf.h"

struct known_graph {
  pi_u64 uid;
  pi_u64 nodes;
  pi_s32 n_nodes;
  pi_u32 number;
};

/* After a fork both processes have their graphs at the same addresses, and count uids
 * on from the same number. */
struct graph_place {
  pi_u64 cgraph;
  pi_u64 process;
};

/* A graph is known when uid, nodes and n_nodes are the same: ggml gives every scheduled
 * graph a new uid. Graphs without one (uid 0: views made for an eval callback, builds
 * before April 2026) are walked every time; only what changed is written. */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 1024);
  __type(key, struct graph_place);
  __type(value, struct known_graph);
} known_graphs SEC(".maps");

/* The number of the graph's structure, 0 where it could not be walked. Verified on its own: see
 * structure.bpf.h. */
__noinline int structure_number(pi_u64 cgraph, pi_u64 nodes, pi_u64 uid, pi_s32 n_nodes, pi_s32 n_leafs) {
  struct graph_place place = {.cgraph = cgraph, .process = bpf_get_current_pid_tgid() >> 32};
  struct known_graph *known = bpf_map_lookup_elem(&known_graphs, &place);

  if (known && uid && known->uid == uid && known->nodes == nodes && known->n_nodes == n_nodes)
    return known->number;
  pi_u32 number = next_structure();
  if (!number)
    return 0;
  /* An incomplete walk is not remembered, so that the next one fills the holes. */
  if (walk_structure(cgraph, nodes, uid, n_nodes, n_leafs, number)) {
    struct known_graph now = {.uid = uid, .nodes = nodes, .n_nodes = n_nodes, .number = number};
    bpf_map_update_elem(&known_graphs, &place, &now, BPF_ANY);
  } else {
    bpf_map_delete_elem(&known_graphs, &place);
  }
  return number;
}

/* The record of a graph's begin, and its structure before it when that is new. */
static __always_inline int graph_begin(pi_u8 kind, pi_u64 cgraph, pi_u64 backend, pi_s32 n_threads) {
  pi_s32 n_nodes = READ_USER(pi_s32, cgraph + state.layout.cgraph_n_nodes);
  pi_u64 uid = state.layout.cgraph_uid ? READ_USER(pi_u64, cgraph + state.layout.cgraph_uid) : 0;

  pi_u32 number = 0;
  if (settings.record_structure) {
    /* The CPU backend hands on the graph that it was given a moment ago. */
    struct scratch *scratch = kind == PI_GRAPH_CPU ? known_scratch() : NULL;
    if (scratch && scratch->backend_structure && scratch->backend_cgraph == cgraph)
      number = scratch->backend_structure;
    else
      number = structure_number(cgraph, READ_USER(pi_u64, cgraph + state.layout.cgraph_nodes), uid, n_nodes,
                                READ_USER(pi_s32, cgraph + state.layout.cgraph_n_leafs));
  }
  if (kind == PI_GRAPH_BACKEND) {
    struct scratch *scratch = thread_scratch();
    if (scratch) {
      scratch->backend_structure = number;
      scratch->backend_cgraph = cgraph;
    }
  }

  struct pi_graph_begin *record = RESERVE_COUNTED(pi_graph_begin, PI_RECORD_GRAPH_BEGIN, kind, number);
  if (!record)
    return 0;
  record->cgraph = cgraph;
  record->uid = uid;
  record->backend = backend;
  record->n_nodes = n_nodes;
  record->n_threads = n_threads;
  submit(record);
  return 0;
}

/* ggml_graph_compute(cgraph, cplan) */
static __always_inline int on_graph(struct pt_regs *ctx) {
  if (!is_followed(bpf_get_current_pid_tgid()))
    return 0;
  return graph_begin(PI_GRAPH_CPU, PT_REGS_PARM1(ctx), 0,
                     READ_USER(pi_s32, PT_REGS_PARM2(ctx) + state.layout.cplan_n_threads));
}

static __always_inline int on_graph_return(struct pt_regs *ctx) {
  return emit_counted(PI_RECORD_GRAPH_END, PI_GRAPH_CPU, PT_REGS_RC(ctx));
}

/* Backends whose identity is in the trace. One that is pushed out is told again. */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 256);
  __type(key, pi_u64);
  __type(value, pi_u8);
} known_backends SEC(".maps");

static __always_inline void introduce_backend(pi_u64 backend) {
  pi_u8 one = 1;

  if (bpf_map_lookup_elem(&known_backends, &backend))
    return;
  pi_u64 guid = READ_USER(pi_u64, backend + state.layout.backend_guid);
  struct pi_backend *record = RESERVE(pi_backend, PI_RECORD_BACKEND, 0, 0);
  if (!record)
    return;
  record->backend = backend;
  /* Zeroed by the kernel where it cannot be read. */
  if (bpf_probe_read_user(record->guid, sizeof(record->guid), (void *)guid))
    count_unreadable();
  submit(record);
  bpf_map_update_elem(&known_backends, &backend, &one, BPF_ANY);
}

/* ggml_backend_graph_compute_async(backend, cgraph) */
static __always_inline int on_backend_graph(struct pt_regs *ctx) {
  if (!is_followed(bpf_get_current_pid_tgid()))
    return 0;
  introduce_backend(PT_REGS_PARM1(ctx));
  return graph_begin(PI_GRAPH_BACKEND, PT_REGS_PARM2(ctx), PT_REGS_PARM1(ctx), 0);
}

static __always_inline int on_backend_graph_return(struct pt_regs *ctx) {
  struct scratch *scratch = known_scratch();

  if (scratch)
    scratch->backend_structure = 0;
  return emit_counted(PI_RECORD_GRAPH_END, PI_GRAPH_BACKEND, PT_REGS_RC(ctx));
}

#endif
