/* SPDX-License-Identifier: MIT
 * Writing records: the ring buffer, per-CPU numbering, counter values, and who is
 * recorded.
 *
 * Nothing here may rely on having a CPU for itself. Kernels from 6.0 on run uprobe
 * programs preemptibly, so another thread's program can run in the middle of this one;
 * and a wakeup can come from an interrupt. What must be exclusive is atomic (numbers)
 * or belongs to the thread (scratch memory).
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

/* Processes beside settings.root_tgid: its children, until they end. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 8192);
  __type(key, pi_u32);
  __type(value, pi_u8);
} followed SEC(".maps");

/* Of --pmc: the event of counter i on CPU c is at i * settings.cpus + c. */
struct {
  __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
  __uint(max_entries, 1); /* resized by the recorder */
  __type(key, pi_u32);
  __type(value, pi_u32);
} counter_events SEC(".maps");

static __always_inline bool is_followed_process(pi_u32 tgid) {
  if (state.stopped)
    return false;
  return tgid == settings.root_tgid || (state.has_children && bpf_map_lookup_elem(&followed, &tgid));
}

/* Whether this hit is to be recorded. */
static __always_inline bool is_followed(pi_u64 pid_tgid) { return is_followed_process(pid_tgid >> 32); }

static __always_inline struct probe_counters *cpu_counters(void) {
  pi_u32 zero = 0;

  return bpf_map_lookup_elem(&counters, &zero);
}

/* The next number of this CPU. It is used up even when the record finds no room: the
 * hole tells the analyzer where records are missing.
 *
 * An atomic addition that returns a value needs -mcpu=v3, which kernels before 5.12
 * refuse. Those run uprobe programs without preemption, so there only an interrupt's
 * wakeup can come between, and that one steps back. */
static __always_inline pi_u32 next_number(struct probe_counters *cpu) {
#if __BPF_CPU_VERSION__ >= 3
  return __sync_fetch_and_add(&cpu->sequence, 1);
#else
  *(volatile settings_u64 *)&cpu->is_numbering = 1;
  pi_u32 number = cpu->sequence++;
  *(volatile settings_u64 *)&cpu->is_numbering = 0;
  return number;
#endif
}

/* For programs that interrupts run: whether another one is just taking a number on this
 * CPU. Then there is no record, which is counted as lost. */
static __always_inline bool steps_back(void) {
#if __BPF_CPU_VERSION__ < 3
  pi_u32 zero = 0;
  struct probe_counters *cpu = bpf_map_lookup_elem(&counters, &zero);

  if (cpu && *(volatile settings_u64 *)&cpu->is_numbering) {
    __sync_fetch_and_add(&cpu->lost, 1);
    return true;
  }
#endif
  return false;
}

static __always_inline void fill(struct pi_record *record, struct probe_counters *cpu, pi_u32 tid, pi_u8 type,
                                 pi_u8 flags, pi_u32 ref) {
  record->time_ns = bpf_ktime_get_ns();
  record->tid = tid;
  record->cpu = bpf_get_smp_processor_id();
  record->type = type;
  record->flags = flags;
  record->sequence = next_number(cpu);
  record->ref = ref;
}

static __always_inline void count_lost(struct probe_counters *cpu) {
  next_number(cpu);
  __sync_fetch_and_add(&cpu->lost, 1);
}

static __always_inline void count_unreadable(void) {
  struct probe_counters *cpu = cpu_counters();

  if (cpu)
    __sync_fetch_and_add(&cpu->unreadable, 1);
}

/* The counters' values on this CPU, behind a record. Not inlined: two dozen programs
 * would each hold it. */
static __noinline int read_counters(pi_u64 *value) {
  pi_u32 cpu = bpf_get_smp_processor_id();

  for (pi_u32 i = 0; i < PI_COUNTERS_CAPACITY; i++) {
    struct bpf_perf_event_value now;

    if (i >= settings.counters)
      break;
    long failed = bpf_perf_event_read_value(&counter_events, i * settings.cpus + cpu, &now, sizeof(now));
    value[i] = failed ? PI_COUNTER_UNREAD : now.counter;
  }
  return 0;
}

/* Reserve a record for a thread of the target; NULL when there is no room.
 * Waking the recorder costs 4 us a time, so nobody does; it drains on a timer. The
 * verifier knows `settings`, so that a size with counters is a constant to it. */
static __always_inline void *reserve(pi_u32 bytes, bool with_counters, pi_u32 tid, pi_u8 type, pi_u8 flags,
                                     pi_u32 ref) {
  struct probe_counters *cpu = cpu_counters();

  if (!cpu)
    return NULL;
  void *record =
      bpf_ringbuf_reserve(&events, with_counters ? bytes + settings.counters * sizeof(pi_u64) : bytes, 0);
  if (!record) {
    count_lost(cpu);
    return NULL;
  }
  fill(record, cpu, tid, type, flags, ref);
  if (with_counters && settings.counters)
    read_counters(record + bytes);
  return record;
}

/* The same for the running thread; NULL also when it is not followed. */
#define RESERVE_(structure, with_counters, type, flags, ref)                                                 \
  ({                                                                                                         \
    pi_u64 pid_tgid_ = bpf_get_current_pid_tgid();                                                           \
    (struct structure *)(is_followed(pid_tgid_) ? reserve(sizeof(struct structure), with_counters,           \
                                                          (pi_u32)pid_tgid_, type, flags, ref)               \
                                                : NULL);                                                     \
  })
#define RESERVE(structure, type, flags, ref) RESERVE_(structure, false, type, flags, ref)
#define RESERVE_COUNTED(structure, type, flags, ref) RESERVE_(structure, true, type, flags, ref)

static __always_inline void submit(void *record) { bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP); }

/* A record that is its head alone. */
static __always_inline int emit(pi_u8 type, pi_u8 flags, pi_u32 ref) {
  struct pi_record *record = RESERVE(pi_record, type, flags, ref);

  if (record)
    submit(record);
  return 0;
}

/* The same with the counters behind it. */
static __always_inline int emit_counted(pi_u8 type, pi_u8 flags, pi_u32 ref) {
  struct pi_record *record = RESERVE_COUNTED(pi_record, type, flags, ref);

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

#endif
