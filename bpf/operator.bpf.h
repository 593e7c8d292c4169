/* SPDX-License-Identifier: MIT
 * Operators on each thread, the barriers that end them, and MoE routing. */
#ifndef OPERATOR_BPF_H
#define OPERATOR_BPF_H

#include "record.bpf.h"
#include "structure.bpf.h"

/* Rows of one routing that are recorded; the rest is counted as cut. */
#define EXPERT_ROWS 2048

/* One row: the experts of one token. scratch->row is filled but for its head.
 * Verified on its own, or the caller's loop would exceed the verifier's limit. */
__noinline int record_expert_row(pi_u64 node, pi_u64 address, pi_u32 flags) {
  struct scratch *scratch = thread_scratch();
  struct probe_counters *cpu = cpu_counters();

  if (!scratch || !cpu)
    return 0;
  pi_u64 bytes = (scratch->row.used * sizeof(pi_s32) + 7) & ~7ull;
  /* Keep clang from testing a copy: the verifier bounds the register that is tested. */
  asm volatile("" : "+r"(bytes));
  if (bytes > sizeof(scratch->expert))
    return 0;
  /* An odd row reads the first id of the next: the padding is not part of the row. */
  if (bpf_probe_read_user(scratch->expert, bytes, (void *)address)) {
    __sync_fetch_and_add(&cpu->unreadable, 1);
    __sync_fetch_and_add(&cpu->experts_cut, 1);
    return 0;
  }
  fill(&scratch->row.head, cpu, (pi_u32)bpf_get_current_pid_tgid(), PI_RECORD_EXPERTS, flags,
       PI_TENSOR_REF(node));
  if (bpf_ringbuf_output(&events, &scratch->row, sizeof(scratch->row) + bytes, BPF_RB_NO_WAKEUP))
    __sync_fetch_and_add(&cpu->lost, 1);
  return 0;
}

/* The ids of a MUL_MAT_ID: i32, ne = [used, tokens], rows nb[1] bytes apart
 * (they are a view of the sorted gate values, so n_expert * 4 and not used * 4). */
__noinline int record_routing(pi_u64 node, pi_u64 ids) {
  struct scratch *scratch = thread_scratch();
  struct probe_counters *cpu = cpu_counters();

  if (!scratch || !cpu)
    return 0;
  pi_u64 used = READ_USER(pi_u64, ids + state.layout.tensor_ne);
  pi_u64 rows = READ_USER(pi_u64, ids + state.layout.tensor_ne + 8);
  pi_u64 stride = READ_USER(pi_u64, ids + state.layout.tensor_nb + 8);
  pi_u64 data = READ_USER(pi_u64, ids + state.layout.tensor_data);
  pi_u32 flags = 0;

  if (used > PI_EXPERTS_CAPACITY) {
    used = PI_EXPERTS_CAPACITY;
    flags = PI_EXPERTS_CUT;
    __sync_fetch_and_add(&cpu->experts_cut, rows < EXPERT_ROWS ? rows : EXPERT_ROWS);
  }
  scratch->row.used = used;
  scratch->row.token_count = rows;
  scratch->row.reserved = 0;
  for (pi_u32 row = 0; row < EXPERT_ROWS; row++) {
    if (row >= rows)
      break;
    scratch->row.token = row;
    if (row == EXPERT_ROWS - 1 && rows > EXPERT_ROWS) {
      flags |= PI_EXPERTS_ROWS_CUT;
      __sync_fetch_and_add(&cpu->experts_cut, rows - EXPERT_ROWS);
    }
    record_expert_row(node, data + row * stride, flags);
  }
  return 0;
}

/* ggml_cpu_extra_compute_forward(params, tensor): every operator that is not
 * fused passes here once on each thread. */
static __always_inline int on_op_begin(struct pt_regs *ctx) {
  pi_u64 node = PT_REGS_PARM2(ctx);

  emit_counted(PI_RECORD_OP_BEGIN, 0, PI_TENSOR_REF(node));
  if (settings.record_experts && state.moe_present) {
    pi_u64 *ids = bpf_map_lookup_elem(&moe_nodes, &node);
    if (ids && is_followed(bpf_get_current_pid_tgid()) &&
        READ_USER(pi_s32, PT_REGS_PARM1(ctx) + state.layout.params_ith) == 0)
      record_routing(node, *ids);
  }
  return 0;
}

/* ggml_compute_forward_rms_norm_mul_fused(params, rms_norm, mul) */
static __always_inline int on_op_fused(struct pt_regs *ctx) {
  struct pi_op_fused *record = RESERVE_COUNTED(pi_op_fused, PI_RECORD_OP_FUSED, PI_FUSION_RMS_NORM_MUL,
                                               PI_TENSOR_REF(PT_REGS_PARM2(ctx)));

  if (!record)
    return 0;
  record->last_ref = PI_TENSOR_REF(PT_REGS_PARM3(ctx));
  record->reserved = 0;
  submit(record);
  return 0;
}

/* The two calls of ggml_barrier in the loop of ggml_graph_compute_thread. */
static __always_inline int on_barrier_loop(struct pt_regs *ctx) {
  return emit_counted(PI_RECORD_BARRIER, PI_BARRIER_LOOP, 0);
}

static __always_inline int on_barrier_final(struct pt_regs *ctx) {
  return emit_counted(PI_RECORD_BARRIER, PI_BARRIER_FINAL, 0);
}

#endif
