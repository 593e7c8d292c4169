/* SPDX-License-Identifier: MIT
 * In the static executable (tools/build-recorder) libelf and libbpf would bring all of zlib for what the
 * recorder has no use for: compressed sections of ELF files, of which its BPF programs have none, and
 * /proc/config.gz, which only programs with kernel configuration variables want. 70 KB of 2 MB. */
#ifdef PI_RECORD_STATIC
#include <errno.h>
#include <stddef.h>

void *__libelf_decompress_elf(void *section, size_t *bytes, size_t *alignment) {
  (void)section, (void)bytes, (void)alignment;
  return NULL;
}

void *gzopen64(const char *path, const char *mode) {
  (void)path, (void)mode;
  errno = ENOENT;
  return NULL;
}

char *gzgets(void *file, char *line, int bytes) {
  (void)file, (void)line, (void)bytes;
  return NULL;
}

int gzclose(void *file) {
  (void)file;
  return 0;
}
#endif
