// SPDX-License-Identifier: MIT
#include "base/number.h"

#include <locale.h>
#include <stdlib.h>

double ql_to_double(const char *text, char **end)
{
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0); // takes no memory: glibc keeps this one
    if (!c) {
        if (end)
            *end = (char *)text;
        return 0;
    }
    double value = strtod_l(text, end, c);
    freelocale(c);
    return value;
}
