/* slow_shim.c: makes one kind of operator of a llama.cpp process take longer, by a known share.
 *
 * Preloaded (LD_PRELOAD) into an unmodified target it stands in front of the function that every operator
 * begins with. In an operator whose name begins with $SLOW_SHIM_NAME it spins for $SLOW_SHIM_NS
 * nanoseconds. It shares nothing with the recorder. */
#define SHIM "slow_shim"
#include "shim.h"

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* ggml's data as far as it is needed. */
struct tensor {
  char fields[256];
  char name[64];
};

static const char *prefix;
static uint64_t extra_ns;

static uint64_t now(void) {
  struct timespec time;

  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

__attribute__((constructor)) static void read_settings(void) {
  const char *nanoseconds = getenv("SLOW_SHIM_NS");

  prefix = getenv("SLOW_SHIM_NAME");
  extra_ns = nanoseconds ? strtoull(nanoseconds, NULL, 10) : 0;
}

const char *ggml_get_name(const struct tensor *t);

EXPORT bool ggml_cpu_extra_compute_forward(void *params, struct tensor *node) {
  /* Afterwards: a probe at the function itself has not seen the operator begin before. */
  bool done = REAL(ggml_cpu_extra_compute_forward)(params, node);

  if (prefix && extra_ns && !strncmp(REAL(ggml_get_name)(node), prefix, strlen(prefix)))
    for (uint64_t end = now() + extra_ns; now() < end;)
      ;
  return done;
}
