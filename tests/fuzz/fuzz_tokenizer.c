// SPDX-License-Identifier: MIT
// libFuzzer target: tokenizer.json up to a 0 byte, then a text; load, encode, decode, stream, store.
//
//     clang -g -fsanitize=fuzzer,address,undefined -Iinclude -Isrc tests/fuzz/fuzz_tokenizer.c
//         <the static library> -ljansson -lpcre2-8 -lunistring -lm -o fuzz_tokenizer
#include <stdlib.h>
#include <string.h>

#include "format/source_impl.h"
#include "text/tokenizer_impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// A source with the one document.
static void with_tokenizer(ql_source *source, ql_document *document, const uint8_t *data, size_t size)
{
    *source = (ql_source){.kind = QL_SOURCE_HF, .path = "fuzz", .documents = document, .n_documents = 1};
    *document = (ql_document){.name = "tokenizer.json", .file = {.data = data, .size = size}};
}

static void decode(const ql_tokenizer *t, const ql_ids *ids)
{
    ql_buf whole = {0}, pieces = {0};
    ql_detokenizer *d;
    ql_code code = ql_tokenizer_decode(t, ids->data, ids->n, 0, &whole, NULL);
    if (ql_detokenizer_new(t, false, &d, NULL) != QL_OK)
        abort();
    for (size_t i = 0; i < ids->n; i++)
        ql_detokenizer_push(d, ids->data[i], &pieces, NULL);
    ql_detokenizer_finish(d, &pieces, NULL);
    if (code == QL_OK && (whole.len != pieces.len || (whole.len && memcmp(whole.data, pieces.data, whole.len) != 0)))
        abort();
    ql_detokenizer_free(d);
    ql_buf_free(&whole);
    ql_buf_free(&pieces);
}

static void use(const ql_source *source, const ql_tokenizer *t, const uint8_t *text, size_t len)
{
    ql_ids ids = {0}, again = {0};
    ql_buf stored = {0};
    ql_tokenizer *u = NULL;
    ql_error err = {0};
    uint8_t origin[256];
    for (size_t i = 0; i < sizeof origin; i++)
        origin[i] = i % 7 > 3;
    ql_code code = ql_tokenizer_encode(t, (const char *)text, len, len <= sizeof origin ? origin : NULL,
                                       QL_ADD_SPECIAL | QL_PARSE_SPECIAL, &ids, &err);
    if (code != QL_OK && !err.message[0])
        abort();
    if (ql_tokenizer_store(t, &stored, NULL) != QL_OK ||
        ql_tokenizer_load_stored(source, stored.data, stored.len, &u, NULL) != QL_OK)
        abort();
    ql_tokenizer_encode(u, (const char *)text, len, len <= sizeof origin ? origin : NULL, QL_ADD_SPECIAL | QL_PARSE_SPECIAL, &again,
                        NULL);
    if (ids.n != again.n || (ids.n && memcmp(ids.data, again.data, ids.n * sizeof *ids.data) != 0))
        abort();
    for (int32_t id = 0; id < 64 && ql_ids_push(&ids, id * 7 % (int32_t)ql_tokenizer_n_vocab(t)); id++)
        ;
    decode(t, &ids);
    ql_tokenizer_free(u);
    ql_buf_free(&stored);
    ql_ids_free(&ids);
    ql_ids_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *split = size ? memchr(data, 0, size) : NULL;
    size_t len = split ? (size_t)(split - data) : size;
    static const uint8_t sample[] = "Hello  wor\xcc\x81ld 123<s> \xff\xe6\x97\xa5\r\n";
    ql_error err = {0};
    ql_source source;
    ql_document document;
    ql_tokenizer *t;
    with_tokenizer(&source, &document, data, len);
    if (ql_tokenizer_load(&source, &t, &err) != QL_OK) {
        if (!err.message[0])
            abort();
        return 0;
    }
    use(&source, t, split ? split + 1 : sample, split ? size - len - 1 : sizeof sample - 1);
    ql_tokenizer_free(t);
    return 0;
}
