/* timing_shim.c: how long the operators of a llama.cpp process take, as the process itself sees it.
 *
 * Preloaded (LD_PRELOAD) into an unmodified target it stands in front of the function that every operator
 * begins with and of the barrier that ends it, reads CLOCK_MONOTONIC there, and at exit writes to
 * $TIMING_SHIM_OUTPUT one line for each operator of each thread, in order:
 *
 *   THREAD BEGIN_NS END_NS NAME      thread: ggml's number, 0 computes the graph; a fused pair is named by
 * its last node
 *
 * An operator ends at the last barrier that its thread reaches before the next operator: some have barriers
 * inside, too. It shares nothing with the recorder. */
#define SHIM "timing_shim"
#include "shim.h"

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* ggml's data as far as it is needed. */
struct tensor {
  char fields[256];
  char name[64];
};

struct compute_params {
  int32_t ith;
  int32_t nth;
};

struct operation {
  uint64_t begin_ns, end_ns;
  char name[64];
};

#define THREADS 64
#define OPERATORS (1 << 18)
static struct {
  struct operation *list;
  size_t count;
} threads[THREADS];
static __thread int own = -1;

static uint64_t now(void) {
  struct timespec time;

  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

const char *ggml_get_name(const struct tensor *t);

static void begin(const struct compute_params *params, const struct tensor *node) {
  if (params->ith < 0 || params->ith >= THREADS)
    fail("thread number %d is out of range", params->ith);
  if (own < 0) {
    own = params->ith;
    /* Touched now, so that no page fault is timed. */
    if (!threads[own].list && !(threads[own].list = malloc(OPERATORS * sizeof(struct operation))))
      fail("out of memory");
    memset(threads[own].list, 1, OPERATORS * sizeof(struct operation));
    if (REAL(ggml_get_name)(node) != node->name)
      fail("ggml_tensor.name is not where this shim expects it");
  }
  if (threads[own].count == OPERATORS)
    fail("more than %d operators", OPERATORS);
  struct operation *started = &threads[own].list[threads[own].count];
  memcpy(started->name, node->name, sizeof started->name);
  started->end_ns = 0;
  started->begin_ns = now();
  threads[own].count++;
}

EXPORT bool ggml_cpu_extra_compute_forward(struct compute_params *params, struct tensor *node) {
  begin(params, node);
  return REAL(ggml_cpu_extra_compute_forward)(params, node);
}

EXPORT void ggml_compute_forward_rms_norm_mul_fused(const struct compute_params *params, struct tensor *norm,
                                                    struct tensor *product) {
  begin(params, product);
  REAL(ggml_compute_forward_rms_norm_mul_fused)(params, norm, product);
}

EXPORT void ggml_barrier(void *threadpool) {
  if (own >= 0 && threads[own].count)
    threads[own].list[threads[own].count - 1].end_ns = now();
  REAL(ggml_barrier)(threadpool);
}

__attribute__((destructor)) static void write_output(void) {
  const char *path = getenv("TIMING_SHIM_OUTPUT");
  FILE *file = NULL;

  for (int thread = 0; thread < THREADS; thread++)
    for (size_t i = 0; i < threads[thread].count; i++) {
      const struct operation *one = &threads[thread].list[i];
      if (!file && (!path || !(file = fopen(path, "w"))))
        return;
      /* Without a barrier behind it, the last of a graph: its end is not known. */
      fprintf(file, "%d %llu %llu %.64s\n", thread, (unsigned long long)one->begin_ns,
              (unsigned long long)one->end_ns, one->name);
    }
  if (file && fclose(file))
    fprintf(stderr, SHIM ": cannot write %s\n", path);
}
