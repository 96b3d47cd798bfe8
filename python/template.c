// SPDX-License-Identifier: MIT
// _quantllm.Template: a compiled chat template. It does not change once compiled: threads share it without a lock.
#include "extension.h"

typedef struct Template {
    PyObject_HEAD
    ql_template *tmpl;
} Template;

static PyObject *template_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *source, *bos_object, *eos_object;
    const char *bos, *eos;
    size_t len;
    (void)kwargs;
    if (!PyArg_ParseTuple(args, "OOO:Template", &source, &bos_object, &eos_object))
        return NULL;
    const char *text = ql_py_text(source, "source", &len);
    if (!text || ql_py_string(bos_object, "bos_token", &bos) < 0 || ql_py_string(eos_object, "eos_token", &eos) < 0)
        return NULL;
    Template *self = ql_py_alloc(type);
    if (!self)
        return NULL;
    ql_error err = {0};
    ql_template *tmpl;
    Py_BEGIN_ALLOW_THREADS
    tmpl = ql_template_open(text, len, bos, eos, &err);
    Py_END_ALLOW_THREADS
    self->tmpl = tmpl;
    if (!tmpl) {
        ql_py_raise((PyObject *)self, &err);
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static void template_dealloc(Template *self)
{
    if (self->tmpl)
        ql_template_close(self->tmpl);
    ql_py_dealloc((PyObject *)self);
}

static PyObject *template_render(Template *self, PyObject *args)
{
    ql_render render;
    if (ql_py_render_args(args, &render) < 0)
        return NULL;
    char *text;
    size_t len;
    ql_error err = {0};
    ql_code code;
    Py_BEGIN_ALLOW_THREADS
    code = ql_template_render(self->tmpl, &render, &text, &len, &err);
    Py_END_ALLOW_THREADS
    return code == QL_OK ? ql_py_take_text(text, len) : ql_py_raise((PyObject *)self, &err);
}

static PyMethodDef template_methods[] = {
    {"render", (PyCFunction)template_render, METH_VARARGS,
     "render(messages, tools, variables, add_generation_prompt, now) -> text; the first three are JSON or None"},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot template_slots[] = {
    {Py_tp_doc, "Template(source, bos_token, eos_token)"},
    {Py_tp_new, template_new},
    {Py_tp_dealloc, template_dealloc},
    {Py_tp_methods, template_methods},
    {0, NULL},
};

PyType_Spec ql_py_template_spec = {
    .name = "quantllm._quantllm.Template",
    .basicsize = sizeof(Template),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = template_slots,
};
