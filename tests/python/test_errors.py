# SPDX-License-Identifier: MIT
"""Wrong use is told at once, in one line that names what is wrong; bad files are refused."""
import pathlib
import sys

import pytest

from quantllm import Tokenizer, turbo


INT64 = 2**64 - 1
WRONG_PARAMETERS = [
    ({"temprature": 1}, TypeError, "generate() has no parameter 'temprature': did you mean 'temperature'?"),
    ({"max_tokens": 5}, TypeError, "generate() has no parameter 'max_tokens': did you mean 'max_new_tokens'?"),
    ({"temperature": "hot"}, TypeError, "temperature must be a number, got str ('hot')"),
    ({"temperature": True}, TypeError, "temperature must be a number, got bool (True)"),
    ({"temperature": 10**400}, ValueError, "temperature is too large for a float: an int of 1329 bits"),
    ({"temperature": -1}, ValueError, "temperature must be >= 0, got -1"),
    ({"temperature": float("nan")}, ValueError, None),
    ({"temperature": float("inf")}, ValueError, None),
    ({"top_p": 0}, ValueError, "top_p must be in (0, 1], got 0"),
    ({"top_p": 1.5}, ValueError, "top_p must be in (0, 1], got 1.5"),
    ({"top_k": 1.5}, TypeError, "top_k must be int, got float (1.5)"),
    ({"top_k": -1}, ValueError, "top_k must be >= 0 (0 is off), got -1"),
    ({"top_k": 2**31}, ValueError, "top_k must be 0 to 2147483647, got 2147483648"),
    ({"min_p": 1.1}, ValueError, None),
    ({"typical_p": 0}, ValueError, None),
    ({"repetition_penalty": 0}, ValueError, None),
    ({"frequency_penalty": 2.1}, ValueError, None),
    ({"presence_penalty": -2.1}, ValueError, None),
    ({"max_new_tokens": 0}, ValueError, "max_new_tokens must be >= 1, got 0"),
    ({"max_new_tokens": True}, TypeError, "max_new_tokens must be int, got bool (True)"),
    ({"max_new_tokens": "5"}, TypeError, "max_new_tokens must be int, got str ('5')"),
    ({"max_new_tokens": 2**40}, ValueError, "max_new_tokens must be 1 to 2147483647, got 1099511627776"),
    ({"do_sample": 1}, TypeError, "do_sample must be bool, got int (1)"),
    ({"stream": "yes"}, TypeError, "stream must be bool, got str ('yes')"),
    ({"seed": -1}, ValueError, f"seed must be 0 to {INT64}, got -1"),
    ({"seed": 2**64}, ValueError, f"seed must be 0 to {INT64}, got {2**64}"),
    ({"seed": 0.5}, TypeError, "seed must be int, got float (0.5)"),
    ({"stop_strings": 5}, TypeError, "stop_strings must be str or a list of str, got int (5)"),
    ({"stop_strings": ["a", b"b"]}, TypeError, "stop_strings[1] must be str, got bytes (b'b')"),
    ({"stop_strings": ["a", ""]}, ValueError, None),
    ({"stop_strings": ""}, ValueError, None),
    ({"stop_strings": ["x"] * 65}, ValueError, None),
    ({"stop_strings": "x" * 1025}, ValueError, None),
    ({"stop_strings": "\ud800"}, ValueError,
     "stop_strings[0] is not valid Unicode: character 0 is a lone surrogate (U+D800)"),
    ({"logit_bias": [1]}, TypeError, "logit_bias must be a dict of token id to number, got list"),
    ({"logit_bias": {"a": 1}}, TypeError, "a token id in logit_bias must be int, got str ('a')"),
    ({"logit_bias": {1: "a"}}, TypeError, "logit_bias[1] must be a number, got str ('a')"),
    ({"logit_bias": {10**6: 1}}, ValueError, None),
    ({"logit_bias": {1: float("nan")}}, ValueError, None),
]
WRONG_PROMPTS = [
    (None, TypeError, "prompt must be str or a list of str, got NoneType"),
    (b"Once", TypeError, "prompt must be str or a list of str, got bytes (b'Once')"),
    ([1, 2], TypeError, "prompt[0] must be str, got int (1)"),
    (["a", None], TypeError, "prompt[1] must be str, got NoneType"),
    ("ab\udfff", ValueError, "prompt is not valid Unicode: character 2 is a lone surrogate (U+DFFF)"),
    (["a", "\ud800"], ValueError, "prompt[1] is not valid Unicode: character 0 is a lone surrogate (U+D800)"),
]
EXAMPLE = '{"role": "user", "content": "Hi"}'
WRONG_MESSAGES = [
    ("Hi", TypeError, f"messages must be a list of dicts such as {EXAMPLE}, got str ('Hi')"),
    ({"role": "user", "content": "Hi"}, TypeError, f"messages must be a list of dicts such as {EXAMPLE}, got dict"),
    ([], ValueError, f"messages is empty: give a list of dicts such as {EXAMPLE}"),
    (["Hi"], TypeError, f"messages[0] must be a dict such as {EXAMPLE}, got str ('Hi')"),
    ([[{"role": "user", "content": "Hi"}]], TypeError,
     "messages must be one conversation, got a list of lists: call chat for each of them"),
    ([{"content": "Hi"}], ValueError, 'messages[0] has no "role": give "system", "user" or "assistant"'),
    ([{"role": 1, "content": "Hi"}], TypeError, 'messages[0]["role"] must be str, got int (1)'),
    ([{"role": "user"}], ValueError, 'messages[0] has no "content"'),
    ([{"role": "user", "content": 5}], TypeError,
     'messages[0]["content"] must be str, or a list of parts, got int (5)'),
    ([{"role": "user", "content": [{1, 2}]}], TypeError, "messages holds a set, which JSON does not have"),
    ([{"role": "user", "content": "Hi", (1, 2): 3}], TypeError, None),
    ([{"role": "user", "content": "Hi", "score": float("nan")}], ValueError, None),
    ([{"role": "user", "content": "\ud800"}], ValueError, None),
    ([{"role": "wizard", "content": "Hi"}], ValueError, None),
]


class Device:
    """What torch.device looks like from here."""

    def __init__(self, name):
        self.name = name

    def __repr__(self):
        return f"Device({self.name})"


WRONG_OPTIONS = [
    ({"max_seq_length": 5}, TypeError, "turbo() has no parameter 'max_seq_length': did you mean 'max_length'?"),
    ({"threads": 0}, ValueError, "threads must be 1 to 256, got 0"),
    ({"threads": 1.0}, TypeError, "threads must be int, got float (1.0)"),
    ({"max_length": 0}, ValueError, "max_length must be 1 to 4294967295, got 0"),
    ({"max_length": 2**31}, ValueError, None),
    ({"device": "cuda"}, ValueError, 'device must be "cpu", "auto" or None, got \'cuda\''),
    ({"device": 0}, ValueError, 'device must be "cpu", "auto" or None, got 0'),
    ({"device": Device("cuda")}, ValueError, 'device must be "cpu", "auto" or None, got Device(cuda)'),
    ({"dtype": "bfloat16"}, ValueError, 'dtype must be "float32" or None, got \'bfloat16\''),
    ({"dtype": "auto"}, ValueError, 'dtype must be "float32" or None, got \'auto\''),
    ({"dtype": float}, ValueError, 'dtype must be "float32" or None, got <class \'float\'>'),
    ({"dtype": "float32", "bits": 8}, ValueError, 'bits=8 and dtype="float32" do not agree: give one of them'),
    ({"dtype": "float32", "quantization": "Q8_0"}, ValueError,
     'quantization=\'Q8_0\' and dtype="float32" do not agree: give one of them'),
    ({"bits": 7}, ValueError, "bits must be one of 2, 3, 4, 5, 6, 8, 16, got 7"),
    ({"bits": 32}, ValueError, 'bits must be one of 2, 3, 4, 5, 6, 8, 16, got 32; for 32 take quantization="F32"'),
    ({"bits": "4"}, TypeError, "bits must be int, got str ('4')"),
    ({"bits": True}, TypeError, "bits must be int, got bool (True)"),
    ({"bits": 8, "quantization": "F32"}, ValueError, None),
    ({"quantization": "Q9_9"}, (ValueError, NotImplementedError), None),
    ({"quantization": 4}, TypeError, "quantization must be str, got int (4)"),
    ({"seed": -1}, ValueError, f"seed must be 0 to {INT64}, got -1"),
    ({"revision": "main"}, ValueError, "revision is for models of the Hub, and {tiny} is a path: leave it out"),
    ({"token": "secret"}, ValueError, "token is for models of the Hub, and {tiny} is a path: leave it out"),
    ({"revision": 1}, TypeError, "revision must be str, got int (1)"),
    ({"token": True}, TypeError, "token must be str, got bool (True)"),
    ({"cache": 1}, TypeError, "cache must be bool, got int (1)"),
    ({"verbose": 1}, TypeError, "verbose must be bool, got int (1)"),
    ({"config": "x"}, TypeError, "config must be a dict, got str ('x')"),
    ({"config": {"bit": 4}}, ValueError, "config has no key 'bit'; it has format, quantization, push_format, "
                                         "push_quantization, export_format, export_quantization"),
    ({"config": {"format": "zip"}}, ValueError,
     "config['format'] must be one of gguf, safetensors, onnx, mlx, got 'zip'"),
    ({"config": {"quantization": 4}}, TypeError, "config['quantization'] must be str, got int (4)"),
    ({"config": {"format": "gguf", "export_format": "mlx"}}, ValueError,
     "config has 'export_format' twice, as 'format' too: give one of them"),
    ({"chat_template": 5}, TypeError,
     "chat_template must be Jinja source as str, or the Path of a file of it, got int (5)"),
    ({"chat_template": "{% if %}"}, ValueError, None),
    ({"chat_template": "a\0{{ b }}"}, ValueError, "chat_template must not contain a NUL character"),
    ({"chat_template": pathlib.Path("none.jinja")}, FileNotFoundError, None),
]


def fails(kind, message, call, *args, **kwargs):
    """It raises exactly kind, with this message if one is given, of one line anyway."""
    with pytest.raises(kind) as caught:
        call(*args, **kwargs)
    text = str(caught.value)
    assert text and "\n" not in text
    assert message is None or text == message
    return text


def named(value):
    return repr(value)[:40]


@pytest.mark.parametrize("parameters, kind, message", WRONG_PARAMETERS, ids=named)
def test_wrong_parameter(model, parameters, kind, message):
    text = fails(kind, message, model.generate, "Once", **parameters)
    if message is None:
        assert next(iter(parameters)).removesuffix("s") in text
    fails(kind, message and message.replace("generate()", "chat()"), model.chat, [{"role": "user", "content": "Hi"}],
          **parameters)
    if "stream" not in parameters:
        assert fails(kind, message, model.generate, "Once", stream=True, **parameters) == text
        assert fails(kind, message, model.generate, [], **parameters) == text


@pytest.mark.parametrize("prompt, kind, message", WRONG_PROMPTS, ids=named)
def test_wrong_prompt(model, prompt, kind, message):
    fails(kind, message, model.generate, prompt)


def test_wrong_call(model):
    fails(TypeError, None, model.generate)
    fails(TypeError, None, model.generate, "Once", 5)
    fails(ValueError, "stream=True takes one prompt, got a list: stream each prompt, or leave stream out",
          model.generate, ["a"], stream=True)


@pytest.mark.parametrize("messages, kind, message", WRONG_MESSAGES, ids=named)
def test_wrong_messages(model, messages, kind, message):
    text = fails(kind, message, model.chat, messages)
    assert fails(kind, message, model.apply_chat_template, messages) == text


def test_what_a_template_refuses(model):
    assert "no role wizard" in fails(ValueError, None, model.chat, [{"role": "wizard", "content": "Hi"}])


def test_rings_and_endless_nesting(model):
    ring = []
    ring.append(ring)
    fails(ValueError, "messages: Circular reference detected", model.chat, [{"role": "user", "content": ring}])
    deep = []
    for _ in range(100_000):
        deep = [deep]
    fails(ValueError, "messages is nested too deeply", model.chat, [{"role": "user", "content": deep}])


def test_no_template(tiny_without_template):
    with turbo(tiny_without_template, verbose=False) as model:
        assert model.chat_template is None and model.report()["has_chat_template"] is False
        text = fails(ValueError, None, model.chat, [{"role": "user", "content": "Hi"}])
        assert "turbo(chat_template=" in text and "generate" in text
        fails(ValueError, text, model.apply_chat_template, [{"role": "user", "content": "Hi"}])
        assert isinstance(model.generate("Hi", max_new_tokens=2), str)


@pytest.mark.parametrize("options, kind, message", WRONG_OPTIONS, ids=named)
def test_wrong_option(tiny, options, kind, message):
    fails(kind, message and message.replace("{tiny}", str(tiny)), turbo, tiny, **options)


def test_path_of_a_template_as_text(tiny, tmp_path):
    file = tmp_path / "x.jinja"
    file.write_text("{{ messages }}")
    fails(ValueError, f"chat_template is Jinja source; for a file of it, give pathlib.Path({str(file)!r})", turbo, tiny,
          chat_template=str(file))


@pytest.mark.parametrize("name, kind, part", [
    ("none.gguf", FileNotFoundError, 'none.gguf: no such file or folder, and no name of the Hub ("owner/name") either'),
    ("none/model.safetensors", FileNotFoundError, "none/model.safetensors: no such file or folder"),
    ("/none/of/these", FileNotFoundError, "/none/of/these: no such file or folder"),
    ("./none", FileNotFoundError, "./none: no such file or folder"),
    ("a/b/c", FileNotFoundError, "a/b/c: no such file or folder"),
    ("a--b/c", FileNotFoundError, "a--b/c: no such file or folder"),
    ("owner/na me", FileNotFoundError, "owner/na me: no such file or folder"),
    ("none/none:", ValueError, "as in \"none/none:Q4_K_M\""),
    (pathlib.Path("none"), FileNotFoundError, "none: no such file or folder"),
    (pathlib.Path("owner/name"), FileNotFoundError, "owner/name: no such file or folder"),
    ("", ValueError, "model is empty"),
    ("a\0b", ValueError, "NUL"),
    (b"model.gguf", TypeError, "model must be str or Path, got bytes"),
    (None, TypeError, "model must be str or Path, got NoneType"),
], ids=named)
def test_wrong_model(name, kind, part):
    assert part in fails(kind, None, turbo, name)


def test_empty_folder(tmp_path):
    for name in (tmp_path, str(tmp_path)):
        assert str(tmp_path) in fails((ValueError, NotImplementedError, OSError), None, turbo, name)
        assert str(tmp_path) in fails((ValueError, NotImplementedError, OSError), None, Tokenizer.from_file, name)


def test_folder_that_exists_is_no_name_of_the_hub(tmp_path, monkeypatch):
    (tmp_path / "owner" / "name").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    text = fails(ValueError, None, turbo, "owner/name", revision="main")
    assert text == "revision is for models of the Hub, and owner/name is a path: leave it out"
    assert "is a path" in fails(ValueError, None, turbo, "owner/name:Q4_K_M", token="x")


def test_closed_model(tiny):
    model = turbo(tiny, verbose=False)
    stream = model.generate("Once", stream=True)
    tokenizer = model.tokenizer
    assert not model.closed
    model.close()
    model.close()
    assert model.closed and repr(model).endswith(", closed)")
    calls = [(model.generate, "Once"), (model.generate, []), (model.chat, [{"role": "user", "content": "Hi"}]),
             (model.tokenize, "a"), (model.detokenize, [1]), (model.logits, [1]), (model.report,), (model.__enter__,),
             (model.apply_chat_template, [{"role": "user", "content": "Hi"}]), (tokenizer.encode, "a"), (next, stream)]
    for call, *args in calls:
        fails(ValueError, "model is closed", call, *args)
    assert list(stream) == [] and stream.finish_reason == "cancelled"


def test_wrong_ids(model):
    n = model.report()["n_vocab"]
    fails(ValueError, "ids is empty: logits needs at least one token", model.logits, [])
    fails(TypeError, "ids must be a list of int, got str ('abc')", model.logits, "abc")
    fails(TypeError, "ids must be a list of int, got int (5)", model.logits, 5)
    fails(TypeError, "ids[1] must be int, got float", model.logits, [1, 2.0])
    fails(TypeError, "ids[0] must be int, got bool", model.detokenize, [True])
    fails(ValueError, f"ids[0] is {2**40}, which is no token id", model.detokenize, [2**40])
    assert str(n) in fails(ValueError, None, model.logits, [1, n])
    fails(ValueError, None, model.logits, [-1])
    fails(ValueError, None, model.logits, [1] * (model.max_length + 1))
    assert bytes(model.logits([1]))  # and goes on
