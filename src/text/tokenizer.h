// SPDX-License-Identifier: MIT
// Text <-> token ids. The tokenizer is data: pre-tokenizer rules by name, a vocabulary, merges or scores.
#ifndef QL_TEXT_TOKENIZER_H
#define QL_TEXT_TOKENIZER_H

#include "base/buf.h"
#include "format/source.h"

// struct ql_tokenizer of quantllm.h is defined in text/; immutable after loading, so threads share it.
ql_code ql_tokenizer_load(const ql_source *source, ql_tokenizer **tokenizer, ql_error *err);
void ql_tokenizer_free(ql_tokenizer *tokenizer);

typedef struct ql_ids {
    int32_t *data; // malloc
    size_t n, cap;
} ql_ids;
bool ql_ids_push(ql_ids *ids, int32_t id); // false: out of memory
void ql_ids_free(ql_ids *ids);

// Appends the ids of text to *ids. flags: QL_ADD_SPECIAL, QL_PARSE_SPECIAL.
// origin: NULL, or one byte for each byte of text, 0 where the text may spell control tokens and 1 where it may not
// (what a chat message said): a control token is recognised only where all of its bytes are 0.
// QL_ADD_SPECIAL does not double a BOS (or EOS) that the text already spells.
ql_code ql_tokenizer_encode(const ql_tokenizer *tokenizer, const char *text, size_t len, const uint8_t *origin,
                            unsigned flags, ql_ids *ids, ql_error *err);

// The bytes of one token (byte-level decoded, "▁" as a space, <0xNN> as its byte), owned by the tokenizer. len 0 for
// ids out of range and, with skip_special, for control tokens.
const char *ql_tokenizer_bytes(const ql_tokenizer *tokenizer, int32_t id, bool skip_special, size_t *len);

// As ql_detokenize of quantllm.h: for the SentencePiece kind, without the space that encoding put in front.
ql_code ql_tokenizer_decode(const ql_tokenizer *tokenizer, const int32_t *ids, size_t n, unsigned flags, ql_buf *out,
                            ql_error *err);

// An end-of-text or end-of-turn token: generation stops there.
bool ql_tokenizer_is_eog(const ql_tokenizer *tokenizer, int32_t id);

// Figures and strings for others.
uint32_t ql_tokenizer_n_vocab(const ql_tokenizer *tokenizer);
const char *ql_tokenizer_bos_str(const ql_tokenizer *tokenizer); // "" when there is none
const char *ql_tokenizer_eos_str(const ql_tokenizer *tokenizer);

#endif
