/* SPDX-License-Identifier: MIT
 * The probe programs of pi-record, one header per concern. A program knows "a
 * function was entered, here are its arguments, copy these bytes"; which function
 * in which file is the recorder's plan, what the bytes mean is the analyzer's.
 *
 * Compile with -mcpu=v2: with clang's default the 5.10 kernels of many boards
 * refuse the object ("BPF_STX uses reserved fields").
 */
#include "follow.bpf.h"
#include "token.bpf.h"
#include "graph.bpf.h"
#include "operator.bpf.h"

/* bpf_probe_read_user and bpf_ktime_get_ns are for GPL-compatible programs only;
 * the kernel accepts this double licence. */
char bpf_license[] SEC("license") = "Dual MIT/GPL";
