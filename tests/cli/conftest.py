# SPDX-License-Identifier: MIT
"""The command under test (QL_COMMAND) and a tiny model made for the occasion."""
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

# A template that any model can have: what was said, and nothing that a message could imitate.
TEMPLATE = ("{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
            "{% if add_generation_prompt %}assistant:{% endif %}")


FIRST_BYTE = 3  # the tiny model's token of the byte 0; three control tokens come before


def always(byte):
    """Options with which the tiny model says this byte for ever."""
    return ["--greedy", "--repetition-penalty", "1", "--logit-bias", f"{FIRST_BYTE + byte}=10000"]


# An answer that only its reader can end.
LONG = [*always(ord("a")), "--max-length", "100000", "--max-new-tokens", "90000"]


@pytest.fixture(scope="session", autouse=True)
def apart(tmp_path_factory):
    """No test reaches the Hub or the user's cache of it: port 9 of this machine answers nobody."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_TOKEN", "HF_TOKEN_PATH", "HUGGING_FACE_HUB_TOKEN",
                     "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_PROGRESS_BARS"):
            patch.delenv(name, raising=False)
        patch.setenv("HF_HOME", str(tmp_path_factory.mktemp("home") / "huggingface"))
        patch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
        patch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
        patch.setenv("QUANTLLM_HUB_RETRIES", "1")
        yield


class Command:
    def __init__(self, path):
        self.path = path

    def argv(self, *args):
        return [self.path, *map(os.fspath, args)]

    def __call__(self, *args, stdin=subprocess.DEVNULL, timeout=60, **options):
        """Runs it; input=bytes gives a pipe. Output is bytes."""
        if "input" in options:
            stdin = None
        return subprocess.run(self.argv(*args), stdin=stdin, capture_output=True, timeout=timeout, **options)


@pytest.fixture(scope="session")
def command():
    path = os.environ.get("QL_COMMAND", str(ROOT / "build" / "cli" / "quantllm"))
    assert os.access(path, os.X_OK), f"{path} is not a program: set QL_COMMAND to the quantllm to test"
    return Command(os.path.abspath(path))


@pytest.fixture(scope="session")
def make_tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")

    def make(name, *args):
        path = folder / name
        if not path.exists():
            subprocess.run([sys.executable, ROOT / "tests" / "golden" / "make_tiny.py", path, *map(os.fspath, args)],
                           check=True, stdout=subprocess.DEVNULL)
        return path

    return make


@pytest.fixture(scope="session")
def template_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("templates") / "plain.jinja"
    path.write_text(TEMPLATE)
    return path


@pytest.fixture(scope="session")
def tiny(make_tiny, template_file):
    return make_tiny("tiny.gguf", "--template", template_file, "--context", "100000")


@pytest.fixture(scope="session")
def tiny_without_template(make_tiny):
    return make_tiny("none.gguf", "--template", "none")


def error_line(result, code):
    """The one line of an error; nothing else may be there."""
    assert result.returncode == code, result
    assert result.stdout == b""
    text = result.stderr.decode()
    assert text.startswith("error: ") and text.endswith("\n") and text.count("\n") == 1, text
    return text[len("error: "):-1]
