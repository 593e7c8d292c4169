/* SPDX-License-Identifier: MIT
 * Writing records: the ring buffer, per-CPU counters, and who is recorded.
 *
 * Uprobe programs run with preemption disabled and the kernel never nests two
 * of them on one CPU (bpf_prog_active), so per-CPU state needs no atomics and
 * per-CPU scratch memory is ours until the program returns.
 */
#ifndef RECORD_BPF_H
#define RECORD_BPF_H

#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <stdbool.h>
#include "pi_trace.h"
#include "probe_settings.h"

const volatile struct probe_settings settings = {};
volatile struct probe_state state = {.op_mul_mat_id = -1};

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 4 << 20); /* resized by the recorder (--buffer) */
} events SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, pi_u32);
  __type(value, struct probe_counters);
} counters SEC(".maps");

/* Processes beside settings.root_tgid: its children, added by the recorder. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 1024);
  __type(key, pi_u32);
  __type(value, pi_u8);
} followed SEC(".maps");

/* Whether this hit is to be recorded. */
static __always_inline bool is_followed(pi_u64 pid_tgid) {
  pi_u32 tgid = pid_tgid >> 32;

  return !state.stopped && (tgid == settings.root_tgid || bpf_map_lookup_elem(&followed, &tgid));
}

static __always_inline struct probe_counters *cpu_counters(void) {
  pi_u32 zero = 0;

  return bpf_map_lookup_elem(&counters, &zero);
}

static __always_inline void fill(struct pi_record *record, struct probe_counters *cpu, pi_u64 pid_tgid,
                                 pi_u8 type, pi_u8 flags, pi_u32 ref) {
  record->time_ns = bpf_ktime_get_ns();
  record->tid = (pi_u32)pid_tgid;
  record->cpu = bpf_get_smp_processor_id();
  record->type = type;
  record->flags = flags;
  record->sequence = cpu->sequence++;
  record->ref = ref;
}

/* A number is used up even when there is no room: the hole tells the analyzer
 * where records are missing. */
static __always_inline void count_lost(struct probe_counters *cpu) {
  cpu->sequence++;
  cpu->lost++;
}

/* Reserve a record of a fixed-size structure whose first member is `head`.
 * Evaluates to NULL when this process is not followed or there is no room.
 * Waking the recorder costs 4 us a time, so nobody does; it drains on a timer. */
#define RESERVE(structure, type, flags, ref)                                                                 \
  ({                                                                                                         \
    struct structure *reserved_ = NULL;                                                                      \
    pi_u64 pid_tgid_ = bpf_get_current_pid_tgid();                                                           \
    struct probe_counters *cpu_ = is_followed(pid_tgid_) ? cpu_counters() : NULL;                            \
    if (cpu_) {                                                                                              \
      reserved_ = bpf_ringbuf_reserve(&events, sizeof(struct structure), 0);                                 \
      if (reserved_)                                                                                         \
        fill((struct pi_record *)reserved_, cpu_, pid_tgid_, type, flags, ref);                              \
      else                                                                                                   \
        count_lost(cpu_);                                                                                    \
    }                                                                                                        \
    reserved_;                                                                                               \
  })

static __always_inline void submit(void *record) { bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP); }

/* A record that is its head alone. */
static __always_inline int emit(pi_u8 type, pi_u8 flags, pi_u32 ref) {
  struct pi_record *record = RESERVE(pi_record, type, flags, ref);

  if (record)
    submit(record);
  return 0;
}

/* Read a value of the target; 0 where its memory cannot be read, which is counted. */
#define READ_USER(type, address)                                                                             \
  ({                                                                                                         \
    type value_ = 0;                                                                                         \
    if (bpf_probe_read_user(&value_, sizeof(value_), (const void *)(address)))                               \
      count_unreadable();                                                                                    \
    value_;                                                                                                  \
  })

static __always_inline void count_unreadable(void) {
  struct probe_counters *cpu = cpu_counters();

  if (cpu)
    cpu->unreadable++;
}

#endif
