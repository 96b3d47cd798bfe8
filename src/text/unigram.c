// SPDX-License-Identifier: MIT
// Owns SentencePiece's Unigram model: of all ways to cut a piece into tokens the one with the highest sum of scores
// (Viterbi). Must not know how a text was cut. Its decision: the tokens are a tree in breadth-first order, so that the
// children of a node lie side by side and a step looks at a few neighbouring bytes.
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "text/tokenizer_impl.h"

// ---- the tree ----

typedef struct builder {
    const ql_vocab *vocab;
    int32_t *order;   // [n] ids of tokens that are not empty, by text
    uint32_t n;
    uint32_t *begin, *end, *depth; // [nodes] the tokens below a node, and how much of their texts it stands for
} builder;

static int by_text(const void *a, const void *b, void *user)
{
    const ql_vocab *vocab = user;
    size_t n, m;
    const char *s = ql_vocab_piece(vocab, *(const int32_t *)a, &n);
    const char *t = ql_vocab_piece(vocab, *(const int32_t *)b, &m);
    int order = memcmp(s, t, n < m ? n : m);
    return order ? order : (n > m) - (n < m);
}

static uint32_t length(const builder *b, uint32_t i)
{
    const uint32_t *at = b->vocab->piece_at + b->order[i];
    return at[1] - at[0] - 1;
}

static uint8_t byte_at(const builder *b, uint32_t i, uint32_t depth)
{
    return (uint8_t)b->vocab->pieces[b->vocab->piece_at[b->order[i]] + depth];
}

static void add_children(builder *b, ql_trie *trie, uint32_t node)
{
    uint32_t i = b->begin[node], end = b->end[node], depth = b->depth[node];
    trie->first[node] = trie->n;
    trie->id[node] = QL_NO_ID;
    for (; i < end && length(b, i) == depth; i++) { // the one that the table finds, of equal ones the last
        size_t n;
        const char *text = ql_vocab_piece(b->vocab, b->order[i], &n);
        trie->id[node] = ql_vocab_find(b->vocab, text, n);
    }
    while (i < end) {
        uint32_t child = trie->n++, from = i;
        uint8_t c = byte_at(b, i, depth);
        while (i < end && byte_at(b, i, depth) == c)
            i++;
        trie->label[child] = c;
        b->begin[child] = from;
        b->end[child] = i;
        b->depth[child] = depth + 1;
    }
}

static ql_code build_trie(builder *b, ql_trie *trie, ql_error *err)
{
    size_t nodes = 1;
    for (uint32_t i = 0; i < b->n; i++)
        nodes += length(b, i);
    b->begin = malloc(nodes * sizeof *b->begin);
    b->end = malloc(nodes * sizeof *b->end);
    b->depth = malloc(nodes * sizeof *b->depth);
    trie->first = malloc((nodes + 1) * sizeof *trie->first);
    trie->label = malloc(nodes);
    trie->id = malloc(nodes * sizeof *trie->id);
    if (nodes > INT32_MAX || !b->begin || !b->end || !b->depth || !trie->first || !trie->label || !trie->id)
        return ql_fail_memory(err, nodes * 21);
    trie->n = 1;
    trie->label[0] = 0;
    b->begin[0] = b->depth[0] = 0;
    b->end[0] = b->n;
    for (uint32_t node = 0; node < trie->n; node++)
        add_children(b, trie, node);
    trie->first[trie->n] = trie->n;
    return QL_OK;
}

ql_code ql_unigram_build(ql_tokenizer *t, ql_error *err)
{
    builder b = {.vocab = &t->vocab};
    double lowest = 0;
    bool any = false;
    if (!(b.order = malloc((size_t)t->vocab.n * sizeof *b.order)))
        return ql_fail_memory(err, t->vocab.n * sizeof *b.order);
    for (uint32_t id = 0; id < t->vocab.n; id++) {
        if (!ql_vocab_in_model(&t->vocab, (int32_t)id))
            continue;
        lowest = any && lowest < t->scores[id] ? lowest : t->scores[id];
        any = true;
        if (t->vocab.piece_at[id + 1] - t->vocab.piece_at[id] > 1)
            b.order[b.n++] = (int32_t)id;
    }
    t->unk_score = lowest - 10; // as in SentencePiece
    qsort_r(b.order, b.n, sizeof *b.order, by_text, &t->vocab);
    ql_code code = build_trie(&b, &t->trie, err);
    free(b.order);
    free(b.begin);
    free(b.end);
    free(b.depth);
    return code;
}

static uint32_t child(const ql_trie *trie, uint32_t node, uint8_t c)
{
    uint32_t i = trie->first[node], end = trie->first[node + 1];
    while (end - i > 16) { // many children: halve
        uint32_t mid = i + (end - i) / 2;
        if (trie->label[mid] <= c)
            i = mid;
        else
            end = mid;
    }
    while (i < end && trie->label[i] < c)
        i++;
    return i < end && trie->label[i] == c ? i : 0;
}

// ---- the best path ----

typedef struct place { // behind a character
    double score;
    uint32_t from; // where the last token of the best path to here begins; NONE: no path yet
    int32_t id;
} place;

#define NONE UINT32_MAX

static void offer(place *to, double score, size_t from, int32_t id)
{
    if (to->from == NONE || score > to->score)
        *to = (place){score, (uint32_t)from, id};
}

// The tokens that begin at a place. In a run of one character they are the same from place to place, and there may be many
// of them (a vocabulary has one for each number of spaces), so those of the last walk are kept.
enum { MAX_KEPT = 64 };
typedef struct walk {
    const char *text;
    size_t read; // bytes of it that were looked at; 0: can not be used again
    uint32_t n;
    uint32_t len[MAX_KEPT];
    int32_t id[MAX_KEPT];
} walk;

// Offers the tokens that begin at s, which is the text from `at` on; whether one has n bytes.
static bool find_tokens(const ql_tokenizer *t, place *from, size_t at, const char *s, size_t len, size_t n, walk *w)
{
    uint32_t node = 0;
    size_t i = 0;
    bool single = false;
    w->text = s;
    w->n = 0;
    for (; i < len && (node = child(&t->trie, node, (uint8_t)s[i])); i++) {
        int32_t id = t->trie.id[node];
        if (id < 0)
            continue;
        offer(&from[i + 1], t->scores[id] + from->score, at, id);
        single = single || i + 1 == n;
        if (w->n < MAX_KEPT) {
            w->len[w->n] = (uint32_t)i + 1;
            w->id[w->n] = id;
        }
        w->n++;
    }
    w->read = i < len && w->n <= MAX_KEPT ? i + 1 : 0;
    return single;
}

// The same by the last walk.
static bool offer_kept(const ql_tokenizer *t, place *from, size_t at, size_t n, const walk *w)
{
    bool single = false;
    for (uint32_t k = 0; k < w->n; k++) {
        offer(&from[w->len[k]], t->scores[w->id[k]] + from->score, at, w->id[k]);
        single = single || w->len[k] == n;
    }
    return single;
}

static ql_code find_path(const ql_tokenizer *t, place *path, const char *s, size_t len, ql_error *err)
{
    walk w = {0};
    path[0].score = 0;
    for (size_t i = 1; i <= len; i++)
        path[i].from = NONE;
    for (size_t at = 0, n; at < len; at += n) {
        uint32_t cp;
        int used = (uint8_t)s[at] < 0x80 ? 1 : ql_utf8_decode(s + at, len - at, &cp);
        n = used > 0 ? (size_t)used : 1;
        bool kept = w.read && w.read <= len - at && memcmp(s + at, w.text, w.read) == 0;
        if (kept ? offer_kept(t, &path[at], at, n, &w) : find_tokens(t, &path[at], at, s + at, len - at, n, &w))
            continue;
        if (t->model_unk < 0)
            return ql_fail(err, QL_E_ARGUMENT, "the vocabulary has no token for \"%.*s\", and no unknown token",
                           (int)n, s + at);
        offer(&path[at + n], t->unk_score + path[at].score, at, t->model_unk);
    }
    return QL_OK;
}

static ql_code place_memory(ql_coder *c, size_t len, ql_error *err)
{
    if (c->path_cap > len)
        return QL_OK;
    free(c->path);
    c->path_cap = 0;
    if (!(c->path = malloc((len + 1) * sizeof(place))))
        return ql_fail_memory(err, (len + 1) * sizeof(place));
    c->path_cap = len + 1;
    return QL_OK;
}

// Turns the links around: from is then the end of the token that begins at a place.
static void turn(place *path, size_t len)
{
    size_t end = len;
    uint32_t from = path[len].from;
    int32_t id = path[len].id;
    while (end > 0) {
        size_t begin = from;
        int32_t before = path[begin].id;
        from = path[begin].from;
        path[begin].from = (uint32_t)end;
        path[begin].id = id;
        id = before;
        end = begin;
    }
}

ql_code ql_unigram_encode(ql_coder *c, const char *piece, size_t len, ql_error *err)
{
    const ql_tokenizer *t = c->t;
    QL_TRY(place_memory(c, len, err));
    place *path = c->path;
    QL_TRY(find_path(t, path, piece, len, err));
    turn(path, len);
    for (size_t at = 0; at < len;) {
        size_t end = path[at].from;
        if (path[at].id != t->model_unk) {
            QL_TRY(ql_coder_push(c, path[at].id, err));
        } else { // unknown characters in a row are one
            while (end < len && path[end].id == t->model_unk)
                end = path[end].from;
            int32_t id = ql_vocab_find_model(&t->vocab, piece + at, end - at);
            QL_TRY(id >= 0 ? ql_coder_push(c, id, err) : ql_coder_push_unknown(c, piece + at, end - at, err));
        }
        at = end;
    }
    return QL_OK;
}
