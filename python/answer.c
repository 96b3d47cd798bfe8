// SPDX-License-Identifier: MIT
// _quantllm.Answer: an answer being taken apart. Its calls are short: the GIL is never released, and serializes them.
#include "extension.h"

typedef struct Answer {
    PyObject_HEAD
    ql_answer *answer;
} Answer;

static PyObject *answer_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *source, *prompt, *tools;
    ql_answer_options options = {0};
    (void)kwargs;
    if (!PyArg_ParseTuple(args, "OOO:Answer", &source, &prompt, &tools) ||
        ql_py_string(source, "chat_template", &options.chat_template) < 0 ||
        ql_py_string(tools, "tools", &options.tools) < 0)
        return NULL;
    if (prompt != Py_None && !(options.prompt = ql_py_text(prompt, "prompt", &options.prompt_len)))
        return NULL;
    Answer *self = ql_py_alloc(type);
    ql_error err = {0};
    if (!self)
        return NULL;
    self->answer = ql_answer_open(&options, &err);
    if (!self->answer) {
        ql_py_raise((PyObject *)self, &err);
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static void answer_dealloc(Answer *self)
{
    ql_answer_close(self->answer);
    ql_py_dealloc((PyObject *)self);
}

static PyObject *answer_feed(Answer *self, PyObject *args)
{
    PyObject *object;
    int last;
    size_t len;
    ql_error err = {0};
    if (!PyArg_ParseTuple(args, "Op:feed", &object, &last))
        return NULL;
    const char *text = ql_py_text(object, "text", &len);
    if (!text)
        return NULL;
    if (ql_answer_feed(self->answer, text, len, last, &err) != QL_OK)
        return ql_py_raise((PyObject *)self, &err);
    return Py_NewRef(Py_None);
}

static PyObject *answer_parts(Answer *self, PyObject *unused)
{
    ql_answer_parts parts;
    (void)unused;
    ql_answer_get(self->answer, &parts);
    return Py_BuildValue("(s#s#s#s#)", parts.content, (Py_ssize_t)parts.content_len, parts.reasoning,
                         (Py_ssize_t)parts.reasoning_len, parts.tool_calls, (Py_ssize_t)parts.tool_calls_len, parts.raw,
                         (Py_ssize_t)parts.raw_len);
}

static PyMethodDef answer_methods[] = {
    {"feed", (PyCFunction)answer_feed, METH_VARARGS, "feed(text, last)"},
    {"parts", (PyCFunction)answer_parts, METH_NOARGS, "parts() -> (content, reasoning, tool calls as JSON, raw)"},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot answer_slots[] = {
    {Py_tp_doc, "Answer(chat_template, prompt, tools); the last is JSON or None"},
    {Py_tp_new, answer_new},
    {Py_tp_dealloc, answer_dealloc},
    {Py_tp_methods, answer_methods},
    {0, NULL},
};

PyType_Spec ql_py_answer_spec = {
    .name = "quantllm._quantllm.Answer",
    .basicsize = sizeof(Answer),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = answer_slots,
};
