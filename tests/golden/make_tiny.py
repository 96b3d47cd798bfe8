#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes a tiny but complete llama model as GGUF, the same bytes every time, with nothing but the standard library.

    make_tiny.py OUT [--dtype f32|q8_0|q4_1] [--context 256] [--template FILE|none|bad55...bad59] [--rope TYPE] [--biases] [--untied]
    make_tiny.py OUT --split N   OUT-00001-of-0000N.gguf and the others
    make_tiny.py OUT --bad NN     one of the bad files 01-39: each breaks one rule

2 layers, 64 dimensions, 4 heads of 2 kv heads, byte-level BPE of 256 bytes, some merges and 3 control tokens."""
import argparse
import math
import struct
import sys

U8, I8, U16, I16, U32, I32, F32, BOOL, STR, ARR, U64, I64, F64 = range(13)
FORMATS = {U8: "<B", I8: "<b", U16: "<H", I16: "<h", U32: "<I", I32: "<i", F32: "<f", BOOL: "<?", U64: "<Q", I64: "<q", F64: "<d"}
TYPES = {"f32": 0, "q4_1": 3, "q8_0": 8}
EMBD, HEADS, KV_HEADS, FF, LAYERS = 64, 4, 2, 96, 2
MERGES = ["h e", "l l", "t h", "i n", "he ll", "hell o", "Ġ t", "Ġt he", "Ġ a", "o n", "1 2", "e r", "a n", "Ġ Ġ"]
CHATML = ("{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
          "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}")
# Templates that do not compile, or pass a limit. Numbers as those of the bad files.
BAD_TEMPLATES = {
    "bad55": "a\n{{ 1 + }}",
    "bad56": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "bad57": "{% for i in range(1000000000) %}x{% endfor %}",
    "bad58": "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}{{ ns.s }}",
    "bad59": "{{ " + "(" * 100000 + "1" + ")" * 100000 + " }}",
}


def string(text):
    data = text if isinstance(text, bytes) else text.encode()
    return struct.pack("<Q", len(data)) + data


def value(kind, v):
    return string(v) if kind == STR else struct.pack(FORMATS[kind], v)


class Kv:
    """One metadata entry; an array when element is given."""

    def __init__(self, key, kind, v, element=None):
        self.key, self.kind, self.v, self.element = key, kind, v, element

    def pack(self):
        head = string(self.key) + struct.pack("<I", self.kind)
        if self.kind != ARR:
            return head + value(self.kind, self.v)
        return head + struct.pack("<IQ", self.element, len(self.v)) + b"".join(value(self.element, x) for x in self.v)


class Tensor:
    def __init__(self, name, shape, kind, data):
        self.name, self.shape, self.kind, self.data = name, shape, kind, data
        self.offset = None

    def info(self):
        return (string(self.name) + struct.pack("<I", len(self.shape)) + b"".join(struct.pack("<Q", n) for n in self.shape)
                + struct.pack("<IQ", self.kind & 0xffffffff, self.offset))


class Zeros:
    """For the bad files: none is read as far as its weights, and random ones take most of the time."""

    def normal(self):
        return 0.0


class Random:
    """A 64-bit linear congruential generator (Knuth's MMIX constants)."""

    def __init__(self, seed):
        self.state = seed

    def normal(self):
        total = 0.0
        for _ in range(4):
            self.state = (self.state * 6364136223846793005 + 1442695040888963407) & (2 ** 64 - 1)
            total += (self.state >> 40) / 2 ** 24
        return (total - 2) * math.sqrt(3)


def half(x):
    return struct.pack("<e", x)


def encode(kind, values):
    if kind == TYPES["f32"]:
        return struct.pack(f"<{len(values)}f", *values)
    out = []
    for at in range(0, len(values), 32):
        block = values[at:at + 32]
        if kind == TYPES["q8_0"]:
            d = max(abs(v) for v in block) / 127
            out.append(half(d) + bytes((round(v / d) if d else 0) & 255 for v in block))
        else:
            low = min(block)
            d = (max(block) - low) / 15
            q = [min(15, round((v - low) / d)) if d else 0 for v in block]
            out.append(half(d) + half(low) + bytes(q[j] | q[j + 16] << 4 for j in range(16)))
    return b"".join(out)


def byte_pieces():
    """GPT-2's printable stand-ins for the 256 bytes."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    pieces, extra = {}, 0
    for b in range(256):
        if b in kept:
            pieces[b] = chr(b)
        else:
            pieces[b] = chr(256 + extra)
            extra += 1
    return [pieces[b] for b in range(256)]


def vocabulary(control=()):
    tokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"] + byte_pieces() + [m.replace(" ", "") for m in MERGES]
    types = [3, 3, 3] + [1] * (len(tokens) - 3) + [3] * len(control)
    tokens += control
    while len(tokens) % 16:
        tokens.append(f"<|unused_{len(tokens)}|>")
        types.append(3)
    return tokens, types


def metadata(options):
    tokens, types = vocabulary(options.control)
    kvs = [Kv("general.architecture", STR, "llama"), Kv("general.name", STR, "tiny"),
           Kv("general.quantization_version", U32, 2), Kv("general.alignment", U32, 32),
           Kv("llama.context_length", U32, options.context), Kv("llama.embedding_length", U32, EMBD),
           Kv("llama.block_count", U32, LAYERS), Kv("llama.feed_forward_length", U32, FF),
           Kv("llama.attention.head_count", U32, HEADS), Kv("llama.attention.head_count_kv", U32, KV_HEADS),
           Kv("llama.attention.layer_norm_rms_epsilon", F32, 1e-5), Kv("llama.rope.dimension_count", U32, EMBD // HEADS),
           Kv("llama.rope.freq_base", F32, 10000.0),
           Kv("tokenizer.ggml.model", STR, "gpt2"), Kv("tokenizer.ggml.pre", STR, "smollm"),
           Kv("tokenizer.ggml.tokens", ARR, tokens, STR), Kv("tokenizer.ggml.token_type", ARR, types, I32),
           Kv("tokenizer.ggml.merges", ARR, MERGES, STR), Kv("tokenizer.ggml.bos_token_id", U32, 1),
           Kv("tokenizer.ggml.eos_token_id", U32, 2), Kv("tokenizer.ggml.add_bos_token", BOOL, False)]
    if options.rope != "none":
        kvs += [Kv("llama.rope.scaling.type", STR, options.rope), Kv("llama.rope.scaling.factor", F32, 4.0),
                Kv("llama.rope.scaling.original_context_length", U32, 64)]
    if options.template != "none":
        source = {"chatml": CHATML, **BAD_TEMPLATES}.get(options.template)
        source = source or open(options.template, encoding="utf-8").read()
        kvs.append(Kv("tokenizer.chat_template", STR, source))
    return kvs, len(tokens)


def tensors(options, n_vocab):
    random, kind, out = Zeros() if options.bad else Random(1), TYPES[options.dtype], []

    def matrix(name, rows, cols, scale):
        out.append(Tensor(name, [cols, rows], kind, encode(kind, [random.normal() * scale for _ in range(rows * cols)])))

    def vector(name, n, center, spread):
        out.append(Tensor(name, [n], 0, encode(0, [center + spread * random.normal() for _ in range(n)])))

    matrix("token_embd.weight", n_vocab, EMBD, 1.0)
    vector("output_norm.weight", EMBD, 1.0, 0.1)
    kv = EMBD // HEADS * KV_HEADS
    for layer in range(LAYERS):
        vector(f"blk.{layer}.attn_norm.weight", EMBD, 1.0, 0.1)
        vector(f"blk.{layer}.ffn_norm.weight", EMBD, 1.0, 0.1)
        for name, rows, cols in (("attn_q", EMBD, EMBD), ("attn_k", kv, EMBD), ("attn_v", kv, EMBD), ("attn_output", EMBD, EMBD),
                                 ("ffn_gate", FF, EMBD), ("ffn_up", FF, EMBD), ("ffn_down", EMBD, FF)):
            matrix(f"blk.{layer}.{name}.weight", rows, cols, 1.5 / math.sqrt(cols))
            if options.biases:
                vector(f"blk.{layer}.{name}.bias", rows, 0.0, 0.2)
    if options.untied:
        matrix("output.weight", n_vocab, EMBD, 0.2)
    if options.rope == "longrope":
        vector("rope_factors_long.weight", EMBD // HEADS // 2, 2.0, 0.2)
        vector("rope_factors_short.weight", EMBD // HEADS // 2, 1.0, 0.02)
    if options.factors:
        vector("rope_freqs.weight", EMBD // HEADS // 2, 3.0, 0.5)
    return out


def pad(n, alignment):
    return -n % alignment


def assemble(kvs, listed, alignment=32, version=3, n_kvs=None, n_tensors=None, magic=b"GGUF"):
    """The file's bytes; offsets that a caller has set stay as they are."""
    at = 0
    for t in listed:
        t.offset = at if t.offset is None else t.offset
        at += len(t.data) + pad(len(t.data), alignment)
    head = magic + struct.pack("<IQQ", version, len(listed) if n_tensors is None else n_tensors, len(kvs) if n_kvs is None else n_kvs)
    head += b"".join(k if isinstance(k, bytes) else k.pack() for k in kvs) + b"".join(t.info() for t in listed)
    head += b"\0" * pad(len(head), alignment)
    return head + b"".join(t.data + b"\0" * pad(len(t.data), alignment) for t in listed)


def change(kvs, key, v, kind=None, element=None):
    for kv in kvs:
        if kv.key == key:
            kv.v = v
            kv.kind = kv.kind if kind is None else kind
            kv.element = kv.element if element is None else element


def bad_header(n, kvs, listed):
    """01-12: the header and the metadata's framing."""
    good = assemble(kvs, listed)
    if n in (1, 2):
        return b"" if n == 1 else b"GGUF"
    if n == 3:
        return assemble(kvs, listed, magic=b"FUGG")
    if n in (4, 5):
        return assemble(kvs, listed, version=1 if n == 4 else 4)
    if n == 6:
        return good[:4] + struct.pack(">I", 3) + good[8:]
    if n in (7, 8):
        return assemble(kvs, listed, n_kvs=2 ** 63 if n == 7 else 2 ** 40)
    if n == 9:
        return assemble(kvs, listed, n_tensors=2 ** 40)
    if n == 10:
        return good[:24] + struct.pack("<Q", 2 ** 60) + good[32:]
    if n == 11:
        return b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + string("general.architecture") + struct.pack("<IQ", STR, 900) + b"llama"
    return assemble(kvs + [Kv("general.name", STR, "again")], listed)


def bad_tensor(n, kvs, listed):
    """13-25: alignment and tensor infos. The first tensor is the one that is wrong."""
    t = listed[0]
    if n in (13, 14, 15):
        change(kvs, "general.alignment", {13: 0, 14: 3, 15: 2 ** 31}[n])
    elif n == 16:
        t.shape = [64, 1, 1, 1, 1]
    elif n == 17:
        t.shape, t.data = [64, 0], b""
    elif n == 18:
        t.shape = [2 ** 32, 2 ** 32, 2, 1]
    elif n == 19:
        t.kind, t.shape = 0, [2 ** 61 - 1]
    elif n in (20, 21):
        t.kind = 99 if n == 20 else 4
    elif n == 22:
        t.kind, t.shape = 2, [31, 2]
    elif n == 23:
        t.offset = 2 ** 40
    elif n == 24:
        return assemble(kvs, listed)[:-30000]
    else:
        listed[1].name = t.name
    return assemble(kvs, listed)


def bad_value(n, kvs, listed):
    """26-39: values that are well-formed and wrong."""
    single = {26: ("llama.block_count", 513), 27: ("llama.block_count", 2 ** 32 - 1), 28: ("llama.attention.head_count", 0),
              29: ("llama.attention.head_count_kv", 0), 30: ("llama.embedding_length", 0), 31: ("llama.attention.head_count", 7),
              33: ("tokenizer.ggml.bos_token_id", 999999), 36: ("llama.attention.layer_norm_rms_epsilon", math.nan),
              37: ("llama.context_length", 0), 38: ("general.architecture", "zzz")}
    if n in single:
        change(kvs, *single[n])
    elif n == 32:
        change(kvs, "tokenizer.ggml.model", "llama")
        tokens, _ = vocabulary()
        kvs.append(Kv("tokenizer.ggml.scores", ARR, [0] * len(tokens), I8))
    elif n == 34:
        kvs.append(string("x.y") + struct.pack("<IIQ", ARR, ARR, 1) + struct.pack("<IQ", U8, 1) + b"\1")
    elif n == 35:
        kvs.append(string("x.y") + struct.pack("<IIQ", ARR, U32, 2 ** 62))
    else:
        change(kvs, "general.architecture", 7, U32)
    return assemble(kvs, listed)


def split(kvs, listed, count):
    """The files of a model in several: the first has the metadata, each some of the tensors."""
    for no in range(count):
        own = [Kv("split.no", U16, no), Kv("split.count", U16, count), Kv("split.tensors.count", I32, len(listed))]
        yield assemble((kvs if no == 0 else []) + own, listed[no::count])


def parts(bad=None, **changes):
    """The entries and tensors of a model; with bad, of one that is to break a rule, whose weights are zeros."""
    options = argparse.Namespace(**{"dtype": "f32", "context": 256, "template": "chatml", "rope": "none", "factors": False,
                                    "biases": False, "untied": False, "control": [], "bad": bad, **changes})
    kvs, n_vocab = metadata(options)
    return kvs, tensors(options, n_vocab)


def build(bad=None, **changes):
    """The bytes of a model; of one that breaks rule `bad`."""
    kvs, listed = parts(bad, **changes)
    if bad is None:
        return assemble(kvs, listed)
    return (bad_header if bad <= 12 else bad_tensor if bad <= 25 else bad_value)(bad, kvs, listed)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out")
    parser.add_argument("--dtype", choices=TYPES, default="f32")
    parser.add_argument("--context", type=int, default=256)
    parser.add_argument("--template", default="chatml", help="FILE, none, or bad55 to bad59")
    parser.add_argument("--rope", default="none", choices=["none", "linear", "yarn", "longrope"])
    parser.add_argument("--factors", action="store_true", help="rope_freqs.weight, as Llama 3 has")
    parser.add_argument("--biases", action="store_true")
    parser.add_argument("--control", action="append", default=[], metavar="TEXT", help="one more control token")
    parser.add_argument("--untied", action="store_true", help="an output matrix of its own")
    parser.add_argument("--split", type=int, metavar="N", help="OUT-00001-of-0000N.gguf and the others")
    parser.add_argument("--bad", type=int, choices=range(1, 40), metavar="NN")
    options = parser.parse_args()
    changes = {name: value for name, value in vars(options).items() if name not in ("out", "split")}
    if options.split:
        for i, data in enumerate(split(*parts(**changes), options.split)):
            with open(f"{options.out}-{i + 1:05}-of-{options.split:05}.gguf", "wb") as file:
                file.write(data)
        return 0
    data = build(**changes)
    with open(options.out, "wb") as file:
        file.write(data)
    return 0


if __name__ == "__main__":
    sys.exit(main())
