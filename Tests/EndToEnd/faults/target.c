/* SPDX-License-Identifier: MIT
 * A program that computes with an unmodified llama.cpp and does on command what programs do that are hard to
 * record: it loads the engine late, forks, ignores signals. One command a line on standard input, one answer
 * a line on standard output.
 *
 * The libraries are dlopen-ed, so no header of theirs is needed. Their parameters go by value; as blocks
 * larger than any version's structures they arrive on both architectures as the structures would.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct parameters {
  uint64_t words[128];
};
/* llama_batch: a count and six pointers, since 2023. */
struct batch {
  uint64_t words[7];
};

#define MAX_TOKENS 480

static void *engine, *model, *vocabulary, *sampler;
static volatile sig_atomic_t interrupts;

static void count(int number) {
  (void)number;
  interrupts++;
}

static void fail(const char *what) {
  const char *reason = dlerror();

  fprintf(stderr, "target: %s%s%s\n", what, reason ? ": " : "", reason ? reason : "");
  exit(99);
}

static void *library(const char *path) {
  void *handle = dlopen(path, RTLD_NOW | RTLD_GLOBAL);

  if (!handle)
    fail("dlopen");
  return handle;
}

static void *function(const char *name) {
  void *address = dlsym(engine, name);

  if (!address)
    fail("dlsym");
  return address;
}
#define CALL(type, name, ...) ((type)function(name))(__VA_ARGS__)

static void quiet(int level, const char *text, void *data) { (void)level, (void)text, (void)data; }

static void load_model(const char *path) {
  CALL(void (*)(void (*)(int, const char *, void *), void *), "llama_log_set", quiet, NULL);
  CALL(void (*)(void), "llama_backend_init");
  struct parameters defaults = CALL(struct parameters(*)(void), "llama_model_default_params");
  model = CALL(void *(*)(const char *, struct parameters), "llama_model_load_from_file", path, defaults);
  if (!model)
    fail("cannot load the model");
  vocabulary = (void *)CALL(const void *(*)(void *), "llama_model_get_vocab", model);
  sampler = CALL(void *(*)(void), "llama_sampler_init_greedy");
}

static const char usual[] = "Once upon a time";

/* Continues a prompt by `tokens` tokens: one step for the prompt, tokens - 1 decode steps. */
static void generate(const char *prompt, int tokens, int32_t *out) {
  int32_t input[64];
  int32_t n = CALL(int32_t(*)(void *, const char *, int32_t, int32_t *, int32_t, bool, bool),
                   "llama_tokenize", vocabulary, prompt, (int32_t)strlen(prompt), input, 64, true, true);
  if (n <= 0)
    fail("cannot tokenize");
  struct parameters defaults = CALL(struct parameters(*)(void), "llama_context_default_params");
  void *context = CALL(void *(*)(void *, struct parameters), "llama_init_from_model", model, defaults);
  if (!context)
    fail("cannot create a context");
  CALL(void (*)(void *, int32_t, int32_t), "llama_set_n_threads", context, 1, 1);
  for (int i = 0; i < tokens; i++) {
    struct batch batch = CALL(struct batch(*)(int32_t *, int32_t), "llama_batch_get_one", input, n);
    if (CALL(int32_t(*)(void *, struct batch), "llama_decode", context, batch))
      fail("llama_decode failed");
    out[i] = input[0] =
        CALL(int32_t(*)(void *, void *, int32_t), "llama_sampler_sample", sampler, context, -1);
    n = 1;
  }
  CALL(void (*)(void *), "llama_free", context);
}

static void answer_tokens(int tokens, const int32_t *out) {
  for (int i = 0; i < tokens; i++)
    printf("%d%c", out[i], i + 1 < tokens ? ' ' : '\n');
  fflush(stdout);
}

/* Again and again, which must give the same each time: tells a target that was disturbed by itself. */
static void repeat(int tokens, int times) {
  int32_t first[MAX_TOKENS], again[MAX_TOKENS];

  if (tokens < 1 || tokens > MAX_TOKENS)
    fail("too many tokens");
  for (int i = 0; i < times; i++) {
    generate(usual, tokens, i ? again : first);
    if (i && memcmp(first, again, tokens * sizeof(*first)))
      fail("the same prompt gave other tokens");
  }
  answer_tokens(tokens, first);
}

/* Parent and child both compute, from the fork on; the child's answer comes first. Then each computes a graph
 * of its own, one after the other: everything of it is at the same addresses in both. */
static void fork_and_generate(int tokens) {
  int32_t out[MAX_TOKENS], one;
  int status;
  pid_t child = fork();

  if (child < 0)
    fail("fork");
  generate(usual, tokens, out);
  if (child == 0) {
    generate("Once", 1, &one);
    answer_tokens(tokens, out);
    _exit(0);
  }
  if (waitpid(child, &status, 0) != child || status)
    fail("the child died");
  generate("Once upon a time there was", 1, &one);
  answer_tokens(tokens, out);
}

/* Processes that end at once, one after the other. */
static void make_children(int count) {
  int status;

  for (int i = 0; i < count; i++) {
    pid_t child = fork();
    if (child == 0)
      _exit(0);
    if (child < 0 || waitpid(child, &status, 0) != child || status)
      fail("a child");
  }
}

/* Maps and unmaps a program's code for as long as the process lives. */
static void *map_for_ever(void *unused) {
  int file = open("/bin/true", O_RDONLY | O_CLOEXEC);

  for (;;) {
    void *code = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0);
    if (code == MAP_FAILED)
      fail("mmap");
    munmap(code, 4096);
  }
  return unused;
}

static void map_meanwhile(void) {
  pthread_t thread;

  if (pthread_create(&thread, NULL, map_for_ever, NULL))
    fail("pthread_create");
}

/* A filter as containers have it: system calls that its author did not know kill the process. Those of
 * uretprobes and uprobes on x86_64 are 335 and 336. */
static void filter_system_calls(void) {
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 335, 0, 2),
      BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 337, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
    fail("seccomp");
}

static void obey(const char *word, const char *argument) {
  int a = 0, b = 1;

  if (argument)
    sscanf(argument, "%d %d", &a, &b);
  if (!strcmp(word, "exit"))
    exit(a);
  if (!strcmp(word, "generate"))
    return repeat(a, b);
  if (!strcmp(word, "fork"))
    return fork_and_generate(a);
  if (!strcmp(word, "exec")) {
    printf("done\n");
    fflush(stdout);
    execl(argument, argument, (char *)NULL);
    fail("exec");
  }
  if (!strcmp(word, "engine"))
    engine = library(argument);
  else if (!strcmp(word, "library"))
    library(argument);
  else if (!strcmp(word, "backend")) {
    if (!CALL(void *(*)(const char *), "ggml_backend_load", argument))
      fail("cannot load the backend");
  } else if (!strcmp(word, "model"))
    load_model(argument);
  else if (!strcmp(word, "children"))
    make_children(a);
  else if (!strcmp(word, "map"))
    map_meanwhile();
  else if (!strcmp(word, "filter"))
    filter_system_calls();
  else if (!strcmp(word, "ignore"))
    signal(a, SIG_IGN);
  else if (!strcmp(word, "count"))
    signal(a, count);
  else if (!strcmp(word, "counted")) {
    printf("%d\n", (int)interrupts);
    fflush(stdout);
    return;
  } else if (!strcmp(word, "pid")) {
    printf("%d\n", (int)getpid());
    fflush(stdout);
    return;
  } else
    fail("unknown command");
  printf("done\n");
  fflush(stdout);
}

int main(void) {
  char line[8192];

  while (fgets(line, sizeof(line), stdin)) {
    line[strcspn(line, "\n")] = 0;
    char *argument = strchr(line, ' ');
    if (argument)
      *argument++ = 0;
    obey(line, argument);
  }
  return 0;
}
