# SPDX-License-Identifier: MIT
"""SmolLM2 against stored results of transformers and llama.cpp (made by tests/golden/make_smollm2.py)."""
import json
import math
import os
import pathlib

import numpy
import pytest

from quantllm import turbo

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
GOLDEN = json.loads((ROOT / "tests" / "golden" / "smollm2.json").read_text())
LICENCES = pathlib.Path("/usr/share/common-licenses")

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def model(smollm):
    with turbo(smollm, verbose=False) as opened:
        yield opened


@pytest.fixture(scope="module")
def reference(smollm):
    with turbo(smollm, quantization="F32", verbose=False) as opened:
        yield opened


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: case["prompt"][:20])
def test_ids_are_those_of_transformers(model, case):
    assert model.tokenize(case["prompt"]) == case["ids"]


def greedy_choice(row, seen, penalty):
    """The best id after the repetition penalty, the lowest of equals."""
    row = row.copy()
    for token in seen if penalty != 1 else ():
        row[token] = row[token] * penalty if row[token] < 0 else row[token] / penalty
    return int(row.argmax())


@pytest.mark.parametrize("penalty", ["1.0", "1.1"])
@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: case["prompt"][:20])
def test_greedy_agrees_with_transformers(model, case, penalty):
    """The same tokens, or, at the first difference, one that it held to be nearly as good (by 0.5 nats, six times what our rounding moves such a distance by, see below)."""
    steps = case["greedy"][penalty]
    path = [step[0][0] for step in steps]
    rows = numpy.asarray(model.logits(case["ids"] + path[:-1]))[len(case["ids"]) - 1:]
    same = 0
    for near, row in zip(steps, rows):
        choice = greedy_choice(row, {*case["ids"], *path[:same]}, float(penalty))
        if choice != near[0][0]:
            assert choice in dict(near), f"after {path[:same]}: {choice} is none of {near}"
            break
        same += 1
    text = model.generate(case["prompt"], do_sample=False, repetition_penalty=float(penalty), max_new_tokens=len(steps))
    assert text.startswith(model.detokenize(path[:same], skip_special_tokens=True).rstrip("\ufffd"))


def test_distances_of_greedy_choices_are_those_of_the_reference(model, reference):
    """The two best ids of F32 are as far apart in the default mode, within 0.11 nats in the root mean square of all steps."""
    errors = []
    for case in GOLDEN["cases"]:
        ids = case["ids"] + [step[0][0] for step in case["greedy"]["1.0"]]
        first = len(case["ids"]) - 1
        for row, exact in zip(*(numpy.asarray(m.logits(ids))[first:-1].astype(numpy.float64) for m in (model, reference))):
            best, second = numpy.argsort(-exact)[:2]
            errors.append(row[best] - row[second] - (exact[best] - exact[second]))
    assert len(errors) > 500
    assert numpy.sqrt(numpy.mean(numpy.square(errors))) < 0.11


def last_logits(model, ids):
    rows = model.logits(ids)
    assert rows.shape == (len(ids), 49152) and rows.format == "f"
    return numpy.asarray(rows)[-1].astype(numpy.float64)


def test_reference_logits_are_those_of_transformers(reference):
    """Normalized mean squared error below 1e-6 in quantization="F32"."""
    stored = numpy.fromfile(ROOT / "tests" / "golden" / "smollm2_logits.bin", "<f4").astype(numpy.float64)
    step, n = GOLDEN["logit_step"], GOLDEN["logit_prompts"]
    width = len(stored) // n
    worst = 0.0
    for i in range(n):
        want = stored[i * width:(i + 1) * width]
        got = last_logits(reference, GOLDEN["cases"][i]["ids"])[::step]
        worst = max(worst, ((got - want) ** 2).sum() / (want ** 2).sum())
    assert worst < 1e-6, worst


def perplexity(model, ids, window):
    """As make_smollm2.py measures llama.cpp: the second half of each window is scored."""
    total, count = 0.0, 0
    for at in range(0, len(ids) - window + 1, window):
        rows = numpy.asarray(model.logits(ids[at:at + window]))
        for i in range(window // 2, window - 1):
            row = rows[i].astype(numpy.float64)
            total += numpy.log(numpy.exp(row - row.max()).sum()) + row.max() - row[ids[at + i + 1]]
            count += 1
    return math.exp(total / count), count


@pytest.mark.parametrize("part", ["sample", pytest.param("full", marks=pytest.mark.slow)])
def test_perplexity_is_that_of_llama_cpp(model, part):
    if not all((LICENCES / name).is_file() for name in GOLDEN["licences"]):
        pytest.skip(f"{LICENCES} is not on this system: it holds the text")
    if part == "full" and not os.environ.get("QL_LONG"):
        pytest.skip("20,480 tokens take minutes: make test-long runs it")
    golden = GOLDEN["perplexity"][part]
    text = "\n".join((LICENCES / name).read_text() for name in GOLDEN["licences"])
    ids = model.tokenize(text)[:golden["n_tokens"]]
    value, count = perplexity(model, ids, golden["window"])
    assert count == golden["n_scored"]
    assert abs(value / golden["llama_cpp"] - 1) < 0.003, (value, golden["llama_cpp"])


CHAT_IDS = json.loads((ROOT / "tests" / "golden" / "chat_ids.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", CHAT_IDS["templates"])
def test_ids_of_chats(smollm, name):
    """The ids of transformers' apply_chat_template (make_chat_ids.py)."""
    template = CHAT_IDS["templates"][name]
    with turbo(smollm, verbose=False, **({"chat_template": template} if template else {})) as model:
        for case in CHAT_IDS["cases"]:
            if case["template"] != name:
                continue
            tools = [CHAT_IDS["tool"]] if name == "tools" else None
            ids = model.apply_chat_template(case["messages"], tools, case["add_generation_prompt"], tokenize=True)
            assert ids == case["ids"], case["messages"]
