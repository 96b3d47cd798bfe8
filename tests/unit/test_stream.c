// SPDX-License-Identifier: MIT
// Streaming against its definition, done the slow way: sanitize the whole text, cut it at the stop string that is
// completed first, compare with what comes out of every way to cut the bytes.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "base/random.h"
#include "base/utf8.h"
#include "text/stream.h"

static uint64_t counter;
static size_t pick(size_t n) { return (size_t)(ql_mix64(++counter) % n); }

// more: an unfinished character at the end does not count yet.
static void sanitize(const char *bytes, size_t n, bool more, ql_buf *out)
{
    for (size_t i = 0; i < n;) {
        uint32_t cp;
        char utf8[4];
        int used = ql_utf8_decode_partial(bytes + i, n - i, &cp);
        if (used == 0 && more)
            return;
        if (used == 0)
            used = ql_utf8_decode(bytes + i, n - i, &cp);
        ql_buf_append(out, utf8, (size_t)ql_utf8_encode(cp, utf8));
        i += (size_t)(used > 0 ? used : -used);
    }
}

// Cuts text where the definition says; false: no stop string is in it.
static bool cut(ql_buf *text, const ql_string *stops, size_t n_stops)
{
    for (size_t end = 0; end <= text->len; end++) {
        size_t longest = 0;
        for (size_t i = 0; i < n_stops; i++)
            if (stops[i].len <= end && stops[i].len > longest &&
                memcmp(text->data + end - stops[i].len, stops[i].text, stops[i].len) == 0)
                longest = stops[i].len;
        if (longest) {
            text->len = end - longest;
            return true;
        }
    }
    return false;
}

// What has come out of the text so far is its beginning, and holds nothing of a stop string that may be under way; but
// it is all that may come out.
static void check_released(const ql_buf *out, const ql_buf *all, const ql_string *stops, size_t n_stops)
{
    size_t wait = 0;
    for (size_t i = 0; i < n_stops; i++)
        for (size_t k = 1; k < stops[i].len && k <= all->len; k++)
            if (k > wait && memcmp(all->data + all->len - k, stops[i].text, k) == 0)
                wait = k;
    assert_int_equal(out->len, all->len - wait);
    assert_memory_equal(out->data ? out->data : "", all->data ? all->data : "", out->len);
}

static void run(const char *bytes, size_t n, const ql_string *stops, size_t n_stops, bool whole)
{
    ql_stream *stream;
    ql_buf out = {0}, expected = {0};
    bool stopped = false, expected_stop;
    assert_int_equal(ql_stream_new(stops, n_stops, &stream, NULL), QL_OK);
    sanitize(bytes, n, false, &expected);
    expected_stop = cut(&expected, stops, n_stops);
    for (size_t at = 0; at < n;) {
        size_t len = whole ? n : pick(4);
        if (len > n - at)
            len = n - at;
        assert_int_equal(ql_stream_push(stream, bytes + at, len, &out, &stopped, NULL), QL_OK);
        at += len;
        ql_buf seen = {0};
        sanitize(bytes, at, true, &seen);
        if (!stopped)
            check_released(&out, &seen, stops, n_stops);
        ql_buf_free(&seen);
    }
    assert_int_equal(ql_stream_finish(stream, &out, &stopped, NULL), QL_OK);
    assert_int_equal(stopped, expected_stop);
    assert_int_equal(out.len, expected.len);
    assert_memory_equal(out.data ? out.data : "", expected.data ? expected.data : "", out.len);
    assert_int_equal(ql_stream_push(stream, "more", stopped ? 4 : 0, &out, &stopped, NULL), QL_OK);
    assert_int_equal(out.len, expected.len);
    ql_stream_free(stream);
    ql_buf_free(&out);
    ql_buf_free(&expected);
}

static void random_texts_agree_with_the_definition(void **state)
{
    (void)state;
    // Bytes of a small alphabet, so that stop strings overlap and characters break.
    static const char *const alphabets[] = {"ab", "aab", "abc", "\xe2\x82\xac" "a", "a\xf0\x9f\x98\x80",
                                            "\xef\xbf\xbd\xff" "a"};
    for (int round = 0; round < 60000; round++) {
        const char *alphabet = alphabets[pick(6)];
        size_t n_alphabet = strlen(alphabet), n_stops = pick(5), n = pick(40);
        char bytes[64], texts[5][32];
        ql_string stops[5];
        for (size_t i = 0; i < n_stops; i++) {
            ql_buf valid = {0};
            size_t len = 1 + pick(6);
            for (size_t k = 0; k < len; k++)
                bytes[k] = alphabet[pick(n_alphabet)];
            if (pick(2)) { // a whole character or two instead
                memcpy(bytes, alphabet, n_alphabet);
                len = n_alphabet;
            }
            sanitize(bytes, len, false, &valid);
            memcpy(texts[i], valid.data, valid.len);
            stops[i] = (ql_string){texts[i], valid.len};
            ql_buf_free(&valid);
        }
        for (size_t i = 0; i < n;) {
            size_t k = pick(3) ? 1 : n_alphabet;
            const char *from = k == 1 ? alphabet + pick(n_alphabet) : alphabet;
            for (size_t j = 0; j < k && i < n; j++)
                bytes[i++] = from[j];
        }
        run(bytes, n, stops, n_stops, pick(5) == 0);
    }
}

static void expect(const char *bytes, const char *stop, const char *expected, bool expected_stop)
{
    ql_string list = {stop, strlen(stop)};
    ql_stream *stream;
    ql_buf out = {0};
    bool stopped;
    assert_int_equal(ql_stream_new(&list, 1, &stream, NULL), QL_OK);
    for (const char *c = bytes; *c; c++)
        assert_int_equal(ql_stream_push(stream, c, 1, &out, &stopped, NULL), QL_OK);
    assert_int_equal(ql_stream_finish(stream, &out, &stopped, NULL), QL_OK);
    assert_int_equal(stopped, expected_stop);
    assert_string_equal(out.data ? out.data : "", expected);
    ql_stream_free(stream);
    ql_buf_free(&out);
}

static void stop_strings_are_cut(void **state)
{
    (void)state;
    expect("STOP here", "STOP", "", true);
    expect("here STOP", "STOP", "here ", true);
    expect("here STO", "STOP", "here STO", false);
    expect("STSTOPP", "STOP", "ST", true);
    expect("aaab", "aab", "a", true);
    expect("abababc", "ababc", "ab", true);
    expect("x\xe2\x82\xacy", "\xe2\x82\xac", "x", true);
    expect("x\xe2\x82", "\xef\xbf\xbd", "x", true); // completed by the end
    expect("x\xe2\x82", "y", "x\xef\xbf\xbd", false);
    expect("", "x", "", false);
}

static void what_is_shown_does_not_wait_without_need(void **state)
{
    (void)state;
    ql_string list = {"\n\nUser", 6};
    ql_stream *stream;
    ql_buf out = {0};
    bool stopped;
    assert_int_equal(ql_stream_new(&list, 1, &stream, NULL), QL_OK);
    static const struct {
        const char *push, *shown;
    } steps[] = {{"Hello", "Hello"}, {"\n", "Hello"}, {"\n", "Hello"}, {"U", "Hello"}, {"x", "Hello\n\nUx"},
                 {"\n\n\n", "Hello\n\nUx\n"}, {"\xf0\x9f", "Hello\n\nUx\n"},
                 {"\x98\x80", "Hello\n\nUx\n\n\n\xf0\x9f\x98\x80"}, {"\n\nUser!", "Hello\n\nUx\n\n\n\xf0\x9f\x98\x80"}};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        assert_int_equal(ql_stream_push(stream, steps[i].push, strlen(steps[i].push), &out, &stopped, NULL), QL_OK);
        assert_string_equal(out.data, steps[i].shown);
        assert_int_equal(stopped, i == 8);
    }
    ql_stream_free(stream);
    ql_buf_free(&out);
}

static void limits_are_told(void **state)
{
    (void)state;
    char text[1025];
    memset(text, 'a', sizeof text);
    ql_string list[65];
    for (int i = 0; i < 65; i++)
        list[i] = (ql_string){text, 1024};
    ql_stream *stream;
    ql_error err = {0};
    assert_int_equal(ql_stream_new(list, 65, &stream, &err), QL_E_ARGUMENT);
    assert_string_equal(err.message, "stop_strings has 65 strings, at most 64 are allowed");
    list[3].len = 1025;
    assert_int_equal(ql_stream_new(list, 64, &stream, &err), QL_E_ARGUMENT);
    assert_string_equal(err.message, "stop_strings[3] must have 1 to 1024 bytes, has 1025");
    list[3].len = 0;
    assert_int_equal(ql_stream_new(list, 64, &stream, &err), QL_E_ARGUMENT);
    list[3] = (ql_string){"a\xff", 2};
    assert_int_equal(ql_stream_new(list, 64, &stream, &err), QL_E_ARGUMENT);
    assert_string_equal(err.message, "stop_strings[3] is not UTF-8 at byte 1");
    list[3] = (ql_string){text, 1024};
    assert_int_equal(ql_stream_new(list, 64, &stream, &err), QL_OK);
    ql_buf out = {0};
    bool stopped;
    assert_int_equal(ql_stream_push(stream, text, 1023, &out, &stopped, &err), QL_OK);
    assert_false(stopped);
    assert_int_equal(out.len, 0);
    assert_int_equal(ql_stream_push(stream, text, 1, &out, &stopped, &err), QL_OK);
    assert_true(stopped);
    assert_int_equal(out.len, 0);
    ql_stream_free(stream);
    ql_stream_free(NULL);
    ql_buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_texts_agree_with_the_definition),
        cmocka_unit_test(stop_strings_are_cut),
        cmocka_unit_test(what_is_shown_does_not_wait_without_need),
        cmocka_unit_test(limits_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
