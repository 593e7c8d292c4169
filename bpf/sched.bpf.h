/* SPDX-License-Identifier: MIT
 * The scheduler, as far as it concerns the target's threads (--sched).
 *
 * Raw tracepoints hand over task_structs and need neither tracefs nor BTF; where the
 * fields are, calibration has found (calibrate.bpf.h). */
#ifndef SCHED_BPF_H
#define SCHED_BPF_H

#include "record.bpf.h"

#define READ_KERNEL(type, address)                                                                           \
  ({                                                                                                         \
    type value_ = 0;                                                                                         \
    bpf_probe_read_kernel(&value_, sizeof(value_), (const void *)(address));                                 \
    value_;                                                                                                  \
  })

/* TASK_… and EXIT_… of the kernel's sched.h: bits 0 to 7 have been the same since 4.14;
 * of the higher ones some are states of their own. */
#define STATE_RTLOCK_WAIT 0x1000 /* PREEMPT_RT's locks */
#define STATE_FROZEN 0x8000      /* 6.1: by the freezer, while the system or a cgroup sleeps */

static __always_inline pi_u8 thread_state(bool preempted, pi_u32 kernel_state) {
  if (preempted || !kernel_state)
    return PI_THREAD_RUNNABLE;
  if (kernel_state & 0x01)
    return PI_THREAD_SLEEPING;
  if (kernel_state & (0x02 | STATE_RTLOCK_WAIT | STATE_FROZEN))
    return PI_THREAD_WAITING;
  if (kernel_state & 0x0c)
    return PI_THREAD_STOPPED;
  return kernel_state & 0xb0 ? PI_THREAD_ENDED : PI_THREAD_UNKNOWN;
}

static __always_inline void switch_in(pi_u32 tid, pi_u32 previous) {
  struct pi_record *record = reserve(sizeof(*record), true, tid, PI_RECORD_SWITCH_IN, 0, previous);

  if (record)
    submit(record);
}

static __always_inline struct pi_switch_out *switch_out(pi_u32 tid, pi_u8 state_flags, pi_u32 next) {
  struct pi_switch_out *record = reserve(sizeof(*record), true, tid, PI_RECORD_SWITCH_OUT, state_flags, next);

  if (record)
    record->reserved = 0;
  return record;
}

/* sched_switch(preempt, prev, next, [prev_state since 5.18]); prev still is current. */
SEC("raw_tp/sched_switch")
int sched_switch(struct bpf_raw_tracepoint_args *ctx) {
  pi_u64 previous = bpf_get_current_pid_tgid();
  pi_u64 next = ctx->args[2];
  pi_u32 next_tgid = READ_KERNEL(pi_u32, next + state.task_tgid);
  bool leaves = is_followed(previous);
  bool comes = is_followed_process(next_tgid);

  if (!leaves && !comes)
    return 0;
  pi_u32 next_tid = READ_KERNEL(pi_u32, next + state.task_pid);
  if (leaves) {
    /* The field may be changed by a waker already, which is why 5.18 added the argument. */
    pi_u32 kernel_state =
        settings.switch_has_state ? ctx->args[3] : READ_KERNEL(pi_u32, ctx->args[1] + state.task_state);
    struct pi_switch_out *record = switch_out(previous, thread_state(ctx->args[0], kernel_state), next_tid);
    if (record) {
      record->next_tgid = next_tgid;
      bpf_probe_read_kernel(record->next_comm, sizeof(record->next_comm), (void *)(next + state.task_comm));
      submit(record);
    }
  }
  if (comes)
    switch_in(next_tid, previous);
  return 0;
}

static __always_inline int wakeup(pi_u64 task) {
  pi_u32 tgid = READ_KERNEL(pi_u32, task + state.task_tgid);

  if (!is_followed_process(tgid) || steps_back())
    return 0;
  struct pi_record *record = reserve(sizeof(*record), false, READ_KERNEL(pi_u32, task + state.task_pid),
                                     PI_RECORD_WAKEUP, 0, bpf_get_current_pid_tgid());
  if (record)
    submit(record);
  return 0;
}

/* sched_wakeup(task) */
SEC("raw_tp/sched_wakeup")
int sched_wakeup(struct bpf_raw_tracepoint_args *ctx) { return wakeup(ctx->args[0]); }

/* The first wakeup of a new thread. */
SEC("raw_tp/sched_wakeup_new")
int sched_wakeup_new(struct bpf_raw_tracepoint_args *ctx) { return wakeup(ctx->args[0]); }

#endif
