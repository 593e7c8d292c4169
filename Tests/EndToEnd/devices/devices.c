// A stand-in for two backends that this machine has no device for: it exports the functions that llama.cpp's
// OpenCL backend and Rockchip's fork call for each node, with their mangled names and signatures, and calls
// them from a backend's graph_compute over real tensors of a real libggml-base. What it cannot stand in for
// is the device.
//
//   devices LIBGGML-BASE GRAPHS
//
// Prints, as JSON, how many nodes it handed to which device.

#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct ggml_context;
struct ggml_tensor;
struct ggml_cgraph;
typedef struct ggml_backend *ggml_backend_t;

struct ggml_init_params {
  size_t mem_size;
  void *mem_buffer;
  bool no_alloc;
};

// The beginning of ggml_backend: guid, then some 15 function pointers. graph_compute is one of them; its
// place differs from version to version, so all of them are the same function.
struct ggml_backend {
  const uint8_t *guid;
  void *interface[24];
};

#define EXPORT __attribute__((visibility("default"), noinline))

EXPORT bool ggml_cl_compute_forward(ggml_backend_t backend, struct ggml_tensor *tensor) __asm__(
    "_Z23ggml_cl_compute_forwardP12ggml_backendP11ggml_tensor");
EXPORT bool ggml_rk_compute_forward(ggml_backend_t backend, struct ggml_tensor *tensor) __asm__(
    "_Z23ggml_rk_compute_forwardP12ggml_backendP11ggml_tensor");

static volatile int enqueued[2];

bool ggml_cl_compute_forward(ggml_backend_t backend, struct ggml_tensor *tensor) {
  enqueued[0] += backend != NULL && tensor != NULL;
  return true;
}

bool ggml_rk_compute_forward(ggml_backend_t backend, struct ggml_tensor *tensor) {
  enqueued[1] += backend != NULL && tensor != NULL;
  return true;
}

static int (*graph_n_nodes)(struct ggml_cgraph *);
static struct ggml_tensor *(*graph_node)(struct ggml_cgraph *, int);

static int compute_opencl(ggml_backend_t backend, struct ggml_cgraph *graph) {
  for (int i = 0; i < graph_n_nodes(graph); i++)
    ggml_cl_compute_forward(backend, graph_node(graph, i));
  return 0;
}

static int compute_rockchip(ggml_backend_t backend, struct ggml_cgraph *graph) {
  for (int i = 0; i < graph_n_nodes(graph); i++)
    ggml_rk_compute_forward(backend, graph_node(graph, i));
  return 0;
}

static void *library;

static void *find(const char *name) {
  void *function = dlsym(library, name);

  if (!function) {
    fprintf(stderr, "devices: %s\n", dlerror());
    exit(1);
  }
  return function;
}

int main(int argc, char **argv) {
  if (argc != 3 || !(library = dlopen(argv[1], RTLD_NOW | RTLD_GLOBAL))) {
    fprintf(stderr, "usage: devices LIBGGML-BASE GRAPHS (%s)\n", argc == 3 ? dlerror() : "two arguments");
    return 2;
  }
  struct ggml_context *(*init)(struct ggml_init_params) = find("ggml_init");
  struct ggml_tensor *(*new_tensor)(struct ggml_context *, int, int64_t, int64_t) =
      find("ggml_new_tensor_2d");
  struct ggml_tensor *(*mul_mat)(struct ggml_context *, struct ggml_tensor *, struct ggml_tensor *) =
      find("ggml_mul_mat");
  struct ggml_tensor *(*add)(struct ggml_context *, struct ggml_tensor *, struct ggml_tensor *) =
      find("ggml_add");
  struct ggml_tensor *(*set_name)(struct ggml_tensor *, const char *) = find("ggml_set_name");
  struct ggml_cgraph *(*new_graph)(struct ggml_context *) = find("ggml_new_graph");
  void (*expand)(struct ggml_cgraph *, struct ggml_tensor *) = find("ggml_build_forward_expand");
  int (*compute)(ggml_backend_t, struct ggml_cgraph *) = find("ggml_backend_graph_compute_async");
  graph_n_nodes = find("ggml_graph_n_nodes");
  graph_node = find("ggml_graph_node");

  // result = (weights x input) + bias: a MUL_MAT and an ADD.
  struct ggml_context *context = init((struct ggml_init_params){16u << 20, NULL, true});
  enum { F32 = 0 };
  struct ggml_tensor *weights = new_tensor(context, F32, 64, 32), *input = new_tensor(context, F32, 64, 1);
  struct ggml_tensor *bias = new_tensor(context, F32, 32, 1);
  struct ggml_tensor *product = set_name(mul_mat(context, weights, input), "product");
  struct ggml_tensor *result = set_name(add(context, product, bias), "result");
  struct ggml_cgraph *graph = new_graph(context);
  expand(graph, result);

  // GUIDs as the backends of llama.cpp have them: OpenCL's, and one that no table holds.
  static const uint8_t opencl_guid[16] = {0xde, 0xe0, 0x70, 0xa2, 0x73, 0x4e, 0x4d, 0xbc,
                                          0xb0, 0xc7, 0x4f, 0xd4, 0x6d, 0x4e, 0x90, 0xfe};
  static const uint8_t unknown_guid[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
  struct ggml_backend opencl = {.guid = opencl_guid}, rockchip = {.guid = unknown_guid};
  for (size_t i = 0; i < sizeof(opencl.interface) / sizeof(opencl.interface[0]); i++) {
    opencl.interface[i] = (void *)compute_opencl;
    rockchip.interface[i] = (void *)compute_rockchip;
  }
  const int graphs = atoi(argv[2]);
  for (int i = 0; i < graphs; i++) {
    compute(&opencl, graph);
    compute(&rockchip, graph);
  }
  printf("{\"graphs\": %d, \"nodes\": %d, \"opencl\": %d, \"rockchip\": %d}\n", 2 * graphs,
         graph_n_nodes(graph), enqueued[0], enqueued[1]);
  return 0;
}
