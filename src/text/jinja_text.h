// SPDX-License-Identifier: MIT
// Values as text: str(), repr(), json.dumps(), printf-style and str.format() formatting, pprint.
#ifndef QL_TEXT_JINJA_TEXT_H
#define QL_TEXT_JINJA_TEXT_H

#include "text/jinja_value.h"

ql_jstr *ql_j_to_str(ql_jinja *j, ql_jval v); // str(v): never markup
ql_jstr *ql_j_soft_str(ql_jinja *j, ql_jval v); // a string as it is, markup or not; else str(v)
ql_jstr *ql_j_repr(ql_jinja *j, ql_jval v);
void ql_j_put_value(ql_jbuild *b, ql_jval v); // str(v)
void ql_j_put_repr(ql_jbuild *b, ql_jval v);

// The arguments of json.dumps; missing values take its defaults.
typedef struct ql_jjson {
    bool ensure_ascii, sort_keys;
    ql_jval indent;     // int, str or None
    ql_jval separators; // a pair or None
} ql_jjson;
ql_jstr *ql_j_to_json(ql_jinja *j, ql_jval v, const ql_jjson *options);

// markupsafe.escape: markup as it is, everything else as escaped text.
ql_jstr *ql_j_escape_html(ql_jinja *j, ql_jval v);

// fmt % args; named: a mapping of keyword arguments, or missing.
ql_jval ql_j_percent(ql_jinja *j, const ql_jstr *fmt, ql_jval args);
// format(v, spec).
ql_jstr *ql_j_format_spec(ql_jinja *j, ql_jval v, const ql_jstr *spec);

ql_jstr *ql_j_pprint(ql_jinja *j, ql_jval v);

// Sorts items by keys with `<`, stable; reverse keeps equal ones in order too. Both arrays are permuted.
void ql_j_sort(ql_jinja *j, ql_jval *keys, ql_jval *items, size_t n, bool reverse);

#endif
