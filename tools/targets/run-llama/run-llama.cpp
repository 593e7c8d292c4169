// run-llama.cpp: llama.cpp's own example `simple`, with a thread count.
//
//   run-llama MODEL PROMPT TOKENS THREADS
//
// Continues PROMPT greedily by TOKENS tokens, whatever they are, and prints them. The example itself
// (llama-simple) computes on 4 threads and cannot be told otherwise; exact counts are wanted at 1 and 2.
// Token steps of a run: the prompt, then TOKENS - 1 decode steps. Linked into the unmodified build of a
// target; RUN_LLAMA_OLD_API chooses llama_decode, as programs before 2026 call it, over llama_process.

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "llama.h"

namespace {

[[noreturn]] void fail(const char *what) {
  std::fprintf(stderr, "run-llama: %s\n", what);
  std::exit(1);
}

#ifdef RUN_LLAMA_OLD_API

// Evaluates tokens that follow those before; false when llama.cpp cannot.
class Evaluator {
public:
  explicit Evaluator(llama_context *context) : context_(context) {}
  bool evaluate(std::vector<llama_token> tokens) {
    return llama_decode(context_, llama_batch_get_one(tokens.data(), static_cast<int32_t>(tokens.size()))) ==
           0;
  }

private:
  llama_context *context_;
};

#else

class Evaluator {
public:
  explicit Evaluator(llama_context *context) : context_(context), batch_(llama_batch_ext_init(context)) {}
  ~Evaluator() { llama_batch_ext_free(batch_); }
  bool evaluate(const std::vector<llama_token> &tokens) {
    llama_batch_ext_clear(batch_);
    for (llama_token token : tokens) {
      const int32_t index = llama_batch_ext_add_token(batch_, 0, token);
      const llama_pos position = next_++;
      llama_batch_ext_set_pos(batch_, index, &position);
    }
    llama_batch_ext_set_output_logits(batch_, static_cast<int32_t>(tokens.size()) - 1, true);
    return llama_process(context_, LLAMA_PROCESS_TYPE_DECODE, batch_) == 0;
  }

private:
  llama_context *context_;
  llama_batch_ext *batch_;
  llama_pos next_ = 0;
};

#endif

std::vector<llama_token> tokenize(const llama_vocab *vocab, const char *text) {
  const auto length = static_cast<int32_t>(std::strlen(text));
  std::vector<llama_token> tokens(-llama_tokenize(vocab, text, length, nullptr, 0, true, true));
  if (llama_tokenize(vocab, text, length, tokens.data(), static_cast<int32_t>(tokens.size()), true, true) < 0)
    fail("cannot tokenize the prompt");
  return tokens;
}

void print(const llama_vocab *vocab, llama_token token) {
  char piece[256];
  const int32_t length = llama_token_to_piece(vocab, token, piece, sizeof piece, 0, true);
  if (length > 0)
    std::fwrite(piece, 1, static_cast<size_t>(length), stdout);
}

} // namespace

int main(int argc, char **argv) {
  if (argc != 5)
    fail("usage: run-llama MODEL PROMPT TOKENS THREADS");
  const int tokens = std::atoi(argv[3]), threads = std::atoi(argv[4]);
  if (tokens < 1 || threads < 1)
    fail("TOKENS and THREADS must be at least 1");
  // Where the backends are dlopen-ed nothing is there to compute on before this.
  ggml_backend_load_all();
  llama_backend_init();
  llama_model_params model_parameters = llama_model_default_params();
  model_parameters.n_gpu_layers = 0;
  llama_model *model = llama_model_load_from_file(argv[1], model_parameters);
  if (!model)
    fail("cannot load the model");
  const llama_vocab *vocab = llama_model_get_vocab(model);
  std::vector<llama_token> batch = tokenize(vocab, argv[2]);
  llama_context_params parameters = llama_context_default_params();
  parameters.n_ctx = 512;
  parameters.n_threads = parameters.n_threads_batch = threads;
  llama_context *context = llama_init_from_model(model, parameters);
  if (!context)
    fail("cannot create a context");
  llama_sampler *sampler = llama_sampler_init_greedy();
  {
    Evaluator evaluator(context);
    for (int generated = 0; generated < tokens; generated++) {
      if (!evaluator.evaluate(batch))
        fail("llama.cpp cannot evaluate a batch");
      batch = {llama_sampler_sample(sampler, context, -1)};
      print(vocab, batch[0]);
    }
  }
  std::printf("\n");
  llama_sampler_free(sampler);
  llama_free(context);
  llama_model_free(model);
  llama_backend_free();
}
