// SPDX-License-Identifier: MIT
// Builds Hugging Face folders for tests: config.json as a text, model.safetensors of named F32 tensors whose values are
// known (hf_value).
//
//     hf_folder f = hf_new();
//     hf_tensor(&f, "model.norm.weight", 8, 0);          // dimensions as transformers tells them, rows first; 0: none
//     hf_save(&f, "{\"model_type\": \"llama\"}");         // f.path is what to open; hf_remove(&f) deletes it
#ifndef TESTS_UNIT_HF_FOLDER_H
#define TESTS_UNIT_HF_FOLDER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"

typedef struct hf_folder {
    char path[128];
    ql_buf header, data;
    uint32_t n_tensors;
} hf_folder;

static inline hf_folder hf_new(void) { return (hf_folder){0}; }

// Element i of the tensor of this name: below 1, exact in F16.
static inline float hf_value(const char *name, uint64_t i)
{
    uint32_t h = 0;
    for (const char *c = name; *c; c++)
        h = h * 31 + (uint8_t)*c;
    return (float)((h + i * 7) % 251) / 256;
}

static inline void hf_tensor3(hf_folder *f, const char *name, uint32_t depth, uint32_t rows, uint32_t cols)
{
    uint64_t n = (uint64_t)rows * (cols ? cols : 1) * (depth ? depth : 1);
    uint64_t begin = f->data.len;
    for (uint64_t i = 0; i < n; i++) {
        float v = hf_value(name, i);
        ql_buf_append(&f->data, &v, sizeof v);
    }
    ql_buf_printf(&f->header, "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[", f->n_tensors++ ? "," : "{", name);
    if (depth)
        ql_buf_printf(&f->header, "%u,", depth);
    ql_buf_printf(&f->header, cols ? "%u,%u" : "%u", rows, cols);
    ql_buf_printf(&f->header, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)begin,
                  (unsigned long long)f->data.len);
}

static inline void hf_tensor(hf_folder *f, const char *name, uint32_t rows, uint32_t cols)
{
    hf_tensor3(f, name, 0, rows, cols);
}

static inline void hf_write(const hf_folder *f, const char *name, const void *a, size_t a_len, const void *b,
                            size_t b_len)
{
    char path[192];
    snprintf(path, sizeof path, "%s/%s", f->path, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(a, 1, a_len, file), a_len);
    assert_int_equal(b_len ? fwrite(b, 1, b_len, file) : 0, b_len);
    assert_int_equal(fclose(file), 0);
}

static inline void hf_save(hf_folder *f, const char *config)
{
    const char *folder = getenv("TMPDIR");
    snprintf(f->path, sizeof f->path, "%s/quantllm-test-XXXXXX", folder ? folder : P_tmpdir);
    assert_non_null(mkdtemp(f->path));
    ql_buf head = {0};
    ql_buf_append_byte(&f->header, '}');
    while (f->header.len % 8)
        ql_buf_append_byte(&f->header, ' ');
    uint64_t n = f->header.len;
    ql_buf_append(&head, &n, sizeof n);
    ql_buf_append(&head, f->header.data, f->header.len);
    assert_false(head.failed || f->header.failed || f->data.failed);
    hf_write(f, "model.safetensors", head.data, head.len, f->data.data, f->data.len);
    hf_write(f, "config.json", config, strlen(config), NULL, 0);
    ql_buf_free(&head);
    ql_buf_free(&f->header);
    ql_buf_free(&f->data);
}

static inline void hf_remove(const hf_folder *f)
{
    static const char *const names[] = {"model.safetensors", "config.json"};
    char path[192];
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", f->path, names[i]);
        unlink(path);
    }
    rmdir(f->path);
}

#endif
