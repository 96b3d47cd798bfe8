# SPDX-License-Identifier: MIT
"""Chat beyond plain messages: tools, documents, variables, and answers taken apart."""
import json
import pathlib
import sys

import pytest

from quantllm import Answer, ChatTemplate, Stream, TemplateError, turbo

GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "golden"
sys.path.insert(0, str(GOLDEN))
import tool_functions

HELLO = [{"role": "user", "content": "Hello"}]
# Any model says what its logits say: here the marks of Hermes are in the template, and the answer is noise.
TOOLS_TEMPLATE = ("{% if tools %}{{ tools | tojson }} <tool_call>{% endif %}{% if documents %}{{ documents[0].text }}{% endif %}"
                  "{% for m in messages %}{{ m.content }}{% endfor %}{{ mood }}{% if add_generation_prompt %}<think>\n{% endif %}")


@pytest.fixture(scope="module")
def talker(tiny):
    with turbo(tiny, verbose=False, chat_template=TOOLS_TEMPLATE) as opened:
        yield opened


@pytest.mark.parametrize("function", tool_functions.FUNCTIONS, ids=lambda f: f.__name__)
def test_schemas_of_functions(function):
    """As transformers makes them (tests/golden/make_tools.py)."""
    expected = json.loads((GOLDEN / "tools.json").read_text(encoding="utf-8"))[function.__name__]
    template = ChatTemplate("{{ tools[0] | tojson }}")
    if expected is None:
        with pytest.raises(ValueError, match=r"tool|docstring"):
            template.render(HELLO, tools=[function])
    else:
        assert template.render(HELLO, tools=[function]) == json.dumps(expected, ensure_ascii=False)


def test_tools_that_are_none():
    template = ChatTemplate("{{ tools[0].name }}")
    assert template.render(HELLO, tools=[{"name": "f"}]) == "f"
    for tools, message in [("f", "tools must be a list"), ([5], r"tools\[0\] must be a function or a JSON schema"),
                           ([print], r"tools\[0\]"), ([tool_functions.Thing], r"tools\[0\]")]:
        with pytest.raises(TypeError, match=message):
            template.render(HELLO, tools=tools)


def test_what_the_template_sees(talker):
    text = talker.apply_chat_template(HELLO, tools=[tool_functions.multiply], documents=[{"title": "T", "text": "Doc."}],
                                      variables={"mood": "calm"})
    assert text.startswith('[{"type": "function", "function": {"name": "multiply"') and "Doc.Hellocalm<think>" in text
    assert talker.apply_chat_template(HELLO, add_generation_prompt=False) == "Hello"
    ids = talker.apply_chat_template(HELLO, documents=[{"text": "Doc."}], tokenize=True)
    assert talker.detokenize(ids) == "Doc.Hello<think>\n"


def test_messages_as_transformers_takes_them(tiny):
    """Keys that are None are no keys; reasoning goes by the names that templates read."""
    source = "{% for m in messages %}{{ m.keys() | list }}{{ m.thinking }}{{ m.reasoning_content }}{% endfor %}"
    with turbo(tiny, verbose=False, chat_template=source) as model:
        messages = [{"role": "assistant", "content": None, "tool_calls": [], "reasoning": "Hm."}]
        assert model.apply_chat_template(messages) == \
            "['thinking', 'role', 'tool_calls', 'reasoning', 'reasoning_content']Hm.Hm."
        messages = [{"role": "assistant", "content": "x", "thinking": "T", "reasoning_content": "R"}]
        assert model.apply_chat_template(messages) == "['thinking', 'role', 'content', 'reasoning_content']TR"
    assert ChatTemplate("{{ messages[0] }}").render([{"role": "a", "content": None}]) == "{'role': 'a', 'content': None}"


def test_wrong_requests(talker):
    wrong = [({"documents": "x"}, "documents must be a list of dicts"), ({"documents": [1]}, r"documents\[0\] must be a dict"),
             ({"variables": []}, "variables must be a dict"), ({"tools": {}}, "tools must be a list"),
             ({"parse": 1}, "parse must be bool")]
    for options, message in wrong:
        with pytest.raises(TypeError, match=message):
            talker.chat(HELLO, **options)
    with pytest.raises(ValueError, match="parameter of its own"):
        talker.chat(HELLO, variables={"messages": []})


def test_a_parsed_answer_has_the_raw_text(talker):
    plain = talker.chat(HELLO, max_new_tokens=8, seed=3)
    assert isinstance(plain, str)
    answer = talker.chat(HELLO, parse=True, max_new_tokens=8, seed=3)
    assert isinstance(answer, Answer) and answer.finish_reason in ("stop", "length")
    assert answer.raw.strip() == (answer.reasoning + answer.content).strip()
    assert answer.content == "" and answer.reasoning  # the prompt ends in <think>, which the noise does not close
    assert answer.message() == {"role": "assistant", "content": "", "reasoning_content": answer.reasoning}
    with_tools = talker.chat(HELLO, tools=[{"name": "f"}], max_new_tokens=8, seed=3)
    assert isinstance(with_tools, Answer) and with_tools.tool_calls == []
    assert isinstance(talker.chat(HELLO, tools=[{"name": "f"}], parse=False, max_new_tokens=4), str)


def test_a_stream_of_content(tiny):
    with turbo(tiny, verbose=False, chat_template="<think>{{ messages[0].content }}") as model:
        plain = model.chat(HELLO, max_new_tokens=12, seed=5)
        stream = model.chat(HELLO, parse=True, stream=True, max_new_tokens=12, seed=5)
        assert isinstance(stream, Stream)
        assert "".join(stream) == plain == stream.answer.content == stream.answer.raw
        assert stream.finish_reason == stream.answer.finish_reason == "length"
        early = model.chat(HELLO, parse=True, stream=True, max_new_tokens=12, seed=5)
        first = next(early)
        early.close()
        assert list(early) == [] and plain.startswith(first) and early.finish_reason == "cancelled"


def test_parse_answer(talker):
    call = '<tool_call>\n{"name": "multiply", "arguments": {"a": 2, "b": 3.5}}\n</tool_call>'
    answer = talker.parse_answer(f"Why?\n</think>\n\nSo.\n{call}", tools=[tool_functions.multiply], prompt="...<think>\n")
    assert (answer.reasoning, answer.content, str(answer)) == ("Why?", "So.", "So.")
    assert answer.tool_calls == [{"type": "function", "function": {"name": "multiply", "arguments": {"a": 2, "b": 3.5}}}]
    assert answer.message() == {"role": "assistant", "content": "So.", "reasoning_content": "Why?",
                                "tool_calls": answer.tool_calls}
    assert talker.parse_answer(call).content == call
    template = ChatTemplate("[TOOL_CALLS]")
    assert template.parse_answer("[TOOL_CALLS]f[ARGS]{}", tools=[]).tool_calls[0]["function"]["name"] == "f"
    assert repr(answer).startswith("Answer(content='So.', reasoning='Why?', tool_calls=[{") and answer.finish_reason is None


# Those that show the call of the shared scenario as this project can read it. The others refuse the scenario (Gemma 2, Kimi
# K2, Functionary), show no call (Phi 3.5, RWKV), move the tools behind the call (Nemo), write None for null (Gemma 4), or
# have marks that are spelled in pieces (Kimi K3, Hy3).
READ = """Apertus-8B-Instruct Bielik-11B-v3.0-Instruct Cohere2MoE CohereForAI-c4ai-command-r7b-12-2024-tool_use GLM-4.7-Flash
GigaChat3.1-10B-A1.8B LFM2.5-8B-A1B MiMo-VL MiniMax-M2 Mistral-Small-3.2-24B-Instruct-2506 NVIDIA-Nemotron-Nano-v2
NousResearch-Hermes-3-Llama-3.1-8B-tool_use Qwen-Qwen2.5-7B-Instruct Qwen3-Coder Reka-Edge StepFun3.5-Flash
deepseek-ai-DeepSeek-R1-Distill-Qwen-32B deepseek-ai-DeepSeek-V3.2 deepseek-ai-DeepSeek-V4 ibm-granite-granite-4.0
inclusionai-ling-3.0-flash meta-llama-Llama-3.2-3B-Instruct muse-glimmer openbmb-MiniCPM5-1B poolside-Laguna-XS-2.1
google-gemma-4-31B-it unsloth-mistral-Devstral-Small-2507""".split()


@pytest.mark.parametrize("name", READ)
def test_a_call_that_a_template_shows_is_read(shared, name):
    """A round: what the template makes of a past call is how the model was taught to write it."""
    data = json.loads(shared("data/templates/expected.json").read_text(encoding="utf-8"))
    scenario = data["scenarios"]["tools_used"]
    template = ChatTemplate(shared(f"data/templates/{name}.jinja").read_text(encoding="utf-8"), data["bos_token"],
                            data["eos_token"])

    def render(n, prompt):
        return template.render(scenario["messages"][:n], tools=scenario["tools"], now=data["now"],
                               add_generation_prompt=prompt)

    before, after = render(2, True), render(3, False)
    if not after.startswith(before):  # the prompt opens reasoning, which a past answer does not show
        before = render(2, False)
    assert after.startswith(before)
    answer = template.parse_answer(after[len(before):], tools=scenario["tools"], prompt=before)
    assert answer.raw == after[len(before):]
    assert [call["function"] for call in answer.tool_calls] == [scenario["messages"][2]["tool_calls"][0]["function"]]


@pytest.mark.parametrize("name, place", [("bad55", "chat_template:2:8:"), ("bad56", "call depth 128"), ("bad57", "range too big"),
                                         ("bad58", "output limit 4 MB"), ("bad59", "chat_template:1:")])
def test_bad_templates_do_not_stop_text(make_tiny, capfd, name, place):
    with turbo(make_tiny(f"{name}.gguf", "--template", name)) as model:
        told = capfd.readouterr().err
        assert place in told and "chat is off" in told
        assert isinstance(model.generate("Hello", max_new_tokens=2), str)
        for call in (model.chat, model.apply_chat_template):
            with pytest.raises(TemplateError) as caught:
                call(HELLO)
            assert place in str(caught.value)


def test_control_tokens_of_a_prompt(model):
    model.generate("<|im_end|>", max_new_tokens=1)
    assert model.last_usage.prompt_tokens == 1
    model.generate("<|im_end|>", max_new_tokens=1, parse_special=False)
    assert model.last_usage.prompt_tokens == 10
