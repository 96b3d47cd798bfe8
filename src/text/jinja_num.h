// SPDX-License-Identifier: MIT
// Numbers as in Python, with ints of 64 bits: what does not fit is an error, never a wrong number.
#ifndef QL_TEXT_JINJA_NUM_H
#define QL_TEXT_JINJA_NUM_H

#include "text/jinja_value.h"

typedef enum { QL_J_ADD, QL_J_SUB, QL_J_MUL, QL_J_DIV, QL_J_FLOORDIV, QL_J_MOD, QL_J_POW } ql_jop;

// Both are numbers.
ql_jval ql_j_arith(ql_jinja *j, ql_jop op, ql_jval a, ql_jval b);
ql_jval ql_j_round(ql_jinja *j, ql_jval v, int64_t digits);
ql_jval ql_j_float_to_int(ql_jinja *j, double f); // toward zero; raises for inf, nan and 64 bits

// int(text, base) and float(text); false: not a number.
bool ql_j_parse_int(ql_jinja *j, const ql_jstr *s, int64_t base, int64_t *out);
bool ql_j_parse_float(ql_jinja *j, const ql_jstr *s, double *out);

// A plain decimal integer: '-' or none, and digits.
ql_jval ql_j_int_of_digits(ql_jinja *j, const char *digits, size_t n, bool input);

// repr(float) into out.
enum { QL_J_FLOAT_TEXT = 32 };
void ql_j_float_repr(double f, char out[QL_J_FLOAT_TEXT]);

#endif
