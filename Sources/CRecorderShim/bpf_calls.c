/* SPDX-License-Identifier: MIT
 * Calls of bpf() that libbpf 1.1 does not have, and trials of what the kernel can.
 * BPF_LINK_CREATE with many uprobes: the kernel's header of Debian 12 (6.1) does not
 * have it yet, so the part of union bpf_attr that it takes is written down here; it is
 * part of the kernel's stable interface. */
#include "recorder_shim.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Swift cannot import a function that takes a va_list on aarch64. */
void shim_quiet_libbpf(void) { libbpf_set_print(NULL); }

const int shim_attach_uprobe_multi = 48;
#define LINK_FLAG_RETURN 1u

struct link_create_uprobes {
  uint32_t program;
  uint32_t target;
  uint32_t attach_type;
  uint32_t link_flags;
  uint64_t path;
  uint64_t offsets;
  uint64_t reference_counters;
  uint64_t cookies;
  uint32_t count;
  uint32_t flags;
  uint32_t pid;
  uint32_t reserved;
};

int shim_link_uprobes(int program, const char *path, const uint64_t *offsets, const uint64_t *cookies,
                      uint32_t count, int pid, bool at_return) {
  struct link_create_uprobes create = {
      .program = (uint32_t)program,
      .attach_type = (uint32_t)shim_attach_uprobe_multi,
      .path = (uintptr_t)path,
      .offsets = (uintptr_t)offsets,
      .cookies = (uintptr_t)cookies,
      .count = count,
      .flags = at_return ? LINK_FLAG_RETURN : 0,
      .pid = (uint32_t)pid,
  };

  return (int)syscall(SYS_bpf, BPF_LINK_CREATE, &create, sizeof(create));
}

/* A program of a type. A descriptor, or -1. */
static int load(uint32_t type, uint32_t attach_type, const struct bpf_insn *instructions, uint32_t count) {
  static const char licence[] = "GPL";
  union bpf_attr attributes;

  memset(&attributes, 0, sizeof(attributes));
  attributes.prog_type = type;
  attributes.insns = (uintptr_t)instructions;
  attributes.insn_cnt = count;
  attributes.license = (uintptr_t)licence;
  attributes.expected_attach_type = attach_type;
  /* Before 5.11 the memory of BPF counts as locked by its user, of which there are 64 KiB by default; that of
   * programs just removed still counts. Only for now: the command inherits this process's limits. */
  struct rlimit limit, unlimited = {RLIM_INFINITY, RLIM_INFINITY};
  bool raised = !getrlimit(RLIMIT_MEMLOCK, &limit) && !setrlimit(RLIMIT_MEMLOCK, &unlimited);
  int program = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof(attributes));
  int error = errno;
  if (raised)
    setrlimit(RLIMIT_MEMLOCK, &limit);
  errno = error;
  return program;
}

/* `return 0;` of a type. A descriptor, or -1. */
static int load_trivial(uint32_t type, uint32_t attach_type) {
  static const struct bpf_insn instructions[] = {
      {.code = BPF_ALU64 | BPF_MOV | BPF_K}, /* r0 = 0 */
      {.code = BPF_JMP | BPF_EXIT},
  };

  return load(type, attach_type, instructions, sizeof(instructions) / sizeof(instructions[0]));
}

/* A kernel that knows these links gets as far as the path, which is no regular file; one
 * that does not refuses the attach type. Before a correction of 2024 (in 6.10, and in later
 * 6.6s) `pid` meant a thread, and hits of a process's other threads were dropped; those
 * kernels do not refuse a pid of -1, as libbpf finds out, too. */
bool shim_has_uprobe_multi(void) {
  int program = load_trivial(BPF_PROG_TYPE_KPROBE, (uint32_t)shim_attach_uprobe_multi);
  uint64_t offset = 0;

  if (program < 0)
    return false;
  int link = shim_link_uprobes(program, "/", &offset, NULL, 1, 0, false);
  bool known = link < 0 && errno == EBADF;
  if (link >= 0)
    close(link);
  link = shim_link_uprobes(program, "/", &offset, NULL, 1, -1, false);
  bool takes_processes = link < 0 && errno == EINVAL;
  if (link >= 0)
    close(link);
  close(program);
  return known && takes_processes;
}

int shim_try_bpf(void) {
  int program = load_trivial(BPF_PROG_TYPE_KPROBE, 0);

  if (program < 0)
    return errno;
  close(program);
  return 0;
}

/* The verifier refuses the call of a helper that lockdown takes away. */
int shim_try_kernel_read(void) {
  static const struct bpf_insn instructions[] = {
      {.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = BPF_REG_1, .src_reg = BPF_REG_10},
      {.code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = BPF_REG_1, .imm = -8}, /* into the stack */
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2, .imm = 8},
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_3}, /* from nowhere: it never runs */
      {.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_probe_read_kernel},
      {.code = BPF_ALU64 | BPF_MOV | BPF_K},
      {.code = BPF_JMP | BPF_EXIT},
  };
  int program = load(BPF_PROG_TYPE_KPROBE, 0, instructions, sizeof(instructions) / sizeof(instructions[0]));

  if (program < 0)
    return errno;
  close(program);
  return 0;
}

int shim_try_tracepoint(const char *name) {
  int program = load_trivial(BPF_PROG_TYPE_RAW_TRACEPOINT, 0);
  union bpf_attr open;

  if (program < 0)
    return errno;
  memset(&open, 0, sizeof(open));
  open.raw_tracepoint.name = (uintptr_t)name;
  open.raw_tracepoint.prog_fd = (uint32_t)program;
  int link = (int)syscall(SYS_bpf, BPF_RAW_TRACEPOINT_OPEN, &open, sizeof(open));
  int error = link < 0 ? errno : 0;
  if (link >= 0)
    close(link);
  close(program);
  return error;
}
