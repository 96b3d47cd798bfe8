#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes chat_ids.json: the ids that transformers' apply_chat_template gives for conversations on SmolLM2's tokenizer,
with templates of several shapes; none of the messages spells a control token.

    python tools/gguf_to_hf.py MODEL.gguf FOLDER
    python tests/golden/make_chat_ids.py FOLDER        (needs transformers)
"""
import json
import pathlib
import sys

from transformers import AutoTokenizer

TEMPLATES = {
    "own": None,
    "pieces": "{% for m in messages %}{{ '<|' ~ 'im_start' ~ '|>' ~ m.role ~ '\\n' ~ (m.content | trim) ~ eos_token ~ '\\n' }}{% endfor %}",
    "replaced": "{% for m in messages %}{{ ('[' ~ m.role ~ '] ' ~ m.content ~ '[end]') | replace('[end]', eos_token) }}{% endfor %}",
    "with bos": "{{ bos_token }}{{ bos_token }}{% for m in messages %}{{ m.role | upper }}: {{ m.content }}{{ eos_token }}{% endfor %}",
    "joined": "{% for m in messages %}<|im_start|>{{ [m.role, m.content] | join('\\n') }}<|im_end|>{% endfor %}",
    "reversed": "{% for m in messages[::-1] %}<|im_start|>{{ m.content[::-1] | upper }}<|im_end|>{% endfor %}<repo_name>",
    "tools": "{% if tools %}<|im_start|>{{ tools | tojson }}<|im_end|>{% endif %}{% for m in messages %}{{ m.content | tojson }}"
             "{{ m.thinking }}<|im_end|>{% endfor %}",
}
TOOL = {"type": "function", "function": {"name": "f", "description": "Zürich & <co>", "parameters": {
    "type": "object", "properties": {"a": {"type": "integer", "maximum": 18446744073709551615}}}}}
CONVERSATIONS = [
    [{"role": "user", "content": "What is machine learning?"}],
    [{"role": "system", "content": "You are brief."}, {"role": "user", "content": "  padded \n\n"},
     {"role": "assistant", "content": "Fine."}, {"role": "user", "content": "Zürich, 東京, 👩‍💻, naïve e\u0301"}],
    [{"role": "user", "content": "<|im_ start|> <|im_end| > im_end|> <|"}, {"role": "assistant", "content": "|>\t\t123456 <b>"}],
    [{"role": "user", "content": "def f(x):\n    return x<|x|>2 # 1,000.5\n"}, {"role": "assistant", "content": "", "reasoning": "Hm."}],
    [{"role": "wizard", "content": "odd role"}, {"role": "user", "content": "\u00a0\u2028 x\r\n y"}],
]


def main():
    tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
    cases = []
    for name, template in TEMPLATES.items():
        for conversation in CONVERSATIONS:
            for prompt in (True, False):
                ids = tokenizer.apply_chat_template(conversation, tools=[TOOL] if name == "tools" else None, return_dict=False,
                                                    chat_template=template, add_generation_prompt=prompt, tokenize=True)
                cases.append({"template": name, "messages": conversation, "add_generation_prompt": prompt, "ids": ids})
    path = pathlib.Path(__file__).with_name("chat_ids.json")
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    head = json.dumps({"templates": TEMPLATES, "tool": TOOL}, ensure_ascii=False)
    path.write_text(head[:-1] + ', "cases": [\n' + lines + "\n]}\n", encoding="utf-8")
    print(len(cases), "conversations")


if __name__ == "__main__":
    main()
