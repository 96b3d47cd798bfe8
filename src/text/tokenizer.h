// SPDX-License-Identifier: MIT
// Text <-> token ids. The tokenizer is data: pre-tokenizer rules by name, a vocabulary, merges or scores.
#ifndef QL_TEXT_TOKENIZER_H
#define QL_TEXT_TOKENIZER_H

#include "base/buf.h"
#include "format/source.h"

// struct ql_tokenizer of quantllm.h is defined in text/; immutable after loading, so threads share it. It copies what
// it needs: the source may be closed.
//
// Kinds: "gpt2" (byte-level BPE, cut first by the rule that tokenizer.ggml.pre names) and "llama" (SentencePiece-style
// BPE). Encoding follows the publishers' Hugging Face tokenizers, to whom these points are owed:
//   - Qwen2, MPT and OLMo texts are normalized (NFC).
//   - "llama" with add_space_prefix puts the space before each part of a text that follows a special token, too.
//   - A byte without a token (SmolLM2 has none for U+0004) becomes the unknown token, unless there is none or it ends
//     the text; then it is left out. A file without a token for a printable ASCII character is refused.
// Bytes that are not UTF-8 become their own tokens (or merge with each other, never with the text around them); where
// the vocabulary lacks one of them, U+FFFD.
ql_code ql_tokenizer_load(const ql_source *source, ql_tokenizer **tokenizer, ql_error *err);
void ql_tokenizer_free(ql_tokenizer *tokenizer);

// Appends the source's chat template; nothing when it has none. GGUF: tokenizer.chat_template. Hugging Face:
// chat_template.jinja, else tokenizer_config.json's (a string, or of a list of named ones "default"), else
// chat_template.json's.
ql_code ql_tokenizer_template(const ql_source *source, ql_buf *text, ql_error *err);

typedef struct ql_ids {
    int32_t *data; // malloc
    size_t n, cap;
} ql_ids;
bool ql_ids_push(ql_ids *ids, int32_t id); // false: out of memory
void ql_ids_free(ql_ids *ids);

// Appends the ids of text (up to 1 GB) to *ids. flags: QL_ADD_SPECIAL, QL_PARSE_SPECIAL. Special tokens are found from
// the left, of those at one place the longest: user-defined ones always, control and unknown ones with
// QL_PARSE_SPECIAL.
// origin: NULL, or one byte for each byte of text, 0 where the text may spell control tokens and 1 where it may not
// (what a chat message said): a control token is recognised only where all of its bytes are 0.
// QL_ADD_SPECIAL does not double a BOS (or EOS) that the text already spells.
ql_code ql_tokenizer_encode(const ql_tokenizer *tokenizer, const char *text, size_t len, const uint8_t *origin,
                            unsigned flags, ql_ids *ids, ql_error *err);

// The bytes of one token (byte-level decoded, "▁" as a space, <0xNN> as its byte), owned by the tokenizer. len 0 for
// ids out of range and, with skip_special, for control and unknown tokens.
const char *ql_tokenizer_bytes(const ql_tokenizer *tokenizer, int32_t id, bool skip_special, size_t *len);

// As ql_detokenize of quantllm.h: for the SentencePiece kind, without the space that encoding put in front. An id out
// of range is QL_E_ARGUMENT.
ql_code ql_tokenizer_decode(const ql_tokenizer *tokenizer, const int32_t *ids, size_t n, unsigned flags, ql_buf *out,
                            ql_error *err);

// An end-of-text or end-of-turn token: generation stops there.
bool ql_tokenizer_is_eog(const ql_tokenizer *tokenizer, int32_t id);

// Figures and strings for others.
uint32_t ql_tokenizer_n_vocab(const ql_tokenizer *tokenizer);
const char *ql_tokenizer_bos_str(const ql_tokenizer *tokenizer); // "" when there is none
const char *ql_tokenizer_eos_str(const ql_tokenizer *tokenizer);

#endif
