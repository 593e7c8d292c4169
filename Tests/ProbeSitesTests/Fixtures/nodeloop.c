// The shape of ggml's CPU node loop and the functions around it, small enough to commit built.
// Built by build.sh; the tests compare the sites found with addresses read from `objdump -d` by eye.
//
// GOMP     the loop's barrier is inlined down to a call of OpenMP's, as gcc does it in static executables
// INLINED  the loop's barrier is inlined whole, as clang does it; those inside operators are not
// FEB2025  one barrier behind every node, none behind the loop; operators not inlined; no process_ubatch
#include <stdbool.h>
#include <stddef.h>

#define EXPORT __attribute__((visibility("default"), noinline))

struct tensor {
  int type;
  int op;
  int flags;
  long ne[4];
};
struct graph {
  int size;
  int n_nodes;
  int n_leafs;
  struct tensor **nodes;
};
struct plan {
  bool (*abort_callback)(void *);
  void *abort_data;
  int n_threads;
};
struct pool {
  struct graph *graph;
  struct plan *plan;
  volatile int abort;
  int status;
#if defined(GOMP) || defined(INLINED)
  volatile int n_graph;
  int arrived, passed;
#endif
};
struct params {
  int ith, nth;
  struct pool *pool;
};

EXPORT void ggml_barrier(struct pool *pool) {
  __atomic_fetch_add(&pool->status, 1, __ATOMIC_SEQ_CST);
  while (__atomic_load_n(&pool->status, __ATOMIC_RELAXED) & 1) {
  }
}

extern void GOMP_barrier(void);

static inline __attribute__((always_inline)) void loop_barrier(struct pool *pool) {
#if defined(GOMP)
  if ((pool->n_graph & 0xffff) != 1)
    GOMP_barrier();
#elif defined(INLINED)
  int threads = pool->n_graph & 0xffff;
  if (threads == 1)
    return;
  int passed = __atomic_load_n(&pool->passed, __ATOMIC_RELAXED);
  if (__atomic_fetch_add(&pool->arrived, 1, __ATOMIC_SEQ_CST) == threads - 1) {
    __atomic_store_n(&pool->arrived, 0, __ATOMIC_RELAXED);
    __atomic_fetch_add(&pool->passed, 1, __ATOMIC_SEQ_CST);
    return;
  }
  while (__atomic_load_n(&pool->passed, __ATOMIC_RELAXED) == passed)
#if defined(__aarch64__)
    __asm__ volatile("yield" ::: "memory");
#else
    __builtin_ia32_pause();
#endif
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
#else
  ggml_barrier(pool);
#endif
}

EXPORT bool ggml_is_empty(const struct tensor *tensor) {
  for (int i = 0; i < 4; ++i)
    if (tensor->ne[i] == 0)
      return true;
  return false;
}

EXPORT void ggml_abort(const char *file, int line) {
  (void)file, (void)line;
  __builtin_trap();
}

EXPORT void op_add(struct params *p, struct tensor *t) { t->ne[0] += p->ith; }
EXPORT void op_mul(struct params *p, struct tensor *t) { t->ne[1] *= p->nth; }
EXPORT void op_glu(struct params *p, struct tensor *t) { t->ne[2] ^= p->nth; }

EXPORT bool ggml_cpu_extra_compute_forward(struct params *params, struct tensor *tensor) {
  for (int i = 0; i < params->nth; ++i) {
    if (ggml_is_empty(tensor))
      continue;
    op_add(params, tensor);
    if (tensor->flags & 4)
      return true;
  }
  return false;
}

EXPORT void ggml_compute_forward_rms_norm_mul_fused(struct params *params, struct tensor *rms,
                                                    struct tensor *mul) {
  op_mul(params, rms);
  op_mul(params, mul);
  op_add(params, mul);
}

static inline __attribute__((always_inline)) void mul_mat(struct params *params, struct tensor *tensor) {
  tensor->ne[3] += params->ith;
  ggml_barrier(params->pool); // a barrier inside an operator: not one of the loop's
  if (tensor->ne[0] > 64)
    for (int i = 0; i < 100; ++i)
      op_mul(params, tensor);
}

#ifdef FEB2025
static __attribute__((noinline)) void compute_forward(struct params *params, struct tensor *tensor) {
#else
static inline __attribute__((always_inline)) void compute_forward(struct params *params,
                                                                  struct tensor *tensor) {
#endif
  if (tensor->op == 0 || ggml_is_empty(tensor))
    return;
  if (ggml_cpu_extra_compute_forward(params, tensor))
    return;
  switch (tensor->op) {
  case 1:
    op_add(params, tensor);
    break;
  case 2:
    op_mul(params, tensor);
    break;
  case 3:
    mul_mat(params, tensor);
    break;
  case 4:
    op_glu(params, tensor);
    break;
  case 5:
    op_add(params, tensor);
    op_mul(params, tensor);
    break;
  case 6:
    tensor->ne[2] = 0;
    break;
  case 7:
    op_glu(params, tensor);
    op_mul(params, tensor);
    break;
  case 8:
    tensor->ne[1] = 1;
    break;
  default:
    ggml_abort("nodeloop.c", __LINE__);
    __builtin_unreachable();
  }
}

static __attribute__((noinline)) void *ggml_graph_compute_thread(void *data) {
  struct params *state = data;
  struct pool *pool = state->pool;
  struct graph *graph = pool->graph;
  struct params params = {state->ith, pool->plan->n_threads, pool};
#ifdef FEB2025
  for (int node = 0; node < graph->n_nodes && !pool->abort; ++node) {
    compute_forward(&params, graph->nodes[node]);
    if (state->ith == 0 && pool->plan->abort_callback && pool->plan->abort_callback(pool->plan->abort_data)) {
      pool->abort = 1;
      pool->status = 1;
    }
    loop_barrier(pool);
  }
#else
  for (int node = 0; node < graph->n_nodes && pool->abort != node; ++node) {
    struct tensor *tensor = graph->nodes[node];
    if ((tensor->flags & 16) == 0)
      continue;
    if (tensor->op == 9 && node + 1 < graph->n_nodes && graph->nodes[node + 1]->op == 2) {
      ggml_compute_forward_rms_norm_mul_fused(&params, tensor, graph->nodes[node + 1]);
      ++node;
    } else {
      compute_forward(&params, tensor);
    }
    if (state->ith == 0 && pool->plan->abort_callback && pool->plan->abort_callback(pool->plan->abort_data)) {
      pool->abort = node + 1;
      pool->status = 1;
    }
    if (node + 1 < graph->n_nodes)
      loop_barrier(pool);
  }
  loop_barrier(pool);
#endif
  return 0;
}

EXPORT int ggml_graph_compute(struct graph *graph, struct plan *plan) {
  struct pool pool = {graph, plan, -1, 0};
  struct params params = {0, plan->n_threads, &pool};
  ggml_graph_compute_thread(&params);
  return pool.status;
}

struct backend {
  void *guid;
  int (*compute)(struct backend *, struct graph *);
};
EXPORT int ggml_backend_graph_compute_async(struct backend *backend, struct graph *graph) {
  if (!backend)
    ggml_abort("nodeloop.c", __LINE__);
  return backend->compute(backend, graph);
}

struct batch {
  int n_tokens;
  int *token;
  float *embd;
  int *pos;
  int *n_seq_id;
  int **seq_id;
  signed char *logits;
};
struct context {
  int n;
  struct graph *graph;
  struct plan plan;
  bool warmup;
};

#ifdef FEB2025
EXPORT void _Z16llama_set_inputsR13llama_contextRK12llama_ubatch(struct context *context,
                                                                 const struct batch *ubatch) {
  for (int i = 0; i < ubatch->n_tokens; ++i)
    op_add((void *)context->graph, (void *)&ubatch->token[i]);
}
static int compute(struct context *context, const struct batch *ubatch) {
  _Z16llama_set_inputsR13llama_contextRK12llama_ubatch(context, ubatch);
  return ggml_graph_compute(context->graph, &context->plan);
}
#else
extern void ggml_describe(void *, int);
#ifdef GOMP
// With a std::vector, and left early where its memory module fails.
extern void _ZdlPvm(void *, long);
EXPORT int _ZN13llama_context14process_ubatchERK12llama_ubatch(struct context *context,
                                                               const struct batch *ubatch) {
  struct {
    char *begin, *end, *capacity;
  } vector;
  int total = 0;
  if (context->warmup) {
    op_add((void *)context->graph, (void *)ubatch);
    total = -3;
    goto leave;
  }
  ggml_describe(&vector, ubatch->n_tokens);
  for (int i = 0; i < ubatch->n_tokens; ++i)
    total += ggml_graph_compute(context->graph, &context->plan);
  if (vector.begin)
    _ZdlPvm(vector.begin, vector.capacity - vector.begin);
leave:
  return total;
}
#else
EXPORT int _ZN13llama_context14process_ubatchERK12llama_ubatch(struct context *context,
                                                               const struct batch *ubatch) {
  int total = 0;
  for (int i = 0; i < ubatch->n_tokens; ++i) {
    int status = ggml_graph_compute(context->graph, &context->plan);
    if (status < 0)
      return status;
    total += status;
  }
  context->n += total;
#ifdef INLINED
  // With an array, -fstack-protector checks the stack before the return.
  char text[64];
  ggml_describe(text, total);
#endif
  return total;
}
#endif
#define compute _ZN13llama_context14process_ubatchERK12llama_ubatch
#endif
EXPORT int llama_decode(struct context *context, struct batch batch) {
  int status = compute(context, &batch);
  return status == 0 ? context->n : -1;
}
EXPORT int llama_process(struct context *context, int type, struct batch *batch) {
  int status = compute(context, batch);
  return status + type;
}
EXPORT void llama_set_warmup(struct context *context, bool warmup) { context->warmup = warmup; }
EXPORT int llama_sampler_sample(void *sampler, struct context *context, int index) {
  return op_add(sampler, (void *)context), index;
}

static const char *const GGML_OP_NAME[9] = {"NONE",    "ADD",  "MUL",       "MUL_MAT", "GLU",
                                            "ADD_MUL", "ZERO", "IM2COL_3D", "ONE"};
static const char *const GGML_OP_SYMBOL[9] = {"none", "x+y", "x*y", "X*Y", "glu", "y", "0", "im2col", "1"};
static const char *const GGML_UNARY_OP_NAME[3] = {"ABS", "SGN", "NEG"};
static const char *const GGML_GLU_OP_NAME[2] = {"REGLU", "GEGLU"};
EXPORT const char *ggml_op_name(unsigned op) { return GGML_OP_NAME[op]; }
EXPORT const char *ggml_op_symbol(unsigned op) { return GGML_OP_SYMBOL[op]; }
EXPORT const char *ggml_unary_op_name(unsigned op) { return GGML_UNARY_OP_NAME[op]; }
EXPORT const char *ggml_glu_op_name(unsigned op) { return GGML_GLU_OP_NAME[op]; }
