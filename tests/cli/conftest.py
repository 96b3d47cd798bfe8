# SPDX-License-Identifier: MIT
"""The command under test (QL_COMMAND) and a tiny model made for the occasion."""
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(ROOT / "tests" / "hub"))
sys.path.insert(0, str(ROOT / "tests" / "golden"))
import fakehub
import make_tiny_folder

# A run in the background inherits that Ctrl-C is ignored, and so would every command it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

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


# ---- a hub on this machine, and who uses it ----

NAME = "TinyLlama/TinyLlama-1.1B-Chat-v1.0"
WEIGHTS = "model.safetensors"
HELLO = ["--greedy", "--max-new-tokens", "8", "hello"]
# huggingface_hub's own download, of these files alone
PULL = ("import sys; from huggingface_hub import snapshot_download\n"
        "print(snapshot_download(sys.argv[1], allow_patterns=sys.argv[2:]))")


@pytest.fixture
def hub():
    served = fakehub.Hub()
    yield served
    served.close()


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("folder") / "model"
    make_tiny_folder.make(path)
    return path


@pytest.fixture(scope="session")
def files(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir()}


@pytest.fixture
def repo(hub, files):
    """The commit of a small model under a large one's name, beside what must not be downloaded."""
    return hub.add(NAME, {**files, "pytorch_model.bin": b"\x80" * 20_000, "README.md": b"# tiny", "onnx/model.onnx": b"x"})


class User:
    """A home with caches of its own."""

    def __init__(self, command, hub, home):
        self.command, self.hub, self.home = command, hub, home
        self.env = {**os.environ, "HF_HOME": str(home), "HF_ENDPOINT": hub.url, "QUANTLLM_CACHE": str(home / "packed"),
                    "QUANTLLM_HUB_RETRIES": "1"}

    def __call__(self, *args, env=None, **options):
        return self.command(*args, env={**self.env, **(env or {})}, **options)

    def pull(self, name=NAME, *args, **options):
        done = self("pull", name, "--json", *args, **options)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def python(self, source, *args, **env):
        """What a Python program with these caches prints."""
        done = subprocess.run([sys.executable, "-c", source, *args], capture_output=True, text=True,
                              env={**self.env, "HF_HUB_DISABLE_XET": "1", **env})
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def refused(self, *args, code=1, **options):
        return error_line(self(*args, **options), code)

    @property
    def cache(self):
        return self.home / "hub"

    def storage(self, name=NAME):
        return self.cache / ("models--" + name.replace("/", "--"))

    def names(self):
        """Of all files in snapshots that have a content."""
        return sorted(p.name for p in self.cache.glob("models--*/snapshots/*/**/*") if p.is_file())

    def partials(self):
        return list(self.cache.glob("models--*/blobs/*.incomplete"))

    def wait_for_partial(self, content):
        """Until some of a file has arrived; its partial file."""
        name, deadline = f"{fakehub.etag(content)}.quantllm.incomplete", time.monotonic() + 20
        while time.monotonic() < deadline:
            for path in self.partials():
                if path.name == name and path.exists() and path.stat().st_size:
                    return path
            time.sleep(0.01)
        raise AssertionError(f"{name} has not come")


@pytest.fixture
def user(command, hub, tmp_path):
    return User(command, hub, tmp_path / "home")
