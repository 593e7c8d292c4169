/* SPDX-License-Identifier: MIT */
#ifndef SYNTHETIC_ENGINE_H
#define SYNTHETIC_ENGINE_H

/* As long as llama_batch, and passed in the same way: n_tokens first. */
struct synthetic_batch {
  int n_tokens;
  void *fields[6];
};

_Bool ggml_cpu_extra_compute_forward(const void *params, void *tensor);
int ggml_graph_compute(void *cgraph, void *cplan);
int llama_decode(void *context, struct synthetic_batch batch);

/* One token step with one graph, in which `body` runs. */
void synthetic_step(void (*body)(void *), void *value);

#endif
