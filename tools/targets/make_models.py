"""Writes tiny but real GGUF models with random weights, the same bytes on every machine.

    make_models.py DIR [MODEL...]

A model that is there already is left alone. They say nothing sensible; they exist because their graphs are
those of real architectures (grouped-query attention, RoPE, SwiGLU, mixture of experts, biases, extra norms) and
take milliseconds a token. Two are not tiny, and made only when they are named: llama1b-f16, 2.5 GB in the shape of
LLaMA-3.2-1B, for benchmarks/overhead, and moe-wide-q8_0, 220 MB, for a test with little memory.
"""

import argparse
import itertools
import pathlib
from dataclasses import dataclass

import numpy as np
from gguf import GGUFWriter, GGMLQuantizationType, LlamaFileType, TokenType, quants

CHAT_TEMPLATE = (
    "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)
FILE_TYPE = {
    GGMLQuantizationType.F16: LlamaFileType.MOSTLY_F16,
    GGMLQuantizationType.Q4_0: LlamaFileType.MOSTLY_Q4_0,
    GGMLQuantizationType.Q8_0: LlamaFileType.MOSTLY_Q8_0,
    GGMLQuantizationType.Q4_K: LlamaFileType.MOSTLY_Q4_K_M,
}


@dataclass(frozen=True)
class Shape:
    architecture: str
    quantization: GGMLQuantizationType
    layers: int
    embedding: int = 256
    heads: int = 8
    kv_heads: int = 4
    feed_forward: int = 704
    experts: int = 0
    experts_used: int = 0
    expert_feed_forward: int = 64
    vocabulary: int = 2048
    # The output layer is the token embedding, as small models have it to save memory.
    tied_output: bool = False
    # Made only when it is named.
    large: bool = False
    # The first layers of a model with so many: as its draft model, it is right now and then.
    first_of: int = 0

    @property
    def head_size(self) -> int:
        return self.embedding // self.heads


SHAPES = {
    "dense-q4_0": Shape("llama", GGMLQuantizationType.Q4_0, layers=6),
    "dense-q8_0": Shape("llama", GGMLQuantizationType.Q8_0, layers=6),
    "draft-q8_0": Shape("llama", GGMLQuantizationType.Q8_0, layers=4, first_of=6),
    "moe-q4_0": Shape("qwen3moe", GGMLQuantizationType.Q4_0, layers=12, experts=32, experts_used=4),
    # A mixture of experts that llama.cpp has known since 2023: such a llama's experts are `feed_forward` wide.
    # Not Q4_0: early in 2025 repacked experts as small as these failed an assertion (work buffer too small).
    "mixtral-q8_0": Shape(
        "llama", GGMLQuantizationType.Q8_0, layers=12, experts=32, experts_used=4, feed_forward=64
    ),
    # Biases on queries, keys and values.
    "qwen2-q8_0": Shape("qwen2", GGMLQuantizationType.Q8_0, layers=4),
    # Norms behind attention and feed-forward, too; GEGLU, soft-capped scores and logits, two kinds of cache.
    "gemma2-q8_0": Shape("gemma2", GGMLQuantizationType.Q8_0, layers=4, tied_output=True),
    # Some layers have some weights in Q6_K, as llama.cpp mixes them. Rows of such types are multiples of 256.
    "mixed-q4_k": Shape("llama", GGMLQuantizationType.Q4_K, layers=8, feed_forward=768),
    # Experts that are too much for a memory that a test makes small.
    "moe-wide-q8_0": Shape(
        "qwen3moe", GGMLQuantizationType.Q8_0, layers=8, embedding=512, experts=32, experts_used=4,
        expert_feed_forward=512, large=True
    ),
    # The shape of LLaMA-3.2-1B.
    "llama1b-f16": Shape(
        "llama", GGMLQuantizationType.F16, layers=16, embedding=2048, heads=32, feed_forward=8192, kv_heads=8,
        vocabulary=128256, tied_output=True, large=True
    ),
}


def vocabulary(size: int) -> tuple[list[bytes], list[float], list[int]]:
    """A SentencePiece vocabulary: control tokens, all bytes, letters, syllables, and words of syllables."""
    tokens = [b"<unk>", b"<s>", b"</s>"]
    types = [TokenType.UNKNOWN, TokenType.CONTROL, TokenType.CONTROL]
    tokens += [b"<0x%02X>" % byte for byte in range(256)]
    types += [TokenType.BYTE] * 256
    space = "▁"
    letters = [chr(code) for code in range(33, 127)]
    syllables = ["".join(pair) for pair in itertools.product("bdfgklmnprstvw", "aeiou")]
    words = ("".join(parts) for n in (2, 3) for parts in itertools.product(syllables, repeat=n))
    pieces = itertools.chain(
        [space], letters, syllables, (space + s for s in syllables), (space + w for w in words)
    )
    missing = size - len(tokens)
    tokens += [piece.encode() for piece in itertools.islice(pieces, missing)]
    types += [TokenType.NORMAL] * missing
    scores = [-float(rank) if kind == TokenType.NORMAL else 0.0 for rank, kind in enumerate(types)]
    return tokens, scores, [int(kind) for kind in types]


def gets_more_bits(layer: int, layers: int) -> bool:
    """Layers whose attn_v and ffn_down llama.cpp's Q4_K_M keeps in Q6_K: the first and last eighth, and every third."""
    eighth = layers // 8
    return layer < eighth or layer >= 7 * layers // 8 or (layer - eighth) % 3 == 2


def noise_blocks(
    random: np.random.Generator, shape: tuple[int, ...], scale: float, kind: GGMLQuantizationType
) -> np.ndarray:
    """Uniform noise of that standard deviation in blocks of 256: `gguf` reads these types but cannot write them."""
    blocks = (*shape[:-1], shape[-1] // 256)

    def half(value: float) -> np.ndarray:
        return np.broadcast_to(np.array([value], dtype="<f2").view(np.uint8), (*blocks, 2))

    def fixed(value: int, count: int) -> np.ndarray:
        return np.full((*blocks, count), value, dtype=np.uint8)

    def quants_of(count: int) -> np.ndarray:
        return random.integers(0, 256, (*blocks, count), dtype=np.uint8)

    if kind == GGMLQuantizationType.Q4_K:
        # d * 32 * q - dmin * 32 with q of 0 to 15: bytes of 0xA0 and 0 are sixteen times a 6-bit 32.
        step = scale / 32 / 4.61
        parts = [half(step), half(7.5 * step), fixed(0xA0, 8), fixed(0, 4), quants_of(128)]
    elif kind == GGMLQuantizationType.Q6_K:
        # d * 1 * (q - 32) with q of 0 to 63.
        parts = [quants_of(128), quants_of(64), fixed(1, 16), half(scale / 18.5)]
    else:
        raise ValueError(f"no blocks of {kind.name}")
    return np.concatenate(parts, axis=-1).reshape(*shape[:-1], -1)


class ModelWriter:
    def __init__(self, path: pathlib.Path, name: str, shape: Shape):
        self.shape = shape
        self.writer = GGUFWriter(path, shape.architecture)
        # Weights must not depend on the quantization, nor on the order of tensors: one generator a tensor.
        self.seed = (shape.first_of or shape.layers) * 1000 + shape.experts
        self.writer.add_name(name)
        self.writer.add_file_type(FILE_TYPE[shape.quantization])
        self._hyperparameters()
        self._tokenizer()

    def _hyperparameters(self) -> None:
        w, s = self.writer, self.shape
        w.add_context_length(4096)
        w.add_embedding_length(s.embedding)
        w.add_block_count(s.layers)
        w.add_head_count(s.heads)
        w.add_head_count_kv(s.kv_heads)
        w.add_feed_forward_length(s.feed_forward)
        w.add_layer_norm_rms_eps(1e-5)
        w.add_rope_freq_base(10000.0)
        w.add_rope_dimension_count(s.head_size)
        w.add_key_length(s.head_size)
        w.add_value_length(s.head_size)
        w.add_vocab_size(s.vocabulary)
        if s.experts:
            w.add_expert_count(s.experts)
            w.add_expert_used_count(s.experts_used)
            w.add_expert_feed_forward_length(s.expert_feed_forward)
        if s.architecture == "gemma2":
            w.add_attn_logit_softcapping(50.0)
            w.add_final_logit_softcapping(30.0)
            w.add_sliding_window(256)

    def _tokenizer(self) -> None:
        tokens, scores, types = vocabulary(self.shape.vocabulary)
        w = self.writer
        w.add_tokenizer_model("llama")
        w.add_tokenizer_pre("default")
        w.add_token_list(tokens)
        w.add_token_scores(scores)
        w.add_token_types(types)
        w.add_unk_token_id(0)
        w.add_bos_token_id(1)
        w.add_eos_token_id(2)
        w.add_add_bos_token(True)
        w.add_add_eos_token(False)
        w.add_chat_template(CHAT_TEMPLATE)

    def ones(self, name: str, count: int) -> None:
        self.writer.add_tensor(name, np.ones(count, dtype=np.float32))

    def random(
        self,
        name: str,
        *shape: int,
        scale: float | None = None,
        plain: bool = False,
        kind: GGMLQuantizationType | None = None,
    ) -> None:
        kind = kind or self.shape.quantization
        random = np.random.default_rng([self.seed, *name.encode()])
        if not plain and kind in (GGMLQuantizationType.Q4_K, GGMLQuantizationType.Q6_K):
            blocks = noise_blocks(random, shape, scale or shape[-1] ** -0.5, kind)
            self.writer.add_tensor(name, blocks, raw_dtype=kind)
            return
        values = random.standard_normal(shape, dtype=np.float32) * np.float32(scale or shape[-1] ** -0.5)
        if plain:
            self.writer.add_tensor(name, values)
        else:
            self.writer.add_tensor(name, quants.quantize(values, kind), raw_dtype=kind)

    def write(self) -> None:
        s = self.shape
        query, key_value = s.heads * s.head_size, s.kv_heads * s.head_size
        # Where the output is tied to it, logits must stay in the range of the other models'.
        scale = 0.15 if s.tied_output else 1.0
        self.random("token_embd.weight", s.vocabulary, s.embedding, scale=scale)
        self.ones("output_norm.weight", s.embedding)
        more_bits = GGMLQuantizationType.Q6_K if s.quantization == GGMLQuantizationType.Q4_K else None
        if not s.tied_output:
            self.random("output.weight", s.vocabulary, s.embedding, scale=0.15, kind=more_bits)
        for layer in range(s.layers):
            block = f"blk.{layer}."
            kind = more_bits if gets_more_bits(layer, s.layers) else None
            self.ones(block + "attn_norm.weight", s.embedding)
            self.random(block + "attn_q.weight", query, s.embedding)
            self.random(block + "attn_k.weight", key_value, s.embedding)
            self.random(block + "attn_v.weight", key_value, s.embedding, kind=kind)
            self.random(block + "attn_output.weight", s.embedding, query)
            if s.architecture == "qwen3moe":
                self.ones(block + "attn_q_norm.weight", s.head_size)
                self.ones(block + "attn_k_norm.weight", s.head_size)
            if s.architecture == "qwen2":
                for name, count in (("q", query), ("k", key_value), ("v", key_value)):
                    self.random(block + f"attn_{name}.bias", count, scale=0.1, plain=True)
            if s.architecture == "gemma2":
                self.ones(block + "post_attention_norm.weight", s.embedding)
                self.ones(block + "post_ffw_norm.weight", s.embedding)
            self.ones(block + "ffn_norm.weight", s.embedding)
            if s.experts:
                f = s.expert_feed_forward
                self.random(block + "ffn_gate_inp.weight", s.experts, s.embedding, plain=True)
                self.random(block + "ffn_gate_exps.weight", s.experts, f, s.embedding)
                self.random(block + "ffn_up_exps.weight", s.experts, f, s.embedding)
                self.random(block + "ffn_down_exps.weight", s.experts, s.embedding, f)
            else:
                self.random(block + "ffn_gate.weight", s.feed_forward, s.embedding)
                self.random(block + "ffn_up.weight", s.feed_forward, s.embedding)
                self.random(block + "ffn_down.weight", s.embedding, s.feed_forward, kind=kind)
        self.writer.write_header_to_file()
        self.writer.write_kv_data_to_file()
        self.writer.write_tensors_to_file()
        self.writer.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"of: {', '.join(SHAPES)} (default: the tiny ones)")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.models) - set(SHAPES))
    if unknown:
        parser.error(f"no model is named {', '.join(unknown)}; there are: {', '.join(SHAPES)}")
    arguments.directory.mkdir(parents=True, exist_ok=True)
    for name in arguments.models or [name for name, shape in SHAPES.items() if not shape.large]:
        path = arguments.directory / f"{name}.gguf"
        if not path.exists():
            unfinished = path.with_suffix(".unfinished")
            ModelWriter(unfinished, name, SHAPES[name]).write()
            unfinished.rename(path)
        print(path, flush=True)


if __name__ == "__main__":
    main()
