# SPDX-License-Identifier: MIT
"""Downloads that go wrong: cut, killed, damaged, refused, answered by strangers; each handled, and each resumed or told."""
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import time

import fakehub
import pytest
from conftest import HELLO, NAME, PULL, WEIGHTS, User

# ---- interrupted, resumed ----


def test_a_cut_is_resumed_at_once(user, hub, repo, files):
    hub.fail("GET", WEIGHTS, cut=60_000, times=1)
    user.pull()
    assert [wanted for name, wanted in hub.asked_ranges if name == WEIGHTS] == ["", "bytes=60000-"]
    assert user.partials() == []


def test_a_cut_is_resumed_by_the_next_run(user, hub, repo, files):
    hub.fail("GET", WEIGHTS, cut=60_000)
    line = user.refused("pull", NAME, "-q", env={"QUANTLLM_HUB_RETRIES": "0"})
    assert "no connection to the Hub" in line
    partial, = user.partials()
    digest = hashlib.sha256(files[WEIGHTS]).hexdigest()
    assert partial.name == f"{digest}.quantllm.incomplete" and partial.stat().st_size == 60_000
    assert not (user.storage() / "refs").exists()
    hub.heal()
    hub.forget()
    done = user("pull", NAME)
    assert done.returncode == 0 and b"60.0 kB of it are here" in done.stderr
    assert hub.asked_ranges == [(WEIGHTS, "bytes=60000-")]
    assert (user.storage() / "blobs" / digest).read_bytes() == files[WEIGHTS]


def test_cut_again_and_again(user, hub, repo):
    hub.fail("GET", WEIGHTS, cut=0)
    assert "check the network, or give the path of a model" in user.refused("pull", NAME, "-q")


def test_ranges_ignored(user, hub, repo):
    hub.fail("GET", WEIGHTS, cut=60_000, times=1)
    hub.ignore_ranges()
    user.pull()
    assert user.partials() == []


def test_another_range_than_asked_for(user, hub, repo, files):
    hub.fail("GET", WEIGHTS, cut=60_000, times=1)
    hub.fail("GET", WEIGHTS, status=206, headers={"Content-Range": f"bytes 0-{len(files[WEIGHTS]) - 1}/{len(files[WEIGHTS])}"},
             body=files[WEIGHTS])
    assert "another part of model.safetensors was sent" in user.refused("pull", NAME, "-q")


def test_a_range_that_is_refused(user, hub, repo):
    hub.fail("GET", WEIGHTS, cut=60_000, times=1)
    hub.fail("GET", WEIGHTS, status=416, times=1)
    user.pull()


def test_a_partial_file_of_other_content(user, hub, repo, files):
    blobs = user.storage() / "blobs"
    blobs.mkdir(parents=True)
    digest = hashlib.sha256(files[WEIGHTS]).hexdigest()
    for junk in (b"x" * 50_000, b"x" * len(files[WEIGHTS]), b"x" * (len(files[WEIGHTS]) + 1)):
        (blobs / f"{digest}.quantllm.incomplete").write_bytes(junk)
        user.pull()
        assert (blobs / digest).read_bytes() == files[WEIGHTS]
        shutil.rmtree(user.storage() / "snapshots")
        (blobs / digest).unlink()


def test_silence_is_a_lost_connection(user, hub, repo):
    hub.fail("GET", WEIGHTS, cut=60_000, stall=20, times=1)
    start = time.monotonic()
    user.pull(env={"HF_HUB_DOWNLOAD_TIMEOUT": "1"})
    assert time.monotonic() - start < 15
    assert hub.asked_ranges[-1] == (WEIGHTS, "bytes=60000-")


def test_killed_at_any_moment(user, hub, repo, files):
    hub.fail("GET", WEIGHTS, slow=0.02)  # 10 chunks
    source, seen, argv = random.Random(5), set(), user.command.argv("pull", NAME, "-q")
    for _ in range(100 if os.environ.get("QL_LONG") else 25):
        process = subprocess.Popen(argv, env=user.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(source.uniform(0, 0.3))
        process.kill()
        process.wait()
        complete = (user.storage() / "refs" / "main").exists()
        seen.add((complete, len(user.names()), bool(user.partials())))
        for path in user.storage().glob("blobs/*"):  # what has a blob's name is whole
            if not path.name.endswith(".incomplete"):
                assert fakehub.etag(path.read_bytes()) == path.name
        if complete:
            assert user.names() == sorted(files)
            shutil.rmtree(user.cache)
    assert len(seen) > 2
    hub.heal()
    user.pull()
    assert user.names() == sorted(files) and user.partials() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_a_partial_file(user, hub, repo, files, number):
    hub.fail("GET", WEIGHTS, slow=0.2)
    process = subprocess.Popen(user.command.argv("pull", NAME), env=user.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    partial = user.wait_for_partial(files[WEIGHTS])
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 128 + number and out == b""
    assert err.decode().splitlines()[-1] == "error: interrupted: what has arrived is kept, the same command goes on from there"
    have = partial.stat().st_size
    assert user.partials() == [partial]
    hub.heal()
    hub.forget()
    user.pull()
    assert hub.asked_ranges == [(WEIGHTS, f"bytes={have}-")]


def test_two_at_once(user, hub, repo, files):
    hub.fail("GET", WEIGHTS, slow=0.05)
    argv = user.command.argv("pull", NAME)
    both = [subprocess.Popen(argv, env=user.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    outputs = [p.communicate(timeout=60) for p in both]
    assert [p.returncode for p in both] == [0, 0], outputs
    assert outputs[0][0] == outputs[1][0] and sorted(hub.downloaded()) == sorted(files)
    assert any(b"waiting for another program" in err for _, err in outputs)


def test_one_at_once_with_huggingface_hub(user, hub, repo, files):
    """Both take the same lock of a blob."""
    pytest.importorskip("huggingface_hub")
    hub.fail("GET", WEIGHTS, slow=0.1)
    ours = subprocess.Popen(user.command.argv("pull", NAME, "-q"), env=user.env, stdout=subprocess.PIPE)
    theirs = user.python(PULL, NAME, *files)
    assert ours.communicate(timeout=60)[0].decode().strip() == theirs
    assert sorted(set(hub.downloaded())) == sorted(files) == user.names() and hub.downloaded().count(WEIGHTS) == 1


# ---- damaged ----


def test_wrong_checksum_is_downloaded_again(user, hub, repo):
    hub.fail("GET", WEIGHTS, damage=True, times=1)
    done = user("pull", NAME)
    assert done.returncode == 0 and hub.downloaded().count(WEIGHTS) == 2
    assert b"model.safetensors does not have its checksum, downloading it again" in done.stderr


@pytest.mark.parametrize("name", [WEIGHTS, "tokenizer.json"])
def test_wrong_checksum_again_and_again(user, hub, repo, name):
    hub.fail("GET", name, damage=True)
    line = user.refused("pull", NAME, "-q")
    assert NAME in line and name in line and "has the checksum" in line and "try again" in line
    assert user.partials() == [] and name not in user.names()
    hub.heal()
    user.pull()


def test_more_than_was_announced(user, hub, repo):
    hub.fail("GET", WEIGHTS, more=b"more")
    assert "was announced with" in user.refused("pull", NAME, "-q")


def test_a_file_that_is_empty(user, hub, files):
    hub.add("o/empty", {**files, "special_tokens_map.json": b""})
    assert os.path.getsize(user.pull("o/empty")["path"] + "/special_tokens_map.json") == 0


# ---- who may ----


def test_token(user, hub, files, tmp_path):
    hub.add("o/private", files, token="hf_right")
    line = user.refused("pull", "o/private")
    assert "o/private is no file or folder here and no model of the Hub" in line and "a token in the variable HF_TOKEN" in line
    line = user.refused("pull", "o/private", env={"HF_TOKEN": "hf_wrong"})
    assert "a token that may read it" in line and "hf_wrong" not in line
    (tmp_path / "token").write_text("hf_right\n")
    for env in ({"HF_TOKEN": "hf_right"}, {"HF_TOKEN": " hf_right\n"}, {"HF_TOKEN_PATH": str(tmp_path / "token")},
                {"HUGGING_FACE_HUB_TOKEN": "hf_right"}):
        shutil.rmtree(user.cache, ignore_errors=True)
        assert b"hf_right" not in user("pull", "o/private", env=env).stderr
        assert user.names() == sorted(files)
    (user.home / "token").write_text("hf_right")
    user.pull("o/private")
    assert user("pull", "o/private", env={"HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"}).returncode == 1
    assert hub.token_leaks() == []  # and the content network was asked
    assert any(name == WEIGHTS for name, _ in hub.asked_ranges)


def test_token_that_is_none(user):
    assert "characters that no token has" in user.refused("pull", NAME, env={"HF_TOKEN": "hf_a\r\nX: 1"}, code=64)
    assert "can not be read" in user.refused("pull", NAME, env={"HF_TOKEN_PATH": "/nowhere/token"})


def test_gated(user, hub, files):
    hub.add("o/gated", files, gated=True)
    line = user.refused("run", "o/gated", *HELLO)
    assert line == (f"o/gated is gated: accept its conditions at {hub.url}/o/gated, then give a token of your account in "
                    "the variable HF_TOKEN")


def test_no_such_model_or_revision(user, repo):
    line = user.refused("run", "o/none", *HELLO)
    assert "o/none is no file or folder here and no model of" in line and "check the spelling" in line
    assert 'has no revision "nope"' in user.refused("pull", f"{NAME}@nope")
    assert 'has no revision "a/b"' in user.refused("pull", NAME, "--revision", "a/b")


def test_nobody_answers(user):
    line = user.refused("run", NAME, *HELLO, env={"HF_ENDPOINT": "http://127.0.0.1:9"})
    assert "no connection to the Hub (http://127.0.0.1:9)" in line and "give the path of a model" in line


# ---- statuses and strangers ----


@pytest.mark.parametrize("what, options, parts", [
    ("api", {"status": 401}, ["no model of"]),
    ("api", {"status": 403}, ["refuses", "403"]),
    ("api", {"status": 403, "headers": {"X-Error-Message": "Your account is\x1b[31m blocked"}}, ["refuses", "403"]),
    ("api", {"status": 404}, ["no model of"]),
    ("api", {"status": 429, "headers": {"Retry-After": "700"}}, ["429", "wait 700 s"]),
    ("api", {"status": 500}, ["status 500", "try again later"]),
    ("api", {"status": 200, "body": b"<html>a hotel's page</html>"}, ["HF_ENDPOINT"]),
    ("api", {"status": 200, "body": b"{}"}, ["HF_ENDPOINT"]),
    ("api", {"status": 200, "body": b'{"sha": "../../x", "siblings": []}'}, ["HF_ENDPOINT"]),
    ("api", {"status": 200, "body": b"[" * 100_000}, ["HF_ENDPOINT"]),
    ("api", {"status": 200, "body": b" " * (11 << 20)}, ["more than 10485760 bytes"]),
    ("api", {"status": 302, "times": 1, "headers": {"Location": "/api/models/x/y/revision/main"}}, ["no model of"]),
    ("api", {"status": 302, "headers": {"Location": "file:///etc/passwd"}}, ["file:///etc/passwd", "only https"]),
    ("api", {"status": 302, "headers": {"Location": "ftp://127.0.0.1/x"}}, ["only https"]),
    ("api", {"status": 302, "headers": {"Location": "http://user:pass@127.0.0.1:9/"}}, ["is not asked"]),
    ("api", {"status": 302}, ["is not asked"]),
    ("api", {"status": 302, "headers": {"Location": f"/api/models/{NAME}/revision/main"}}, ["redirects more than 5 times"]),
    ("HEAD", {"status": 404}, ["does not have model.safetensors any more", "404"]),
    ("HEAD", {"status": 200}, ["does not answer as a hub"]),
    ("HEAD", {"status": 200, "headers": {"ETag": '"../../../evil"'}}, ["does not answer as a hub"]),
    ("HEAD", {"status": 200, "headers": {"ETag": '".."'}}, ["does not answer as a hub"]),
    ("HEAD", {"status": 200, "headers": {"ETag": '"aa"', "Content-Length": "-5"}}, ["Content-Length"]),
    ("HEAD", {"status": 200, "headers": {"ETag": '"aa"', "Content-Length": "99999999999999999999"}}, ["does not answer as"]),
    ("HEAD", {"status": 200, "headers": {"ETag": '"aa"', "Content-Length": "8000000000000000000"}}, ["make room"]),
    ("HEAD", {"status": 200, "headers": {"ETag": '"aa"', "X-Linked-Size": "5", "X-Repo-Commit": "b" * 40}}, ["is sent from bbbb"]),
    ("GET", {"status": 403}, ["403"]),
    ("GET", {"status": 500}, ["status 500"]),
    ("GET", {"status": 302, "headers": {"Location": "gopher://x/"}}, ["only https"]),
])
def test_answers_that_do_not_help(user, hub, repo, what, options, parts):
    hub.fail(what, "" if what == "api" else WEIGHTS, **options)
    line = user.refused("pull", NAME, "-q", env={"QUANTLLM_HUB_RETRIES": "0"})
    for part in parts:
        assert part in line
    assert len(line) < 700 and WEIGHTS not in user.names() and not (user.home / "evil").exists()
    hub.heal()
    user.pull()


@pytest.mark.parametrize("what", ["api", "HEAD", "GET"])
@pytest.mark.parametrize("options", [{"status": 429, "headers": {"Retry-After": "0"}}, {"status": 503},
                                     {"status": 408}, {"status": 500, "headers": {"Retry-After": "0"}}])
def test_tried_again(user, hub, repo, what, options):
    hub.fail(what, "" if what == "api" else WEIGHTS, times=1, **options)
    user.pull()


def test_a_token_is_not_accepted(user, hub, repo):
    hub.fail("api", "", status=401)
    line = user.refused("pull", NAME, env={"HF_TOKEN": "hf_old"})
    assert "does not accept the token (401)" in line and "/settings/tokens" in line and "hf_old" not in line


def test_redirects_end(user, hub, repo):
    hub.fail("api", "", status=302, headers={"Location": f"/api/models/{NAME}/revision/main"})
    assert "redirects more than 5 times" in user.refused("pull", NAME) and len(hub.requests) == 6


def test_a_renamed_repository(user, hub, repo, files):
    hub.renamed["old/name"] = NAME
    assert user.pull("old/name") and user.names() == sorted(files)


def test_all_files_are_of_one_commit(user, hub, repo, files):
    def move():
        hub.after_listing = None
        hub.add(NAME, {**files, "tokenizer.json": b"{}", WEIGHTS: b"\0" * 30_000})

    hub.after_listing = move
    assert user.pull()["commit"] == repo
    for name, content in files.items():
        assert (user.storage() / "snapshots" / repo / name).read_bytes() == content
    assert (user.storage() / "refs" / "main").read_text() == repo
    assert user.pull()["commit"] != repo


def test_names_that_are_no_names(user, hub, files, tmp_path):
    hub.add("o/evil", {"../../../../evil.gguf": b"x", "/tmp/evil.gguf": b"x", "a\x01b.gguf": b"x", "c\\d.gguf": b"x"})
    assert "neither safetensors nor GGUF" in user.refused("pull", "o/evil", code=65)
    index = json.dumps({"weight_map": {"a": "../../../../etc/passwd"}}).encode()
    hub.add("o/index", {**{n: d for n, d in files.items() if n != WEIGHTS}, "model.safetensors.index.json": index})
    assert 'speaks of "../../../../etc/passwd"' in user.refused("pull", "o/index", code=65)
    assert not list(tmp_path.rglob("*evil*.gguf"))


# ---- the disk ----


def test_no_room_is_told_before(user, hub, repo, files):
    pointer = {"X-Linked-Size": "9000000000000000", "X-Linked-Etag": '"' + "a" * 64 + '"'}
    hub.fail("HEAD", WEIGHTS, status=302, headers={**pointer, "Location": "/x"})
    line = user.refused("pull", NAME, "-q")
    assert "9000000.00 GB are to be downloaded" in line and "make room, or choose another folder with HF_HOME" in line
    assert WEIGHTS not in hub.downloaded()


def test_a_disk_that_fills_up(user, hub, repo):
    def limit():  # a file larger than this is what a full disk is to write()
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))

    line = user.refused("pull", NAME, "-q", preexec_fn=limit)
    assert "no room for model.safetensors" in line and "goes on from there" in line
    assert user.partials()[0].stat().st_size == 65536
    user.pull()
    assert hub.asked_ranges[-1] == (WEIGHTS, "bytes=65536-")


def test_a_small_disk(command, hub, repo, files, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("a tmpfs is mounted by root only")
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("no tmpfs can be mounted here")
    try:
        user = User(command, hub, disk)
        assert "make room" in user.refused("pull", NAME, "-q")
        fill = disk / "fill"
        subprocess.run(["mount", "-o", "remount,size=300k", disk], check=True)
        hub.fail("GET", WEIGHTS, slow=0.05)
        process = subprocess.Popen(command.argv("pull", NAME, "-q"), env=user.env, stderr=subprocess.PIPE)
        user.wait_for_partial(files[WEIGHTS])
        with pytest.raises(OSError):  # somebody else takes what was free
            fill.write_bytes(bytes(1 << 20))
        err = process.communicate(timeout=30)[1].decode()
        assert process.returncode == 1 and "no room for model.safetensors" in err
        fill.unlink()
        hub.heal()
        user.pull()
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def test_nowhere_to_write(user, repo):
    user.home.write_text("")
    assert "can not be made: Not a directory: set HF_HOME" in user.refused("pull", NAME, "-q")
