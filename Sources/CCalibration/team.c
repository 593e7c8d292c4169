/* SPDX-License-Identifier: MIT
 * Processes that do the same work at the same time. Processes and not threads: each has its own
 * memory anyway, and the static recorder contains no thread library. */
#define _GNU_SOURCE
#include "calibration.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BLOCK (256u << 10) /* bytes between two looks at the clock */
#define LEAD_NS 1000000    /* from the order to the begin of the work */

struct worker {
  _Atomic uint32_t done; /* the last window that it has finished */
  int pid;
  int cpu;
  uint64_t amount, elapsed_ns, cpu_ns;
};

struct calibration_team {
  _Atomic uint32_t window; /* the one ordered last; a change is the order */
  enum calibration_work work;
  uint64_t begin_ns, end_ns;
  uint64_t read_bytes, cache_bytes;
  uint32_t count;
  struct worker workers[CALIBRATION_WORKERS];
};

static uint64_t clock_ns(clockid_t clock) {
  struct timespec now;

  clock_gettime(clock, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void nap(long nanoseconds) {
  struct timespec duration = {0, nanoseconds};

  nanosleep(&duration, NULL);
}

struct buffers {
  char *usual, *huge;
};

static char *make_buffer(uint64_t bytes, int advice) {
  char *buffer = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

  if (buffer == MAP_FAILED)
    _exit(1);
  madvise(buffer, bytes, advice);
  memset(buffer, 1, bytes);
  return buffer;
}

static void do_work(const struct calibration_team *team, struct worker *worker,
                    const struct buffers *buffers) {
  const char *buffer = team->work == CALIBRATION_READ ? buffers->usual : buffers->huge;
  bool reads = team->work <= CALIBRATION_READ_CACHE;
  uint64_t bytes = team->work == CALIBRATION_READ_CACHE ? team->cache_bytes : team->read_bytes;
  uint64_t amount = 0, at = 0, now;
  calibration_kernel *run = calibration_kernel_for(team->work); /* asking the processor takes a while */

  while ((now = clock_ns(CLOCK_MONOTONIC)) < team->begin_ns)
    ;
  uint64_t begin = now, cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
  do {
    if (reads && at + BLOCK > bytes)
      at = 0;
    amount += run(buffer + at, BLOCK);
    at += BLOCK;
    now = clock_ns(CLOCK_MONOTONIC);
  } while (now < team->end_ns);
  worker->cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
  worker->elapsed_ns = now - begin;
  worker->amount = amount;
}

static void __attribute__((noreturn)) run_worker(struct calibration_team *team, struct worker *worker) {
  cpu_set_t set;
  uint32_t done = 0;

  prctl(PR_SET_PDEATHSIG, SIGKILL);
  prctl(PR_SET_NAME, "pi-calibrate");
  CPU_ZERO(&set);
  CPU_SET(worker->cpu, &set);
  if (sched_setaffinity(0, sizeof(set), &set))
    _exit(1);
  struct buffers buffers = {
      .usual = make_buffer(team->read_bytes, MADV_NOHUGEPAGE),
      .huge = make_buffer(team->read_bytes > team->cache_bytes ? team->read_bytes : team->cache_bytes,
                          MADV_HUGEPAGE),
  };
  /* Nobody else gets the CPU for the milliseconds of a window. Without the right to that it is a worker like
   * any other, and its CPU time tells what it had. */
  struct sched_param priority = {.sched_priority = 1};
  sched_setscheduler(0, SCHED_FIFO, &priority);
  while (1) {
    worker->done = done;
    while (team->window == done)
      nap(50000);
    done = team->window;
    do_work(team, worker, &buffers);
  }
}

/* Until all have finished that window; -1 when one of them ended instead. */
static int wait_for(struct calibration_team *team, uint32_t window) {
  for (uint32_t i = 0; i < team->count; i++)
    while (team->workers[i].done != window) {
      if (waitpid(team->workers[i].pid, NULL, WNOHANG) != 0) {
        team->workers[i].pid = 0;
        errno = ENOMEM; /* what a worker most likely lacks */
        return -1;
      }
      nap(100000);
    }
  return 0;
}

struct calibration_team *calibration_team_start(const int *cpus, uint32_t count, uint64_t read_bytes,
                                                uint64_t cache_bytes) {
  struct calibration_team *team =
      mmap(NULL, sizeof(*team), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

  if (team == MAP_FAILED)
    return NULL;
  team->read_bytes = (read_bytes + BLOCK - 1) / BLOCK * BLOCK;
  team->cache_bytes = (cache_bytes + BLOCK - 1) / BLOCK * BLOCK;
  for (uint32_t i = 0; i < count && i < CALIBRATION_WORKERS; i++) {
    struct worker *worker = &team->workers[i];
    worker->cpu = cpus[i];
    worker->done = UINT32_MAX; /* not ready */
    int pid = fork();
    if (pid == 0)
      run_worker(team, worker);
    if (pid < 0)
      break;
    worker->pid = pid;
    team->count++;
  }
  if (team->count < count || wait_for(team, 0)) {
    int error = errno;
    calibration_team_end(team);
    errno = error;
    return NULL;
  }
  return team;
}

void calibration_team_end(struct calibration_team *team) {
  for (uint32_t i = 0; i < team->count; i++)
    if (team->workers[i].pid > 0) {
      kill(team->workers[i].pid, SIGKILL);
      waitpid(team->workers[i].pid, NULL, 0);
    }
  munmap(team, sizeof(*team));
}

int calibration_team_work(struct calibration_team *team, enum calibration_work work, uint64_t duration_ns,
                          struct calibration_window *window) {
  team->work = work;
  team->begin_ns = clock_ns(CLOCK_MONOTONIC) + LEAD_NS;
  team->end_ns = team->begin_ns + duration_ns;
  team->window++;
  if (wait_for(team, team->window))
    return -1;
  window->rate = 0;
  window->least_cpu = 1;
  for (uint32_t i = 0; i < team->count; i++) {
    const struct worker *worker = &team->workers[i];
    double elapsed = (double)worker->elapsed_ns;
    window->rate += (uint64_t)((double)worker->amount * 1e9 / elapsed);
    if ((double)worker->cpu_ns / elapsed < window->least_cpu)
      window->least_cpu = (double)worker->cpu_ns / elapsed;
  }
  return 0;
}

void calibration_sort(uint64_t *values, uint32_t count) {
  for (uint32_t gap = count / 2; gap > 0; gap /= 2)
    for (uint32_t i = gap; i < count; i++) {
      uint64_t value = values[i];
      uint32_t at = i;
      for (; at >= gap && values[at - gap] > value; at -= gap)
        values[at] = values[at - gap];
      values[at] = value;
    }
}

int calibration_allowed_cpus(int pid, int *cpus, int limit) {
  cpu_set_t set;
  int count = 0;

  if (sched_getaffinity(pid, sizeof(set), &set))
    return -1;
  for (int cpu = 0; cpu < CPU_SETSIZE && count < limit; cpu++)
    if (CPU_ISSET(cpu, &set))
      cpus[count++] = cpu;
  return count;
}
