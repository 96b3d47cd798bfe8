#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The table of bad inputs: for each number what it is, how it is made, and the one line and status that it must get.

    bad_inputs.py FOLDER [NUMBER...]    makes them there

01-39 are GGUF files, 40-49 Hugging Face folders, 50-54 tokenizers, 55-59 chat templates, 71 a model that memory can not
hold; A11 has broken numbers; 72 is a situation, not an input: tests/cli/test_export.py. Letters are further cases of the same
rule. tests/cli/test_bad_inputs.py gives all of them to
the C library, the command and Python; bench/peers_reliability.py to another engine. Nothing but the standard library."""
import dataclasses
import json
import math
import os
import pathlib
import re
import struct
import sys
from typing import Callable

import make_tiny
import make_tiny_folder

NORM = "model.norm.weight"
TEXT = "a" * 60 + "b"  # what a pattern that backtracks must be run on to be found out


@dataclasses.dataclass
class Bad:
    number: str
    what: str
    make: Callable  # (path) -> None
    code: str       # name of the ql_code
    message: str    # a regular expression for all that follows the file's name
    action: str = "open"  # or what must be done with the open model to meet the fault: "chat", "generate"
    where: str = ""       # below the path: the file that the message names; "!": it names none
    folder: bool = False


EXIT = {"format": 65, "unsupported": 65, "template": 65, "memory": 69, "numeric_error": 1}
PYTHON = {"format": "ValueError", "unsupported": "NotImplementedError", "template": "TemplateError", "memory": "MemoryError",
          "numeric_error": "ArithmeticError"}


def literal(text):
    """A regular expression for text, in which # stands for digits."""
    return re.escape(text).replace(re.escape("#"), r"\d+")


# ---- 01-39: GGUF ----

EMBD = "tensor token_embd.weight: "
GGUF = [
    (1, "0 bytes", "file is 0 bytes, a GGUF header needs 24"),
    (2, "4 bytes", "file is 4 bytes, a GGUF header needs 24"),
    (3, "magic FUGG", 'not a GGUF file (starts with "FUGG"; a big-endian writer\'s GGUF?)'),
    (4, "version 1", "version 1 is no longer used, convert again"),
    (5, "version 4", "version 4 is newer than 3"),
    (6, "big-endian", "big-endian file: convert it to little-endian"),
    (7, "n_kv 2^63", "kv count 9223372036854775808 cannot fit in # bytes"),
    (8, "n_kv 2^40", "kv count 1099511627776 cannot fit in # bytes"),
    (9, "n_tensors 2^40", "tensor count 1099511627776 cannot fit in # bytes"),
    (10, "key length 2^60", "kv 0: key length 1152921504606846976 > 65535"),
    (11, "string past the end", "kv general.architecture: string of 900 bytes, 5 left"),
    (12, "key twice", "kv general.name appears twice (1, #)"),
    (13, "alignment 0", "general.alignment 0: power of two from 8 to 65536"),
    (14, "alignment 3", "general.alignment 3: power of two from 8 to 65536"),
    (15, "alignment 2^31", "general.alignment 2147483648: power of two from 8 to 65536"),
    (16, "5 dimensions", EMBD + "5 dimensions, at most 4"),
    (17, "dimension 0 of a weight", EMBD + "shape [64,0], expected [64,1 to 16777216]"),
    (18, "dimensions' product wraps", EMBD + "size does not fit in 64 bits"),
    (19, "padded size wraps", EMBD + "size does not fit in 64 bits"),
    (20, "type 99", EMBD + "unknown type 99"),
    (21, "type 4, removed", EMBD + "type Q4_2 was removed, convert again"),
    (22, "row of 31 in Q4_0", EMBD + "row of 31 is not a multiple of 32 (Q4_0)"),
    (23, "offset past the end", EMBD + "needs bytes #-#, file has # (download incomplete?)"),
    (24, "data cut short", "tensor blk.1.ffn_up.weight: needs bytes #-#, file has # (download incomplete?)"),
    (25, "tensor twice", "tensor token_embd.weight appears twice"),
    (26, "513 layers told, 2 there", "tensor blk.2.attn_norm.weight is missing"),
    (27, "2^32-1 layers", "llama.block_count 4294967295: 1 to 1024"),
    (28, "0 heads", "llama.attention.head_count 0: 1 to 1024"),
    (29, "0 kv heads", "llama.attention.head_count_kv 0: 1 to 4"),
    (30, "0 dimensions", "llama.embedding_length 0: 4 to 1048576"),
    (31, "64 dimensions, 7 heads", "llama.embedding_length 64 is not a multiple of head_count 7"),
    (32, "scores of i8", "tokenizer.ggml.scores: array of i8, expected f32"),
    (33, "bos 999999", "tokenizer.ggml.bos_token_id 999999: vocabulary has 288"),
    (34, "nested array", "kv x.y: nested arrays are not supported"),
    (35, "array of 2^62", "kv x.y: array of 4611686018427387904 u32 cannot fit in # bytes"),
    (36, "epsilon NaN", "llama.attention.layer_norm_rms_epsilon nan: > 0 and <= 1"),
    (37, "context 0", "llama.context_length 0: 1 to 1073741824"),
    (38, "architecture zzz", None),
    (39, "architecture is a number", "general.architecture: u32, expected str"),
]
OTHERS = {"03b": ("a ZIP file", b"PK\3\4" + b"\0" * 60,
                  r'not a GGUF file \(starts with "PK\\x03\\x04"; looks like a ZIP .*\)'),
          "03c": ("an HTML page", b"<!DOCTYPE html>" + b" " * 60,
                  r'not a GGUF file \(starts with "<!DO"; looks like an HTML page: .*\)'),
          "03d": ("a pickle", b"\x80\2}q\1." + b"\0" * 60, r'not a GGUF file \(.*; looks like a pickle: .*\)'),
          "03e": ("a Git LFS pointer", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
                  r'not a GGUF file \(starts with "vers"; looks like a Git LFS pointer: .*\)')}


def gguf(number, what, message):
    if message is None:
        return Bad(f"{number:02}", what, lambda path: path.write_bytes(make_tiny.build(number)), "unsupported",
                   r'architecture "zzz" is not supported \(supported: llama, .*\)')
    return Bad(f"{number:02}", what, lambda path: path.write_bytes(make_tiny.build(number)), "format", literal(message))


def changed(key, value, kind=None):
    """A model one of whose entries is another."""
    def make(path):
        kvs, listed = make_tiny.parts(bad=True)
        if not any(kv.key == key for kv in kvs):
            kvs.append(make_tiny.Kv(key, kind, value))
        make_tiny.change(kvs, key, value, kind)
        path.write_bytes(make_tiny.assemble(kvs, listed))

    return make


def overlap(path):
    kvs, listed = make_tiny.parts(bad=True)
    listed[1].offset = 0
    path.write_bytes(make_tiny.assemble(kvs, listed))


def broken_numbers(kind):
    """A model in which each token's embedding has a NaN: a value, or a block's scale."""
    def make(path):
        kvs, listed = make_tiny.parts(bad=True, dtype=kind)
        embd, n_vocab = listed[0], listed[0].shape[1]
        nan = struct.pack("<f" if kind == "f32" else "<e", math.nan)
        stride = len(embd.data) // n_vocab
        embd.data = b"".join(nan + embd.data[i * stride + len(nan):(i + 1) * stride] for i in range(n_vocab))
        path.write_bytes(make_tiny.assemble(kvs, listed))

    return make


# Further values of the same rules: hyper-parameters with which other engines divide, loop or abort.
VALUES = [
    ("26b", "0 layers", "llama.block_count", 0, None, " 0: 1 to 1024"),
    ("28b", "2^32-1 heads", "llama.attention.head_count", 2**32 - 1, None, " 4294967295: 1 to 1024"),
    ("29b", "more kv heads than heads", "llama.attention.head_count_kv", 8, None, " 8: 1 to 4"),
    ("30b", "ff 2^31-1", "llama.feed_forward_length", 2**31 - 1, None, " 2147483647: 1 to 4194304"),
    ("30c", "key length 2^31", "llama.attention.key_length", 2**31, make_tiny.U32, " 2147483648: 2 to 256"),
    ("36b", "epsilon -1", "llama.attention.layer_norm_rms_epsilon", -1.0, None, " -1: > 0 and <= 1"),
    ("36c", "rope base NaN", "llama.rope.freq_base", math.nan, None, " nan: > 0 and <= 1e+12"),
    ("36d", "rope base 0", "llama.rope.freq_base", 0.0, None, " 0: > 0 and <= 1e+12"),
    ("37b", "5000 experts", "llama.expert_count", 5000, make_tiny.U32, " 5000: 0 to 1024"),
    ("37c", "odd rope dimensions", "llama.rope.dimension_count", 15, None, " 15 is odd"),
]

# ---- 40-49: safetensors ----


def put(path, header, data):
    path.write_bytes(struct.pack("<Q", len(header)) + header + data)


def break_header(folder, number):
    path = folder / "model.safetensors"
    content = path.read_bytes()
    size, = struct.unpack("<Q", content[:8])
    header, data = content[8:8 + size], content[8 + size:]
    entries = json.loads(header)
    norm = json.dumps(entries[NORM])
    if number == 40:
        header = header[:-1] + f', "{NORM}": {norm}}}'.encode()
    elif number in (41, 42):
        step = 2 if number == 41 else -2
        for name, entry in entries.items():
            if name != "model.embed_tokens.weight":
                entry["data_offsets"] = [at + step for at in entry["data_offsets"]]
        data = data[:2] + data if number == 41 else data[:-2]
        header = json.dumps(entries).encode()
    elif number == 43:
        data += b"x"
    elif number == 44:
        data = data[:-1]
    elif number in (46, 47):
        dims = "[64.5]" if number == 46 else f"[2, {2**64 - 2}]"
        header = header.replace(norm.encode(), norm.replace("[64]", dims).encode())
    put(path, header, data)


def break_folder(number):
    def make(folder):
        make_tiny_folder.make(folder, 3 if number >= 48 else 1)
        index = folder / "model.safetensors.index.json"
        if number == 45:
            with open(folder / "model.safetensors", "wb") as file:
                file.write(struct.pack("<Q", 10**8 + 1) + b"{")
                file.truncate(8 + 10**8 + 1)
        elif number == 48:
            content = json.loads(index.read_text())
            content["weight_map"][NORM] = "../x.safetensors"
            index.write_text(json.dumps(content))
        elif number == 49:
            (folder / "model-00002-of-00003.safetensors").unlink()
        else:
            break_header(folder, number)

    return make


FOLDERS = [
    (40, "tensor twice", "model.safetensors", f"tensor {NORM} appears twice"),
    (41, "hole", "model.safetensors", "hole of 2 bytes before tensor model.layers.0.input_layernorm.weight"),
    (42, "overlap", "model.safetensors", "tensors model.embed_tokens.weight and model.layers.0.input_layernorm.weight overlap"),
    (43, "trailing byte", "model.safetensors", f"1 bytes after the last tensor, {NORM}"),
    (44, "data cut short", "model.safetensors", f"tensor {NORM}: needs bytes #-# of the data, there are # (download incomplete?)"),
    (45, "header of 10^8+1", "model.safetensors", "header of 100000001 bytes: at most 16777216"),
    (46, "dimension 64.5", "model.safetensors", f"tensor {NORM}: shape[0] is 64.5, a whole number is needed"),
    (47, "shape [2,2^64-2]", "model.safetensors", f"tensor {NORM}: header byte #: a number that is too large"),
    (48, "shard ../x", "model.safetensors.index.json", 'weight_map: shard name "../x.safetensors" leaves the folder'),
    (49, "shard missing", "", "model-00002-of-00003.safetensors is missing"),
]


def untied(folder):
    make_tiny_folder.make(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "tie_word_embeddings": False}))


# ---- 50-54: tokenizers ----


def tokenizer(change):
    def make(folder):
        make_tiny_folder.make(folder)
        content = make_tiny_folder.tokenizer()
        content["added_tokens"] = []
        text = change(content) or json.dumps(content)
        (folder / "tokenizer.json").write_text(text)

    return make


def add(content, *tokens):
    content["model"]["vocab"].update({t: 256 + i for i, t in enumerate(tokens)})


def pattern(regex):
    def change(content):
        split = {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": False}
        level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
        content["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [split, level]}

    return change


def merges(*pairs, tokens=()):
    def change(content):
        add(content, *tokens)
        content["model"]["merges"] = list(pairs)

    return change


TOKENIZERS = [
    ("50", "broken JSON", lambda content: '{\n "version": "1.0",\n "model": {"type": "BPE",,}\n}',
     "line 3, column 26: a key expected"),
    ("51", "merge longer than the vocabulary's", merges("ab cd", tokens=("ab", "cd")),
     'model: merges[0] "ab cd": "abcd" is not in the vocabulary'),
    ("52", "merge of an unknown token", merges("ab c"), 'model: merges[0] "ab c": "ab" is not in the vocabulary'),
    ("53", "two tokens of one id", lambda content: content["model"]["vocab"].update(b=content["model"]["vocab"]["a"]),
     'model.vocab: id # used by "a" and "b"'),
    ("53b", "id 4e9", lambda content: content["model"]["vocab"].update(zz=4 * 10**9),
     "line 1, column #: 4000000000: must be an integer from 0 to 16777215"),
    ("54", "pattern that does not compile", pattern("(a"),
     'pre_tokenizer: Split: the pattern "(a" can not be compiled by PCRE2: a group has no end'),
]

# ---- 55-59: templates ----

TEMPLATES = [
    ("55", "syntax", r"chat_template:2:8: expected an expression, got the end of the tag"),
    ("56", "recursion", r"chat_template:1:\d+: call depth 128"),
    ("57", "range(10^9)", r"chat_template:1:\d+: range too big: the sandbox blocks ranges of more than 100000 items"),
    ("58", "a string doubled 60 times", r"chat_template:1:\d+: output limit 4 MB"),
    ("59", "10^5 parentheses", r"chat_template:1:\d+: nesting 200"),
    ("57b", "loops in loops", r"chat_template:1:\d+: step limit 1000000"),
]
TEMPLATE_SOURCES = {**{name[3:]: source for name, source in make_tiny.BAD_TEMPLATES.items()},
                    "57b": "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"}


def template(number):
    def make(path):
        kvs, listed = make_tiny.parts(bad=True, template="none")
        kvs.append(make_tiny.Kv("tokenizer.chat_template", make_tiny.STR, TEMPLATE_SOURCES[number]))
        path.write_bytes(make_tiny.assemble(kvs, listed))

    return make


# ---- 71: memory ----


def huge(n_bytes):
    """A model of F16 weights that take more than n_bytes; its file is a hole, which takes no disk."""
    embd, ff, heads = 4096, 14336, 32
    layer = 2 * (4 * embd * embd + 3 * embd * ff)

    def make(path):
        layers = n_bytes // layer + 1
        kvs, small = make_tiny.parts(bad=True, context=8192)
        n_vocab = small[0].shape[1]
        for key, value in (("embedding_length", embd), ("block_count", layers), ("feed_forward_length", ff),
                           ("attention.head_count", heads), ("attention.head_count_kv", heads),
                           ("rope.dimension_count", embd // heads)):
            make_tiny.change(kvs, f"llama.{key}", value)
        listed, at = [], 0

        def tensor(name, shape, kind, size):
            nonlocal at
            listed.append(make_tiny.Tensor(name, shape, kind, b""))
            listed[-1].offset = at
            at += math.prod(shape) * size

        tensor("token_embd.weight", [embd, n_vocab], 1, 2)
        tensor("output_norm.weight", [embd], 0, 4)
        for i in range(layers):
            for name in ("attn_norm", "ffn_norm"):
                tensor(f"blk.{i}.{name}.weight", [embd], 0, 4)
            for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
                tensor(f"blk.{i}.{name}.weight", [embd, embd], 1, 2)
            for name, shape in (("ffn_gate", [embd, ff]), ("ffn_up", [embd, ff]), ("ffn_down", [ff, embd])):
                tensor(f"blk.{i}.{name}.weight", shape, 1, 2)
        head = make_tiny.assemble(kvs, listed)
        with open(path, "wb") as file:
            file.write(head)
            file.truncate(len(head) + at)

    return make


def memory():
    with open("/proc/meminfo") as file:
        return int(file.readline().split()[1]) * 1024


NEEDS = (r"needs [\d.]+ GiB \(F16 weights [\d.]+ \+ cache [\d.]+ at max_length \d+\), [\d.]+ GiB free: "
         r"(try (max_length \d+ or )?quantization \w+( with a smaller max_length)?|no quantization would fit, take a smaller model)")

# ---- all ----

TABLE = [
    *(gguf(*row) for row in GGUF),
    *(Bad(number, what, lambda path, data=data: path.write_bytes(data), "format", message)
      for number, (what, data, message) in OTHERS.items()),
    Bad("25b", "overlapping tensors", overlap, "format", literal("tensors output_norm.weight and token_embd.weight overlap")),
    *(Bad(number, what, changed(key, value, kind), "format", literal(key + message))
      for number, what, key, value, kind, message in VALUES),
    *(Bad(str(number), what, break_folder(number), "format", literal(message), where=where, folder=True)
      for number, what, where, message in FOLDERS),
    Bad("44b", "no lm_head though it is not tied", untied, "format",
        literal("tensor lm_head.weight is missing, and tie_word_embeddings is false"), folder=True),
    *(Bad(number, what, tokenizer(change), "unsupported" if number == "54" else "format", r"tokenizer\.json: " + literal(message),
          folder=True) for number, what, change, message in TOKENIZERS),
    Bad("54b", "pattern that passes its match limit", tokenizer(pattern("(a+)+$")), "unsupported",
        literal('the pattern "(a+)+$" passes its match limit at byte 0 of the text'), action="generate", where="!", folder=True),
    *(Bad(number, what, template(number), "template", message, action="chat", where="!") for number, what, message in TEMPLATES),
    *(Bad(f"A11-{kind}", f"NaN in weights of {kind}", broken_numbers(kind), "numeric_error",
          r"no token has a logit above -inf: the model's numbers are broken \(NaN; quantllm verify looks for them\), .*",
          action="generate", where="!") for kind in ("f32", "q8_0", "q4_1")),
    Bad("71", "more than the memory", huge(2 * memory()), "memory", NEEDS),
]


def path_of(folder, bad):
    return pathlib.Path(folder) / (f"bad{bad.number}" + ("" if bad.folder else ".gguf"))


def make_all(folder, numbers=None):
    """Makes the inputs (all, or those of these numbers); [(Bad, path)]."""
    made = []
    for bad in TABLE:
        if numbers and bad.number not in numbers:
            continue
        path = path_of(folder, bad)
        bad.make(path)
        made.append((bad, path))
    return made


if __name__ == "__main__":
    os.makedirs(sys.argv[1], exist_ok=True)
    for row, at in make_all(sys.argv[1], set(sys.argv[2:])):
        print(row.number, row.what, at, sep="\t")
