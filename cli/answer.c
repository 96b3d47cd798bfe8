// SPDX-License-Identifier: MIT
// Owns one generation from prompt to end, and opening the model. It must not know verbs or where prompts come from.
#include "common.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct progress_line {
    double start;
    int shown; // per cent on the screen, -1 for nothing yet
} progress_line;

// Only a load that takes long enough to wonder about is worth a line.
static void show_progress(void *user, float fraction)
{
    progress_line *line = user;
    int percent = (int)(fraction * 100);
    if (percent == line->shown || cli_seconds() - line->start < 0.5)
        return;
    line->shown = percent;
    fprintf(stderr, "\rloading %d %%", percent);
}

static void show_line(void *user, const char *line)
{
    (void)user;
    cli_note("%s", line);
}

ql_model *cli_open_model(const char *path, const ql_model_options *options, bool quiet, int *code)
{
    ql_model_options with = *options;
    progress_line line = {cli_seconds(), -1};
    if (!quiet && cli_is_terminal(STDERR_FILENO) && cli_smart_terminal()) {
        with.progress = show_progress;
        with.progress_user = &line;
    }
    with.log = quiet ? NULL : show_line;
    ql_error err = {0};
    ql_model *model = ql_model_open(path, &with, &err);
    if (line.shown >= 0)
        fprintf(stderr, "\r\033[K");
    if (!model) {
        *code = cli_fail(&err);
        return NULL;
    }
    ql_model_info info;
    ql_model_get_info(model, &info);
    char count[32];
    cli_parameter_count(info.n_params, count, sizeof count);
    if (!quiet)
        cli_note("%s (%s, %s parameters, %s), %d thread%s, %s, context %u, loaded in %.2f s",
                 *info.name ? info.name : path, info.architecture, count, info.quantization,
                 info.threads, info.threads == 1 ? "" : "s", info.isa, info.max_length, info.load_seconds);
    *code = CLI_OK;
    return model;
}

// What a piece of text, or with last the end, adds to the parts.
static ql_code show_parts(cli_answer *answer, const char *text, size_t len, bool last, bool print, ql_error *err)
{
    ql_answer_parts parts;
    ql_code code = ql_answer_feed(answer->parts, text, len, last, err);
    if (code != QL_OK)
        return code;
    if (!print)
        return QL_OK;
    ql_answer_get(answer->parts, &parts);
    cli_print_reasoning(parts.reasoning + answer->reasoning_shown, parts.reasoning_len - answer->reasoning_shown);
    answer->reasoning_shown = parts.reasoning_len;
    if (parts.content_len > answer->content_shown && !answer->content_shown && parts.reasoning_len)
        cli_print_reasoning("\n\n", 2);
    cli_print_model(parts.content + answer->content_shown, parts.content_len - answer->content_shown);
    answer->content_shown = parts.content_len;
    return QL_OK;
}

static ql_code pump(ql_session *session, bool print, cli_answer *answer, ql_error *err)
{
    for (;;) {
        ql_piece piece;
        ql_code code = ql_next(session, &piece, err);
        if (code != QL_OK)
            return code;
        if (!piece.text)
            return QL_OK;
        cli_append(&answer->text, piece.text, piece.len);
        if (answer->parts)
            code = show_parts(answer, piece.text, piece.len, false, print, err);
        else if (print)
            cli_print_model(piece.text, piece.len);
        if (code != QL_OK)
            return code;
        if (piece.finish != QL_FINISH_NONE)
            answer->finish = piece.finish;
    }
}

ql_code cli_generate(ql_session *session, const ql_prompt *prompt, const ql_params *params, bool print,
                     cli_answer *answer, ql_error *err)
{
    cli_clear(&answer->text);
    answer->finish = QL_FINISH_NONE;
    answer->usage = (ql_usage){0};
    answer->content_shown = answer->reasoning_shown = 0;
    ql_params with = *params;
    with.keep_special = answer->parts; // some models mark reasoning by control tokens
    cli_signals_watch(session);
    ql_code code = ql_generate(session, prompt, 1, &with, err);
    if (code == QL_OK) {
        if (cli_signal_pending()) // it came before there was something to cancel
            ql_cancel(session);
        code = pump(session, print, answer, err);
        if (answer->parts) // what was held back, also of an answer that broke off
            show_parts(answer, "", 0, true, print, NULL);
        ql_session_get_usage(session, &answer->usage);
    }
    cli_signals_watch(NULL);
    if (code == QL_E_CANCELLED) {
        answer->finish = QL_FINISH_CANCELLED;
        code = QL_OK;
    }
    return code;
}

double cli_rate(uint64_t tokens, double seconds) { return seconds > 0 ? (double)tokens / seconds : 0; }

double cli_decode_rate(const ql_usage *usage)
{
    return usage->n_new ? cli_rate(usage->n_new - 1, usage->decode_seconds) : 0;
}

void cli_parameter_count(uint64_t n, char *text, size_t size)
{
    bool billions = n >= 1000000000;
    snprintf(text, size, billions ? "%.3gB" : "%.3gM", (double)n / (billions ? 1e9 : 1e6));
}

const char *cli_finish_name(ql_finish finish)
{
    switch (finish) {
    case QL_FINISH_STOP:
        return "stop";
    case QL_FINISH_LENGTH:
        return "length";
    case QL_FINISH_CANCELLED:
        return "cancelled";
    case QL_FINISH_NONE:
        break;
    }
    return "none";
}
