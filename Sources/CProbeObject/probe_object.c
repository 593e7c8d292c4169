/* SPDX-License-Identifier: MIT */
#include "probe_object.h"
#include "probe_settings.h"

#include <stddef.h>

/* tools/build compiles bpf/ into these; argument registers differ, so there are
 * objects for each architecture. */
#if defined(__x86_64__)
#define OBJECT "generated/probes.x86_64.v2.inc"
#define ATOMIC_OBJECT "generated/probes.x86_64.v3.inc"
#elif defined(__aarch64__)
#define OBJECT "generated/probes.aarch64.v2.inc"
#define ATOMIC_OBJECT "generated/probes.aarch64.v3.inc"
#else
#error "pi-record knows x86_64 and aarch64"
#endif

#if !__has_include(OBJECT) || !__has_include(ATOMIC_OBJECT)
#error "the BPF programs are not compiled yet: run tools/build"
#else
/* libbpf reads them as ELF files in memory, which wants 8-byte alignment. */
static const unsigned char object[] __attribute__((aligned(8))) = {
#include OBJECT
};
static const unsigned char atomic_object[] __attribute__((aligned(8))) = {
#include ATOMIC_OBJECT
};
#endif

const void *probe_object(bool atomic) { return atomic ? atomic_object : object; }
uint64_t probe_object_bytes(bool atomic) { return atomic ? sizeof(atomic_object) : sizeof(object); }

#define NAME(role) #role,
const char *probe_role_name(uint32_t role) {
  static const char *const names[] = {PROBE_ROLES(NAME, NAME)};

  return role < sizeof(names) / sizeof(names[0]) ? names[role] : NULL;
}
