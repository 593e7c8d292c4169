/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "recorder_shim.h"

#include <linux/perf_event.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

int shim_open_counter(uint32_t type, uint64_t config, int cpu, bool user_only) {
  struct perf_event_attr attributes = {
      .type = type,
      .size = sizeof(attributes),
      .config = config,
      .read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING,
      .exclude_kernel = user_only,
      .exclude_hv = user_only,
  };

  return (int)syscall(SYS_perf_event_open, &attributes, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
}

int shim_read_counter(int fd, struct shim_counter_value *value) {
  return read(fd, value, sizeof(*value)) == sizeof(*value) ? 0 : -1;
}

void shim_run_on(int cpu) {
  static cpu_set_t before;
  static bool is_known;
  cpu_set_t one;

  if (!is_known && sched_getaffinity(0, sizeof(before), &before))
    return;
  is_known = true;
  CPU_ZERO(&one);
  if (cpu >= 0 && cpu < CPU_SETSIZE)
    CPU_SET(cpu, &one);
  sched_setaffinity(0, sizeof(one), cpu >= 0 ? &one : &before);
}
