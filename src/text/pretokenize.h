// SPDX-License-Identifier: MIT
// How a text is cut into pieces, each of which becomes tokens alone: the pre-tokenizers of tokenizer.json as a list of
// steps. Every step cuts (and a few change) the pieces of the one before.
#ifndef QL_TEXT_PRETOKENIZE_H
#define QL_TEXT_PRETOKENIZE_H

#include "text/normalize.h"

typedef enum ql_pre_kind {
    QL_PRE_SPLIT,     // at the matches of regex, or of text when NULL
    QL_PRE_SPACE,     // a space in front of a piece that has none
    QL_PRE_BYTES,     // GPT-2's characters for bytes
    QL_PRE_METASPACE, // spaces become text, one in front as scheme says
    QL_PRE_SCRIPTS,   // where the writing system changes
    QL_PRE_FIXED,     // every n characters
} ql_pre_kind;

typedef enum ql_pre_behavior { // of a match
    QL_PRE_REMOVED, QL_PRE_ISOLATED, QL_PRE_MERGED_WITH_PREVIOUS, QL_PRE_MERGED_WITH_NEXT, QL_PRE_CONTIGUOUS,
} ql_pre_behavior;

typedef enum ql_pre_scheme { QL_PRE_ALWAYS, QL_PRE_FIRST, QL_PRE_NEVER } ql_pre_scheme;

typedef struct ql_pre_step {
    ql_pre_kind kind;
    ql_pre_behavior behavior;
    bool invert;
    ql_pre_scheme scheme;
    ql_regex *regex;
    char *text; // owned
    size_t text_len;
    size_t n;
} ql_pre_step;

enum { QL_PRE_MAX = 32 };
typedef struct ql_pretokenizer {
    ql_pre_step steps[QL_PRE_MAX];
    size_t n;
} ql_pretokenizer;

void ql_pretokenizer_free(ql_pretokenizer *pre); // what it points to; zeroed after
ql_pre_step *ql_pretokenizer_add(ql_pretokenizer *pre, ql_pre_kind kind); // NULL: there are QL_PRE_MAX
// A split at the matches of a pattern in tokenizer.json's language.
ql_code ql_pretokenizer_add_split(ql_pretokenizer *pre, const char *pattern, size_t len, ql_pre_behavior behavior,
                                  bool invert, ql_error *err);

// Memory of one encoding. A zeroed struct is empty.
typedef struct ql_pre_memory {
    ql_buf text[QL_PRE_MAX];
    ql_matcher matcher;
} ql_pre_memory;
void ql_pre_memory_free(ql_pre_memory *memory);

// Calls take(user, piece, len) for the pieces of span (valid UTF-8; its origins do not matter), in order; none is empty.
// Stops at the first error, which take() reports as it likes.
typedef ql_code ql_piece_fn(void *user, const char *piece, size_t len, ql_error *err);
ql_code ql_pretokenize(const ql_pretokenizer *pre, ql_pre_memory *memory, const ql_span *span, ql_piece_fn *take,
                       void *user, ql_error *err);

#endif
