# SPDX-License-Identifier: MIT
"""The command line: help, versions, wrong use. No model is opened here."""
import subprocess

import pytest

from conftest import error_line

WRONG = [
    ([], "a verb is missing"),
    (["rnu", "m.gguf"], 'unknown verb "rnu"; did you mean "run"?'),
    (["benhc"], 'did you mean "bench"?'),
    (["frobnicate"], 'unknown verb "frobnicate"; quantllm --help'),
    (["--verison"], 'unknown option "--verison"'),
    (["help", "caht"], 'did you mean "chat"?'),
    (["run"], "MODEL is missing"),
    (["chat"], "MODEL is missing"),
    (["bench"], "MODEL is missing"),
    (["run", "m.gguf"], "a prompt is missing"),
    (["run", "m.gguf", "a", "b"], '"b" is one too many'),
    (["chat", "m.gguf", "a"], '"a" is one too many'),
    (["bench", "m.gguf", "a"], '"a" is one too many'),
    (["run", "m.gguf", "x", "--temprature", "1"], "unknown option --temprature; did you mean --temperature?"),
    (["run", "m.gguf", "x", "--frobnicate"], "unknown option --frobnicate; see quantllm run --help"),
    (["run", "m.gguf", "x", "-z"], "unknown option -z"),
    (["run", "m.gguf", "x", "--te"], "--temperature: needs a value"),
    (["run", "m.gguf", "x", "--top", "1"], "option --top is ambiguous"),
    (["run", "m.gguf", "x", "--temperature"], "--temperature: needs a value (X)"),
    (["run", "m.gguf", "x", "--greedy=1"], "--greedy: takes no value"),
    (["run", "m.gguf", "x", "--temperature", "warm"], '--temperature: "warm" is not a number'),
    (["run", "m.gguf", "x", "--temperature", "1x"], '--temperature: "1x" is not a number'),
    (["run", "m.gguf", "x", "--temperature", ""], '--temperature: "" is not a number'),
    (["run", "m.gguf", "x", "--temperature", " 1"], "is not a number"),
    (["run", "m.gguf", "x", "--temperature", "nan"], "is not a number"),
    (["run", "m.gguf", "x", "--temperature", "inf"], "is not a number"),
    (["run", "m.gguf", "x", "--temperature", "0x1"], "is not a number"),
    (["run", "m.gguf", "x", "--temperature", "1e999"], "is too large"),
    (["run", "m.gguf", "x", "--temperature", "-1"], "--temperature: must be"),
    (["run", "m.gguf", "x", "--top-p", "0"], "--top-p: must be"),
    (["run", "m.gguf", "x", "--top-p", "1.5"], "--top-p: must be"),
    (["run", "m.gguf", "x", "--max-new-tokens", "0"], "--max-new-tokens: must be"),
    (["run", "m.gguf", "x", "--max-new-tokens", "10.5"], "is not a whole number"),
    (["run", "m.gguf", "x", "--max-new-tokens", "99999999999"], "--max-new-tokens: \"99999999999\" is too large"),
    (["run", "m.gguf", "x", "--top-k", "1e2"], "is not a whole number"),
    (["run", "m.gguf", "x", "--seed", "-1"], "--seed: \"-1\" must not be negative"),
    (["run", "m.gguf", "x", "--seed", "18446744073709551616"], "is too large"),
    (["run", "m.gguf", "x", "--seed", "0x10"], "is not a whole number"),
    (["run", "m.gguf", "x", "--max-length", "-5"], "must not be negative"),
    (["run", "m.gguf", "x", "--logit-bias", "5"], "must be ID=BIAS"),
    (["run", "m.gguf", "x", "--logit-bias", "a=1"], "must be ID=BIAS"),
    (["run", "m.gguf", "x", "--logit-bias", "-1=1"], "must be ID=BIAS"),
    (["run", "m.gguf", "x", "--logit-bias", "1=nan"], "must be ID=BIAS"),
    (["run", "m.gguf", "x", "--stop", ""], "--stop"),
    (["run", "m.gguf", "x", "--chat-template", "no-such-file"], "--chat-template: cannot read no-such-file"),
    (["bench", "m.gguf", "-p", "x"], '--n-prompt: "x" is not a whole number'),
    (["bench", "m.gguf", "-p", "1,,2"], "is not a list"),
    (["bench", "m.gguf", "-n", "-1"], '--n-gen: "-1" must not be negative'),
    (["bench", "m.gguf", "-r", "0"], "--repetitions"),
    (["bench", "m.gguf", "-o", "xml"], '--output: "xml" is none of md, json and csv'),
    (["bench", "m.gguf", "-p", "0", "-n", "0"], "nothing to measure"),
    (["bench", "m.gguf", "--temperature", "1"], "unknown option --temperature"),
    (["pull"], "pull: MODEL is missing"),
    (["pull", "a/b", "c/d"], 'pull takes one model; "c/d" is one too many'),
    (["pull", "m.gguf"], "is no name of the Hub"),
    (["pull", "a/b", "--jsno"], "did you mean --json?"),
    (["pull", "a/b", "--packed"], "unknown option --packed"),
    (["ls", "a/b"], "ls takes no model; quantllm show a/b"),
    (["show"], "show: MODEL is missing"),
    (["rm"], "rm: MODEL is missing"),
    (["rm", "a/b", "--revision", ".."], "a revision must be a branch, a tag or a commit"),
    (["run", "m.gguf", "x", "--revision", "main"], "--revision: is for models of the Hub"),
]


@pytest.mark.parametrize("args,message", WRONG, ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_wrong_use_is_one_line_and_64(command, args, message):
    assert message in error_line(command(*args), 64)


@pytest.mark.parametrize("args", [["--help"], ["-h"], ["help"], ["run", "--help"], ["chat", "-h"], ["bench", "--help"],
                                  ["help", "bench"], ["pull", "--help"], ["ls", "--help"], ["show", "--help"], ["help", "rm"], ["run", "m.gguf", "x", "--help"]])
def test_help_goes_to_standard_output(command, args):
    result = command(*args)
    assert result.returncode == 0 and result.stderr == b""
    assert result.stdout.startswith(b"Usage: quantllm ") and b"xamples:" in result.stdout
    assert max(map(len, result.stdout.decode().splitlines())) < 100
    assert b"\033" not in result.stdout


def test_help_names_every_sampling_option(command):
    text = command("run", "--help").stdout.decode()
    for name in ("max-new-tokens temperature top-p top-k min-p typical-p seed repetition-penalty frequency-penalty "
                 "presence-penalty logit-bias stop greedy system threads max-length quantization chat-template quiet "
                 "verbose json chat revision model-defaults bits no-cache").split():
        assert f"--{name}" in text, name


def test_version(command):
    result = command("--version")
    assert result.returncode == 0 and result.stdout.startswith(b"quantllm ") and result.stdout.count(b"\n") == 1


def test_help_that_cannot_be_written_is_an_error(command):
    with open("/dev/full", "wb") as full:
        result = subprocess.run(command.argv("run", "--help"), stdout=full, stderr=subprocess.PIPE)
    assert result.returncode == 1 and b"cannot write to standard output" in result.stderr


def test_arguments_that_are_not_utf8(command):
    assert "the prompt is not UTF-8 (byte 0xff at offset 1)" in error_line(command("run", "m.gguf", b"a\xff"), 64)
    assert "--system is not UTF-8" in error_line(command("run", "m.gguf", "a", "--system", b"\xc3"), 64)
    assert "--stop" in error_line(command("run", "m.gguf", "a", "--stop", b"\xc3"), 64)


def test_an_error_cannot_send_escape_sequences(command):
    line = error_line(command("run", b"no\033[31m\nsuch\xff\xc2\x9b.gguf", "x", "-q"), 1)
    assert "\\x1b[31m\\x0asuch" in line and "\\xff" in line and "\x9b" not in line


def test_a_missing_model(command, tmp_path):
    for verb, more in (("run", ["x"]), ("chat", []), ("bench", [])):
        line = error_line(command(verb, tmp_path / "none.gguf", *more), 1)
        assert "none.gguf" in line
    assert command("run", tmp_path, "x").returncode in (1, 65)


def test_a_template_that_is_not_text(command, tmp_path):
    path = tmp_path / "t.jinja"
    path.write_bytes(b"\xff")
    assert "not a text in UTF-8" in error_line(command("run", "m.gguf", "x", "--chat-template", path), 64)


def test_double_dash_ends_options(command):
    line = error_line(command("run", "--", "--no-such-model", "--x"), 1)
    assert "--no-such-model" in line
