#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Time to render a chat of 20 messages: this library beside jinja2, in the same run.

    python bench/template.py build/libquantllm.so [FOLDER of .jinja files]

Needs jinja2. Both sides render a template that was compiled before; ours also reads the messages, as JSON, and copies
the text out; for jinja2 they are Python objects already. The texts are compared, then each side renders in blocks, in
turns; the median of the blocks is shown, in CPU time, since other work on the machine is not what is measured. Without a folder: three templates of the kinds that most models use.
"""
import ctypes
import json
import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "golden"))
import jinja_oracle

CHATML = """{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}\
{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""
LLAMA3 = """{% set loop_messages = messages %}{% for message in loop_messages %}\
{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' %}\
{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}\
{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"""
LLAMA2 = """{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}\
{{ raise_exception('roles must alternate') }}{% endif %}{% if message['role'] == 'user' %}\
{{ bos_token + '[INST] ' + message['content'].strip() + ' [/INST]' }}{% else %}\
{{ ' ' + message['content'].strip() + ' ' + eos_token }}{% endif %}{% endfor %}"""

QUESTION = "Could you explain how a hash table resolves collisions, and when chaining is better than open addressing?"
ANSWER = ("Chaining keeps the entries of one bucket in a list. **Open addressing** probes for the next free slot.\n\n"
          "- chaining degrades slowly\n- open addressing is kinder to the cache\n\n") * 3
MESSAGES = [{"role": "assistant" if i % 2 else "user", "content": ANSWER if i % 2 else QUESTION} for i in range(20)]
BLOCKS = 15


class Ours:
    def __init__(self, lib, source, case):
        self.lib, self.error = lib, jinja_oracle.Error()
        data = source.encode()
        start = time.process_time()
        self.handle = lib.ql_template_open(data, len(data), b"<s>", b"</s>", ctypes.byref(self.error))
        self.compile = time.process_time() - start
        if not self.handle:
            raise ValueError(self.error.message.decode())
        self.messages = json.dumps(case["messages"]).encode()
        self.render = jinja_oracle.Render(self.messages, None, None, True, True, 0)

    def __call__(self):
        text, size = ctypes.c_void_p(), ctypes.c_size_t()
        if self.lib.ql_template_render(self.handle, ctypes.byref(self.render), ctypes.byref(text), ctypes.byref(size),
                                       ctypes.byref(self.error)):
            raise ValueError(self.error.message.decode())
        self.lib.ql_free(text)
        return text.value

def block(call, n):
    start = time.process_time()
    for _ in range(n):
        call()
    return (time.process_time() - start) / n


def measure(lib, source):
    start = time.process_time()
    template = jinja_oracle.environment(0).from_string(source)
    compiled = time.process_time() - start
    case = {"source": source, "messages": MESSAGES}
    want = jinja_oracle.expected(case)
    if "text" not in want:
        return None  # a template that refuses these messages
    if jinja_oracle.Library.render(lib, case) != want:
        raise SystemExit("the texts differ")

    def theirs():
        return template.render(messages=MESSAGES, tools=None, documents=None, add_generation_prompt=True,
                               bos_token="<s>", eos_token="</s>")

    ours = Ours(lib.lib, source, case)
    n = max(5, int(0.01 / block(ours, 20)))
    m = max(2, int(0.01 / block(theirs, 5)))
    times = [(block(ours, n), block(theirs, m)) for _ in range(BLOCKS)]
    return (statistics.median(t[0] for t in times), statistics.median(t[1] for t in times), ours.compile, compiled)


def main():
    lib = jinja_oracle.Library(sys.argv[1])
    if len(sys.argv) > 2:
        sources = {p.stem: p.read_text(encoding="utf-8") for p in sorted(pathlib.Path(sys.argv[2]).glob("*.jinja"))}
    else:
        sources = {"ChatML": CHATML, "Llama 3": LLAMA3, "Llama 2": LLAMA2}
    print(f"{'template':44}{'ours':>10}{'jinja2':>10}{'times':>7}{'compile':>10}{'jinja2':>10}   microseconds")
    for name, source in sources.items():
        result = measure(lib, source)
        if result is None:
            print(f"{name[:43]:44}  refuses a plain chat")
            continue
        us = [1e6 * t for t in result]
        print(f"{name[:43]:44}{us[0]:10.1f}{us[1]:10.1f}{us[1] / us[0]:7.1f}{us[2]:10.0f}{us[3]:10.0f}")


if __name__ == "__main__":
    main()
