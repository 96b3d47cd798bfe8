// SPDX-License-Identifier: MIT
// Text work of single filters: wordwrap (Python's textwrap) and striptags (markupsafe).
#ifndef QL_TEXT_JINJA_WRAP_H
#define QL_TEXT_JINJA_WRAP_H

#include "text/jinja_value.h"

typedef struct ql_jwrap {
    int64_t width;
    bool break_words, break_hyphens;
} ql_jwrap;

ql_jlist *ql_j_wrap(ql_jinja *j, const ql_jstr *s, const ql_jwrap *wrap);
ql_jstr *ql_j_strip_tags(ql_jinja *j, const ql_jstr *s);

#endif
