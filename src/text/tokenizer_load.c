// SPDX-License-Identifier: MIT
// Owns a tokenizer's life: which of its files it is made from, what ends texts, and its end. Must not know formats.
#include <stdlib.h>
#include <string.h>

#include "text/tokenizer_impl.h"

void ql_tokenizer_free(ql_tokenizer *t)
{
    if (!t)
        return;
    if (!t->store) { // else the tables lie in it
        ql_vocab_free(&t->vocab);
        ql_merges_free(&t->merges);
        free(t->joins);
        free(t->trie.first);
        free(t->trie.label);
        free(t->trie.id);
        free(t->scores);
    }
    free(t->store);
    ql_normalizer_free(&t->normalizer);
    ql_pretokenizer_free(&t->pre);
    ql_decoder_free(&t->decoder);
    for (int k = 0; k < 2; k++)
        ql_added_free(&t->added[k]);
    free(t->shown);
    free(t->prefix);
    free(t->suffix);
    free(t->before);
    free(t->after);
    free(t->eog);
    free(t->rules);
    free(t);
}

// Control tokens that end a turn or a text by their name, in files whose keys name only one of them.
static const char *const eog_names[] = {
    "<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|end|>", "<|endoftext|>", "<|end_of_text|>", "<|end_of_turn|>",
    "<end_of_turn>", "<|eot|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]", "</s>", "<eos>", "<end_of_utterance>",
    "<\xef\xbd\x9c" "end\xe2\x96\x81of\xe2\x96\x81sentence\xef\xbd\x9c>",
};
enum { N_EOG_NAMES = sizeof eog_names / sizeof eog_names[0] };

static void add_eog(ql_tokenizer *t, int32_t id)
{
    if (id >= 0 && !ql_tokenizer_is_eog(t, id))
        t->eog[t->n_eog++] = id;
}

ql_code ql_tokenizer_find_eog(ql_tokenizer *t, const int32_t *ids, size_t n, ql_error *err)
{
    if (!(t->eog = malloc((N_EOG_NAMES + n) * sizeof *t->eog)))
        return ql_fail_memory(err, (N_EOG_NAMES + n) * sizeof *t->eog);
    for (size_t i = 0; i < n; i++)
        add_eog(t, ids[i]);
    for (size_t i = 0; i < N_EOG_NAMES; i++) {
        int32_t id = ql_vocab_find(&t->vocab, eog_names[i], strlen(eog_names[i]));
        if (id >= 0 && ql_vocab_kind(&t->vocab, id) == QL_TOKEN_CONTROL)
            add_eog(t, id);
    }
    return QL_OK;
}

ql_tokenizer *ql_tokenizer_new(void)
{
    ql_tokenizer *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    memset(t->byte_id, 0xff, sizeof t->byte_id);
    memset(t->ascii_id, 0xff, sizeof t->ascii_id);
    t->model_unk = t->bos = t->eos = t->unk = t->pad = QL_NO_ID;
    return t;
}

// The getters of a source name its file already.
static ql_code name_file(const ql_source *source, ql_code code, ql_error *err)
{
    const char *path = ql_source_path(source);
    return err && strncmp(err->message, path, strlen(path)) == 0 ? code : ql_fail_prefix(err, code, "%s", path);
}

ql_code ql_tokenizer_load(const ql_source *source, ql_tokenizer **tokenizer, ql_error *err)
{
    ql_tokenizer *t = ql_tokenizer_new();
    if (!t)
        return ql_fail_memory(err, sizeof *t);
    bool json = ql_source_kind_of(source) == QL_SOURCE_HF || !ql_source_has(source, "tokenizer.ggml.model");
    json = json && (ql_source_kind_of(source) == QL_SOURCE_HF || ql_source_document(source, "tokenizer.json").data);
    ql_code code = json ? ql_tokenizer_load_json(source, t, err) : ql_tokenizer_load_gguf(source, t, err);
    if (code != QL_OK) {
        ql_tokenizer_free(t);
        return name_file(source, code, err);
    }
    *tokenizer = t;
    return QL_OK;
}

ql_tokenizer *ql_tokenizer_open(const char *path, ql_error *err)
{
    ql_source *source;
    ql_tokenizer *t = NULL;
    if (ql_source_open(path, &source, err) != QL_OK)
        return NULL;
    if (ql_tokenizer_load(source, &t, err) != QL_OK)
        t = NULL;
    ql_source_close(source);
    return t;
}

void ql_tokenizer_close(ql_tokenizer *t) { ql_tokenizer_free(t); }
