// SPDX-License-Identifier: MIT
// Python values to C and back, and the library's errors to exceptions. Knows no handle.
#include "extension.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

// ---- errors ----

PyObject *ql_py_raise(PyObject *self, const ql_error *err)
{
    return ql_py_raise_in(PyType_GetModuleState(Py_TYPE(self)), err);
}

PyObject *ql_py_raise_in(const module_state *state, const ql_error *err)
{
    const char *name = ql_code_lookup(err->code)->python;
    PyObject *message = PyUnicode_DecodeUTF8(err->message, (Py_ssize_t)strlen(err->message), "backslashreplace");
    PyObject *builtins = PyImport_ImportModule("builtins");
    PyObject *exception = NULL;
    if (strcmp(name, "TemplateError") == 0)
        exception = Py_NewRef(state->template_error);
    else if (builtins)
        exception = PyObject_GetAttrString(builtins, name);
    if (message && exception)
        PyErr_SetObject(exception, message);
    Py_XDECREF(message);
    Py_XDECREF(builtins);
    Py_XDECREF(exception);
    return NULL;
}

int ql_py_wrong_type(const char *name, const char *expected, PyObject *object)
{
    PyObject *type = PyType_GetName(Py_TYPE(object));
    if (type)
        PyErr_Format(PyExc_TypeError, "%s must be %s, got %U", name, expected, type);
    Py_XDECREF(type);
    return -1;
}

int ql_py_check_process(pid_t opened_in)
{
    if (getpid() == opened_in)
        return 0;
    PyErr_Format(PyExc_RuntimeError,
                 "this model was opened in process %d and can not be used in its forked child %d: open it in the "
                 "child, or start children with multiprocessing's \"spawn\"",
                 (int)opened_in, (int)getpid());
    return -1;
}

// ---- text ----

// Turns the codec's complaint about a surrogate into one about the argument.
static void explain_surrogate(PyObject *object, const char *name)
{
    PyObject *type, *value, *traceback;
    Py_ssize_t at = 0;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (value && PyUnicodeEncodeError_GetStart(value, &at) == 0) {
        char code[16];
        snprintf(code, sizeof code, "%04X", (unsigned)PyUnicode_ReadChar(object, at));
        PyErr_Format(PyExc_ValueError, "%s is not valid Unicode: character %zd is a lone surrogate (U+%s)", name, at,
                     code);
    }
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(traceback);
}

const char *ql_py_text(PyObject *object, const char *name, size_t *len)
{
    if (!PyUnicode_Check(object)) {
        ql_py_wrong_type(name, "str", object);
        return NULL;
    }
    Py_ssize_t size;
    const char *text = PyUnicode_AsUTF8AndSize(object, &size);
    if (!text) {
        if (PyErr_ExceptionMatches(PyExc_UnicodeEncodeError))
            explain_surrogate(object, name);
        return NULL;
    }
    *len = (size_t)size;
    return text;
}

int ql_py_string(PyObject *object, const char *name, const char **out)
{
    size_t len = 0;
    *out = NULL;
    if (object == Py_None)
        return 0;
    *out = ql_py_text(object, name, &len);
    if (!*out)
        return -1;
    if (memchr(*out, 0, len)) {
        PyErr_Format(PyExc_ValueError, "%s must not contain a NUL character", name);
        return -1;
    }
    return 0;
}

PyObject *ql_py_take_text(char *text, size_t len)
{
    PyObject *result = PyUnicode_DecodeUTF8(text, (Py_ssize_t)len, NULL);
    ql_free(text);
    return result;
}

// ---- ids ----

static int id_of(PyObject *item, const char *name, Py_ssize_t at, int32_t *id)
{
    if (PyBool_Check(item) || !PyIndex_Check(item)) {
        PyObject *type = PyType_GetName(Py_TYPE(item));
        if (type)
            PyErr_Format(PyExc_TypeError, "%s[%zd] must be int, got %U", name, at, type);
        Py_XDECREF(type);
        return -1;
    }
    PyObject *number = PyNumber_Index(item);
    if (!number)
        return -1;
    int overflow = 0;
    long long value = PyLong_AsLongLongAndOverflow(number, &overflow);
    if (overflow || value < INT32_MIN || value > INT32_MAX)
        PyErr_Format(PyExc_ValueError, "%s[%zd] is %R, which is no token id", name, at, number);
    Py_DECREF(number);
    *id = (int32_t)value;
    return PyErr_Occurred() ? -1 : 0;
}

int ql_py_ids(PyObject *list, const char *name, int32_t **ids, size_t *n)
{
    *ids = NULL;
    *n = 0;
    if (!PyList_Check(list))
        return ql_py_wrong_type(name, "a list of int", list);
    Py_ssize_t size = PyList_Size(list);
    *ids = PyMem_Malloc(((size_t)size + 1) * sizeof **ids);
    if (!*ids) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < size; i++) {
        PyObject *item = PyList_GetItem(list, i); // borrowed; NULL if __index__ of an item shortened the list
        Py_XINCREF(item);
        int failed = item ? id_of(item, name, i, *ids + i) : -1;
        Py_XDECREF(item);
        if (failed) {
            PyMem_Free(*ids);
            *ids = NULL;
            return -1;
        }
    }
    *n = (size_t)size;
    return 0;
}

PyObject *ql_py_take_ids(int32_t *ids, size_t n)
{
    PyObject *list = PyList_New((Py_ssize_t)n);
    for (size_t i = 0; list && i < n; i++) {
        PyObject *id = PyLong_FromLong(ids[i]);
        if (!id || PyList_SetItem(list, (Py_ssize_t)i, id) < 0)
            Py_CLEAR(list);
    }
    ql_free(ids);
    return list;
}

// ---- rendering ----

int ql_py_render_args(PyObject *args, ql_render *render)
{
    PyObject *messages, *tools, *variables, *now;
    int add_generation_prompt;
    *render = (ql_render){0};
    if (!PyArg_ParseTuple(args, "OOOpO:render", &messages, &tools, &variables, &add_generation_prompt, &now))
        return -1;
    if (ql_py_string(messages, "messages", &render->messages) < 0 ||
        ql_py_string(tools, "tools", &render->tools) < 0 ||
        ql_py_string(variables, "variables", &render->variables) < 0)
        return -1;
    render->add_generation_prompt = add_generation_prompt;
    render->has_now = now != Py_None;
    if (render->has_now)
        render->now = PyLong_AsLongLong(now);
    return PyErr_Occurred() ? -1 : 0;
}

// ---- objects ----

void *ql_py_alloc(PyTypeObject *type) { return PyType_GenericAlloc(type, 0); }

void ql_py_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}
