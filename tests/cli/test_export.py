# SPDX-License-Identifier: MIT
"""quantllm export: the file is right or absent, whatever happens to the process, the source or the disk; and bad input 72 of
the shared table. What is in the file: tests/python/test_export.py."""
import json
import os
import pathlib
import random
import re
import resource
import shutil
import signal
import struct
import subprocess
import time

import pytest

from conftest import HELLO, NAME, error_line
from test_cache import mounted

import bad_inputs

Q8 = ["--quantization", "Q8_0"]


@pytest.fixture
def model(tiny, tmp_path):
    folder = tmp_path / "from"
    folder.mkdir()
    return pathlib.Path(shutil.copy(tiny, folder / "model.gguf"))


@pytest.fixture
def to(tmp_path):
    folder = tmp_path / "to"
    folder.mkdir()
    return folder


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def text(command, path, *args):
    done = command("run", path, *HELLO, "-q", "--no-cache", *args)
    assert done.returncode == 0, done
    return done.stdout


# ---- what it does ----


def test_writes_says_and_runs(command, model, to):
    out = to / "out.gguf"
    done = command("export", model, out, *Q8)
    assert done.returncode == 0 and done.stdout == b""
    assert re.fullmatch(rf"{out}: Q8_0, [\d.]+ kB, 20 tensors, of which 15 encoded, in \d+\.\d s\n", done.stderr.decode()), done
    assert text(command, out) == text(command, model, *Q8)
    assert names(to) == ["out.gguf"] and out.stat().st_mode & 0o777 == 0o666 & ~current_umask()


def current_umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_json_and_quiet(command, model, to):
    done = command("export", model, to / "out.gguf", *Q8, "--json", "-q", "--threads", "2")
    assert done.returncode == 0 and done.stderr == b""
    assert json.loads(done.stdout) == {"path": str(to / "out.gguf"), "quantization": "Q8_0", "tensors": 20, "encoded": 15,
                                       "bytes": (to / "out.gguf").stat().st_size}


def test_again_from_a_quantized_file_is_told(command, make_tiny, to):
    done = command("export", make_tiny("q8.gguf", "--dtype", "q8_0"), to / "out.gguf", "--quantization", "Q4_K_M")
    assert b"quantized again, from the values of its Q8_0 to Q4_K_M" in done.stderr
    assert b"12 matrices of 64 columns, no whole number of Q4_K blocks of 256: Q5_0 instead" in done.stderr, done.stderr


def test_broken_numbers_are_told(command, tmp_path, to):
    bad_inputs.broken_numbers("f32")(tmp_path / "model.gguf")
    done = command("export", tmp_path / "model.gguf", to / "out.gguf", *Q8)
    assert done.returncode == 0
    assert b"1 tensor has NaN or infinite values: token_embd.weight, row 0; quantllm verify shows all" in done.stderr


def test_a_copy_needs_no_architecture(command, make_tiny, to):
    """Parts of a model that does not run here are joined; a type is refused, for which matrices must be known."""
    path = make_tiny("zzz.gguf", "--bad", "38")
    assert command("export", path, to / "out.gguf").returncode == 0
    assert error_line(command("export", path, to / "other.gguf", *Q8), 65).startswith(f'{path}: architecture "zzz" is not supported')
    assert names(to) == ["out.gguf"] and (to / "out.gguf").read_bytes()[-4096:] == path.read_bytes()[-4096:]


def test_of_the_hub(hub, user, tiny, to):
    hub.add("org/tiny-GGUF", {"tiny.F32.gguf": tiny.read_bytes()})
    done = user("export", "org/tiny-GGUF", to / "out.gguf", *Q8)
    assert done.returncode == 0, done
    assert text(user.command, to / "out.gguf") == text(user.command, tiny, *Q8)


def test_of_a_folder(command, folder, to):
    done = command("export", folder, to / "out.gguf", *Q8)
    assert done.returncode == 0 and done.stderr.count(b"\n") == 1, done
    assert text(command, to / "out.gguf") == text(command, folder, *Q8)


@pytest.mark.parametrize("given, name", [("model \xff", "model \ufffd"), (".", "model")])
def test_name_of_a_folder(command, folder, tmp_path, to, given, name):
    """general.name is UTF-8, as all strings of a GGUF file must be, whatever the folder's name is."""
    given = given.encode("latin-1")
    model = os.path.join(os.fsencode(tmp_path), b"model" if given == b"." else given)
    shutil.copytree(os.fsencode(folder), model)
    assert command("export", given, to / "out.gguf", *Q8, "-q", cwd=os.path.join(model, b"" if given == b"." else b"..")).returncode == 0
    written = b"general.name" + struct.pack("<IQ", 8, len(name.encode())) + name.encode()
    assert written in (to / "out.gguf").read_bytes()


def test_a_folder_without_an_exact_form(command, tmp_path, to):
    bad_inputs.make_tiny_folder.make(tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    config |= {"model_type": "mistral", "architectures": ["MistralForCausalLM"], "sliding_window": 16}
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    assert error_line(command("export", tmp_path / "model", to / "out.gguf", *Q8), 65) == (
        f'{tmp_path}/model: config.json: a GGUF file of architecture "llama" has no form for its sliding window')
    assert names(to) == []


def test_replaces_a_file(command, model, to):
    out = to / "out.gguf"
    for number, content in enumerate((b"old", b"x" * 2_000_000)):
        out.write_bytes(content)
        before = out.stat().st_ino
        assert command("export", model, out, *Q8).returncode == 0
        assert out.stat().st_ino != before and out.read_bytes()[:4] == b"GGUF" and names(to) == ["out.gguf"]


def test_a_link_is_replaced_not_followed(command, model, to):
    (to / "else").write_bytes(b"kept")
    (to / "out.gguf").symlink_to(to / "else")
    assert command("export", model, to / "out.gguf").returncode == 0
    assert not (to / "out.gguf").is_symlink() and (to / "else").read_bytes() == b"kept"


# ---- what it refuses ----


@pytest.mark.parametrize("args, code, message", [
    ([], 64, "export: MODEL is missing; see quantllm export --help"),
    (["{model}"], 64, "export: the file to write is missing; see quantllm export --help"),
    (["{model}", "{out}", "more"], 64, 'export takes a model and a file; "more" is one too many'),
    (["{model}", "{out}", "--quantization", "Q9_K"], 64, "--quantization: must be one of Q2_K, "),
    (["{model}", "{out}", "--threads", "0"], 64, '--threads: "0" is too small (1 to 256)'),
    (["{model}", "{out}", "--quantisation", "Q8_0"], 64, "unknown option --quantisation; did you mean --quantization?"),
    (["{model}", "{model}"], 64, "{model}: is a file of the model itself, which is read while it is written: give another path"),
    (["{model}", "{to}"], 64, "{to}: is a directory, expected the path of a file to write"),
    (["{model}", "/dev/full"], 64, "/dev/full: is not a regular file, expected the path of a file to write"),
    (["{model}", ""], 64, "out is empty: give the path of the file to write"),
    (["{model}", "{to}/no/out.gguf"], 1, "{to}/no/out.gguf: its folder is not there"),
    (["{model}", "{model}/out.gguf"], 1, "{model}/out.gguf: its folder is not there"),
    (["{to}/none.gguf", "{out}"], 1, "{to}/none.gguf: No such file or directory"),
])
def test_refused(command, model, to, args, code, message):
    words = {"model": model, "to": to, "out": to / "out.gguf"}
    line = error_line(command("export", *(arg.format(**words) for arg in args)), code)
    assert line.startswith(message.format(**words))
    assert names(to) == [] and names(model.parent) == ["model.gguf"]


def test_same_file_by_other_names(command, model, to):
    before = model.read_bytes()
    (to / "hard.gguf").hardlink_to(model)
    (to / "soft.gguf").symlink_to(model)
    for name in names(to):
        assert "is a file of the model itself" in error_line(command("export", model, to / name), 64)
    assert model.read_bytes() == before


def test_bad_files(command, tmp_path, to):
    """A sample of the table: what loading refuses is refused in the same words, before anything is written."""
    numbers = {"03", "20", "24", "27", "36"}
    for bad, path in bad_inputs.make_all(tmp_path, numbers):
        line = error_line(command("export", path, to / "out.gguf", *Q8), bad_inputs.EXIT[bad.code])
        assert re.fullmatch(re.escape(f"{path}: ") + bad.message, line), line
        assert names(to) == []


@pytest.mark.parametrize("link", ["symlink_to", "hardlink_to"])
def test_the_model_stands_where_the_file_is_made(command, model, to, link):
    """out.gguf.quantllm-part is removed or replaced: it must not be what is read."""
    before, part = model.read_bytes(), to / "out.gguf.quantllm-part"
    shutil.copy(model, part)
    line = error_line(command("export", part, to / "out.gguf"), 64)
    assert line == f"{part}: is a file of the model itself, which is read while it is written: give another path"
    assert part.read_bytes() == before and names(to) == [part.name]
    part.unlink()
    getattr(part, link)(model)
    assert "is a file of the model itself" in error_line(command("export", model, to / "out.gguf"), 64)
    assert model.read_bytes() == before and names(to) == [part.name]


def test_standard_output(command, model, to):
    """/dev/stdout leads to a file here, and is a link whose place must not be taken."""
    (to / "stdout").symlink_to("/proc/self/fd/1")
    with open(to / "said", "wb") as said:
        done = subprocess.run(command.argv("export", model, to / "stdout", *Q8), stdout=said, stderr=subprocess.PIPE)
    assert done.returncode == 64 and done.stderr.endswith(b"is not a regular file, expected the path of a file to write\n")
    assert (to / "stdout").is_symlink() and names(to) == ["said", "stdout"]


# ---- 72: full disk, output exists, input is output ----


def test_full_and_read_only_disk(command, model, tmp_path):
    disk = tmp_path / "disk"
    mounted(disk, "200k")
    try:
        (disk / "out.gguf").write_bytes(b"old")
        line = error_line(command("export", model, disk / "out.gguf", "--quantization", "F32", "-q"), 1)
        assert re.fullmatch(rf"{disk}/out.gguf: No space left on device: wrote 0.00 of 0.00 GiB, the temporary file was removed", line)
        assert names(disk) == ["out.gguf"] and (disk / "out.gguf").read_bytes() == b"old"
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        line = error_line(command("export", model, disk / "out.gguf", "-q"), 1)
        assert line == f"{disk}/out.gguf: can not be written: Read-only file system"
    finally:
        subprocess.run(["umount", disk], check=True)


def test_file_size_limit(command, model, to):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    (to / "out.gguf").write_bytes(b"old")
    line = error_line(command("export", model, to / "out.gguf", "-q", preexec_fn=limit), 1)
    assert line.startswith(f"{to}/out.gguf: File too large: wrote 0.00 of ")
    assert names(to) == ["out.gguf"] and (to / "out.gguf").read_bytes() == b"old"


def test_folder_without_permission(command, model, to):
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    to.chmod(0o555)
    try:
        assert error_line(command("export", model, to / "out.gguf", "-q"), 1).endswith("can not be written: Permission denied")
    finally:
        to.chmod(0o755)


# ---- two at once, signals, kill -9 ----


def test_two_write_one_file(command, model, to):
    argv = command.argv("export", model, to / "out.gguf", *Q8, "-q")
    several = [subprocess.Popen(argv, stderr=subprocess.PIPE) for _ in range(6)]
    said = [p.communicate(timeout=60)[1].decode() for p in several]
    for p, line in zip(several, said):
        assert (p.returncode, line) in ((0, ""), (1, f"error: {to}/out.gguf: it is being written already\n"))
    assert any(p.returncode == 0 for p in several) and names(to) == ["out.gguf"]
    assert text(command, to / "out.gguf") == text(command, model, *Q8)


@pytest.fixture(scope="module")
def larger(tmp_path_factory):
    """So large that writing takes long enough to be met in the middle."""
    path, source, tiny = tmp_path_factory.mktemp("larger") / "model.gguf", random.Random(6), bad_inputs.make_tiny
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiny, "EMBD", 256)
        patch.setattr(tiny, "FF", 768)
        kvs, listed = tiny.parts(bad=True)
    piece = struct.pack("<4099f", *(source.gauss(0, 1) for _ in range(4099)))
    for t in listed:
        t.data = (piece * (len(t.data) // len(piece) + 1))[:len(t.data)]
    path.write_bytes(tiny.assemble(kvs, listed))
    return path


SLOW = ["--quantization", "Q4_K_M", "--threads", "1", "-q"]


def begun(to):
    """Whether there is an unfinished file with something in it: an empty one may not be locked yet, and is begun again when it is
    removed."""
    try:
        return (to / "out.gguf.quantllm-part").stat().st_size > 0
    except FileNotFoundError:
        return False


def stopped_in_the_middle(command, larger, to):
    """A process that has begun its file and not ended it; it goes on with SIGCONT."""
    for _ in range(100):
        process = subprocess.Popen(command.argv("export", larger, to / "out.gguf", *SLOW), stderr=subprocess.PIPE)
        while not begun(to) and process.poll() is None:
            time.sleep(0.0005)
        process.send_signal(signal.SIGSTOP)
        if begun(to):
            return process
        process.kill()
        process.communicate()
        (to / "out.gguf").unlink(missing_ok=True)
    raise AssertionError("it is always done at once")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_leaves_nothing(command, larger, to, number):
    process = stopped_in_the_middle(command, larger, to)
    process.send_signal(number)
    process.send_signal(signal.SIGCONT)
    assert process.communicate(timeout=60)[1] == f"error: {to}/out.gguf: cancelled, nothing was written\n".encode()
    assert process.returncode == 128 + number and names(to) == []


def test_what_a_killed_one_left_is_taken_over(command, larger, to):
    process = stopped_in_the_middle(command, larger, to)
    process.kill()
    process.communicate()
    assert names(to) == ["out.gguf.quantllm-part"]
    assert command("export", larger, to / "out.gguf", *SLOW).returncode == 0
    assert names(to) == ["out.gguf"]


def test_its_part_is_removed_meanwhile(command, larger, to):
    process = stopped_in_the_middle(command, larger, to)
    (to / "out.gguf.quantllm-part").unlink()
    process.send_signal(signal.SIGCONT)
    line = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 1 and line.startswith(f"error: {to}/out.gguf: No such file or directory: wrote "), line
    assert names(to) == []


def test_killed_at_any_moment(command, larger, to):
    out = to / "out.gguf"
    start = time.monotonic()
    assert command("export", larger, out, *SLOW).returncode == 0
    whole, want = time.monotonic() - start, out.read_bytes()
    source, seen, times = random.Random(5), set(), 100 if os.environ.get("QL_LONG") else 6
    for i in range(times):
        out.write_bytes(b"old")
        process = subprocess.Popen(command.argv("export", larger, out, *SLOW), stderr=subprocess.DEVNULL)
        time.sleep(1.8 * whole * (i + source.random()) / times)
        process.kill()
        process.communicate()
        content = out.read_bytes()
        assert content in (b"old", want)
        seen.add((content == want, *names(to)))
    assert len(seen) > 1
    assert command("export", larger, out, *SLOW).returncode == 0
    assert names(to) == ["out.gguf"] and out.read_bytes() == want
