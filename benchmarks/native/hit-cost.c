/* SPDX-License-Identifier: MIT
 * hit-cost: what a uprobe costs by the instruction that it replaces, with an empty BPF program (`return 0`).
 *
 *   hit-cost [ROUNDS]     default 9
 *
 * Calls a function in batches, with the probe in and out in turn, and takes the CPU time of the thread: the
 * difference of two neighbouring batches is the cost. One line for each class:
 *
 *   CLASS LINK MEDIAN_NS [COST_NS of each round...]
 *
 * LINK is `multi` (one link for many probes, Linux 6.6, what pi-record uses there) or `event` (a perf event
 * each). Needs root. Only system calls: no library that might add to what is measured. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { TRACE_UPROBE_MULTI = 48, UPROBE_MULTI_RETURN = 1, CALLS = 20000, MAX_ROUNDS = 101 };
#define SELF "/proc/self/exe"

#if defined(__x86_64__)
__asm__(".text\n.p2align 6\n"
        "f_nop5: .byte 0x0f,0x1f,0x44,0x00,0x00\n ret\n.p2align 6\n"
        "f_push: push %rbx\n pop %rbx\n ret\n.p2align 6\n"
        "f_jump: jmp 1f\n1: ret\n.p2align 6\n"
        "f_branch: je 1f\n1: ret\n.p2align 6\n"
        "f_leaf: ret\n.p2align 6\n"
        "f_call: call f_leaf\n ret\n.p2align 6\n"
        "f_mov: mov %rdi, %rax\n ret\n.p2align 6\n"
        "f_endbr: .byte 0xf3,0x0f,0x1e,0xfa\n ret\n");
void f_nop5(void), f_push(void), f_jump(void), f_branch(void), f_leaf(void), f_call(void), f_mov(void),
    f_endbr(void);
static const struct {
  const char *name;
  void (*function)(void);
  int is_return;
} classes[] = {{"nop5", f_nop5, 0},  {"push", f_push, 0},     {"jmp", f_jump, 0},
               {"jcc", f_branch, 0}, {"call", f_call, 0},     {"ret", f_leaf, 0},
               {"mov", f_mov, 0},    {"endbr64", f_endbr, 0}, {"push+return", f_push, 1}};
#else
__asm__(".text\n.p2align 6\n"
        "f_nop: nop\n ret\n.p2align 6\n"
        "f_store: stp x29, x30, [sp, #-16]!\n ldp x29, x30, [sp], #16\n ret\n.p2align 6\n"
        "f_branch: b 1f\n1: ret\n.p2align 6\n"
        "f_ret: ret\n.p2align 6\n"
        "f_mov: mov x9, x0\n ret\n");
void f_nop(void), f_store(void), f_branch(void), f_ret(void), f_mov(void);
static const struct {
  const char *name;
  void (*function)(void);
  int is_return;
} classes[] = {{"nop", f_nop, 0}, {"stp", f_store, 0}, {"b", f_branch, 0},
               {"ret", f_ret, 0}, {"mov", f_mov, 0},   {"stp+return", f_store, 1}};
#endif
enum { CLASSES = sizeof classes / sizeof *classes };

static void fail(const char *what) {
  perror(what);
  exit(1);
}

/* Where in this file the function is, by the mapping that holds it. */
static uint64_t file_offset(void (*function)(void)) {
  uint64_t address = (uint64_t)(uintptr_t)function, start, end, offset;
  char line[512], mode[5];
  FILE *maps = fopen("/proc/self/maps", "r");
  while (maps && fgets(line, sizeof line, maps))
    if (sscanf(line, "%lx-%lx %4s %lx", &start, &end, mode, &offset) == 4 && address >= start &&
        address < end) {
      fclose(maps);
      return address - start + offset;
    }
  fail("/proc/self/maps");
  return 0;
}

static int empty_program(int attach_type) {
  /* r0 = 0; exit */
  struct bpf_insn code[] = {{.code = 0xb7}, {.code = 0x95}};
  union bpf_attr attr;
  memset(&attr, 0, sizeof attr);
  attr.prog_type = BPF_PROG_TYPE_KPROBE;
  attr.insns = (uintptr_t)code;
  attr.insn_cnt = 2;
  attr.license = (uintptr_t) "Dual MIT/GPL";
  attr.expected_attach_type = attach_type;
  return syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof attr);
}

/* BPF_LINK_CREATE as since Linux 6.6; the C library's headers may be older. */
static int attach_multi(int program, uint64_t offset, int is_return) {
  struct {
    uint32_t program, target, attach_type, flags;
    uint64_t path, offsets, reference_counters, cookies;
    uint32_t count, uprobe_flags, pid, padding[5];
  } attr = {.program = program,
            .attach_type = TRACE_UPROBE_MULTI,
            .path = (uintptr_t)SELF,
            .offsets = (uintptr_t)&offset,
            .count = 1,
            .uprobe_flags = is_return ? UPROBE_MULTI_RETURN : 0,
            .pid = getpid()};
  return syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof attr);
}

static int read_number(const char *path, const char *format) {
  int number = -1;
  FILE *file = fopen(path, "r");
  if (!file || fscanf(file, format, &number) != 1)
    fail(path);
  fclose(file);
  return number;
}

static int attach_event(int program, uint64_t offset, int is_return) {
  struct perf_event_attr attr;
  memset(&attr, 0, sizeof attr);
  attr.size = sizeof attr;
  attr.type = read_number("/sys/bus/event_source/devices/uprobe/type", "%d");
  if (is_return)
    attr.config = 1ull << read_number("/sys/bus/event_source/devices/uprobe/format/retprobe", "config:%d");
  attr.uprobe_path = (uintptr_t)SELF;
  attr.probe_offset = offset;
  int event = syscall(SYS_perf_event_open, &attr, getpid(), -1, -1, PERF_FLAG_FD_CLOEXEC);
  if (event >= 0 && (ioctl(event, PERF_EVENT_IOC_SET_BPF, program) || ioctl(event, PERF_EVENT_IOC_ENABLE, 0)))
    fail("a BPF program on a perf event");
  return event;
}

static double batch(void (*function)(void), int calls) {
  struct timespec begin, end;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
  for (int i = 0; i < calls; i++)
    function();
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
  return ((end.tv_sec - begin.tv_sec) * 1e9 + (end.tv_nsec - begin.tv_nsec)) / calls;
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

int main(int argc, char **argv) {
  static double cost[2 * CLASSES][MAX_ROUNDS];
  int rounds = argc > 1 ? atoi(argv[1]) : 9;
  if (rounds < 1 || rounds > MAX_ROUNDS)
    rounds = 9;
  int multi = empty_program(TRACE_UPROBE_MULTI), event = empty_program(0);
  if (event < 0)
    fail("cannot load a BPF program (root?)");
  for (int round = 0; round < rounds; round++)
    for (int row = 0; row < 2 * CLASSES; row++) {
      int which = row / 2, is_multi = row % 2 == 0;
      uint64_t offset = file_offset(classes[which].function);
      if (is_multi && multi < 0)
        continue;
      double off = batch(classes[which].function, CALLS);
      int link = is_multi ? attach_multi(multi, offset, classes[which].is_return)
                          : attach_event(event, offset, classes[which].is_return);
      if (link < 0)
        fail(is_multi ? "a uprobe_multi link" : "a uprobe event");
      batch(classes[which].function, CALLS / 10);
      cost[row][round] = batch(classes[which].function, CALLS) - off;
      close(link);
    }
  for (int row = 0; row < 2 * CLASSES; row++) {
    if (row % 2 == 0 && multi < 0)
      continue;
    double sorted[MAX_ROUNDS];
    memcpy(sorted, cost[row], sizeof sorted);
    qsort(sorted, rounds, sizeof *sorted, ascending);
    printf("%s %s %.1f", classes[row / 2].name, row % 2 == 0 ? "multi" : "event", sorted[rounds / 2]);
    for (int round = 0; round < rounds; round++)
      printf(" %.1f", cost[row][round]);
    printf("\n");
  }
}
