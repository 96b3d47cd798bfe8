// SPDX-License-Identifier: MIT
// Numbers as text, whatever locale the program that we live in has set.
#ifndef QL_BASE_NUMBER_H
#define QL_BASE_NUMBER_H

// strtod() of the C locale.
double ql_to_double(const char *text, char **end);

#endif
