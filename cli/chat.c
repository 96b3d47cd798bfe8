// SPDX-License-Identifier: MIT
// quantllm chat: messages in, answers out, until the input ends. It must not know how a line is edited (terminal.c)
// or stored (conversation.c).
// On a terminal an error costs one message and the chat goes on; in a pipe the first error ends it with its exit code,
// because nobody is there to react.
#include "conversation.h"
#include "models.h"
#include "terminal.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROMPT ">>> "
#define PROMPT_MORE "... "
#define BLOCK "\"\"\""

typedef struct chat {
    const cli_options *options;
    ql_model *model;
    ql_session *session;
    cli_terminal *terminal;
    cli_conversation talk;
    cli_answer answer;
    const char *tmpl; // source of the model's template
    uint32_t max_length;
    bool interactive;
    bool armed; // a Ctrl-C has come and no message since: the next one leaves
    bool done;
    int code; // exit code, once done
} chat;

static void leave(chat *c, int code)
{
    c->done = true;
    c->code = code;
}

// After an error: the next message, or the end.
static void failed(chat *c, int code)
{
    if (!c->interactive)
        leave(c, code);
}

// ---- an answer --------------------------------------------------------------------------------------------------

static void show_status(const chat *c)
{
    const ql_usage *usage = &c->answer.usage;
    unsigned long long used = usage->n_prompt + usage->n_new;
    const char *why = "";
    if (c->answer.finish == QL_FINISH_CANCELLED)
        why = "; stopped";
    else if (c->answer.finish == QL_FINISH_LENGTH && usage->n_new >= (uint64_t)c->options->params.max_new_tokens)
        why = "; cut at --max-new-tokens";
    else if (c->answer.finish == QL_FINISH_LENGTH)
        why = "; the context is full, /clear begins a new conversation";
    if (c->interactive || c->options->verbose)
        cli_note("[%llu tokens, %.1f tokens/s, context %llu of %u%s]", (unsigned long long)usage->n_new,
                 cli_decode_rate(usage), used, c->max_length, why);
}

// The error's line; the message that caused it leaves the conversation.
static void refuse_message(chat *c, const ql_error *err)
{
    int code = cli_fail(err);
    cli_conversation_drop_last(&c->talk);
    if (err->code == QL_E_CONTEXT && c->interactive)
        cli_note("the message was not taken; /clear begins a new conversation, /save FILE keeps this one");
    failed(c, code);
}

static void after_signal(chat *c)
{
    int number = cli_signal_take();
    if (!c->interactive || (number && number != SIGINT))
        leave(c, number ? 128 + number : CLI_INTERRUPTED);
    c->armed = true;
}

static void send_message(chat *c, const char *text, size_t len)
{
    ql_error err = {0};
    ql_prompt prompt = {0};
    int32_t *ids = NULL;
    cli_answer *answer = &c->answer;
    cli_conversation_add(&c->talk, "user", text, len);
    answer->parts = cli_conversation_parts(&c->talk, c->model, c->tmpl, &err);
    if (!answer->parts || cli_conversation_ids(&c->talk, c->model, &ids, &prompt.n_ids, &err) != QL_OK) {
        refuse_message(c, &err);
        return;
    }
    prompt.ids = ids;
    ql_code code = cli_generate(c->session, &prompt, &c->options->params, true, answer, &err);
    ql_free(ids);
    if (answer->text.len || code == QL_OK)
        cli_print("\n", 1);
    if (answer->text.len || (code == QL_OK && answer->finish != QL_FINISH_CANCELLED)) {
        ql_answer_parts parts;
        ql_answer_get(answer->parts, &parts);
        cli_conversation_add_answer(&c->talk, &parts);
        show_status(c);
        if (code != QL_OK)
            failed(c, cli_fail(&err));
    } else if (code == QL_OK) { // stopped before the first word: as if it had not been sent
        cli_conversation_drop_last(&c->talk);
        show_status(c);
    } else {
        refuse_message(c, &err);
    }
    if (answer->finish == QL_FINISH_CANCELLED)
        after_signal(c);
}

// A message from its arrival to what came of it.
static void take_message(chat *c, const char *text, size_t len)
{
    send_message(c, text, len);
    ql_answer_close(c->answer.parts);
    c->answer.parts = NULL;
}

// ---- commands ---------------------------------------------------------------------------------------------------

static void command_help(chat *c, const char *rest)
{
    (void)c, (void)rest;
    cli_note("/system TEXT  set the system message; alone, show it");
    cli_note("/clear        forget the conversation, keep the system message");
    cli_note("/save FILE    write the conversation as JSON");
    cli_note("/load FILE    go on with a saved one");
    cli_note("/bye          leave (Ctrl-D)");
    cli_note("\"\"\" begins and ends a message of several lines, a backslash at the end of a line continues it, "
             "a paste stays one message");
    cli_note("//text sends \"/text\"; Ctrl-C stops an answer, twice ends the program");
}

static void command_clear(chat *c, const char *rest)
{
    (void)rest;
    cli_conversation_clear(&c->talk);
    if (c->interactive)
        cli_note("cleared");
}

static void command_system(chat *c, const char *rest)
{
    if (*rest) {
        cli_conversation_set_system(&c->talk, rest);
        return;
    }
    const char *system = cli_conversation_system(&c->talk);
    cli_note(system ? "system: %s" : "there is no system message; /system TEXT sets one", system);
}

// "~/" is the shell's business, but here is no shell.
static char *expand(const char *path)
{
    const char *home = getenv("HOME");
    cli_text full = {0};
    if (strncmp(path, "~/", 2) == 0 && home && *home) {
        cli_append_string(&full, home);
        path++;
    }
    cli_append_string(&full, path);
    return full.data;
}

static void command_file(chat *c, const char *rest, bool save)
{
    if (!*rest) {
        failed(c, cli_error(CLI_USAGE, "/%s needs a file name", save ? "save" : "load"));
        return;
    }
    char *path = expand(rest);
    bool ok = save ? cli_conversation_save(&c->talk, path) : cli_conversation_load(&c->talk, path);
    if (!ok)
        failed(c, save ? CLI_FAILURE : CLI_DATA);
    else if (c->interactive)
        cli_note("%s %zu messages %s %s", save ? "saved" : "loaded", cli_conversation_count(&c->talk),
                 save ? "to" : "from", path);
    free(path);
}

static void command_save(chat *c, const char *rest) { command_file(c, rest, true); }

static void command_load(chat *c, const char *rest) { command_file(c, rest, false); }

static void command_bye(chat *c, const char *rest)
{
    (void)rest;
    leave(c, CLI_OK);
}

static void run_command(chat *c, const char *line)
{
    static const struct {
        const char *name;
        void (*act)(chat *, const char *);
    } commands[] = {
        {"/help", command_help},   {"/?", command_help},      {"/clear", command_clear}, {"/system", command_system},
        {"/save", command_save},   {"/load", command_load},   {"/bye", command_bye},     {"/exit", command_bye},
    };
    size_t word = strcspn(line, " \t");
    const char *rest = line + word + strspn(line + word, " \t");
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strlen(commands[i].name) == word && memcmp(commands[i].name, line, word) == 0) {
            commands[i].act(c, rest);
            return;
        }
    failed(c, cli_error(CLI_USAGE, "unknown command %.*s; /help lists them, // sends a text that begins with /",
                        (int)word, line));
}

// ---- a message of one or more lines -----------------------------------------------------------------------------

static bool ends_with(const cli_text *text, const char *end)
{
    size_t n = strlen(end);
    return text->len >= n && memcmp(text->data + text->len - n, end, n) == 0;
}

static void cut(cli_text *text, size_t n)
{
    text->len -= n;
    text->data[text->len] = 0;
}

// The rest of a message whose first line is in text: up to the closing quotes, or as long as lines end in a backslash.
static cli_event read_more(chat *c, cli_text *text)
{
    bool block = text->len >= 3 && memcmp(text->data, BLOCK, 3) == 0;
    cli_text line = {0};
    cli_event event = CLI_LINE;
    if (block) {
        memmove(text->data, text->data + 3, text->len - 2); // with the NUL
        text->len -= 3;
    }
    while (event == CLI_LINE && (block ? !ends_with(text, BLOCK) : ends_with(text, "\\"))) {
        event = cli_terminal_read(c->terminal, PROMPT_MORE, &line);
        if (event != CLI_LINE)
            break;
        if (!block)
            cut(text, 1);
        if (!block || text->len) // nothing after the opening quotes: the message begins on the next line
            cli_append(text, "\n", 1);
        cli_append(text, line.data, line.len);
    }
    if (event == CLI_LINE && block) {
        cut(text, 3);
        if (ends_with(text, "\n"))
            cut(text, 1);
    }
    cli_release(&line);
    return event;
}

static bool blank(const cli_text *text)
{
    for (size_t i = 0; i < text->len; i++)
        if (!strchr(" \t\r\n", text->data[i]) || !text->data[i])
            return false;
    return true;
}

static void take_line(chat *c, cli_text *text)
{
    c->armed = false;
    bool one_line = !text->len || !memchr(text->data, '\n', text->len);
    bool slash = text->len && text->data[0] == '/' && one_line;
    size_t valid = cli_utf8_valid(text->data, text->len);
    if (valid != text->len) {
        failed(c, cli_error(CLI_DATA, "the message is not UTF-8 (byte 0x%02x at offset %zu)",
                            (unsigned char)text->data[valid], valid));
        return;
    }
    if (blank(text))
        return;
    cli_terminal_remember(c->terminal, text->data);
    if (slash && !(text->len > 1 && text->data[1] == '/'))
        run_command(c, text->data);
    else
        take_message(c, text->data + slash, text->len - slash);
}

static void take_event(chat *c, cli_event event, bool inside_message)
{
    int number = event == CLI_LINE_CLEAR || event == CLI_LINE_SIGNAL ? cli_signal_take() : 0;
    if (number && number != SIGINT) {
        leave(c, 128 + number);
        return;
    }
    switch (event) {
    case CLI_LINE_END:
        if (!inside_message)
            leave(c, CLI_OK);
        else
            failed(c, cli_error(CLI_DATA, "the input ended inside a message of several lines"));
        break;
    case CLI_LINE_SIGNAL:
        if (inside_message)
            break;
        if (c->armed)
            leave(c, CLI_INTERRUPTED);
        else
            cli_note("Ctrl-C once more, or Ctrl-D, leaves");
        c->armed = true;
        break;
    case CLI_LINE_ERROR:
        leave(c, CLI_FAILURE);
        break;
    case CLI_LINE:
    case CLI_LINE_CLEAR:
        break;
    }
}

static int talk(chat *c)
{
    cli_text text = {0};
    while (!c->done) {
        cli_event event = cli_terminal_read(c->terminal, PROMPT, &text);
        bool first = event != CLI_LINE;
        if (!first)
            event = read_more(c, &text);
        if (event == CLI_LINE)
            take_line(c, &text);
        else
            take_event(c, event, !first);
    }
    cli_release(&text);
    return c->code;
}

// ---- the verb ---------------------------------------------------------------------------------------------------

enum { KEY_SYSTEM = 0x200 };

static error_t parse_chat(int key, char *arg, struct argp_state *state)
{
    cli_options *options = ((cli_parse *)state->input)->options;
    switch (key) {
    case KEY_SYSTEM:
        if (cli_utf8_valid(arg, strlen(arg)) != strlen(arg))
            return cli_parse_error(options, "--system: \"%s\" is not UTF-8", arg);
        options->system = arg;
        return 0;
    case ARGP_KEY_ARG:
        if (options->model)
            return cli_parse_error(options, "chat takes no prompt, \"%s\" is one too many; quantllm run takes one",
                                   arg);
        options->model = arg;
        return 0;
    case ARGP_KEY_END:
        return options->model ? 0 : cli_parse_error(options, "chat: MODEL is missing; see quantllm chat --help");
    default:
        return cli_parse_common(key, state);
    }
}

static const struct argp_option chat_options[] = {
    {"system", KEY_SYSTEM, "TEXT", 0, "System message", 0},
    {"help", 'h', NULL, 0, "This help", -1},
    {0},
};
static const struct argp_child chat_children[] = {
    {&cli_sampling_argp, 0, NULL, 0},
    {&cli_model_argp, 0, NULL, 0},
    {0},
};
static const struct argp chat_argp = {
    chat_options, parse_chat, "MODEL",
    "Talk with a model. On a terminal lines are edited and /help lists the commands; from a pipe each line is a "
    "message, and only answers are printed on standard output.\v"
    "Ctrl-C stops an answer, a second one the program; Ctrl-D leaves.\n\n"
    "Examples:\n"
    "  quantllm chat model.gguf --system \"You answer in one sentence.\"\n"
    "  printf 'What is Python?\\nAnd Rust?\\n' | quantllm chat model.gguf --greedy\n"
    "  quantllm chat TinyLlama/TinyLlama-1.1B-Chat-v1.0 --model-defaults\n\n"
    "MODEL is a GGUF file, a folder, or org/name of the Hugging Face Hub, downloaded once (quantllm pull --help).",
    chat_children, NULL, NULL};

static int chat_with(const cli_options *options, ql_model *model)
{
    ql_error err = {0};
    ql_model_info info;
    ql_model_get_info(model, &info);
    if (!info.chat_template)
        return cli_error(ql_code_lookup(QL_E_NO_TEMPLATE)->exit_code,
                         "%s has no chat template: give one with --chat-template FILE, or continue a text with "
                         "quantllm run", options->model);
    if (ql_model_check_template(model, &err) != QL_OK) // now, not after somebody has written a message
        return cli_fail(&err);
    chat c = {.options = options, .model = model, .tmpl = info.chat_template, .max_length = info.max_length};
    c.interactive = cli_is_terminal(STDIN_FILENO) && cli_is_terminal(STDOUT_FILENO);
    c.session = ql_session_new(model, &err);
    if (!c.session)
        return cli_fail(&err);
    cli_signals_install(c.interactive);
    cli_conversation_init(&c.talk);
    cli_conversation_set_system(&c.talk, options->system);
    c.terminal = cli_terminal_open(c.interactive);
    if (c.interactive && !options->quiet)
        cli_note("/help lists the commands, Ctrl-D leaves");
    int code = talk(&c);
    cli_terminal_close(c.terminal);
    cli_conversation_release(&c.talk);
    cli_release(&c.answer.text);
    ql_session_free(c.session);
    return code;
}

int cli_chat(int argc, char **argv)
{
    cli_options options;
    cli_options_init(&options);
    cli_parse parse = {.argp = &chat_argp, .name = "chat", .options = &options};
    int code = CLI_OK;
    ql_error err = {0};
    cli_signals_install(false);
    if (!cli_parse_arguments(&parse, argc, argv)) {
        code = options.status;
    } else if (ql_params_check(&options.params, &err) != QL_OK) {
        code = cli_fail(&err);
    } else {
        ql_model *model = cli_open_named(&options, &code);
        if (model)
            code = chat_with(&options, model);
        ql_model_close(model);
    }
    cli_options_release(&options);
    return code;
}
