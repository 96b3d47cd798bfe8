// SPDX-License-Identifier: MIT
// Owns text on its way out: incomplete characters and possible stop strings wait here. Must not know tokens.
//
// Its decision: each stop string keeps its own Knuth-Morris-Pratt state. What may still become a stop string is then
// the longest of the matched prefixes, and with at most 64 of them a byte costs less than any token.
#include "text/stream.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

enum { MAX_STOPS = 64, MAX_STOP_BYTES = 1024 };

typedef struct stop_string {
    uint32_t len;
    uint32_t matched;                  // the longest prefix of text[] that the output so far ends with
    char text[MAX_STOP_BYTES];
    uint16_t border[MAX_STOP_BYTES];   // [len] of text[0..i], the longest proper prefix that is also its suffix
} stop_string;

struct ql_stream {
    stop_string *stops;
    size_t n_stops;
    char partial[4]; // the beginning of a character
    size_t n_partial;
    ql_buf held;     // ends with what may become a stop string
    bool stopped;
};

static void find_borders(stop_string *stop)
{
    uint32_t k = 0;
    stop->border[0] = 0;
    for (uint32_t i = 1; i < stop->len; i++) {
        while (k > 0 && stop->text[i] != stop->text[k])
            k = stop->border[k - 1];
        k += stop->text[i] == stop->text[k];
        stop->border[i] = (uint16_t)k;
    }
}

static ql_code check_stop(const ql_string *stop, size_t i, ql_error *err)
{
    if (!stop->text || stop->len < 1 || stop->len > MAX_STOP_BYTES)
        return ql_fail(err, QL_E_ARGUMENT, "stop_strings[%zu] must have 1 to %d bytes, has %zu", i, MAX_STOP_BYTES,
                       stop->len);
    for (size_t at = 0; at < stop->len;) {
        uint32_t cp;
        int n = ql_utf8_decode(stop->text + at, stop->len - at, &cp);
        if (n < 0)
            return ql_fail(err, QL_E_ARGUMENT, "stop_strings[%zu] is not UTF-8 at byte %zu", i, at);
        at += (size_t)n;
    }
    return QL_OK;
}

ql_code ql_stream_new(const ql_string *stops, size_t n_stops, ql_stream **out, ql_error *err)
{
    if (n_stops > MAX_STOPS)
        return ql_fail(err, QL_E_ARGUMENT, "stop_strings has %zu strings, at most %d are allowed", n_stops, MAX_STOPS);
    for (size_t i = 0; i < n_stops; i++)
        QL_TRY(check_stop(&stops[i], i, err));
    ql_stream *stream = calloc(1, sizeof *stream);
    stop_string *list = calloc(n_stops ? n_stops : 1, sizeof *list);
    if (!stream || !list) {
        free(stream);
        free(list);
        return ql_fail_memory(err, sizeof *stream + n_stops * sizeof *list);
    }
    for (size_t i = 0; i < n_stops; i++) {
        list[i].len = (uint32_t)stops[i].len;
        memcpy(list[i].text, stops[i].text, stops[i].len);
        find_borders(&list[i]);
    }
    stream->stops = list;
    stream->n_stops = n_stops;
    *out = stream;
    return QL_OK;
}

void ql_stream_free(ql_stream *stream)
{
    if (!stream)
        return;
    free(stream->stops);
    ql_buf_free(&stream->held);
    free(stream);
}

// One more byte of text: the length of the longest stop string that it completes, 0 if none.
static size_t match_byte(ql_stream *stream, char byte)
{
    size_t completed = 0;
    for (size_t i = 0; i < stream->n_stops; i++) {
        stop_string *stop = &stream->stops[i];
        uint32_t k = stop->matched;
        while (k > 0 && stop->text[k] != byte)
            k = stop->border[k - 1];
        k += stop->text[k] == byte;
        stop->matched = k;
        if (k == stop->len && k > completed)
            completed = k;
    }
    return completed;
}

// One whole character.
static void take_char(ql_stream *stream, const char *bytes, size_t n)
{
    ql_buf_append(&stream->held, bytes, n);
    for (size_t i = 0; i < n && !stream->stopped && !stream->held.failed; i++) {
        size_t completed = match_byte(stream, bytes[i]);
        if (completed == 0)
            continue;
        stream->stopped = true; // only at a character's end, as stop strings are UTF-8
        stream->held.len -= completed;
    }
}

static void take_bytes(ql_stream *stream, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n && !stream->stopped; i++) {
        stream->partial[stream->n_partial++] = bytes[i];
        uint32_t cp;
        int used = ql_utf8_decode_partial(stream->partial, stream->n_partial, &cp);
        if (used == 0)
            continue;
        if (used > 0) {
            take_char(stream, stream->partial, (size_t)used);
            stream->n_partial = 0;
            continue;
        }
        // The new byte does not continue what waited; it may begin something itself.
        take_char(stream, "\xef\xbf\xbd", 3);
        if ((size_t)-used < stream->n_partial)
            i--;
        stream->n_partial = 0;
    }
}

static ql_code release(ql_stream *stream, bool all, ql_buf *out, bool *stopped, ql_error *err)
{
    size_t wait = 0;
    for (size_t i = 0; i < stream->n_stops && !all && !stream->stopped; i++)
        if (stream->stops[i].matched > wait)
            wait = stream->stops[i].matched;
    if (!stream->held.failed && stream->held.len > wait) {
        ql_buf_append(out, stream->held.data, stream->held.len - wait);
        ql_buf_consume(&stream->held, stream->held.len - wait);
    }
    *stopped = stream->stopped;
    return stream->held.failed || out->failed ? ql_fail_memory(err, stream->held.cap) : QL_OK;
}

ql_code ql_stream_push(ql_stream *stream, const char *bytes, size_t n, ql_buf *out, bool *stopped, ql_error *err)
{
    take_bytes(stream, bytes, n);
    return release(stream, false, out, stopped, err);
}

ql_code ql_stream_finish(ql_stream *stream, ql_buf *out, bool *stopped, ql_error *err)
{
    if (stream->n_partial > 0 && !stream->stopped)
        take_char(stream, "\xef\xbf\xbd", 3);
    stream->n_partial = 0;
    return release(stream, true, out, stopped, err);
}
