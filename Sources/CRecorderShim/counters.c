/* SPDX-License-Identifier: MIT */
#include "recorder_shim.h"

#include <linux/perf_event.h>
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
