#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes tests/golden/smollm2.json and smollm2_logits.bin: what transformers gives for SmolLM2-135M-Instruct (the Q4_1
GGUF, dequantized, float32), greedy, for 20 prompts; and llama.cpp's perplexity of a fixed text on the same file.

    python3 -m venv golden && golden/bin/pip install torch transformers gguf numpy llama-cpp-python
    golden/bin/python tests/golden/make_smollm2.py MODEL.gguf

For each prompt and each repetition penalty (1.0, 1.1): 64 steps, each the best id and all that are nearly as good, with their
distances from it in nats after the penalty, so that a test can tell a tie from a mistake. For some prompts: the logits of the
last position at every 16th id, float32."""
import json
import math
import pathlib
import sys

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.generation.logits_process import RepetitionPenaltyLogitsProcessor

HERE = pathlib.Path(__file__).resolve().parent
PROMPTS = [
    "The capital of France is", "Once upon a time, in a small village by the sea,", "def fibonacci(n):\n",
    "What is machine learning?", "Explain quantum computing.", "Count from 1 to 10:", "Write a poem:\n",
    "What is Python?", "What is JavaScript?", "What is Rust?", "The three laws of thermodynamics state that",
    "In 1969, Neil Armstrong", "A recipe for pancakes:\n1.", "Dear Sir or Madam,\n\n", "import numpy as np\n",
    "The quick brown fox", "Q: How many legs does a spider have?\nA:", "Die Hauptstadt von Deutschland ist",
    "<|im_start|>user\nWhat is 2+2?<|im_end|>\n<|im_start|>assistant\n", "It was a dark and stormy night;",
]
N_NEW, LOGIT_PROMPTS, LOGIT_STEP, TIE_NATS = 64, 8, 16, 0.5
LICENCES = ["GPL-3", "LGPL-2.1", "GPL-2", "GFDL-1.3", "Apache-2.0"]


def greedy(model, ids, penalty):
    """For each step [[best id, 0.0], [another, its distance], ...]: those within TIE_NATS, nearest first."""
    processor = RepetitionPenaltyLogitsProcessor(penalty)
    sequence, steps, past = torch.tensor([ids]), [], None
    with torch.no_grad():
        for _ in range(N_NEW):
            out = model(sequence if past is None else sequence[:, -1:], past_key_values=past, use_cache=True)
            past = out.past_key_values
            scores = processor(sequence, out.logits[:, -1].float().clone()) if penalty != 1.0 else out.logits[:, -1].float()
            top = torch.topk(scores[0], 16)
            distances = [round(float(top.values[0] - value), 5) for value in top.values]
            steps.append([[int(i), d] for i, d in zip(top.indices, distances) if d <= TIE_NATS])
            sequence = torch.cat([sequence, top.indices[:1][None]], dim=1)
            if steps[-1][0][0] == model.generation_config.eos_token_id or steps[-1][0][0] == 2:
                break
    return steps


def perplexity_text():
    """Texts that every Debian system has, the same for years."""
    return "\n".join(pathlib.Path("/usr/share/common-licenses", name).read_text() for name in LICENCES)


def llama_cpp_ids(path, text):
    """transformers' conversion of a GGUF's tokenizer drops the rule that splits digits; llama.cpp's has it."""
    import llama_cpp
    return llama_cpp.Llama(path, vocab_only=True, verbose=False).tokenize(text.encode(), add_bos=False, special=False)


def llama_cpp_perplexity(path, ids, window):
    """exp of the mean negative log-likelihood of ids in windows of `window`, each from an empty cache, the first half of
    a window being context only (as llama.cpp's perplexity tool does)."""
    import llama_cpp
    model = llama_cpp.Llama(path, n_ctx=window, n_batch=window, n_ubatch=window, logits_all=True, n_threads=2, verbose=False)
    total, count = 0.0, 0
    for at in range(0, len(ids) - window + 1, window):
        model.reset()
        model.eval(ids[at:at + window])
        logits = np.asarray(model.scores[:window], dtype=np.float64)
        for i in range(window // 2, window - 1):
            row = logits[i] - logits[i].max()
            total -= row[ids[at + i + 1]] - math.log(np.exp(row).sum())
            count += 1
    return math.exp(total / count), count


def main():
    path = pathlib.Path(sys.argv[1])
    model = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, torch_dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    cases, rows = [], []
    for i, prompt in enumerate(PROMPTS):
        ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        cases.append({"prompt": prompt, "ids": ids, "greedy": {str(p): greedy(model, ids, p) for p in (1.0, 1.1)}})
        if i < LOGIT_PROMPTS:
            with torch.no_grad():
                rows.append(model(torch.tensor([ids])).logits[0, -1, ::LOGIT_STEP].float().numpy())
        print(f"prompt {i + 1} of {len(PROMPTS)}", file=sys.stderr)
    ids = llama_cpp_ids(str(path), perplexity_text())[:20480]
    ppl = {}
    for name, part in (("sample", ids[:2048]), ("full", ids)):
        value, count = llama_cpp_perplexity(str(path), part, 512)
        ppl[name] = {"n_tokens": len(part), "window": 512, "llama_cpp": value, "n_scored": count}
    golden = {"logit_prompts": LOGIT_PROMPTS, "logit_step": LOGIT_STEP, "licences": LICENCES, "perplexity": ppl, "cases": cases}
    (HERE / "smollm2.json").write_text(json.dumps(golden, ensure_ascii=False, separators=(",", ":")) + "\n")
    np.stack(rows).astype("<f4").tofile(HERE / "smollm2_logits.bin")


if __name__ == "__main__":
    main()
