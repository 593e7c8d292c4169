/* SPDX-License-Identifier: MIT */
#include "probe_object.h"

/* tools/build compiles bpf/ into these; argument registers differ, so there is
 * one object for each architecture. */
#if defined(__x86_64__)
#define OBJECT "generated/probes.x86_64.inc"
#elif defined(__aarch64__)
#define OBJECT "generated/probes.aarch64.inc"
#else
#error "pi-record knows x86_64 and aarch64"
#endif

#if !__has_include(OBJECT)
#error "the BPF programs are not compiled yet: run tools/build"
#else
/* libbpf reads it as an ELF file in memory, which wants 8-byte alignment. */
static const unsigned char object[] __attribute__((aligned(8))) = {
#include OBJECT
};
#endif

const void *probe_object(void) { return object; }
uint64_t probe_object_bytes(void) { return sizeof(object); }
