// SPDX-License-Identifier: MIT
// From token bytes to text that may be shown: complete UTF-8 only (what can not become valid turns into U+FFFD), and
// nothing that is or may still become a stop string.
//
// Let T be all bytes made valid (a U+FFFD for each maximal invalid part). The pieces together are T up to the start of
// the stop string that is completed first, in the order of T; of several completed by the same character the longest,
// which starts first, counts. Without one they are T. So they do not depend on how the bytes were cut into tokens.
// A push releases all of T so far but its longest end that is the beginning of a stop string.
#ifndef QL_TEXT_STREAM_H
#define QL_TEXT_STREAM_H

#include "base/buf.h"

typedef struct ql_stream ql_stream;

// Copies the stop strings: up to 64, of 1 to 1024 bytes of UTF-8.
ql_code ql_stream_new(const ql_string *stops, size_t n_stops, ql_stream **stream, ql_error *err);
void ql_stream_free(ql_stream *stream);

// Takes the bytes of one token; appends what may be shown to *out. *stopped: a stop string was completed, and what came
// before it is in *out; later calls append nothing.
ql_code ql_stream_push(ql_stream *stream, const char *bytes, size_t n, ql_buf *out, bool *stopped, ql_error *err);

// The end of the text: releases what was held back. *stopped as above: a stop string may be completed by U+FFFD.
ql_code ql_stream_finish(ql_stream *stream, ql_buf *out, bool *stopped, ql_error *err);

#endif
