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

/* By cgraph address. A graph is known when uid, nodes and n_nodes are the same:
 * ggml gives every scheduled graph a new uid. Graphs without one (uid 0: views
 * made for an eval callback, builds before April 2026) are walked every time;
 * only what changed is written. */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 1024);
  __type(key, pi_u64);
  __type(value, struct known_graph);
} known_graphs SEC(".maps");

static __always_inline pi_u32 structure_number(pi_u64 cgraph, struct known_graph *now, pi_s32 n_leafs) {
  struct known_graph *known = bpf_map_lookup_elem(&known_graphs, &cgraph);

  if (known && now->uid && known->uid == now->uid && known->nodes == now->nodes &&
      known->n_nodes == now->n_nodes)
    return known->number;
  now->number = next_structure();
  if (!now->number)
    return 0;
  /* An incomplete walk is not remembered, so that the next one fills the holes. */
  if (walk_structure(cgraph, now->nodes, now->uid, now->n_nodes, n_leafs, now->number))
    bpf_map_update_elem(&known_graphs, &cgraph, now, BPF_ANY);
  else
    bpf_map_delete_elem(&known_graphs, &cgraph);
  return now->number;
}

/* ggml_graph_compute(cgraph, cplan) */
SEC("uprobe")
int graph(struct pt_regs *ctx) {
  if (!is_followed(bpf_get_current_pid_tgid()))
    return 0;

  pi_u64 cgraph = PT_REGS_PARM1(ctx);
  pi_u64 cplan = PT_REGS_PARM2(ctx);
  struct known_graph now = {};
  now.n_nodes = READ_USER(pi_s32, cgraph + settings.cgraph_n_nodes);
  now.nodes = READ_USER(pi_u64, cgraph + settings.cgraph_nodes);
  if (settings.cgraph_uid)
    now.uid = READ_USER(pi_u64, cgraph + settings.cgraph_uid);

  pi_u32 number = 0;
  if (settings.record_structure)
    number = structure_number(cgraph, &now, READ_USER(pi_s32, cgraph + settings.cgraph_n_leafs));

  pi_s32 n_threads = READ_USER(pi_s32, cplan + settings.cplan_n_threads);
  struct pi_graph_begin *record = RESERVE(pi_graph_begin, PI_RECORD_GRAPH_BEGIN, PI_GRAPH_CPU, number);
  if (!record)
    return 0;
  record->cgraph = cgraph;
  record->uid = now.uid;
  record->backend = 0;
  record->n_nodes = now.n_nodes;
  record->n_threads = n_threads;
  submit(record);
  return 0;
}

SEC("uretprobe")
int graph_return(struct pt_regs *ctx) { return emit(PI_RECORD_GRAPH_END, PI_GRAPH_CPU, PT_REGS_RC(ctx)); }

#endif
