# SPDX-License-Identifier: MIT
"""quantllm chat: on a terminal (editing, paste, commands, Ctrl-C, status line) and in a pipe."""
import json
import os
import signal
import termios

import pytest

import conftest
from conftest import error_line
from make_tiny import vocabulary as make_tiny_vocabulary
from terminal import CTRL_C, CTRL_D, ENTER, PASTE_BEGIN, PASTE_END, UP, Terminal

SHORT = ["--greedy", "--repetition-penalty", "1", "--max-new-tokens", "6", "-q"]
LONG = [*conftest.LONG, "-q"]
PROMPT = rb">>> "
STATUS = rb"\[(\d+) tokens, [\d.]+ tokens/s, context (\d+) of (\d+)([^\]]*)\]"


@pytest.fixture
def chat(command, tiny):
    """A chat on a terminal at its first prompt."""
    screens = []

    def start(*args, **options):
        screen = Terminal(command.argv("chat", tiny, *(args or SHORT)), **options)
        screens.append(screen)
        screen.__enter__()
        screen.expect(PROMPT)
        return screen

    yield start
    for screen in screens:
        screen.__exit__()


def ask(screen, text):
    screen.line(text)
    match = screen.expect(STATUS)
    screen.expect(PROMPT)
    return match


def messages(screen, path):
    """The conversation so far, through /save."""
    screen.line(f"/save {path}")
    screen.expect(rb"saved \d+ messages to ")
    screen.expect(PROMPT)
    return json.loads(path.read_text())


def contents(screen, path, role="user"):
    return [m["content"] for m in messages(screen, path) if m["role"] == role]


# ---- the conversation -------------------------------------------------------------------------------------------

def test_a_conversation(chat, tmp_path):
    screen = chat()
    first, second = ask(screen, "Hello"), ask(screen, "And you?")
    assert 1 <= int(first[1]) <= 6 and int(second[2]) > int(first[2])
    saved = messages(screen, tmp_path / "a.json")
    assert [m["role"] for m in saved] == ["user", "assistant", "user", "assistant"]
    assert saved[0]["content"] == "Hello" and saved[2]["content"] == "And you?"
    screen.send(CTRL_D)
    assert screen.wait() == 0


def test_the_answers_are_those_of_run(chat, command, tiny, tmp_path):
    screen = chat()
    ask(screen, "Hello")
    said = messages(screen, tmp_path / "a.json")
    run = command("run", tiny, "Hello", "--chat", *SHORT).stdout.decode()
    assert said[1]["content"] == run


def test_clear_keeps_the_system_message(chat, tmp_path):
    screen = chat("--system", "Be kind.", *SHORT)
    ask(screen, "Hello")
    screen.line("/clear")
    screen.expect(rb"cleared.*>>> ")
    assert messages(screen, tmp_path / "a.json") == [{"role": "system", "content": "Be kind."}]


def test_system(chat, tmp_path):
    screen = chat()
    screen.line("/system")
    screen.expect(rb"there is no system message.*>>> ")
    screen.line("/system Be  short.")
    screen.expect(PROMPT)
    screen.line("/system")
    screen.expect(rb"system: Be  short\..*>>> ")
    ask(screen, "Hello")
    screen.line("/system Be long.")
    screen.expect(PROMPT)
    saved = messages(screen, tmp_path / "a.json")
    assert [m["role"] for m in saved] == ["system", "user", "assistant"] and saved[0]["content"] == "Be long."


def test_save_and_load(chat, tmp_path):
    screen = chat()
    ask(screen, "Hé llo 世界")
    path = tmp_path / "talk.json"
    saved = messages(screen, path)
    assert saved[0] == {"role": "user", "content": "Hé llo 世界"}
    assert os.listdir(tmp_path) == ["talk.json"]  # no temporary file stays
    other = chat()
    other.line(f"/load {path}")
    other.expect(rb"loaded 2 messages from .*>>> ")
    ask(other, "More")
    assert messages(other, tmp_path / "b.json")[:2] == saved


@pytest.mark.parametrize("text,message", [
    (b"", rb"error: .*not JSON"), (b"{}", rb"error: .*is not a JSON array"),
    (b"[1]", rb"error: .*message 0 is not an object"),
    (b'[{"role":"user"}]', rb'error: .*message 0 has no "content"'), (b'[{"content":"x"}]', rb'error: .*has no "role"'),
    (b'[{"role":"user","content":"\xff"}]', rb"error: .*not JSON"), (None, rb"error: cannot load .*No such file"),
])
def test_a_bad_load_changes_nothing(chat, tmp_path, text, message):
    screen = chat()
    ask(screen, "Hello")
    path = tmp_path / "bad.json"
    if text is not None:
        path.write_bytes(text)
    screen.line(f"/load {path}")
    screen.expect(message)
    screen.expect(PROMPT)
    assert contents(screen, tmp_path / "a.json") == ["Hello"]


def test_a_failed_save_is_told(chat, tmp_path):
    screen = chat()
    screen.line(f"/save {tmp_path}/no/such/folder.json")
    screen.expect(rb"error: cannot save to .*No such file.*>>> ")
    screen.line("/save")
    screen.expect(rb"error: /save needs a file name.*>>> ")


def test_commands_and_texts_with_a_slash(chat, tmp_path):
    screen = chat()
    screen.line("/help")
    screen.expect(rb"/system TEXT.*/clear.*/save FILE.*/load FILE.*/bye.*>>> ")
    screen.line("/frobnicate now")
    screen.expect(rb"error: unknown command /frobnicate; /help.*>>> ")
    ask(screen, "//etc/hosts")
    assert contents(screen, tmp_path / "a.json") == ["/etc/hosts"]
    screen.line("/bye")
    assert screen.wait() == 0


def test_blank_lines_are_not_messages(chat, tmp_path):
    screen = chat()
    for text in ("", "   "):
        screen.line(text)
        screen.expect(PROMPT)
    assert messages(screen, tmp_path / "a.json") == []


# ---- editing ----------------------------------------------------------------------------------------------------

def test_editing_and_history(chat, tmp_path):
    screen = chat()
    screen.send("xbcé".encode() + b"\x01\x1b[3~A\x05D\x7fE")  # home, delete, A, end, D, backspace, E
    screen.send(ENTER)
    screen.expect(STATUS)
    screen.expect(PROMPT)
    screen.send(UP + b"!" + ENTER)
    screen.expect(STATUS)
    screen.expect(PROMPT)
    assert contents(screen, tmp_path / "a.json") == ["AbcéE", "AbcéE!"]


def test_bytes_that_are_not_utf8_do_not_stop_the_editor(chat, tmp_path):
    screen = chat()
    screen.send(b"a\xff\xc3b" + ENTER)
    screen.expect(STATUS)
    screen.expect(PROMPT)
    assert contents(screen, tmp_path / "a.json") == ["a\ufffd\ufffdb"]


def test_a_c_locale_can_edit_unicode(chat, tmp_path):
    screen = chat(env={"LC_ALL": "C"})
    screen.send("é世".encode())
    screen.expect("é世".encode())
    ask(screen, "")
    assert contents(screen, tmp_path / "a.json") == ["é世"]


@pytest.mark.parametrize("pasted,message", [
    (b"one\rtwo\rthree", "one\ntwo\nthree"),
    (b"one\r\ntwo\n", "one\ntwo\n"),
    ("é中😀\n\tx".encode(), "é中😀\n\tx"),
    (b"a\033[31mb\007c\004", "a[31mbc"),
    (b"/clear\r/bye", "/clear\n/bye"),
    (b"", ""),
    (b"line of text\r" * 500, "line of text\n" * 500),
])
def test_a_paste_is_one_message(chat, tmp_path, pasted, message):
    screen = chat(*SHORT)
    assert b"\033[?2004h" in screen.seen
    screen.send(b"<" + PASTE_BEGIN + pasted + PASTE_END + b">" + ENTER)
    screen.expect(STATUS + rb"|error: ")
    screen.expect(PROMPT)
    if len(message) < 1000:  # the long one may not fit into the context
        assert contents(screen, tmp_path / "a.json") == ["<" + message + ">"]
    screen.send(CTRL_D)
    assert screen.wait() == 0
    assert screen.seen.rfind(b"\033[?2004l") > screen.seen.rfind(b"\033[?2004h")


def test_a_paste_that_begins_a_message_is_no_command(chat, tmp_path):
    screen = chat()
    screen.send(PASTE_BEGIN + b"/bye\nnow" + PASTE_END + ENTER)
    screen.expect(STATUS)
    screen.expect(PROMPT)
    assert contents(screen, tmp_path / "a.json") == ["/bye\nnow"]


def test_messages_of_several_lines(chat, tmp_path):
    screen = chat()
    screen.line('"""one')
    screen.expect(rb"\.\.\. ")
    screen.line("/help")
    screen.expect(rb"\.\.\. ")
    screen.line('three"""')
    screen.expect(STATUS)
    screen.expect(PROMPT)
    screen.line("a\\")
    screen.expect(rb"\.\.\. ")
    screen.line("b")
    screen.expect(STATUS)
    screen.expect(PROMPT)
    screen.line('"""one line"""')
    screen.expect(STATUS)
    screen.expect(PROMPT)
    assert contents(screen, tmp_path / "a.json") == ["one\n/help\nthree", "a\nb", "one line"]


# ---- ends -------------------------------------------------------------------------------------------------------

def test_ctrl_c_at_the_prompt(chat, tmp_path):
    screen = chat()
    screen.send(b"half a line" + CTRL_C)
    screen.expect(rb"\^C\r\n.*>>> ")
    assert messages(screen, tmp_path / "a.json") == []
    screen.send(CTRL_C)
    screen.expect(rb"Ctrl-C once more.*>>> ")
    screen.send(CTRL_C)
    assert screen.wait() == 130


def test_ctrl_c_leaves_a_message_of_several_lines(chat, tmp_path):
    screen = chat()
    screen.line('"""one')
    screen.expect(rb"\.\.\. ")
    screen.send(CTRL_C)
    screen.expect(PROMPT)
    assert messages(screen, tmp_path / "a.json") == []


def long_answer(chat):
    """A chat in the middle of an answer: nobody reads the screen, so the answer cannot come to its end."""
    screen = chat(*LONG)
    screen.line("LOOP")
    screen.expect(rb"LOOP\r\n.*?\033\[\?2004l")  # the editor has let go
    screen.expect(rb"[^\r\n]")
    return screen


def test_ctrl_c_ends_the_answer_and_keeps_it(chat, tmp_path):
    screen = long_answer(chat)
    screen.send(CTRL_C)
    assert b"stopped" in screen.expect(STATUS)[4]
    screen.expect(PROMPT)
    said = contents(screen, tmp_path / "a.json", "assistant")
    assert len(said) == 1 and said[0]
    screen.send(CTRL_D)
    assert screen.wait() == 0


def test_a_second_ctrl_c_at_the_prompt_ends_the_program(chat):
    screen = long_answer(chat)
    screen.send(CTRL_C)
    screen.expect(STATUS)
    screen.expect(PROMPT)
    screen.send(CTRL_C)
    assert screen.wait() == 130


def test_a_message_between_makes_it_a_first_one_again(chat):
    screen = long_answer(chat)
    screen.send(CTRL_C)
    screen.expect(STATUS)
    screen.expect(PROMPT)
    screen.line("/help")
    screen.expect(rb"/bye.*>>> ")
    screen.send(CTRL_C)
    screen.expect(rb"Ctrl-C once more.*>>> ")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_other_signals_leave_the_terminal_in_order(chat, number):
    screen = chat()
    os.kill(screen.process.pid, number)
    assert screen.wait() == 128 + number
    assert screen.seen.rfind(b"\033[?2004l") > screen.seen.rfind(b"\033[?2004h")


def test_the_terminal_is_as_before(command, tiny):
    shell = ["sh", "-c", '"$0" "$@"; echo; stty -a']
    with Terminal(shell + command.argv("chat", tiny, *SHORT)) as screen:
        screen.expect(PROMPT)
        assert not screen.modes()[3] & termios.ICANON
        screen.send(CTRL_D)
        screen.expect(rb"\033\[\?2004l")
        modes = screen.expect(rb"speed.*")
        assert screen.wait() == 0
    assert b" icanon" in screen.seen and b" icrnl" in screen.seen and b" -echo " not in screen.seen and modes


def test_a_full_context_loses_nothing(chat, tmp_path):
    screen = chat("--max-length", "64", *SHORT)
    ask(screen, "Hello")
    screen.line("word " * 100)
    screen.expect(rb"error: .*64.*/clear.*>>> ")
    assert contents(screen, tmp_path / "a.json") == ["Hello"]
    screen.line("/clear")
    screen.expect(PROMPT)
    ask(screen, "Hello")


def test_a_context_that_fills_while_answering(chat):
    screen = chat(*LONG, "--max-length", "48")
    match = ask(screen, "LOOP")
    assert match[2] == match[3] == b"48" and b"the context is full, /clear" in match[4]


def test_an_answer_that_is_cut(chat):
    screen = chat(*LONG, "--max-new-tokens", "5")
    match = ask(screen, "LOOP")
    assert match[1] == b"5" and b"cut at --max-new-tokens" in match[4]


# ---- a terminal that can do less --------------------------------------------------------------------------------

@pytest.mark.parametrize("term", ["dumb", ""])
def test_a_dumb_terminal_gets_no_escape_sequences(chat, tmp_path, term):
    screen = chat(env={"TERM": term})
    ask(screen, "Hello")
    assert contents(screen, tmp_path / "a.json") == ["Hello"]
    screen.send(CTRL_D)
    assert screen.wait() == 0
    assert b"\033" not in screen.seen


def test_no_color_has_no_dim_status(chat):
    screen = chat(env={"NO_COLOR": "1"})
    ask(screen, "Hello")
    assert b"\033[2m" not in screen.seen
    screen = chat()
    ask(screen, "Hello")
    assert b"\033[2m[" in screen.seen


def test_a_resize_is_no_end(chat, tmp_path):
    screen = chat()
    screen.send(b"Hel")
    screen.expect(rb"Hel")
    os.kill(screen.process.pid, signal.SIGWINCH)
    ask(screen, "lo")
    assert contents(screen, tmp_path / "a.json") == ["Hello"]


def test_stop_and_continue(command, tiny, tmp_path):
    shell = ["sh", "-c", 'set -m; "$0" "$@"; fg >/dev/null']
    with Terminal(shell + command.argv("chat", tiny, *SHORT)) as screen:
        screen.expect(PROMPT)
        screen.send(b"Hel")
        screen.expect(rb"Hel")
        screen.send(b"\x1a")
        screen.expect(rb"\033\[\?2004l")  # the shell has a plain terminal
        screen.expect(rb"\033\[\?2004h.*Hel")
        ask(screen, "lo")
        assert contents(screen, tmp_path / "a.json") == ["Hello"]
        screen.send(CTRL_D)
        assert screen.wait() == 0


# ---- a pipe -----------------------------------------------------------------------------------------------------

def test_a_pipe_gets_answers_alone(command, tiny):
    result = command("chat", tiny, *conftest.always(ord("a")), "--max-new-tokens", "3", input=b"Hello\nHello again\n")
    assert (result.returncode, result.stdout) == (0, b"aaa\naaa\n")
    assert result.stderr.count(b"\n") == 1 and b"loaded in" in result.stderr and b"\033" not in result.stderr
    result = command("chat", tiny, *SHORT, input=b"Hello\nHello again\n")
    first = command("run", tiny, "Hello", "--chat", *SHORT).stdout
    assert result.stdout.startswith(first + b"\n") and result.stderr == b""


def test_a_pipe_with_commands(command, tiny, tmp_path):
    path = tmp_path / "talk.json"
    text = f'/system Be kind.\n"""one\ntwo\n"""\na\\\nb\n//x\n\n/save {path}\nlast line without newline'
    result = command("chat", tiny, *SHORT, input=text.encode())
    assert result.returncode == 0 and result.stderr == b"", result
    saved = json.loads(path.read_text())
    assert [m["content"] for m in saved if m["role"] == "user"] == ["one\ntwo", "a\nb", "/x"]
    assert saved[0] == {"role": "system", "content": "Be kind."}


def test_an_error_ends_a_pipe(command, tiny):
    for text, code, words in ((b"/nope\nHello\n", 64, "unknown command /nope"), (b"\xff\nHello\n", 65, "not UTF-8"),
                              (b'"""open\n', 65, "ended inside a message"), (b"/load nothing\n", 65, "cannot load"),
                              (b"/save\n", 64, "needs a file name")):
        assert words in error_line(command("chat", tiny, *SHORT, input=text), code)


def test_an_empty_pipe(command, tiny):
    result = command("chat", tiny, *SHORT)
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")


def test_standard_output_alone_on_a_terminal_is_not_interactive(command, tiny):
    read, write = os.pipe()
    os.write(write, b"Hello\n")
    os.close(write)
    with os.fdopen(read, "rb") as source, Terminal(command.argv("chat", tiny, *SHORT), stdin=source) as screen:
        assert screen.wait() == 0
    assert b">>>" not in screen.seen and b"\033" not in screen.seen


def test_no_template(command, tiny_without_template, template_file):
    line = error_line(command("chat", tiny_without_template, "-q"), 64)
    assert "--chat-template FILE" in line and "quantllm run" in line
    result = command("chat", tiny_without_template, "--chat-template", template_file, *SHORT, input=b"Hello\n")
    assert result.returncode == 0 and result.stdout.endswith(b"\n")


def test_a_template_that_refuses(command, tiny, tmp_path):
    path = tmp_path / "t.jinja"
    path.write_text("{{ raise_exception('no talk today') }}")
    line = error_line(command("chat", tiny, "--chat-template", path, *SHORT, input=b"REFUSE\n"), 65)
    assert line


@pytest.mark.parametrize("name,source,words", [
    ("syntax", "{% for m in %}", "chat_template:1:"), ("recursion", "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "call depth 128"),
    ("steps", "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "step"),
])
def test_a_bad_template_is_told_before_the_first_message(command, make_tiny, tmp_path, name, source, words):
    """Of the model's file: a text can still be continued with it, a chat can not begin."""
    path = tmp_path / "bad.jinja"
    path.write_text(source)
    model = make_tiny(f"bad-{name}.gguf", "--template", path)
    assert words in error_line(command("chat", model, *SHORT), 65)  # the input is empty
    with Terminal(command.argv("chat", model, *SHORT)) as screen:
        assert screen.wait() == 65
    assert b"error: " in screen.seen and PROMPT not in screen.seen
    assert command("run", model, "Hello", *SHORT).returncode == 0


@pytest.fixture(scope="session")
def thinking(tmp_path_factory):
    """A template whose prompt opens reasoning, which the tiny model never closes."""
    path = tmp_path_factory.mktemp("thinking") / "t.jinja"
    path.write_text("{% for m in messages %}{{ m.content }}{% endfor %}<think>\n")
    return path


def test_reasoning_is_not_the_answer(command, tiny, thinking):
    options = ["--chat-template", thinking, *conftest.always(ord("a")), "--max-new-tokens", "3", "-q"]
    assert command("chat", tiny, *options, input=b"Hello\n").stdout == b"\n"
    assert command("run", tiny, "Hello", "--chat", *options).stdout == b""
    value = json.loads(command("run", tiny, "Hello", "--chat", "--json", *options).stdout)
    assert (value["text"], value["reasoning"]) == ("", "aaa")
    assert command("run", tiny, "Hello", *options).stdout == b"aaa"  # no chat: what the model wrote


def test_reasoning_between_control_tokens(command, make_tiny, thinking, tmp_path):
    """The model says one after the other: the repetition penalty halves the logit of what was said."""
    model = make_tiny("control.gguf", "--template", thinking, "--control", "<think>", "--control", "</think>")
    tokens, types = make_tiny_vocabulary(["<think>", "</think>"])
    end = tokens.index("</think>")
    assert types[end] == 3
    bias = {conftest.FIRST_BYTE + ord("a"): 10000, end: 9000, conftest.FIRST_BYTE + ord("b"): 8000}
    options = ["--greedy", "--repetition-penalty", "2", "--max-new-tokens", "4", "-q",
               *(x for i, b in bias.items() for x in ("--logit-bias", f"{i}={b}"))]
    assert command("run", model, "Hello", "--chat", *options).stdout == b"ba"
    assert command("chat", model, *options, input=b"Hello\n").stdout == b"ba\n"
    value = json.loads(command("run", model, "Hello", "--chat", "--json", *options).stdout)
    assert (value["text"], value["reasoning"]) == ("ba", "a")
    with Terminal(command.argv("chat", model, *options[:-7], *options[-6:])) as screen:
        screen.expect(rb">>> ")
        ask(screen, "Hello")
        saved = messages(screen, tmp_path / "a.json")
        screen.send(CTRL_D)
        assert screen.wait() == 0
    assert saved[1] == {"role": "assistant", "content": "ba", "reasoning_content": "a"}


def test_reasoning_on_a_terminal(command, tiny, thinking, tmp_path):
    options = ["--chat-template", thinking, *conftest.always(ord("a")), "--max-new-tokens", "3"]
    with Terminal(command.argv("chat", tiny, *options)) as screen:
        screen.expect(rb">>> ")
        ask(screen, "Hello")
        assert b"aaa" in screen.seen.replace(b"\033[2m", b"").replace(b"\033[0m", b"")
        saved = messages(screen, tmp_path / "a.json")
        screen.send(CTRL_D)
        assert screen.wait() == 0
    assert saved[1] == {"role": "assistant", "content": "", "reasoning_content": "aaa"}
