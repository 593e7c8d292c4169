/* SPDX-License-Identifier: MIT
 * A library with the names that pi-record probes and nothing behind them: no llama.cpp, no tensors.
 * benchmarks/stress calls it at rates that no engine reaches. ggml_graph_plan and llama_model_default_params
 * are there because pi-record takes a file without them for something that wraps the engine. */
#include "synthetic-engine.h"

#include <stddef.h>

#if defined(__x86_64__)
/* Begins with a push, as gcc and clang compile the real one. */
__asm__(".text\n.p2align 6\n"
        ".globl ggml_cpu_extra_compute_forward\n"
        ".type ggml_cpu_extra_compute_forward, @function\n"
        "ggml_cpu_extra_compute_forward:\n"
        " push %r13\n xor %eax, %eax\n pop %r13\n ret\n"
        ".size ggml_cpu_extra_compute_forward, . - ggml_cpu_extra_compute_forward\n");
#else
__attribute__((noinline)) _Bool ggml_cpu_extra_compute_forward(const void *params, void *tensor) {
  (void)params;
  __asm__ volatile("" : "+r"(tensor) : : "x29", "x30", "memory");
  return 0;
}
#endif

/* What the caller wants done inside a graph of a token step. */
static __thread void (*work)(void *);
static __thread void *argument;

__attribute__((noinline)) int ggml_graph_compute(void *cgraph, void *cplan) {
  (void)cgraph, (void)cplan;
  work(argument);
  return 0;
}

__attribute__((noinline)) int llama_decode(void *context, struct synthetic_batch batch) {
  static char cgraph[512], cplan[64];
  (void)context, (void)batch;
  ggml_graph_compute(cgraph, cplan);
  return 0;
}

void synthetic_step(void (*body)(void *), void *value) {
  work = body;
  argument = value;
  llama_decode(NULL, (struct synthetic_batch){.n_tokens = 1});
}

/* What tells pi-record the layout of graphs and tensors: it reads the offsets out of these functions' code.
 */
#define ACCESSOR __attribute__((optimize("omit-frame-pointer")))
struct graph {
  int size, n_nodes;
  void *unused, **nodes;
};
struct tensor {
  char unused[248];
  void *data;
  char name[64];
};
ACCESSOR int ggml_graph_n_nodes(struct graph *graph) { return graph->n_nodes; }
ACCESSOR void **ggml_graph_nodes(struct graph *graph) { return graph->nodes; }
ACCESSOR void *ggml_get_data(const struct tensor *tensor) { return tensor->data; }
ACCESSOR const char *ggml_get_name(const struct tensor *tensor) { return tensor->name; }

void ggml_graph_plan(void) {}
void llama_model_default_params(void) {}
void ggml_backend_sched_new(void) {}
