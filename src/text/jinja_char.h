// SPDX-License-Identifier: MIT
// Characters as Python's str methods see them (Unicode 14 tables of libunistring), and case mappings of strings.
#ifndef QL_TEXT_JINJA_CHAR_H
#define QL_TEXT_JINJA_CHAR_H

#include "text/jinja_str.h"

bool ql_j_is_space(uint32_t c);
bool ql_j_is_alpha(uint32_t c);
bool ql_j_is_decimal(uint32_t c);
bool ql_j_is_digit(uint32_t c);
bool ql_j_is_numeric(uint32_t c);
bool ql_j_is_alnum(uint32_t c);
bool ql_j_is_word(uint32_t c); // \w
bool ql_j_is_upper(uint32_t c);
bool ql_j_is_lower(uint32_t c);
bool ql_j_is_title(uint32_t c);
bool ql_j_is_printable(uint32_t c);
bool ql_j_is_id_start(uint32_t c);
bool ql_j_is_id_continue(uint32_t c);
int ql_j_decimal_value(uint32_t c); // 0-9, or -1
bool ql_j_is_line_break(uint32_t c); // str.splitlines(); "\r\n" is one

typedef enum { QL_J_UPPER, QL_J_LOWER, QL_J_TITLE, QL_J_CAPITAL, QL_J_SWAP, QL_J_FOLD } ql_jcase;
ql_jstr *ql_j_recase(ql_jinja *j, const ql_jstr *s, ql_jcase how);
// Puts characters [from, to) of s in one case.
void ql_j_put_case(ql_jbuild *b, const ql_jstr *s, size_t from, size_t to, ql_jcase how);

// islower() and isupper(): some cased character, none of the other case. istitle().
bool ql_j_all_lower(const ql_jstr *s);
bool ql_j_all_upper(const ql_jstr *s);
bool ql_j_all_title(const ql_jstr *s);
// Every character satisfies is, and there is one.
bool ql_j_all(const ql_jstr *s, bool (*is)(uint32_t c));

#endif
