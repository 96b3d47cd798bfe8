# SPDX-License-Identifier: MIT
"""A tiny model made for the occasion, the real one if QL_MODEL has its path, the shared vectors if they are there."""
import os
import pathlib
import subprocess
import sys

import pytest

from quantllm import turbo

ROOT = pathlib.Path(__file__).resolve().parents[2]

# A template that any model can have: what was said, and nothing that a message could imitate.
TEMPLATE = ("{% for m in messages %}{% if m.role not in ['system', 'user', 'assistant'] %}"
            "{{ raise_exception('no role ' + m.role) }}{% endif %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
            "{% if add_generation_prompt %}assistant:{% endif %}")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """What uses the real model is marked so, for those who want to leave it out."""
    for item in items:
        if "smollm" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.model)


@pytest.fixture(scope="session", autouse=True)
def apart(tmp_path_factory):
    """No test reaches the Hub, reads the user's caches or writes to them: port 9 of this machine answers nobody."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE",
                     "TRANSFORMERS_OFFLINE", "QUANTLLM_CACHE_SIZE"):
            patch.delenv(name, raising=False)
        patch.setenv("HF_HOME", str(folder / "huggingface"))
        patch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
        patch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
        patch.setenv("QUANTLLM_CACHE", str(folder / "packed"))
        yield


@pytest.fixture(scope="session")
def make_tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")

    def make(name, *args):
        path = folder / name
        if not path.exists():
            script = ROOT / "tests" / "golden" / "make_tiny.py"
            subprocess.run([sys.executable, script, path, *map(os.fspath, args)], check=True, stdout=subprocess.DEVNULL)
        return path

    return make


@pytest.fixture(scope="session")
def tiny(make_tiny, tmp_path_factory):
    """Path of a tiny model with the template above."""
    template = tmp_path_factory.mktemp("templates") / "plain.jinja"
    template.write_text(TEMPLATE)
    return make_tiny("tiny.gguf", "--template", template)


@pytest.fixture(scope="session")
def tiny_without_template(make_tiny):
    return make_tiny("none.gguf", "--template", "none")


@pytest.fixture(scope="session")
def model(tiny):
    with turbo(tiny, verbose=False) as opened:
        yield opened


@pytest.fixture(scope="session")
def smollm():
    path = os.environ.get("QL_MODEL")
    if not path:
        pytest.skip("QL_MODEL is not set: ./check sets it to SmolLM2")
    return path


@pytest.fixture(scope="session")
def shared():
    """A function to a file of the shared vectors."""
    root = pathlib.Path(os.environ.get("QL_SHARED", ROOT.parent / "shared"))

    def find(name):
        if not (root / name).exists():
            pytest.skip(f"{name} of the shared vectors is not here: set QL_SHARED")
        return root / name

    return find


@pytest.fixture(scope="session")
def run_script():
    """Runs Python source in a process of its own; its arguments are in sys.argv[1:]."""

    def run(source, *args, **options):
        return subprocess.run([sys.executable, "-c", source, *map(os.fspath, args)], capture_output=True, text=True,
                              timeout=120, **options)

    return run


@pytest.fixture
def hub():
    """A hub on this machine (tests/hub/fakehub.py)."""
    sys.path.insert(0, str(ROOT / "tests" / "hub"))
    import fakehub

    server = fakehub.Hub()
    yield server
    server.close()


@pytest.fixture(scope="session")
def smollm_folder(smollm, tmp_path_factory):
    """SmolLM2 as a Hugging Face folder, made from its GGUF by a kept script."""
    folder = tmp_path_factory.mktemp("smollm") / "hf"
    subprocess.run([sys.executable, ROOT / "tools" / "gguf_to_hf.py", smollm, folder], check=True)
    return folder
