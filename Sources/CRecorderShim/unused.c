/* SPDX-License-Identifier: MIT
 * What the static executable (tools/build-recorder) would otherwise contain and has no use for: 350 KB of 2
 * MB. Weak, so that a library that brings the real function for another reason is no conflict. */
#ifdef PI_RECORD_STATIC
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define UNUSED __attribute__((weak))

/* libelf: sections of ELF files that are compressed. The recorder's BPF programs have none. */
UNUSED void *__libelf_decompress_elf(void *section, size_t *bytes, size_t *alignment) {
  (void)section, (void)bytes, (void)alignment;
  return NULL;
}

/* libbpf: /proc/config.gz, which programs with kernel configuration variables want. */
UNUSED void *gzopen64(const char *path, const char *mode) {
  (void)path, (void)mode;
  errno = ENOENT;
  return NULL;
}

UNUSED char *gzgets(void *file, char *line, int bytes) {
  (void)file, (void)line, (void)bytes;
  return NULL;
}

UNUSED int gzclose(void *file) {
  (void)file;
  return 0;
}

/* zstd: the searches of levels above 4, which TraceContainer's Compressor does not use. */
#define NEVER_CALLED(function)                                                                               \
  UNUSED void function(void) { abort(); }
#define BLOCK(search) NEVER_CALLED(ZSTD_compressBlock_##search)
#define EACH_DICTIONARY(search) BLOCK(search) BLOCK(search##_dictMatchState) BLOCK(search##_extDict)
#define EACH_TABLE(search)                                                                                   \
  EACH_DICTIONARY(search)                                                                                    \
  BLOCK(search##_row)                                                                                        \
  BLOCK(search##_dictMatchState_row)                                                                         \
  BLOCK(search##_extDict_row)                                                                                \
  BLOCK(search##_dedicatedDictSearch)                                                                        \
  BLOCK(search##_dedicatedDictSearch_row)
EACH_TABLE(greedy)
EACH_TABLE(lazy)
EACH_TABLE(lazy2)
EACH_DICTIONARY(btlazy2)
EACH_DICTIONARY(btopt)
EACH_DICTIONARY(btultra)
BLOCK(btultra2)
NEVER_CALLED(ZSTD_dedicatedDictSearch_lazy_loadDictionary)
NEVER_CALLED(ZSTD_insertAndFindFirstIndex)
NEVER_CALLED(ZSTD_row_update)
NEVER_CALLED(ZSTD_updateTree)

/* Swift: tables of Unicode. As if no character were composed of others, so that strings are the same when
 * their bytes are. Paths and names of symbols are compared in this way anyway. */
UNUSED uint16_t _swift_stdlib_getNormData(uint32_t scalar) {
  (void)scalar;
  return 0;
}

UNUSED uint32_t _swift_stdlib_getComposition(uint32_t first, uint32_t second) {
  (void)first, (void)second;
  return UINT32_MAX;
}

static const uint8_t nothing;
UNUSED const uint8_t *const _swift_stdlib_nfd_decompositions = &nothing;

UNUSED uint32_t _swift_stdlib_getDecompositionEntry(uint32_t scalar) {
  (void)scalar;
  return UINT32_MAX;
}

UNUSED uint8_t _swift_stdlib_getGraphemeBreakProperty(uint32_t scalar) {
  (void)scalar;
  return UINT8_MAX;
}

UNUSED bool _swift_stdlib_isExtendedPictographic(uint32_t scalar) {
  (void)scalar;
  return false;
}

UNUSED bool _swift_stdlib_isInCB_Consonant(uint32_t scalar) {
  (void)scalar;
  return false;
}
#endif
