#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes the seeds of the fuzz targets that read model files, the same bytes every time, with the standard library alone.

    make_fuzz_seeds.py [tests/fuzz/corpus]

Small files that the parsers accept, so that the fuzzer begins behind their first checks, and a few that they refuse late.
The seeds of the other targets are written by hand."""
import json
import pathlib
import struct
import sys

from make_tiny import ARR, BOOL, F32, F64, I8, I16, I32, I64, STR, U8, U16, U32, U64, Kv, Tensor, assemble, encode, string

Q4_0, PACKED = 2, 4096
MASK = 2 ** 64 - 1


# ---- GGUF ----

def every_kind():
    scalars = [Kv(f"s.{kind}", kind, v) for kind, v in
               [(U8, 200), (I8, -3), (U16, 60000), (I16, -300), (U32, 7), (I32, -7), (F32, 0.5), (BOOL, True), (STR, "käse"),
                (U64, 2 ** 63), (I64, -1), (F64, 0.25)]]
    arrays = [Kv(f"a.{kind}", ARR, v, kind) for kind, v in
              [(U8, [1, 2, 3]), (I32, [-1, 0, 1]), (F32, [0.5, -0.5]), (STR, ["a", "", "bc"]), (BOOL, [True, False]), (U64, [])]]
    return [Kv("general.architecture", STR, "llama"), *scalars, *arrays]


def floats(name, n):
    return Tensor(name, [n], 0, encode(0, [i / 4 for i in range(n)]))


def gguf_seeds():
    matrices = [floats("a", 3), Tensor("b.weight", [32, 2], 8, encode(8, [i - 30 for i in range(64)])),
                Tensor("c", [32, 1, 2], 3, encode(3, [i % 9 for i in range(64)]))]
    yield "keys", assemble(every_kind(), [])
    yield "version2", assemble(every_kind()[:4], [floats("a", 2)], version=2)
    yield "tensors", assemble([Kv("general.alignment", U32, 32)], matrices)
    yield "aligned", assemble([Kv("general.alignment", U32, 128)], [floats("a", 1), floats("b", 1)], alignment=128)
    yield "split", assemble([Kv("split.no", U16, 0), Kv("split.count", U16, 2), Kv("split.tensors.count", I32, 3)], [floats("a", 1)])
    yield "nested", assemble([string("x") + struct.pack("<IIQ", ARR, ARR, 1) + struct.pack("<IQ", U8, 1) + b"\1"], [])
    yield "short", assemble([], [floats("a", 64)])[:-40]


# ---- a file of the packed cache: format/seal.c says what its seal is ----

def mix(x):
    x = (x + 0x9e3779b97f4a7c15) & MASK
    x = ((x ^ x >> 30) * 0xbf58476d1ce4e5b9) & MASK
    x = ((x ^ x >> 27) * 0x94d049bb133111eb) & MASK
    return x ^ x >> 31


def sealed(kvs, listed):
    """The seal is a u64 that hashes the header, itself as zero, and the file's size."""
    key = string("quantllm.seal") + struct.pack("<I", U64)
    plain = assemble([Kv("general.alignment", U32, 64), *kvs, key + bytes(8)], listed, alignment=64)
    header = len(plain) - sum(len(t.data) + -len(t.data) % 64 for t in listed)
    h = mix(len(plain)) ^ header
    for at in range(0, header, 8):
        h = mix(h ^ int.from_bytes(plain[at:min(at + 8, header)], "little"))
    place = plain.index(key) + len(key)
    return plain[:place] + struct.pack("<Q", h) + plain[place + 8:]


def packed_seeds():
    panels = Tensor("p.weight", [32, 17], PACKED + Q4_0, bytes(range(256)) * 2 + bytes(64))  # 17 rows are two panels of 16
    labels = [Kv("general.architecture", STR, "llama"), Kv("quantllm.identity", STR, "x"), Kv("quantllm.name", STR, "n")]
    folder = [Kv("quantllm.kind", STR, "hf"), Kv("quantllm.document.config.json", STR, '{"a": 1}')]
    yield "panels", sealed(labels, [panels, floats("norm", 4)])
    yield "folder", sealed(folder, [floats("norm", 4)])
    yield "keys", sealed(every_kind(), [])
    yield "unsealed", sealed(labels, [floats("norm", 4)]).replace(b"quantllm.seal", b"quantllm.seat")


# ---- safetensors ----

def safetensors(header, data):
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def safetensors_seeds():
    def entry(dtype, shape, first, last):
        return {"dtype": dtype, "shape": shape, "data_offsets": [first, last]}
    yield "two", safetensors({"__metadata__": {"format": "pt"}, "a": entry("F32", [2, 2], 0, 16),
                              "b": entry("BF16", [3], 16, 22)}, bytes(range(22)))
    yield "types", safetensors({t: entry(t, [1, 1], i, i + 1) for i, t in enumerate(["F8_E4M3", "F8_E5M2", "I8", "U8", "BOOL"])}, bytes(5))
    yield "scalar", safetensors({"s": entry("F16", [], 0, 2), "none": entry("F32", [0, 4], 2, 2)}, bytes(2))
    yield "deep", safetensors({"d": entry("I64", [1, 1, 1, 1, 1], 0, 8)}, bytes(8))
    yield "gap", safetensors({"a": entry("F32", [1], 4, 8)}, bytes(8))
    yield "overlap", safetensors({"a": entry("F32", [1], 0, 4), "b": entry("F32", [1], 2, 6)}, bytes(6))


# ---- config.json, and behind a '#' the index of shards ----

def folder_seeds():
    yield "llama", json.dumps({"architectures": ["LlamaForCausalLM"], "hidden_size": 64, "rms_norm_eps": 1e-05, "rope_scaling": None,
                               "eos_token_id": [1, 2], "tie_word_embeddings": True, "torch_dtype": "bfloat16"}).encode()
    yield "nested", json.dumps({"text_config": {"rope_scaling": {"factor": 8.0, "long_factor": [1, 1.5], "type": "yarn"},
                                                "layer_types": ["full_attention", "sliding_attention"]}, "big": 2 ** 62,
                                "mixed": [1, "a"], "deep": [[1]], "flags": [True], "none": []}).encode()
    yield "escapes", rb'{"a\u00e4.b": "\ud83d\ude00", "a": {"b": 1}, "n": -0.0, "e": 1e308}'
    yield "twice", b'{"a.b": 1, "a": {"b": 2}}'
    yield "index", b"#" + json.dumps({"metadata": {"total_size": 4}, "weight_map": {"a": "a.safetensors"}}).encode()
    yield "index_missing", b'#{"weight_map": {"a": "b.safetensors", "b": "a.safetensors"}}'
    yield "index_lies", b'#{"weight_map": {"a": "a.safetensors", "b": "a.safetensors"}}'
    yield "index_leaves", b'#{"weight_map": {"a": "../a.safetensors"}}'


def main():
    corpus = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent / "fuzz" / "corpus")
    for target, seeds in [("fuzz_gguf", gguf_seeds), ("fuzz_packed", packed_seeds), ("fuzz_safetensors", safetensors_seeds),
                          ("fuzz_folder", folder_seeds)]:
        (corpus / target).mkdir(parents=True, exist_ok=True)
        for name, data in seeds():
            (corpus / target / name).write_bytes(data)


if __name__ == "__main__":
    main()
