/* calls.c: a program of many short calls, which uftrace records for benchmarks/analyze: as many as a trace
 * has operators, in steps, graphs and operators.
 *
 *   calls OPERATORS
 */
#include <stdio.h>
#include <stdlib.h>

#define OPERATORS_A_GRAPH 334

static volatile unsigned sink;

__attribute__((noinline)) static void operator(unsigned number) { sink += number; }

__attribute__((noinline)) static void graph(void) {
  for (unsigned i = 0; i < OPERATORS_A_GRAPH; i++)
    operator(i);
}

__attribute__((noinline)) static void token_step(void) { graph(); }

int main(int argc, char **argv) {
  if (argc != 2) {
    fputs("usage: calls OPERATORS\n", stderr);
    return 2;
  }
  for (long left = atol(argv[1]); left > 0; left -= OPERATORS_A_GRAPH)
    token_step();
  return 0;
}
