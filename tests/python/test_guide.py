# SPDX-License-Identifier: MIT
"""The guide runs as it is written; only the name of its model becomes the path of the one at hand."""
import os
import pathlib
import re
import subprocess
import sys

import pytest

import quantllm

ROOT = pathlib.Path(__file__).resolve().parents[2]
HUB_ID = "TinyLlama/TinyLlama-1.1B-Chat-v1.0"


def blocks(path):
    return re.findall(r"^```python\n(.*?)^```$", path.read_text(encoding="utf-8"), re.M | re.S)


def test_blocks_are_those_of_the_reference(shared):
    assert blocks(ROOT / "docs" / "text-generation.md") == blocks(shared("seed/text-generation.md"))


def test_every_block_runs(smollm, monkeypatch, capsys):
    opened = []

    def turbo(name, **options):
        assert name == HUB_ID
        opened.append(real_turbo(smollm, seed=1, **options))  # some seeds end the text at once
        return opened[-1]

    real_turbo = quantllm.turbo
    monkeypatch.setattr(quantllm, "turbo", turbo)
    names = {}
    printed = []
    for block in blocks(ROOT / "docs" / "text-generation.md"):
        exec(compile(block, "docs/text-generation.md", "exec"), names)
        printed.append(capsys.readouterr().out)
    basic, parameters, chat, streaming, stop, batch = printed
    assert len(opened) == 1
    assert len(basic) > 20 and parameters == "" and stop == ""
    assert len(chat) > 20 and [m["role"] for m in names["messages"]] == ["system", "user", "assistant", "user"]
    assert names["messages"][2]["content"] + "\n" == chat
    assert len(streaming) > 5 and streaming.endswith("\n")
    assert re.findall(r"^Q: (.*)$", batch, re.M)[:1] == ["What is Python?"]
    opened[0].close()


@pytest.mark.skipif(not os.environ.get("QL_LONG"), reason="./demo runs this script, and make test-long")
def test_script_runs(smollm):
    command = [sys.executable, ROOT / "examples" / "guide.py", smollm]
    script = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert script.returncode == 0, script.stderr
    assert len(re.findall("^== ", script.stdout, re.M)) == 8
    assert script.stderr.count("\n") == 1 and script.stderr.startswith("quantllm: ")


def test_prompts_of_the_guide_make_sense(smollm):
    with quantllm.turbo(smollm, verbose=False) as model:
        greedy = {"temperature": 0.0, "max_new_tokens": 60}
        assert "Paris" in model.generate("The capital of France is", **greedy)
        assert "programming" in model.chat([{"role": "user", "content": "What is Python?"}], **greedy)
        stopped = model.generate("1, 2, 3, 4,", stop_strings=["9"], repetition_penalty=1.0, **greedy)
        assert stopped.split() == ["5,", "6,", "7,", "8,"] and model.last_finish_reason == "stop"
