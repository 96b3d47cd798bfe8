# SPDX-License-Identifier: MIT
"""Speculation changes the time of a text and nothing else: every text is that of plain decoding, to the byte."""
import random

import pytest

from quantllm import turbo

COPY = "Repeat: " + ", ".join(f"item {i} of {7 * i % 23}" for i in range(10)) + "\nAgain: item 0 of 0, item 1 of"
JSON = "".join(f'{{"id": {i}, "ok": true}}\n' for i in range(7)) + '{"id": 7,'
PROMPTS = [COPY, JSON, "Once upon a time", "1 2 3 1 2 3 1 2", "aaaaaaaaaaaaaaaaaaaaaaaa"]
PARAMETERS = [
    {"do_sample": False, "repetition_penalty": 1.0},
    {"do_sample": False, "repetition_penalty": 1.3},
    {"seed": 5},
    {"seed": 6, "temperature": 1.5, "top_k": 0, "top_p": 1.0, "frequency_penalty": 0.5, "presence_penalty": 0.5},
    {"do_sample": False, "repetition_penalty": 1.0, "stop_strings": [", item 1", "7"]},
]


@pytest.fixture(scope="module")
def pair(tiny):
    with turbo(tiny, verbose=False) as quick, turbo(tiny, verbose=False, speculation=False) as plain:
        yield quick, plain


@pytest.fixture(scope="module")
def real_pair(smollm):
    with turbo(smollm, verbose=False) as quick, turbo(smollm, verbose=False, speculation=False) as plain:
        yield quick, plain


@pytest.mark.parametrize("parameters", PARAMETERS, ids=range(len(PARAMETERS)))
def test_the_text_is_that_of_plain_decoding(pair, parameters):
    quick, plain = pair
    for prompt in PROMPTS:
        for n in (1, 2, 40):
            expected = plain.generate(prompt, max_new_tokens=n, **parameters)
            assert plain.last_usage.drafted_tokens == 0
            assert quick.generate(prompt, max_new_tokens=n, **parameters) == expected
            assert quick.last_usage.new_tokens == plain.last_usage.new_tokens
            assert quick.last_finish_reason == plain.last_finish_reason
            streamed = list(quick.generate(prompt, max_new_tokens=n, stream=True, **parameters))
            assert "".join(streamed) == expected
    expected = plain.generate(PROMPTS * 2, max_new_tokens=24, **parameters)
    assert quick.generate(PROMPTS * 2, max_new_tokens=24, **parameters) == expected


@pytest.mark.parametrize("parameters", [{"do_sample": False, "repetition_penalty": 1.0}, {"seed": 5}],
                         ids=["greedy", "seeded"])
def test_a_real_model(real_pair, parameters):
    """Which does repeat its prompt."""
    quick, plain = real_pair
    drafted = 0
    for prompt in (COPY, JSON):
        expected = plain.generate(prompt, max_new_tokens=40, **parameters)
        assert quick.generate(prompt, max_new_tokens=40, **parameters) == expected
        usage = quick.last_usage
        assert usage.accepted_tokens <= usage.drafted_tokens and usage.accepted_tokens < usage.new_tokens
        drafted += usage.drafted_tokens
    assert parameters.get("seed") or drafted > 0  # what follows depends on what steps take
    together = plain.generate([COPY, JSON], max_new_tokens=24, **parameters)
    assert quick.generate([COPY, JSON], max_new_tokens=24, **parameters) == together


def test_up_to_the_end_of_the_context(tiny):
    """The last tokens that fit are drafted too, and not one more."""
    with (turbo(tiny, verbose=False, max_length=64) as quick,
          turbo(tiny, verbose=False, max_length=64, speculation=False) as plain):
        for seed in range(20):
            words = random.Random(seed).choices(["one", "two", "three"], k=5)
            prompt = " ".join(words * 2)
            expected = plain.generate(prompt, seed=seed)
            assert quick.generate(prompt, seed=seed) == expected
            assert quick.last_usage[:3] == plain.last_usage[:3]


def test_speculation_is_a_flag(tiny):
    with pytest.raises(TypeError, match="speculation"):
        turbo(tiny, verbose=False, speculation=3)


@pytest.mark.parametrize("parameters", PARAMETERS, ids=range(len(PARAMETERS)))
def test_a_draft_model(tiny, pair, parameters):
    """Itself, which is mostly right, in coarser types, which is sometimes; as a path and as an open model."""
    _, plain = pair
    with turbo(tiny, verbose=False, quantization="Q4_0", cache=False) as small:
        for draft in (tiny, small):
            with turbo(tiny, verbose=False, draft=draft) as model:
                drafted = 0
                for prompt in PROMPTS:
                    expected = plain.generate(prompt, max_new_tokens=40, **parameters)
                    assert model.generate(prompt, max_new_tokens=40, **parameters) == expected
                    drafted += model.last_usage.drafted_tokens
                assert drafted > 0  # at first; whether it goes on depends on what steps take
                assert model.generate(PROMPTS, max_new_tokens=9, **parameters) == plain.generate(
                    PROMPTS, max_new_tokens=9, **parameters)


def test_a_draft_model_lives_as_long_as_it_is_needed(tiny, pair):
    _, plain = pair
    draft = turbo(tiny, verbose=False)
    model = turbo(tiny, verbose=False, draft=draft)
    draft.close()
    assert model.generate("Once", seed=1, max_new_tokens=20) == plain.generate("Once", seed=1, max_new_tokens=20)
    with pytest.raises(ValueError, match="closed"):
        turbo(tiny, verbose=False, draft=draft)
    model.close()


def test_a_draft_model_of_another_vocabulary(tiny, smollm):
    with pytest.raises(ValueError, match="^draft: .*vocabulary"):
        turbo(tiny, verbose=False, draft=smollm)
    with pytest.raises(TypeError, match="draft"):
        turbo(tiny, verbose=False, draft=3)
