// SPDX-License-Identifier: MIT
// Owns reading a tokenizer from a source's metadata, and refusing what is wrong with it. Must not know how text is
// encoded. Its decision: every value is checked here, once, so that encoding and decoding check only what a caller
// gives.
#include <stdlib.h>
#include <string.h>

#include "text/tokenizer_impl.h"

void ql_tokenizer_free(ql_tokenizer *t)
{
    if (!t)
        return;
    ql_vocab_free(&t->vocab);
    ql_merges_free(&t->merges);
    ql_pretokenizer_free(t->pre);
    free(t->special);
    free(t->eog);
    free(t);
}

// ---- ids that mean something

static ql_code get_id(const ql_tokenizer *t, const ql_source *source, const char *key, int32_t *id, ql_error *err)
{
    uint64_t value = UINT64_MAX;
    QL_TRY(ql_source_get_u64(source, key, false, 0, UINT64_MAX, &value, err));
    if (!ql_source_has(source, key))
        return QL_OK;
    if (value >= t->vocab.n)
        return ql_fail(err, QL_E_FORMAT, "%s: %s %llu: vocabulary has %u", ql_source_path(source), key,
                       (unsigned long long)value, t->vocab.n);
    *id = (int32_t)value;
    return QL_OK;
}

// SentencePiece's own numbers, for files that do not say; only where a token of that kind stands.
static int32_t default_id(const ql_tokenizer *t, uint32_t id)
{
    return t->is_spm && id < t->vocab.n && !ql_vocab_is_text(&t->vocab, (int32_t)id) ? (int32_t)id : QL_NO_ID;
}

static ql_code load_ids(ql_tokenizer *t, const ql_source *source, ql_error *err)
{
    t->unk = default_id(t, 0);
    t->bos = default_id(t, 1);
    t->eos = default_id(t, 2);
    t->eot = t->eom = t->pad = QL_NO_ID;
    QL_TRY(get_id(t, source, "tokenizer.ggml.unknown_token_id", &t->unk, err));
    QL_TRY(get_id(t, source, "tokenizer.ggml.bos_token_id", &t->bos, err));
    QL_TRY(get_id(t, source, "tokenizer.ggml.eos_token_id", &t->eos, err));
    QL_TRY(get_id(t, source, "tokenizer.ggml.eot_token_id", &t->eot, err));
    QL_TRY(get_id(t, source, "tokenizer.ggml.eom_token_id", &t->eom, err));
    return get_id(t, source, "tokenizer.ggml.padding_token_id", &t->pad, err);
}

static ql_code get_add(const ql_source *source, const char *key, const char *id_key, int32_t id, bool *out,
                       ql_error *err)
{
    QL_TRY(ql_source_get_bool(source, key, false, out, err));
    if (*out && id < 0) {
        if (ql_source_has(source, key))
            return ql_fail(err, QL_E_FORMAT, "%s: %s is true, but there is no %s", ql_source_path(source), key, id_key);
        *out = false;
    }
    return QL_OK;
}

static ql_code load_added(ql_tokenizer *t, const ql_source *source, bool add_bos, ql_error *err)
{
    t->add_bos = add_bos;
    t->add_space_prefix = t->is_spm;
    QL_TRY(get_add(source, "tokenizer.ggml.add_bos_token", "tokenizer.ggml.bos_token_id", t->bos, &t->add_bos, err));
    QL_TRY(get_add(source, "tokenizer.ggml.add_eos_token", "tokenizer.ggml.eos_token_id", t->eos, &t->add_eos, err));
    return ql_source_get_bool(source, "tokenizer.ggml.add_space_prefix", false, &t->add_space_prefix, err);
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

static ql_code load_eog(ql_tokenizer *t, ql_error *err)
{
    t->eog = malloc((N_EOG_NAMES + 3) * sizeof *t->eog);
    if (!t->eog)
        return ql_fail_memory(err, (N_EOG_NAMES + 3) * sizeof *t->eog);
    add_eog(t, t->eos);
    add_eog(t, t->eot);
    add_eog(t, t->eom);
    for (size_t i = 0; i < N_EOG_NAMES; i++) {
        int32_t id = ql_vocab_find(&t->vocab, eog_names[i], strlen(eog_names[i]));
        if (id >= 0 && t->vocab.type[id] == QL_TOKEN_CONTROL)
            add_eog(t, id);
    }
    return QL_OK;
}

// ---- the two kinds

static ql_code find_bytes(ql_tokenizer *t, const char *path, ql_error *err)
{
    // What can not be spelled may become the unknown token, but must not end the text.
    bool has_unk = t->unk >= 0 && !ql_tokenizer_is_eog(t, t->unk);
    for (int byte = 0; byte < 256; byte++) {
        char piece[2];
        int32_t id = ql_vocab_find(&t->vocab, piece, ql_byte_char((uint8_t)byte, piece));
        if (id >= 0 && t->vocab.type[id] != QL_TOKEN_NORMAL && t->vocab.type[id] != QL_TOKEN_UNUSED)
            id = QL_NO_ID; // DeepSeek's user-defined U+00FF is that letter, not the byte 0xff
        if (id < 0 && !has_unk && byte >= 0x20 && byte < 0x7f)
            return ql_fail(err, QL_E_FORMAT, "%s: tokenizer.ggml.tokens: no token for the byte 0x%02X ('%c'), and no "
                           "unknown token to stand in for it", path, (unsigned)byte, byte);
        t->byte_id[byte] = id < 0 && has_unk ? t->unk : id;
    }
    return QL_OK;
}

static ql_code find_rule(const ql_source *source, const ql_pre_rule **rule, ql_error *err)
{
    ql_str name = {"default", 7};
    QL_TRY(ql_source_get_str(source, "tokenizer.ggml.pre", false, &name, err));
    *rule = ql_pre_rule_find(name.data, name.len);
    if (*rule)
        return QL_OK;
    ql_buf names = {0};
    ql_pre_rule_names(&names);
    ql_code code = ql_fail(err, QL_E_UNSUPPORTED, "%s: tokenizer.ggml.pre \"%.*s\" is not supported (supported: %s)",
                           ql_source_path(source), (int)(name.len < 100 ? name.len : 100), name.data,
                           names.data ? names.data : "");
    ql_buf_free(&names);
    return code;
}

static ql_code load_kind(ql_tokenizer *t, const ql_source *source, ql_error *err)
{
    const ql_pre_rule *rule = NULL;
    if (!t->is_spm)
        QL_TRY(find_rule(source, &rule, err));
    ql_str_array tokens = {0};
    ql_num_array types = {0};
    QL_TRY(ql_source_get_str_array(source, "tokenizer.ggml.tokens", true, &tokens, err));
    QL_TRY(ql_source_get_i32_array(source, "tokenizer.ggml.token_type", false, &types, err));
    QL_TRY(ql_vocab_init(&t->vocab, &tokens, &types, ql_source_path(source), err));
    QL_TRY(ql_vocab_decode(&t->vocab, t->is_spm, ql_source_path(source), err));
    QL_TRY(load_ids(t, source, err));
    QL_TRY(load_eog(t, err));
    QL_TRY(load_added(t, source, rule ? rule->add_bos : true, err));
    QL_TRY(ql_special_init(t, err));
    if (t->is_spm)
        return ql_spm_load(t, source, err);
    t->ignore_merges = rule->ignore_merges;
    QL_TRY(find_bytes(t, ql_source_path(source), err));
    QL_TRY(ql_bpe_load(t, source, err));
    return ql_pretokenizer_new(rule, &t->pre, err);
}

ql_code ql_tokenizer_load(const ql_source *source, ql_tokenizer **tokenizer, ql_error *err)
{
    ql_str model = {0};
    if (ql_source_kind_of(source) == QL_SOURCE_HF)
        return ql_tokenizer_load_hf(source, tokenizer, err);
    QL_TRY(ql_source_get_str(source, "tokenizer.ggml.model", true, &model, err));
    bool is_spm = model.len == 5 && memcmp(model.data, "llama", 5) == 0;
    if (!is_spm && !(model.len == 4 && memcmp(model.data, "gpt2", 4) == 0))
        return ql_fail(err, QL_E_UNSUPPORTED, "%s: tokenizer.ggml.model \"%.*s\" is not supported (supported: gpt2, "
                       "llama)", ql_source_path(source), (int)(model.len < 100 ? model.len : 100), model.data);
    ql_tokenizer *t = calloc(1, sizeof *t);
    if (!t)
        return ql_fail_memory(err, sizeof *t);
    t->is_spm = is_spm;
    memset(t->byte_id, 0xff, sizeof t->byte_id);
    ql_code code = load_kind(t, source, err);
    if (code != QL_OK) {
        ql_tokenizer_free(t);
        return code;
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
