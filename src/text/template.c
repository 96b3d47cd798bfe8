// SPDX-License-Identifier: MIT
// Owns the life of a chat template: compile, render, free. The interpreter is in jinja_*.c; this file has its two
// setjmp, and sets the C locale for the calling thread while numbers and times are read and printed.
#include "text/template.h"

#include <locale.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "text/jinja_eval.h"
#include "text/jinja_input.h"

static ql_code check_utf8(const char *text, size_t len, const char *name, ql_error *err)
{
    uint32_t cp;
    for (size_t i = 0; i < len;) {
        int n = ql_utf8_decode(text + i, len - i, &cp);
        if (n < 0)
            return ql_fail(err, QL_E_TEMPLATE, "%s: not UTF-8 at byte %zu", name, i);
        i += (size_t)n;
    }
    return QL_OK;
}

// The setjmp of compiling. tmpl->memory is the run.
static ql_code compile(ql_template *tmpl, const char *source, size_t len, const char *bos, const char *eos)
{
    ql_jinja *j = &tmpl->memory;
    if (setjmp(j->failed))
        return j->code;
    tmpl->bos = ql_j_str(j, bos ? bos : "", bos ? strlen(bos) : 0, false);
    tmpl->eos = ql_j_str(j, eos ? eos : "", eos ? strlen(eos) : 0, false);
    ql_j_str_hash((ql_jstr *)tmpl->bos);
    ql_j_str_hash((ql_jstr *)tmpl->eos);
    ql_j_parse(j, source, len, tmpl);
    ql_j_bind_names(j, tmpl);
    return QL_OK;
}

static ql_code open_template(ql_template *tmpl, const char *source, size_t len, const char *bos, const char *eos,
                             ql_error *err)
{
    QL_TRY(check_utf8(source, len, "chat_template", err));
    QL_TRY(check_utf8(bos ? bos : "", bos ? strlen(bos) : 0, "bos_token", err));
    QL_TRY(check_utf8(eos ? eos : "", eos ? strlen(eos) : 0, "eos_token", err));
    ql_j_start(&tmpl->memory, err);
    tmpl->memory.steps *= 2; // a step of compiling is less work
    return compile(tmpl, source, len, bos, eos);
}

ql_template *ql_template_open(const char *source, size_t len, const char *bos, const char *eos, ql_error *err)
{
    if (!source && len) {
        ql_fail(err, QL_E_ARGUMENT, "source is NULL");
        return NULL;
    }
    ql_template *tmpl = calloc(1, sizeof *tmpl);
    if (!tmpl) {
        ql_fail_memory(err, sizeof *tmpl);
        return NULL;
    }
    locale_t own = uselocale(newlocale(LC_ALL_MASK, "C", (locale_t)0));
    ql_code code = open_template(tmpl, source, len, bos, eos, err);
    uselocale(own);
    tmpl->memory.err = NULL; // the caller's, gone after this
    if (code == QL_OK)
        return tmpl;
    ql_template_close(tmpl);
    return NULL;
}

void ql_template_close(ql_template *tmpl)
{
    if (!tmpl)
        return;
    ql_j_free(&tmpl->memory);
    free(tmpl);
}

static void add_globals(ql_jinja *j, const ql_template *tmpl)
{
    for (const ql_jglobal *global = ql_j_globals; global->name; global++)
        ql_j_set(j, j->variables, ql_j_strv(ql_j_cstr(j, global->name)),
                 (ql_jval){.type = QL_J_FUNC, .u.func = global});
    ql_j_set(j, j->variables, ql_j_strv(ql_j_cstr(j, "bos_token")), ql_j_strv(tmpl->bos));
    ql_j_set(j, j->variables, ql_j_strv(ql_j_cstr(j, "eos_token")), ql_j_strv(tmpl->eos));
}

// The setjmp of rendering. The text stays in the memory of j.
static ql_code run(ql_jinja *j, const ql_template *tmpl, const ql_render *render, ql_jbuild *out)
{
    if (setjmp(j->failed))
        return j->code;
    ql_j_build(j, out);
    j->tmpl = tmpl;
    j->out = out;
    j->variables = ql_j_dict(j);
    j->exported = tmpl->n_blocks ? ql_j_dict(j) : NULL;
    add_globals(j, tmpl);
    ql_j_add_input(j, j->variables, render);
    j->steps = QL_J_MAX_STEPS; // large messages leave all steps to the template
    ql_jenv *env = ql_j_env(j, NULL, tmpl->n_slots);
    ql_j_enter_scope(j, env, &tmpl->scope);
    ql_j_exec(j, env, tmpl->body);
    return QL_OK;
}

static ql_code deliver(const ql_jbuild *out, ql_buf *text, ql_buf *origin, ql_error *err)
{
    ql_buf_append(text, out->s, out->len);
    if (origin && out->origin) {
        ql_buf_append(origin, out->origin, out->len);
    } else if (origin) {
        char *at = ql_buf_reserve(origin, out->len);
        if (at) {
            memset(at, out->input, out->len);
            origin->len += out->len;
            origin->data[origin->len] = 0;
        }
    }
    return text->failed || (origin && origin->failed) ? ql_fail_memory(err, out->len) : QL_OK;
}

// limited: NULL, or told whether an error was one of the limits.
static ql_code render_to(const ql_template *tmpl, const ql_render *render, bool chat, ql_buf *text, ql_buf *origin,
                         bool *limited, ql_error *err)
{
    ql_jinja j;
    ql_jbuild out;
    locale_t own = uselocale(newlocale(LC_ALL_MASK, "C", (locale_t)0));
    ql_j_start(&j, err);
    j.chat = chat;
    j.has_now = render->has_now;
    j.now = render->now;
    ql_code code = run(&j, tmpl, render, &out);
    if (code == QL_OK)
        code = deliver(&out, text, origin, err);
    if (limited)
        *limited = j.limited;
    ql_j_free(&j);
    uselocale(own);
    return code;
}

ql_code ql_template_render_buf(const ql_template *tmpl, const ql_render *render, ql_buf *text, ql_buf *origin,
                               ql_error *err)
{
    return render_to(tmpl, render, false, text, origin, NULL, err);
}

ql_code ql_template_render_chat(const ql_template *tmpl, const ql_render *render, ql_buf *text, ql_buf *origin,
                                ql_error *err)
{
    return render_to(tmpl, render, true, text, origin, NULL, err);
}

ql_code ql_template_probe(const ql_template *tmpl, ql_error *err)
{
    ql_buf text = {0};
    bool limited = false;
    ql_error problem = {0};
    ql_render render = {.messages = "[{\"role\": \"user\", \"content\": \"Hi\"}]", .add_generation_prompt = true,
                        .has_now = true};
    ql_code code = render_to(tmpl, &render, true, &text, NULL, &limited, &problem);
    ql_buf_free(&text);
    if (code == QL_OK || !limited)
        return QL_OK;
    if (err)
        *err = problem;
    return code;
}

ql_code ql_template_render(const ql_template *tmpl, const ql_render *render, char **text, size_t *len, ql_error *err)
{
    ql_buf buf = {0};
    ql_code code = ql_template_render_buf(tmpl, render, &buf, NULL, err);
    if (code == QL_OK)
        return ql_buf_take(&buf, text, len, err);
    ql_buf_free(&buf);
    return code;
}
