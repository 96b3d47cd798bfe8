// SPDX-License-Identifier: MIT
// Owns the table of verbs and what is common to the start of each. It must not know a verb's options.
#include "common.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct verb {
    const char *name;
    int (*main)(int argc, char **argv);
    const char *summary;
} verb;

static const verb verbs[] = {
    {"run", cli_run, "continue a text, or answer one message"},
    {"chat", cli_chat, "talk with a model"},
    {"export", cli_export, "write a model as one GGUF file, in another type"},
    {"bench", cli_bench, "measure a model's speed on this machine"},
    {"pull", cli_pull, "download a model of the Hugging Face Hub"},
    {"ls", cli_ls, "list the models that are here"},
    {"show", cli_show, "describe one of them"},
    {"rm", cli_rm, "delete one of them"},
    {"verify", cli_verify, "look for damage in one of them"},
    {"doctor", cli_doctor, "look at this machine"},
};
#define N_VERBS (sizeof verbs / sizeof *verbs)

static int print_help(void)
{
    printf("Usage: quantllm VERB [OPTION...] MODEL ...\n"
           "Run language models on the CPU: a GGUF file, a folder with safetensors, or org/name of the\n"
           "Hugging Face Hub.\n\n");
    for (size_t i = 0; i < N_VERBS; i++)
        printf("  %-8s%s\n", verbs[i].name, verbs[i].summary);
    printf("\n  quantllm VERB --help   a verb's options\n"
           "  quantllm --version     the version\n\n"
           "Examples:\n"
           "  quantllm run model.gguf \"Once upon a time\"\n"
           "  quantllm chat model.gguf --system \"You answer in one sentence.\"\n"
           "  quantllm bench model.gguf -p 512 -n 128\n"
           "  quantllm run TinyLlama/TinyLlama-1.1B-Chat-v1.0 --chat \"What is Python?\"\n"
           "  quantllm pull bartowski/SmolLM2-135M-Instruct-GGUF:Q4_K_M\n\n"
           "Exit codes: 0 success, 1 failure, 64 wrong usage, 65 bad model file or input, 69 not enough memory,\n"
           "74 a file that was lost while it was read, 130 interrupted.\n");
    cli_flush();
    return CLI_OK;
}

static const verb *find_verb(const char *name)
{
    for (size_t i = 0; i < N_VERBS; i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}

static int unknown_verb(const char *name)
{
    const char *names[N_VERBS + 1] = {NULL};
    for (size_t i = 0; i < N_VERBS; i++)
        names[i] = verbs[i].name;
    const char *near = cli_nearest(name, names);
    if (near)
        return cli_error(CLI_USAGE, "unknown %s \"%s\"; did you mean \"%s\"?", *name == '-' ? "option" : "verb", name,
                         near);
    return cli_error(CLI_USAGE, "unknown %s \"%s\"; quantllm --help lists what there is",
                     *name == '-' ? "option" : "verb", name);
}

// A file opened later must not become standard output. The stand-ins refuse what they are for, so that reading a
// closed input and writing to a closed output are errors, as they should be.
static void fill_closed_descriptors(void)
{
    static const int modes[] = {O_WRONLY, O_RDONLY, O_WRONLY};
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)!open("/dev/null", modes[fd]); // takes the lowest free number: fd
}

int main(int argc, char **argv)
{
    fill_closed_descriptors();
    cli_lost_file_install();
    signal(SIGPIPE, SIG_DFL); // a reader that has gone ends the command quietly, also where the parent ignored it
    if (argc < 2)
        return cli_error(CLI_USAGE, "a verb is missing; quantllm --help lists them");
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || (strcmp(name, "help") == 0 && argc == 2))
        return print_help();
    if (strcmp(name, "--version") == 0) {
        printf("quantllm %s\n", ql_version());
        cli_flush();
        return CLI_OK;
    }
    if (strcmp(name, "help") == 0) {
        const verb *about = find_verb(argv[2]);
        char *help[] = {argv[2], "--help", NULL};
        return about ? about->main(2, help) : unknown_verb(argv[2]);
    }
    const verb *chosen = find_verb(name);
    return chosen ? chosen->main(argc - 1, argv + 1) : unknown_verb(name);
}
