// SPDX-License-Identifier: MIT
// A whole model that was cut or has a wrong bit: each prefix of its first 16 KB and random longer ones are refused; each
// bit of its header is refused or runs. In one line each time, and nothing is left. test_gguf_limits does the same to a
// small file for the parser alone; here what a user does goes on to the vocabulary, the template and the first token.
//
// In ./check a sample with a fixed seed; with QL_LONG all.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/random.h"
#include "format/source.h"
#include "quantllm.h"
#include "unit/tiny.h"

enum { PREFIXES = 16384, LONGER = 2000, SHORT_SAMPLE = 1200, BIT_SAMPLE = 2500, PAIRS = 20000 };

static char path[64];
static uint8_t *model;
static size_t size, header;
static bool whole;

static int set_up(void **state)
{
    (void)state;
    whole = getenv("QL_LONG") != NULL;
    const char *made = tiny_make("--dtype q8_0");
    FILE *file = made ? fopen(made, "rb") : NULL;
    if (!file || fseek(file, 0, SEEK_END) != 0)
        return -1;
    size = (size_t)ftell(file);
    rewind(file);
    model = malloc(size);
    if (!model || fread(model, 1, size, file) != size)
        return -1;
    fclose(file);
    const uint8_t *last = memmem(model, size, "blk.1.ffn_down.weight", 21); // the infos end behind it
    header = last ? (size_t)(last - model) + 64 : 0;
    snprintf(path, sizeof path, "%s/quantllm-damage-%d.gguf", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", (int)getpid());
    setenv("QUANTLLM_CACHE", "off", 1);
    return header ? 0 : -1;
}

static int tear_down(void **state)
{
    free(model);
    unlink(path);
    return tiny_teardown(state);
}

static void put(const void *data, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, n), (ssize_t)n);
    close(fd);
}

// Opens and, when that works, asks for a token. Whether it opened.
static bool use(bool generate)
{
    ql_error err = {0};
    ql_model *opened = ql_model_open(path, &(ql_model_options){.threads = 1, .inspect = !generate, .max_length = generate ? 16 : 0}, &err);
    if (!opened) {
        if (!err.message[0] || strchr(err.message, '\n') || err.code == QL_OK)
            fail_msg("code %d: \"%s\"", (int)err.code, err.message);
        return false;
    }
    ql_session *session = generate ? ql_session_new(opened, &err) : NULL;
    ql_params params = ql_params_default();
    params.max_new_tokens = 1;
    ql_piece piece = {.text = ""};
    ql_code code = session ? ql_generate(session, &(ql_prompt){.text = "hello", .len = 5}, 1, &params, &err) : QL_OK;
    while (session && code == QL_OK && piece.text)
        code = ql_next(session, &piece, &err);
    if (code != QL_OK && (!err.message[0] || strchr(err.message, '\n')))
        fail_msg("code %d: \"%s\"", (int)code, err.message);
    ql_session_free(session);
    ql_model_close(opened);
    return true;
}

static void the_model_itself_runs(void **state)
{
    (void)state;
    put(model, size);
    assert_true(use(true));
}

// The file shrinks, so each length is one call.
static void every_truncation_is_refused(void **state)
{
    (void)state;
    put(model, size);
    size_t n = 0;
    for (uint64_t i = 0; i < LONGER; i++) {
        size_t cut = size - 1 - (size_t)(i * (size - PREFIXES - 1) / LONGER) - ql_mix64(i) % ((size - PREFIXES) / LONGER);
        if (!whole && i % 16)
            continue;
        assert_int_equal(truncate(path, (off_t)cut), 0);
        if (use(false) || use(true))
            fail_msg("%zu of %zu bytes were taken for a model", cut, size);
        n++;
    }
    for (size_t cut = PREFIXES < size ? PREFIXES : size - 1; cut-- > 0;) {
        if (!whole && cut > 256 && ql_mix64(cut) % PREFIXES >= SHORT_SAMPLE)
            continue;
        assert_int_equal(truncate(path, (off_t)cut), 0);
        if (use(false))
            fail_msg("%zu of %zu bytes were taken for a model", cut, size);
        n++;
    }
    print_message("%zu lengths\n", n);
}

static void flip(uint8_t *data, size_t bit) { data[bit / 8] ^= (uint8_t)(1 << bit % 8); }

static void every_bit_of_the_header_may_be_wrong(void **state)
{
    (void)state;
    size_t bits = 8 * header, n = 0, ran = 0;
    for (size_t bit = 0; bit < bits; bit++) {
        if (!whole && ql_mix64(bit) % bits >= BIT_SAMPLE)
            continue;
        flip(model, bit);
        put(model, size);
        ran += use(true);
        flip(model, bit);
        n++;
    }
    print_message("%zu of %zu bits, %zu times it ran\n", n, bits, ran);
    assert_true(ran > 0 && ran < n);
}

static void two_bits_of_it_may_be_wrong(void **state)
{
    (void)state;
    size_t bits = 8 * header;
    for (uint64_t i = 0; i < (whole ? PAIRS : PAIRS / 20); i++) {
        size_t a = ql_mix64(2 * i) % bits, b = ql_mix64(2 * i + 1) % bits;
        flip(model, a);
        flip(model, b);
        put(model, size);
        use(i % 4 == 0);
        flip(model, b);
        flip(model, a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_model_itself_runs),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(every_bit_of_the_header_may_be_wrong),
        cmocka_unit_test(two_bits_of_it_may_be_wrong),
    };
    return cmocka_run_group_tests_name("damage", tests, set_up, tear_down);
}
