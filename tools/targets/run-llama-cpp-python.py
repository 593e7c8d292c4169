"""Generates text with a GGUF model in llama-cpp-python: llama.cpp's libraries driven through ctypes.

    run-llama-cpp-python.py MODEL PROMPT TOKENS THREADS

Greedy, whatever the tokens are. Token steps of a run: the prompt, then TOKENS - 1 decode steps.
"""

import itertools
import sys

import llama_cpp


def main() -> None:
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    model, prompt, tokens, threads = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    llama = llama_cpp.Llama(
        model, n_ctx=512, n_threads=threads, n_threads_batch=threads, n_gpu_layers=0, verbose=False
    )
    generator = llama.generate(llama.tokenize(prompt.encode()), temp=0.0)
    generated = list(itertools.islice(generator, tokens))
    generator.close()
    print(llama.detokenize(generated).decode(errors="replace"), flush=True)
    llama.close()


if __name__ == "__main__":
    main()
