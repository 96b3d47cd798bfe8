// SPDX-License-Identifier: MIT
// _quantllm.Tokenizer, and the calls it shares with a model's own tokenizer. A tokenizer does not change once it is
// open and has no threads: it is used without a lock, and also after a fork.
#include "extension.h"

typedef struct Tokenizer {
    PyObject_HEAD
    ql_tokenizer *tokenizer;
} Tokenizer;

// (text, flags) -> list of ids
PyObject *ql_py_tokenize(PyObject *self, const ql_tokenizer *tokenizer, PyObject *args)
{
    PyObject *object;
    unsigned flags;
    size_t len, n;
    if (!PyArg_ParseTuple(args, "OI:tokenize", &object, &flags))
        return NULL;
    const char *text = ql_py_text(object, "text", &len);
    if (!text)
        return NULL;
    int32_t *ids;
    ql_error err = {0};
    ql_code code;
    Py_BEGIN_ALLOW_THREADS
    code = ql_tokenize(tokenizer, text, len, flags, &ids, &n, &err);
    Py_END_ALLOW_THREADS
    return code == QL_OK ? ql_py_take_ids(ids, n) : ql_py_raise(self, &err);
}

// (ids, flags) -> text
PyObject *ql_py_detokenize(PyObject *self, const ql_tokenizer *tokenizer, PyObject *args)
{
    PyObject *list;
    unsigned flags;
    int32_t *ids;
    size_t n, len;
    if (!PyArg_ParseTuple(args, "OI:detokenize", &list, &flags) || ql_py_ids(list, "ids", &ids, &n) < 0)
        return NULL;
    char *text;
    ql_error err = {0};
    ql_code code;
    Py_BEGIN_ALLOW_THREADS
    code = ql_detokenize(tokenizer, ids, n, flags, &text, &len, &err);
    Py_END_ALLOW_THREADS
    PyMem_Free(ids);
    return code == QL_OK ? ql_py_take_text(text, len) : ql_py_raise(self, &err);
}

PyObject *ql_py_vocab_info(const ql_tokenizer *tokenizer)
{
    ql_vocab_info info;
    ql_tokenizer_get_info(tokenizer, &info);
    return Py_BuildValue("{sIsisisisi}", "n_vocab", (unsigned)info.n_vocab, "bos_id", (int)info.bos_id, "eos_id",
                         (int)info.eos_id, "unk_id", (int)info.unk_id, "pad_id", (int)info.pad_id);
}

static PyObject *tokenizer_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    const char *path;
    (void)kwargs;
    if (!PyArg_ParseTuple(args, "y:Tokenizer", &path))
        return NULL;
    Tokenizer *self = ql_py_alloc(type);
    if (!self)
        return NULL;
    ql_error err = {0};
    ql_tokenizer *tokenizer;
    Py_BEGIN_ALLOW_THREADS
    tokenizer = ql_tokenizer_open(path, &err);
    Py_END_ALLOW_THREADS
    self->tokenizer = tokenizer;
    if (!tokenizer) {
        ql_py_raise((PyObject *)self, &err);
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static void tokenizer_dealloc(Tokenizer *self)
{
    if (self->tokenizer)
        ql_tokenizer_close(self->tokenizer);
    ql_py_dealloc((PyObject *)self);
}

static PyObject *tokenizer_tokenize(Tokenizer *self, PyObject *args)
{
    return ql_py_tokenize((PyObject *)self, self->tokenizer, args);
}

static PyObject *tokenizer_detokenize(Tokenizer *self, PyObject *args)
{
    return ql_py_detokenize((PyObject *)self, self->tokenizer, args);
}

static PyObject *tokenizer_vocab_info(Tokenizer *self, PyObject *unused)
{
    (void)unused;
    return ql_py_vocab_info(self->tokenizer);
}

static PyMethodDef tokenizer_methods[] = {
    {"tokenize", (PyCFunction)tokenizer_tokenize, METH_VARARGS, "tokenize(text, flags) -> list of ids"},
    {"detokenize", (PyCFunction)tokenizer_detokenize, METH_VARARGS, "detokenize(ids, flags) -> text"},
    {"vocab_info", (PyCFunction)tokenizer_vocab_info, METH_NOARGS, "vocab_info() -> dict"},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot tokenizer_slots[] = {
    {Py_tp_doc, "Tokenizer(path: bytes): of a GGUF file, a folder with tokenizer.json, or that file."},
    {Py_tp_new, tokenizer_new},
    {Py_tp_dealloc, tokenizer_dealloc},
    {Py_tp_methods, tokenizer_methods},
    {0, NULL},
};

PyType_Spec ql_py_tokenizer_spec = {
    .name = "quantllm._quantllm.Tokenizer",
    .basicsize = sizeof(Tokenizer),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = tokenizer_slots,
};
