# SPDX-License-Identifier: MIT
"""Importing the package is cheap and leaves the process as it was."""
import json
import re
import subprocess

HEAVY = ["numpy", "torch", "json", "logging", "asyncio", "threading", "subprocess", "socket", "ssl", "tqdm", "requests",
         "huggingface_hub", "inspect", "dataclasses", "difflib", "multiprocessing", "importlib.metadata"]


def test_imports_nothing_heavy(run_script):
    done = run_script("""
import sys
before = set(sys.modules)
import quantllm
print("\\n".join(sorted(set(sys.modules) - before)))
""")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    new = done.stdout.split()
    assert "quantllm" in new and not set(HEAVY) & set(new)
    assert len(new) < 40, new


def test_changes_nothing(run_script):
    done = run_script("""
import json, locale, logging, os, signal, sys, threading, warnings
def state():
    return {
        "signals": [str(signal.getsignal(s)) for s in signal.valid_signals()],
        "logging": [logging.getLogger().level, len(logging.getLogger().handlers), logging.raiseExceptions],
        "loggers": sorted(logging.root.manager.loggerDict),
        "warnings": len(warnings.filters),
        "environment": dict(os.environ),
        "locale": locale.setlocale(locale.LC_ALL),
        "hooks": [str(sys.excepthook), str(sys.displayhook)],
        "threads": len(os.listdir("/proc/self/task")),
        "files": len(os.listdir("/proc/self/fd")),
        "folder": [os.getcwd(), sorted(os.listdir())],
    }
before = state()
import quantllm
after = state()
print(json.dumps([name for name in before if before[name] != after[name]]))
""")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert json.loads(done.stdout) == []


def test_only_the_module_function_is_visible():
    import quantllm._quantllm as extension

    symbols = subprocess.run(["nm", "-D", "--defined-only", extension.__file__], capture_output=True, text=True)
    if symbols.returncode != 0:
        return
    names = [line.split()[-1] for line in symbols.stdout.splitlines()]
    assert [name for name in names if not re.match("_*(asan|ubsan|odr_asan)", name.lower())] == ["PyInit__quantllm"]


def test_version():
    import quantllm

    assert re.fullmatch(r"\d+\.\d+\.\d+", quantllm.__version__)
