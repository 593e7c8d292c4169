"""Generates text with a GGUF model in an unmodified llama.cpp: the extension module of the xllamacpp wheel.

    run-xllamacpp.py MODEL [--prompt TEXT | --chat TEXT] [-n TOKENS] [-t THREADS] [--json]

The same arguments give the same tokens: greedy by default, seeded otherwise; no warm-up run, no reuse of
earlier prompts, and (with --prompt) no end before TOKENS. Token steps of a run: one a --batch of the prompt,
then TOKENS - 1 decode steps, because the first new token comes out of the last prompt batch.
"""

import argparse
import json
import pathlib
import resource
import sys


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    text = parser.add_mutually_exclusive_group()
    text.add_argument("--prompt", default="Once upon a time", help="text to continue (default: %(default)r)")
    text.add_argument("--chat", help="a user's message; the model's own chat template is applied")
    parser.add_argument("-n", "--tokens", type=int, default=32, help="tokens to generate (default: %(default)s)")
    parser.add_argument("-t", "--threads", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--context", type=int, default=1024, help="context size in tokens (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=512, help="prompt tokens a step (default: %(default)s)")
    parser.add_argument("--micro-batch", type=int, default=512, help="prompt tokens a graph (default: %(default)s)")
    parser.add_argument("--temperature", type=float, default=0.0, help="0 is greedy (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--warmup", action="store_true", help="run llama.cpp's warm-up pass first")
    parser.add_argument("--json", action="store_true", help="print text, token counts and timings as one JSON object")
    parser.add_argument("--usage", action="store_true", help="with --json, what the kernel counted of this process")
    parser.add_argument("-v", "--verbose", action="store_true", help="show the log of llama.cpp")
    chosen = parser.parse_args()
    if not chosen.model.is_file():
        parser.error(f"{chosen.model}: no such model file; tools/make-models makes some")
    if chosen.tokens < 1 or chosen.threads < 1:
        parser.error("--tokens and --threads must be at least 1")
    return chosen


def server(chosen: argparse.Namespace):
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(chosen.model)
    parameters.n_ctx = chosen.context
    parameters.n_batch = chosen.batch
    parameters.n_ubatch = chosen.micro_batch
    parameters.n_parallel = 1
    parameters.n_gpu_layers = 0
    parameters.cpuparams.n_threads = chosen.threads
    parameters.cpuparams_batch.n_threads = chosen.threads
    parameters.warmup = chosen.warmup
    parameters.fit_params = False  # would load the model once more to measure its memory
    parameters.verbosity = 4 if chosen.verbose else 1
    return xllamacpp.Server(parameters)


def generate(chosen: argparse.Namespace) -> dict:
    request = {
        "n_predict": chosen.tokens,
        "max_tokens": chosen.tokens,
        "temperature": chosen.temperature,
        "seed": chosen.seed,
        "cache_prompt": False,
        "stream": False,
    }
    engine = server(chosen)
    if chosen.chat is not None:
        message = {"role": "user", "content": chosen.chat}
        reply = engine.handle_chat_completions(request | {"messages": [message]})
    else:
        reply = engine.handle_completions(request | {"prompt": chosen.prompt, "ignore_eos": True})
    if "error" in reply or "choices" not in reply:
        sys.exit(f"run-xllamacpp: the engine refused the request: {json.dumps(reply)}")
    choice = reply["choices"][0]
    return {
        "text": choice["message"]["content"] if "message" in choice else choice["text"],
        "prompt_tokens": reply["usage"]["prompt_tokens"],
        "generated_tokens": reply["usage"]["completion_tokens"],
        "finish_reason": choice["finish_reason"],
        "timings": reply["timings"],
    }


def usage() -> dict:
    """Of all threads of this process since it began."""
    counted = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "voluntary_switches": counted.ru_nvcsw,
        "involuntary_switches": counted.ru_nivcsw,
        "minor_faults": counted.ru_minflt,
        "major_faults": counted.ru_majflt,
    }


def main() -> None:
    chosen = arguments()
    result = generate(chosen)
    if chosen.usage:
        result["usage"] = usage()
    print(json.dumps(result) if chosen.json else result["text"], flush=True)


if __name__ == "__main__":
    main()
