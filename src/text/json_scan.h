// SPDX-License-Identifier: MIT
// Reading JSON (RFC 8259) in one pass, for files whose objects have 150,000 members: a cursor that the caller moves,
// strings that point into the text, no tree. As strict as jansson, which reads the small parts; NUL in keys is allowed.
#ifndef QL_TEXT_JSON_SCAN_H
#define QL_TEXT_JSON_SCAN_H

#include "format/source.h"

typedef struct ql_scan {
    const char *text, *at, *end;
    char *decoded;     // strings with escapes; one block, as large as the text, of which only what is used is touched
    size_t n_decoded;
    ql_error *err;
    int depth;
} ql_scan;

// text must outlive the strings. QL_E_FORMAT with line and column for everything that is wrong.
ql_code ql_scan_begin(ql_scan *scan, const char *text, size_t len, ql_error *err); // checks that it is UTF-8
void ql_scan_free(ql_scan *scan); // and the strings
ql_code ql_scan_finish(ql_scan *scan); // nothing but white space is left

// The first character of the next value: { [ " t f n - or a digit; 0 at the end.
char ql_scan_peek(ql_scan *scan);

// Goes into an object or array; ql_scan_next says whether there is another member, and leaves the cursor at its key or
// value; it leaves the object or array behind when there is none. first: the first call.
ql_code ql_scan_open(ql_scan *scan, char bracket);
ql_code ql_scan_next(ql_scan *scan, char bracket, bool first, bool *more);
ql_code ql_scan_key(ql_scan *scan, ql_str *key); // and the colon
ql_code ql_scan_string(ql_scan *scan, ql_str *string);
ql_code ql_scan_integer(ql_scan *scan, uint64_t max, uint64_t *value); // 0 to max
ql_code ql_scan_number(ql_scan *scan, double *value);
// Any value, checked; *span is its text.
ql_code ql_scan_value(ql_scan *scan, ql_str *span);
// QL_E_FORMAT: line and column of the cursor, and what.
ql_code ql_scan_fail(const ql_scan *scan, const char *what);

#endif
