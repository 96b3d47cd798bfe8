// SPDX-License-Identifier: MIT
// The library's callbacks to Python. It calls on the thread that called it, which runs without the GIL and takes it for as
// long as Python runs. After an exception neither callable is called again.
#include "extension.h"

#include <string.h>

// argument is a new reference or NULL with an exception; the GIL is held.
static void call_back(ql_py_listener *l, PyObject *callable, PyObject *argument)
{
    PyObject *result = argument ? PyObject_CallFunctionObjArgs(callable, argument, NULL) : NULL;
    if (!result)
        PyErr_Fetch(&l->type, &l->value, &l->traceback);
    Py_XDECREF(argument);
    Py_XDECREF(result);
}

void ql_py_report_progress(void *user, float fraction)
{
    ql_py_listener *l = user;
    if (l->type || l->progress == Py_None)
        return;
    PyEval_RestoreThread(l->thread);
    call_back(l, l->progress, PyFloat_FromDouble((double)fraction));
    l->thread = PyEval_SaveThread();
}

void ql_py_report_line(void *user, const char *line)
{
    ql_py_listener *l = user;
    if (l->type || l->log == Py_None)
        return;
    PyEval_RestoreThread(l->thread);
    call_back(l, l->log, PyUnicode_DecodeUTF8(line, (Py_ssize_t)strlen(line), "replace"));
    l->thread = PyEval_SaveThread();
}

bool ql_py_interrupted(void *user)
{
    ql_py_listener *l = user;
    if (l->type)
        return true;
    PyEval_RestoreThread(l->thread);
    if (PyErr_CheckSignals() < 0)
        PyErr_Fetch(&l->type, &l->value, &l->traceback);
    l->thread = PyEval_SaveThread();
    return l->type != NULL;
}
