// SPDX-License-Identifier: MIT
// _quantllm.Model: an open model. close() may come from any thread while others compute: it cancels the generations of
// the model's sessions, and the last call that still uses the library's handle frees it.
#include "extension.h"

#include <string.h>
#include <unistd.h>

// ---- opening ----

static int open_model(Model *self, const char *path, ql_model_options *options, PyObject *progress, PyObject *log)
{
    ql_py_listener load = {.progress = progress, .log = log};
    ql_error err = {0};
    if (progress != Py_None) {
        options->progress = ql_py_report_progress;
        options->progress_user = &load;
    }
    if (log != Py_None) {
        options->log = ql_py_report_line;
        options->log_user = &load;
    }
    load.thread = PyEval_SaveThread();
    ql_model *model = ql_model_open(path, options, &err);
    PyEval_RestoreThread(load.thread);
    self->model = model;
    if (load.type)
        PyErr_Restore(load.type, load.value, load.traceback);
    else if (!model)
        ql_py_raise((PyObject *)self, &err);
    return PyErr_Occurred() || PyErr_CheckSignals() < 0 ? -1 : 0;
}

static void model_dealloc(Model *self)
{
    if (self->model && getpid() == self->pid) // a forked child has no threads to end: it leaves the memory as it is
        ql_model_close(self->model);
    ql_py_dealloc((PyObject *)self);
}

// ---- using and closing ----

// The library's handle for one call, which gives it back with leave(); NULL with an exception.
static ql_model *enter(Model *self)
{
    if (ql_py_check_process(self->pid) < 0)
        return NULL;
    if (self->closed) {
        PyErr_SetString(PyExc_ValueError, "model is closed");
        return NULL;
    }
    self->n_users++;
    return self->model;
}

static void leave(Model *self)
{
    self->n_users--;
    if (!self->closed || self->n_users > 0 || !self->model)
        return;
    ql_model *model = self->model;
    self->model = NULL;
    Py_BEGIN_ALLOW_THREADS
    ql_model_close(model);
    Py_END_ALLOW_THREADS
}

static PyObject *model_close(Model *self, PyObject *unused)
{
    (void)unused;
    if (!self->closed && getpid() == self->pid) {
        self->closed = true;
        ql_py_sessions_cancel(self);
        self->n_users++;
        leave(self);
    }
    Py_RETURN_NONE;
}

static PyObject *model_closed(Model *self, void *unused)
{
    (void)unused;
    return PyBool_FromLong(self->closed);
}

// ---- methods ----

static PyObject *model_session(Model *self, PyObject *unused)
{
    module_state *state = PyType_GetModuleState(Py_TYPE((PyObject *)self));
    (void)unused;
    if (!enter(self))
        return NULL;
    PyObject *session = ql_py_session_new(self, state->session_type);
    leave(self);
    return session;
}

// A string that came from the model file.
static PyObject *file_text(const char *text)
{
    return text ? PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace") : Py_NewRef(Py_None);
}

// ---- opening ----

// draft: a Model, which lives as long as what it drafts for, or None.
static int open_with(Model *self, const char *path, ql_model_options *options, PyObject *draft, PyObject *progress,
                     PyObject *log)
{
    if (draft == Py_None)
        return open_model(self, path, options, progress, log);
    if (!PyObject_TypeCheck(draft, Py_TYPE((PyObject *)self))) {
        PyErr_SetString(PyExc_TypeError, "draft must be a Model or None");
        return -1;
    }
    options->draft = enter((Model *)draft);
    if (!options->draft)
        return -1;
    int result = open_model(self, path, options, progress, log);
    leave((Model *)draft);
    return result;
}

static PyObject *model_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    const char *path;
    PyObject *quantization, *kv_cache, *draft, *chat_template, *progress, *log;
    ql_model_options options = {0};
    unsigned max_length;
    int cache;
    (void)kwargs;
    if (!PyArg_ParseTuple(args, "yiIiOOOOpOO:Model", &path, &options.threads, &max_length, &options.bits, &quantization,
                          &kv_cache, &draft, &chat_template, &cache, &progress, &log) ||
        ql_py_string(quantization, "quantization", &options.quantization) < 0 ||
        ql_py_string(kv_cache, "kv_cache", &options.kv_cache) < 0 ||
        ql_py_string(chat_template, "chat_template", &options.chat_template) < 0)
        return NULL;
    options.max_length = max_length;
    options.no_cache = !cache;
    Model *self = ql_py_alloc(type);
    if (!self)
        return NULL;
    self->pid = getpid();
    if (open_with(self, path, &options, draft, progress, log) < 0)
        Py_CLEAR(self);
    return (PyObject *)self;
}

static PyObject *model_info(Model *self, PyObject *unused)
{
    ql_model_info info;
    ql_model *model = enter(self);
    (void)unused;
    if (!model)
        return NULL;
    ql_model_get_info(model, &info);
    typedef unsigned long long u64;
    PyObject *result = Py_BuildValue(
        "{ss sN ss ss ss ss sN sK sK sK sK sK sd sN sI sI sI sI sI si}",
        "architecture", info.architecture, "name", file_text(info.name), "file_type", info.file_type,
        "quantization", info.quantization, "kv_cache", info.kv_cache, "isa", info.isa, "chat_template", file_text(info.chat_template),
        "n_params", (u64)info.n_params, "file_bytes", (u64)info.file_bytes, "weight_bytes", (u64)info.weight_bytes,
        "kv_bytes", (u64)info.kv_bytes, "bytes_per_token", (u64)info.bytes_per_token,
        "load_seconds", info.load_seconds, "from_cache", PyBool_FromLong(info.from_cache), "n_vocab", (unsigned)info.n_vocab, "n_layers", (unsigned)info.n_layers,
        "n_embd", (unsigned)info.n_embd, "context_length", (unsigned)info.context_length,
        "max_length", (unsigned)info.max_length, "threads", info.threads);
    leave(self);
    return result;
}

// The model's own recommendation for each sampling parameter.
static PyObject *model_default_params(Model *self, PyObject *unused)
{
    ql_model *model = enter(self);
    (void)unused;
    if (!model)
        return NULL;
    ql_params p = ql_model_default_params(model);
    leave(self);
    return Py_BuildValue("{si sd sd si sd sd sd sd sd sN}", "max_new_tokens", (int)p.max_new_tokens, "temperature",
                         p.temperature, "top_p", p.top_p, "top_k", (int)p.top_k, "min_p", p.min_p, "typical_p",
                         p.typical_p, "repetition_penalty", p.repetition_penalty, "frequency_penalty",
                         p.frequency_penalty, "presence_penalty", p.presence_penalty, "do_sample",
                         PyBool_FromLong(p.do_sample));
}

static PyObject *model_tokenize(Model *self, PyObject *args)
{
    ql_model *model = enter(self);
    if (!model)
        return NULL;
    PyObject *result = ql_py_tokenize((PyObject *)self, ql_model_tokenizer(model), args);
    leave(self);
    return result;
}

static PyObject *model_detokenize(Model *self, PyObject *args)
{
    ql_model *model = enter(self);
    if (!model)
        return NULL;
    PyObject *result = ql_py_detokenize((PyObject *)self, ql_model_tokenizer(model), args);
    leave(self);
    return result;
}

static PyObject *model_vocab_info(Model *self, PyObject *unused)
{
    ql_model *model = enter(self);
    (void)unused;
    if (!model)
        return NULL;
    PyObject *result = ql_py_vocab_info(ql_model_tokenizer(model));
    leave(self);
    return result;
}

static PyObject *model_render(Model *self, PyObject *args)
{
    ql_render render;
    ql_model *model = ql_py_render_args(args, &render) < 0 ? NULL : enter(self);
    if (!model)
        return NULL;
    char *text = NULL;
    size_t len = 0;
    ql_error err = {0};
    ql_code code;
    Py_BEGIN_ALLOW_THREADS
    code = ql_model_render(model, &render, &text, &len, &err);
    Py_END_ALLOW_THREADS
    leave(self);
    return code == QL_OK ? ql_py_take_text(text, len) : ql_py_raise((PyObject *)self, &err);
}

static PyObject *model_render_ids(Model *self, PyObject *args)
{
    ql_render render;
    ql_model *model = ql_py_render_args(args, &render) < 0 ? NULL : enter(self);
    if (!model)
        return NULL;
    int32_t *ids = NULL;
    size_t n = 0;
    ql_error err = {0};
    ql_code code;
    Py_BEGIN_ALLOW_THREADS
    code = ql_model_render_ids(model, &render, &ids, &n, &err);
    Py_END_ALLOW_THREADS
    leave(self);
    return code == QL_OK ? ql_py_take_ids(ids, n) : ql_py_raise((PyObject *)self, &err);
}

static PyMethodDef model_methods[] = {
    {"session", (PyCFunction)model_session, METH_NOARGS, "session() -> Session"},
    {"info", (PyCFunction)model_info, METH_NOARGS, "info() -> dict"},
    {"default_params", (PyCFunction)model_default_params, METH_NOARGS, "default_params() -> dict, the model's own"},
    {"tokenize", (PyCFunction)model_tokenize, METH_VARARGS, "tokenize(text, flags) -> list of ids"},
    {"detokenize", (PyCFunction)model_detokenize, METH_VARARGS, "detokenize(ids, flags) -> text"},
    {"vocab_info", (PyCFunction)model_vocab_info, METH_NOARGS, "vocab_info() -> dict"},
    {"render", (PyCFunction)model_render, METH_VARARGS,
     "render(messages, tools, variables, add_generation_prompt, now) -> text; the first three are JSON or None"},
    {"render_ids", (PyCFunction)model_render_ids, METH_VARARGS, "as render, then to a list of ids"},
    {"close", (PyCFunction)model_close, METH_NOARGS, "close(): ends all generations and frees the model"},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef model_getset[] = {
    {"closed", (getter)model_closed, NULL, "whether close() was called", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot model_slots[] = {
    {Py_tp_doc, "Model(path: bytes, threads, max_length, bits, quantization, kv_cache, draft, chat_template, cache, progress, log)"},
    {Py_tp_new, model_new},
    {Py_tp_dealloc, model_dealloc},
    {Py_tp_methods, model_methods},
    {Py_tp_getset, model_getset},
    {0, NULL},
};

PyType_Spec ql_py_model_spec = {
    .name = "quantllm._quantllm.Model",
    .basicsize = sizeof(Model),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = model_slots,
};
