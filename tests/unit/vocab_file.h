// SPDX-License-Identifier: MIT
// Small vocabularies for tests, written as GGUF files of metadata alone.
#ifndef TESTS_UNIT_VOCAB_FILE_H
#define TESTS_UNIT_VOCAB_FILE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/utf8.h"
#include "text/tokenizer.h"

enum { VOCAB_MAX = 400 };

// What a test changes before it writes; zero or NULL members are left out of the file.
typedef struct vocab_file {
    const char *model, *pre;
    const char *tokens[VOCAB_MAX];
    float scores[VOCAB_MAX];
    int32_t types[VOCAB_MAX];
    size_t n, n_scores, n_types;
    const char *merges[VOCAB_MAX];
    size_t n_merges;
    int64_t bos, eos, unk;       // -1: no key
    int add_bos, add_eos, add_space_prefix; // -1: no key
    bool scores_are_i8;
} vocab_file;

static inline void put_u32(ql_buf *b, uint32_t x) { ql_buf_append(b, &x, 4); }
static inline void put_u64(ql_buf *b, uint64_t x) { ql_buf_append(b, &x, 8); }

static inline void put_str(ql_buf *b, const char *s)
{
    put_u64(b, strlen(s));
    ql_buf_append_str(b, s);
}

static inline void put_key(ql_buf *b, const char *key, uint32_t type, uint64_t *n_kv)
{
    put_str(b, key);
    put_u32(b, type);
    ++*n_kv;
}

static inline void put_array(ql_buf *b, const char *key, uint32_t type, uint64_t n, uint64_t *n_kv)
{
    put_key(b, key, 9, n_kv);
    put_u32(b, type);
    put_u64(b, n);
}

static inline void put_keys(ql_buf *b, const vocab_file *v, uint64_t *n_kv)
{
    const struct {
        const char *key;
        int64_t value;
    } ids[] = {{"tokenizer.ggml.bos_token_id", v->bos}, {"tokenizer.ggml.eos_token_id", v->eos},
               {"tokenizer.ggml.unknown_token_id", v->unk}},
      flags[] = {{"tokenizer.ggml.add_bos_token", v->add_bos}, {"tokenizer.ggml.add_eos_token", v->add_eos},
                 {"tokenizer.ggml.add_space_prefix", v->add_space_prefix}};
    for (int i = 0; i < 3; i++)
        if (ids[i].value >= 0) {
            put_key(b, ids[i].key, 4, n_kv);
            put_u32(b, (uint32_t)ids[i].value);
        }
    for (int i = 0; i < 3; i++)
        if (flags[i].value >= 0) {
            put_key(b, flags[i].key, 7, n_kv);
            ql_buf_append_byte(b, (char)flags[i].value);
        }
}

// The path of the file; the caller unlinks it.
static inline const char *vocab_write(const vocab_file *v)
{
    static char path[256];
    const char *folder = getenv("TMPDIR");
    uint64_t n_kv = 0;
    ql_buf b = {0}, head = {0};
    put_key(&b, "general.architecture", 8, &n_kv);
    put_str(&b, "llama");
    put_key(&b, "tokenizer.ggml.model", 8, &n_kv);
    put_str(&b, v->model);
    if (v->pre) {
        put_key(&b, "tokenizer.ggml.pre", 8, &n_kv);
        put_str(&b, v->pre);
    }
    put_array(&b, "tokenizer.ggml.tokens", 8, v->n, &n_kv);
    for (size_t i = 0; i < v->n; i++)
        put_str(&b, v->tokens[i]);
    if (v->n_types) {
        put_array(&b, "tokenizer.ggml.token_type", 5, v->n_types, &n_kv);
        ql_buf_append(&b, v->types, v->n_types * 4);
    }
    if (v->n_scores) {
        put_array(&b, "tokenizer.ggml.scores", v->scores_are_i8 ? 1 : 6, v->n_scores, &n_kv);
        ql_buf_append(&b, v->scores, v->n_scores * (v->scores_are_i8 ? 1 : 4));
    }
    if (v->n_merges) {
        put_array(&b, "tokenizer.ggml.merges", 8, v->n_merges, &n_kv);
        for (size_t i = 0; i < v->n_merges; i++)
            put_str(&b, v->merges[i]);
    }
    put_keys(&b, v, &n_kv);
    ql_buf_append_str(&head, "GGUF");
    put_u32(&head, 3);
    put_u64(&head, 0);
    put_u64(&head, n_kv);
    snprintf(path, sizeof path, "%s/quantllm-vocab-%d.gguf", folder ? folder : P_tmpdir, (int)getpid());
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fwrite(head.data, 1, head.len, file);
    fwrite(b.data, 1, b.len, file);
    fclose(file);
    ql_buf_free(&b);
    ql_buf_free(&head);
    return path;
}

static inline ql_tokenizer *vocab_open(const vocab_file *v, ql_error *err)
{
    const char *path = vocab_write(v);
    ql_tokenizer *t = ql_tokenizer_open(path, err);
    unlink(path);
    return t;
}

static inline int32_t vocab_add(vocab_file *v, const char *token, float score, int32_t type)
{
    v->tokens[v->n] = token;
    v->scores[v->n] = score;
    v->types[v->n] = type;
    v->n_types = ++v->n;
    if (strcmp(v->model, "llama") == 0)
        v->n_scores = v->n;
    return (int32_t)v->n - 1;
}

// ids 0-255 are the bytes.
static inline vocab_file vocab_bytes_bpe(void)
{
    static char names[256][4];
    vocab_file v = {.model = "gpt2", .pre = "gpt-2", .bos = -1, .eos = -1, .unk = -1, .add_bos = -1, .add_eos = -1,
                    .add_space_prefix = -1};
    uint32_t other = 0x100;
    for (uint32_t byte = 0; byte < 256; byte++) {
        bool printable = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte != 0xad);
        memset(names[byte], 0, 4);
        ql_utf8_encode(printable ? byte : other++, names[byte]);
        vocab_add(&v, names[byte], 0, 1);
    }
    return v;
}

// <unk> <s> </s>, then the bytes: id 3 + byte.
static inline vocab_file vocab_bytes_spm(void)
{
    static char names[256][8];
    vocab_file v = {.model = "llama", .bos = 1, .eos = 2, .unk = 0, .add_bos = -1, .add_eos = -1,
                    .add_space_prefix = -1};
    vocab_add(&v, "<unk>", 0, 2);
    vocab_add(&v, "<s>", 0, 3);
    vocab_add(&v, "</s>", 0, 3);
    for (unsigned byte = 0; byte < 256; byte++) {
        snprintf(names[byte], sizeof names[byte], "<0x%02X>", byte);
        vocab_add(&v, names[byte], 0, 6);
    }
    return v;
}

#endif
