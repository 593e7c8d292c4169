/* SPDX-License-Identifier: MIT */
#include "probe_object.h"
#include "probe_settings.h"

#include <stddef.h>
#include <stdlib.h>
#include <zlib.h>

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
static const unsigned char packed_object[] = {
#include OBJECT
};
static const unsigned char packed_atomic_object[] = {
#include ATOMIC_OBJECT
};
#endif

#define GZIP_WINDOW (MAX_WBITS + 16)

/* The length before compression stands at the end of a gzip file. */
static uint32_t unpacked_bytes(const unsigned char *packed, size_t bytes) {
  const unsigned char *end = packed + bytes;

  return end[-4] | (uint32_t)end[-3] << 8 | (uint32_t)end[-2] << 16 | (uint32_t)end[-1] << 24;
}

/* NULL without memory; what is embedded cannot be damaged. */
static void *unpack(const unsigned char *packed, size_t bytes) {
  uint32_t room = unpacked_bytes(packed, bytes);
  void *object = malloc(room);
  z_stream stream = {
      .next_in = (unsigned char *)packed,
      .avail_in = (uInt)bytes,
      .next_out = object,
      .avail_out = room,
  };

  if (!object || inflateInit2(&stream, GZIP_WINDOW) != Z_OK) {
    free(object);
    return NULL;
  }
  int result = inflate(&stream, Z_FINISH);
  inflateEnd(&stream);
  if (result == Z_STREAM_END)
    return object;
  free(object);
  return NULL;
}

void *probe_object(bool atomic) {
  return atomic ? unpack(packed_atomic_object, sizeof(packed_atomic_object))
                : unpack(packed_object, sizeof(packed_object));
}

uint64_t probe_object_bytes(bool atomic) {
  return atomic ? unpacked_bytes(packed_atomic_object, sizeof(packed_atomic_object))
                : unpacked_bytes(packed_object, sizeof(packed_object));
}

void probe_object_free(void *object) { free(object); }

#define NAME(role) #role,
const char *probe_role_name(uint32_t role) {
  static const char *const names[] = {PROBE_ROLES(NAME, NAME)};

  return role < sizeof(names) / sizeof(names[0]) ? names[role] : NULL;
}
