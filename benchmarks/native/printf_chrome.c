/* printf_chrome.c: Chrome Trace Event JSON by printf, for benchmarks/analyze: what a C program would do.
 *
 *   printf_chrome OPERATORS.BIN
 *
 * Reads records of operators (struct operator below, written by benchmarks/harness/analyze.py from the same
 * trace) and writes one complete event for each to standard output.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct operator{
  int64_t start_ns, duration_ns;
  int32_t tid, step;
  /* Numbers of the names behind the records. */
  int32_t op, node;
};

static void fail(const char *what) {
  perror(what);
  exit(1);
}

/* A count, then so many texts of 64 bytes. */
static char (*read_names(FILE *file))[64] {
  int32_t count;

  if (fread(&count, sizeof(count), 1, file) != 1 || count < 0)
    fail("names");
  char(*names)[64] = malloc((size_t)count * 64 + 1);
  if (!names || fread(names, 64, (size_t)count, file) != (size_t)count)
    fail("names");
  return names;
}

int main(int argc, char **argv) {
  static struct operator block[4096];
  size_t count;

  if (argc != 2) {
    fputs("usage: printf_chrome OPERATORS.BIN\n", stderr);
    return 2;
  }
  FILE *file = fopen(argv[1], "rb");
  if (!file)
    fail(argv[1]);
  static char buffer[1 << 20];
  setvbuf(stdout, buffer, _IOFBF, sizeof(buffer));
  char(*ops)[64] = read_names(file), (*nodes)[64] = read_names(file);
  const char *separator = "";
  fputs("{\"traceEvents\":[\n", stdout);
  while ((count = fread(block, sizeof(*block), 4096, file)) > 0)
    for (size_t i = 0; i < count; i++) {
      const struct operator* o = & block[i];
      printf("%s{\"name\":\"%s\",\"cat\":\"operator\",\"ph\":\"X\",\"pid\":1,\"tid\":%" PRId32
             ",\"ts\":%" PRId64 ".%03" PRId64 ",\"dur\":%" PRId64 ".%03" PRId64
             ",\"args\":{\"node\":\"%s\",\"step\":%" PRId32 "}}",
             separator, ops[o->op], o->tid, o->start_ns / 1000, o->start_ns % 1000, o->duration_ns / 1000,
             o->duration_ns % 1000, nodes[o->node], o->step);
      separator = ",\n";
    }
  fputs("\n]}\n", stdout);
  return fflush(stdout) || ferror(stdout);
}
