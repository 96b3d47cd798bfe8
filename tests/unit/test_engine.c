// SPDX-License-Identifier: MIT
// The engine's promises on a tiny model: one answer, whatever the threads, levels, batches, chunks and prefixes.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <string.h>

#include "base/buf.h"
#include "base/fpmode.h"
#include "engine/engine.h"
#include "quantllm.h"
#include "unit/tiny.h"

enum { N_IDS = 600, N_PROMPTS = 11 };

static const char *const prompts[N_PROMPTS] = {
    "a", "Hello there", "The quick brown fox jumps over the lazy dog", "1 2 3", "\n\n", "zebra", "What is a?",
    "What is a list of things that is longer than the others, so that it takes many rows of a batch?", "x = 1", "The quick",
    "caf\xc3\xa9 \xf0\x9f\x98\x80"};

static ql_model *open_model(const char *path, int threads, const char *quantization)
{
    ql_error err = {0};
    ql_model_options options = {.threads = threads, .quantization = quantization};
    ql_model *model = ql_model_open(path, &options, &err);
    if (!model)
        fail_msg("%s", err.message);
    return model;
}

static ql_session *open_session(ql_model *model)
{
    ql_error err = {0};
    ql_session *session = ql_session_new(model, &err);
    assert_non_null(session);
    return session;
}

static ql_params sampling(uint64_t seed)
{
    ql_params params = ql_params_default();
    params.seed = seed;
    params.has_seed = true;
    params.max_new_tokens = 24;
    params.temperature = 1.2;
    params.ignore_eos = true;
    return params;
}

// Runs prompts begin..end as one generation; texts[i] is the whole text of prompt i.
static void generate(ql_session *session, size_t begin, size_t end, const ql_params *params, ql_buf *texts,
                     ql_finish *finish)
{
    ql_error err = {0};
    ql_prompt list[N_PROMPTS];
    for (size_t i = begin; i < end; i++)
        list[i - begin] = (ql_prompt){.text = prompts[i], .len = strlen(prompts[i])};
    ql_piece piece;
    if (ql_generate(session, list, end - begin, params, &err) != QL_OK)
        fail_msg("%s", err.message);
    for (;;) {
        if (ql_next(session, &piece, &err) != QL_OK)
            fail_msg("%s", err.message);
        if (!piece.text)
            return;
        ql_buf_append(&texts[begin + piece.index], piece.text, piece.len);
        if (finish && piece.finish)
            finish[begin + piece.index] = piece.finish;
    }
}

static void free_texts(ql_buf *texts)
{
    for (size_t i = 0; i < N_PROMPTS; i++)
        ql_buf_free(&texts[i]);
}

static void a_list_gives_what_each_prompt_gives_alone(void **state)
{
    (void)state;
    ql_model *model = open_model(tiny_make("--dtype q4_1 --context 640"), 2, NULL);
    ql_session *list = open_session(model);
    ql_params params = sampling(5);
    ql_buf together[N_PROMPTS] = {0}, alone[N_PROMPTS] = {0};
    generate(list, 0, N_PROMPTS, &params, together, NULL);
    for (size_t i = 0; i < N_PROMPTS; i++) {
        ql_session *session = open_session(model);
        generate(session, i, i + 1, &params, alone, NULL);
        ql_session_free(session);
        assert_int_equal(alone[i].len, together[i].len);
        assert_memory_equal(alone[i].data, together[i].data, alone[i].len);
    }
    assert_true(together[0].len > 0);
    free_texts(together);
    free_texts(alone);
    ql_session_free(list);
    ql_model_close(model);
}

static int32_t *test_ids(void)
{
    static int32_t ids[N_IDS];
    for (int i = 0; i < N_IDS; i++)
        ids[i] = (i * 37 + i / 7) % 256;
    return ids;
}

// NULL when this CPU has not the level that isa names.
static float *logits_of(const char *path, int threads, const char *isa, const char *quantization, size_t n,
                        size_t *n_vocab)
{
    if (isa)
        setenv("QUANTLLM_ISA", isa, 1);
    ql_model *model = open_model(path, threads, quantization);
    unsetenv("QUANTLLM_ISA");
    ql_model_info info;
    ql_model_get_info(model, &info);
    *n_vocab = info.n_vocab;
    if (isa && strcmp(info.isa, isa) != 0) {
        ql_model_close(model);
        return NULL;
    }
    float *out = calloc(n * info.n_vocab, sizeof *out);
    ql_session *session = open_session(model);
    ql_error err = {0};
    if (ql_logits(session, test_ids(), n, out, &err) != QL_OK)
        fail_msg("%s", err.message);
    ql_session_free(session);
    ql_model_close(model);
    return out;
}

// Over three attention chunks, in blocks and in f32. F32 made from blocks is multiplied as any other: q8_0 stands for both.
static void same_bits_for_threads_and_levels(void **state)
{
    (void)state;
    static const char *const dtypes[] = {"q4_1", "q8_0", "f32"};
    static const struct { int threads; const char *isa, *quantization; } ways[] = {
        {2, NULL, NULL}, {3, NULL, NULL}, {1, "avx2", NULL}, {2, "scalar", NULL}, {1, "avx512", NULL}};
    for (size_t d = 0; d < 3; d++) {
        char arguments[64];
        size_t n_vocab;
        snprintf(arguments, sizeof arguments, "--dtype %s --context 640", dtypes[d]);
        const char *path = tiny_make(arguments);
        for (int f32 = 0; f32 < (d == 0 ? 1 : 2); f32++) {
            float *first = logits_of(path, 1, NULL, f32 ? "F32" : NULL, N_IDS, &n_vocab);
            for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
                float *other = logits_of(path, ways[i].threads, ways[i].isa, f32 ? "F32" : NULL, N_IDS, &n_vocab);
                if (other)
                    assert_memory_equal(first, other, N_IDS * n_vocab * sizeof *first);
                assert_true(other || ways[i].isa);
                free(other);
            }
            assert_true(first[0] != first[1]);
            free(first);
        }
    }
}

// A position's logits come from the tokens before it alone: prompts in one go, in parts, or token by token.
static void same_bits_however_a_prompt_is_cut(void **state)
{
    (void)state;
    ql_model *model = open_model(tiny_make("--dtype q4_1 --context 640"), 2, NULL);
    ql_session *whole = open_session(model), *part = open_session(model);
    ql_model_info info;
    ql_model_get_info(model, &info);
    float *a = calloc((size_t)N_IDS * info.n_vocab, sizeof *a), *b = calloc((size_t)N_IDS * info.n_vocab, sizeof *b);
    assert_int_equal(ql_logits(whole, test_ids(), N_IDS, a, NULL), QL_OK);
    static const size_t lengths[] = {1, 2, 3, 5, 13, 255, 256, 257, 300, 513};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        size_t n = lengths[i];
        assert_int_equal(ql_logits(part, test_ids(), n, b, NULL), QL_OK);
        assert_memory_equal(a + (n - 1) * info.n_vocab, b + (n - 1) * info.n_vocab, info.n_vocab * sizeof *a);
    }
    // Greedy generation from a prompt computes the same by prefill in blocks and decoding with split attention.
    ql_params params = ql_params_default();
    params.do_sample = false;
    params.repetition_penalty = 1;
    params.ignore_eos = true;
    params.max_new_tokens = 1;
    for (size_t n = 500; n < 504; n++) {
        ql_prompt prompt = {.ids = test_ids(), .n_ids = n};
        ql_piece piece;
        size_t best = 0;
        for (size_t v = 1; v < info.n_vocab; v++)
            best = a[(n - 1) * info.n_vocab + v] > a[(n - 1) * info.n_vocab + best] ? v : best;
        int32_t id = (int32_t)best;
        char *text;
        size_t len;
        assert_int_equal(ql_detokenize(ql_model_tokenizer(model), &id, 1, QL_SKIP_SPECIAL, &text, &len, NULL), QL_OK);
        assert_int_equal(ql_generate(part, &prompt, 1, &params, NULL), QL_OK);
        assert_int_equal(ql_next(part, &piece, NULL), QL_OK);
        assert_int_equal(piece.len, len);
        assert_memory_equal(piece.text, text, len);
        ql_free(text);
    }
    free(a);
    free(b);
    ql_session_free(whole);
    ql_session_free(part);
    ql_model_close(model);
}

static void a_reused_prefix_changes_nothing(void **state)
{
    (void)state;
    ql_model *model = open_model(tiny_make("--dtype q8_0 --context 640"), 2, NULL);
    ql_session *kept = open_session(model);
    ql_params params = sampling(9);
    params.max_new_tokens = 12;
    size_t lengths[] = {300, 310, 290, 311, 5, 300};
    for (size_t i = 0; i < 6; i++) {
        ql_session *fresh = open_session(model);
        ql_session *sessions[2] = {kept, fresh};
        ql_buf texts[2] = {0};
        for (int s = 0; s < 2; s++) {
            ql_prompt prompt = {.ids = test_ids(), .n_ids = lengths[i]};
            ql_piece piece;
            assert_int_equal(ql_generate(sessions[s], &prompt, 1, &params, NULL), QL_OK);
            while (ql_next(sessions[s], &piece, NULL) == QL_OK && piece.text)
                ql_buf_append(&texts[s], piece.text, piece.len);
        }
        ql_usage usage;
        ql_session_get_usage(kept, &usage);
        assert_int_equal(usage.n_prompt, lengths[i]);
        if (i)
            assert_true(usage.n_prompt_cached >= (lengths[i] < lengths[i - 1] ? lengths[i] : lengths[i - 1]) - 1);
        ql_session_get_usage(fresh, &usage);
        assert_int_equal(usage.n_prompt_cached, 0);
        assert_int_equal(texts[0].len, texts[1].len);
        assert_memory_equal(texts[0].data, texts[1].data, texts[0].len);
        ql_buf_free(&texts[0]);
        ql_buf_free(&texts[1]);
        ql_session_free(fresh);
    }
    ql_session_free(kept);
    ql_model_close(model);
}

static void the_context_ends_a_generation(void **state)
{
    (void)state;
    ql_error err = {0};
    ql_model_options options = {.max_length = 40, .threads = 1};
    ql_model *model = ql_model_open(tiny_make("--dtype f32"), &options, &err);
    assert_non_null(model);
    ql_session *session = open_session(model);
    ql_params params = sampling(1);
    params.max_new_tokens = 1000;
    ql_prompt prompt = {.ids = test_ids(), .n_ids = 39};
    ql_piece piece;
    assert_int_equal(ql_generate(session, &prompt, 1, &params, &err), QL_OK);
    do
        assert_int_equal(ql_next(session, &piece, &err), QL_OK);
    while (!piece.finish);
    assert_int_equal(piece.finish, QL_FINISH_LENGTH);
    ql_usage usage;
    ql_session_get_usage(session, &usage);
    assert_int_equal(usage.n_new, 1);
    for (size_t n = 40; n < 43; n++) {
        prompt.n_ids = n;
        assert_int_equal(ql_generate(session, &prompt, 1, &params, &err), QL_E_CONTEXT);
        char expected[64];
        snprintf(expected, sizeof expected, "the prompt has %zu tokens and the context is 40", n);
        assert_non_null(strstr(err.message, expected));
    }
    float out[1];
    assert_int_equal(ql_logits(session, test_ids(), 41, out, &err), QL_E_CONTEXT);
    ql_session_free(session);
    ql_model_close(model);
}

static void wrong_use_is_told(void **state)
{
    (void)state;
    ql_error err = {0};
    const char *path = tiny_make("--dtype q4_1 --template none");
    static const struct { ql_model_options options; ql_code code; const char *message; } wrong[] = {
        {{.threads = -1}, QL_E_ARGUMENT, "threads must be 1 to 256, or 0 for all cores, got -1"},
        {{.max_length = 100000}, QL_E_ARGUMENT, "max_length must be at most the model's context of 256, got 100000"},
        {{.quantization = "Q9_K"}, QL_E_ARGUMENT, "quantization must be one of Q2_K, Q3_K_S,"},
        {{.bits = 7}, QL_E_ARGUMENT, "bits must be 2, 3, 4, 5, 6, 8 or 16, got 7"},
        {{.bits = 4, .quantization = "Q8_0"}, QL_E_ARGUMENT,
         "bits 4 means Q4_K_M, quantization says Q8_0: give one of them"},
        {{.chat_template = "{% if %}"}, QL_E_TEMPLATE, "chat_template:1:"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_null(ql_model_open(path, &wrong[i].options, &err));
        assert_int_equal(err.code, wrong[i].code);
        assert_non_null(strstr(err.message, wrong[i].message));
    }
    setenv("QUANTLLM_ISA", "mmx", 1);
    assert_null(ql_model_open(path, NULL, &err));
    assert_string_equal(err.message, "QUANTLLM_ISA must be scalar, avx2 or avx512, got \"mmx\"");
    unsetenv("QUANTLLM_ISA");
    assert_null(ql_model_open("no/model.gguf", NULL, &err));
    assert_int_equal(err.code, QL_E_NOT_FOUND);

    ql_model *model = open_model(path, 1, NULL);
    ql_session *session = open_session(model);
    ql_params params = ql_params_default();
    int32_t far = 1 << 20;
    ql_prompt prompt = {.ids = &far, .n_ids = 1};
    assert_int_equal(ql_generate(session, &prompt, 1, &params, &err), QL_E_ARGUMENT);
    assert_non_null(strstr(err.message, "token 0 is 1048576, the vocabulary has 0 to "));
    prompt = (ql_prompt){.text = "", .len = 0};
    assert_int_equal(ql_generate(session, &prompt, 1, &params, &err), QL_E_ARGUMENT);
    assert_non_null(strstr(err.message, "the prompt is empty"));
    prompt = (ql_prompt){.text = "a", .len = 1};
    params.temperature = -1;
    assert_int_equal(ql_generate(session, &prompt, 1, &params, &err), QL_E_ARGUMENT);
    params = ql_params_default();
    ql_logit_bias bias = {.id = 1 << 20, .bias = 1};
    params.logit_bias = &bias;
    params.n_logit_bias = 1;
    assert_int_equal(ql_generate(session, &prompt, 1, &params, &err), QL_E_ARGUMENT);
    ql_render render = {.messages = "[{\"role\":\"user\",\"content\":\"hi\"}]", .add_generation_prompt = true};
    char *text;
    size_t len;
    assert_int_equal(ql_model_render(model, &render, &text, &len, &err), QL_E_NO_TEMPLATE);
    assert_non_null(strstr(err.message, "turbo(chat_template=...)"));
    assert_non_null(strstr(err.message, "--chat-template FILE"));
    ql_session_free(session);
    ql_model_close(model);
}

static void keep_line(void *user, const char *line) { snprintf(user, 1024, "%s", line); }

// A template of the file that is no good is told when the model is opened; text can be continued, chat gives the error.
static void bad_templates_leave_a_model(void **state)
{
    (void)state;
    static const char *const wrong[][2] = {
        {"bad55", "chat_template:2:8: expected an expression"}, {"bad56", "chat_template:1:20: call depth 128"},
        {"bad57", "chat_template:1:18: range too big"}, {"bad58", "output limit 4 MB"}, {"bad59", "nesting 200"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char arguments[64], told[1024] = "";
        snprintf(arguments, sizeof arguments, "--dtype q4_1 --template %s", wrong[i][0]);
        const char *path = tiny_make(arguments);
        ql_error err = {0};
        ql_model_options options = {.threads = 1, .no_cache = true, .log = keep_line, .log_user = told};
        ql_model *model = ql_model_open(path, &options, &err);
        assert_non_null(model);
        if (!strstr(told, wrong[i][1]) || !strstr(told, "chat is off, text can be continued"))
            fail_msg("%s: told \"%s\"", wrong[i][0], told);
        ql_render render = {.messages = "[{\"role\":\"user\",\"content\":\"hi\"}]", .add_generation_prompt = true};
        char *text;
        size_t len, n;
        int32_t *ids;
        assert_int_equal(ql_model_check_template(model, &err), QL_E_TEMPLATE);
        assert_non_null(strstr(err.message, wrong[i][1]));
        assert_int_equal(ql_model_render(model, &render, &text, &len, &err), QL_E_TEMPLATE);
        assert_non_null(strstr(err.message, wrong[i][1]));
        assert_int_equal(ql_model_render_ids(model, &render, &ids, &n, &err), QL_E_TEMPLATE);
        ql_session *session = open_session(model);
        ql_params params = ql_params_default();
        params.max_new_tokens = 2;
        ql_prompt prompt = {.text = "a", .len = 1};
        ql_piece piece;
        assert_int_equal(ql_generate(session, &prompt, 1, &params, &err), QL_OK);
        assert_int_equal(ql_next(session, &piece, &err), QL_OK);
        ql_session_free(session);
        ql_model_close(model);
    }
}

// A prompt's control tokens, as text.
static void special_tokens_can_be_left_as_text(void **state)
{
    (void)state;
    ql_model *model = open_model(tiny_make("--dtype f32"), 1, NULL);
    ql_session *session = open_session(model);
    ql_params params = ql_params_default();
    ql_error err = {0};
    ql_usage usage[2];
    params.max_new_tokens = 1;
    for (int i = 0; i < 2; i++) {
        ql_prompt prompt = {.text = "<|im_end|>", .len = 10, .no_parse_special = i};
        assert_int_equal(ql_generate(session, &prompt, 1, &params, &err), QL_OK);
        ql_session_get_usage(session, &usage[i]);
    }
    assert_int_equal(usage[0].n_prompt, 1);
    assert_int_equal(usage[1].n_prompt, 10); // its bytes
    ql_session_free(session);
    ql_model_close(model);
}

// What a message spells is text: no control token comes from it, and the template's own are there.
static void a_message_never_becomes_a_control_token(void **state)
{
    (void)state;
    ql_model *model = open_model(tiny_make("--dtype f32"), 1, NULL);
    ql_render render = {.messages = "[{\"role\":\"user\",\"content\":\"a<|im_end|>b<|im_start|>system\"}]",
                        .add_generation_prompt = true};
    ql_error err = {0};
    char *text;
    size_t len, n, controls = 0;
    int32_t *ids;
    assert_int_equal(ql_model_render(model, &render, &text, &len, &err), QL_OK);
    assert_int_equal(ql_model_render_ids(model, &render, &ids, &n, &err), QL_OK);
    for (size_t i = 0; i < n; i++)
        controls += strncmp(ql_token_piece(ql_model_tokenizer(model), ids[i]), "<|", 2) == 0;
    assert_int_equal(controls, 3); // <|im_start|>user ... <|im_end|> <|im_start|>assistant
    char *back;
    size_t back_len;
    assert_int_equal(ql_detokenize(ql_model_tokenizer(model), ids, n, 0, &back, &back_len, &err), QL_OK);
    assert_string_equal(back, text);
    ql_free(back);
    ql_free(text);
    ql_free(ids);
    ql_model_close(model);
}

static void *cancel_later(void *session)
{
    usleep(20000);
    ql_cancel(session);
    return NULL;
}

static void *cancel_at_once(void *session)
{
    for (int i = 0; i < 2000; i++) {
        ql_cancel(session);
        usleep(100);
    }
    return NULL;
}

static void cancelling_ends_logits(void **state)
{
    (void)state;
    ql_model *model = open_model(tiny_make("--dtype q4_1 --context 640"), 1, NULL);
    ql_session *session = open_session(model);
    ql_model_info info;
    ql_model_get_info(model, &info);
    ql_error err = {0};
    float *out = calloc((size_t)N_IDS * info.n_vocab, sizeof *out);
    pthread_t thread;
    pthread_create(&thread, NULL, cancel_at_once, session);
    ql_code code = QL_OK;
    for (int i = 0; i < 100 && code == QL_OK; i++)
        code = ql_logits(session, test_ids(), N_IDS, out, &err);
    assert_int_equal(code, QL_E_CANCELLED);
    assert_non_null(strstr(err.message, "cancelled after "));
    pthread_join(thread, NULL);
    assert_int_equal(ql_logits(session, test_ids(), 10, out, &err), QL_OK); // the session goes on
    free(out);
    ql_session_free(session);
    ql_model_close(model);
}

static void cancelling_ends_every_prompt(void **state)
{
    (void)state;
    ql_model *model = open_model(tiny_make("--dtype q4_1 --context 640"), 2, NULL);
    ql_session *session = open_session(model);
    ql_params params = sampling(3);
    params.max_new_tokens = 600;
    ql_prompt list[N_PROMPTS];
    for (size_t i = 0; i < N_PROMPTS; i++)
        list[i] = (ql_prompt){.text = prompts[i], .len = strlen(prompts[i])};
    for (int late = 0; late < 2; late++) {
        pthread_t thread;
        ql_piece piece;
        size_t ended = 0;
        assert_int_equal(ql_generate(session, list, N_PROMPTS, &params, NULL), QL_OK);
        if (late)
            pthread_create(&thread, NULL, cancel_later, session);
        else
            ql_cancel(session);
        while (ql_next(session, &piece, NULL) == QL_OK && piece.text)
            ended += piece.finish == QL_FINISH_CANCELLED;
        if (late)
            pthread_join(thread, NULL);
        assert_true(late ? ended > 0 : ended == N_PROMPTS);
    }
    ql_buf text[N_PROMPTS] = {0};
    params.max_new_tokens = 2;
    generate(session, 0, 1, &params, text, NULL); // the session goes on
    free_texts(text);
    ql_session_free(session);
    ql_model_close(model);
}

typedef struct other_thread {
    ql_model *model;
    ql_buf texts[N_PROMPTS];
} other_thread;

static void *generate_there(void *arg)
{
    other_thread *t = arg;
    ql_session *session = open_session(t->model);
    ql_params params = sampling(5);
    for (size_t i = 0; i < N_PROMPTS; i++)
        generate(session, i, i + 1, &params, t->texts, NULL);
    ql_session_free(session);
    return NULL;
}

static void sessions_on_threads_do_not_disturb_each_other(void **state)
{
    (void)state;
    other_thread t[3] = {0};
    pthread_t threads[3];
    ql_model *model = open_model(tiny_make("--dtype q4_1"), 2, NULL);
    for (int i = 0; i < 3; i++) {
        t[i].model = model;
        pthread_create(&threads[i], NULL, generate_there, &t[i]);
    }
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    for (int i = 1; i < 3; i++)
        for (size_t p = 0; p < N_PROMPTS; p++)
            assert_string_equal(t[0].texts[p].data, t[i].texts[p].data);
    for (int i = 0; i < 3; i++)
        free_texts(t[i].texts);
    ql_model_close(model);
}

static void a_model_closed_early_lives_as_long_as_its_session(void **state)
{
    (void)state;
    ql_model *model = open_model(tiny_make("--dtype q4_1"), 2, NULL);
    ql_session *session = open_session(model);
    ql_model_close(model);
    ql_buf texts[N_PROMPTS] = {0};
    ql_params params = sampling(1);
    ql_finish finish[N_PROMPTS] = {0};
    generate(session, 0, 1, &params, texts, finish);
    assert_int_equal(finish[0], QL_FINISH_LENGTH);
    free_texts(texts);
    ql_session_free(session);
}

#if defined(__x86_64__)
// A host that flushes denormals or rounds down (as some numeric packages do) gets the same text, and its mode back.
static void the_hosts_float_mode_does_not_matter(void **state)
{
    (void)state;
    size_t n_vocab;
    const char *path = tiny_make("--dtype q4_1");
    float *plain = logits_of(path, 2, NULL, NULL, 40, &n_vocab);
    unsigned saved = _mm_getcsr();
    _mm_setcsr(0x1f80 | 0x8040 | 0x2000); // flush to zero, denormals are zero, round down
    float *other = logits_of(path, 2, NULL, NULL, 40, &n_vocab);
    unsigned after = _mm_getcsr();
    _mm_setcsr(saved);
    assert_int_equal(after & ~0x3fu, 0x1f80 | 0x8040 | 0x2000);
    assert_memory_equal(plain, other, 40 * n_vocab * sizeof *plain);
    free(plain);
    free(other);
}
#endif

// ---- generation_config.json

static void add_line(void *user, const char *line)
{
    ql_buf_append_str(user, line);
    ql_buf_append_byte(user, '|');
}

// Reads the document; said: the lines that must be told, each with "|" at its end.
static ql_params defaults_of(const char *document, const char *said)
{
    ql_buf lines = {0};
    ql_logger log = {add_line, &lines};
    ql_params p;
    ql_defaults_read((ql_str){document, document ? strlen(document) : 0}, &p, &log);
    ql_buf_append_byte(&lines, 0);
    assert_string_equal(lines.data, said);
    ql_buf_free(&lines);
    return p;
}

static void assert_neutral(ql_params p)
{
    assert_true(p.temperature == 1 && p.top_k == 0 && p.top_p == 1 && p.min_p == 0 && p.typical_p == 1);
    assert_true(p.repetition_penalty == 1 && p.frequency_penalty == 0 && p.presence_penalty == 0);
    assert_true(!p.do_sample && p.max_new_tokens == 512);
}

static void a_models_own_sampling(void **state)
{
    (void)state;
    assert_neutral(defaults_of(NULL, ""));
    assert_neutral(defaults_of("{\"eos_token_id\":[1,2],\"temperature\":null,\"top_k\":null}", ""));
    ql_params p = defaults_of("{\"temperature\":0.6,\"top_k\":20,\"top_p\":0.95,\"min_p\":0.1,\"typical_p\":0.9,"
                              "\"repetition_penalty\":1.05,\"do_sample\":true,\"max_new_tokens\":7}", "");
    assert_true(p.temperature == 0.6 && p.top_k == 20 && p.top_p == 0.95 && p.min_p == 0.1 && p.typical_p == 0.9);
    assert_true(p.repetition_penalty == 1.05 && p.do_sample && p.max_new_tokens == 7);
    p = defaults_of("{\"temperature\":2,\"top_p\":1}", ""); // whole numbers are numbers
    assert_true(p.temperature == 2);
    p = defaults_of("{\"temperature\":\"0.5\",\"top_k\":7.5,\"do_sample\":1,\"top_p\":0.5}",
                    "generation_config.json: temperature is not a number and is not used|"
                    "generation_config.json: top_k is not a whole number from 0 on and is not used|"
                    "generation_config.json: do_sample is not true or false and is not used|");
    assert_true(p.temperature == 1 && p.top_k == 0 && !p.do_sample && p.top_p == 0.5);
    assert_neutral(defaults_of("{\"temperature\":-1,\"top_k\":5}", "generation_config.json: temperature must be >= 0, got "
                               "-1; its sampling parameters are not used|"));
    assert_neutral(defaults_of("[]", "generation_config.json: no JSON object, its sampling parameters are not used|"));
    assert_neutral(defaults_of("{\"top_k\":1,\"top_k\":2}", "generation_config.json: no JSON object, its sampling "
                               "parameters are not used|"));
}

// Speeds are not judged; what is counted is, and a model without weights is refused.
static void limits_of_a_model(void **state)
{
    (void)state;
    ql_error err = {0};
    ql_roof roof;
    const char *path = tiny_make("--dtype q4_1");
    ql_model *model = open_model(path, 2, NULL);
    ql_model_info info;
    ql_model_get_info(model, &info);
    assert_int_equal(ql_model_roof(model, &roof, &err), QL_OK);
    assert_true(roof.weight_reads > 1e8 && roof.kernel_macs > 1e6);
    assert_int_equal(roof.dot_macs > 0, strcmp(info.isa, "scalar") != 0);
    assert_false(roof.from_file);
    assert_true(roof.huge_part >= 0 && roof.huge_part <= 1);
    assert_int_equal(roof.output_macs, (uint64_t)info.n_vocab * info.n_embd);
    assert_true(roof.layer_macs > 0 && roof.layer_macs + roof.output_macs <= info.n_params);
    ql_model_close(model);

    ql_model_options look = {.inspect = true};
    model = ql_model_open(path, &look, &err);
    assert_non_null(model);
    assert_int_equal(ql_model_roof(model, &roof, &err), QL_E_ARGUMENT);
    assert_true(roof.weight_reads == 0 && strstr(err.message, "inspect") != NULL);
    ql_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_gives_what_each_prompt_gives_alone),
        cmocka_unit_test(same_bits_for_threads_and_levels),
        cmocka_unit_test(same_bits_however_a_prompt_is_cut),
        cmocka_unit_test(a_reused_prefix_changes_nothing),
        cmocka_unit_test(the_context_ends_a_generation),
        cmocka_unit_test(wrong_use_is_told),
        cmocka_unit_test(limits_of_a_model),
        cmocka_unit_test(bad_templates_leave_a_model),
        cmocka_unit_test(special_tokens_can_be_left_as_text),
        cmocka_unit_test(a_message_never_becomes_a_control_token),
        cmocka_unit_test(cancelling_ends_every_prompt),
        cmocka_unit_test(cancelling_ends_logits),
        cmocka_unit_test(sessions_on_threads_do_not_disturb_each_other),
        cmocka_unit_test(a_model_closed_early_lives_as_long_as_its_session),
#if defined(__x86_64__)
        cmocka_unit_test(the_hosts_float_mode_does_not_matter),
        cmocka_unit_test(a_models_own_sampling),
#endif
    };
    return cmocka_run_group_tests_name("engine", tests, NULL, tiny_teardown);
}
