// SPDX-License-Identifier: MIT
// Owns standard input of a chat: libedit's line editing, bracketed paste, signals while waiting. It must not know
// messages or commands.
// libedit reads through next_character(), so that one byte buffer serves editing, paste and plain lines, a signal
// ends the wait without a race (ppoll), and invalid UTF-8 cannot stop the editor. libedit has no bracketed paste:
// the terminal's "paste begins" sequence is bound to a function that takes everything up to "paste ends" literally.
#include "terminal.h"

#include <errno.h>
#include <histedit.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#define PASTE_ON "\033[?2004h"
#define PASTE_OFF "\033[?2004l"
#define PASTE_END L"\033[201~"

enum { BYTE_END = -1, BYTE_SIGNAL = -2, BYTE_ERROR = -3 };

struct cli_terminal {
    unsigned char bytes[4096]; // read, not yet used: [next, n)
    size_t next, n;
    int stop;            // why next_character() gave up, a BYTE_ code; 0: it did not
    bool interactive;    // prompts are shown
    EditLine *edit;      // NULL: plain lines
    HistoryW *history;
    const char *prompt;
};

// ---- signals of a terminal while a line is edited ---------------------------------------------------------------

static volatile sig_atomic_t resized, suspended;

static void on_resize(int number)
{
    (void)number;
    resized = 1;
}

static void on_suspend(int number)
{
    (void)number;
    suspended = 1;
}

static void handle(int number, void (*handler)(int))
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, NULL);
}

static void send_escape(const char *sequence)
{
    fputs(sequence, stdout);
    fflush(stdout);
}

// The shell that takes over must find the terminal as it left it.
static void suspend(cli_terminal *terminal)
{
    send_escape(PASTE_OFF);
    el_set(terminal->edit, EL_PREP_TERM, 0);
    handle(SIGTSTP, SIG_DFL);
    raise(SIGTSTP); // stops here, goes on after SIGCONT
    handle(SIGTSTP, on_suspend);
    el_set(terminal->edit, EL_PREP_TERM, 1);
    send_escape(PASTE_ON);
    el_set(terminal->edit, EL_REFRESH);
}

// ---- bytes and characters ---------------------------------------------------------------------------------------

// Waits with the signals open only inside ppoll, so that none slips in between the look and the wait.
static int wait_for_input(void)
{
    sigset_t block, before;
    sigemptyset(&block);
    int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGWINCH, SIGTSTP};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        sigaddset(&block, numbers[i]);
    pthread_sigmask(SIG_BLOCK, &block, &before);
    int result = BYTE_SIGNAL;
    if (!cli_signal_pending() && !resized && !suspended) {
        struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
        int n = ppoll(&input, 1, NULL, &before);
        result = n > 0 ? 0 : n < 0 && errno == EINTR ? BYTE_SIGNAL : BYTE_ERROR;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result;
}

static int fill(cli_terminal *terminal)
{
    for (;;) {
        int waited = wait_for_input();
        if (cli_signal_pending())
            return BYTE_SIGNAL;
        if (resized && terminal->edit) {
            el_resize(terminal->edit);
            el_set(terminal->edit, EL_REFRESH);
        }
        resized = 0;
        if (suspended && terminal->edit)
            suspend(terminal);
        suspended = 0;
        if (waited == BYTE_SIGNAL)
            continue;
        ssize_t n = waited == 0 ? read(STDIN_FILENO, terminal->bytes, sizeof terminal->bytes) : -1;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EIO && terminal->interactive ? BYTE_END : BYTE_ERROR; // EIO: the terminal is gone
        terminal->next = 0;
        terminal->n = (size_t)n;
        return n ? 0 : BYTE_END;
    }
}

// A byte, or a BYTE_ code.
static int next_byte(cli_terminal *terminal)
{
    if (terminal->next == terminal->n) {
        terminal->next = terminal->n = 0;
        int failed = fill(terminal);
        if (failed)
            return failed;
    }
    return terminal->bytes[terminal->next++];
}

// One character from UTF-8; a byte that is none becomes U+FFFD. 1, or 0 with terminal->stop set.
static int next_character(cli_terminal *terminal, wchar_t *out)
{
    char bytes[4];
    int byte = next_byte(terminal);
    if (byte < 0) {
        terminal->stop = byte;
        return 0;
    }
    bytes[0] = (char)byte;
    size_t len = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc2 ? 2 : 1;
    for (size_t i = 1; i < len; i++) {
        byte = next_byte(terminal);
        if (byte >= 0x80 && byte < 0xc0) {
            bytes[i] = (char)byte;
            continue;
        }
        if (byte >= 0)
            terminal->next--; // it begins something else
        len = i;
        break;
    }
    *out = 0xfffd;
    if (cli_utf8_valid(bytes, len) != len)
        return 1;
    unsigned lead = (unsigned char)bytes[0];
    uint32_t point = len == 1 ? lead : lead & (0x7fu >> len);
    for (size_t i = 1; i < len; i++)
        point = point << 6 | ((unsigned char)bytes[i] & 0x3f);
    *out = (wchar_t)point;
    return 1;
}

static void append_character(cli_text *text, wchar_t c)
{
    uint32_t p = (uint32_t)c;
    char bytes[4] = {(char)p};
    size_t n = p < 0x80 ? 1 : p < 0x800 ? 2 : p < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = n; n > 1 && i-- > 0; p >>= 6)
        bytes[i] = (char)(i ? 0x80 | (p & 0x3f) : lead[n] | p);
    cli_append(text, bytes, n);
}

// ---- editing ----------------------------------------------------------------------------------------------------

static cli_terminal *owner(EditLine *edit)
{
    void *data = NULL;
    el_get(edit, EL_CLIENTDATA, &data);
    return data;
}

static int read_for_editor(EditLine *edit, wchar_t *out) { return next_character(owner(edit), out); }

static char *prompt_for_editor(EditLine *edit) { return (char *)(uintptr_t)owner(edit)->prompt; }

typedef struct wide_text {
    wchar_t *data;
    size_t len, size;
} wide_text;

static void append_wide(wide_text *text, wchar_t c)
{
    if (text->len + 1 >= text->size) {
        text->size = text->size ? text->size * 2 : 256;
        text->data = cli_grow(text->data, text->size, sizeof *text->data);
    }
    text->data[text->len++] = c;
    text->data[text->len] = 0;
}

// Takes what the terminal pastes, up to its end mark: newlines stay in the line, other control characters go.
static unsigned char paste(EditLine *edit, int key)
{
    (void)key;
    cli_terminal *terminal = owner(edit);
    wide_text text = {0};
    const size_t mark = wcslen(PASTE_END);
    wchar_t c;
    while (next_character(terminal, &c)) {
        append_wide(&text, c);
        if (text.len < mark || wmemcmp(text.data + text.len - mark, PASTE_END, mark) != 0)
            continue;
        text.data[text.len -= mark] = 0;
        break;
    }
    size_t kept = 0;
    for (size_t i = 0; i < text.len; i++) {
        c = text.data[i] == L'\r' ? L'\n' : text.data[i];
        bool pair = text.data[i] == L'\r' && i + 1 < text.len && text.data[i + 1] == L'\n';
        if (!pair && (c >= 0x20 || c == L'\n' || c == L'\t') && c != 0x7f)
            text.data[kept++] = c;
    }
    int inserted = 0;
    if (kept) {
        text.data[kept] = 0;
        inserted = el_winsertstr(edit, text.data);
    }
    free(text.data);
    return terminal->stop ? CC_EOF : inserted < 0 ? CC_ERROR : CC_REFRESH;
}

// A terminal speaks UTF-8 today; a C locale would make libedit print é as \U+E9.
static void choose_locale(void)
{
    setlocale(LC_CTYPE, "");
    if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
        setlocale(LC_CTYPE, "C.UTF-8");
}

static void open_editor(cli_terminal *terminal)
{
    HistEventW event;
    choose_locale();
    terminal->edit = el_init("quantllm", stdin, stdout, stderr);
    if (!terminal->edit)
        return; // plain lines then
    EditLine *edit = terminal->edit;
    el_set(edit, EL_CLIENTDATA, terminal);
    el_set(edit, EL_PROMPT, prompt_for_editor);
    el_set(edit, EL_SIGNAL, 0);
    el_set(edit, EL_EDITOR, "emacs");
    el_set(edit, EL_SETTY, "-d", "-icrnl", "-inlcr", NULL); // a pasted CR LF must not become two newlines
    el_wset(edit, EL_GETCFN, read_for_editor);
    terminal->history = history_winit();
    if (terminal->history) {
        history_w(terminal->history, &event, H_SETSIZE, 1000);
        history_w(terminal->history, &event, H_SETUNIQUE, 1);
        el_wset(edit, EL_HIST, history_w, terminal->history);
    }
    el_wset(edit, EL_BIND, L"^R", L"em-inc-search-prev", NULL);
    el_source(edit, NULL); // ~/.editrc
    el_wset(edit, EL_ADDFN, L"quantllm-paste", L"insert what the terminal pastes", paste);
    el_wset(edit, EL_BIND, L"\033[200~", L"quantllm-paste", NULL);
}

static cli_event edit_line(cli_terminal *terminal, cli_text *line)
{
    handle(SIGWINCH, on_resize);
    handle(SIGTSTP, on_suspend);
    el_set(terminal->edit, EL_PREP_TERM, 1); // el_wgets() shows the prompt first: keys struck then would go wrong
    send_escape(PASTE_ON);
    int n = 0;
    const wchar_t *text = el_wgets(terminal->edit, &n);
    bool empty = true;
    if (!text && terminal->stop == BYTE_SIGNAL) {
        const LineInfoW *info = el_wline(terminal->edit);
        empty = info->lastchar == info->buffer;
    }
    handle(SIGWINCH, SIG_DFL);
    handle(SIGTSTP, SIG_DFL);
    if (!text)
        send_escape(terminal->stop == BYTE_SIGNAL ? "^C\n" PASTE_OFF : "\n" PASTE_OFF);
    else
        send_escape(PASTE_OFF);
    if (text && terminal->stop != BYTE_SIGNAL) {
        for (int i = 0; i < n; i++)
            append_character(line, text[i]);
        if (line->len && line->data[line->len - 1] == '\n')
            line->data[--line->len] = 0;
        return CLI_LINE;
    }
    if (terminal->stop == BYTE_SIGNAL)
        return empty ? CLI_LINE_SIGNAL : CLI_LINE_CLEAR;
    return terminal->stop == BYTE_ERROR ? CLI_LINE_ERROR : CLI_LINE_END;
}

// ---- plain lines ------------------------------------------------------------------------------------------------

static cli_event plain_line(cli_terminal *terminal, cli_text *line)
{
    if (terminal->interactive)
        cli_print(terminal->prompt, strlen(terminal->prompt));
    for (;;) {
        int byte = next_byte(terminal);
        if (byte == '\n')
            break;
        if (byte >= 0) {
            char c = (char)byte;
            cli_append(line, &c, 1);
            continue;
        }
        if (byte == BYTE_END && line->len)
            break; // the last line may lack its newline
        if (terminal->interactive)
            cli_print("\n", 1);
        if (byte == BYTE_SIGNAL)
            return line->len ? CLI_LINE_CLEAR : CLI_LINE_SIGNAL;
        return byte == BYTE_END ? CLI_LINE_END : CLI_LINE_ERROR;
    }
    if (line->len && line->data[line->len - 1] == '\r')
        line->data[--line->len] = 0;
    return CLI_LINE;
}

// ---- the interface ----------------------------------------------------------------------------------------------

cli_terminal *cli_terminal_open(bool interactive)
{
    cli_terminal *terminal = cli_alloc(sizeof *terminal);
    terminal->interactive = interactive;
    if (interactive && cli_smart_terminal())
        open_editor(terminal);
    return terminal;
}

void cli_terminal_close(cli_terminal *terminal)
{
    if (!terminal)
        return;
    if (terminal->history)
        history_wend(terminal->history);
    if (terminal->edit)
        el_end(terminal->edit);
    free(terminal);
}

cli_event cli_terminal_read(cli_terminal *terminal, const char *prompt, cli_text *line)
{
    cli_clear(line);
    cli_append(line, "", 0);
    terminal->prompt = prompt;
    terminal->stop = 0;
    cli_event event = terminal->edit ? edit_line(terminal, line) : plain_line(terminal, line);
    if (event == CLI_LINE_ERROR)
        cli_error(CLI_FAILURE, "cannot read standard input: %s", strerror(errno));
    return event;
}

void cli_terminal_remember(cli_terminal *terminal, const char *text)
{
    wide_text wide = {0};
    mbstate_t state;
    memset(&state, 0, sizeof state);
    if (!terminal->history || !*text)
        return;
    for (const char *p = text; *p;) {
        wchar_t c;
        size_t n = mbrtowc(&c, p, strlen(p), &state);
        if (n == (size_t)-1 || n == (size_t)-2)
            break;
        append_wide(&wide, c);
        p += n;
    }
    HistEventW event;
    if (wide.data)
        history_w(terminal->history, &event, H_ENTER, wide.data);
    free(wide.data);
}
