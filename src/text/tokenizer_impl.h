// SPDX-License-Identifier: MIT
// What the tokenizer's files share: the pipeline that tokenizer.json describes and GGUF's keys stand for.
//
//     text -> added tokens -> normalizer -> added tokens of normalized texts -> pre-tokenizer -> model -> ids
//
// A vocabulary is arrays indexed by id, strings in one blob, and hash tables; everything is copied out of the source
// (or lies in a stored tokenizer, see tokenizer_store.c), so no pointer into a file's text is left.
#ifndef QL_TEXT_TOKENIZER_IMPL_H
#define QL_TEXT_TOKENIZER_IMPL_H

#include <string.h>

#include "text/decode.h"
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
    QL_TOKEN_KIND = 15,
    QL_TOKEN_OUTSIDE = 16, // a flag: the model knows no such token, only a text that spells it gives it
};

#define QL_NO_ID (-1)
#define QL_NO_RANK UINT32_MAX
#define QL_META "\xe2\x96\x81" // U+2581, what SentencePiece stores for a space

typedef struct ql_vocab_slot {
    uint32_t key[2]; // see tokenizer_vocab.c; not one number, which would make a slot 16 bytes
    uint32_t id;     // UINT32_MAX: free
} ql_vocab_slot;

typedef struct ql_vocab {
    uint32_t n;
    uint32_t n_slots;
    uint32_t longest;     // piece, in bytes
    uint8_t *type;        // [n]
    uint32_t *piece_at;   // [n + 1], each piece with a NUL after it
    char *pieces;         // as stored
    ql_vocab_slot *slots; // by piece; empty pieces are not in it
} ql_vocab;

// Pairs of neighbours that merge. The rank is unique to the pair; the lowest merges first.
typedef struct ql_merges {
    uint64_t *slots; // left, right and rank in one number; UINT64_MAX: free
    int32_t *ids;    // [n] what the merge of each rank makes
    uint32_t n_slots, n;
    uint32_t token_bits, rank_bits;
} ql_merges;

// All tokens of a Unigram model as a tree of bytes: the children of node i are nodes first[i] to first[i + 1].
typedef struct ql_trie {
    uint32_t n;      // nodes
    uint32_t *first; // [n + 1]
    uint8_t *label;  // [n]
    int32_t *id;     // [n], QL_NO_ID: no token ends there
} ql_trie;

typedef enum ql_model_kind { QL_MODEL_BPE, QL_MODEL_UNIGRAM, QL_MODEL_WORDPIECE, QL_MODEL_WORDLEVEL } ql_model_kind;

enum { QL_ADDED_LSTRIP = 1, QL_ADDED_RSTRIP = 2, QL_ADDED_SINGLE_WORD = 4, QL_ADDED_SPECIAL = 8 };

typedef struct ql_added_token {
    const char *text; // in the blob
    uint32_t len;
    int32_t id;
    uint8_t flags;
} ql_added_token;

// Tokens that are found in a text before anything else, sorted by their text.
typedef struct ql_added {
    ql_added_token *tokens;
    char *blob;
    uint32_t n;
    uint32_t at[257]; // tokens[at[c]..at[c + 1]) begin with byte c
} ql_added;

enum { QL_JOINS = 1 << 13 }; // bytes: 65536 bits

struct ql_tokenizer {
    ql_vocab vocab;
    ql_normalizer normalizer;
    ql_pretokenizer pre;
    ql_decoder decoder;
    ql_added added[2];     // found in the text as it is; in the normalized text
    ql_added_token *shown; // [n_shown] by id: tokens that are decoded as their normalized texts, which lie in added[1]
    uint32_t n_shown;
    bool verbatim_special; // GGUF: decoding does not look into control, unknown and user-defined tokens
    bool skips_unknown;    // GGUF: the unknown token is a special one

    ql_model_kind model;
    int32_t model_unk;     // QL_NO_ID: none
    bool fuse_unk, byte_fallback;
    bool bytes;            // BPE: pieces are bytes, one symbol each; else characters
    bool ignore_merges;    // BPE: a piece that is a token is that token
    ql_merges merges;
    uint8_t *joins;        // [QL_JOINS] BPE of characters: a bit for each pair of them over which a merge may go; NULL: all
    char *prefix, *suffix; // of a continuation (BPE, WordPiece), of a word's end (BPE); owned, not NULL when a model has them
    size_t prefix_len, suffix_len;
    int32_t byte_id[256];  // the token of a byte, QL_NO_ID if there is none
    int32_t ascii_id[128]; // BPE of characters: the token of one
    ql_trie trie;          // Unigram
    double *scores;        // Unigram: [n]
    double unk_score;
    size_t max_chars;      // WordPiece: a longer word is unknown

    int32_t *before, *after; // what the post-processor adds with QL_ADD_SPECIAL
    uint32_t n_before, n_after;
    int32_t bos, eos, unk, pad; // for others; eot and eom only end texts
    int32_t *eog;            // [n_eog], few
    uint32_t n_eog;
    void *store;             // tables lie in it: not freed one by one
    char *rules;             // JSON: what a stored tokenizer is made of beside its tables; NULL: it can not be stored
    size_t rules_len;
};

// ---- tokenizer_load.c, tokenizer_gguf.c, tokenizer_json.c

ql_tokenizer *ql_tokenizer_new(void); // empty; NULL: out of memory

ql_code ql_tokenizer_load_gguf(const ql_source *source, ql_tokenizer *t, ql_error *err);
ql_code ql_tokenizer_load_json(const ql_source *source, ql_tokenizer *t, ql_error *err);
// Ids that end a text: those given and control tokens known by their names.
ql_code ql_tokenizer_find_eog(ql_tokenizer *t, const int32_t *ids, size_t n, ql_error *err);

// ---- tokenizer_vocab.c

// Up to 8 bytes as a number, zeros behind them. Loads that overlap, since a copy of unknown length would be a call.
enum { QL_SHORT = 7 }; // bytes that a slot holds
static inline uint64_t ql_short_key(const char *s, size_t len)
{
    uint32_t low, high;
    if (len >= 4) {
        memcpy(&low, s, 4);
        memcpy(&high, s + len - 4, 4);
        return low | (uint64_t)high << 8 * (len - 4);
    }
    const uint8_t *u = (const uint8_t *)s;
    return len ? u[0] | (uint64_t)u[len / 2] << 8 * (len / 2) | (uint64_t)u[len - 1] << 8 * (len - 1) : 0;
}

// Whether memcmp() gives 0, without a call: most texts have a few bytes.
static inline bool ql_same_bytes(const char *a, const char *b, size_t n)
{
    uint64_t x, y;
    if (n <= sizeof x)
        return ql_short_key(a, n) == ql_short_key(b, n);
    for (size_t i = 0; i + 8 < n; i += 8) {
        memcpy(&x, a + i, 8);
        memcpy(&y, b + i, 8);
        if (x != y)
            return false;
    }
    memcpy(&x, a + n - 8, 8);
    memcpy(&y, b + n - 8, 8);
    return x == y;
}

// Copies tokens; types is [n] or NULL for all normal. Two tokens of one text: refused as ids of `what`, or the first or
// the last is found.
typedef enum ql_vocab_doubles { QL_VOCAB_UNIQUE, QL_VOCAB_FIRST, QL_VOCAB_LAST } ql_vocab_doubles;
ql_code ql_vocab_init(ql_vocab *vocab, const ql_str *tokens, const uint8_t *types, size_t n, ql_vocab_doubles doubles,
                      const char *what, ql_error *err);
// Memory for a table that is looked at all over, filled with 0xff: in large pages when it is large. NULL: none.
void *ql_table_new(size_t bytes);
void ql_vocab_free(ql_vocab *vocab);
int32_t ql_vocab_find(const ql_vocab *vocab, const char *piece, size_t len); // QL_NO_ID: not there
int32_t ql_vocab_find_model(const ql_vocab *vocab, const char *piece, size_t len); // tokens that the model knows
// What a slot holds of a piece: up to QL_SHORT bytes and their number, or a hash with the highest bit set.
uint64_t ql_vocab_key(const char *piece, size_t len);
// Finding in three steps, with a hint to the cache in the first two: for lookups that can be known some time before.
typedef struct ql_vocab_probe {
    uint64_t key;
    uint32_t slot;
} ql_vocab_probe;
ql_vocab_probe ql_vocab_prepare(const ql_vocab *vocab, uint64_t key);
void ql_vocab_approach(const ql_vocab *vocab, ql_vocab_probe probe);
int32_t ql_vocab_find_prepared(const ql_vocab *vocab, const char *piece, size_t len, ql_vocab_probe probe);
static inline const char *ql_vocab_piece(const ql_vocab *vocab, int32_t id, size_t *len)
{
    *len = vocab->piece_at[id + 1] - vocab->piece_at[id] - 1;
    return vocab->pieces + vocab->piece_at[id];
}
static inline unsigned ql_vocab_kind(const ql_vocab *vocab, int32_t id) { return vocab->type[id] & QL_TOKEN_KIND; }
static inline bool ql_vocab_in_model(const ql_vocab *vocab, int32_t id) { return !(vocab->type[id] & QL_TOKEN_OUTSIDE); }
int ql_byte_of_piece(const char *piece, size_t len); // <0xNN> in upper case; -1: not that

// ---- bpe.c

ql_code ql_merges_init(ql_merges *merges, uint32_t n_vocab, size_t n, ql_error *err); // room for ranks below n
void ql_merges_put(ql_merges *merges, int32_t left, int32_t right, uint32_t rank, int32_t id);
void ql_merges_prefetch(const ql_merges *merges, int32_t left, int32_t right); // before put or find
uint32_t ql_merges_find(const ql_merges *merges, int32_t left, int32_t right); // the rank; QL_NO_RANK: none
// What merges at each rank, [merges->n]; QL_NO_ID where a pair stands at another rank.
typedef struct ql_merge {
    int32_t left, right;
} ql_merge;
void ql_merges_list(const ql_merges *merges, ql_merge *list);
void ql_merges_free(ql_merges *merges);

// Memory of one word, reused from word to word. A zeroed struct is empty.
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

// ---- models: the ids of one piece, which is not empty

// Memory of one encoding. A zeroed struct is empty.
typedef struct ql_coder {
    const ql_tokenizer *t;
    ql_ids *ids;
    ql_word word;
    ql_buf text;
    void *path; // Unigram
    size_t path_cap;
} ql_coder;
void ql_coder_free(ql_coder *coder);
ql_code ql_coder_push(ql_coder *coder, int32_t id, ql_error *err);
// A piece without tokens: the bytes that spell it or the unknown token. QL_E_ARGUMENT: neither exists.
ql_code ql_coder_push_unknown(ql_coder *coder, const char *piece, size_t len, ql_error *err);

// bpe_model.c. Merges of a source, n in their order: read() gives the i-th, asked for once each, from the first on. longest:
// the most bytes that both parts of one have. strict: all tokens must be of the model, as in tokenizer.json.
typedef ql_code ql_pair_fn(const void *source, size_t i, ql_str *left, ql_str *right, ql_error *err);
ql_code ql_bpe_build(ql_tokenizer *t, ql_pair_fn *read, const void *source, size_t n, size_t longest, bool strict,
                     ql_error *err);
ql_code ql_bpe_encode(ql_coder *coder, const char *piece, size_t len, ql_error *err);
// Fills byte_id and ascii_id from the vocabulary.
void ql_bpe_find_symbols(ql_tokenizer *t);
// A merge of two tokens goes over the place between their characters.
void ql_bpe_note_join(ql_tokenizer *t, int32_t left, int32_t right);

// spm.c: makes the merges that tokenizer.ggml.scores stand for.
ql_code ql_spm_build(ql_tokenizer *t, const ql_num_array *scores, ql_error *err);

// unigram.c: scores is in t already.
ql_code ql_unigram_build(ql_tokenizer *t, ql_error *err);
ql_code ql_unigram_encode(ql_coder *coder, const char *piece, size_t len, ql_error *err);

// wordpiece.c
ql_code ql_wordpiece_encode(ql_coder *coder, const char *piece, size_t len, ql_error *err);
ql_code ql_wordlevel_encode(ql_coder *coder, const char *piece, size_t len, ql_error *err);

// Added tokens of both kinds, one behind the other.
static inline uint32_t ql_n_added(const ql_tokenizer *t) { return t->added[0].n + t->added[1].n; }
static inline const ql_added_token *ql_added_at(const ql_tokenizer *t, uint32_t i)
{
    return i < t->added[0].n ? &t->added[0].tokens[i] : &t->added[1].tokens[i - t->added[0].n];
}

// ---- tokenizer_added.c

// Takes over tokens and blob; of tokens with one text the first counts.
ql_code ql_added_init(ql_added *added, ql_added_token *tokens, size_t n, char *blob, ql_error *err);
void ql_added_free(ql_added *added);

// Where an added token stands in a text, with the white space that it takes.
typedef struct ql_found {
    size_t begin, end;
    int32_t id;
} ql_found;
// The next one in span from *at on; false: none. Parts up to `from` are taken. flags: QL_PARSE_SPECIAL.
bool ql_added_next(const ql_added *added, const ql_span *span, unsigned flags, size_t *at, size_t from, ql_found *found);

// ---- pre_rules.c: tokenizer.ggml.pre

typedef struct ql_pre_rule {
    const char *names;           // separated by spaces; the first is the rule's own
    const char *const *patterns; // NULL-terminated, in tokenizer.json's language
    bool nfc;                    // texts are normalized first
    bool ignore_merges;
    bool add_bos;                // unless the file says otherwise
    bool characters;             // the model's symbols are characters, bytes fall back
    bool spaces;                 // U+2581 stands for a space
    bool removes_rest;           // only what matches is text
} ql_pre_rule;
const ql_pre_rule *ql_pre_rule_find(const char *name, size_t len); // NULL: no such name
// The i-th rule, NULL after the last.
const ql_pre_rule *ql_pre_rule_at(size_t i);
void ql_pre_rule_names(ql_buf *buf); // appends the rules' own names: "default, gpt-2, ..."

#endif
