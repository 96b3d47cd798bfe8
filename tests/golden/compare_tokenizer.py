#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares our tokenizer with Hugging Face's `tokenizers`, built from the same GGUF file: a long-run test.

    python tests/golden/compare_tokenizer.py --library build/libquantllm.so [--count 100000] FILE.gguf ...

Needs the PyPI packages gguf and tokenizers. Code points that this Python's Unicode does not know are left out: the
regular expression engines know different versions. The reference's NFC (Qwen2) is of an older Unicode than ours, too:
a text in 70,000 differs by the order of newer combining marks.
"""
import argparse
import ctypes
import random
import sys
import unicodedata

import gguf
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

PARSE_SPECIAL = 2
CONTRACTIONS = "'s|'t|'re|'ve|'m|'ll|'d"
LLAMA3 = ("(?i:" + CONTRACTIONS + r")|[^\r\n\p{L}\p{N}]?\p{L}+|DIGITS| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
          r"|\s+(?!\S)|\s+")
GPT2 = CONTRACTIONS + r"| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
CJK = "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"


def ranges(text):
    """'41-5a b5' -> a character class."""
    return "".join("-".join(chr(int(end, 16)) for end in item.split("-")) for item in text.split())


CASED = ranges(
    "41-5a 61-7a b5 c0-d6 d8-f6 f8-1ba 1bc-1bf 1c4-293 295-2af 370-373 376 377 37b-37d 37f 386 388-38a 38c 38e-3a1 "
    "3a3-3f5 3f7-481 48a-52f 531-556 10a0-10c5 13a0-13f5 13f8-13fd 1c90-1cba 1cbd-1cbf 1d00-1d2b 1d6b-1d77 1d79-1d9a "
    "1e00-1f15 1f18-1f1d 1f20-1f45 1f48-1f4d 1f50-1f57 1f59 1f5b 1f5d 1f5f-1f7d 1f80-1fb4 1fb6-1fbc 1fbe 1fc2-1fc4 "
    "1fc6-1fcc 1fd0-1fd3 1fd6-1fdb 1fe0-1fec 1ff2-1ff4 1ff6-1ffc 2102 2107 210a-2113 2115 2119-211d 2124 2126 2128 "
    "212a-212d 212f-2134 2139 213c-213f 2145-2149 214e 2183 2184 2c00-2c7b 2c7e-2ce4 2ceb-2cee 2cf2 2cf3 a640-a66d "
    "a680-a69b a722-a76f a771-a787 a78b-a78e ab70-abbf fb00-fb06 fb13-fb17 ff21-ff3a ff41-ff5a 10400-1044f 104b0-104d3 "
    "104d8-104fb 10c80-10cb2 10cc0-10cf2 118a0-118df 1e900-1e943")


def split(pattern):
    return pre_tokenizers.Split(Regex(pattern), "isolated")


def pre_tokenizer(pre):
    plain = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    gpt2 = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    digits = pre_tokenizers.Digits(individual_digits=True)
    steps = {
        "gpt-2": [gpt2],
        "smollm": [digits, gpt2],
        "llama-bpe": [split(LLAMA3.replace("DIGITS", r"\p{N}{1,3}")), plain],
        "qwen2": [split(LLAMA3.replace("DIGITS", r"\p{N}")), plain],
        "deepseek-llm": [split("[\r\n]"), split(r"\s?[" + CASED + "]+"),
                         split(r"\s?[!-/:-~" + ranges("ff01-ff0f ff1a-ff5e 2018-201f 3000-3002") + "]+"),
                         split(r"\s+$"), split(CJK), digits, plain],
        "deepseek-coder": [split("[\r\n]"), split(r"\s?\p{L}+"), split(r"\s?\p{P}+"), split(CJK), digits, plain],
        None: [split(r"[\p{P}\$\+<=>\^~\|]+"), split(GPT2), split(r"\p{N}+"), split("[0-9][0-9][0-9]"), plain],
    }
    return pre_tokenizers.Sequence(steps[pre])


def merges_from_scores(tokens, scores, types):
    """As the conversion of SentencePiece models to tokenizer.json does it."""
    vocab = {token: i for i, token in enumerate(tokens)}
    merges = []
    for token, score in zip(tokens, scores):
        parts = [(token[:i], token[i:]) for i in range(1, len(token))]
        parts = sorted((p for p in parts if p[0] in vocab and p[1] in vocab), key=lambda p: (vocab[p[0]], vocab[p[1]]))
        merges += [(score, part) for part in parts]
    return [part for _, part in sorted(merges, key=lambda m: m[0], reverse=True)]


class Reference:
    def __init__(self, path):
        fields = gguf.GGUFReader(path).fields

        def get(key, default=None):
            return fields["tokenizer.ggml." + key].contents() if "tokenizer.ggml." + key in fields else default

        self.tokens, self.types = get("tokens"), get("token_type")
        self.is_spm, pre = get("model") == "llama", get("pre")
        vocab = {token: i for i, token in enumerate(self.tokens)}
        if self.is_spm:
            merges = merges_from_scores(self.tokens, get("scores"), self.types)
            self.hf = Tokenizer(models.BPE(vocab=vocab, merges=merges, byte_fallback=True, fuse_unk=True,
                                           unk_token="<unk>"))
            self.hf.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
            self.hf.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                                 decoders.Strip(" ", 1, 0)])
        else:
            merges = [tuple(merge.split(" ")) for merge in get("merges")]
            self.hf = Tokenizer(models.BPE(vocab=vocab, merges=merges, ignore_merges=pre == "llama-bpe"))
            self.hf.pre_tokenizer = pre_tokenizer(pre)
            self.hf.decoder = decoders.ByteLevel()
            if pre == "qwen2":
                self.hf.normalizer = normalizers.NFC()
        typed = list(zip(self.tokens, self.types))
        special = [AddedToken(t, special=True, normalized=False) for t, kind in typed if kind in (2, 3)]
        user = [AddedToken(t, special=False, normalized=False) for t, kind in typed if kind == 4]
        self.specials = [t.content for t in special + user]
        self.hf_plain = Tokenizer.from_str(self.hf.to_str())
        self.hf_plain.add_tokens(user)
        self.hf.add_special_tokens(special)
        self.hf.add_tokens(user)


class Ours:
    class Error(ctypes.Structure):
        _fields_ = [("code", ctypes.c_int), ("message", ctypes.c_char * 1024)]

    def __init__(self, library, path):
        self.lib = lib = ctypes.CDLL(library)
        void, size = ctypes.c_void_p, ctypes.c_size_t
        lib.ql_tokenizer_open.restype, lib.ql_tokenizer_open.argtypes = void, [ctypes.c_char_p, void]
        lib.ql_tokenize.argtypes = [void, ctypes.c_char_p, size, ctypes.c_uint, void, void, void]
        lib.ql_detokenize.argtypes = [void, void, size, ctypes.c_uint, void, void, void]
        lib.ql_free.argtypes = [void]
        self.error = self.Error()
        self.handle = self.lib.ql_tokenizer_open(path.encode(), ctypes.byref(self.error))
        if not self.handle:
            sys.exit(self.error.message.decode())

    def check(self, code):
        if code:
            raise ValueError(self.error.message.decode())

    def encode(self, text, flags):
        data = text.encode()
        ids, n = ctypes.POINTER(ctypes.c_int32)(), ctypes.c_size_t()
        self.check(self.lib.ql_tokenize(self.handle, data, len(data), flags, ctypes.byref(ids), ctypes.byref(n),
                                        ctypes.byref(self.error)))
        out = ids[:n.value]
        self.lib.ql_free(ids)
        return out

    def decode(self, ids):
        array = (ctypes.c_int32 * len(ids))(*ids)
        text, n = ctypes.c_void_p(), ctypes.c_size_t()
        self.check(self.lib.ql_detokenize(self.handle, array, len(ids), 0, ctypes.byref(text), ctypes.byref(n),
                                          ctypes.byref(self.error)))
        out = ctypes.string_at(text, n.value).decode()
        self.lib.ql_free(text)
        return out


def known(c):
    return unicodedata.category(chr(c)) not in ("Cn", "Cs")


def code_points(rng):
    """All assigned code points, of the large uniform blocks a sample."""
    for c in range(0x110000):
        if known(c) and (c < 0x3400 or 0xa000 <= c < 0xac00 or 0xf900 <= c < 0x20000 or rng.random() < 0.02):
            yield chr(c)


CONTEXTS = ["{}", "a{}b", " {} 1{}", "'{}{}'", "  {}\n {}  .", "{0}{0}{0}", "1{}s'{}"]
ALPHABETS = [" \t\n\r\u00a0\u2003\u3000\u0085\u180e\u200b\ufeffa1.", "'sStTrReEvVmMlLdD\u017f ",
             "0123456789\u00b2\u0663\u2167 a,",
             "abcxyz ", "aaab ", "  \n\n.x", "ab\u0301\u0308\u0327e\u00e9 \u1100\u1161\u11a8", "=-#*_/<>|[]() ",
             "\u4e00\u9fa5\u9fa6\u3042\u30ab\uac00\ud7a3\u3002\uff01 a", "\U0001f600\u200d\ufe0f\U0001f3fd\u2764 !"]


def random_text(rng, pool, points):
    kind = rng.random()
    if kind < 0.4:
        return "".join(rng.choice(pool) for _ in range(rng.randint(1, 12)))
    if kind < 0.7:
        alphabet = rng.choice(ALPHABETS)
        return "".join(rng.choice(alphabet) for _ in range(rng.randint(1, 40)))
    if kind < 0.85:
        mixed = "".join(rng.sample(ALPHABETS, 3))
        return "".join(rng.choice(mixed) for _ in range(rng.randint(1, 120)))
    return "".join(rng.choice(points) for _ in range(rng.randint(1, 20)))


def compare(path, library, count, seed):
    reference, ours, rng = Reference(path), Ours(library, path), random.Random(seed)
    points = list(code_points(rng))
    pool = [reference.hf.decode([i]) for i, kind in enumerate(reference.types) if kind == 1]
    pool = [t for t in pool if t and "\ufffd" not in t and all(known(ord(c)) for c in t)]
    if reference.is_spm:
        pool += [" " + t for t in pool]
    done = bad = 0

    def check(text, special=False):
        nonlocal done, bad
        done += 1
        expected = (reference.hf if special else reference.hf_plain).encode(text, add_special_tokens=False).ids
        got = ours.encode(text, PARSE_SPECIAL if special else 0)
        if got != expected:
            bad += 1
            if bad <= 10:
                print(f"  encode {text!a} special={special}\n    expected {expected}\n    got      {got}")

    for point in points:
        for context in CONTEXTS:
            check(context.format(point, point))
    for _ in range(count):
        check(random_text(rng, pool, points))
    for _ in range(count // 10):
        parts = [rng.choice(reference.specials) if rng.random() < 0.4 else random_text(rng, pool, points)
                 for _ in range(rng.randint(1, 5))]
        check("".join(parts), special=True)
        check("".join(part[:rng.randint(1, len(part))] for part in parts), special=True)
    # Byte tokens apart: of a broken sequence the reference replaces all bytes, we, as streaming must, what is broken.
    ids = [i for i, kind in enumerate(reference.types) if kind not in (4, 6)]
    for _ in range(count // 10):
        some = [rng.choice(ids) for _ in range(rng.randint(1, 30))]
        if rng.random() < 0.5:
            some = ours.encode(random_text(rng, pool, points), 0)
            some = [i for i in some if reference.types[i] != 4]  # the reference takes DeepSeek's "ø" for a byte
        done += 1
        expected, got = reference.hf.decode(some, skip_special_tokens=False), ours.decode(some)
        if got != expected:
            bad += 1
            if bad <= 10:
                print(f"  decode {some}\n    expected {expected!a}\n    got      {got!a}")
    print(f"{path}: {done} compared, {bad} differ", flush=True)
    return bad


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", required=True)
    parser.add_argument("--count", type=int, default=100000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("files", nargs="+")
    args = parser.parse_args()
    return 1 if sum(compare(path, args.library, args.count, args.seed) for path in args.files) else 0


if __name__ == "__main__":
    sys.exit(main())
