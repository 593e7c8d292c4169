/* SPDX-License-Identifier: MIT
 * Operators that are handed to a device: GPU, NPU. What is seen is the call that
 * encodes or enqueues them, on the thread that makes it. */
#ifndef DEVICE_BPF_H
#define DEVICE_BPF_H

#include "record.bpf.h"

/* ggml_cl_compute_forward(backend, tensor) */
static __always_inline int on_enqueue_opencl(struct pt_regs *ctx) {
  return emit(PI_RECORD_ENQUEUE_BEGIN, PI_DEVICE_OPENCL, PI_TENSOR_REF(PT_REGS_PARM2(ctx)));
}

static __always_inline int on_enqueue_opencl_return(struct pt_regs *ctx) {
  return emit(PI_RECORD_ENQUEUE_END, PI_DEVICE_OPENCL, (pi_u8)PT_REGS_RC(ctx));
}

/* ggml_rk_compute_forward(backend, tensor) */
static __always_inline int on_enqueue_rockchip(struct pt_regs *ctx) {
  return emit(PI_RECORD_ENQUEUE_BEGIN, PI_DEVICE_ROCKCHIP, PI_TENSOR_REF(PT_REGS_PARM2(ctx)));
}

static __always_inline int on_enqueue_rockchip_return(struct pt_regs *ctx) {
  return emit(PI_RECORD_ENQUEUE_END, PI_DEVICE_ROCKCHIP, (pi_u8)PT_REGS_RC(ctx));
}

/* ggml_vk_build_graph(context, cgraph, int node_index, …) */
static __always_inline int on_enqueue_vulkan(struct pt_regs *ctx) {
  if (!is_followed(bpf_get_current_pid_tgid()))
    return 0;
  pi_u64 nodes = READ_USER(pi_u64, PT_REGS_PARM2(ctx) + state.layout.cgraph_nodes);
  pi_u64 node = READ_USER(pi_u64, nodes + (pi_s64)(pi_s32)PT_REGS_PARM3(ctx) * sizeof(pi_u64));

  return emit(PI_RECORD_ENQUEUE_BEGIN, PI_DEVICE_VULKAN, PI_TENSOR_REF(node));
}

static __always_inline int on_enqueue_vulkan_return(struct pt_regs *ctx) {
  return emit(PI_RECORD_ENQUEUE_END, PI_DEVICE_VULKAN, (pi_u8)PT_REGS_RC(ctx));
}

#endif
