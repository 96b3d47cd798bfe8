# SPDX-License-Identifier: MIT
"""The types of the key/value cache: what they take, how near they are to f32, and that results stay independent of how
they are computed."""
import numpy
import pytest

from quantllm import turbo

BYTES = {"f32": 8, "f16": 4, "q8": 3, "q4": 1.5}  # of a dimension of a key and a value
TEXT = "The lighthouse keeper climbed the stairs every evening, and wrote down the names of the ships that passed. " * 4


@pytest.mark.parametrize("kind", BYTES)
def test_sizes_and_names(smollm, kind):
    """SmolLM2: 30 layers, 3 heads of 64 dimensions."""
    with turbo(smollm, verbose=False, kv_cache=kind.upper(), max_length=4096) as model:
        report = model.report()
    scales = 8 if kind in ("q8", "q4") else 0
    expected = 4096 * 30 * 3 * (64 * BYTES[kind] + scales)
    assert report["kv_cache"] == kind
    assert expected <= report["kv_bytes"] < 1.01 * expected


def test_the_default(tiny):
    for options, expected in (({}, "q8"), ({"kv_cache": "auto", "quantization": "F32"}, "f32"),
                              ({"kv_cache": "q8", "quantization": "F32"}, "q8")):
        with turbo(tiny, verbose=False, **options) as model:
            assert model.report()["kv_cache"] == expected


@pytest.mark.parametrize("wrong, error", [("q9", ValueError), ("", ValueError), (8, TypeError)])
def test_wrong_types_are_named(tiny, wrong, error):
    with pytest.raises(error, match="kv_cache"):
        turbo(tiny, verbose=False, kv_cache=wrong)


@pytest.mark.parametrize("kind", BYTES)
def test_one_answer(tiny, kind):
    """One or three threads, a list or alone, with drafts or without."""
    prompts = [TEXT[:230], TEXT[:100], "A", TEXT[50:200]]
    texts = []
    for options in ({"threads": 1}, {"threads": 3}, {"speculation": False}):
        with turbo(tiny, verbose=False, kv_cache=kind, **options) as model:
            texts.append([model.generate(p, max_new_tokens=20, seed=1) for p in prompts])
            assert model.generate(prompts, max_new_tokens=20, seed=1) == texts[-1]
    assert texts[0] == texts[1] == texts[2]


def log_softmax(rows):
    rows = rows.astype(numpy.float64)
    rows -= rows.max(axis=1, keepdims=True)
    return rows - numpy.log(numpy.exp(rows).sum(axis=1, keepdims=True))


def test_how_near_to_f32(smollm):
    """Mean Kullback-Leibler divergence from the f32 cache, with weights and activations in f32 too: those of 8 bits round
    otherwise after the smallest difference, which costs more than halves and q8 do (6e-4). q4 is what 4 bits cost."""
    rows = {}
    for kind in BYTES:
        with turbo(smollm, quantization="F32", verbose=False, kv_cache=kind) as model:
            ids = model.tokenizer.encode(TEXT)[:96]
            rows[kind] = log_softmax(numpy.asarray(model.logits(ids))[8::8])  # [11, n_vocab]
    for kind, most in (("f16", 2e-5), ("q8", 3e-4), ("q4", 3e-2)):
        mean = (numpy.exp(rows["f32"]) * (rows["f32"] - rows[kind])).sum(axis=1).mean()
        print(f"{kind}: KL {mean:.1e}")
        assert 0 <= mean + 1e-9 and mean < most
