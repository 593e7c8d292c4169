/* Preloaded into a target, makes the kernel read a mapped model page by page, without reading ahead and
 * without filling the mapping at once: what an expert that is not in memory costs is then its own. Devices
 * read ahead some hundred kilobytes, or, as virtual disks do, eight megabytes: several experts. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/mman.h>
#include <sys/types.h>

enum { MODEL = 16 << 20 };

void *mmap(void *address, size_t length, int protection, int flags, int file, off_t offset) {
  static void *(*next)(void *, size_t, int, int, int, off_t);
  if (!next)
    next = (void *(*)(void *, size_t, int, int, int, off_t))dlsym(RTLD_NEXT, "mmap");
  int is_model = file >= 0 && length >= MODEL;
  if (is_model)
    flags &= ~MAP_POPULATE;
  void *mapped = next(address, length, protection, flags, file, offset);
  if (is_model && mapped != MAP_FAILED)
    madvise(mapped, length, MADV_RANDOM);
  return mapped;
}

int posix_madvise(void *address, size_t length, int advice) {
  (void)address, (void)length, (void)advice;
  return 0;
}
