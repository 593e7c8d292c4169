/* SPDX-License-Identifier: MIT
 * What this machine can do at most: kernels that do nothing but read or calculate, run by
 * pinned processes for a given time, and functions to probe.
 *
 * Functions that can fail return -1 (or NULL) and leave the reason in errno. */
#ifndef CALIBRATION_H
#define CALIBRATION_H

#include <stdbool.h>
#include <stdint.h>

enum calibration_work {
  CALIBRATION_READ,       /* bytes of memory behind the last-level cache, in pages of the usual size */
  CALIBRATION_READ_HUGE,  /* the same in huge pages: fewer page walks, where the kernel has such pages */
  CALIBRATION_READ_CACHE, /* bytes that fit into the last-level cache */
  CALIBRATION_F32,        /* floating-point operations, single precision: two a multiply-add */
  CALIBRATION_F16,        /* the same in half precision */
  CALIBRATION_INT8,       /* integer operations of a dot product of 8-bit values: two a product */
  CALIBRATION_WORKS
};

/* Which instructions the work is done with here, such as "AVX-512 FMA, 512 bits"; NULL where
 * this processor has none for it. */
const char *calibration_instructions(enum calibration_work work);

/* Does a work once; how much that was. `buffer` (64-byte aligned) and `bytes` are for the reads. */
typedef uint64_t calibration_kernel(const void *buffer, uint64_t bytes);
calibration_kernel *calibration_kernel_for(enum calibration_work work);

#define CALIBRATION_WORKERS 256

/* Processes that work at the same time, each pinned to a CPU. */
struct calibration_team;
/* One a CPU of the list, at most CALIBRATION_WORKERS. */
struct calibration_team *calibration_team_start(const int *cpus, uint32_t count, uint64_t read_bytes,
                                                uint64_t cache_bytes);
void calibration_team_end(struct calibration_team *team);

struct calibration_window {
  uint64_t rate;    /* of all workers together: units of the work per second */
  double least_cpu; /* of the worker that had its CPU for the smallest part of the time: that part */
};
/* All do the work for so long. */
int calibration_team_work(struct calibration_team *team, enum calibration_work work, uint64_t duration_ns,
                          struct calibration_window *window);

/* Functions with one instruction to probe each, of a class that ProbeSites knows. */
struct calibration_probed {
  const char *class_name;
  void (*function)(void);
  const void *instruction; /* what is probed */
};
uint32_t calibration_probed_count(void);
struct calibration_probed calibration_probed(uint32_t index);
/* Calls it so often; CPU time of this thread. */
uint64_t calibration_call(void (*function)(void), uint32_t calls);
/* The same, with CLOCK_MONOTONIC before and behind each call. */
void calibration_call_timed(void (*function)(void), uint32_t calls, uint64_t *before_ns, uint64_t *after_ns);

/* Into rising order. */
void calibration_sort(uint64_t *values, uint32_t count);

/* The CPUs that a process may use (0: this one), up to `limit`; how many. -1: it cannot be seen. */
int calibration_allowed_cpus(int pid, int *cpus, int limit);
#endif
