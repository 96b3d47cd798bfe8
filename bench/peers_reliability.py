#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The bad inputs of tests/golden/bad_inputs.py given to quantllm and to llama-cpp-python, each in a process of its own with a
time limit, as the table of docs/reliability.md.

    peers_reliability.py [--peer PYTHON] [--markdown FILE]

--peer is a Python that has llama-cpp-python; this one must have quantllm. A probe opens the file and uses it as the table says:
three tokens, or a chat. What is read by one of the two only (safetensors folders) is left out.

  refused         an exception with a reason that names what is wrong, or a line on standard error that does
  refused, mute   an exception without one
  accepted        opened and used without a word
  crash SIGNAL    the process died
  hang            nothing within 20 s of CPU
  memory          more than the limit on address space was asked for"""
import argparse
import collections
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "golden"))
import bad_inputs
import make_tiny

SECONDS, PATIENCE, ADDRESS_SPACE = 20, 300, 8 << 30  # of CPU; of a clock, which also counts what else runs
LIMITS = f"""
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, ({ADDRESS_SPACE}, {ADDRESS_SPACE}))
resource.setrlimit(resource.RLIMIT_CPU, ({SECONDS}, {SECONDS}))
"""
OURS = LIMITS + """
from quantllm import turbo
model = turbo(sys.argv[1], verbose=False, cache=False)
if sys.argv[2] == "chat":
    model.chat([{"role": "user", "content": "hi"}], max_new_tokens=3)
else:
    model.generate(sys.argv[3], max_new_tokens=3, temperature=0)
print("USED")
"""
# What the package does when somebody types it: a chat template of the file is used by create_chat_completion.
THEIRS = LIMITS + """
from llama_cpp import Llama
model = Llama(sys.argv[1], n_ctx=256, verbose=True, n_threads=2)
if sys.argv[2] == "chat":
    model.create_chat_completion([{"role": "user", "content": "hi"}], max_tokens=3)
else:
    model.create_completion(sys.argv[3], max_tokens=3, temperature=0)
print("USED")
"""
# Lines of llama.cpp's log that tell of a fault; which file, field or value it is about is not asked for.
COMPLAINS = re.compile(r"error loading model: |^gguf_init|^read: |GGML_ASSERT|(?i:\berror\b)")
EXCEPTION = re.compile(r"[A-Za-z_][\w.]*(Error|Exception)\b")
MUTE = "Failed to load model from file"  # what an exception of llama-cpp-python says of every fault


def reason(text):
    """What a person who reads standard error learns: the exception, or where that is mute the first complaint before it."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    raised = [line for line in lines if EXCEPTION.match(line) and MUTE not in line]
    complaints = [line for line in lines if COMPLAINS.search(line) and MUTE not in line and not EXCEPTION.match(line)]
    return raised[-1] if raised else complaints[0] if complaints else ""


def probe(python, script, bad, path):
    """(outcome, what was said)"""
    env = {**os.environ, "QUANTLLM_CACHE": "off", "GGML_NO_BACKTRACE": "1"}
    try:
        done = subprocess.run([python, "-c", script, str(path), bad.action, bad_inputs.TEXT], capture_output=True,
                              timeout=PATIENCE, env=env, cwd=tempfile.gettempdir())
    except subprocess.TimeoutExpired:
        return "hang", f"{PATIENCE} s"
    out, err = (text.decode(errors="replace") for text in (done.stdout, done.stderr))
    if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        return "hang", f"{SECONDS} s of CPU"
    if done.returncode < 0:
        said = [line for line in err.splitlines() if "GGML_ASSERT" in line or "terminate" in line]
        return f"crash {signal.Signals(-done.returncode).name}", said[-1] if said else ""
    said = reason(err)
    if done.returncode == 0 and "USED" in out:
        return "accepted", ""
    if "MemoryError" in err or "bad_alloc" in err or "Cannot allocate memory" in err:
        return ("refused", said) if script is OURS else ("memory", said)
    return ("refused", said) if said else ("refused, mute", err.strip().splitlines()[-1] if err.strip() else "")


def version(python, name):
    done = subprocess.run([python, "-c", f"import {name}; print({name}.__version__)"], capture_output=True, text=True)
    return done.stdout.strip() or sys.exit(f"{python} has no {name}: {done.stderr.strip().splitlines()[-1]}")


def short(text, path):
    text = text.replace(str(path), path.name).replace(str(path.parent) + "/", "").replace("|", "\\|")
    text = re.sub(r"/\S*/", "", text)
    return text if len(text) <= 110 else text[:107] + "..."


def rows(peer):
    with tempfile.TemporaryDirectory() as folder:
        good = bad_inputs.Bad("good", "nothing is wrong", lambda path: path.write_bytes(make_tiny.build()), "", "")
        for bad in [good, *(b for b in bad_inputs.TABLE if not b.folder)]:
            path = pathlib.Path(folder) / f"probe-{bad.number}.gguf"
            bad.make(path)
            yield (bad, path, probe(sys.executable, OURS, bad, path), probe(peer, THEIRS, bad, path))
            path.unlink()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", default=sys.executable, help="a Python with llama-cpp-python")
    parser.add_argument("--markdown", type=pathlib.Path, help="put the table between the marks of this file")
    options = parser.parse_args()
    names = [f"quantllm {version(sys.executable, 'quantllm')}", f"llama-cpp-python {version(options.peer, 'llama_cpp')}"]
    lines = [f"| | input | {names[0]} | {names[1]} | what the latter said |", "|---|---|---|---|---|"]
    counts = [collections.Counter(), collections.Counter()]
    for bad, path, ours, theirs in rows(options.peer):
        lines.append(f"| {bad.number} | {bad.what} | {ours[0]} | {theirs[0]} | {short(theirs[1], path)} |")
        print(lines[-1], flush=True)
        if bad.number == "good":
            assert ours[0] == theirs[0] == "accepted", (ours, theirs)
            continue
        for count, outcome in zip(counts, (ours, theirs)):
            count[outcome[0]] += 1
    for name, count in zip(names, counts):
        lines.append("")
        lines.append(f"{name}: " + ", ".join(f"{n} {outcome}" for outcome, n in count.most_common()) + ".")
        print(lines[-1])
    if options.markdown:
        text = options.markdown.read_text()
        head, _, rest = text.partition("<!-- table -->")
        tail = rest.partition("<!-- end -->")[2]
        options.markdown.write_text(f"{head}<!-- table -->\n" + "\n".join(lines) + f"\n<!-- end -->{tail}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
