/* SPDX-License-Identifier: MIT
 * A target of so many token steps of so many operators, as fast as it can; every 997th step is ten times as
 * long. There is no engine behind it: see benchmarks/native/synthetic-engine.c.
 *
 *   long_run STEPS OPERATORS */
#include "synthetic-engine.h"

#include <stdlib.h>

static char tensor[336] __attribute__((aligned(16)));

static void operators(void *count) {
  static const int params[8];
  for (int i = 0; i < *(int *)count; i++)
    ggml_cpu_extra_compute_forward(params, tensor);
}

int main(int argc, char **argv) {
  if (argc != 3)
    return 2;
  int steps = atoi(argv[1]), usual = atoi(argv[2]);
  for (int i = 0; i < steps; i++) {
    int count = i % 997 == 996 ? usual * 10 : usual;
    synthetic_step(operators, &count);
  }
  return 0;
}
