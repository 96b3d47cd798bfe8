// SPDX-License-Identifier: MIT
// What is done to a text before it is cut: the normalizers of tokenizer.json as a list of steps.
//
// Unicode's tables are libunistring's (14). The `tokenizers` library has older ones in places, so characters that came
// later are normalized here and left alone there; nothing else differs.
#ifndef QL_TEXT_NORMALIZE_H
#define QL_TEXT_NORMALIZE_H

#include "text/regex.h"

typedef enum ql_norm_kind {
    QL_NORM_NFC, QL_NORM_NFD, QL_NORM_NFKC, QL_NORM_NFKD,
    QL_NORM_LOWER,
    QL_NORM_STRIP,          // left, right
    QL_NORM_STRIP_ACCENTS,  // marks of every kind
    QL_NORM_STRIP_NONSPACING,
    QL_NORM_REPLACE,        // regex, or a when NULL, by b
    QL_NORM_PREPEND,        // a, to a text that is not empty
    QL_NORM_CLEAN,          // BERT's: controls go, white space becomes a space
    QL_NORM_SPACE_CJK,      // BERT's: spaces around ideographs
    QL_NORM_NMT,
    QL_NORM_CHARSMAP,       // SentencePiece's compiled rules
    QL_NORM_BYTES,          // GPT-2's characters for bytes
} ql_norm_kind;

typedef struct ql_charsmap {
    uint32_t *units; // [n_units] a double array
    size_t n_units;
    char *texts;     // [n_texts] NUL-terminated ones
    size_t n_texts;
} ql_charsmap;

typedef struct ql_norm_step {
    ql_norm_kind kind;
    bool left, right;
    char *a, *b; // owned
    size_t a_len, b_len;
    ql_regex *regex;
    ql_charsmap *map;
} ql_norm_step;

enum { QL_NORM_MAX = 32 };
typedef struct ql_normalizer {
    ql_norm_step steps[QL_NORM_MAX];
    size_t n;
} ql_normalizer;

void ql_normalizer_free(ql_normalizer *normalizer); // what it points to; zeroed after
// The next step to fill in, NULL when there are QL_NORM_MAX.
ql_norm_step *ql_normalizer_add(ql_normalizer *normalizer, ql_norm_kind kind);
ql_code ql_norm_set(char **text, size_t *len, const char *from, size_t n, ql_error *err); // a copy into a or b

// Reads SentencePiece's precompiled_charsmap.
ql_code ql_charsmap_new(const uint8_t *data, size_t size, ql_charsmap **map, ql_error *err);
void ql_charsmap_free(ql_charsmap *map);
// What a piece of text becomes; NULL: no rule.
const char *ql_charsmap_find(const ql_charsmap *map, const char *text, size_t len, size_t *n);

// A text on its way. from is NULL or one byte for each byte of text: 0 where a template wrote it, 1 where a message did.
typedef struct ql_span {
    const char *text;
    size_t len;
    const uint8_t *from;
    bool at_start;  // its first character is the first of the whole text
    bool continues; // nothing is put in front: it follows bytes that are not UTF-8
} ql_span;

// Memory of one encoding. A zeroed struct is empty.
typedef struct ql_norm_memory {
    ql_buf text[2], from[2];
    ql_matcher matcher;
} ql_norm_memory;
void ql_norm_memory_free(ql_norm_memory *memory);

// Normalizes *span (valid UTF-8); it then points into *memory, until the next call, or stays.
ql_code ql_normalize(const ql_normalizer *normalizer, ql_norm_memory *memory, ql_span *span, ql_error *err);

// The character (up to 2 bytes of UTF-8) that byte-level vocabularies write for a byte; returns its length.
size_t ql_byte_char(uint8_t byte, char out[2]);
// The byte that a character stands for there, -1: none.
int ql_char_byte(uint32_t cp);

bool ql_is_white_space(uint32_t cp);
bool ql_is_word(uint32_t cp); // \w of Rust's regular expressions

#endif
