/* SPDX-License-Identifier: MIT
 * Functions to probe: one instruction of each class that the kernel treats in its own way. */
#define _GNU_SOURCE
#include "calibration.h"

#include <time.h>

#define STRING_(text) #text
#define STRING(text) STRING_(text)
/* `before` stands in front of the probed instruction. */
#define PROBED(name, before, instruction, behind)                                                            \
  __asm__(".text\n.p2align 6\n.local probed_" STRING(name) "\nprobed_" STRING(                               \
      name) ": " before "\n.local at_" STRING(name) "\nat_" STRING(name) ": " instruction "\n" behind        \
                                                                         "\n ret\n");                        \
  void probed_##name(void);                                                                                  \
  extern const char at_##name[];

#if defined(__x86_64__)
PROBED(nop5, "", ".byte 0x0f,0x1f,0x44,0x00,0x00", "")
PROBED(nop, "", "nop", "")
PROBED(jump, "", "jmp 1f", "1:")
PROBED(push, "", "push %rbx", "pop %rbx")
PROBED(call, "", "call probed_leaf", "")
PROBED(singleStepped, "", "mov %rdi, %rax", "")
__asm__(".text\n.local probed_leaf\nprobed_leaf: ret\n");
#define CLASSES(EACH) EACH(nop5) EACH(nop) EACH(jump) EACH(push) EACH(call) EACH(singleStepped)
#else
PROBED(nop, "", "nop", "")
PROBED(jump, "", "b 1f", "1:")
PROBED(call, "stp x29, x30, [sp, #-16]!", "bl probed_leaf", "ldp x29, x30, [sp], #16")
PROBED(simulated, "", "adr x9, .", "")
PROBED(singleStepped, "", "mov x9, x0", "")
__asm__(".text\n.local probed_leaf\nprobed_leaf: ret\n");
#define CLASSES(EACH) EACH(nop) EACH(jump) EACH(call) EACH(simulated) EACH(singleStepped)
#endif

#define ENTRY(name) {#name, probed_##name, at_##name},
static const struct calibration_probed probed[] = {CLASSES(ENTRY)};

uint32_t calibration_probed_count(void) { return sizeof(probed) / sizeof(probed[0]); }
struct calibration_probed calibration_probed(uint32_t index) {
  return probed[index];
}

static uint64_t clock_ns(clockid_t clock) {
  struct timespec now;

  clock_gettime(clock, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t calibration_call(void (*function)(void), uint32_t calls) {
  uint64_t begin = clock_ns(CLOCK_THREAD_CPUTIME_ID);

  for (uint32_t i = 0; i < calls; i++)
    function();
  return clock_ns(CLOCK_THREAD_CPUTIME_ID) - begin;
}

void calibration_call_timed(void (*function)(void), uint32_t calls, uint64_t *before_ns, uint64_t *after_ns) {
  for (uint32_t i = 0; i < calls; i++) {
    before_ns[i] = clock_ns(CLOCK_MONOTONIC);
    function();
    after_ns[i] = clock_ns(CLOCK_MONOTONIC);
  }
}
