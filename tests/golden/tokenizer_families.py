# SPDX-License-Identifier: MIT
"""Tokenizers of every family's published configuration, and texts to try them on.

Published tokenizer.json files can not be had without the Hub, so their configurations are: components, patterns, flags and
added tokens as the families publish them, on small vocabularies trained here (by the trainers of `tokenizers`) on text
that this script makes. SentencePiece's compiled normalization rules come out of models that it trains itself.

    tokenizer_families.py FOLDER [FAMILY ...]     writes FOLDER/FAMILY/tokenizer.json

make(name) gives one as JSON text; strings(seed, n, newer) gives random texts."""
import base64
import functools
import io
import json
import pathlib
import random
import sys
import unicodedata

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

CONTRACTIONS = "'s|'t|'re|'ve|'m|'ll|'d"
LLAMA3 = (r"(?i:" + CONTRACTIONS + r")|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)"
          r"|\s+")
QWEN2 = LLAMA3.replace("{1,3}", "")
QWEN35 = (r"(?i:" + CONTRACTIONS + r")|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+"
          r"|\s+(?!\S)|\s+")
UPPER, LOWER = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}", r"\p{Ll}\p{Lm}\p{Lo}\p{M}"


def cases(more="", end="", digits=r"\p{N}{1,3}", newlines=r"[\r\n/]*"):
    return (rf"[^\r\n\p{{L}}\p{{N}}]?[{UPPER}{more}]*[{LOWER}{more}]+{end}|[^\r\n\p{{L}}\p{{N}}]?[{UPPER}{more}]+"
            rf"[{LOWER}{more}]*{end}|{digits}| ?[^\s\p{{L}}\p{{N}}]+{newlines}|\s*[\r\n]+|\s+(?!\S)|\s+")


O200K = cases(end=f"(?i:{CONTRACTIONS})?")
KIMI = r"[\p{Han}]+|" + cases(r"&&[^\p{Han}]", f"(?i:{CONTRACTIONS})?", newlines=r"[\r\n]*")
BAILING = (r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+")
CL100K = (r"(?i:" + CONTRACTIONS + r")|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)"
          r"|\s++$|\s+")
KANA = "一-龥぀-ゟ゠-ヿ"
DEEPSEEK3 = [r"\p{N}{1,3}", f"[{KANA}]+",
             r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"""
             r"""| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"""]
DEEPSEEK_LLM = ["[\r\n]", r"\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓͰ-ͳͶͷΑ-ΡΣ-ϵЀ-ҁҊ-ԯԱ-ՖᎠ-Ᏽ]+", r"\s?[!-/:-~！-／：-～‘-‟　-。]+", r"\s+$",
                "[一-龥ࠀ-一가-퟿]+", r"\p{N}+"]
UFAKZEKA = QWEN2.split("|", 7)[-1]
K2_HORIZON = LLAMA3.replace(r"\p{L}+", r"(?:\p{L}|\p{M}|\u200c|\u200d)+")
SPARK = [*DEEPSEEK3[:2], DEEPSEEK3[2].replace(r"[\r\n]*|\s*[\r\n]+", r"|[\r\n]"), r"\p{N}"]
BLOOM = r" ?[^(\s|[.,!?…。，、।۔،])]+"
META = "▁"


# ---- text that the vocabularies are trained on ----

def words(rng, alphabet, n):
    syllables = ["".join(rng.choice(alphabet) for _ in range(rng.randint(1, 3))) for _ in range(60)]
    return ["".join(rng.choice(syllables) for _ in range(rng.randint(1, 3))) for _ in range(n)]


@functools.lru_cache
def corpus():
    """Lines of made-up language in several scripts, of code, numbers and punctuation."""
    rng = random.Random(7)
    scripts = ["abcdefghijklmnopqrstuvwxyz" + "etaoinshr" * 3, "éèàçùöüßñåøæ" + "aeiou" * 3, "абвгдежзиклмнопрстуюя",
               "αβγδεζηθικλμνξοπρστυφχψω", "日本語中文字汉漢国人大小上下", "ぁあぃいかきくけこアイウエオー", "가나다라마바사한국어",
               "अआइकखगचजटडतदनपबमयरलवशसहािीुे्", "ابتثجحخدذرزسشصضطظعغفقكلمنهوي", "กขคงจฉชซญดตถทนบปผฝพฟมยรลวสหอะาิีุู"]
    lexicon = {s: words(rng, s, 150) for s in scripts}
    lines = []
    for i in range(2500):
        script = scripts[0] if i % 3 else rng.choice(scripts)
        line = [rng.choice(lexicon[script]) for _ in range(rng.randint(3, 12))]
        if i % 5 == 0:
            line = [w.capitalize() if rng.random() < 0.3 else w.upper() if rng.random() < 0.05 else w for w in line]
        text = " ".join(line)
        if i % 4 == 0:
            text += f", it's {rng.randint(0, 10 ** rng.randint(1, 7))}{rng.choice('.!?;:)')} don't"
        if i % 11 == 0:
            text = f"{'    ' * rng.randint(0, 3)}def {line[0]}(self, x={rng.randint(0, 99)}):\n{'    ' * 2}return [{line[1]}]  # ok\n\n"
        lines.append(text)
    return lines


# ---- normalization rules of SentencePiece ----

@functools.lru_cache
def charsmap(rule):
    """precompiled_charsmap as base64, out of a model trained with that rule."""
    import sentencepiece
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(["a b c d e f"] * 20), model_writer=model, vocab_size=16,
                                             model_type="unigram", normalization_rule_name=rule, minloglevel=2,
                                             hard_vocab_limit=False)
    for field, value in fields(model.getvalue()):
        if field == 3:  # normalizer_spec
            return base64.b64encode(dict(fields(value))[2]).decode()
    raise ValueError("no normalizer_spec")


def fields(data):
    """Length-delimited fields of a protocol buffer, as (number, bytes)."""
    def varint(at):
        value = shift = 0
        while True:
            value |= (data[at] & 127) << shift
            at, shift = at + 1, shift + 7
            if data[at - 1] < 128:
                return value, at
    at = 0
    while at < len(data):
        key, at = varint(at)
        if key & 7 == 2:
            n, at = varint(at)
            yield key >> 3, data[at:at + n]
            at += n
        elif key & 7 == 0:
            _, at = varint(at)
        else:
            at += 4 if key & 7 == 5 else 8


# ---- building ----

def added(text, **flags):
    return AddedToken(text, **{"special": False, "normalized": False, **flags})


def special(*texts, **flags):
    return [AddedToken(t, special=True, **{"normalized": False, **flags}) for t in texts]


def finish(t, decoder, tokens, post, edit):
    """What follows a model: decoder, added tokens, post-processor, and what only the JSON can say."""
    if decoder:
        t.decoder = decoder
    for token in tokens:
        t.add_special_tokens([token]) if token.special else t.add_tokens([token])
    if post:
        t.post_processor = post(t)
    data = json.loads(t.to_str())
    if edit:
        edit(data)
    return json.dumps(data, ensure_ascii=False)


def train(model, trainer, normalizer=None, pre=None, post=None, decoder=None, tokens=(), edit=None, lines=None):
    t = Tokenizer(model)
    if normalizer:
        t.normalizer = normalizer
    if pre:
        t.pre_tokenizer = pre
    t.train_from_iterator(lines or corpus(), trainer)
    return finish(t, decoder, tokens, post, edit)


def byte_bpe(pre, normalizer=None, tokens=("<|endoftext|>",), size=1200, ignore_merges=False, bos=None, more=()):
    """GPT-2's kind: bytes, cut by pre, which ByteLevel ends."""
    def edit(data):
        data["model"]["ignore_merges"] = ignore_merges
    post = template(bos, None) if bos else lambda t: processors.ByteLevel(trim_offsets=False)
    return train(models.BPE(), trainers.BpeTrainer(vocab_size=size, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                                                   show_progress=False),
                 normalizer, pre, post, decoders.ByteLevel(), [*special(*tokens), *more], edit)


def template(bos, eos):
    def make_it(t):
        single = " ".join(filter(None, [bos, "$A", eos]))
        return processors.TemplateProcessing(single=single, special_tokens=[(x, t.token_to_id(x)) for x in (bos, eos) if x])
    return make_it


def split(pattern, behavior="isolated", invert=False):
    return pre_tokenizers.Split(Regex(pattern), behavior, invert)


def bytes_after(*steps):
    return pre_tokenizers.Sequence([*steps, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def gpt2_bytes(**k):
    return pre_tokenizers.ByteLevel(**{"add_prefix_space": False, **k})


def sentencepiece_bpe(normalizer, pre=None, decoder=None, tokens=(), fallback=True, fuse=True, post=None, edit=None):
    """Llama's and Gemma's kind: characters, with tokens for bytes."""
    t = Tokenizer(models.BPE())
    if normalizer:
        t.normalizer = normalizer
    if pre:
        t.pre_tokenizer = pre
    lines = [line for line in corpus() if all(ord(c) < 0x3000 for c in line)]  # no tokens for ideographs
    # Words are merged apart, as SentencePiece does it: the trainer needs a pre-tokenizer for that.
    trained = Tokenizer(models.BPE())
    trained.normalizer = normalizers.Replace(" ", META)
    trained.pre_tokenizer = pre_tokenizers.Split(META, "merged_with_next")
    trained.train_from_iterator(lines, trainers.BpeTrainer(vocab_size=1200, show_progress=False))
    model = json.loads(trained.to_str())["model"]
    vocab = {t: i for i, t in enumerate(["<unk>", "<s>", "</s>"])}
    if fallback:
        for i in range(256):
            vocab[f"<0x{i:02X}>"] = len(vocab)
    for token, _ in sorted(model["vocab"].items(), key=lambda x: x[1]):
        vocab.setdefault(token, len(vocab))
    data = json.loads(t.to_str())
    data["model"] = {**model, "vocab": vocab, "unk_token": "<unk>", "fuse_unk": fuse, "byte_fallback": fallback}
    t = Tokenizer.from_str(json.dumps(data))
    return finish(t, decoder, [*special("<unk>", "<s>", "</s>"), *tokens], post, edit)


def llama_decoder(strip=True):
    return decoders.Sequence([decoders.Replace(META, " "), decoders.ByteFallback(), decoders.Fuse()]
                             + ([decoders.Strip(" ", 1, 0)] if strip else []))


def unigram(normalizer, pre, decoder, tokens=(), post=None, edit=None, unk="<unk>"):
    return train(models.Unigram(), trainers.UnigramTrainer(vocab_size=1200, show_progress=False, unk_token=unk,
                                                           special_tokens=[unk, "<pad>", "</s>"]),
                 normalizer, pre, post, decoder, tokens, edit)


def precompiled(rule):
    return normalizers.Precompiled(base64.b64decode(charsmap(rule)))


def with_bytes(data):
    """A Unigram model with a token for each byte."""
    data["model"]["byte_fallback"] = True
    data["model"]["vocab"] += [[f"<0x{i:02X}>", -30.0] for i in range(256)]


def bert(cased, cleanup=True):
    return train(models.WordPiece(unk_token="[UNK]"),
                 trainers.WordPieceTrainer(vocab_size=1200, show_progress=False,
                                           special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]),
                 normalizers.BertNormalizer(lowercase=not cased), pre_tokenizers.BertPreTokenizer(),
                 lambda t: processors.BertProcessing(("[SEP]", t.token_to_id("[SEP]")), ("[CLS]", t.token_to_id("[CLS]"))),
                 decoders.WordPiece(cleanup=cleanup))


def spaces_tokens(normalized):
    """Runs of spaces as added tokens: GPT-NeoX, Phi, OLMo."""
    return [added(" " * n, normalized=normalized) for n in range(24, 1, -1)]


def clip():
    return train(models.BPE(unk_token="<|endoftext|>", end_of_word_suffix="</w>"),
                 trainers.BpeTrainer(vocab_size=1200, end_of_word_suffix="</w>", show_progress=False,
                                     initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                                     special_tokens=["<|startoftext|>", "<|endoftext|>"]),
                 normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]),
                 pre_tokenizers.Sequence([split(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+", "removed", True),
                                          pre_tokenizers.ByteLevel(add_prefix_space=False)]),
                 lambda t: processors.RobertaProcessing(("<|endoftext|>", t.token_to_id("<|endoftext|>")),
                                                        ("<|startoftext|>", t.token_to_id("<|startoftext|>"))),
                 decoders.ByteLevel())


def gpt1():
    return train(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"),
                 trainers.BpeTrainer(vocab_size=1200, end_of_word_suffix="</w>", show_progress=False, special_tokens=["<unk>"]),
                 normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer(), None, decoders.BPEDecoder("</w>"))


def prefixed_bpe():
    return train(models.BPE(unk_token="[UNK]", continuing_subword_prefix="##", fuse_unk=True),
                 trainers.BpeTrainer(vocab_size=1200, continuing_subword_prefix="##", show_progress=False,
                                     special_tokens=["[UNK]"]),
                 normalizers.NFKD(), pre_tokenizers.Whitespace(), None, decoders.WordPiece("##", False))


def wordlevel(pre, normalizer=None, decoder=None):
    return train(models.WordLevel(unk_token="[UNK]"), trainers.WordLevelTrainer(vocab_size=1200, show_progress=False,
                                                                                special_tokens=["[UNK]"]),
                 normalizer, pre, None, decoder)


def wav2vec():
    return train(models.WordLevel(unk_token="<unk>"),
                 trainers.WordLevelTrainer(special_tokens=["<pad>", "<unk>", "|"], show_progress=False),
                 normalizers.Sequence([normalizers.Lowercase(), normalizers.Replace(" ", "|")]),
                 pre_tokenizers.Split(Regex("."), "isolated"), None, decoders.CTC("<pad>", "|", True))


def odd_added():
    """Added tokens with every flag, inside and outside the model's vocabulary, some normalized."""
    more = [added("<mask>", lstrip=True, special=True), added("<r>", rstrip=True), added("<b>", lstrip=True, rstrip=True),
            added("word", single_word=True), added("Ein", normalized=True), added("naïve", normalized=True),
            added("<n>", normalized=True, special=True), added("ab", single_word=True, lstrip=True),
            added("a", single_word=True), added("<|x|>y"), added("  "), added("é", normalized=True, single_word=True)]
    return byte_bpe(gpt2_bytes(add_prefix_space=True), normalizers.Sequence([normalizers.NFD(), normalizers.Lowercase()]),
                    ("<|endoftext|>", "<|x|>"), more=more)


def behaviors(behavior, invert):
    return byte_bpe(bytes_after(split(r"\s+|\d", behavior, invert)), size=600)


XLNET = [normalizers.Replace("``", '"'), normalizers.Replace("''", '"'), normalizers.NFKD(), normalizers.StripAccents()]
DIGITS = pre_tokenizers.Digits(individual_digits=True)

FAMILIES = {
    "gpt2": lambda: byte_bpe(gpt2_bytes()),
    "roberta": lambda: byte_bpe(gpt2_bytes(add_prefix_space=True), tokens=("<s>", "</s>", "<pad>"),
                                more=special("<mask>", lstrip=True)),
    "llama3": lambda: byte_bpe(bytes_after(split(LLAMA3)), tokens=("<|begin_of_text|>", "<|eot_id|>"), ignore_merges=True,
                               bos="<|begin_of_text|>"),
    "qwen2": lambda: byte_bpe(bytes_after(split(QWEN2)), normalizers.NFC(), ("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
                              more=[added("<tool_call>"), added("</tool_call>")]),
    "qwen3.5": lambda: byte_bpe(bytes_after(split(QWEN35)), normalizers.NFC()),
    "deepseek-llm": lambda: byte_bpe(bytes_after(*map(split, DEEPSEEK_LLM), DIGITS), tokens=("<｜begin▁of▁sentence｜>",),
                                     more=[added("ø", normalized=True)]),
    "deepseek-v3": lambda: byte_bpe(bytes_after(*map(split, DEEPSEEK3)), tokens=("<｜begin▁of▁sentence｜>", "<｜User｜>"),
                                    bos="<｜begin▁of▁sentence｜>"),
    "spark2.5": lambda: byte_bpe(bytes_after(*map(split, SPARK))),
    "ufakzeka": lambda: byte_bpe(bytes_after(split(UFAKZEKA))),
    "k2-horizon": lambda: byte_bpe(bytes_after(split(K2_HORIZON))),
    "tekken": lambda: byte_bpe(bytes_after(split(cases(digits=r"\p{N}"))), tokens=("<s>", "[INST]", "[/INST]"),
                               ignore_merges=True, bos="<s>"),
    "gpt-4o": lambda: byte_bpe(bytes_after(split(O200K))),
    "cl100k": lambda: byte_bpe(bytes_after(split(CL100K))),
    "kimi-k2": lambda: byte_bpe(bytes_after(split(KIMI))),
    "bailing": lambda: byte_bpe(bytes_after(split(BAILING))),
    "tiny-aya": lambda: byte_bpe(bytes_after(split(r"\d{1,3}(?=(?:\d{3})*\b)"), split(O200K)), normalizers.NFC()),
    "superbpe": lambda: byte_bpe(bytes_after(split(r"\p{N}+"), split(r"(?=(\d{3})+(?!\d))", "merged_with_next"))),
    "superbpe-isolated": lambda: byte_bpe(bytes_after(split(r"\p{N}+"), split(r"(?=(\d{3})+(?!\d))"))),
    "falcon": lambda: byte_bpe(pre_tokenizers.Sequence([
        pre_tokenizers.Punctuation("contiguous"), pre_tokenizers.ByteLevel(add_prefix_space=False),
        pre_tokenizers.Digits(False), split("[0-9][0-9][0-9]")])),
    "starcoder": lambda: byte_bpe(pre_tokenizers.Sequence([DIGITS, gpt2_bytes()]), tokens=("<|endoftext|>", "<fim_prefix>")),
    "command-r": lambda: byte_bpe(pre_tokenizers.Sequence([DIGITS, gpt2_bytes()]), normalizers.NFC(), ("<BOS_TOKEN>",),
                                  bos="<BOS_TOKEN>"),
    "phi": lambda: byte_bpe(gpt2_bytes(), more=spaces_tokens(False)),
    "gpt-neox": lambda: byte_bpe(gpt2_bytes(), normalizers.NFC(), more=spaces_tokens(True)),
    "olmo": lambda: byte_bpe(gpt2_bytes(), normalizers.NFC(), ("<|endoftext|>", "<|padding|>"), more=spaces_tokens(False)),
    "stablelm2": lambda: byte_bpe(bytes_after(split(QWEN2)), normalizers.NFC()),
    "glm4": lambda: byte_bpe(bytes_after(split(LLAMA3)), tokens=("[gMASK]", "<sop>", "<|user|>")),
    "smollm3": lambda: byte_bpe(bytes_after(split(LLAMA3)), tokens=("<|im_start|>", "<|im_end|>"),
                                more=[added("<think>"), added("</think>")]),
    "granite": lambda: byte_bpe(pre_tokenizers.Sequence([DIGITS, gpt2_bytes()]), tokens=("<|end_of_text|>",)),
    "bloom": lambda: byte_bpe(bytes_after(split(BLOOM)), tokens=("<s>", "</s>")),
    "llama2": lambda: sentencepiece_bpe(normalizers.Sequence([normalizers.Prepend(META), normalizers.Replace(" ", META)]),
                                        decoder=llama_decoder(), post=template("<s>", None)),
    "llama2-metaspace": lambda: sentencepiece_bpe(None, pre_tokenizers.Metaspace(META, "first", False), llama_decoder(),
                                                  post=template("<s>", None)),
    "mistral-v1": lambda: sentencepiece_bpe(None, pre_tokenizers.Metaspace(META, "always", False), llama_decoder(),
                                            [added("[INST]"), added("[/INST]", rstrip=True)]),
    "gemma": lambda: sentencepiece_bpe(normalizers.Replace(" ", META), pre_tokenizers.Split(" ", "merged_with_previous"),
                                       llama_decoder(False), [added("\n" * n) for n in range(8, 1, -1)]
                                       + [added(META * n) for n in range(12, 1, -1)] + special("<start_of_turn>"),
                                       post=template("<s>", None)),
    "phi-3": lambda: sentencepiece_bpe(normalizers.Sequence([normalizers.Prepend(META), normalizers.Replace(" ", META)]),
                                       decoder=llama_decoder(),
                                       tokens=special("<|endoftext|>", "<|assistant|>", "<|user|>", rstrip=True)),
    "spm-unk": lambda: sentencepiece_bpe(normalizers.Replace(" ", META), fallback=False, fuse=False,
                                         decoder=decoders.Metaspace(META, "never")),
    "spm-unk-fused": lambda: sentencepiece_bpe(normalizers.Replace(" ", META), fallback=False,
                                               decoder=decoders.Metaspace(META, "always")),
    "t5": lambda: unigram(precompiled("nmt_nfkc"), pre_tokenizers.Metaspace(META, "always"), decoders.Metaspace(META, "always"),
                          [*special("<extra_id_0>", "<extra_id_1>", lstrip=True)], template(None, "</s>")),
    "xlm-r": lambda: unigram(precompiled("nmt_nfkc"), pre_tokenizers.Sequence([
        pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(META, "always")]), decoders.Metaspace(META, "always"),
        special("<mask>", lstrip=True)),
    "xlnet": lambda: unigram(normalizers.Sequence([*XLNET, precompiled("nmt_nfkc"), normalizers.Replace(Regex(" {2,}"), " ")]),
                             pre_tokenizers.Metaspace(META, "always"), decoders.Metaspace(META, "always")),
    "albert": lambda: unigram(normalizers.Sequence([*XLNET, normalizers.Lowercase(), precompiled("nmt_nfkc_cf"),
                                                    normalizers.Strip(), normalizers.Replace(Regex(" {2,}"), " ")]),
                              pre_tokenizers.Metaspace(META, "always"), decoders.Metaspace(META, "always")),
    "unigram-bytes": lambda: unigram(normalizers.Nmt(), pre_tokenizers.Metaspace(META, "first"),
                                     decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(META, "first")]),
                                     edit=with_bytes),
    "unigram-whole": lambda: unigram(normalizers.Replace(" ", META), None, decoders.Metaspace(META, "never")),
    "bert-uncased": lambda: bert(False),
    "bert-cased": lambda: bert(True, False),
    "gpt1": gpt1,
    "clip": clip,
    "bpe-prefix": prefixed_bpe,
    "wordlevel": lambda: wordlevel(pre_tokenizers.Whitespace()),
    "wordlevel-scripts": lambda: wordlevel(pre_tokenizers.UnicodeScripts()),
    "wordlevel-fixed": lambda: wordlevel(pre_tokenizers.FixedLength(3)),
    "wordlevel-chars": lambda: wordlevel(pre_tokenizers.CharDelimiterSplit("e")),
    "wav2vec2": wav2vec,
    "added-flags": odd_added,
    **{f"split-{b}{'-inverted' if i else ''}": functools.partial(behaviors, b, i)
       for b in ("removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous") for i in (False, True)},
}


@functools.lru_cache
def make(name):
    return FAMILIES[name]()


# ---- texts ----

@functools.lru_cache
def newer():
    """Characters for which the library's tables are older than Unicode as Python has it: new since Unicode 8 or 9 (its
    normal forms, its classes of marks and punctuation), or moved to another class."""
    forms = {n: getattr(normalizers, n)() for n in ("NFC", "NFD", "NFKC", "NFKD")}
    strip, accents = normalizers.StripAccents(), normalizers.BertNormalizer(False, False, True, False)
    clean, punctuation = normalizers.BertNormalizer(True, False, False, False), pre_tokenizers.Punctuation()
    found = set()
    for code in assigned():
        c = chr(code)
        category, text = unicodedata.category(c), f"a\u0327{c}\u0301"
        if (any(f.normalize_str(text) != unicodedata.normalize(n, text) for n, f in forms.items())
                or (strip.normalize_str(c) == "") != category.startswith("M")
                or (accents.normalize_str(unicodedata.normalize("NFC", c)) == "") != (unicodedata.normalize("NFD", c) != ""
                    and all(unicodedata.category(x) == "Mn" for x in unicodedata.normalize("NFD", c)))
                or (clean.normalize_str(c) == "") != (category in ("Cc", "Cf", "Co", "Cs") and c not in "\t\n\r" or c in "\0\ufffd")
                or (len(punctuation.pre_tokenize_str(f"a{c}")) == 2) != (category.startswith("P") or c in "$+<=>^`|~")):
            found.add(c)
    return frozenset(found)


@functools.lru_cache
def assigned():
    return [c for c in range(0x110000) if unicodedata.category(chr(c)) not in ("Cn", "Cs")
            and not (0x3500 < c < 0x4d00 or 0x4f00 < c < 0x9f00 or 0xad00 < c < 0xd700 or 0x20100 < c < 0x2f700
                     or 0xe100 < c < 0xf800 or c > 0xf0100)]  # a few of the many ideographs and private ones do


OLD_SCRIPTS = [(0x21, 0x7e), (0xc0, 0x17f), (0x391, 0x3a1), (0x410, 0x44f), (0x5d0, 0x5ea), (0x621, 0x63a), (0x905, 0x939),
               (0xe01, 0xe2e), (0x3041, 0x3096), (0x30a1, 0x30fc), (0x4e00, 0x4eff), (0xac00, 0xacff), (0x2010, 0x2027), (0x20, 0x20)]
EMOJI = ["😀", "👍🏽", "👩‍👩‍👧‍👦", "🇩🇪", "❤️", "1️⃣", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "👨🏿‍🚀", "☕", "🫠"]
PIECES = ["'s", "'LL", "don't", "  ", "\n", "\r\n", "\t", " \n ", "1234567", "3.14", "x=1;", "//", "``", "''", "<mask>", "<b>", " <r> ",
          "word", "Ein", "naïve", "<n>", "<|x|>y", "[INST]", "▁", "▁▁", "<0x41>", "<unk>", "##", "</w>", "．", "ﬁ", "Å", "가각", "ﾊﾟ",
          "ſ", "İ", "ß", "µ", "½", "²", "٣", "क्षि", "\u200d", "\u200b", "\ufeff", "\u00a0", "\u3000", "\u2028", "\x85", "\0", "\x1b",
          "\x7f", "\ufffd", "<tool_call>", "<think>", "ab", "a", "é", "é"]


def one(rng, lexicon, chars):
    kind = rng.randrange(9)
    if kind == 0:
        return "".join(rng.choice(chars) for _ in range(rng.randint(1, 12)))
    if kind == 1:
        return rng.choice(EMOJI) * rng.randint(1, 3)
    if kind == 2:
        return "".join(rng.choice("0123456789") for _ in range(rng.randint(1, 30)))
    if kind == 3:
        return rng.choice([" ", "\n", "\t", "\r\n", "\u3000", "\u00a0"]) * rng.randint(1, 12)
    if kind == 4:
        return rng.choice("aeéκ가क") + "".join(rng.choice("\u0301\u0327\u0308\u0323\u064b\u093f\u3099\u0345")
                                               for _ in range(rng.randint(1, 6)))
    if kind == 5:
        return "".join(chr(rng.randrange(0x21)) for _ in range(rng.randint(1, 3)))
    if kind == 6:
        return rng.choice(PIECES)
    return rng.choice(("", " ", "  ")) + rng.choice(lexicon)


def strings(seed, n, name=""):
    """n random texts for a family."""
    rng = random.Random(f"{seed} {name}")
    if name == "wordlevel-scripts":  # the library's table of scripts is older still, and Python has none
        chars = [chr(c) for a, b in OLD_SCRIPTS for c in range(a, b + 1)]
        lexicon = [w for line in corpus()[::7] for w in line.split()]
        for _ in range(n):
            yield "".join(rng.choice(chars) * rng.randint(1, 3) if rng.random() < 0.6 else " " + rng.choice(lexicon)
                          for _ in range(rng.randint(0, 10)))
        return
    out = newer()
    chars = [chr(c) for c in assigned() if chr(c) not in out]
    lexicon = [w for line in corpus()[::7] for w in line.split(" ")]
    for _ in range(n):
        yield "".join(one(rng, lexicon, chars) for _ in range(rng.randint(0, 7)))


def main():
    folder = pathlib.Path(sys.argv[1])
    for name in sys.argv[2:] or FAMILIES:
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / "tokenizer.json").write_text(make(name), encoding="utf-8")


if __name__ == "__main__":
    main()
