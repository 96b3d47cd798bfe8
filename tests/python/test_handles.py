# SPDX-License-Identifier: MIT
"""The extension's handles: what must hold even if the Python above them were wrong."""
import pytest

from quantllm import _quantllm

CALL = {"max_new_tokens": 8, "temperature": 1.0, "top_p": 1.0, "top_k": 0, "min_p": 0.0, "typical_p": 1.0,
        "repetition_penalty": 1.0, "frequency_penalty": 0.0, "presence_penalty": 0.0, "do_sample": True, "seed": 1,
        "logit_bias": (), "stop_strings": (), "parse_special": True, "keep_special": False,
        "no_speculation": False}


@pytest.fixture
def handle(tiny):
    opened = open_model(tiny)
    yield opened
    opened.close()


def open_model(path, threads=1, progress=None, log=None):
    return _quantllm.Model(str(path).encode(), threads, 0, 0, None, None, None, None, False, progress, log)


def drain(session, number):
    pieces = []
    while (piece := session.next(number)) is not None:
        pieces.append(piece)
    return pieces


def test_a_generation_that_has_ended_gets_nothing_of_the_next(handle):
    session = handle.session()
    first = session.start(("Once",), **CALL)
    expected = drain(session, first)
    assert "".join(text for text, _, _ in expected) and expected[-1][1:] == (0, "length")
    second = session.start(("Once",), **CALL)  # after one that came to its end
    assert session.next(first) is None
    session.end(first)  # does not end the second
    assert session.next(second) == expected[0]
    third = session.start(("Once",), **CALL)  # after one that did not
    assert session.next(first) is None and session.next(second) is None
    assert drain(session, third) == expected
    fourth = session.start(("Once",), **CALL)
    session.end(fourth)
    assert session.next(fourth) is None
    session.logits([1], handle.info()["n_vocab"])
    assert len({first, second, third, fourth}) == 4


def test_sessions_outlive_their_model_without_use(handle):
    session = handle.session()
    number = session.start(("Once",), **CALL)
    idle = handle.session()
    handle.close()
    for call in (lambda: session.next(number), lambda: session.start(("Once",), **CALL), lambda: idle.logits([1], 5),
                 lambda: idle.start(("Once",), **CALL), handle.session, handle.info, handle.vocab_info):
        with pytest.raises(ValueError, match="^model is closed$"):
            call()
    del handle, idle
    assert session.usage()[0] > 0


def test_handles_are_made_in_one_way():
    with pytest.raises(TypeError):
        _quantllm.Session()
    for kind in (_quantllm.Model, _quantllm.Tokenizer, _quantllm.Template):
        with pytest.raises(TypeError):
            kind()
        with pytest.raises(TypeError):
            type("Sub", (kind,), {})


def test_wrong_arguments(handle):
    session = handle.session()
    for prompts in (("a", 1), ((1, 2),), ([1, "a"],), (None,)):
        with pytest.raises(TypeError):
            session.start(prompts, **CALL)
    for change in ({"logit_bias": (1,)}, {"logit_bias": (("a", 1),)}, {"stop_strings": (1,)}, {"stop_strings": None},
                   {"seed": "a"}):
        with pytest.raises(TypeError):
            session.start(("a",), **{**CALL, **change})
    with pytest.raises((OverflowError, ValueError)):
        session.start(("a",), **{**CALL, "seed": -1})
    with pytest.raises(TypeError):
        session.start(("a",))
    assert session.start(("a",), **CALL)


def test_progress(tiny):
    seen = []
    open_model(tiny, progress=seen.append).close()
    assert seen == sorted(seen) and all(0 <= fraction <= 1 for fraction in seen)


def test_progress_that_raises(tiny):
    def progress(fraction):
        raise KeyError(fraction)

    calls = []
    open_model(tiny, progress=calls.append).close()
    if calls:
        with pytest.raises(KeyError):
            open_model(tiny, progress=progress)


def test_log(tiny):
    lines = []
    open_model(tiny, log=lines.append).close()
    assert all(isinstance(line, str) and line and "\n" not in line for line in lines)


def test_default_params(handle):
    own = handle.default_params()
    assert set(own) == set(CALL) - {"seed", "logit_bias", "stop_strings", "parse_special", "keep_special",
                                    "no_speculation"}
    assert own["max_new_tokens"] == 512 and isinstance(own["do_sample"], bool)
    handle.close()
    with pytest.raises(ValueError, match="^model is closed$"):
        handle.default_params()
