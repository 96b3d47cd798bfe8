// SPDX-License-Identifier: MIT
// What the files of the extension module _quantllm share. The module is a thin layer over quantllm.h in CPython's
// limited API (3.11): handles, conversions, the GIL. Names, defaults and types of arguments are checked in Python.
//
// Locking: everything in these structs is read and written with the GIL held, except where a session's lock is named.
#ifndef QUANTLLM_PYTHON_EXTENSION_H
#define QUANTLLM_PYTHON_EXTENSION_H

#ifndef Py_LIMITED_API
#define Py_LIMITED_API 0x030b0000
#endif
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <pythread.h>

#include <stdbool.h>
#include <sys/types.h>

#include "quantllm.h"

typedef struct module_state {
    PyTypeObject *session_type;
    PyObject *template_error;
} module_state;

typedef struct Session Session;

typedef struct Model {
    PyObject_HEAD
    ql_model *model;    // NULL when freed
    int n_users;        // calls that use model at this moment with the GIL released
    bool closed;        // the last user frees the model
    pid_t pid;          // the process that opened it: its threads do not exist in a forked child
    Session *sessions;  // all that are alive, not owned
} Model;

extern PyType_Spec ql_py_model_spec, ql_py_session_spec, ql_py_tokenizer_spec, ql_py_template_spec, ql_py_answer_spec;

// ---- convert.c ----

// Raises the Python exception of err->code, its text the message alone. Always NULL.
PyObject *ql_py_raise(PyObject *self, const ql_error *err);
PyObject *ql_py_raise_in(const module_state *state, const ql_error *err); // for functions of the module

// TypeError "NAME must be EXPECTED, got TYPE". Always -1.
int ql_py_wrong_type(const char *name, const char *expected, PyObject *object);

// UTF-8 of a str, valid as long as the object; NULL with TypeError, or ValueError for half a surrogate pair.
const char *ql_py_text(PyObject *object, const char *name, size_t *len);

// As ql_py_text for what is a string to the library: no NUL inside. None gives NULL without an exception.
int ql_py_string(PyObject *object, const char *name, const char **out);

// A list of int to ids [n] of PyMem_Malloc; -1 with an exception.
int ql_py_ids(PyObject *list, const char *name, int32_t **ids, size_t *n);

// Takes what the library allocated, frees it.
PyObject *ql_py_take_ids(int32_t *ids, size_t n);
PyObject *ql_py_take_text(char *text, size_t len);

// The arguments of a render(messages, tools, variables, add_generation_prompt, now): JSON strings or None. 0 or -1.
int ql_py_render_args(PyObject *args, ql_render *render);

// RuntimeError in a process forked from the one that opened the handle. 0 or -1.
int ql_py_check_process(pid_t opened_in);

// Allocates an object of a type.
void *ql_py_alloc(PyTypeObject *type);
// Ends a dealloc: frees the object and drops its type.
void ql_py_dealloc(PyObject *self);

// ---- callback.c ----

// Who listens to a call of the library that runs without the GIL: thread is what PyEval_SaveThread() gave.
typedef struct ql_py_listener {
    PyThreadState *thread;
    PyObject *progress, *log;            // None: nobody
    PyObject *type, *value, *traceback;  // what one of them raised, for PyErr_Restore()
} ql_py_listener;
void ql_py_report_progress(void *listener, float fraction);
void ql_py_report_line(void *listener, const char *line);
bool ql_py_interrupted(void *listener); // Ctrl-C, or one of them raised: the exception is in the listener

// ---- tokenizer.c, for both kinds of owner ----

PyObject *ql_py_tokenize(PyObject *self, const ql_tokenizer *tokenizer, PyObject *args);
PyObject *ql_py_detokenize(PyObject *self, const ql_tokenizer *tokenizer, PyObject *args);
PyObject *ql_py_vocab_info(const ql_tokenizer *tokenizer);

// ---- machine.c: functions of the module ----

PyObject *ql_py_doctor(PyObject *module, PyObject *args);
PyObject *ql_py_verify(PyObject *module, PyObject *args);
PyObject *ql_py_export_gguf(PyObject *module, PyObject *args);

// ---- session.c ----

PyObject *ql_py_session_new(Model *model, PyTypeObject *session_type);
// Ends the generations of all sessions of a model that closes.
void ql_py_sessions_cancel(Model *model);

#endif
