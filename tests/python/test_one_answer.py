# SPDX-License-Identifier: MIT
"""One prompt, one text: whatever else the model does meanwhile, with however many threads, alone or in a list, streamed,
after another prompt or after its own beginning, with drafts or without."""
import contextlib
import os
import random
import threading

from quantllm import turbo

RUNS = 1000 if os.environ.get("QL_LONG") else 12
PROMPT = "The lighthouse keeper wrote down the names of the ships. The first ship was called"
OTHERS = ["A list of colours: red, green, blue,", "Once", "def add(a, b):\n    return", "In the year 1815 " * 12, PROMPT[:40]]
SAMPLED = {"max_new_tokens": 16, "seed": 11, "temperature": 0.9}


def one_run(model, pick):
    """The prompt's text, by a way and in a company that pick chooses."""
    way, n_others = pick.randrange(4), pick.randrange(1, 6)
    if way == 0:
        return model.generate(PROMPT, **SAMPLED)
    if way == 1:
        return "".join(model.generate(PROMPT, stream=True, **SAMPLED))
    if way == 2:  # among others, each prompt's random numbers are its own
        prompts = [pick.choice(OTHERS) for _ in range(n_others)]
        at = pick.randrange(n_others + 1)
        return model.generate(prompts[:at] + [PROMPT] + prompts[at:], **SAMPLED)[at]
    with model.generate(pick.choice(OTHERS), stream=True, max_new_tokens=8) as stream:  # left after a piece
        next(stream, None)
    return model.generate(PROMPT, **SAMPLED)


def disturb(model, stop, seed):
    """Work of every kind on the same model, and a processor kept busy in between."""
    pick = random.Random(seed)
    while not stop.is_set():
        model.generate([pick.choice(OTHERS) for _ in range(pick.randrange(1, 4))], max_new_tokens=pick.randrange(1, 12))
        model.logits(model.tokenize(pick.choice(OTHERS)))
        sum(i * i for i in range(pick.randrange(100_000)))


def test_runs_under_mixed_load_give_one_text(smollm):
    with contextlib.ExitStack() as stack:
        options = [{"threads": n} for n in (1, 2, 3, 4)] + [{"speculation": False}]
        models = [stack.enter_context(turbo(smollm, verbose=False, max_length=512, **o)) for o in options]
        expected = models[0].generate(PROMPT, **SAMPLED)
        stop = threading.Event()
        load = [threading.Thread(target=disturb, args=(models[i], stop, i)) for i in (1, 4)]
        for thread in load:
            thread.start()
        try:
            pick = random.Random(7)
            for run in range(RUNS):
                assert one_run(models[run % len(models)], pick) == expected, f"run {run}"
        finally:
            stop.set()
            for thread in load:
                thread.join()
    assert len(expected) > 20
