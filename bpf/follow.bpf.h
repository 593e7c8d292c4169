/* SPDX-License-Identifier: MIT
 * Halting a command whenever it has mapped code, so that probes are in place before
 * that code runs: user space alone would have to win a race against it.
 *
 * Raw tracepoints need no tracefs, which vendor systems often do not mount. They see
 * every system call of the machine, so the recorder takes them out as soon as the
 * engine is found. A process that pi-record only attached to is never halted: its
 * parent might notice. */
#ifndef FOLLOW_BPF_H
#define FOLLOW_BPF_H

#include "record.bpf.h"

#if defined(__TARGET_ARCH_x86)
#define SYSCALL_MMAP 9
#else
#define SYSCALL_MMAP 222
#endif

/* Of the C library's headers, which BPF programs do not have. */
#define PROTECTION_EXEC 4
#define MAPPING_ANONYMOUS 0x20
#define SIGNAL_STOP 19

/* Threads inside an mmap of a file's code: the arguments are known at its entry,
 * the mapping is there at its exit. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 1024);
  __type(key, pi_u64);
  __type(value, pi_u8);
} mapping SEC(".maps");

/* Processes that were told to stop, and how often. Those whose number is not that of
 * `continued` are for the recorder to look at and to continue, or for its watchdog. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 8192);
  __type(key, pi_u32);
  __type(value, pi_u32);
} halted SEC(".maps");

/* At which of its halts each process was last continued; written by the recorder only. Were
 * the entry of `halted` deleted instead, a halt between the decision and the deletion, which
 * is long where the recorder is preempted, would be forgotten: new code would run without
 * probes. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 8192);
  __type(key, pi_u32);
  __type(value, pi_u32);
} continued SEC(".maps");

/* True when the process is in the map, one halt more. */
static __always_inline bool note_halt(pi_u32 tgid) {
  pi_u32 *known = bpf_map_lookup_elem(&halted, &tgid);
  pi_u32 one = 1;

  if (known) {
    __sync_fetch_and_add(known, 1);
    return true;
  }
  return !bpf_map_update_elem(&halted, &tgid, &one, BPF_ANY);
}

/* Nobody is stopped whom the recorder would not find. It may find the process before the
 * signal is sent, and continue it too early: the second note makes it come again. */
static __always_inline void halt(void) {
  pi_u32 tgid = bpf_get_current_pid_tgid() >> 32;

  if (!note_halt(tgid))
    return;
  bpf_send_signal(SIGNAL_STOP);
  note_halt(tgid);
}

/* sys_enter(regs, number) */
SEC("raw_tp/sys_enter")
int follow_enter(struct bpf_raw_tracepoint_args *ctx) {
  if (ctx->args[1] != SYSCALL_MMAP)
    return 0;

  pi_u64 thread = bpf_get_current_pid_tgid();
  if (!is_followed(thread))
    return 0;
  struct pt_regs *registers = (struct pt_regs *)ctx->args[0];
  pi_u64 protection = 0, flags = 0;
  bpf_probe_read_kernel(&protection, sizeof(protection), &PT_REGS_PARM3_SYSCALL(registers));
  bpf_probe_read_kernel(&flags, sizeof(flags), &PT_REGS_PARM4_SYSCALL(registers));
  if (!(protection & PROTECTION_EXEC) || flags & MAPPING_ANONYMOUS)
    return 0;
  pi_u8 one = 1;
  bpf_map_update_elem(&mapping, &thread, &one, BPF_ANY);
  return 0;
}

/* sys_exit(regs, result) */
SEC("raw_tp/sys_exit")
int follow_exit(struct bpf_raw_tracepoint_args *ctx) {
  pi_u64 thread = bpf_get_current_pid_tgid();

  if (!is_followed(thread) || bpf_map_delete_elem(&mapping, &thread))
    return 0;
  /* An address, or a small negative error number. */
  if ((pi_s64)ctx->args[1] > -4096 && (pi_s64)ctx->args[1] < 0)
    return 0;
  halt();
  return 0;
}

/* A static executable is mapped by execve itself. */
SEC("raw_tp/sched_process_exec")
int follow_exec(struct bpf_raw_tracepoint_args *ctx) {
  if (is_followed(bpf_get_current_pid_tgid()))
    halt();
  return 0;
}

/* sched_process_fork(parent, child): a child process is followed before it runs. Where
 * task_struct keeps its number, calibration has found (calibrate.bpf.h). */
SEC("raw_tp/sched_process_fork")
int follow_fork(struct bpf_raw_tracepoint_args *ctx) {
  pi_u64 parent = bpf_get_current_pid_tgid();

  if (!is_followed(parent))
    return 0;
  pi_u32 child = 0;
  bpf_probe_read_kernel(&child, sizeof(child), (void *)(ctx->args[1] + state.task_tgid));
  if (child == (pi_u32)(parent >> 32))
    return 0;
  pi_u8 one = 1;
  if (bpf_map_update_elem(&followed, &child, &one, BPF_ANY))
    __sync_fetch_and_add(&state.not_followed, 1);
  state.has_children = 1;
  __sync_fetch_and_add(&state.forks, 1);
  return 0;
}

/* sched_process_exit(task): numbers of processes are used again, by strangers. */
SEC("raw_tp/sched_process_exit")
int follow_end(struct bpf_raw_tracepoint_args *ctx) {
  pi_u64 thread = bpf_get_current_pid_tgid();
  pi_u32 tgid = thread >> 32;

  if ((pi_u32)thread != tgid)
    return 0;
  bpf_map_delete_elem(&halted, &tgid);
  bpf_map_delete_elem(&continued, &tgid);
  if (state.has_children)
    bpf_map_delete_elem(&followed, &tgid);
  return 0;
}

#endif
