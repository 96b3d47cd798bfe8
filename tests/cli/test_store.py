# SPDX-License-Identifier: MIT
"""What is stored here: ls, show and rm, over the cache of the Hub and packed weights; and a model's own sampling defaults."""
import json
import os
import re
import shutil
import time

import pytest

from conftest import HELLO, NAME, WEIGHTS, error_line
from terminal import Terminal


@pytest.fixture
def stored(user, hub, repo, tiny):
    """A folder that has been run, and a repository of two GGUF files."""
    data = tiny.read_bytes()
    hub.add("o/GGUF", {"tiny.Q4_K_M.gguf": data, "sub/tiny.Q8_0.gguf": data + bytes(64), "README.md": b"x"})
    assert user("run", NAME, *HELLO).returncode == 0
    user.pull("o/GGUF")
    user.pull("o/GGUF:Q8_0")
    return user


def ls(user):
    done = user("ls", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def blobs(user, name=NAME):
    return sorted((user.storage(name) / "blobs").iterdir())


def shown(n):
    """Bytes as the command writes them, between 1 kB and 1 MB."""
    return f"{n / 1000:.1f} kB" if n < 99_950 else f"{n / 1000:.0f} kB"


def packed_bytes(user):
    return sum(file["bytes"] for file in ls(user)["packed"]["files"])


# ---- ls ----


def test_ls_of_nothing(user):
    done = user("ls")
    assert done.returncode == 0 and done.stderr == b""
    assert f"none in {user.cache}; quantllm pull org/name" in done.stdout.decode()
    assert ls(user)["hub"]["models"] == [] and ls(user)["packed"]["files"] == []


def test_ls(stored, repo, files, tiny):
    lines = stored("ls").stdout.decode().splitlines()
    assert lines[0].split() == ["MODEL", "REVISION", "TYPE", "SIZE", "LAST", "USED"]
    assert [line.split()[0] for line in lines[1:4]] == [NAME, "o/GGUF:Q8_0", "o/GGUF:Q4_K_M"]
    assert lines[1].split()[1:6] == ["main", repo[:7], "BF16", "164", "kB"] and lines[1].endswith("just now")
    assert lines[-1].startswith(f"{shown(packed_bytes(stored))} of at most 20 GiB (QUANTLLM_CACHE_SIZE) in /")
    assert lines[-2].split()[:2] == [NAME, "Q8_0"]
    seen = ls(stored)
    total = sum(map(len, files.values())) + 2 * tiny.stat().st_size + 64
    assert seen["hub"]["bytes"] == total and seen["hub"]["folder"] == str(stored.cache)
    model = seen["hub"]["models"][0]
    assert {k: model[k] for k in ("model", "revision", "commit", "type", "complete", "bytes")} == {
        "model": NAME, "revision": "main", "commit": repo, "type": "BF16", "complete": True,
        "bytes": sum(map(len, files.values()))}
    assert abs(time.mktime(time.strptime(model["last_used"], "%Y-%m-%dT%H:%M:%SZ")) - time.timezone - time.time()) < 3600
    packed, = seen["packed"]["files"]
    assert packed["model"] == NAME and packed["quantization"] == "Q8_0" and os.path.getsize(packed["path"]) == packed["bytes"]
    assert seen["packed"]["cap"] == 20 << 30
    for entry in seen["hub"]["models"]:  # each name and each path runs
        for model_name in (entry["model"], entry["path"]):
            assert stored("run", model_name, *HELLO, env={"HF_HUB_OFFLINE": "1"}).returncode == 0


def test_ls_tells_what_is_not_complete(user, hub, repo):
    hub.fail("GET", WEIGHTS, cut=60_000)
    user("pull", NAME, "-q", env={"QUANTLLM_HUB_RETRIES": "0"})
    seen = ls(user)["hub"]
    assert [m["complete"] for m in seen["models"]] == [False]
    assert seen["interrupted"] == [{"model": NAME, "bytes": 60_000}]
    text = user("ls").stdout.decode()
    assert "incomplete" in text and "interrupted" in text and "60.0 kB" in text


def test_ls_passes_over_what_is_no_model(stored):
    for name in ("datasets--a--b", "models--a--b--c..d", "models--", "version.txt", ".locks", "models--x\n--y"):
        (stored.cache / name / "snapshots" / ("0" * 40)).mkdir(parents=True)
    (stored.cache / "models--a--b").write_text("a file")
    names = [m["model"] for m in ls(stored)["hub"]["models"]]
    assert names == [NAME, "o/GGUF:Q8_0", "o/GGUF:Q4_K_M"]


def test_ls_without_a_packed_cache(user):
    done = user("ls", env={"QUANTLLM_CACHE": "off"})
    assert b"packed weights are not kept" in done.stdout
    assert json.loads(user("ls", "--json", env={"QUANTLLM_CACHE": "off"}).stdout)["packed"] is None


# ---- show ----


def test_show(stored, repo, files):
    text = stored("show", NAME).stdout.decode()
    for part in (f"main, {repo}", "llama, 2 layers, 64 dimensions, 259 tokens", "BF16, runs as Q8_0", "chat template yes",
                 "model.safetensors", f"packed        Q8_0, {shown(packed_bytes(stored))}"):
        assert part in text
    seen = json.loads(stored("show", NAME, "--json").stdout)
    assert seen["model"] == NAME and seen["hub"]["commit"] == repo
    assert {f["name"]: f["bytes"] for f in seen["hub"]["files"]} == {name: len(data) for name, data in files.items()}
    assert seen["info"]["architecture"] == "llama" and seen["info"]["context_length"] == 256
    assert [p["quantization"] for p in seen["packed"]] == ["Q8_0"]
    bench = json.loads(stored("bench", NAME, "-p", "1", "-n", "0", "-r", "1", "--fast", "-o", "json").stdout)[0]
    assert seen["info"]["parameters"] == bench["model_n_params"] and seen["info"]["weight_bytes"] > 78_336


def test_show_of_a_gguf(stored, tiny):
    text = stored("show", "o/GGUF:Q8_0").stdout.decode()
    assert "sub/tiny.Q8_0.gguf" in text and "tiny.Q4_K_M.gguf" not in text
    seen = json.loads(stored("show", "o/GGUF", "--json").stdout)
    assert seen["model"] == "o/GGUF:Q4_K_M" and seen["path"].endswith("/tiny.Q4_K_M.gguf")
    path = json.loads(stored("show", tiny, "--json").stdout)
    assert "hub" not in path and path["info"] == seen["info"]


def test_show_of_what_is_not_here(user, tmp_path):
    line = user.refused("show", "o/none")
    assert "o/none" in line and "quantllm pull o/none downloads it" in line
    assert "none.gguf" in user.refused("show", tmp_path / "none.gguf")
    (tmp_path / "bad.gguf").write_bytes(b"GGUF\3")
    user.refused("show", tmp_path / "bad.gguf", code=65)


def test_show_of_a_model_that_does_not_run(user, hub, files):
    config = {**json.loads(files["config.json"]), "model_type": "mamba", "architectures": ["MambaForCausalLM"]}
    hub.add("o/mamba", {**files, "config.json": json.dumps(config).encode()})
    user.pull("o/mamba")
    done = user("show", "o/mamba")
    assert done.returncode == 0 and b'runs          no: ' in done.stdout and b'"mamba" is not supported' in done.stdout
    assert "mamba" in json.loads(user("show", "o/mamba", "--json").stdout)["info"]["error"]


# ---- rm ----


def test_rm_of_a_repository_and_what_was_packed_from_it(stored, files):
    freed = shown(sum(map(len, files.values())) + packed_bytes(stored))
    done = stored("rm", NAME, "-y")
    assert done.returncode == 0 and done.stdout == b"" and f"{freed} are free again" in done.stderr.decode()
    assert not stored.storage().exists() and ls(stored)["packed"]["files"] == []
    assert len(ls(stored)["hub"]["models"]) == 2
    assert "is not in the cache" in stored.refused("rm", NAME, "-y")


def test_rm_of_one_type(stored):
    seen = json.loads(stored("rm", "o/GGUF:Q8_0", "-y", "--json").stdout)
    assert seen["model"] == "o/GGUF:Q8_0" and seen["freed_bytes"] > 0 and seen["packed_files"] == 0
    assert [m["model"] for m in ls(stored)["hub"]["models"]] == [NAME, "o/GGUF:Q4_K_M"]
    assert len(blobs(stored, "o/GGUF")) == 1
    assert 'has no "Q8_0"' in stored.refused("rm", "o/GGUF:Q8_0", "-y")
    assert stored("rm", "o/GGUF:Q4_K_M", "-y").returncode == 0 and not stored.storage("o/GGUF").exists()


def test_rm_keeps_what_another_revision_uses(user, hub, repo, files):
    user.pull()
    newer = hub.add(NAME, {**files, "generation_config.json": b"{}"})
    user.pull()
    assert len(blobs(user)) == len(files) + 1
    assert user("rm", f"{NAME}@{newer}", "-y").returncode == 0
    assert len(blobs(user)) == len(files) and not (user.storage() / "refs" / "main").exists()
    assert user("run", f"{NAME}@{repo}", *HELLO, env={"HF_HUB_OFFLINE": "1"}).returncode == 0
    assert "no complete copy" in user.refused("run", NAME, *HELLO, env={"HF_HUB_OFFLINE": "1"})
    assert user("rm", NAME, "--revision", repo, "-y").returncode == 0 and not user.storage().exists()


def test_two_names_of_one_blob(user, hub, files):
    hub.add("o/twice", {"a.Q8_0.gguf": b"x" * 20_000, "b.Q4_0.gguf": b"x" * 20_000})
    user.pull("o/twice:Q8_0")
    user.pull("o/twice:Q4_0")
    assert len(blobs(user, "o/twice")) == 1
    assert json.loads(user("rm", "o/twice:Q8_0", "-y", "--json").stdout)["freed_bytes"] == 0
    assert len(blobs(user, "o/twice")) == 1


def test_rm_of_packed_weights_alone(stored, folder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    assert stored("run", copy, *HELLO).returncode == 0
    assert len(ls(stored)["packed"]["files"]) == 2
    assert stored("rm", copy, "-y").returncode == 0 and (copy / WEIGHTS).exists()
    assert len(ls(stored)["packed"]["files"]) == 1
    assert "rm does not delete files outside the caches" in stored.refused("rm", copy, "-y")
    assert stored("rm", NAME, "--packed", "-y").returncode == 0
    assert ls(stored)["packed"]["files"] == [] and stored.storage().exists()
    for _ in range(2):
        assert stored("run", NAME, *HELLO).returncode == 0
        packed, = ls(stored)["packed"]["files"]
        assert stored("rm", packed["path"], "-y").returncode == 0 and ls(stored)["packed"]["files"] == []
    stored("run", NAME, *HELLO)
    assert stored("rm", "--packed", "-y").returncode == 0 and ls(stored)["packed"]["files"] == []


def test_rm_of_an_interrupted_download(user, hub, repo):
    hub.fail("GET", WEIGHTS, cut=60_000)
    user("pull", NAME, "-q")
    assert user("rm", NAME, "-y").returncode == 0 and not user.storage().exists()


def test_rm_asks(stored, command, files):
    what = f"{NAME} (164 kB) and 1 packed file ({shown(packed_bytes(stored))})"
    freed = shown(sum(map(len, files.values())) + packed_bytes(stored))
    line = stored.refused("rm", NAME, code=64)
    assert f"whether to delete {what}: give -y" in line
    assert stored.storage().exists()
    with Terminal(command.argv("rm", NAME), env=stored.env) as terminal:
        terminal.expect(re.escape(f"delete {what}? [y/N] ".encode()))
        terminal.line("n")
        assert terminal.wait() == 1
    assert stored.storage().exists()
    with Terminal(command.argv("rm", NAME), env=stored.env) as terminal:
        terminal.expect(rb"\[y/N\] ")
        terminal.line("y")
        terminal.expect(re.escape(f"{freed} are free again".encode()))
        assert terminal.wait() == 0
    assert not stored.storage().exists()


def test_rm_in_a_cache_that_can_not_be_written(stored):
    if os.geteuid() == 0:
        pytest.skip("root may delete anywhere")
    (stored.storage() / "refs").chmod(0o500)
    try:
        assert "can not be deleted" in stored.refused("rm", NAME, "-y")
    finally:
        (stored.storage() / "refs").chmod(0o700)


# ---- a model's own defaults ----


def defaults(user, folder, *options, config=None):
    """What is said to be used, and the text."""
    if config is not None:
        (folder / "generation_config.json").write_text(json.dumps(config))
    done = user("run", folder, "hello", "--max-new-tokens", "8", "--seed", "5", *options)
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stderr.decode().splitlines() if "model's defaults" in line]
    return (said[0].split(": ", 1)[1] if said else None), done.stdout


@pytest.fixture
def own(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "own")
    return tmp_path / "own"


@pytest.mark.parametrize("config, options, said, same_as", [
    ({"do_sample": True, "temperature": 0.5, "top_k": 7}, [], "temperature 0.5, top-p 1, top-k 7, repetition-penalty 1",
     ["--temperature", "0.5", "--top-k", "7", "--top-p", "1", "--repetition-penalty", "1"]),
    ({"do_sample": True, "temperature": 0.5, "top_k": 7}, ["--top-k", "3"],
     "temperature 0.5, top-p 1, top-k 3, repetition-penalty 1",
     ["--temperature", "0.5", "--top-k", "3", "--top-p", "1", "--repetition-penalty", "1"]),
    ({}, [], "greedy, repetition-penalty 1", ["--greedy", "--repetition-penalty", "1"]),
    ({"repetition_penalty": 1.3}, [], "greedy, repetition-penalty 1.3", ["--greedy", "--repetition-penalty", "1.3"]),
    ({}, ["--temperature", "0.9"], "temperature 0.9, top-p 1, top-k 0, repetition-penalty 1",
     ["--temperature", "0.9", "--top-p", "1", "--top-k", "0", "--repetition-penalty", "1"]),
    ({"do_sample": True}, ["--greedy"], "greedy, repetition-penalty 1", ["--greedy", "--repetition-penalty", "1"]),
])
def test_model_defaults(user, own, config, options, said, same_as):
    told, text = defaults(user, own, "--model-defaults", *options, config=config)
    assert told == said and text == defaults(user, own, *same_as)[1]


def test_model_defaults_are_checked_and_asked_for(user, own):
    assert defaults(user, own, config={"do_sample": True, "temperature": 0.5})[0] is None
    (own / "generation_config.json").write_text('{"do_sample": true, "temperature": -2.0}')
    done = user("run", own, "hello", "--model-defaults", "-q")
    assert done.returncode in (0, 64) and (done.returncode == 0 or error_line(done, 64).startswith("--temperature: must be"))
    assert user("chat", own, "--model-defaults", "--max-new-tokens", "4", input=b"hello\n").returncode in (0, 64)
