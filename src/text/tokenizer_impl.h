// SPDX-License-Identifier: MIT
// What the tokenizer's files share: the loaded vocabulary, the table of merges, the special tokens.
//
// A vocabulary is arrays indexed by id, strings in one blob each, and two hash tables; everything is copied out of the
// source, which costs 1-2 ms and a few MB for 150,000 tokens and leaves no pointer into a file.
#ifndef QL_TEXT_TOKENIZER_IMPL_H
#define QL_TEXT_TOKENIZER_IMPL_H

#include "text/pretokenize.h"
#include "text/tokenizer.h"

// tokenizer.ggml.token_type
enum {
    QL_TOKEN_NORMAL = 1,
    QL_TOKEN_UNKNOWN = 2,
    QL_TOKEN_CONTROL = 3,
    QL_TOKEN_USER_DEFINED = 4,
    QL_TOKEN_UNUSED = 5,
    QL_TOKEN_BYTE = 6,
};

#define QL_NO_ID (-1)
#define QL_NO_RANK UINT32_MAX

typedef struct ql_vocab_slot {
    uint32_t hash;
    uint32_t id; // UINT32_MAX: free
} ql_vocab_slot;

typedef struct ql_vocab {
    uint32_t n;
    uint32_t mask;        // slots - 1
    uint32_t longest;     // piece, in bytes
    uint8_t *type;        // [n]
    uint32_t *piece_at;   // [n + 1], each piece with a NUL after it
    uint32_t *bytes_at;   // [n + 1]
    char *pieces;         // as stored
    char *bytes;          // what a token stands for in a text
    ql_vocab_slot *slots; // by piece; empty pieces are not in it
} ql_vocab;

// One pair of neighbours that merges. The rank is unique to the pair; the lowest merges first.
typedef struct ql_merge {
    int32_t left, right; // left QL_NO_ID: free
    uint32_t rank;
    int32_t id;
} ql_merge;

typedef struct ql_merges {
    ql_merge *slots;
    uint32_t mask;
    uint32_t n_ranks; // all ranks are below
} ql_merges;

struct ql_tokenizer {
    ql_vocab vocab;
    ql_merges merges;
    bool is_spm;           // "llama": characters with byte fallback; else "gpt2": bytes
    bool ignore_merges;    // a piece that is in the vocabulary is that token
    bool add_bos, add_eos;
    bool add_space_prefix; // SPM
    bool cut_at_spaces;    // SPM: no token has a space after something else, so each word merges alone
    int32_t bos, eos, eot, eom, unk, pad;
    int32_t byte_id[256];  // the token of a byte, QL_NO_ID if there is none
    int32_t ascii_id[128]; // SPM: the token of a character
    ql_pretokenizer *pre;  // BPE
    int32_t *special;      // [n_special] control, unknown and user-defined tokens, sorted by their bytes
    uint32_t n_special;
    uint32_t special_at[257]; // special[special_at[c]..special_at[c + 1]) begin with byte c
    int32_t *eog;          // [n_eog], few
    uint32_t n_eog;
};

// ---- tokenizer_hf.c

ql_code ql_tokenizer_load_hf(const ql_source *source, ql_tokenizer **tokenizer, ql_error *err);

// ---- tokenizer_vocab.c

// Copies tokens and types; refuses duplicates and sizes that do not fit.
ql_code ql_vocab_init(ql_vocab *vocab, const ql_str_array *tokens, const ql_num_array *types, const char *path,
                      ql_error *err);
// Fills bytes_at and bytes: byte-level decoded, or for SPM "▁" as a space and <0xNN> as its byte.
ql_code ql_vocab_decode(ql_vocab *vocab, bool is_spm, const char *path, ql_error *err);
void ql_vocab_free(ql_vocab *vocab);
int32_t ql_vocab_find(const ql_vocab *vocab, const char *piece, size_t len); // QL_NO_ID: not there
// The same in two steps, with a hint to the cache in the first: for lookups that can be known some time before.
uint32_t ql_vocab_prepare(const ql_vocab *vocab, const char *piece, size_t len);
int32_t ql_vocab_find_prepared(const ql_vocab *vocab, const char *piece, size_t len, uint32_t prepared);
const char *ql_vocab_piece(const ql_vocab *vocab, int32_t id, size_t *len);
// A token that merging may make out of plain text: control and unknown tokens never are.
bool ql_vocab_is_text(const ql_vocab *vocab, int32_t id);
// The character (up to 2 bytes of UTF-8) that byte-level vocabularies write for a byte; returns its length.
size_t ql_byte_char(uint8_t byte, char out[2]);

// ---- bpe.c

ql_code ql_merges_init(ql_merges *merges, size_t n, ql_error *err); // room for n
void ql_merges_free(ql_merges *merges);
void ql_merges_put(ql_merges *merges, int32_t left, int32_t right, uint32_t rank, int32_t id);
const ql_merge *ql_merges_find(const ql_merges *merges, int32_t left, int32_t right); // NULL: none

// Reads tokenizer.ggml.merges.
ql_code ql_bpe_load(ql_tokenizer *t, const ql_source *source, ql_error *err);

// Memory of one encoding, reused from word to word. A zeroed struct is empty.
typedef struct ql_word {
    int32_t *ids; // [n, cap] the word's symbols
    size_t n, cap;
    void *long_memory; // of words too long for the simple way: see bpe.c
    size_t long_cap;
    void *lists;
} ql_word;
bool ql_word_push(ql_word *word, int32_t id); // false: out of memory
void ql_word_free(ql_word *word);

// Merges the word's symbols in place: always the pair of lowest rank, of equal ones the leftmost.
ql_code ql_bpe_merge(const ql_merges *merges, ql_word *word, ql_error *err);

// ---- spm.c

// Makes the merges that the scores stand for.
ql_code ql_spm_load(ql_tokenizer *t, const ql_source *source, ql_error *err);
// Appends the ids of one fragment of text, merged.
ql_code ql_spm_encode(const ql_tokenizer *t, ql_word *word, const char *text, size_t len, ql_ids *ids, ql_error *err);

// ---- tokenizer_special.c

ql_code ql_special_init(ql_tokenizer *t, ql_error *err);
// The longest special token at text[0..len) that flags and origin (may be NULL) allow; QL_NO_ID: none.
int32_t ql_special_match(const ql_tokenizer *t, const char *text, size_t len, const uint8_t *origin, unsigned flags,
                         size_t *matched);

#endif
