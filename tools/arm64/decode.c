/* decode.c: a program that uses an unmodified libllama, for tools/test-arm64.
 *
 *   decode CPU-BACKEND MODEL TOKENS decode|process
 *
 * A prompt of 8 tokens, then TOKENS steps of one token, on one thread, through the token interface of that
 * name. The tokens are always the same and none is sampled, so that both architectures compute the same
 * graphs.
 *
 * Compiled without llama.cpp's headers, which the wheel does not have: its parameter structures are passed on
 * as bytes, whose beginning is what the library made of them. Both ABIs pass a structure of this size in
 * memory.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROMPT 8
#define LOG_ERROR 4      /* of enum ggml_log_level */
#define PROCESS_DECODE 1 /* of enum llama_process_type */

struct parameters {
  char bytes[1024];
};

struct llama_batch {
  int32_t n_tokens;
  int32_t *token;
  void *others[5];
};

void *ggml_backend_load(const char *path);
void llama_backend_init(void);
struct parameters llama_model_default_params(void);
struct parameters llama_context_default_params(void);
void *llama_model_load_from_file(const char *path, struct parameters parameters);
void *llama_init_from_model(void *model, struct parameters parameters);
void llama_set_n_threads(void *context, int32_t one, int32_t batch);
void llama_log_set(void (*log)(int level, const char *text, void *context), void *context);
struct llama_batch llama_batch_get_one(int32_t *tokens, int32_t count);
int32_t llama_decode(void *context, struct llama_batch batch);
void *llama_batch_ext_init(void *context);
void llama_batch_ext_clear(void *batch);
int32_t llama_batch_ext_add_token(void *batch, int32_t sequence, int32_t token);
int32_t llama_batch_ext_set_pos(void *batch, int32_t index, const int32_t *position);
int32_t llama_batch_ext_set_output_logits(void *batch, int32_t index, bool wanted);
int32_t llama_process(void *context, int32_t type, void *batch);
float *llama_get_logits_ith(void *context, int32_t index);

static void quiet(int level, const char *text, void *context) {
  (void)context;
  if (level == LOG_ERROR)
    fputs(text, stderr);
}

static void need(const void *thing, const char *what) {
  if (thing)
    return;
  fprintf(stderr, "decode: %s\n", what);
  exit(1);
}

int main(int argc, char **argv) {
  if (argc != 5) {
    fputs("usage: decode CPU-BACKEND MODEL TOKENS decode|process\n", stderr);
    return 2;
  }
  llama_log_set(quiet, NULL);
  need(ggml_backend_load(argv[1]), "cannot load the CPU backend");
  llama_backend_init();
  void *model = llama_model_load_from_file(argv[2], llama_model_default_params());
  need(model, "cannot load the model");
  void *context = llama_init_from_model(model, llama_context_default_params());
  need(context, "cannot create a context");
  llama_set_n_threads(context, 1, 1);

  int steps = 1 + atoi(argv[3]);
  bool process = !strcmp(argv[4], "process");
  void *batch = process ? llama_batch_ext_init(context) : NULL;
  int32_t position = 0;
  double sum = 0;
  for (int step = 0; step < steps; step++) {
    int32_t token[PROMPT], count = step == 0 ? PROMPT : 1, result;
    for (int i = 0; i < count; i++)
      token[i] = 3 + (step * 37 + i * 11) % 200;
    if (process) {
      llama_batch_ext_clear(batch);
      for (int i = 0; i < count; i++, position++) {
        int32_t index = llama_batch_ext_add_token(batch, 0, token[i]);
        llama_batch_ext_set_pos(batch, index, &position);
      }
      llama_batch_ext_set_output_logits(batch, count - 1, true);
      result = llama_process(context, PROCESS_DECODE, batch);
    } else {
      result = llama_decode(context, llama_batch_get_one(token, count));
    }
    if (result) {
      fprintf(stderr, "decode: step %d: %d\n", step, result);
      return 1;
    }
    sum += llama_get_logits_ith(context, -1)[0];
  }
  printf("%d steps, %f\n", steps, sum);
  return 0;
}
