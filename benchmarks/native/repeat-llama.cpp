// repeat-llama.cpp: the same work over and over, each piece of it timed, so that a recorder can come and go.
//
//   repeat-llama MODEL THREADS decode           tokens of one position after the other, from 32 to 95 and
//   again repeat-llama MODEL THREADS prefill TOKENS   a prompt of so many tokens, then one decoded token, and
//   again
//
// A line for each piece until SIGTERM: phase, begin and end (CLOCK_MONOTONIC, ns), CPU time of the calling
// thread (ns, user and system), the system part of it as the kernel's tick samples it (ns; only sums mean
// something). A piece is the call that computes logits and the greedy choice of a token from them. Decoding
// stays within 32 and 95 so that every token computes the same graph.

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <sys/resource.h>
#include <vector>

#include "llama.h"

namespace {

constexpr int kPrompt = 32, kLast = 96;
volatile std::sig_atomic_t stopped = 0;

[[noreturn]] void fail(const char *what) {
  std::fprintf(stderr, "repeat-llama: %s\n", what);
  std::exit(1);
}

long long now(clockid_t clock) {
  timespec time;
  clock_gettime(clock, &time);
  return time.tv_sec * 1000000000LL + time.tv_nsec;
}

long long system_time() {
  rusage usage;
  getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_stime.tv_sec * 1000000000LL + usage.ru_stime.tv_usec * 1000LL;
}

class Engine {
public:
  Engine(llama_context *context)
      : context_(context), batch_(llama_batch_ext_init(context)), sampler_(llama_sampler_init_greedy()) {}
  ~Engine() {
    llama_sampler_free(sampler_);
    llama_batch_ext_free(batch_);
  }

  // Evaluates tokens at `position` and those that follow; the chosen token is the next one.
  void run(const char *phase, const std::vector<llama_token> &tokens, llama_pos position) {
    llama_memory_seq_rm(llama_get_memory(context_), 0, position, -1);
    const long long before = system_time();
    const long long begin = now(CLOCK_MONOTONIC), cpu = now(CLOCK_THREAD_CPUTIME_ID);
    llama_batch_ext_clear(batch_);
    for (llama_token token : tokens) {
      const int32_t index = llama_batch_ext_add_token(batch_, 0, token);
      llama_batch_ext_set_pos(batch_, index, &position);
      position++;
    }
    llama_batch_ext_set_output_logits(batch_, static_cast<int32_t>(tokens.size()) - 1, true);
    if (llama_process(context_, LLAMA_PROCESS_TYPE_DECODE, batch_) != 0)
      fail("llama.cpp cannot evaluate a batch");
    next = llama_sampler_sample(sampler_, context_, -1);
    const long long used = now(CLOCK_THREAD_CPUTIME_ID) - cpu, end = now(CLOCK_MONOTONIC);
    std::printf("%s %lld %lld %lld %lld\n", phase, begin, end, used, system_time() - before);
  }

  llama_token next = 0;

private:
  llama_context *context_;
  llama_batch_ext *batch_;
  llama_sampler *sampler_;
};

void repeat(Engine &engine, const std::string &mode, int tokens, int vocabulary) {
  std::vector<llama_token> prompt(mode == "decode" ? kPrompt : tokens);
  for (size_t i = 0; i < prompt.size(); i++)
    prompt[i] = 3 + static_cast<llama_token>(i * 7919 % (vocabulary - 3));
  const int count = static_cast<int>(prompt.size());
  engine.run("prompt", prompt, 0);
  std::fflush(stdout); // who waits for the model to be loaded sees this line
  while (!stopped) {
    if (mode == "decode") {
      for (int position = kPrompt; position < kLast && !stopped; position++)
        engine.run("decode", {engine.next}, position);
    } else {
      engine.run("prefill", prompt, 0);
      engine.run("between", {engine.next}, count);
    }
  }
}

} // namespace

int main(int argc, char **argv) {
  const std::string mode = argc > 3 ? argv[3] : "";
  const int tokens = argc > 4 ? std::atoi(argv[4]) : kPrompt, threads = argc > 2 ? std::atoi(argv[2]) : 0;
  if ((mode != "decode" && mode != "prefill") || threads < 1 || tokens < 1 || tokens > 500)
    fail("usage: repeat-llama MODEL THREADS decode | prefill TOKENS");
  // One write for some hundred lines: not a system call for each piece.
  std::setvbuf(stdout, nullptr, _IOFBF, 1 << 15);
  std::signal(SIGTERM, [](int) { stopped = 1; });
  llama_log_set([](ggml_log_level, const char *, void *) {}, nullptr);
  ggml_backend_load_all();
  llama_backend_init();
  llama_model_params model_parameters = llama_model_default_params();
  model_parameters.n_gpu_layers = 0;
  llama_model *model = llama_model_load_from_file(argv[1], model_parameters);
  if (!model)
    fail("cannot load the model");
  llama_context_params parameters = llama_context_default_params();
  parameters.n_ctx = 512;
  parameters.n_threads = parameters.n_threads_batch = threads;
  llama_context *context = llama_init_from_model(model, parameters);
  if (!context)
    fail("cannot create a context");
  {
    Engine engine(context);
    repeat(engine, mode, tokens, llama_vocab_n_tokens(llama_model_get_vocab(model)));
  }
  llama_free(context);
  llama_model_free(model);
  llama_backend_free();
}
