// SPDX-License-Identifier: MIT
// From tokens to text: the decoders of tokenizer.json as a chain through which tokens are pushed one by one. Decoding a
// list is pushing all of it, so what is streamed is what the whole gives.
#ifndef QL_TEXT_DECODE_H
#define QL_TEXT_DECODE_H

#include "text/normalize.h"

typedef enum ql_dec_kind {
    QL_DEC_BYTES,         // GPT-2's characters back to bytes, all of them to one text
    QL_DEC_WORDPIECE,     // text is the mark of a continuation; a space before other tokens
    QL_DEC_METASPACE,     // text becomes a space; in the first token nothing, with drop
    QL_DEC_BPE,           // text, a word's end, becomes a space; in the last token nothing
    QL_DEC_CTC,           // repeated tokens count once; text is no text, more a space
    QL_DEC_FUSE,          // all tokens become one
    QL_DEC_STRIP,         // up to start times text at the beginning, up to stop at the end
    QL_DEC_REPLACE,       // regex, or text when NULL, by more
    QL_DEC_BYTE_FALLBACK, // runs of <0xNN> become UTF-8, or each U+FFFD
    QL_DEC_SPACES,        // tokens with a space between: what no decoder does
} ql_dec_kind;

typedef struct ql_dec_step {
    ql_dec_kind kind;
    bool drop, cleanup;
    size_t start, stop;
    char *text, *more; // owned
    size_t text_len, more_len;
    ql_regex *regex;
} ql_dec_step;

enum { QL_DEC_MAX = 16 };
typedef struct ql_decoder {
    ql_dec_step steps[QL_DEC_MAX];
    size_t n;
} ql_decoder;

void ql_decoder_free(ql_decoder *decoder); // what it points to; zeroed after
ql_dec_step *ql_decoder_add(ql_decoder *decoder, ql_dec_kind kind); // NULL: there are QL_DEC_MAX

// One text being decoded.
typedef struct ql_decoding ql_decoding;
ql_code ql_decoding_new(const ql_decoder *decoder, ql_decoding **decoding, ql_error *err);
void ql_decoding_free(ql_decoding *decoding);
// verbatim: a token of a GGUF vocabulary that is spelled as it is, whatever QL_DEC_BYTES would make of it.
ql_code ql_decoding_push(ql_decoding *decoding, const char *token, size_t len, bool verbatim, ql_buf *out,
                         ql_error *err);
ql_code ql_decoding_finish(ql_decoding *decoding, ql_buf *out, ql_error *err);
// What has been pushed is a text that has been shown already, alone: what would still come of it is dropped. Where what follows
// changes its end, the rest begins behind what is the same.
ql_code ql_decoding_forget(ql_decoding *decoding, const char *shown, size_t n, ql_error *err);

#endif
