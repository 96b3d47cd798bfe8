// SPDX-License-Identifier: MIT
// quantllm pull: a model of the Hub into the cache, or what has changed since. It must not open the model.
#include "models.h"

#include <stdlib.h>
#include <string.h>

static error_t parse_pull(int key, char *arg, struct argp_state *state)
{
    return cli_parse_store(key, arg, state, true);
}

static const struct argp_option pull_options[] = {
    {"revision", CLI_KEY_REVISION, "REV", 0, "Branch, tag or commit (main)", 0},
    {"quiet", 'q', NULL, 0, "No lines about the download", 0},
    {"json", CLI_KEY_JSON, NULL, 0, "Print one JSON object: model, revision, commit, path", 0},
    {"help", 'h', NULL, 0, "This help", -1},
    {0},
};
static const struct argp pull_argp = {
    pull_options, parse_pull, "ORG/NAME[:TYPE|:FILE][@REV]",
    "Download a model of the Hugging Face Hub, or what has changed of it, and print its path.\v"
    "Only the files that run are downloaded, into the cache that huggingface_hub has too. An interrupted download goes "
    "on when it is asked for again. Of a repository of GGUF files one is taken: by :TYPE, by :FILE, or Q4_K_M and what is "
    "near to it.\n\n"
    "Variables: HF_HOME, HF_HUB_CACHE (where), HF_TOKEN, HF_TOKEN_PATH (private and gated models), HF_ENDPOINT (another "
    "hub), HF_HUB_OFFLINE=1, HF_HUB_ETAG_TIMEOUT, HF_HUB_DOWNLOAD_TIMEOUT (seconds), HF_HUB_DISABLE_PROGRESS_BARS=1, "
    "QUANTLLM_HUB_RETRIES (4).\n\n"
    "Examples:\n"
    "  quantllm pull TinyLlama/TinyLlama-1.1B-Chat-v1.0\n"
    "  quantllm pull bartowski/SmolLM2-135M-Instruct-GGUF:Q4_K_M\n"
    "  quantllm pull HuggingFaceTB/SmolLM2-135M-Instruct@main --json",
    NULL, NULL, NULL};

static void print_result(const cli_options *options, const hub_name *name, const hub_model *model)
{
    if (!options->json) {
        cli_print(model->path, strlen(model->path));
        cli_print("\n", 1);
        return;
    }
    cli_print_object(json_pack("{s:s, s:s, s:s, s:o}", "model", options->model, "revision",
                               *name->revision ? name->revision : "main", "commit", model->commit, "path",
                               cli_json_text(model->path)));
}

static int pull(const cli_options *options)
{
    int code = CLI_OK;
    hub_name name;
    hub_settings settings;
    hub_model model = {0};
    ql_error err = {0};
    if (!cli_parse_name(options->model, options->revision, &name, &code))
        return code;
    if (!*name.repo)
        return cli_error(CLI_USAGE, cli_is_path(options->model) ? "%s is a path here already: there is nothing to download"
                                                                : "%s is no name of the Hub: it has the form org/name",
                         options->model);
    if (hub_settings_read(&settings, &err) != QL_OK)
        return cli_fail(&err);
    code = cli_pull_model(&settings, &name, options->quiet, &model);
    if (code == CLI_OK)
        print_result(options, &name, &model);
    free(model.path);
    hub_settings_free(&settings);
    return code;
}

int cli_pull(int argc, char **argv)
{
    cli_options options;
    cli_options_init(&options);
    cli_parse parse = {.argp = &pull_argp, .name = "pull", .options = &options};
    cli_signals_install(false);
    int code = cli_parse_arguments(&parse, argc, argv) ? pull(&options) : options.status;
    cli_options_release(&options);
    return code;
}
