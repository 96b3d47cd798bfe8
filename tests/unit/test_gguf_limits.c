// SPDX-License-Identifier: MIT
// What broken and hostile GGUF files may cost: no crash, no leak, heap of at most 4 times the file and 1 MB, and time
// that does not grow with the square. The linker sends the parser's allocations here (see meson.build).
#include "unit/gguf_writer.h"

#include <malloc.h>
#include <time.h>

#include "unit/gguf_walk.h"

// ---- the heap, watched ----

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void __real_free(void *p);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void __wrap_free(void *p);

static struct { bool on; size_t now, peak, calls, fail_at; } heap; // fail_at counts from 1, 0: never

static void *watch(void *p)
{
    if (p && heap.on) {
        heap.now += malloc_usable_size(p);
        heap.peak = heap.now > heap.peak ? heap.now : heap.peak;
    }
    return p;
}

static bool refuse(void) { return heap.on && ++heap.calls == heap.fail_at; }

void *__wrap_malloc(size_t n) { return refuse() ? NULL : watch(__real_malloc(n)); }
void *__wrap_calloc(size_t n, size_t size) { return refuse() ? NULL : watch(__real_calloc(n, size)); }

// Of remarks alone: never refused here, and what was at p is counted no more.
void *__wrap_realloc(void *p, size_t n)
{
    size_t before = p && heap.on ? malloc_usable_size(p) : 0;
    void *q = __real_realloc(p, n);
    heap.now -= q ? before : 0;
    return watch(q);
}

void __wrap_free(void *p)
{
    if (p && heap.on)
        heap.now -= malloc_usable_size(p);
    __real_free(p);
}

// Parses, reads all that is accepted, and holds the heap against the promise.
static ql_code parse(const void *data, size_t size, size_t fail_at, ql_error *err)
{
    ql_source source = {0};
    heap.now = heap.peak = heap.calls = 0;
    heap.fail_at = fail_at;
    heap.on = true;
    ql_code code = ql_gguf_parse(data, size, "f.gguf", &source, err);
    heap.fail_at = 0;
    if (code == QL_OK)
        gguf_walk(&source);
    ql_gguf_clear(&source);
    heap.on = false;
    assert_int_equal(heap.now, 0);
    size_t sorting = 65536 * sizeof(uint32_t); // inside the C library, not seen here
    assert_in_range(heap.peak + sorting, 0, 4 * size + (1 << 20));
    return code;
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// ---- small damage ----

static ql_buf small(void)
{
    gguf_writer w = gguf_new();
    gguf_kv_str(&w, "general.architecture", "llama");
    gguf_kv_u32(&w, "general.alignment", 32);
    gguf_kv(&w, "a.bool", QL_GGUF_BOOL, "\1");
    gguf_kv(&w, "a.u64", QL_GGUF_U64, "\1\2\3\4\5\6\7\10");
    gguf_kv_strs(&w, "a.strings", (const char *[]){"one", "", "three"}, 3);
    gguf_kv_array(&w, "a.numbers", QL_GGUF_I32, 3);
    ql_buf_append(&w.kvs, (int32_t[]){1, 2, 3}, 12);
    gguf_tensor(&w, "z", QL_Q4_0, 2, (uint64_t[]){32, 2}, NULL);
    gguf_tensor(&w, "a", QL_F32, 1, (uint64_t[]){3}, NULL);
    w.data.len -= 20; // the padding: the file ends with the last tensor
    return gguf_finish(&w);
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    ql_buf b = small();
    for (size_t n = 0; n <= b.len; n++) {
        ql_error err = {0};
        uint8_t *copy = malloc(n + 1); // exactly its bytes, so that a sanitizer sees a read behind the end
        memcpy(copy + 1, b.data, n);
        ql_code code = parse(copy + 1, n, 0, &err);
        if ((code == QL_OK) != (n == b.len))
            fail_msg("%zu of %zu bytes: %s", n, b.len, err.message);
        if (code != QL_OK)
            assert_true(strncmp(err.message, "f.gguf: ", 8) == 0 && !strchr(err.message, '\n'));
        free(copy);
    }
    ql_buf_free(&b);
}

static void every_flipped_bit_is_survived(void **state)
{
    (void)state;
    ql_buf b = small();
    size_t refused = 0;
    double start = seconds();
    for (size_t bit = 0; bit < 8 * b.len; bit++) {
        ql_error err = {0};
        b.data[bit / 8] ^= (char)(1 << bit % 8);
        ql_code code = parse(b.data, b.len, 0, &err);
        refused += code != QL_OK;
        assert_true(code == QL_OK || strncmp(err.message, "f.gguf: ", 8) == 0);
        b.data[bit / 8] ^= (char)(1 << bit % 8);
    }
    assert_in_range(refused, 1000, 8 * b.len);
    assert_true(seconds() - start < 10);
    ql_buf_free(&b);
}

// Pairs of bytes set to what is likely to hurt.
static void random_damage_is_survived(void **state)
{
    (void)state;
    static const uint8_t hurtful[] = {0x00, 0x01, 0x7f, 0x80, 0xff, 0x09, 0x08};
    ql_buf b = small();
    uint8_t *copy = malloc(b.len);
    uint64_t random = 1;
    for (int round = 0; round < 20000; round++) {
        memcpy(copy, b.data, b.len);
        for (int i = 0; i < 1 + round % 4; i++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            copy[(random >> 33) % b.len] = hurtful[(random >> 24) % sizeof hurtful];
        }
        parse(copy, b.len, 0, NULL);
    }
    free(copy);
    ql_buf_free(&b);
}

static void each_failing_allocation_is_told(void **state)
{
    (void)state;
    ql_buf b = small();
    size_t n = 1;
    for (;; n++) {
        ql_error err = {0};
        ql_code code = parse(b.data, b.len, n, &err);
        if (code == QL_OK)
            break;
        assert_int_equal(code, QL_E_MEMORY);
        assert_int_equal(err.code, QL_E_MEMORY);
        assert_non_null(strstr(err.message, "out of memory"));
    }
    assert_in_range(n, 6, 20);
    ql_buf_free(&b);
}

// ---- many entries ----

static void check_cost(gguf_writer *w, const char *message)
{
    ql_error err = {0};
    ql_buf b = gguf_finish(w);
    double start = seconds();
    ql_code code = parse(b.data, b.len, 0, &err);
    assert_true(seconds() - start < 3); // a tenth of it without a sanitizer
    if (message)
        assert_string_equal(err.message, message);
    else if (code != QL_OK)
        fail_msg("%s", err.message);
    ql_buf_free(&b);
}

static void many_small_entries(void **state)
{
    (void)state;
    char name[80];
    gguf_writer w = gguf_new();
    for (uint32_t i = 0; i < 65536; i++) { // as small as keys that differ can be
        snprintf(name, sizeof name, "%x", (i * 40503) & 65535);
        gguf_kv(&w, name, QL_GGUF_U8, "");
    }
    check_cost(&w, NULL);
    w = gguf_new();
    for (uint32_t i = 0; i < 65536; i++) {
        snprintf(name, sizeof name, "%x", (i * 40503) & 65535);
        gguf_info(&w, name, 1, (uint64_t[]){0}, QL_F32, 0);
    }
    check_cost(&w, NULL);
    w = gguf_new();
    for (uint32_t i = 0; i < 65536; i++) {
        snprintf(name, sizeof name, "%064x", i);
        gguf_info(&w, name, 1, (uint64_t[]){0}, QL_F32, 0);
    }
    check_cost(&w, NULL);
    w = gguf_new();
    gguf_kv_array(&w, "a", QL_GGUF_STR, 1000000);
    memset(ql_buf_reserve(&w.kvs, 8000000), 0, 8000000); // empty strings
    w.kvs.len += 8000000;
    check_cost(&w, NULL);
    w = gguf_new();
    for (uint32_t i = 0; i < 65536; i++)
        gguf_kv(&w, "same.key", QL_GGUF_U8, "");
    check_cost(&w, "f.gguf: kv same.key appears twice (0, 1)");
}

static void counts_that_are_not_there(void **state)
{
    (void)state;
    // As many as the bytes could hold, and none of it.
    static const struct { uint64_t n_kvs, n_tensors; const char *message; } cases[] = {
        {65536, 0, "f.gguf: kv 0: key length 17216961135462248174 > 65535"},
        {0, 65536, "f.gguf: tensor 0: name of 17216961135462248174 bytes, 1 to 64"},
        {65537, 0, "f.gguf: kv count 65537: at most 65536"},
        {0, 65537, "f.gguf: tensor count 65537: at most 65536"},
    };
    gguf_writer w;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        w = gguf_new();
        memset(ql_buf_reserve(&w.infos, 1700000), 0xee, 1700000);
        w.infos.len = 1700000;
        w.n_kvs = cases[i].n_kvs;
        w.n_tensors = cases[i].n_tensors;
        check_cost(&w, cases[i].message);
    }
    w = gguf_new();
    w.n_tensors = 1;
    check_cost(&w, "f.gguf: tensor count 1 cannot fit in 32 bytes");
}

// More tensors are told than there are, and those that are there have the longest names.
static void long_names_before_the_end(void **state)
{
    (void)state;
    for (uint32_t n = 1; n < 400; n += 7) {
        char name[80];
        gguf_writer w = gguf_new();
        for (uint32_t i = 0; i < n; i++) {
            snprintf(name, sizeof name, "%064x", i);
            gguf_info(&w, name, 0, NULL, QL_F32, 0);
        }
        w.n_tensors = w.infos.len / 25;
        ql_error err = {0};
        ql_buf b = gguf_finish(&w);
        assert_int_equal(parse(b.data, b.len, 0, &err), QL_E_FORMAT);
        ql_buf_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(every_flipped_bit_is_survived),
        cmocka_unit_test(random_damage_is_survived),
        cmocka_unit_test(each_failing_allocation_is_told),
        cmocka_unit_test(many_small_entries),
        cmocka_unit_test(counts_that_are_not_there),
        cmocka_unit_test(long_names_before_the_end),
    };
    return cmocka_run_group_tests_name("gguf_limits", tests, NULL, NULL);
}
