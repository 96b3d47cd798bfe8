# SPDX-License-Identifier: MIT
"""Models of the Hub through the command, from a hub on this machine: what is downloaded, resumed, checked and refused.
huggingface_hub reads what the command wrote, and the reverse."""
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys

import make_tiny_folder
import pytest
from conftest import HELLO, NAME, PULL, WEIGHTS, User
from terminal import CTRL_C, Terminal


# ---- from an empty cache, then offline ----


def test_run_from_an_empty_cache_then_offline(command, user, hub, repo, files, folder):
    expected = command("run", folder, *HELLO, env=user.env).stdout
    assert expected
    first = user("run", NAME, *HELLO)
    assert first.returncode == 0 and first.stdout == expected
    assert f"downloading {NAME}: 4 files, " in first.stderr.decode()
    assert sorted(hub.downloaded()) == sorted(files) == user.names()
    hub.forget()
    second = user("run", NAME, *HELLO)
    assert second.stdout == expected and hub.requests == []  # a complete copy asks nobody
    assert "downloading" not in second.stderr.decode()
    hub.close()
    offline = user("run", NAME, *HELLO, env={"HF_HUB_OFFLINE": "1"})
    assert offline.returncode == 0 and offline.stdout == expected
    for verb, more in (("chat", ["--greedy", "--max-new-tokens", "4"]), ("bench", ["-p", "4", "-n", "2", "-r", "1"])):
        assert user(verb, NAME, *more, input=b"hello\n").returncode == 0


def test_pull_prints_the_path_alone(user, repo):
    done = user("pull", NAME)
    path = pathlib.Path(done.stdout.decode().rstrip("\n"))
    assert path == user.storage() / "snapshots" / repo and done.stdout.count(b"\n") == 1
    assert user.pull() == {"model": NAME, "revision": "main", "commit": repo, "path": str(path)}
    assert user("pull", NAME, "-q").stderr == b""


def test_again_only_asks_what_the_branch_is(user, hub, repo):
    user.pull()
    hub.forget()
    user.pull()
    assert [method for method, _ in hub.requests] == ["GET"] and hub.downloaded() == []


def test_a_new_commit_brings_what_has_changed(user, hub, repo, files):
    user.pull()
    hub.forget()
    newer = hub.add(NAME, {**files, "generation_config.json": b'{"eos_token_id": 257}'})
    assert user.pull()["commit"] == newer and hub.downloaded() == ["generation_config.json"]
    assert (user.storage() / "refs" / "main").read_text() == newer
    assert user.pull(f"{NAME}@{repo}")["commit"] == repo  # the old one is still there


@pytest.mark.parametrize("form", ["{}@{}", "hf://{}@{}", "--revision"])
def test_revision(user, hub, repo, files, form):
    newer = hub.add(NAME, {**files, "generation_config.json": b"{}"})
    args = [NAME, "--revision", repo] if form == "--revision" else [form.format(NAME, repo)]
    assert user.pull(*args)["commit"] == repo and not (user.storage() / "refs").exists()
    assert user("run", *args, *HELLO, env={"HF_HUB_OFFLINE": "1"}).returncode == 0
    assert user.pull()["commit"] == newer
    assert "two revisions" in user.refused("pull", f"{NAME}@main", "--revision", repo, code=64)


# ---- one cache with huggingface_hub ----


def tree(cache):
    """What is where: links with their targets, files with their content, no locks."""
    found = {}
    for path in sorted(cache.rglob("*")):
        name = str(path.relative_to(cache))
        if ".locks" in name or name == "CACHEDIR.TAG" or "/trees/" in name:  # trees: what huggingface_hub 2 was told of a commit
            continue
        if path.is_symlink():
            found[name] = f"-> {os.readlink(path)}"
        elif path.is_file():
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def test_the_cache_is_what_huggingface_hub_writes(user, hub, command, tmp_path, repo, files):
    pytest.importorskip("huggingface_hub")
    other = User(command, hub, tmp_path / "other")
    theirs = other.python(PULL, NAME, *files)
    ours = user.pull()["path"]
    assert tree(user.cache) == tree(other.cache) and len(tree(user.cache)) == 2 * len(files) + 1
    assert os.path.relpath(theirs, other.cache) == os.path.relpath(ours, user.cache)


def test_huggingface_hub_reads_what_the_command_wrote(user, hub, repo, files):
    pytest.importorskip("huggingface_hub")
    path = user.pull()["path"]
    hub.forget()
    assert user.python(PULL, NAME, *files, HF_HUB_OFFLINE="1") == path
    assert user.python(PULL, NAME, *files) == path and hub.downloaded() == []
    scan = ("from huggingface_hub import scan_cache_dir; c = scan_cache_dir(); r, = c.repos; v, = r.revisions\n"
            "assert not c.warnings, c.warnings\nprint(r.repo_id, v.commit_hash, sorted(v.refs), len(v.files))")
    assert user.python(scan) == f"{NAME} {repo} ['main'] {len(files)}"


def test_the_command_reads_what_huggingface_hub_wrote(user, hub, repo, files):
    pytest.importorskip("huggingface_hub")
    path = user.python(PULL, NAME, *files)
    hub.forget()
    assert user("run", NAME, *HELLO).returncode == 0 and hub.requests == []
    assert user.pull()["path"] == path and hub.downloaded() == []


def test_a_copy_without_its_tokenizer_is_not_complete(user, hub, repo):
    pytest.importorskip("huggingface_hub")
    user.python(PULL, NAME, WEIGHTS, "config.json")
    hub.forget()
    assert "no complete copy" in user.refused("run", NAME, *HELLO, env={"HF_HUB_OFFLINE": "1"})
    assert user("run", NAME, *HELLO).returncode == 0 and "tokenizer.json" in hub.downloaded()


def test_blobs_behind_more_links_are_read(user, repo):
    """As in huggingface_hub's store for all repositories: the blob is a link itself."""
    user.pull()
    shared = user.cache / "blobs" / "ab"
    shared.mkdir(parents=True)
    blob = max((user.storage() / "blobs").iterdir(), key=lambda p: p.stat().st_size)
    blob.rename(shared / "abcd")
    blob.symlink_to(os.path.relpath(shared / "abcd", blob.parent))
    assert user("run", NAME, *HELLO, env={"HF_HUB_OFFLINE": "1"}).returncode == 0
    assert user("rm", NAME, "-y").returncode == 0
    assert (shared / "abcd").exists() and not user.storage().exists()


# ---- which files ----


@pytest.fixture
def ggufs(hub, tiny):
    data = tiny.read_bytes()
    return hub.add("o/GGUF", {"tiny.Q4_K_M.gguf": data, "tiny.Q8_0.gguf": data + bytes(64), "mmproj-f16.gguf": b"x"})


def test_gguf_by_type_by_file_and_by_default(user, hub, ggufs):
    done = user("run", "o/GGUF", *HELLO)
    assert done.returncode == 0 and b"o/GGUF: 2 GGUF models, taking tiny.Q4_K_M.gguf" in done.stderr
    assert hub.downloaded() == ["tiny.Q4_K_M.gguf"]
    assert user("run", "o/GGUF:q8_0", *HELLO).returncode == 0 and hub.downloaded()[1:] == ["tiny.Q8_0.gguf"]
    assert user.pull("o/GGUF:tiny.Q8_0.gguf@main")["path"].endswith("/tiny.Q8_0.gguf") and len(hub.downloaded()) == 2
    assert 'o/GGUF has no "Q2_K"; its GGUF files are tiny.Q4_K_M.gguf, tiny.Q8_0.gguf' in user.refused("pull", "o/GGUF:Q2_K")
    hub.add("o/folder", {"config.json": b"{}"})
    assert 'leave ":Q4_K_M" out, and take --quantization Q4_K_M' in user.refused("pull", "o/folder:Q4_K_M")


def test_shards_of_the_index(user, hub, tmp_path):
    make_tiny_folder.make(tmp_path / "sharded", shards=3)
    files = {p.name: p.read_bytes() for p in (tmp_path / "sharded").iterdir()}
    hub.add("o/sharded", {**files, "model-00001-of-00009.safetensors": b"another set"})
    assert user("run", "o/sharded", *HELLO).returncode == 0 and sorted(hub.downloaded()) == sorted(files)
    next(iter((user.storage("o/sharded") / "snapshots").glob("*/model-00002*"))).resolve().unlink()
    hub.forget()
    assert "no complete copy" in user.refused("run", "o/sharded", *HELLO, env={"HF_HUB_OFFLINE": "1"})
    assert user("run", "o/sharded", *HELLO).returncode == 0 and hub.downloaded() == ["model-00002-of-00003.safetensors"]


@pytest.mark.parametrize("content, part, downloaded", [
    ({"config.json": b"{}", "pytorch_model.bin": b"x" * 20_000}, "pytorch_model.bin only", []),
    ({"config.json": b'{"quantization_config": {"quant_method": "gptq"}}', WEIGHTS: b"x" * 20_000}, 'quantized by "gptq"',
     ["config.json"]),
    ({"config.json": b"not json", WEIGHTS: b"x" * 20_000}, "config.json is not JSON", ["config.json"]),
    ({"adapter_config.json": b"{}", "adapter_model.safetensors": b"x"}, "is an adapter", []),
    ({WEIGHTS: b"x"}, "no config.json", []),
])
def test_refused_before_weights_are_downloaded(user, hub, content, part, downloaded):
    hub.add("o/no", content)
    assert part in user.refused("pull", "o/no", "-q", code=65) and hub.downloaded() == downloaded


# ---- names and settings ----


def test_a_path_is_a_path(user, hub, folder, tmp_path):
    shutil.copytree(folder, tmp_path / "org" / "name")
    assert user("run", "org/name", *HELLO, cwd=tmp_path).returncode == 0 and hub.requests == []
    assert "is a path here already" in user.refused("pull", "org/name", cwd=tmp_path, code=64)
    assert "--revision: is for models of the Hub" in user.refused("run", "org/name", "--revision", "x", *HELLO, cwd=tmp_path,
                                                                  code=64)


@pytest.mark.parametrize("name, part", [
    ("x.gguf", "is no name of the Hub"), ("a/b/c", "is no name of the Hub"), ("-a/b", "unknown option"),
    ("a/b:", "lacks a type or a file"), ("a/b:../x", "no type and no file"), ("a/b@", "a revision must be"),
    ("a/b@../x", "a revision must be"), ("a/b@..", "a revision must be"), ("a/b@x y", "a revision must be"),
    ("a--b/c", "is no name of the Hub"), ("../b", "is no name of the Hub"), ("a/" + "b" * 97, "is no name of the Hub"),
])
def test_names(user, hub, name, part):
    assert part in user.refused("pull", name, code=64) and hub.requests == []


@pytest.mark.parametrize("variables, part", [
    ({"HF_ENDPOINT": "huggingface.co"}, "HF_ENDPOINT must be the address of a hub"),
    ({"HF_HUB_ETAG_TIMEOUT": "soon"}, "HF_HUB_ETAG_TIMEOUT must be a whole number"),
    ({"HF_HUB_DOWNLOAD_TIMEOUT": "0"}, "HF_HUB_DOWNLOAD_TIMEOUT must be"),
    ({"QUANTLLM_HUB_RETRIES": "-1"}, "QUANTLLM_HUB_RETRIES must be"),
])
def test_wrong_variables(user, variables, part):
    assert part in user.refused("pull", NAME, env=variables, code=64)


def test_where_the_cache_is(user, repo, tmp_path):
    for variables, place in (({"HF_HUB_CACHE": str(tmp_path / "a")}, "a"),
                             ({"HF_HOME": "", "HUGGINGFACE_HUB_CACHE": str(tmp_path / "b")}, "b"),
                             ({"HF_HOME": "~/c", "HOME": str(tmp_path)}, "c/hub"),
                             ({"HF_HOME": "", "XDG_CACHE_HOME": str(tmp_path / "d")}, "d/huggingface/hub"),
                             ({"HF_HOME": "", "XDG_CACHE_HOME": "", "HOME": str(tmp_path / "e")}, "e/.cache/huggingface/hub")):
        assert user.pull(env=variables)["path"].startswith(f"{tmp_path}/{place}/models--")


@pytest.mark.parametrize("name", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
@pytest.mark.parametrize("value", ["1", "on", "YES", "True"])
def test_offline(user, hub, repo, name, value):
    assert "HF_HUB_OFFLINE is set" in user.refused("run", NAME, *HELLO, env={name: value})
    assert "HF_HUB_OFFLINE is set" in user.refused("pull", NAME, env={name: value}) and hub.requests == []


# ---- progress ----


def test_progress_on_a_terminal(user, hub, repo, command):
    hub.fail("GET", WEIGHTS, slow=0.1)
    with Terminal(command.argv("pull", NAME), env=user.env) as terminal:
        terminal.expect(rb"downloading TinyLlama/TinyLlama-1.1B-Chat-v1.0: 4 files, 16\d.\d kB")
        terminal.expect(rb"\r\x1b\[K *\d+ % \[#+\.*\] [\d.]+ kB of 16\d kB")
        terminal.expect(rb"kB/s, 0:\d\d left")
        assert terminal.wait() == 0


@pytest.mark.parametrize("variables", [{"TERM": "dumb"}, {"HF_HUB_DISABLE_PROGRESS_BARS": "1"}])
def test_no_bar(user, hub, repo, command, variables):
    hub.fail("GET", WEIGHTS, slow=0.05)
    with Terminal(command.argv("pull", NAME), env={**user.env, **variables}) as terminal:
        assert terminal.wait() == 0
    assert b"\x1b[K" not in terminal.seen and b"%" not in terminal.seen


def test_ctrl_c_on_a_terminal(user, hub, repo, command):
    hub.fail("GET", WEIGHTS, slow=0.2)
    with Terminal(command.argv("pull", NAME), env=user.env) as terminal:
        terminal.expect(rb"\d+ % \[")
        terminal.send(CTRL_C)
        assert terminal.wait() == 130
    assert b"goes on from there" in terminal.seen and user.partials()


# ---- the real model ----


@pytest.mark.model
def test_smollm_under_tinyllamas_name(user, hub, tmp_path):
    """SmolLM2 as a Hugging Face folder: one line from an empty cache, and offline from packed weights."""
    model = os.environ.get("QL_MODEL")
    if not model:
        pytest.skip("QL_MODEL is not set: ./check sets it to SmolLM2")
    root = pathlib.Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, root / "tools" / "gguf_to_hf.py", model, tmp_path / "hf"], check=True)
    served = {p.name: p for p in (tmp_path / "hf").iterdir()}
    hub.add(NAME, {**served, "pytorch_model.bin": b"\x80" * 20_000})
    question = ["--chat", "--greedy", "--max-new-tokens", "12", "What is the capital of France?"]
    first = user("run", NAME, *question)
    assert first.returncode == 0 and b"Paris" in first.stdout
    assert "pytorch_model.bin" not in user.names() and WEIGHTS in user.names()
    hub.forget()
    second = user("run", NAME, *question, env={"HF_HUB_OFFLINE": "1"})
    assert second.stdout == first.stdout and hub.requests == []
    bench = user("bench", NAME, "-p", "1", "-n", "0", "-r", "1", "-o", "json", env={"HF_HUB_OFFLINE": "1"})
    assert json.loads(bench.stdout)[0]["from_cache"] is True
