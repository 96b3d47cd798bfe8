// SPDX-License-Identifier: MIT
// Text <-> token ids. The tokenizer is data: pre-tokenizer rules by name, a vocabulary, merges or scores.
#ifndef QL_TEXT_TOKENIZER_H
#define QL_TEXT_TOKENIZER_H

#include "base/buf.h"
#include "format/gguf_write.h"
#include "format/source.h"

// struct ql_tokenizer of quantllm.h is defined in text/; immutable after loading, so threads share it. It copies what
// it needs: the source may be closed.
//
// It does what the `tokenizers` library does with the same tokenizer.json; a GGUF file's keys stand for the publisher's.
// A component, model or rule that is not known is refused by name. These points are owed to GGUF files alone:
//   - "llama" with add_space_prefix puts the space before each part of a text that follows a special token, too.
//   - A byte without a token (SmolLM2 has none for U+0004) becomes the unknown token, unless there is none or it ends
//     the text; then it is left out. A file without a token for a printable ASCII character is refused.
//   - Control, unknown and user-defined tokens are spelled as they are when they are decoded.
// Bytes that are not UTF-8 become their own tokens (or merge with each other, never with the text around them); where
// the vocabulary lacks one of them, a U+FFFD stands for each invalid part. What follows them gets no space in front.
// Characters newer than the library's tables are normalized and cut by Unicode 14.
ql_code ql_tokenizer_load(const ql_source *source, ql_tokenizer **tokenizer, ql_error *err);
void ql_tokenizer_free(ql_tokenizer *tokenizer);

// A tokenizer of a tokenizer.json as bytes, for a cache: appended to *out; QL_E_UNSUPPORTED for one of a GGUF file, which
// loads as fast from it. They are for this machine and version, and must be kept with the identity of the documents.
ql_code ql_tokenizer_store(const ql_tokenizer *tokenizer, ql_buf *out, ql_error *err);
// The same tokenizer again; bytes behind it are allowed. source: whose other documents (tokenizer_config.json and the
// like) are read. What is damaged or of another version is QL_E_FORMAT: then load it from the source.
ql_code ql_tokenizer_load_stored(const ql_source *source, const void *data, size_t size, ql_tokenizer **tokenizer,
                                 ql_error *err);

// Puts a tokenizer of a tokenizer.json as GGUF's keys (tokenizer.ggml.*), with a token for each of n_vocab rows. Where they
// have no form for it, QL_E_UNSUPPORTED says what. What was put must be read again and compared.
ql_code ql_tokenizer_put(const ql_tokenizer *tokenizer, uint32_t n_vocab, ql_gguf_writer *writer, ql_error *err);
// Whether `read`, of such keys, does what tokenizer does; QL_E_UNSUPPORTED with the first part that differs.
ql_code ql_tokenizer_check_same(const ql_tokenizer *tokenizer, const ql_tokenizer *read, ql_error *err);

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

// Appends the ids of text (up to 1 GB) to *ids. flags: QL_ADD_SPECIAL, QL_PARSE_SPECIAL. Added tokens are found from
// the left, of those at one place the longest; special ones (GGUF: control and unknown ones) become text without
// QL_PARSE_SPECIAL.
// origin: NULL, or one byte for each byte of text, 0 where the text may spell special tokens and 1 where it may not
// (what a chat message said): a special token is recognised only where all of its bytes are 0.
// QL_ADD_SPECIAL does not double what it puts in front or behind (BOS, EOS) when the text already spells it.
// QL_E_ARGUMENT: a model without an unknown token met a character it has no token for. QL_E_UNSUPPORTED: a pattern of
// the file passed its match limit.
ql_code ql_tokenizer_encode(const ql_tokenizer *tokenizer, const char *text, size_t len, const uint8_t *origin,
                            unsigned flags, ql_ids *ids, ql_error *err);

// A text that comes token by token. What the pushes and the end give, joined, is what ql_tokenizer_decode gives of all.
// Each push appends complete characters that no later token can change. Ids out of range give nothing.
typedef struct ql_detokenizer ql_detokenizer;
ql_code ql_detokenizer_new(const ql_tokenizer *tokenizer, bool skip_special, ql_detokenizer **detokenizer, ql_error *err);
void ql_detokenizer_free(ql_detokenizer *detokenizer);
// Tokens in front of the text, whose own text is not wanted: what follows is decode(all) less decode(these).
ql_code ql_detokenizer_prime(ql_detokenizer *detokenizer, const int32_t *ids, size_t n, ql_error *err);
ql_code ql_detokenizer_push(ql_detokenizer *detokenizer, int32_t id, ql_buf *out, ql_error *err);
ql_code ql_detokenizer_finish(ql_detokenizer *detokenizer, ql_buf *out, ql_error *err);

// As ql_detokenize of quantllm.h. An id out of range is QL_E_ARGUMENT.
ql_code ql_tokenizer_decode(const ql_tokenizer *tokenizer, const int32_t *ids, size_t n, unsigned flags, ql_buf *out,
                            ql_error *err);

// An end-of-text or end-of-turn token: generation stops there.
bool ql_tokenizer_is_eog(const ql_tokenizer *tokenizer, int32_t id);

// Figures and strings for others.
uint32_t ql_tokenizer_n_vocab(const ql_tokenizer *tokenizer);
const char *ql_tokenizer_bos_str(const ql_tokenizer *tokenizer); // "" when there is none
const char *ql_tokenizer_eos_str(const ql_tokenizer *tokenizer);

#endif
