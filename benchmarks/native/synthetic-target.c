/* SPDX-License-Identifier: MIT
 * A target of no engine at all (see synthetic-engine.c), to see what pi-record bears and what a hit costs.
 *
 *   synthetic-target rate PER_SECOND SECONDS THREADS
 *       Operators at a set rate: each thread, on a core of its own, does its share of every millisecond and
 * sleeps for the rest. Prints one line: operators called, token steps, nanoseconds taken, CPU time of all
 * threads. synthetic-target cost Batches of 10,000 operators flat out on one thread until SIGTERM; a line for
 * each as repeat-llama has it: "batch", begin, end, CPU time of the thread, 0. */
#define _GNU_SOURCE
#include "synthetic-engine.h"

#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { STEP = 1000, BATCH = 10000, MAX_THREADS = 64, TENSOR_BYTES = 336, TENSORS = 300 };
#define SLICE_NS 1000000ll

static char tensors[TENSORS][TENSOR_BYTES] __attribute__((aligned(16)));
static volatile sig_atomic_t stopped;

static int64_t now(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return time.tv_sec * 1000000000ll + time.tv_nsec;
}

static void operators(void *count) {
  static const int params[8];
  for (int i = 0; i < *(int *)count; i++)
    ggml_cpu_extra_compute_forward(params, tensors[i % TENSORS]);
}

struct share {
  pthread_t thread;
  int cpu;
  double per_slice;
  int64_t start, slices, called, steps;
};

static void *at_rate(void *value) {
  struct share *share = value;
  double owed = 0;
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  CPU_SET(share->cpu, &cpus);
  pthread_setaffinity_np(pthread_self(), sizeof cpus, &cpus);
  for (int64_t slice = 0; slice < share->slices; slice++) {
    int64_t due = share->start + slice * SLICE_NS;
    struct timespec until = {due / 1000000000, due % 1000000000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
    owed += share->per_slice;
    /* A step has as many operators as one token of a small model, or what is owed. */
    while (owed >= 1) {
      int count = owed < STEP ? (int)owed : STEP;
      synthetic_step(operators, &count);
      owed -= count;
      share->called += count;
      share->steps++;
    }
  }
  return NULL;
}

static int rate(double per_second, double seconds, int threads) {
  static struct share share[MAX_THREADS];
  int cpus = sysconf(_SC_NPROCESSORS_ONLN);
  if (threads < 1 || threads > MAX_THREADS)
    return 2;
  /* Time for the threads to be there. */
  int64_t start = now(CLOCK_MONOTONIC) + 50 * SLICE_NS, called = 0, steps = 0;
  for (int i = 0; i < threads; i++) {
    share[i] = (struct share){.cpu = i % cpus,
                              .per_slice = per_second / threads / 1000,
                              .start = start,
                              .slices = (int64_t)(seconds * 1000)};
    if (pthread_create(&share[i].thread, NULL, at_rate, &share[i]))
      return 1;
  }
  for (int i = 0; i < threads; i++) {
    pthread_join(share[i].thread, NULL);
    called += share[i].called;
    steps += share[i].steps;
  }
  int64_t end = now(CLOCK_MONOTONIC);
  printf("%ld %ld %ld %ld\n", called, steps, end - start, now(CLOCK_PROCESS_CPUTIME_ID));
  return 0;
}

static void stop(int signal) {
  (void)signal;
  stopped = 1;
}

static int cost(void) {
  int count = BATCH;
  signal(SIGTERM, stop);
  setvbuf(stdout, NULL, _IOFBF, 1 << 15);
  printf("ready 0 0 0 0\n");
  fflush(stdout);
  while (!stopped) {
    int64_t begin = now(CLOCK_MONOTONIC), cpu = now(CLOCK_THREAD_CPUTIME_ID);
    synthetic_step(operators, &count);
    int64_t used = now(CLOCK_THREAD_CPUTIME_ID) - cpu;
    printf("batch %ld %ld %ld 0\n", begin, now(CLOCK_MONOTONIC), used);
  }
  return 0;
}

static int ascending(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

enum { ROUNDS = 50 };
struct cold {
  const int64_t *memory;
  size_t words;
  int64_t first[ROUNDS], next[ROUNDS], sum;
};

static void cold_calls(void *value) {
  struct cold *cold = value;
  int one = 1;
  for (int round = 0; round < ROUNDS; round++) {
    for (size_t word = 0; word < cold->words; word += 8)
      cold->sum += cold->memory[word];
    int64_t begin = now(CLOCK_MONOTONIC);
    operators(&one);
    int64_t middle = now(CLOCK_MONOTONIC);
    operators(&one);
    cold->first[round] = middle - begin;
    cold->next[round] = now(CLOCK_MONOTONIC) - middle;
  }
}

static int cold_cost(size_t mebibytes) {
  static struct cold cold;
  cold.words = (mebibytes << 20) / sizeof(int64_t);
  int64_t *memory = malloc(mebibytes << 20);
  if (!memory)
    return 1;
  memset(memory, 1, mebibytes << 20);
  cold.memory = memory;
  signal(SIGTERM, stop);
  setvbuf(stdout, NULL, _IOFBF, 1 << 15);
  printf("ready 0 0 0 0\n");
  fflush(stdout);
  while (!stopped) {
    int64_t begin = now(CLOCK_MONOTONIC);
    synthetic_step(cold_calls, &cold);
    int64_t end = now(CLOCK_MONOTONIC);
    qsort(cold.first, ROUNDS, sizeof *cold.first, ascending);
    qsort(cold.next, ROUNDS, sizeof *cold.next, ascending);
    printf("cold %ld %ld %ld 0\nnext %ld %ld %ld 0\n", begin, end, cold.first[ROUNDS / 2], begin, end,
           cold.next[ROUNDS / 2]);
  }
  return 0;
}

int main(int argc, char **argv) {
  if (argc == 5 && !strcmp(argv[1], "rate"))
    return rate(atof(argv[2]), atof(argv[3]), atoi(argv[4]));
  if (argc == 2 && !strcmp(argv[1], "cost"))
    return cost();
  if (argc == 3 && !strcmp(argv[1], "cold") && atoi(argv[2]) > 0)
    return cold_cost(atoi(argv[2]));
  fprintf(stderr, "usage: synthetic-target rate PER_SECOND SECONDS THREADS | cost | cold MIB\n");
  return 2;
}
