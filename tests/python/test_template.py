# SPDX-License-Identifier: MIT
"""ChatTemplate: arguments on their way into the interpreter, and some templates of well-known models."""
import datetime
import json
import threading

import pytest

from quantllm import ChatTemplate, TemplateError

HELLO = [{"role": "user", "content": "Hello"}]
KNOWN = ["Qwen-Qwen2.5-7B-Instruct", "meta-llama-Llama-3.2-3B-Instruct", "google-gemma-2-2b-it",
         "microsoft-Phi-3.5-mini-instruct", "mistralai-Mistral-Nemo-Instruct-2407"]


def test_variables():
    source = "{{ bos_token }}{{ messages[0].content }}{{ x }}{{ eos_token }}"
    template = ChatTemplate(source, bos_token="<s>", eos_token="</s>")
    assert template.render(HELLO, x="!") == "<s>Hello!</s>"
    assert ChatTemplate("{{ bos_token }}|").render(HELLO) == "|"
    assert ChatTemplate("{{ add_generation_prompt }}").render(HELLO) == "True"
    assert ChatTemplate("{{ add_generation_prompt }}").render(HELLO, add_generation_prompt=False) == "False"
    assert ChatTemplate("{{ tools is none }} {{ x is defined }}").render(HELLO) == "True False"
    assert ChatTemplate("{{ tools[0].name }}").render(HELLO, tools=[{"name": "f"}]) == "f"


VALUES = [0, -1, 2**53, 1.0, 0.5, True, False, None, "é", "a\nb", [1, [2.0]], {"k": {"x": 1}}, "日本"]


@pytest.mark.parametrize("value", VALUES)
def test_values_arrive_as_they_are(value):
    assert json.loads(ChatTemplate("{{ x | tojson }}").render(HELLO, x=value)) == value
    if not isinstance(value, (list, dict)):
        assert ChatTemplate("{{ x }}").render(HELLO, x=value) == str(value)


def test_now():
    template = ChatTemplate("{{ strftime_now('%Y-%m-%d %H:%M') }}")
    zone = datetime.timezone(datetime.timedelta(hours=5))
    assert template.render(HELLO, now=0) == "1970-01-01 00:00"
    assert template.render(HELLO, now=86400.9) == "1970-01-02 00:00"
    assert template.render(HELLO, now=datetime.datetime(2024, 7, 26, 12, 30)) == "2024-07-26 12:30"
    assert template.render(HELLO, now=datetime.datetime(2024, 7, 26, 12, 30, tzinfo=zone)) == "2024-07-26 12:30"
    assert ChatTemplate("{{ strftime_now('%Y') }}").render(HELLO) >= "2024"


@pytest.mark.parametrize("source", ["{% if %}", "{{ ", "{% for x in y %}", "{{ x | nofilter }}"])
def test_wrong_source(source):
    with pytest.raises(TemplateError) as caught:
        ChatTemplate(source).render(HELLO)
    assert "\n" not in str(caught.value) and str(caught.value)


@pytest.mark.parametrize("source", [
    "{{ raise_exception('not so') }}", "{% for i in range(1000000000) %}{% endfor %}", "{{ 1 / 0 }}",
    "{{ messages[0].content() }}",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "{{ 'x' * 1000000000 }}",
])
def test_refused_while_rendering(source):
    template = ChatTemplate(source)
    with pytest.raises(TemplateError) as caught:
        template.render(HELLO)
    assert "\n" not in str(caught.value)
    assert "raise" not in source or "not so" in str(caught.value)


def test_wrong_use():
    template = ChatTemplate("x")
    wrong = [
        (lambda: ChatTemplate(5), TypeError, "source must be str, got int (5)"),
        (lambda: ChatTemplate("x", bos_token=None), TypeError, "bos_token must be str, got NoneType"),
        (lambda: ChatTemplate("x", eos_token="a\0"), ValueError, "eos_token must not contain a NUL character"),
        (lambda: ChatTemplate("\ud800"), ValueError,
         "source is not valid Unicode: character 0 is a lone surrogate (U+D800)"),
        (lambda: template.render({1, 2}), TypeError, "messages holds a set, which JSON does not have"),
        (lambda: template.render(HELLO, tools=[print]), TypeError,
         "tools[0] must be a function or a JSON schema (dict), got builtin_function_or_method"),
        (lambda: template.render(HELLO, x=b""), TypeError, "variables holds a bytes, which JSON does not have"),
        (lambda: template.render(HELLO, add_generation_prompt=1), TypeError,
         "add_generation_prompt must be bool, got int (1)"),
        (lambda: template.render(HELLO, now="today"), TypeError,
         "now must be seconds since 1970 UTC or a datetime, got str ('today')"),
    ]
    for call, kind, message in wrong:
        with pytest.raises(kind) as caught:
            call()
        assert str(caught.value) == message


def test_threads_share_a_template():
    template = ChatTemplate("{% for m in messages %}{{ m.content }}{% endfor %}")
    failed = []

    def work(i):
        for _ in range(50):
            if template.render([{"content": str(i)}] * 20) != str(i) * 20:
                failed.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed


@pytest.mark.parametrize("name", KNOWN)
def test_known_template(shared, name):
    """Text for text what transformers gives; the unit tests go through all of them."""
    data = json.loads(shared("data/templates/expected.json").read_text(encoding="utf-8"))
    source = shared(f"data/templates/{name}.jinja").read_text(encoding="utf-8")
    template = ChatTemplate(source, data["bos_token"], data["eos_token"])
    for scenario, expected in data["expected"][f"{name}.jinja"].items():
        call = dict(data["scenarios"][scenario])
        variables = call.pop("variables", {})
        if "text" in expected:
            assert template.render(now=data["now"], **call, **variables) == expected["text"], scenario
        else:
            with pytest.raises(TemplateError):
                template.render(now=data["now"], **call, **variables)
