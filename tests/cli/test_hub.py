# SPDX-License-Identifier: MIT
"""Models of the Hub through the command, from a hub on this machine: what is downloaded, resumed, checked and refused.
huggingface_hub reads what the command wrote, and the reverse."""
import hashlib
import json
import os
import pathlib
import random
import resource
import shutil
import signal
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "golden"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "hub"))
import fakehub
import make_tiny_folder
from conftest import error_line
from terminal import CTRL_C, Terminal

NAME = "TinyLlama/TinyLlama-1.1B-Chat-v1.0"
WEIGHTS = "model.safetensors"
PROMPT = ["--greedy", "--max-new-tokens", "8", "hello"]


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


# ---- from an empty cache, then offline ----


def test_run_from_an_empty_cache_then_offline(command, user, hub, repo, files, folder):
    expected = command("run", folder, *PROMPT, env=user.env).stdout
    assert expected
    first = user("run", NAME, *PROMPT)
    assert first.returncode == 0 and first.stdout == expected
    assert f"downloading {NAME}: 4 files, " in first.stderr.decode()
    assert sorted(hub.downloaded()) == sorted(files) == user.names()
    hub.forget()
    second = user("run", NAME, *PROMPT)
    assert second.stdout == expected and hub.requests == []  # a complete copy asks nobody
    assert "downloading" not in second.stderr.decode()
    hub.close()
    offline = user("run", NAME, *PROMPT, env={"HF_HUB_OFFLINE": "1"})
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
    assert user("run", *args, *PROMPT, env={"HF_HUB_OFFLINE": "1"}).returncode == 0
    assert user.pull()["commit"] == newer
    assert "two revisions" in user.refused("pull", f"{NAME}@main", "--revision", repo, code=64)


# ---- one cache with huggingface_hub ----


PULL = "import sys; from huggingface_hub import snapshot_download; print(snapshot_download(sys.argv[1], allow_patterns=sys.argv[2:]))"


def python(user, source, *args, **env):
    done = subprocess.run([sys.executable, "-c", source, *args], capture_output=True, text=True,
                          env={**user.env, "HF_HUB_DISABLE_XET": "1", **env})
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


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
    theirs = python(other, PULL, NAME, *files)
    ours = user.pull()["path"]
    assert tree(user.cache) == tree(other.cache) and len(tree(user.cache)) == 2 * len(files) + 1
    assert os.path.relpath(theirs, other.cache) == os.path.relpath(ours, user.cache)


def test_huggingface_hub_reads_what_the_command_wrote(user, hub, repo, files):
    pytest.importorskip("huggingface_hub")
    path = user.pull()["path"]
    hub.forget()
    assert python(user, PULL, NAME, *files, HF_HUB_OFFLINE="1") == path
    assert python(user, PULL, NAME, *files) == path and hub.downloaded() == []
    scan = ("from huggingface_hub import scan_cache_dir; c = scan_cache_dir(); r, = c.repos; v, = r.revisions\n"
            "assert not c.warnings, c.warnings\nprint(r.repo_id, v.commit_hash, sorted(v.refs), len(v.files))")
    assert python(user, scan) == f"{NAME} {repo} ['main'] {len(files)}"


def test_the_command_reads_what_huggingface_hub_wrote(user, hub, repo, files):
    pytest.importorskip("huggingface_hub")
    path = python(user, PULL, NAME, *files)
    hub.forget()
    assert user("run", NAME, *PROMPT).returncode == 0 and hub.requests == []
    assert user.pull()["path"] == path and hub.downloaded() == []


def test_a_copy_without_its_tokenizer_is_not_complete(user, hub, repo):
    pytest.importorskip("huggingface_hub")
    python(user, PULL, NAME, WEIGHTS, "config.json")
    hub.forget()
    assert "no complete copy" in user.refused("run", NAME, *PROMPT, env={"HF_HUB_OFFLINE": "1"})
    assert user("run", NAME, *PROMPT).returncode == 0 and "tokenizer.json" in hub.downloaded()


def test_blobs_behind_more_links_are_read(user, repo):
    """As in huggingface_hub's store for all repositories: the blob is a link itself."""
    user.pull()
    shared = user.cache / "blobs" / "ab"
    shared.mkdir(parents=True)
    blob = max((user.storage() / "blobs").iterdir(), key=lambda p: p.stat().st_size)
    blob.rename(shared / "abcd")
    blob.symlink_to(os.path.relpath(shared / "abcd", blob.parent))
    assert user("run", NAME, *PROMPT, env={"HF_HUB_OFFLINE": "1"}).returncode == 0
    assert user("rm", NAME, "-y").returncode == 0
    assert (shared / "abcd").exists() and not user.storage().exists()


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
    for _ in range(25):
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
    theirs = python(user, PULL, NAME, *files)
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
    line = user.refused("run", "o/gated", *PROMPT)
    assert line == (f"o/gated is gated: accept its conditions at {hub.url}/o/gated, then give a token of your account in "
                    "the variable HF_TOKEN")


def test_no_such_model_or_revision(user, repo):
    line = user.refused("run", "o/none", *PROMPT)
    assert "o/none is no file or folder here and no model of" in line and "check the spelling" in line
    assert 'has no revision "nope"' in user.refused("pull", f"{NAME}@nope")
    assert 'has no revision "a/b"' in user.refused("pull", NAME, "--revision", "a/b")


def test_nobody_answers(user):
    line = user.refused("run", NAME, *PROMPT, env={"HF_ENDPOINT": "http://127.0.0.1:9"})
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


# ---- which files ----


@pytest.fixture
def ggufs(hub, tiny):
    data = tiny.read_bytes()
    return hub.add("o/GGUF", {"tiny.Q4_K_M.gguf": data, "tiny.Q8_0.gguf": data + bytes(64), "mmproj-f16.gguf": b"x"})


def test_gguf_by_type_by_file_and_by_default(user, hub, ggufs):
    done = user("run", "o/GGUF", *PROMPT)
    assert done.returncode == 0 and b"o/GGUF: 2 GGUF models, taking tiny.Q4_K_M.gguf" in done.stderr
    assert hub.downloaded() == ["tiny.Q4_K_M.gguf"]
    assert user("run", "o/GGUF:q8_0", *PROMPT).returncode == 0 and hub.downloaded()[1:] == ["tiny.Q8_0.gguf"]
    assert user.pull("o/GGUF:tiny.Q8_0.gguf@main")["path"].endswith("/tiny.Q8_0.gguf") and len(hub.downloaded()) == 2
    assert 'o/GGUF has no "Q2_K"; its GGUF files are tiny.Q4_K_M.gguf, tiny.Q8_0.gguf' in user.refused("pull", "o/GGUF:Q2_K")
    hub.add("o/folder", {"config.json": b"{}"})
    assert 'leave ":Q4_K_M" out, and take --quantization Q4_K_M' in user.refused("pull", "o/folder:Q4_K_M")


def test_shards_of_the_index(user, hub, tmp_path):
    make_tiny_folder.make(tmp_path / "sharded", shards=3)
    files = {p.name: p.read_bytes() for p in (tmp_path / "sharded").iterdir()}
    hub.add("o/sharded", {**files, "model-00001-of-00009.safetensors": b"another set"})
    assert user("run", "o/sharded", *PROMPT).returncode == 0 and sorted(hub.downloaded()) == sorted(files)
    next(iter((user.storage("o/sharded") / "snapshots").glob("*/model-00002*"))).resolve().unlink()
    hub.forget()
    assert "no complete copy" in user.refused("run", "o/sharded", *PROMPT, env={"HF_HUB_OFFLINE": "1"})
    assert user("run", "o/sharded", *PROMPT).returncode == 0 and hub.downloaded() == ["model-00002-of-00003.safetensors"]


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
    assert user("run", "org/name", *PROMPT, cwd=tmp_path).returncode == 0 and hub.requests == []
    assert "is a path here already" in user.refused("pull", "org/name", cwd=tmp_path, code=64)
    assert "--revision: is for models of the Hub" in user.refused("run", "org/name", "--revision", "x", *PROMPT, cwd=tmp_path,
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
    assert "HF_HUB_OFFLINE is set" in user.refused("run", NAME, *PROMPT, env={name: value})
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
