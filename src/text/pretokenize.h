// SPDX-License-Identifier: MIT
// The rules by which byte-level vocabularies cut a text into pieces, each of which is then merged alone. A rule is a
// list of regular expressions, taken from the publishers' tokenizer.json; every next one cuts the pieces of the one
// before, into its matches and what lies between them.
#ifndef QL_TEXT_PRETOKENIZE_H
#define QL_TEXT_PRETOKENIZE_H

#include "base/buf.h"

typedef struct ql_pre_rule {
    const char *names;           // of tokenizer.ggml.pre, separated by spaces; the first is the rule's own
    const char *const *patterns; // NULL-terminated
    bool nfc;                    // text is normalized first
    bool ignore_merges;
    bool add_bos;                // unless the file says otherwise
} ql_pre_rule;

// NULL: no such name.
const ql_pre_rule *ql_pre_rule_find(const char *name, size_t len);

// Appends the rules' own names: "default, gpt-2, ...".
void ql_pre_rule_names(ql_buf *buf);

// Compiled patterns; immutable, so threads share them.
typedef struct ql_pretokenizer ql_pretokenizer;
ql_code ql_pretokenizer_new(const ql_pre_rule *rule, ql_pretokenizer **pre, ql_error *err);
void ql_pretokenizer_free(ql_pretokenizer *pre);

// Calls take(user, piece, len) for the pieces of text, in order; they cover it. text must be valid UTF-8; it is
// normalized first when the rule says so. Stops at the first error, which take() reports as it likes.
typedef ql_code ql_piece_fn(void *user, const char *piece, size_t len, ql_error *err);
ql_code ql_pretokenize(const ql_pretokenizer *pre, const char *text, size_t len, ql_piece_fn *take, void *user,
                       ql_error *err);

#endif
