# SPDX-License-Identifier: MIT
"""Models of the Hub, from a hub on this machine: what is downloaded, what the cache is good for, and every fault."""
import hashlib
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import time

import pytest

pytest.importorskip("huggingface_hub")
pytestmark = pytest.mark.slow  # a minute: huggingface_hub reads its variables once, so each user has a process

ROOT = pathlib.Path(__file__).resolve().parents[2]
NAME = "owner/tiny-GGUF"
FILE = "tiny.Q4_K_M.gguf"
TINYLLAMA = "TinyLlama/TinyLlama-1.1B-Chat-v1.0"

# Opens a model and tells what happened, as JSON on stdout.
SCRIPT = """
import json, sys
import quantllm
name, options = sys.argv[1], json.loads(sys.argv[2])
try:
    with quantllm.turbo(name, **options) as model:
        print(json.dumps({"text": model.generate("Once", temperature=0, max_new_tokens=8), "report": model.report()}))
except Exception as error:
    print(json.dumps({"error": type(error).__name__, "bases": [c.__name__ for c in type(error).__mro__],
                      "message": str(error)}))
"""

# The same without the library: which files the name stands for.
FETCH = """
import json, os, sys
from quantllm import _hub
name, options = sys.argv[1], json.loads(sys.argv[2])
said = []
try:
    path, commit = _hub.fetch(_hub.parse(name), options.get("revision"), None, True, said.append)
    folder = path if os.path.isdir(path) else os.path.dirname(path)
    print(json.dumps({"path": path, "commit": commit, "files": sorted(os.listdir(folder)), "said": said}))
except Exception as error:
    print(json.dumps({"error": type(error).__name__, "message": str(error), "said": said}))
"""


class User:
    """A home with a cache, and programs that run in it."""

    def __init__(self, hub, home):
        self.hub = hub
        self.home = home
        self.stderr = ""

    @property
    def cache(self):
        return self.home / "hub"

    def run(self, source, *args, timeout=120, **env):
        env = {**os.environ, "HF_HOME": str(self.home), "HF_ENDPOINT": self.hub.url, "HF_HUB_DISABLE_XET": "1", **env}
        done = subprocess.run([sys.executable, "-c", source, *args], capture_output=True, text=True, env=env,
                              timeout=timeout)
        self.stderr = done.stderr
        assert done.returncode == 0, done.stderr
        return done.stdout

    def turbo(self, name=NAME, **options):
        env = options.pop("env", {})
        return json.loads(self.run(SCRIPT, name, json.dumps(options), **env))

    def fetch(self, name, **options):
        env = options.pop("env", {})
        return json.loads(self.run(FETCH, name, json.dumps(options), **env))

    def files(self):
        """Names in all snapshots that have a content."""
        return sorted(p.name for p in self.cache.glob("models--*/snapshots/*/**/*") if p.is_file())


@pytest.fixture
def user(hub, tmp_path):
    return User(hub, tmp_path)


@pytest.fixture(scope="module")
def expected(tiny):
    import quantllm

    with quantllm.turbo(tiny, verbose=False) as model:
        return model.generate("Once", temperature=0, max_new_tokens=8)


@pytest.fixture
def repo(hub, tiny):
    """The commit of a repository of GGUF files, and of what must not be downloaded."""
    content = tiny.read_bytes()
    return hub.add(NAME, {FILE: content, "tiny.Q8_0.gguf": content + b"\0" * 64, "README.md": b"# tiny",
                          "mmproj-f16.gguf": b"no model", "pytorch_model.bin": b"\x80" * 20_000})


def refused(outcome, kind, *parts):
    assert outcome.get("error") == kind, outcome
    assert "\n" not in outcome["message"] and len(outcome["message"]) < 600
    for part in parts:
        assert part in outcome["message"]
    return outcome["message"]


# ---- what is downloaded, and once ----


def test_from_an_empty_cache_then_again_then_offline(user, hub, repo, expected):
    first = user.turbo()
    assert first["text"] == expected
    assert hub.downloaded() == [FILE] and user.files() == [FILE]
    report = first["report"]
    assert report["model_id"] == NAME and report["source"] == f"{NAME}@{repo}" and repo in report["file"]
    lines = user.stderr.splitlines()
    assert re.fullmatch(rf"quantllm: {NAME}: 2 GGUF models, taking {FILE}", lines[0])
    assert re.fullmatch(rf"quantllm: downloading {NAME}: 1 file, [\d.]+ MB", lines[1])
    assert lines[2].startswith(f"quantllm: {NAME}: ") and len(lines) == 3
    hub.forget()
    assert user.turbo()["text"] == expected and hub.downloaded() == [] and hub.asked("HEAD") == []
    hub.forget()
    assert user.turbo(env={"HF_HUB_OFFLINE": "1"})["report"] == {**report, "load_seconds": pytest.approx(0, abs=60)}
    assert hub.requests == []


def test_cache_is_that_of_huggingface_hub(user, repo, tiny):
    user.turbo(verbose=False)
    folder = user.cache / "models--owner--tiny-GGUF"
    blob = folder / "blobs" / hashlib.sha256(tiny.read_bytes()).hexdigest()
    assert (folder / "snapshots" / repo / FILE).resolve() == blob.resolve() and blob.is_file()
    assert (folder / "refs" / "main").read_text() == repo
    found = user.run("from huggingface_hub import hf_hub_download; import sys\n"
                     "print(hf_hub_download(*sys.argv[1:], local_files_only=True))", NAME, FILE)
    assert found.strip() == str(folder / "snapshots" / repo / FILE)


def test_what_huggingface_hub_has_downloaded_is_used(user, hub, repo, expected):
    user.run("from huggingface_hub import hf_hub_download; import sys; hf_hub_download(*sys.argv[1:])", NAME, FILE)
    hub.forget()
    assert user.turbo(env={"HF_HUB_OFFLINE": "1"})["text"] == expected
    assert user.turbo()["text"] == expected and hub.downloaded() == []


def test_nothing_is_said_unless_verbose(user, repo, expected):
    assert user.turbo(verbose=False)["text"] == expected and user.stderr == ""


@pytest.mark.parametrize("choice, file", [("Q8_0", "tiny.Q8_0.gguf"), ("q4_k_m", FILE), (FILE, FILE)])
def test_choice(user, hub, repo, expected, choice, file):
    outcome = user.turbo(f"{NAME}:{choice}")
    assert outcome["text"] == expected and outcome["report"]["source"] == f"{NAME}:{choice}@{repo}"
    assert hub.downloaded() == [file]
    refused(user.turbo(f"{NAME}:Q2_K"), "FileNotFoundError", f'{NAME} has no "Q2_K"', FILE, "tiny.Q8_0.gguf")


def test_only_what_is_needed_beside_safetensors(user, hub):
    small = ["config.json", "generation_config.json", "tokenizer_config.json", "special_tokens_map.json"]
    needed = {"chat_template.jinja": b"x", "tokenizer.json": b"[" + b" " * 20_000 + b"]",
              "model.safetensors": b"\1" * 30_000, **{name: b'{"i": %d}' % i for i, name in enumerate(small)}}
    other = {"pytorch_model.bin": b"\2" * 30_000, "model.onnx": b"\3" * 30_000, "onnx/model.onnx": b"\3" * 20_000,
             "consolidated.safetensors": b"\4" * 30_000, "tokenizer.model": b"\5" * 20_000, "README.md": b"# x",
             "model.Q4_K_M.gguf": b"\6" * 20_000, "original/params.json": b"{}", "rust_model.ot": b"\7" * 100}
    commit = hub.add("owner/plain", {**needed, **other})
    outcome = user.fetch("owner/plain")
    assert outcome["files"] == sorted(needed) == user.files() == sorted(hub.downloaded())
    assert outcome["path"].endswith(f"snapshots/{commit}") and outcome["commit"] == commit
    assert not [path for _, path in hub.requests if ".bin" in path or "onnx" in path or "consolidated" in path]
    hub.forget()
    assert user.fetch("owner/plain", env={"HF_HUB_OFFLINE": "1"})["path"] == outcome["path"] and hub.requests == []


def test_shards_of_the_index_alone(user, hub):
    shards = [f"model-0000{i}-of-00002.safetensors" for i in (1, 2)]
    files = {"config.json": b"{}", "tokenizer.json": b'{"i": 1}', **{name: os.urandom(20_000) for name in shards},
             "model-00001-of-00003.safetensors": b"an older set", "pytorch_model-00001-of-00002.bin": b"x" * 20_000,
             "model.safetensors.index.json": json.dumps({"weight_map": {"a": shards[1], "b": shards[0]}}).encode()}
    hub.add("owner/sharded", files)
    outcome = user.fetch("owner/sharded")
    assert outcome["files"] == ["config.json", *shards, "model.safetensors.index.json", "tokenizer.json"]
    assert sorted(hub.downloaded()) == outcome["files"]
    (pathlib.Path(outcome["path"]) / shards[0]).resolve().unlink()  # as after a download that was killed
    refused(user.fetch("owner/sharded", env={"HF_HUB_OFFLINE": "1"}), "FileNotFoundError", "no complete copy")
    hub.forget()
    assert user.fetch("owner/sharded")["files"] == outcome["files"] and hub.downloaded() == [shards[0]]


@pytest.mark.parametrize("files, parts, downloaded", [
    ({"config.json": b"{}", "pytorch_model.bin": b"x" * 20_000}, ["pytorch_model.bin only"], []),
    ({"config.json": b'{"quantization_config": {"quant_method": "gptq"}}', "model.safetensors": b"x" * 20_000},
     ['quantized by "gptq"'], ["config.json"]),
    ({"adapter_config.json": b"{}", "adapter_model.safetensors": b"x" * 20_000}, ["adapter"], []),
    ({"README.md": b"x"}, ["no weights"], []),
])
def test_what_can_not_run_is_refused_before_its_weights_are_downloaded(user, hub, files, parts, downloaded):
    hub.add("owner/other", files)
    refused(user.turbo("owner/other"), "NotImplementedError", "owner/other", *parts)
    assert hub.downloaded() == downloaded


def test_gguf_shards(user, hub):
    shards = [f"big-0000{i}-of-00003.gguf" for i in (1, 2, 3)]
    hub.add("owner/split", {**{name: os.urandom(15_000) for name in shards}, "x.bin": b"x"})
    outcome = user.fetch("owner/split")
    assert outcome["files"] == shards and outcome["path"].endswith(shards[0])


def test_a_path_wins_over_a_name(user, hub, repo, tiny, monkeypatch, tmp_path):
    (tmp_path / "owner").mkdir()
    (tmp_path / NAME).symlink_to(tiny)
    monkeypatch.chdir(tmp_path)
    report = user.turbo()["report"]
    assert report["source"] == str(tmp_path / NAME) and hub.requests == []


# ---- revisions ----


def test_one_commit_needs_no_network_once_it_is_there(user, hub, repo, expected):
    assert user.turbo(revision=repo)["text"] == expected
    hub.forget()
    assert user.turbo(revision=repo)["text"] == expected and hub.requests == []


def test_a_branch_that_moved_is_followed(user, hub, repo, tiny, make_tiny):
    assert user.turbo()["report"]["source"].endswith(repo)
    newer = hub.add(NAME, {FILE: tiny.read_bytes() + b"\0" * 32})
    assert newer != repo and user.turbo()["report"]["source"].endswith(newer)
    assert user.turbo(revision=repo)["report"]["source"].endswith(repo)  # the older one is kept
    assert user.turbo(env={"HF_HUB_OFFLINE": "1"})["report"]["source"].endswith(newer)


def test_an_interrupted_update_leaves_the_older_commit(user, hub, repo, tiny):
    user.turbo()
    hub.add(NAME, {FILE: tiny.read_bytes() + b"\0" * 32})
    hub.fail("GET", FILE, status=503)
    outcome = user.turbo()
    assert outcome["report"]["source"].endswith(repo) and "taking the copy in the cache" in user.stderr
    assert user.turbo(env={"HF_HUB_OFFLINE": "1"})["report"]["source"].endswith(repo)


def test_no_such_revision(user, repo):
    message = refused(user.turbo(revision="v9"), "FileNotFoundError", f"{NAME} has no revision 'v9'")
    assert "leave revision out" in message
    refused(user.turbo(revision="../x"), "ValueError", "revision must be a branch, a tag or a commit, got '../x'")


# ---- without a network ----


def test_no_network(user, repo, expected):
    gone = {"HF_ENDPOINT": "http://127.0.0.1:9"}
    refused(user.turbo(env=gone), "ConnectionError", NAME, "http://127.0.0.1:9", "check the network")
    assert user.turbo()["text"] == expected
    assert user.turbo(env=gone)["text"] == expected
    assert "taking the copy in the cache" in user.stderr.splitlines()[0]
    assert user.turbo(env=gone, verbose=False)["text"] == expected and user.stderr == ""
    refused(user.turbo(f"{NAME}:Q8_0", env=gone), "ConnectionError", NAME)


def test_offline_with_nothing(user, hub, repo):
    message = refused(user.turbo(env={"HF_HUB_OFFLINE": "1"}), "FileNotFoundError", NAME, "HF_HUB_OFFLINE")
    assert str(user.cache) in message and "unset it" in message and hub.requests == []


# ---- who may ----


def test_token(user, hub, tiny, expected):
    hub.add("owner/secret", {FILE: tiny.read_bytes()}, token="hf_right")
    refused(user.turbo("owner/secret"), "FileNotFoundError", "owner/secret is no file or folder here",
            "a private model needs a token")
    wrong = refused(user.turbo("owner/secret", token="hf_wrong"), "FileNotFoundError", "a token that may read it")
    assert "hf_wrong" not in wrong and "hf_wrong" not in user.stderr
    assert user.turbo("owner/secret", env={"HF_TOKEN": "hf_right"})["text"] == expected
    assert hub.token_leaks() == []


def test_token_as_a_parameter(user, hub, tiny, expected):
    hub.add("owner/secret", {FILE: tiny.read_bytes()}, token="hf_right")
    assert user.turbo("owner/secret", token="hf_right")["text"] == expected
    assert hub.token_leaks() == []


def test_gated(user, hub, tiny):
    hub.add("owner/gated", {FILE: tiny.read_bytes()}, gated=True)
    message = refused(user.turbo("owner/gated"), "PermissionError", "owner/gated is gated", "HF_TOKEN")
    assert f"{hub.url}/owner/gated" in message


def test_no_such_model(user):
    refused(user.turbo("owner/none"), "FileNotFoundError",
            "owner/none is no file or folder here and no model of the Hub", "check the spelling")


# ---- faults ----


@pytest.mark.parametrize("what, options, kind, parts", [
    ("api", {"status": 401}, "PermissionError", ["does not accept the token (401)", "/settings/tokens"]),
    ("api", {"status": 403}, "PermissionError", [NAME, "403"]),
    ("api", {"status": 429, "headers": {"Retry-After": "7"}}, "ConnectionError", [NAME, "429", "wait 7 s"]),
    ("api", {"status": 500}, "ConnectionError", [NAME, "status 500", "try again later"]),
    ("api", {"status": 200, "body": b"<html>a hotel's page</html>"}, "ConnectionError", [NAME, "HF_ENDPOINT"]),
    ("api", {"status": 200, "body": b"{}"}, "ConnectionError", [NAME, "HF_ENDPOINT"]),
    ("HEAD", {"status": 404}, "FileNotFoundError", [NAME, "404"]),
    ("GET", {"status": 403}, "PermissionError", [NAME, "403"]),
    ("GET", {"status": 500}, "ConnectionError", [NAME, "status 500"]),
])
def test_status(user, hub, repo, what, options, kind, parts):
    hub.fail(what, "" if what == "api" else FILE, **options)
    refused(user.turbo(), kind, *parts)
    assert user.files() == []
    hub.heal()
    assert "text" in user.turbo()


def test_a_status_with_a_copy_in_the_cache(user, hub, repo, expected):
    user.turbo()
    hub.fail("api", "", status=429)
    assert user.turbo()["text"] == expected and "429" in user.stderr.splitlines()[0]
    hub.heal()
    hub.fail("api", "", status=401)
    refused(user.turbo(), "PermissionError", "HF_HUB_OFFLINE=1 runs the copy in the cache")


def test_cut_connections(user, hub, repo, expected):
    hub.fail("GET", FILE, cut=50_000, times=2)
    assert user.turbo()["text"] == expected
    assert user.files() == [FILE]


def test_cut_again_and_again(user, hub, repo, expected):
    hub.fail("GET", FILE, cut=0)
    impatient = "import time\ntime.sleep = lambda seconds: None\n" + SCRIPT
    refused(json.loads(user.run(impatient, NAME, "{}")), "ConnectionError", NAME, "check the network")
    assert user.files() == []
    hub.heal()
    assert user.turbo()["text"] == expected


def test_ranges_ignored(user, hub, repo, expected):
    hub.fail("GET", FILE, cut=50_000, times=1)
    hub.ignore_ranges()
    assert user.turbo()["text"] == expected


def test_wrong_checksum(user, hub, repo, expected):
    hub.fail("GET", FILE, damage=True, times=1)  # once: it is downloaded again
    assert user.turbo()["text"] == expected and hub.downloaded() == [FILE, FILE]


def test_wrong_checksum_again_and_again(user, hub, repo, expected):
    hub.fail("GET", FILE, damage=True)
    refused(user.turbo(), "OSError", NAME, FILE, "checksum", "try again")
    assert user.files() == [] and not list(user.cache.glob("models--*/blobs/*"))
    hub.heal()
    assert user.turbo()["text"] == expected


def test_wrong_checksum_of_a_small_file(user, hub):
    hub.add("owner/plain", {"config.json": b'{"a": 1}', "model.safetensors": b"\1" * 20_000})
    hub.fail("GET", "config.json", damage=True)
    refused(user.fetch("owner/plain"), "OSError", "config.json has the checksum")


def test_a_full_disk_is_told_before(user, hub, repo):
    source = ("import shutil\nshutil.disk_usage = lambda path: type('Usage', (), {'free': 1000})()\n") + SCRIPT
    outcome = json.loads(user.run(source, NAME, "{}"))
    refused(outcome, "OSError", NAME, "MB are to be downloaded", "make room", "HF_HOME")
    assert hub.downloaded() == []


def test_two_at_once(user, hub, repo, expected):
    source = ("import json, sys, threading\nimport quantllm\n"
              "def load():\n    with quantllm.turbo(sys.argv[1]) as m:\n"
              "        texts.append(m.generate('Once', temperature=0, max_new_tokens=8))\n"
              "texts = []\nthreads = [threading.Thread(target=load) for _ in range(3)]\n"
              "[t.start() for t in threads]\n[t.join() for t in threads]\nprint(json.dumps(texts))")
    assert json.loads(user.run(source, NAME)) == [expected] * 3


def test_all_files_are_of_one_commit(user, hub):
    files = {"config.json": b"{}", "tokenizer.json": b'{"i": 1}', "model.safetensors": b"\1" * 20_000}
    commit = hub.add("owner/moving", files)

    def move():
        hub.after_listing = None
        hub.add("owner/moving", {"config.json": b'{"new": 1}', "tokenizer.json": b"[]", "model.safetensors": b"\2" * 20_000})

    hub.after_listing = move
    outcome = user.fetch("owner/moving")
    assert outcome["commit"] == commit
    for name, content in files.items():
        assert (pathlib.Path(outcome["path"]) / name).read_bytes() == content
    assert (user.cache / "models--owner--moving" / "refs" / "main").read_text() == commit
    assert user.fetch("owner/moving")["commit"] != commit


def test_weights_come_last(user, hub):
    """So that a folder with all its weights is a whole one."""
    hub.add("owner/plain", {"config.json": b"{}", "tokenizer.json": b"[" + b" " * 20_000 + b"]", "chat_template.jinja": b"x",
                            "model.safetensors": b"\1" * 30_000})
    hub.fail("GET", "tokenizer.json", status=403)
    refused(user.fetch("owner/plain"), "PermissionError", "403")
    assert "model.safetensors" not in user.files()
    hub.heal()
    user.fetch("owner/plain")
    assert hub.downloaded()[-1] == "model.safetensors"


def test_a_copy_without_its_tokenizer_is_not_complete(user, hub):
    hub.add("owner/plain", {"config.json": b"{}", "tokenizer.json": b"[]", "model.safetensors": b"\1" * 20_000})
    user.run("from huggingface_hub import hf_hub_download; import sys\n"
             "[hf_hub_download(sys.argv[1], f) for f in sys.argv[2:]]", "owner/plain", "config.json", "model.safetensors")
    refused(user.fetch("owner/plain", env={"HF_HUB_OFFLINE": "1"}), "FileNotFoundError", "no complete copy")
    assert "tokenizer.json" in user.fetch("owner/plain")["files"]


def test_names_that_are_no_names(user, hub, tmp_path):
    hub.add("owner/evil", {"../../../../evil.gguf": b"x", "/tmp/evil.gguf": b"x", "a\x01b.gguf": b"x", "c\\d.gguf": b"x"})
    refused(user.fetch("owner/evil"), "NotImplementedError", "neither safetensors nor GGUF")
    assert not list(tmp_path.rglob("*evil*.gguf"))


def test_killed_at_any_moment(user, hub, repo, expected):
    hub.fail("GET", FILE, slow=0.05)
    source = random.Random(7)
    env = {**os.environ, "HF_HOME": str(user.home), "HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_XET": "1"}
    for _ in range(6):
        process = subprocess.Popen([sys.executable, "-c", FETCH, NAME, "{}"], stdout=subprocess.PIPE, env=env)
        deadline = time.monotonic() + 20
        while not hub.asked("GET") and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(source.uniform(0, 0.5))
        process.kill()
        process.communicate()
        hub.forget()
    hub.heal()
    assert user.turbo()["text"] == expected and user.files() == [FILE]


def test_without_the_package(user):
    source = "import sys\nsys.modules['huggingface_hub'] = None\n" + SCRIPT
    refused(json.loads(user.run(source, NAME, "{}")), "ImportError", "pip install huggingface_hub")


# ---- the guide ----


def test_the_guide_from_an_empty_cache_then_offline(user, hub, smollm_folder):
    """Verbatim, from a hub that has SmolLM2 as a Hugging Face folder under the name that the guide uses. QL_LONG: the second
    time too; what differs then is how its first block finds the model."""
    files = {path.name: path for path in smollm_folder.iterdir() if path.is_file()}
    hub.add(TINYLLAMA, {**files, "pytorch_model.bin": b"\x80" * 20_000, "README.md": b"# not needed"})
    guide = (ROOT / "docs" / "text-generation.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", guide, re.M | re.S)
    assert len(blocks) == 6
    packed = {"QUANTLLM_CACHE": str(user.home / "packed")}
    first = user.run("\n".join(blocks), timeout=600, **packed)
    assert "A: " in first and user.stderr.startswith(f"quantllm: downloading {TINYLLAMA}: ")
    assert sorted(hub.downloaded()) == sorted(name for name in files if name in user.files()) == user.files()
    assert {"config.json", "tokenizer.json", "model.safetensors"} <= set(user.files())
    hub.forget()
    again = blocks if os.environ.get("QL_LONG") else blocks[:1]
    second = user.run("\n".join(again), timeout=600, HF_HUB_OFFLINE="1", **packed)
    assert second and ("A: " in second) == (again is blocks) and hub.requests == [] and "downloading" not in user.stderr
    outcome = user.turbo(TINYLLAMA, env={"HF_HUB_OFFLINE": "1", **packed})
    assert outcome["report"]["from_cache"] is True and outcome["report"]["quantization"] == "Q8_0"
