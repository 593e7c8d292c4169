/* shim.h: for libraries that are preloaded into a target and stand in front of some of its functions. SHIM is
 * the library's name, for messages. */
#ifndef SHIM_H
#define SHIM_H

#define _GNU_SOURCE
#include <dlfcn.h>
#include <link.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

static void fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs(SHIM ": ", stderr);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  abort();
}

struct library_names {
  char *name[512];
  size_t count;
};

static int collect_name(struct dl_phdr_info *info, size_t size, void *context) {
  struct library_names *names = context;
  (void)size;
  if (info->dlpi_name && info->dlpi_name[0] == '/' && names->count < 512)
    names->name[names->count++] = strdup(info->dlpi_name);
  return 0;
}

typedef void *dlsym_function(void *handle, const char *symbol);

/* glibc's dlsym, which a shim may stand in front of. */
static dlsym_function *real_dlsym(void) {
  static dlsym_function *_Atomic known;
  const char *const versions[] = {"GLIBC_2.34", "GLIBC_2.17", "GLIBC_2.2.5"};
  dlsym_function *function = known;
  for (int i = 0; i < 3 && !function; i++)
    known = function = (dlsym_function *)dlvsym(RTLD_NEXT, "dlsym", versions[i]);
  if (!function)
    fail("glibc has no dlsym of a known version");
  return function;
}

/* The target's own function. RTLD_NEXT does not see libraries that were loaded with RTLD_LOCAL, as Python
 * loads its extensions, so every loaded library is asked. */
static void *find(const char *symbol) {
  static int anchor;
  Dl_info own = {0}, other;
  struct library_names names = {.count = 0};
  void *found = NULL;
  dladdr(&anchor, &own);
  dl_iterate_phdr(collect_name, &names);
  for (size_t i = 0; i < names.count; i++) {
    void *library = found ? NULL : dlopen(names.name[i], RTLD_LAZY | RTLD_NOLOAD);
    if (library) {
      void *address = real_dlsym()(library, symbol);
      if (address && dladdr(address, &other) && other.dli_fbase != own.dli_fbase)
        found = address;
      dlclose(library);
    }
    free(names.name[i]);
  }
  if (!found)
    fail("no loaded library has %s", symbol);
  return found;
}

/* REAL(f): the target's f, looked up once. Two threads may both look; they find the same. */
#define REAL(function)                                                                                       \
  ({                                                                                                         \
    static void *_Atomic known;                                                                              \
    void *address = known;                                                                                   \
    if (!address)                                                                                            \
      known = address = find(#function);                                                                     \
    (__typeof__(&function))address;                                                                          \
  })

#endif
