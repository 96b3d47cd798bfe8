// SPDX-License-Identifier: MIT
// Owns the global functions: range, dict, namespace, cycler, joiner, raise_exception, strftime_now.
#include <time.h>

#include "text/jinja_eval.h"
#include "text/jinja_filter.h"
#include "text/jinja_text.h"

enum { MAX_TIME_FORMAT = 1000 };

static ql_jval call_range(ql_jinja *j, const ql_jargs *args)
{
    int64_t v[3];
    if (args->n_named)
        ql_j_raise(j, "range() takes no keyword arguments");
    if (args->n < 1 || args->n > 3)
        ql_j_raise(j, "range expected 1 to 3 arguments, got %zu", args->n);
    for (size_t i = 0; i < args->n; i++) {
        ql_j_want(j, args->pos[i]);
        if (!ql_j_as_index(args->pos[i], &v[i]))
            ql_j_raise(j, "'%s' object cannot be interpreted as an integer", ql_j_type_name(args->pos[i]));
    }
    ql_jrange r = {.start = args->n > 1 ? v[0] : 0, .stop = args->n > 1 ? v[1] : v[0], .step = args->n > 2 ? v[2] : 1};
    if (r.step == 0)
        ql_j_raise(j, "range() arg 3 must not be zero");
    __int128 distance = r.step > 0 ? (__int128)r.stop - r.start : (__int128)r.start - r.stop;
    __int128 stride = r.step > 0 ? r.step : -(__int128)r.step;
    __int128 len = distance <= 0 ? 0 : (distance - 1) / stride + 1;
    if (len > QL_J_MAX_RANGE)
        ql_j_range_limit(j);
    r.len = (int64_t)len;
    ql_jrange *range = QL_J_NEW(j, ql_jrange);
    *range = r;
    return (ql_jval){.type = QL_J_RANGE, .u.range = range};
}

static void add_pairs(ql_jinja *j, ql_jdict *dict, ql_jval v)
{
    if (v.type == QL_J_DICT) {
        for (size_t i = 0; i < v.u.dict->n; i++)
            ql_j_set(j, dict, v.u.dict->entries[i].key, v.u.dict->entries[i].value);
        return;
    }
    ql_j_want(j, v);
    ql_jval item;
    for (ql_jiter *it = ql_j_iter(j, v); ql_j_next(j, it, &item);) {
        const ql_jlist *pair = ql_j_iterable(item) ? ql_j_to_list(j, item) : NULL;
        if (!pair || pair->n != 2)
            ql_j_raise(j, "an element of the sequence for a dict is not a pair");
        ql_j_set(j, dict, pair->items[0], pair->items[1]);
    }
}

static ql_jdict *make_dict(ql_jinja *j, const ql_jargs *args)
{
    ql_jdict *dict = ql_j_dict(j);
    if (args->n > 1)
        ql_j_raise(j, "dict expected at most 1 argument, got %zu", args->n);
    if (args->n)
        add_pairs(j, dict, args->pos[0]);
    for (size_t i = 0; i < args->n_named; i++)
        ql_j_set(j, dict, ql_j_strv(args->names[i]), args->named[i]);
    return dict;
}

static ql_jval call_dict(ql_jinja *j, const ql_jargs *args) { return ql_j_dictv(make_dict(j, args)); }

static ql_jval call_namespace(ql_jinja *j, const ql_jargs *args)
{
    ql_jdict *dict = make_dict(j, args);
    for (size_t i = 0; i < dict->n; i++)
        ql_j_check_namespace_name(j, dict->entries[i].key);
    return (ql_jval){.type = QL_J_NAMESPACE, .u.dict = dict};
}

static ql_jval call_cycler(ql_jinja *j, const ql_jargs *args)
{
    if (!args->n || args->n_named)
        ql_j_raise(j, "at least one item has to be provided");
    ql_jcycler *cycler = QL_J_NEW(j, ql_jcycler);
    cycler->items = ql_j_list(j, args->n);
    for (size_t i = 0; i < args->n; i++)
        ql_j_push(j, cycler->items, args->pos[i]);
    return (ql_jval){.type = QL_J_CYCLER, .u.cycler = cycler};
}

static ql_jval call_joiner(ql_jinja *j, const ql_jargs *args)
{
    ql_jval a[1];
    ql_j_bind_args(j, "joiner", "sep", 0, args, a);
    ql_jjoiner *joiner = QL_J_NEW(j, ql_jjoiner);
    joiner->separator = QL_J_NEW(j, ql_jval);
    *joiner->separator = a[0].type == QL_J_MISSING ? ql_j_strv(ql_j_cstr(j, ", ")) : a[0];
    return (ql_jval){.type = QL_J_JOINER, .u.joiner = joiner};
}

static ql_jval call_raise_exception(ql_jinja *j, const ql_jargs *args)
{
    ql_jval a[1];
    ql_j_bind_args(j, "raise_exception", "message", 1, args, a);
    const ql_jstr *message = ql_j_to_str(j, a[0]);
    ql_j_raise(j, "%.*s", message->len < 900 ? (int)message->len : 900, message->s);
}

static ql_jval call_lipsum(ql_jinja *j, const ql_jargs *args)
{
    (void)args;
    ql_j_raise(j, "lipsum() is random and not supported in a chat template");
}

// Python's additions to strftime for a time without a zone: %f, and nothing for %z and %Z.
static ql_jstr *expand_format(ql_jinja *j, const ql_jstr *fmt, const struct timespec *at)
{
    ql_jbuild b;
    ql_j_build(j, &b);
    for (size_t i = 0; i < fmt->len; i++) {
        char c = i + 1 < fmt->len && fmt->s[i] == '%' ? fmt->s[i + 1] : 0;
        if (c == 'f')
            ql_j_put_fmt(&b, true, "%06ld", at->tv_nsec / 1000);
        else if (c == 's')
            ql_j_put_fmt(&b, true, "%lld", (long long)at->tv_sec);
        else if (c && c != 'z' && c != 'Z')
            ql_j_put(&b, fmt->s + i, 2, true);
        else if (!c)
            ql_j_put(&b, fmt->s + i, 1, true);
        i += c != 0;
    }
    return ql_j_take(&b);
}

static ql_jval call_strftime_now(ql_jinja *j, const ql_jargs *args)
{
    ql_jval a[1];
    ql_j_bind_args(j, "strftime_now", "format", 1, args, a);
    if (a[0].type != QL_J_STR)
        ql_j_raise(j, "strftime() argument 1 must be str, not %s", ql_j_type_name(a[0]));
    struct timespec now = {.tv_sec = (time_t)j->now};
    struct tm tm;
    if (!j->has_now)
        clock_gettime(CLOCK_REALTIME, &now);
    if (!(j->has_now ? gmtime_r(&now.tv_sec, &tm) : localtime_r(&now.tv_sec, &tm)) || tm.tm_year < 1 - 1900 ||
        tm.tm_year > 9999 - 1900)
        ql_j_raise(j, "the time %lld is outside of the years 1 to 9999", (long long)now.tv_sec);
    const ql_jstr *fmt = a[0].u.s;
    if (fmt->len > MAX_TIME_FORMAT || memchr(fmt->s, 0, fmt->len))
        ql_j_raise(j, "the format of strftime_now() is longer than %d bytes or has a NUL", MAX_TIME_FORMAT);
    fmt = expand_format(j, fmt, &now);
    // A final character tells an empty result from one that does not fit.
    char spec[MAX_TIME_FORMAT * 8 + 2], text[16 << 10];
    if (fmt->len >= sizeof spec - 1)
        ql_j_text_limit(j);
    memcpy(spec, fmt->s, fmt->len);
    memcpy(spec + fmt->len, "$", 2);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    size_t n = strftime(text, sizeof text, spec, &tm);
#pragma GCC diagnostic pop
    if (!n)
        ql_j_text_limit(j);
    return ql_j_strv(ql_j_str(j, text, n - 1, true));
}

const ql_jglobal ql_j_globals[] = {
    {"range", call_range},
    {"dict", call_dict},
    {"namespace", call_namespace},
    {"cycler", call_cycler},
    {"joiner", call_joiner},
    {"lipsum", call_lipsum},
    {"raise_exception", call_raise_exception},
    {"strftime_now", call_strftime_now},
    {0},
};
