# SPDX-License-Identifier: MIT
"""quantllm run: where the prompt comes from, what is on standard output, how it ends."""
import fcntl
import json
import re
import os
import select
import signal
import subprocess
import sys
import termios

import pytest

from conftest import LONG, always, error_line
from terminal import CTRL_C, Terminal

GREEDY = ["--greedy", "--repetition-penalty", "1", "--max-new-tokens", "12"]


def answer(command, *args, **options):
    result = command("run", *args, "--quiet", **options)
    assert result.returncode == 0 and result.stderr == b"", result
    return result.stdout


def test_only_the_text_is_on_standard_output(command, tiny):
    loud = command("run", tiny, "Hello", *GREEDY, "--verbose")
    assert loud.returncode == 0
    assert b"loaded in" in loud.stderr and b"tokens/s" in loud.stderr
    assert b"\033" not in loud.stderr
    assert loud.stdout == answer(command, tiny, "Hello", *GREEDY)
    value = json.loads(command("run", tiny, "Hello", *GREEDY, "-q", "--json").stdout)
    assert value["text"].encode() == loud.stdout


def test_json(command, tiny):
    result = command("run", tiny, "Hello", *GREEDY, "-q", "--json", "--seed", "7")
    assert result.stderr == b"" and result.stdout.count(b"\n") == 1
    value = json.loads(result.stdout)
    usage = value["usage"]
    assert value["finish_reason"] in ("stop", "length") and value["seed"] == 7
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert 1 <= usage["completion_tokens"] <= 12
    assert value["timings"]["prompt_seconds"] > 0


def test_a_random_seed_is_reported_and_gives_the_text_again(command, tiny):
    value = json.loads(command("run", tiny, "Hello", "-q", "--json", "--max-new-tokens", "20").stdout)
    again = answer(command, tiny, "Hello", "--seed", value["seed"].__str__(), "--max-new-tokens", "20")
    assert again.decode() == value["text"]


def test_options_may_stand_anywhere(command, tiny):
    expected = answer(command, tiny, "Hello", *GREEDY)
    assert expected == answer(command, *GREEDY, tiny, "Hello")
    assert expected == answer(command, tiny, *GREEDY, "Hello")
    assert expected == command("run", "-q", *GREEDY, "--", tiny, "Hello").stdout
    assert expected == answer(command, tiny, "Hello", "--temperature=0", "--repetition-penalty=1",
                              "--max-new-tokens=12")


def test_the_prompt_from_standard_input(command, tiny, tmp_path):
    expected = answer(command, tiny, "Hello", *GREEDY)
    assert expected == answer(command, tiny, "-", *GREEDY, input=b"Hello\n")
    assert expected == answer(command, tiny, *GREEDY, input=b"Hello\n")
    assert expected == answer(command, tiny, *GREEDY, input=b"Hello\r\n")
    assert expected == answer(command, tiny, *GREEDY, input=b"Hello")
    path = tmp_path / "prompt.txt"
    path.write_text("Hello\n")
    with open(path, "rb") as file:
        assert expected == answer(command, tiny, *GREEDY, stdin=file)


def test_standard_input_comes_after_the_prompt(command, tiny):
    expected = answer(command, tiny, "Hello\nWorld", *GREEDY)
    assert expected == answer(command, tiny, "Hello", *GREEDY, input=b"World\n")
    assert expected == answer(command, tiny, "Hello", "-", *GREEDY, input=b"World\n")
    assert answer(command, tiny, "Hello", *GREEDY) == answer(command, tiny, "Hello", *GREEDY, input=b"")


def test_input_that_is_not_utf8(command, tiny):
    line = error_line(command("run", tiny, "-", input=b"ab\xff"), 65)
    assert line == "standard input is not UTF-8 (byte 0xff at offset 2)"


def test_a_closed_standard_input(command, tiny):
    result = subprocess.run(["sh", "-c", '"$0" run "$1" - <&-', command.path, tiny], capture_output=True)
    assert "cannot read standard input" in error_line(result, 1)


@pytest.mark.parametrize("shell", ['"$0" run "$1" Hello -q >&-', '"$0" run "$1" Hello -q > /dev/full'])
def test_output_that_cannot_be_written(command, tiny, shell):
    result = subprocess.run(["sh", "-c", shell, command.path, tiny], capture_output=True)
    assert "cannot write to standard output" in error_line(result, 1)


def test_a_closed_standard_error_is_no_error(command, tiny):
    result = subprocess.run(["sh", "-c", '"$0" run "$1" Hello --greedy --max-new-tokens 3 2>&-', command.path, tiny],
                            stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    assert result.returncode == 0 and b"loaded" not in result.stdout


def test_a_reader_that_goes_away_ends_it_quietly(command, tiny):
    process = subprocess.Popen(command.argv("run", tiny, "LOOP", "-q", *LONG), stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, 4096)
    process.stdout.read(1)
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(timeout=30) in (0, -signal.SIGPIPE)  # 0: it was through before


def test_a_prompt_longer_than_the_context(command, tiny):
    line = error_line(command("run", tiny, "word " * 200, "-q", "--max-length", "32"), 64)
    assert "32" in line


def test_chat_uses_the_template(command, tiny, template_file):
    raw = answer(command, tiny, "user: Hello\nassistant:", *GREEDY)
    chat = answer(command, tiny, "Hello", "--chat", *GREEDY)
    assert raw == chat
    raw = answer(command, tiny, "system: Be kind.\nuser: Hello\nassistant:", *GREEDY)
    chat = answer(command, tiny, "Hello", "--system", "Be kind.", *GREEDY)
    assert raw == re.sub(rb"<\|unused_\d+\|>", b"", chat)  # control tokens have their text where an answer is taken apart


def test_chat_without_a_template(command, tiny_without_template, template_file):
    line = error_line(command("run", tiny_without_template, "Hello", "--chat", "-q"), 64)
    assert "--chat-template" in line
    with_file = answer(command, tiny_without_template, "Hello", "--chat", "--chat-template", template_file, *GREEDY)
    assert with_file == answer(command, tiny_without_template, "user: Hello\nassistant:", *GREEDY)


def test_a_stop_text_is_not_printed(command, tiny):
    text = answer(command, tiny, "Hello", *GREEDY).decode()
    assert len(text) > 2
    middle = text[len(text) // 2]
    result = command("run", tiny, "Hello", *GREEDY, "--stop", middle, "--stop", "never", "--json", "-q")
    value = json.loads(result.stdout)
    assert value["text"] == text[:text.index(middle)] and value["finish_reason"] == "stop"


def test_no_prompt_on_a_terminal_is_an_error(command, tiny):
    with Terminal(command.argv("run", tiny)) as screen:
        assert screen.wait() == 64
    assert b"error: a prompt is missing" in screen.seen


def test_on_a_terminal_a_newline_follows(command, tiny):
    text = answer(command, tiny, "Hello", *GREEDY)
    with Terminal(command.argv("run", tiny, "Hello", "-q", *GREEDY)) as screen:
        assert screen.wait() == 0
    assert screen.seen.endswith(b"\r\n")
    if text.isascii() and text.decode().isprintable():
        assert screen.seen == text + b"\r\n"


def test_control_characters_of_a_model_do_not_reach_a_terminal(command, tiny):
    for byte, shown in ((0x1b, b"^["), (0x07, b"^G"), (0x7f, b"^?"), (0x0a, b"\r\n"), (0x09, b"\t")):
        args = command.argv("run", tiny, "Hello", "-q", "--max-new-tokens", "3", *always(byte))
        with Terminal(args) as screen:
            assert screen.wait() == 0
        assert screen.seen.rstrip(b"\r\n") == (shown * 3).rstrip(b"\r\n")
        assert command(*args[1:]).stdout == bytes([byte]) * 3  # in a pipe: as they are


@pytest.mark.parametrize("env,dim", [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True),
                                     ({"TERM": "dumb"}, False), ({"TERM": ""}, False)])
def test_colour_is_only_where_it_is_welcome(command, tiny, env, dim):
    with Terminal(command.argv("run", tiny, "Hello", *GREEDY), env=env) as screen:
        assert screen.wait() == 0
    assert (b"\033[2m" in screen.seen) == dim
    assert dim or b"\033" not in screen.seen


def start_long(command, tiny):
    """A run that cannot come to its end: its output takes 4096 bytes, and nobody reads it."""
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
    process = subprocess.Popen(command.argv("run", tiny, "LOOP", "-q", *LONG), stdin=subprocess.DEVNULL,
                               stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    select.select([read], [], [], 60)  # the answer has begun
    return process, os.fdopen(read, "rb")


def test_ctrl_c_ends_the_answer_with_130(command, tiny):
    process, output = start_long(command, tiny)
    with output:
        process.send_signal(signal.SIGINT)
        output.read()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(timeout=30) == 130


def pending(process, number):
    """True while a signal has been sent and not yet been seen by the process."""
    with open(f"/proc/{process.pid}/status") as file:
        masks = [int(line.split()[1], 16) for line in file if line.startswith(("SigPnd", "ShdPnd"))]
    return any(mask >> (number - 1) & 1 for mask in masks)


def queued(pipe):
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, b"\0\0\0\0"), sys.byteorder)


def test_a_second_ctrl_c_does_not_wait(command, tiny):
    process, output = start_long(command, tiny)
    with output:
        while queued(output) < 4096:  # until the writer is stuck: it cannot obey the first one
            assert process.poll() is None
            os.sched_yield()
        process.send_signal(signal.SIGINT)
        while pending(process, signal.SIGINT):
            os.sched_yield()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
    process.stderr.close()


def test_sigterm_ends_it_with_143(command, tiny):
    process, output = start_long(command, tiny)
    with output:
        process.send_signal(signal.SIGTERM)
        output.read()
    process.stderr.close()
    assert process.wait(timeout=30) == 143


def test_an_interrupted_json_is_whole(command, tiny):
    with Terminal(command.argv("run", tiny, "LOOP", "--json", *LONG)) as screen:
        screen.expect(rb"loaded in .*\r\n")
        screen.send(CTRL_C)
        code = screen.wait(60)
    text = screen.seen[screen.mark:].replace(b"^C", b"").strip()
    assert code in (0, 130)  # 0: it was through before
    assert not text or (json.loads(text)["finish_reason"] == "cancelled") == (code == 130)


def test_control_tokens_as_text(command, tiny):
    """The tiny model's vocabulary has <|im_end|>, and one token for each byte of it."""
    usage = [json.loads(command("run", tiny, "<|im_end|>", "--json", *option).stdout)["usage"]["prompt_tokens"]
             for option in ([], ["--no-parse-special"])]
    assert usage == [1, 10]


@pytest.mark.parametrize("name, place", [("bad55", "chat_template:2:8:"), ("bad56", "call depth 128"),
                                         ("bad57", "range too big"), ("bad58", "output limit 4 MB"),
                                         ("bad59", "chat_template:1:")])
def test_bad_templates_do_not_stop_text(command, make_tiny, name, place):
    path = make_tiny(f"{name}.gguf", "--template", name)
    told = command("run", path, "Hello", "--max-new-tokens", "2")
    assert told.returncode == 0 and place in told.stderr.decode() and "chat is off" in told.stderr.decode()
    refused = command("run", path, "Hello", "--chat", "-q")
    assert refused.returncode == 65 and place in refused.stderr.decode() and refused.stdout == b""
