// SPDX-License-Identifier: MIT
// What the verbs of the command share: exit codes, output, text, signals, one generation.
// It must not know a verb's options. A command may end itself: memory that is refused and standard output that
// cannot be written end the process here, so that no verb needs a path for them.
#ifndef CLI_COMMON_H
#define CLI_COMMON_H

#include "quantllm.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CLI_OK = 0,
    CLI_FAILURE = 1,
    CLI_USAGE = 64,       // EX_USAGE: the command line or a request is wrong
    CLI_DATA = 65,        // EX_DATAERR: a file or the input is wrong
    CLI_IO = 74,          // EX_IOERR: a mapped file was cut or its disk failed
    CLI_INTERRUPTED = 130 // 128 + SIGINT
};

// ---- verbs ------------------------------------------------------------------------------------------------------

// argv[0] is the verb. Returns the exit code.
int cli_run(int argc, char **argv);
int cli_chat(int argc, char **argv);
int cli_export(int argc, char **argv);
int cli_bench(int argc, char **argv);
int cli_pull(int argc, char **argv);
int cli_ls(int argc, char **argv);
int cli_show(int argc, char **argv);
int cli_rm(int argc, char **argv);
int cli_verify(int argc, char **argv);
int cli_doctor(int argc, char **argv);

// ---- text -------------------------------------------------------------------------------------------------------

// A growing text; data is NUL-terminated and NULL only before the first byte. All zero is an empty one.
typedef struct cli_text {
    char *data;
    size_t len, size;
} cli_text;

void *cli_alloc(size_t bytes);                          // zeroed
void *cli_grow(void *memory, size_t count, size_t size); // realloc with a checked product
void cli_append(cli_text *text, const char *bytes, size_t len);
void cli_append_string(cli_text *text, const char *string);
void cli_clear(cli_text *text); // empty, memory kept
void cli_release(cli_text *text);

// The offset of the first byte that is not UTF-8, or len.
size_t cli_utf8_valid(const char *bytes, size_t len);

// The candidate nearest to word, NULL when none is near. candidates end with NULL.
const char *cli_nearest(const char *word, const char *const *candidates);

// Appends all of a file descriptor or a file. 0 or an errno.
int cli_read_all(int fd, cli_text *text);
int cli_read_file(const char *path, cli_text *text);

// ---- output (output.c) ------------------------------------------------------------------------------------------

// "error: ..." on standard error: one line, control bytes and broken UTF-8 as \xNN. Returns code.
int cli_error(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

// The message and the exit code of a library error; a parameter is named by its option (options.c).
int cli_fail(const ql_error *err);

// A line on standard error, dimmed where a terminal and the user want it; made printable like an error.
void cli_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

// Bytes to standard output at once. Ends the process when they cannot be written.
void cli_print(const char *bytes, size_t len);

// Text from a model: on a terminal its control characters are shown ("^[") instead of sent.
void cli_print_model(const char *text, size_t len);
// What it thinks: dimmed on a terminal, nothing elsewhere.
void cli_print_reasoning(const char *text, size_t len);

// For verbs that used stdio: flushes standard output, ends the process when that fails.
void cli_flush(void);

bool cli_is_terminal(int fd);
bool cli_colour(int fd);    // escape sequences are welcome: a terminal, not NO_COLOR, not TERM=dumb
bool cli_smart_terminal(void); // TERM is set and not "dumb"

double cli_seconds(void); // monotonic

// ---- signals (signals.c) ----------------------------------------------------------------------------------------

// SIGINT, SIGTERM and SIGHUP. With remember, a signal outside an answer is kept for cli_signal_take() instead of
// ending the process.
void cli_signals_install(bool remember);

// While a session is watched, the first signal cancels it and the second ends the process. NULL: no more.
void cli_signals_watch(ql_session *session);

// While held, the first signal is only remembered, for work that looks for it and ends itself; the second ends the process.
void cli_signals_hold(bool hold);

// The signal that came since the last call, 0 for none.
int cli_signal_take(void);
int cli_signal_pending(void);

// A mapped file that is cut while it is in use ends the command with a line that names it (lost_file.c).
void cli_lost_file_install(void);

// ---- generation (answer.c) --------------------------------------------------------------------------------------

typedef struct cli_answer {
    cli_text text; // all that the model wrote, with parts the text of control tokens too
    ql_finish finish;
    ql_usage usage;
    ql_answer *parts; // or NULL; takes the text apart: only content is printed, on a terminal reasoning too, dimmed
    size_t content_shown, reasoning_shown;
} cli_answer;

// Opens the model and says so on standard error unless quiet. NULL after an error message; *code is the exit code.
ql_model *cli_open_model(const char *path, const ql_model_options *options, bool quiet, int *code);

// One prompt to the end, streamed to standard output with print. On an error answer holds what came before.
ql_code cli_generate(ql_session *session, const ql_prompt *prompt, const ql_params *params, bool print,
                     cli_answer *answer, ql_error *err);

double cli_rate(uint64_t tokens, double seconds); // tokens per second, 0 when there is nothing to divide
double cli_decode_rate(const ql_usage *usage);    // the first token belongs to the prompt's time
const char *cli_finish_name(ql_finish finish);
void cli_parameter_count(uint64_t n, char *text, size_t size); // "135M", "1.1B"
#endif
