# SPDX-License-Identifier: MIT
"""The documented interface: names, order and defaults of parameters, type hints, docstrings."""
import inspect
import pathlib
import typing

import pytest

import quantllm
from quantllm import ChatTemplate, Stream, TemplateError, Tokenizer, TurboModel, turbo

SAMPLING = ("*, max_new_tokens=512, temperature=0.7, top_p=0.9, top_k=50, min_p=0.0, do_sample=True, stream=False, "
            "repetition_penalty=1.1, stop_strings=None, seed=None, typical_p=1.0, frequency_penalty=0.0, "
            "presence_penalty=0.0, logit_bias=None")
SIGNATURES = [
    (turbo, "model, *, bits=None, quantization=None, kv_cache=None, max_length=None, threads=None, device=None, "
            "dtype=None, seed=None, revision=None, token=None, verbose=True, config=None, chat_template=None, cache=True, "
            "speculation=True, draft=None"),
    (TurboModel.generate, f"self, prompt, {SAMPLING}, parse_special=True"),
    (TurboModel.chat, f"self, messages, {SAMPLING}, tools=None, documents=None, variables=None, parse=None"),
    (TurboModel.parse_answer, "self, answer, tools=None, prompt=None"),
    (TurboModel.tokenize, "self, text, add_special_tokens=True, parse_special=True"),
    (TurboModel.detokenize, "self, ids, skip_special_tokens=False"),
    (TurboModel.logits, "self, ids"),
    (TurboModel.apply_chat_template, "self, messages, tools=None, add_generation_prompt=True, tokenize=False, "
                                     "*, documents=None, variables=None"),
    (TurboModel.export, "self, format=None, path=None, *, quantization=None"),
    (TurboModel.report, "self"),
    (TurboModel.close, "self"),
    (Tokenizer.from_file, "path"),
    (Tokenizer.encode, "self, text, add_special_tokens=True, parse_special=True"),
    (Tokenizer.decode, "self, ids, skip_special_tokens=False"),
    (ChatTemplate, "source, bos_token='', eos_token=''"),
    (ChatTemplate.parse_answer, "self, answer, tools=None, prompt=None"),
    (ChatTemplate.render, "self, messages, tools=None, add_generation_prompt=True, now=None, **variables"),
    (Stream.close, "self"),
]


@pytest.mark.parametrize("function, expected", SIGNATURES, ids=lambda value: getattr(value, "__qualname__", ""))
def test_signature(function, expected):
    signature = inspect.signature(function)
    plain = [p.replace(annotation=inspect.Parameter.empty) for p in signature.parameters.values()]
    assert str(inspect.Signature(plain)) == f"({expected})"
    hinted = [p for p in signature.parameters.values() if p.name != "self"]
    assert all(p.annotation is not inspect.Parameter.empty for p in hinted)


@pytest.mark.parametrize("name", quantllm.__all__)
def test_documented(name):
    thing = getattr(quantllm, name)
    if name == "__version__":
        return
    assert inspect.getdoc(thing)
    for member_name, member in vars(thing).items() if inspect.isclass(thing) else ():
        if not member_name.startswith("_"):
            assert inspect.getdoc(member), f"{name}.{member_name}"


def test_marked_as_typed():
    folder = pathlib.Path(quantllm.__file__).parent
    assert (folder / "py.typed").is_file() and (folder / "_quantllm.pyi").is_file()


def test_overloads():
    assert len(typing.get_overloads(inspect.unwrap(TurboModel.generate))) == 4
    assert len(typing.get_overloads(inspect.unwrap(TurboModel.chat))) == 3


def test_template_error_is_a_value_error():
    assert issubclass(TemplateError, ValueError)
    assert f"{TemplateError.__module__}.{TemplateError.__name__}" == "quantllm.TemplateError"
