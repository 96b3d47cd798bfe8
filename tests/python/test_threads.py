# SPDX-License-Identifier: MIT
"""Many threads on one model, closing and cancelling from elsewhere, Ctrl-C, fork."""
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from quantllm import turbo

# Within a chunk of a prompt whose whole takes several times as long. ./check runs tests side by side, the long run does not.
SOON = 3 if os.environ.get("QL_LONG") else 12
CALL = {"max_new_tokens": 24, "temperature": 1.5, "top_k": 0}


def in_threads(n, work, seconds=60):
    """Runs work(i) in n threads and raises what one of them raised."""
    errors = []

    def guarded(i):
        try:
            work(i)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(i,)) for i in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds)
        assert not thread.is_alive()
    if errors:
        raise errors[0]


def test_each_thread_gets_its_own_text(model):
    threads = 16
    expected = [model.generate(f"Thread {i}", seed=i, **CALL) for i in range(threads)]

    def work(i):
        for k in range(200 if os.environ.get("QL_LONG") else 4):
            if k % 3 == 0:
                assert model.generate([f"Thread {i}", "x"], seed=i, **CALL)[0] == expected[i]
            elif k % 3 == 1:
                assert "".join(model.generate(f"Thread {i}", stream=True, seed=i, **CALL)) == expected[i]
            else:
                with model.generate("other", stream=True, **CALL) as stream:
                    next(stream, None)
                assert model.generate(f"Thread {i}", seed=i, **CALL) == expected[i]
            model.logits(model.tokenize(f"Thread {i}"))

    in_threads(threads, work, 600)


def test_one_stream_for_two_threads(model):
    """Together they get every piece once."""
    expected = list(model.generate("Once", stream=True, seed=1, **CALL))
    for _ in range(5):
        stream = model.generate("Once", stream=True, seed=1, **CALL)
        pieces = []
        in_threads(2, lambda i: pieces.extend(stream))
        assert sorted(pieces) == sorted(expected)


def test_close_while_others_generate(tiny):
    for attempt in range(5):
        model = turbo(tiny, verbose=False)
        started = threading.Barrier(4)

        def work(i):
            started.wait()
            with pytest.raises(ValueError, match="^model is closed$"):
                while True:
                    if i == 0:
                        model.generate("Once", **CALL)
                    elif i == 1:
                        list(model.generate("Once", stream=True, **CALL))
                    else:
                        model.tokenize("Once upon a time " * 20000)
                        model.logits([1, 2, 3])

        def close():
            started.wait()
            time.sleep(0.01 * attempt)
            model.close()

        closer = threading.Thread(target=close)
        closer.start()
        in_threads(3, work)
        closer.join()


def test_close_a_stream_from_another_thread(model):
    expected = model.generate("Once", seed=1, **CALL)
    for _ in range(10):
        stream = model.generate("Once", stream=True, seed=2, max_new_tokens=100)
        in_threads(2, lambda i: stream.close() if i else list(stream))
        assert stream.finish_reason is not None and list(stream) == []
        assert model.generate("Once", seed=1, **CALL) == expected


INTERRUPTED = """
import signal, sys, threading
from quantllm import turbo
signal.signal(signal.SIGINT, signal.default_int_handler)
model = turbo(sys.argv[1], verbose=False)
expected = model.generate("Once", seed=1, max_new_tokens=8)
print("ready", flush=True)
try:
    while True:
        %s
except KeyboardInterrupt:
    pass
assert model.generate("Once", seed=1, max_new_tokens=8) == expected
print("interrupted", flush=True)
"""


def interrupt(source, path, wait):
    """Starts a script, sends SIGINT a while after it is ready; returns the seconds it took to end."""
    env = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen([sys.executable, "-c", source, path], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True, env=env)
    try:
        assert process.stdout.readline() == "ready\n", process.communicate()
        time.sleep(wait)
        start = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (out, err, process.returncode) == ("interrupted\n", "", 0)
    return time.monotonic() - start


@pytest.mark.parametrize("call", [
    'model.generate("Once", max_new_tokens=200)',
    'model.generate(["Once", "upon", "a", "time"] * 4, max_new_tokens=100)',
    'list(model.generate("Once", stream=True))',
    'model.logits([1] * 50)',
])
def test_ctrl_c(tiny, call):
    for wait in (0.05, 0.1):
        interrupt(INTERRUPTED % call, tiny, wait)


def test_ctrl_c_while_a_long_prompt_is_computed(smollm):
    """Within one chunk of the prompt, long before its end."""
    call = 'model.generate("one two three four five " * 1200, max_new_tokens=1)'
    assert interrupt(INTERRUPTED.replace("verbose=False", "verbose=False, max_length=8192") % call, smollm, 0.3) < SOON


def test_close_ends_a_long_prompt(smollm):
    with turbo(smollm, verbose=False) as model:
        stream = model.generate("one two three four five " * 1200, stream=True, max_new_tokens=1)
        thread = threading.Thread(target=list, args=(stream,))
        thread.start()
        time.sleep(0.3)
        start = time.monotonic()
        stream.close()
        thread.join()
        assert time.monotonic() - start < SOON and stream.usage.prompt_seconds < SOON + 1


def test_other_signals_are_seen_while_it_computes(run_script, tiny):
    done = run_script("""
import signal, sys
from quantllm import turbo
seen = []
signal.signal(signal.SIGALRM, lambda *_: seen.append(1))
signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
model = turbo(sys.argv[1], verbose=False)
while len(seen) < 10:
    model.generate("Once", max_new_tokens=50)
signal.setitimer(signal.ITIMER_REAL, 0)
print("ok")
""", tiny)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ok\n", "")


def test_handler_that_closes_what_is_running(run_script, tiny):
    done = run_script("""
import signal, sys
from quantllm import turbo
model = turbo(sys.argv[1], verbose=False)
stream = None
def handler(*_):
    if stream is not None:
        stream.close()
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
expected = model.generate("Once", seed=1, max_new_tokens=8)
reasons = set()
for _ in range(2000):
    stream = model.generate("Once", stream=True, max_new_tokens=200)
    list(stream)
    reasons.add(stream.finish_reason)
    if "cancelled" in reasons:
        break
signal.setitimer(signal.ITIMER_REAL, 0)
stream = None
assert model.generate("Once", seed=1, max_new_tokens=8) == expected
print(*reasons & {"cancelled"})
""", tiny)
    assert (done.returncode, done.stdout, done.stderr) == (0, "cancelled\n", "")


def test_fork(run_script, tiny):
    done = run_script("""
import os, sys
from quantllm import Tokenizer, turbo
model = turbo(sys.argv[1], verbose=False)
tokenizer = Tokenizer.from_file(sys.argv[1])
expected = model.generate("Once", seed=1, max_new_tokens=8)
stream = model.generate("Once", stream=True)
next(stream)
if os.fork() == 0:
    for call in (lambda: model.generate("a"), lambda: next(stream), lambda: model.tokenize("a"),
                 lambda: model.logits([1])):
        try:
            call()
            os._exit(1)
        except RuntimeError as error:
            assert "forked child" in str(error) and str(os.getppid()) in str(error)
    assert tokenizer.decode(tokenizer.encode("Once"), skip_special_tokens=True)
    stream.close()
    model.close()
    del stream, model
    sys.exit(0)
assert os.wait()[1] == 0
assert model.generate("Once", seed=1, max_new_tokens=8) == expected
print("ok")
""", tiny)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ok\n", "")


def test_exit_while_a_thread_generates(run_script, tiny):
    done = run_script("""
import sys, threading, time
from quantllm import turbo
model = turbo(sys.argv[1], verbose=False)
def work():
    while True:
        model.generate("Once", max_new_tokens=100)
threading.Thread(target=work, daemon=True).start()
time.sleep(0.1)
print("ok")
""", tiny)
    assert (done.returncode, done.stdout) == (0, "ok\n"), done.stderr


@pytest.mark.parametrize("end", [
    "",                                     # a stream that nobody ends
    "sys.exit(0)",
    "threading.Thread(target=list, args=(stream,), daemon=True).start(); time.sleep(0.05)",
    "threading.Thread(target=list, args=(stream,), daemon=True).start(); time.sleep(0.05); sys.exit(0)",
    "keep.append(stream); keep.append(keep)",   # found by the collector at the end, if at all
    "atexit.register(stream.close)",
])
def test_exit_during_a_stream(run_script, tiny, end):
    done = run_script(f"""
import atexit, sys, threading, time
from quantllm import turbo
keep = []
model = turbo(sys.argv[1], verbose=False)
stream = model.generate("Once", stream=True, max_new_tokens=200)
for piece in stream:
    break
print("ok", flush=True)
{end}
""", tiny)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ok\n", "")


def test_ctrl_c_in_a_stream(run_script, tiny):
    """It comes as KeyboardInterrupt out of the loop, and stream and model go on being of use. How soon, in 20 attempts: is
    only asked in the long run, on a machine that does nothing else."""
    done = run_script("""
import os, signal, sys, threading, time
from quantllm import turbo
signal.signal(signal.SIGINT, signal.default_int_handler)
model = turbo(sys.argv[1], verbose=False)
expected = model.generate("Once", seed=1, max_new_tokens=8)
worst = 0
for i in range(20):
    sent = []
    def send():
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)
    timer = threading.Timer(0.01 + 0.003 * i, send)
    try:
        timer.start()
        while True:
            for piece in model.generate("Once", stream=True, max_new_tokens=200):
                pass
    except KeyboardInterrupt:
        worst = max(worst, time.monotonic() - sent[0])
    timer.join()
    assert model.generate("Once", seed=1, max_new_tokens=8) == expected
print(worst)
""", tiny)
    assert (done.returncode, done.stderr) == (0, "")
    assert not os.environ.get("QL_LONG") or float(done.stdout) <= 0.2


def test_nothing_is_left_behind(run_script, tiny):
    """Threads end with their model, and memory does not grow with dropped streams and models."""
    done = run_script("""
import gc, os, sys
from quantllm import turbo
def tasks():
    return len(os.listdir("/proc/self/task"))
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
def once():
    with turbo(sys.argv[1], threads=4, verbose=False) as model:
        for i in range(20):
            next(model.generate("Once upon a time", stream=True))
        kept = model.generate("Once", stream=True)
        next(kept)
        cycle = [kept]
        cycle.append(cycle)
before = tasks() + ("libtsan" in os.environ.get("LD_PRELOAD", "")) # it has a thread of its own from the first on
for _ in range(5):
    once()
gc.collect()
small = resident()
for _ in range(20):
    once()
gc.collect()
import time
for _ in range(100):
    if tasks() == before:
        break
    time.sleep(0.01)
assert tasks() == before, tasks()
sanitized = any(name in os.environ.get("LD_PRELOAD", "") for name in ("libasan", "libtsan")) # they keep memory of their own
assert resident() - small < 16 << 20 or sanitized, resident() - small
print("ok")
""", tiny)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ok\n", "")
