// SPDX-License-Identifier: MIT
// The functions of the module without a handle: doctor(), verify() and export_gguf(). They know no model.
#include "extension.h"

#include <string.h>

PyObject *ql_py_doctor(PyObject *module, PyObject *args)
{
    int measure;
    char *json = NULL;
    size_t len = 0;
    ql_error err = {0};
    ql_code code;
    if (!PyArg_ParseTuple(args, "p:doctor", &measure))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    code = ql_doctor(measure, &json, &len, &err);
    Py_END_ALLOW_THREADS
    return code == QL_OK ? ql_py_take_text(json, len) : ql_py_raise_in(PyModule_GetState(module), &err);
}

// ---- verify ----

// The library calls back on the thread that called it, which takes the GIL for as long as Python runs.
typedef struct looking {
    PyThreadState *thread;
    PyObject *findings; // list of (severity, line)
    bool failed;        // an exception is set
} looking;

static void keep(void *user, ql_severity severity, const char *line)
{
    looking *look = user;
    PyEval_RestoreThread(look->thread);
    PyObject *text = look->failed ? NULL : PyUnicode_DecodeUTF8(line, (Py_ssize_t)strlen(line), "replace");
    PyObject *pair = text ? Py_BuildValue("sN", severity == QL_FAULT ? "fault" : "warning", text) : NULL;
    if (!look->failed && (!pair || PyList_Append(look->findings, pair) < 0))
        look->failed = true;
    Py_XDECREF(pair);
    look->thread = PyEval_SaveThread();
}

PyObject *ql_py_verify(PyObject *module, PyObject *args)
{
    const char *path;
    ql_verify_options options = {.finding = keep};
    ql_verify_result result;
    ql_error err = {0};
    looking look = {0};
    if (!PyArg_ParseTuple(args, "yi:verify", &path, &options.threads) || !(look.findings = PyList_New(0)))
        return NULL;
    options.user = &look;
    look.thread = PyEval_SaveThread();
    ql_code code = ql_verify(path, &options, &result, &err);
    PyEval_RestoreThread(look.thread);
    if (!look.failed && code != QL_OK)
        ql_py_raise_in(PyModule_GetState(module), &err);
    if (PyErr_Occurred() || PyErr_CheckSignals() < 0) {
        Py_DECREF(look.findings);
        return NULL;
    }
    return Py_BuildValue("NKKI", look.findings, (unsigned long long)result.n_tensors, (unsigned long long)result.n_values,
                         (unsigned)result.n_packed);
}

// ---- export ----

PyObject *ql_py_export_gguf(PyObject *module, PyObject *args)
{
    const char *path, *out;
    PyObject *quantization;
    ql_py_listener l = {0};
    ql_export_options options = {.progress = ql_py_report_progress, .log = ql_py_report_line,
                                 .cancelled = ql_py_interrupted, .user = &l};
    ql_export_result result;
    ql_error err = {0};
    if (!PyArg_ParseTuple(args, "yOiyOO:export_gguf", &path, &quantization, &options.threads, &out, &l.progress, &l.log) ||
        ql_py_string(quantization, "quantization", &options.quantization) < 0)
        return NULL;
    l.thread = PyEval_SaveThread();
    ql_code code = ql_export_gguf(path, &options, out, &result, &err);
    PyEval_RestoreThread(l.thread);
    if (l.type) {
        PyErr_Restore(l.type, l.value, l.traceback);
        return NULL;
    }
    if (code != QL_OK)
        return ql_py_raise_in(PyModule_GetState(module), &err);
    return Py_BuildValue("sKKK", result.quantization, (unsigned long long)result.bytes, (unsigned long long)result.n_tensors,
                         (unsigned long long)result.n_encoded);
}
