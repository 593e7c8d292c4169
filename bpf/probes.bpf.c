/* SPDX-License-Identifier: MIT
 * The probe programs of pi-record, one header per concern. A program knows "a
 * function was entered, here are its arguments, copy these bytes"; which function
 * in which file is the recorder's plan, what the bytes mean is the analyzer's.
 *
 * Compiled twice: -mcpu=v3 for atomic numbering, and -mcpu=v2 for kernels before 5.12,
 * which refuse what v3 brings ("BPF_STX uses reserved fields").
 */
#include "calibrate.bpf.h"
#include "device.bpf.h"
#include "follow.bpf.h"
#include "graph.bpf.h"
#include "operator.bpf.h"
#include "sched.bpf.h"
#include "token.bpf.h"

/* One program for each role, attached one by one: every kernel can. */
#define ENTRY(role)                                                                                          \
  SEC("uprobe") int role(struct pt_regs *ctx) { return on_##role(ctx); }
#define RETURN(role)                                                                                         \
  SEC("uretprobe") int role(struct pt_regs *ctx) { return on_##role(ctx); }
PROBE_ROLES(ENTRY, RETURN)

/* One program for all of them, told apart by a cookie, for links that hold many probes
 * (Linux 6.6): attaching and removing each probe by itself waits for the whole machine
 * each time, a tenth of a second where all cores are busy. */
#define CASE(role)                                                                                           \
  case PROBE_##role:                                                                                         \
    return on_##role(ctx);
#define NO_CASE(role)

SEC("uprobe")
int entries(struct pt_regs *ctx) {
  /* Of returns, too: those of C++ functions are probed at an instruction. */
  switch (bpf_get_attach_cookie(ctx)) { PROBE_ROLES(CASE, CASE) }
  return 0;
}

SEC("uretprobe")
int returns(struct pt_regs *ctx) {
  switch (bpf_get_attach_cookie(ctx)) { PROBE_ROLES(NO_CASE, CASE) }
  return 0;
}

/* bpf_probe_read_user and bpf_ktime_get_ns are for GPL-compatible programs only;
 * the kernel accepts this double licence. */
char bpf_license[] SEC("license") = "Dual MIT/GPL";
