"""A program that computes graphs of real ggml tensors with any names, and no token step.

    named.py LIBGGML-BASE LIBGGML-CPU GRAPHS NAME...
"""

import ctypes
import sys


class InitParameters(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("buffer", ctypes.c_void_p), ("no_alloc", ctypes.c_bool)]


base, cpu = (ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL) for path in sys.argv[1:3])
for function in (base.ggml_init, base.ggml_new_tensor_1d, base.ggml_add, base.ggml_new_graph):
    function.restype = ctypes.c_void_p
F32 = 0
context = ctypes.c_void_p(base.ggml_init(InitParameters(64 << 20, None, False)))
value = ctypes.c_void_p(base.ggml_new_tensor_1d(context, F32, ctypes.c_int64(4096)))
graph = ctypes.c_void_p(base.ggml_new_graph(context))
result = value
for name in sys.argv[4:]:
    result = ctypes.c_void_p(base.ggml_add(context, result, value))
    base.ggml_set_name(result, name.encode())
base.ggml_build_forward_expand(graph, result)
for _ in range(int(sys.argv[3])):
    cpu.ggml_graph_compute_with_ctx(context, graph, 1)
