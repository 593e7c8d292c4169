/* counting_shim.c: what a llama.cpp process really executed, as ground truth for the end-to-end tests.
 *
 * Preloaded (LD_PRELOAD) into an unmodified target it stands in front of functions that the target's
 * libraries call through their PLT, forwards every call, and at exit writes to $COUNTING_SHIM_OUTPUT one
 * JSON object a line:
 *
 *   {"kind":"graph","graph":0,…,"nodes":[…],"others":[…]}      each distinct graph, once
 *   {"kind":"step","step":0,"function":"llama_process",…}      each call that asks for logits; n_tokens of
 *                                                              the old token API, -1 of the new one
 *   {"kind":"ubatch","step":0,"n_tokens":14}                    each micro-batch of a step
 *   {"kind":"compute","step":0,"graph":0,…,"threads":[…]}      each graph computed; per thread the nodes
 *   {"kind":"experts","step":0,"graph":0,"node":17,…}          the ids of each MUL_MAT_ID, read as it starts
 *
 * Functions that a target does not have (the micro-batches and the fused operator of an early 2025 one) are
 * never called, and their lines are missing.
 *
 * It shares no code and no header with the recorder: the structures below are declared again, and checked
 * against ggml's own accessors as they are used, so that an error here does not repeat one there.
 */
#define SHIM "counting_shim"
#include "shim.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ------------------------------------------------------------ ggml's data */

struct tensor {
  int32_t type;
  void *buffer;
  int64_t ne[4];
  size_t nb[4];
  int32_t op;
  int32_t op_params[16];
  int32_t flags;
  struct tensor *src[10];
  struct tensor *view_src;
  size_t view_offs;
  void *data;
  char name[64];
};

struct cgraph {
  int32_t size;
  int32_t n_nodes;
  int32_t n_leafs;
  struct tensor **nodes;
};

struct cplan {
  size_t work_size;
  uint8_t *work_data;
  int32_t n_threads;
};

struct compute_params {
  int32_t ith;
  int32_t nth;
};

struct ubatch {
  uint32_t equal_seqs;
  uint32_t n_tokens;
};

struct batch { /* llama_batch, passed by value */
  int32_t n_tokens;
  void *pointers[6];
};

/* ---------------------------------------------------------------- helpers */

/* Accessors of ggml that are only called, never stood in front of. */
const char *ggml_op_name(int op);
const char *ggml_op_desc(const struct tensor *t);
const char *ggml_type_name(int type);
const char *ggml_get_name(const struct tensor *t);
int ggml_graph_n_nodes(struct cgraph *graph);
struct tensor *ggml_graph_node(struct cgraph *graph, int i);

struct bytes {
  char *data;
  size_t used, room;
};

static void reserve(struct bytes *b, size_t more) {
  if (b->used + more <= b->room)
    return;
  b->room = (b->used + more) * 2;
  b->data = realloc(b->data, b->room);
  if (!b->data)
    fail("out of memory");
}

static void put(struct bytes *b, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int wanted = vsnprintf(NULL, 0, format, arguments);
  va_end(arguments);
  reserve(b, (size_t)wanted + 1);
  va_start(arguments, format);
  vsnprintf(b->data + b->used, (size_t)wanted + 1, format, arguments);
  va_end(arguments);
  b->used += (size_t)wanted;
}

static void put_string(struct bytes *b, const char *text, size_t limit) {
  put(b, "\"");
  for (size_t i = 0; i < limit && text[i]; i++) {
    unsigned char c = (unsigned char)text[i];
    if (c == '"' || c == '\\' || c < 32)
      put(b, "\\u%04x", c);
    else
      put(b, "%c", c);
  }
  put(b, "\"");
}

/* ------------------------------------------------------------------ state */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct bytes output;   /* finished lines */
static int current_step = -1; /* -1: outside of any */
static int steps;
static uint64_t graph_hash[65536];
static int graph_count;

/* One computation of a graph. Workers belong to the one in progress: ggml computes one graph at a time in
 * a context, and the tests use one context. */
#define THREADS 64
static struct {
  struct cgraph *graph;
  int number;
  struct {
    struct bytes nodes;
    int cursor, barriers;
    pid_t tid;
  } thread[THREADS];
} computing;
static __thread int own_ith = -1;

static void put_tensor(struct bytes *b, const struct tensor *t) {
  if (REAL(ggml_get_name)(t) != t->name)
    fail("ggml_tensor.name is not where this shim expects it");
  put(b, "{\"address\":\"%p\",\"name\":", (const void *)t);
  put_string(b, t->name, sizeof t->name);
  put(b, ",\"op\":\"%s\",\"description\":\"%s\",\"type\":\"%s\"", REAL(ggml_op_name)(t->op),
      REAL(ggml_op_desc)(t), REAL(ggml_type_name)(t->type));
  put(b, ",\"flags\":%d,\"shape\":[%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 "]", t->flags, t->ne[0],
      t->ne[1], t->ne[2], t->ne[3]);
  put(b, ",\"view_source\":");
  put(b, t->view_src ? "\"%p\"" : "null", (const void *)t->view_src);
  put(b, ",\"sources\":[");
  int last = 9;
  while (last >= 0 && !t->src[last])
    last--;
  for (int i = 0; i <= last; i++) {
    put(b, i ? "," : "");
    put(b, t->src[i] ? "\"%p\"" : "null", (const void *)t->src[i]);
  }
  put(b, "]}");
}

static bool is_node(const struct cgraph *graph, const struct tensor *t) {
  for (int i = 0; i < graph->n_nodes; i++)
    if (graph->nodes[i] == t)
      return true;
  return false;
}

static void put_other(struct bytes *b, const struct cgraph *graph, const struct tensor *t,
                      const struct tensor **seen, int *seen_count) {
  if (!t || is_node(graph, t))
    return;
  for (int i = 0; i < *seen_count; i++)
    if (seen[i] == t)
      return;
  if (*seen_count)
    put(b, ",");
  seen[(*seen_count)++] = t;
  put_tensor(b, t);
}

static int graph_number(struct cgraph *graph) {
  struct bytes text = {0};
  if (REAL(ggml_graph_n_nodes)(graph) != graph->n_nodes ||
      (graph->n_nodes && REAL(ggml_graph_node)(graph, 0) != graph->nodes[0]))
    fail("ggml_cgraph.nodes is not where this shim expects it");
  put(&text, "\"address\":\"%p\",\"nodes\":[", (void *)graph);
  for (int i = 0; i < graph->n_nodes; i++) {
    put(&text, i ? "," : "");
    put_tensor(&text, graph->nodes[i]);
  }
  put(&text, "],\"others\":[");
  const struct tensor **seen = calloc((size_t)graph->n_nodes * 11 + 1, sizeof *seen);
  int seen_count = 0;
  for (int i = 0; i < graph->n_nodes; i++) {
    for (int s = 0; s < 10; s++)
      put_other(&text, graph, graph->nodes[i]->src[s], seen, &seen_count);
    put_other(&text, graph, graph->nodes[i]->view_src, seen, &seen_count);
  }
  free(seen);
  put(&text, "]");

  uint64_t hash = 1469598103934665603ull; /* FNV-1a over everything that the line says */
  for (size_t i = 0; i < text.used; i++)
    hash = (hash ^ (unsigned char)text.data[i]) * 1099511628211ull;
  int number = 0;
  while (number < graph_count && graph_hash[number] != hash)
    number++;
  if (number == graph_count) {
    if (graph_count == 65536)
      fail("more than 65536 distinct graphs");
    graph_hash[graph_count++] = hash;
    put(&output, "{\"kind\":\"graph\",\"graph\":%d,", number);
    put(&output, "%s}\n", text.data);
  }
  free(text.data);
  return number;
}

/* ----------------------------------------------- functions stood in front of */

/* A call that asks for logits. Nested calls (llama_decode inside llama_process) count once. */
static int begin_step(void) {
  pthread_mutex_lock(&lock);
  int outer = current_step;
  if (outer < 0)
    current_step = steps++;
  pthread_mutex_unlock(&lock);
  return outer;
}

/* `n_tokens`: what the caller asked for, -1 where the function's arguments do not tell. */
static void end_step(int outer, const char *function, int type, int n_tokens, int result) {
  if (outer >= 0)
    return;
  pthread_mutex_lock(&lock);
  put(&output,
      "{\"kind\":\"step\",\"step\":%d,\"function\":\"%s\",\"type\":%d,\"n_tokens\":%d,\"result\":%d}\n",
      current_step, function, type, n_tokens, result);
  current_step = -1;
  pthread_mutex_unlock(&lock);
}

EXPORT int32_t llama_process(void *context, int type, void *batch) {
  int outer = begin_step();
  int32_t result = REAL(llama_process)(context, type, batch);
  end_step(outer, "llama_process", type, -1, result);
  return result;
}

EXPORT int32_t llama_decode(void *context, struct batch batch) {
  int outer = begin_step();
  int32_t result = REAL(llama_decode)(context, batch);
  end_step(outer, "llama_decode", 0, batch.n_tokens, result);
  return result;
}

EXPORT int32_t llama_encode(void *context, struct batch batch) {
  int outer = begin_step();
  int32_t result = REAL(llama_encode)(context, batch);
  end_step(outer, "llama_encode", 0, batch.n_tokens, result);
  return result;
}

#define process_ubatch                                                                                       \
  _ZN13llama_context14process_ubatchERK12llama_ubatch14llm_graph_typeP22llama_memory_context_iR11ggml_status
EXPORT void *process_ubatch(void *self, const struct ubatch *ubatch, int graph_type, void *memory,
                            int *status);
#define REAL_NAMED(name) REAL(name) /* expands the name before REAL makes a string of it */

EXPORT void *process_ubatch(void *self, const struct ubatch *ubatch, int graph_type, void *memory,
                            int *status) {
  pthread_mutex_lock(&lock);
  put(&output, "{\"kind\":\"ubatch\",\"step\":%d,\"n_tokens\":%u}\n", current_step, ubatch->n_tokens);
  pthread_mutex_unlock(&lock);
  return REAL_NAMED(process_ubatch)(self, ubatch, graph_type, memory, status);
}

EXPORT int ggml_graph_compute(struct cgraph *graph, struct cplan *plan) {
  pthread_mutex_lock(&lock);
  if (computing.graph)
    fail("two graphs are computed at once; this shim follows one context only");
  computing.graph = graph;
  computing.number = graph_number(graph);
  for (int i = 0; i < THREADS; i++) {
    computing.thread[i].nodes.used = 0;
    computing.thread[i].cursor = computing.thread[i].barriers = computing.thread[i].tid = 0;
  }
  pthread_mutex_unlock(&lock);

  int result = REAL(ggml_graph_compute)(graph, plan);

  pthread_mutex_lock(&lock);
  put(&output, "{\"kind\":\"compute\",\"step\":%d,\"graph\":%d,\"n_threads\":%d,\"result\":%d,\"threads\":[",
      current_step, computing.number, plan->n_threads, result);
  for (int i = 0, written = 0; i < THREADS; i++) {
    if (!computing.thread[i].tid)
      continue;
    put(&output, "%s{\"ith\":%d,\"tid\":%d,\"barriers\":%d,\"nodes\":[", written++ ? "," : "", i,
        (int)computing.thread[i].tid, computing.thread[i].barriers);
    reserve(&computing.thread[i].nodes, 1);
    computing.thread[i].nodes.data[computing.thread[i].nodes.used] = 0;
    put(&output, "%s]}", computing.thread[i].nodes.data);
  }
  put(&output, "]}\n");
  computing.graph = NULL;
  pthread_mutex_unlock(&lock);
  return result;
}

/* Notes that a thread starts `first`, or the fused pair of `first` and `last`. Returns the node's index. */
static int note_operator(const struct compute_params *params, const struct tensor *first,
                         const struct tensor *last) {
  if (params->ith < 0 || params->ith >= THREADS)
    fail("thread number %d is out of range", params->ith);
  own_ith = params->ith;
  struct cgraph *graph = computing.graph;
  if (!graph)
    return -1; /* not inside ggml_graph_compute */
  __typeof__(&computing.thread[0]) thread = &computing.thread[params->ith];
  thread->tid = (pid_t)syscall(SYS_gettid);
  int index = thread->cursor;
  while (index < graph->n_nodes && graph->nodes[index] != first)
    index++;
  if (index == graph->n_nodes)
    fail("%s is computed, but not in this graph or not in order", first->name);
  put(&thread->nodes, thread->nodes.used ? "," : "");
  if (first == last) {
    put(&thread->nodes, "%d", index);
    thread->cursor = index + 1;
  } else {
    int end = index + 1;
    while (end < graph->n_nodes && graph->nodes[end] != last)
      end++;
    if (end == graph->n_nodes)
      fail("%s is fused, but not in this graph", last->name);
    put(&thread->nodes, "[%d,%d]", index, end);
    thread->cursor = end + 1;
  }
  return index;
}

static void note_experts(const struct tensor *node, int index) {
  const struct tensor *ids = node->src[2];
  pthread_mutex_lock(&lock);
  put(&output, "{\"kind\":\"experts\",\"step\":%d,\"graph\":%d,\"node\":%d,\"ids\":", current_step,
      computing.number, index);
  put_string(&output, ids->name, sizeof ids->name);
  put(&output, ",\"rows\":[");
  for (int64_t token = 0; token < ids->ne[1]; token++) {
    put(&output, token ? ",[" : "[");
    for (int64_t slot = 0; slot < ids->ne[0]; slot++) {
      const char *value = (const char *)ids->data + (size_t)token * ids->nb[1] + (size_t)slot * ids->nb[0];
      put(&output, "%s%d", slot ? "," : "", *(const int32_t *)value);
    }
    put(&output, "]");
  }
  put(&output, "]}\n");
  pthread_mutex_unlock(&lock);
}

EXPORT bool ggml_cpu_extra_compute_forward(struct compute_params *params, struct tensor *node) {
  int index = note_operator(params, node, node);
  /* Before the target's own function: for repacked weights that one does the whole multiplication. */
  if (params->ith == 0 && index >= 0 && !strcmp(REAL(ggml_op_name)(node->op), "MUL_MAT_ID"))
    note_experts(node, index);
  return REAL(ggml_cpu_extra_compute_forward)(params, node);
}

EXPORT void ggml_compute_forward_rms_norm_mul_fused(const struct compute_params *params, struct tensor *norm,
                                                    struct tensor *product) {
  note_operator(params, norm, product);
  REAL(ggml_compute_forward_rms_norm_mul_fused)(params, norm, product);
}

EXPORT void ggml_barrier(void *threadpool) {
  if (own_ith >= 0)
    computing.thread[own_ith].barriers++;
  REAL(ggml_barrier)(threadpool);
}

/* Who asks a library for a function by name (ctypes does) would get past this shim: the token functions are
 * given instead. Any other question goes on to glibc as a jump, because RTLD_NEXT and RTLD_DEFAULT depend on
 * the address that dlsym is called from. */
EXPORT void *dlsym(void *handle, const char *symbol) {
  void *own = !strcmp(symbol, "llama_process")  ? (void *)llama_process
              : !strcmp(symbol, "llama_decode") ? (void *)llama_decode
              : !strcmp(symbol, "llama_encode") ? (void *)llama_encode
                                                : NULL;
  if (own && handle != RTLD_NEXT && real_dlsym()(handle, symbol))
    return own;
  __attribute__((musttail)) return real_dlsym()(handle, symbol);
}

__attribute__((destructor)) static void write_output(void) {
  const char *path = getenv("COUNTING_SHIM_OUTPUT");
  if (!path || !output.used)
    return; /* nothing was computed here: a shell, a launcher */
  FILE *file = fopen(path, "w");
  if (!file || fwrite(output.data, 1, output.used, file) != output.used || fclose(file))
    fprintf(stderr, "counting_shim: cannot write %s\n", path);
}
