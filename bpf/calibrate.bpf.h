/* SPDX-License-Identifier: MIT
 * Where the fields of task_struct are, found by looking at the recorder's children: it knows
 * their numbers and names, so it recognises them among the bytes. This needs neither
 * BTF, which vendor kernels often lack, nor CO-RE, which costs a recorder 100 MB. */
#ifndef CALIBRATE_BPF_H
#define CALIBRATE_BPF_H

#include "record.bpf.h"

#define CALIBRATION_BLOCK 512

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, PROBE_CALIBRATION_ROUNDS);
  __type(key, pi_u32);
  __type(value, struct probe_calibration);
} calibrations SEC(".maps");

/* Copies the task in blocks; what lies behind its end is unreadable and stays zero. */
static __always_inline void copy_task(pi_u32 round, pi_u64 task) {
  struct probe_calibration *copy = bpf_map_lookup_elem(&calibrations, &round);

  if (!copy || copy->taken)
    return;
#pragma unroll
  for (int at = 0; at < PROBE_TASK_BYTES; at += CALIBRATION_BLOCK)
    bpf_probe_read_kernel(copy->task + at, CALIBRATION_BLOCK, (void *)(task + at));
  copy->taken = 1;
}

/* A running task: a child in one of its system calls. */
SEC("raw_tp/sys_enter")
int calibrate_running(struct bpf_raw_tracepoint_args *ctx) {
  if (bpf_get_current_pid_tgid() >> 32 == state.calibrated_process)
    copy_task(state.calibration_round, bpf_get_current_task());
  return 0;
}

/* A task that goes to sleep: its state is TASK_INTERRUPTIBLE. Some that leave the CPU so do
 * not sleep, and are asked again. */
SEC("raw_tp/sched_switch")
int calibrate_sleeping(struct bpf_raw_tracepoint_args *ctx) {
  if (!ctx->args[0] && bpf_get_current_pid_tgid() >> 32 == state.calibrated_process)
    copy_task(state.calibration_round, ctx->args[1]);
  return 0;
}

#endif
