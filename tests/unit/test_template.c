// SPDX-License-Identifier: MIT
// Chat templates: the goldens of jinja2 (small ones in the tree, whole models' from QL_SHARED), hostile templates, and
// where each byte of a rendered text comes from.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <jansson.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/template.h"

typedef struct outcome {
    ql_code code;
    ql_buf text, origin;
    ql_error err;
} outcome;

static outcome run(const char *source, size_t len, const char *bos, const char *eos, const ql_render *render)
{
    outcome out = {0};
    ql_template *tmpl = ql_template_open(source, len, bos, eos, &out.err);
    out.code = tmpl ? ql_template_render_buf(tmpl, render, &out.text, &out.origin, &out.err) : out.err.code;
    ql_template_close(tmpl);
    assert_true(out.code == QL_OK || out.err.message[0]);
    return out;
}

static void drop(outcome *out)
{
    ql_buf_free(&out->text);
    ql_buf_free(&out->origin);
}

static outcome run_simple(const char *source, const char *messages, const char *variables)
{
    ql_render render = {.messages = messages ? messages : "[{\"role\":\"user\",\"content\":\"hi\"}]",
                        .variables = variables, .add_generation_prompt = true, .has_now = true};
    return run(source, strlen(source), "<s>", "</s>", &render);
}

static void assert_text(const char *source, const char *variables, const char *want)
{
    outcome out = run_simple(source, NULL, variables);
    if (out.code != QL_OK)
        fail_msg("%s: %s", source, out.err.message);
    assert_string_equal(out.text.data ? out.text.data : "", want);
    drop(&out);
}

static char *dump(const json_t *json) { return json ? json_dumps(json, JSON_ENCODE_ANY) : NULL; }

// Whether the outcome is the text wanted, or an error where none is wanted.
static bool as_wanted(const outcome *out, const json_t *want)
{
    if (!json_is_string(want))
        return out->code == QL_E_TEMPLATE;
    return out->code == QL_OK && out->text.len == json_string_length(want) && out->origin.len == out->text.len &&
           (!out->text.len || memcmp(out->text.data, json_string_value(want), out->text.len) == 0);
}

static const char *root(void) { return getenv("QL_SOURCE_ROOT") ? getenv("QL_SOURCE_ROOT") : "."; }

static json_t *load(const char *path)
{
    json_error_t error;
    json_t *json = json_load_file(path, JSON_ALLOW_NUL, &error);
    return json;
}

static void golden_cases_are_equal(void **state)
{
    (void)state;
    char path[4096];
    snprintf(path, sizeof path, "%s/tests/golden/jinja_cases.json", root());
    json_t *file = load(path);
    assert_non_null(file);
    char *messages = dump(json_object_get(file, "messages")), *variables = dump(json_object_get(file, "variables"));
    ql_render render = {.messages = messages, .variables = variables, .add_generation_prompt = true, .has_now = true,
                        .now = json_integer_value(json_object_get(file, "now"))};
    size_t n = 0, wrong = 0;
    json_t *pair;
    json_array_foreach(json_object_get(file, "cases"), n, pair)
    {
        const json_t *source = json_array_get(pair, 0), *want = json_array_get(pair, 1);
        outcome out = run(json_string_value(source), json_string_length(source), "<s>", "</s>", &render);
        if (!as_wanted(&out, want) && wrong++ < 10)
            print_error("%s\n  want %s\n  got  %s\n", json_string_value(source),
                        json_is_string(want) ? json_string_value(want) : "an error",
                        out.code ? out.err.message : out.text.data ? out.text.data : "");
        drop(&out);
    }
    free(messages);
    free(variables);
    json_decref(file);
    assert_true(n > 1000);
    assert_int_equal(wrong, 0);
}

static char *read_file(const char *path, size_t *len)
{
    FILE *file = fopen(path, "rb");
    char *data = calloc(1, 1 << 20);
    assert_non_null(file);
    assert_non_null(data);
    *len = fread(data, 1, (1 << 20) - 1, file);
    fclose(file);
    return data;
}

static bool scenario_is_equal(const json_t *file, const char *source, size_t len, const json_t *scenario,
                              const json_t *want)
{
    char *messages = dump(json_object_get(scenario, "messages")), *tools = dump(json_object_get(scenario, "tools")),
         *variables = dump(json_object_get(scenario, "variables"));
    const json_t *prompt = json_object_get(scenario, "add_generation_prompt");
    ql_render render = {.messages = messages, .tools = tools, .variables = variables,
                        .add_generation_prompt = !prompt || json_is_true(prompt), .has_now = true,
                        .now = json_integer_value(json_object_get(file, "now"))};
    outcome out = run(source, len, json_string_value(json_object_get(file, "bos_token")),
                      json_string_value(json_object_get(file, "eos_token")), &render);
    bool equal = as_wanted(&out, json_object_get(want, "text"));
    drop(&out);
    free(messages);
    free(tools);
    free(variables);
    return equal;
}

static void templates_of_models_are_equal(void **state)
{
    (void)state;
    const char *shared = getenv("QL_SHARED");
    char base[4096], path[8192];
    snprintf(base, sizeof base, "%s/%s/data/templates", shared ? "" : root(), shared ? shared : "../shared");
    snprintf(path, sizeof path, "%s/expected.json", shared ? base + 1 : base);
    json_t *file = load(path), *row, *want;
    if (!file) {
        print_message("no %s: the templates of models are not compared\n", path);
        skip();
    }
    size_t n = 0, equal = 0, len;
    const char *name, *scenario;
    json_object_foreach(json_object_get(file, "expected"), name, row)
    {
        snprintf(path, sizeof path, "%s/%s", shared ? base + 1 : base, name);
        char *source = read_file(path, &len);
        json_object_foreach(row, scenario, want)
        {
            json_t *how = json_object_get(json_object_get(file, "scenarios"), scenario);
            bool same = scenario_is_equal(file, source, len, how, want);
            if (!same)
                print_error("%s, %s differs\n", name, scenario);
            equal += same;
            n++;
        }
        free(source);
    }
    print_message("%zu of %zu renders of models' templates are equal\n", equal, n);
    json_decref(file);
    assert_int_equal(equal, n);
}

// ---- errors

static void assert_error(const char *source, const char *message)
{
    outcome out = run_simple(source, NULL, NULL);
    assert_int_equal(out.code, QL_E_TEMPLATE);
    if (!strstr(out.err.message, message))
        fail_msg("%s: \"%s\" is not in \"%s\"", source, message, out.err.message);
    assert_null(strchr(out.err.message, '\n'));
    drop(&out);
}

static void errors_tell_the_place(void **state)
{
    (void)state;
    assert_error("{{ 1 + }}", "chat_template:1:8: expected an expression");
    assert_error("a\nb\n  {% if x %}", "chat_template:3:13: unexpected end of template, expected 'endif'");
    assert_error("{% for %}", "chat_template:1:8: expected an expression");
    assert_error("{% macro 1() %}", "chat_template:1:10: expected a name");
    assert_error("\xc3\xa9\n\xc3\xa9 {{ x.y }}", "chat_template:2:7: 'x' is undefined");
    assert_error("{{ messages[0].nosuch.deep }}", "'dict object' has no attribute 'nosuch'");
    assert_error("{{ raise_exception('Roles must\nalternate') }}", "chat_template:1:19: Roles must\\x0aalternate");
    assert_error("{{ messages.append(1) }}", "access to attribute 'append' of 'list' object is unsafe");
    assert_error("{{ ''.__class__.__mro__ }}", "is unsafe");
    assert_error("{% include 'x' %}", "'include' is not supported in a chat template");
    assert_error("{{ x|nosuch }}", "no filter named 'nosuch'");
}

static void wrong_input_is_an_argument_error(void **state)
{
    (void)state;
    static const char *const wrong[] = {"", "{}", "[1]", "[", "[]]", "[{\"a\": 1e999}]", "[{\"a\": \"\xff\"}]",
                                        "[{\"a\": -}]", "[{\"a\": 01}]", "[{\"a\": 1.}]", "[{\"a\": 1e}]", "[{\"a\": +1}]",
                                        "[{\"a\": \"\n\"}]", "[{\"a\": \"\\x\"}]", "[{\"a\": \"\\ud800\"}]",
                                        "[{\"a\": \"\\ud800\\u0041\"}]", "[{\"a\": \"\\udc00\"}]", "[{\"a\": \"\\u12g4\"}]",
                                        "[{\"a\": \"b}]", "[{\"a\": \"\\", "[{\"a\" 1}]", "[{a: 1}]", "[{\"a\": nul}]",
                                        "[{\"a\": 1,}]", "[{},]", "[{}] x", "[{\"a\": \"\xe2\x82", "[{'a': 1}]", "[{\"a\": NaN}]"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        outcome out = run_simple("x", wrong[i], NULL);
        assert_int_equal(out.code, QL_E_ARGUMENT);
        drop(&out);
    }
    outcome out = run_simple("x", NULL, "{\"messages\": []}");
    assert_int_equal(out.code, QL_E_ARGUMENT);
    out = run_simple("x", NULL, "[]");
    assert_int_equal(out.code, QL_E_ARGUMENT);
    ql_render render = {.messages = "[]", .tools = "{}"};
    out = run("x", 1, NULL, NULL, &render);
    assert_int_equal(out.code, QL_E_ARGUMENT);
    out = run("x", 1, NULL, NULL, &(ql_render){0});
    assert_int_equal(out.code, QL_E_ARGUMENT);
    char *deep = calloc(1, 3001);
    memset(deep, '[', 1500);
    memset(deep + 1500, ']', 1500);
    char *messages = malloc(4000);
    snprintf(messages, 4000, "[{\"role\":\"user\",\"content\":%s}]", deep);
    out = run_simple("{{ messages }}", messages, NULL);
    assert_int_equal(out.code, QL_E_ARGUMENT);
    free(deep);
    free(messages);
    outcome bad = run("\xff", 1, NULL, NULL, &render);
    assert_int_equal(bad.code, QL_E_TEMPLATE);
}

// ---- limits

static void assert_limit(const char *source, size_t len, const char *message)
{
    ql_render render = {.messages = "[{\"role\":\"user\",\"content\":\"hi\"}]", .has_now = true};
    outcome out = run(source, len, "", "", &render);
    if (out.code != QL_E_TEMPLATE || !strstr(out.err.message, message))
        fail_msg("%.80s: code %d, \"%s\"", source, out.code, out.err.message);
    drop(&out);
}

static void hostile_templates_end_at_a_limit(void **state)
{
    (void)state;
#define NS "{% set ns = namespace(s='ab', l=['ab'], t=()) %}"
#define TIMES(n, body) "{% for i in range(" #n ") %}" body "{% endfor %}"
    static const char *const cases[][2] = {
        {"{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "call depth 128"},
        {"{% macro f() %}{% call f() %}{% endcall %}{% endmacro %}{{ f() }}", "takes no keyword argument"},
        {"{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}", "call depth 128"},
        {"{% block a %}{{ self.a() }}{% endblock %}", "call depth 128"},
        {"{% for i in range(10**9) %}{% endfor %}", "range too big"},
        {TIMES(100000, TIMES(100000, "")), "step limit 1000000"},
        {TIMES(100000, TIMES(100000, "x")), "step limit 1000000"},
        {NS TIMES(60, "{% set ns.s = ns.s ~ ns.s %}") "{{ ns.s }}", "output limit 4 MB"},
        {NS TIMES(60, "{% set ns.s = ns.s + ns.s %}") "{{ ns.s }}", "output limit 4 MB"},
        {NS TIMES(60, "{% set ns.l = ns.l + ns.l %}"), "limit"},
        {NS TIMES(60, "{% set ns.l = [ns.l, ns.l] %}") "{{ ns.l }}", "limit"},
        {NS TIMES(60, "{% set ns.l = [ns.l, ns.l] %}") "{{ ns.l|tojson }}", "limit"},
        {NS "{% set ns.t = ['ab'] %}" TIMES(60, "{% set ns.l = [ns.l, ns.l] %}{% set ns.t = [ns.t, ns.t] %}")
         "{{ ns.l == ns.t }}", "step limit"},
        {NS TIMES(20000, "{% set ns.l = [ns.l] %}") "{{ ns.l }}", "call depth 128"},
        {NS TIMES(20000, "{% set ns.l = [ns.l] %}") "{{ ns.l|tojson }}", "call depth 128"},
        {NS TIMES(20000, "{% set ns.t = (ns.t,) %}") "{{ {ns.t: 1} }}", "call depth 128"},
        {NS "{% set ns.t = ['ab'] %}" TIMES(5000, "{% set ns.l = [ns.l] %}{% set ns.t = [ns.t] %}") "{{ ns.l < ns.t }}",
         "nested more than"},
        {NS TIMES(20000, "{% set ns.l = ns.l|map('string') %}") "{{ ns.l|list }}", "call depth 128"},
        {"{{ 'a' * 10**9 }}", "output limit"},
        {"{{ '%99999999d'|format(1) }}", "output limit"},
        {"{{ '%.99999999f'|format(1) }}", "output limit"},
        {"{{ '{:99999999}'.format(1) }}", "output limit"},
        {"{{ 'x'.center(10**9) }}", "output limit"},
        {"{{ 'x'|indent(10**9) }}", "output limit"},
        {"{{ 'x'.zfill(10**9) }}", "output limit"},
        {"{{ '\t'.expandtabs(10**9) }}", "output limit"},
        {"{{ strftime_now('%0500000d') }}", "output limit"},
        {"{{ [1] * 10**9 }}", "memory limit"},
        {"{{ range(9)|slice(10**9)|list }}", "limit"},
        {"{{ range(9)|batch(10**9, 1)|list }}", "limit"},
        {"{{ 2**64 }}", "64 bits"},
        {"{{ 9223372036854775807 + 1 }}", "64 bits"},
        {"{{ 99999999999999999999 + 1 }}", "64 bits"},
        {"{{ 1 < 99999999999999999999 }}", "64 bits"},
        {"{{ 99999999999999999999|abs }}", "64 bits"},
        {"{{ (-9223372036854775807 - 1)|abs }}", "64 bits"},
        {"{{ (-9223372036854775807 - 1) // -1 }}", "64 bits"},
        {"{% set s = 'a' * 4000000 %}" TIMES(100000, "{{ s.find('b') }}{{ s|upper|length }}"), "limit"},
        {"{% set s = '\xc3\xa9' * 2000000 %}" TIMES(100000, "{{ s[i] }}"), "limit"},
        {"{{ ('\xce\xa3\\u0345' * 500000)|lower|length }}", "limit"},
        {"{% set s = 'a' * 2000 %}{{ s.replace('a', s).replace('a', s) }}", "output limit"},
        {"{{ ('a ' * 2000000)|wordwrap(3) }}", "limit"},
        {"{{ ('{' * 1000000).format() }}{{ ('{a' * 1000 ~ '}' * 1000).format(a=1) }}", "chat_template"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_limit(cases[i][0], strlen(cases[i][0]), cases[i][1]);
}

static void repeated(const char *before, const char *part, size_t n, const char *after, const char *message)
{
    ql_buf source = {0};
    ql_buf_append_str(&source, before);
    for (size_t i = 0; i < n; i++)
        ql_buf_append_str(&source, part);
    ql_buf_append_str(&source, after);
    assert_false(source.failed);
    assert_limit(source.data, source.len, message);
    ql_buf_free(&source);
}

static void long_sources_end_at_a_limit(void **state)
{
    (void)state;
    repeated("{{ ", "(", 100000, "1", "nesting 200");
    repeated("{{ ", "not ", 100000, "1 }}", "nesting 200");
    repeated("{{ ", "-", 100000, "1 }}", "nesting 200");
    repeated("{{ ", "[", 100000, "", "nesting 200");
    repeated("{{ ", "a(", 100000, "", "nesting 200");
    repeated("{{ ", "1 if 1 else ", 10000, "1 }}", "nesting 200");
    repeated("", "{% if 1 %}", 10000, "", "nesting 200");
    repeated("", "{% macro a() %}", 10000, "", "nesting 200");
    repeated("{{ ", "1 + ", 100000, "1 }}", "1000 operators");
    repeated("{{ x", ".a", 100000, " }}", "1000 operators");
    repeated("{{ x", "|upper", 100000, " }}", "1000 operators");
    repeated("{% if 0 %}", "{% elif 0 %}", 200000, "{% endif %}", "limit");
    repeated("", "x", 5000000, "", "4194304");
    repeated("", "{# ", 100000, "", "missing end of comment tag");
}

// The evaluator's recursion has a bound of its own: expressions may be deep in every one of the nested calls.
static void deep_expressions_in_deep_calls(void **state)
{
    (void)state;
    ql_buf source = {0};
    ql_buf_append_str(&source, "{% macro f() %}");
    for (int i = 0; i < 150; i++)
        ql_buf_append_str(&source, "{% if 1 %}");
    ql_buf_append_str(&source, "{{ ");
    for (int i = 0; i < 900; i++)
        ql_buf_append_str(&source, "'' ~ f() + ");
    ql_buf_append_str(&source, "'' }}");
    for (int i = 0; i < 150; i++)
        ql_buf_append_str(&source, "{% endif %}");
    ql_buf_append_str(&source, "{% endmacro %}{{ f() }}");
    assert_limit(source.data, source.len, "call depth 128");
    ql_buf_free(&source);
}

// A text that a template collects piece by piece does not cost its square.
static void collecting_text_is_linear(void **state)
{
    (void)state;
    assert_text("{% set ns = namespace(s='') %}{% for i in range(20000) %}{% set ns.s = ns.s + 'abcdefghij' %}"
                "{% endfor %}{{ ns.s|length }}", NULL, "200000");
    assert_text("{% set ns = namespace(s='') %}{% for i in range(20000) %}{% set ns.s = ns.s ~ m ~ 'x' %}{% endfor %}"
                "{{ ns.s|length }}", "{\"m\": \"12345\"}", "120000");
    // Strings that share a beginning stay what they were.
    assert_text("{% set a = 'x' * 100 %}{% set b = a ~ 'b' %}{% set c = b ~ 'c' %}{% set d = b ~ 'd' %}"
                "{{ b[-1] }}{{ c[-2:] }}{{ d[-2:] }}{{ a|length }}", NULL, "bbcbd100");
}

// ---- origin

// In want, bytes of the input are between parentheses.
static void assert_origin(const char *source, const char *want)
{
    outcome out = run_simple(
        source, "[{\"role\":\"user\",\"content\":\"in\"},{\"role\":\"u|>\",\"content\":\" a,b \"}]",
        "{\"v\":\"val\",\"n\":7,\"d\":{\"k\":\"w\"},\"l\":[\"p\",\"q\"],\"t\":true,\"u\":\"\xc3\xa9\"}");
    ql_buf got = {0};
    if (out.code != QL_OK)
        fail_msg("%s: %s", source, out.err.message);
    assert_int_equal(out.text.len, out.origin.len);
    for (size_t i = 0; i < out.text.len; i++) {
        bool input = out.origin.data[i] == 1, before = i > 0 && out.origin.data[i - 1] == 1;
        assert_true((uint8_t)out.origin.data[i] <= 1);
        if (input != before)
            ql_buf_append_byte(&got, input ? '(' : ')');
        ql_buf_append_byte(&got, out.text.data[i]);
    }
    if (out.text.len && out.origin.data[out.text.len - 1] == 1)
        ql_buf_append_byte(&got, ')');
    assert_string_equal(got.data ? got.data : "", want);
    ql_buf_free(&got);
    drop(&out);
}

static void bytes_know_where_they_come_from(void **state)
{
    (void)state;
    assert_origin("<a>{{ bos_token }}{{ 'lit' }}{{ eos_token }}", "<a><s>lit</s>");
    assert_origin("<{{ messages[0].content }}>", "<(in)>");
    assert_origin("{{ '<' + messages[0].content + '>' ~ v ~ 1 }}", "<(in)>(val)1");
    assert_origin("{{ ('<' ~ v ~ '>')[1:] }}{{ ('<' ~ v ~ '>')[0:2] }}{{ ('<' ~ v ~ '>')[::-1] }}",
                  "(val)><(v)>(lav)<");
    assert_origin("{{ (' ' ~ v ~ ' x ')|trim }}{{ messages[1].content.strip() }}", "(val) x(a,b)");
    assert_origin("{{ messages[1].content.split(',')|join('|') }}", "( a)|(b )");
    assert_origin("{{ l|join('<>') }}{{ '-'.join(l) }}{{ v.join(['1','2']) }}", "(p)<>(qp)-(q)1(val)2");
    assert_origin("{{ 'a%sb'|format(v) }}{{ '%s' % n }}{{ 'x{}y'.format(v) }}", "a(val)b(7)x(val)y");
    assert_origin("{{ ('x' ~ v)|upper }}{{ ('x' ~ u)|upper }}{{ ('x' ~ v)|title }}", "X(VAL)X(\xc3\x89)X(val)");
    assert_origin("{{ 'a-a'|replace('-', v) }}{{ v|replace('a', '<>') }}", "a(val)a(v)<>(l)");
    assert_origin("{{ d|tojson }}", "({\"k\": \"w\"})");
    assert_origin("{{ l }}{{ l|string }}{{ n }}{{ t }}{{ n + 1 }}", "(['p', 'q']['p', 'q']7True8)");
    assert_origin("{{ 1 + 2 }}{{ true }}{{ messages|length }}", "3True2");
    assert_origin("{% set x %}<{{ v }}>{% endset %}{{ x }}{{ x|length }}", "<(val)>5");
    assert_origin("{% macro m(a) %}[{{ a }}]{% endmacro %}{{ m(v) ~ m('y') }}", "[(val)][y]");
    assert_origin("{{ strftime_now('%Y') }}", "(1970)");
    assert_origin("{{ v|indent(1, true) }}{{ ('x' ~ v)|center(8) }}{{ v|e }}", " (val)  x(val)  (val)");
    assert_origin("{% for c in 'x' ~ v %}{{ c }}{% endfor %}{{ v|first }}{{ v|list|last }}", "x(valvl)");
    assert_origin("{{ d.keys()|first }}{% for k, w in d|items %}{{ k }}={{ w }}{% endfor %}", "(kk)=(w)");
    // The role of a message spells control tokens in many templates; only words of the protocol may.
    assert_origin("{% for m in messages %}<|{{ m.role }}|>{% endfor %}", "<|user|><|(u|>)|>");
}

static void integers_beyond_64_bits_print(void **state)
{
    (void)state;
    const char *variables = "{\"u\": 18446744073709551615, \"v\": {\"maximum\": -123456789012345678901234567890, "
                            "\"minimum\": -9223372036854775808}}";
    assert_text("{{ u }} {{ u ~ '' }} {{ [u] }} {{ u|int }} {{ u|float }} {{ u is number }} {{ u is integer }} {{ u == u }} "
                "{{ u in [1, u] }} {{ 18446744073709551615 == u }} {{ u == 1 }} {{ 'y' if u }}",
                variables,
                "18446744073709551615 18446744073709551615 [18446744073709551615] 18446744073709551615 "
                "1.8446744073709552e+19 True True True True True False y");
    assert_text("{{ v|tojson }}", variables,
                "{\"maximum\": -123456789012345678901234567890, \"minimum\": -9223372036854775808}");
}

// ---- threads, locale

static void the_locale_does_not_matter(void **state)
{
    (void)state;
    const char *names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE", NULL};
    for (int i = 0; names[i]; i++) {
        if (!setlocale(LC_ALL, names[i]))
            continue;
        assert_text("{{ 1.5 }}{{ '2.5'|float }}{{ '%.1f' % 3.5 }}{{ x }}{{ strftime_now('%A') }}", "{\"x\": 4.5}",
                    "1.52.53.54.5Thursday");
        assert_string_equal(localeconv()->decimal_point, ",");
        setlocale(LC_ALL, "C");
        return;
    }
    print_message("no locale with a decimal comma here: not tested\n");
    skip();
}

static void rendering_twice_is_the_same(void **state)
{
    (void)state;
    const char *source = "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}"
                         "{{ ns.n }}{{ cycler('a', 'b').next() }}{{ 'lit' ~ messages[0].content }}";
    ql_error err = {0};
    ql_template *tmpl = ql_template_open(source, strlen(source), NULL, NULL, &err);
    assert_non_null(tmpl);
    for (int i = 0; i < 3; i++) {
        ql_render render = {.messages = "[{\"content\":\"x\"},{}]"};
        char *text;
        size_t len;
        assert_int_equal(ql_template_render(tmpl, &render, &text, &len, &err), QL_OK);
        assert_string_equal(text, "2alitx");
        assert_int_equal(len, 6);
        ql_free(text);
    }
    ql_template_close(tmpl);
    ql_template_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_cases_are_equal),
        cmocka_unit_test(templates_of_models_are_equal),
        cmocka_unit_test(errors_tell_the_place),
        cmocka_unit_test(wrong_input_is_an_argument_error),
        cmocka_unit_test(hostile_templates_end_at_a_limit),
        cmocka_unit_test(long_sources_end_at_a_limit),
        cmocka_unit_test(deep_expressions_in_deep_calls),
        cmocka_unit_test(collecting_text_is_linear),
        cmocka_unit_test(bytes_know_where_they_come_from),
        cmocka_unit_test(integers_beyond_64_bits_print),
        cmocka_unit_test(the_locale_does_not_matter),
        cmocka_unit_test(rendering_twice_is_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
