// SPDX-License-Identifier: MIT
// The extension module: its types, its constants, TemplateError. Multi-phase, all state in the module.
#include "extension.h"

static int add_type(PyObject *module, PyType_Spec *spec, PyTypeObject **kept)
{
    PyObject *type = PyType_FromModuleAndSpec(module, spec, NULL);
    if (!type)
        return -1;
    int failed = PyModule_AddType(module, (PyTypeObject *)type);
    if (kept && !failed)
        *kept = (PyTypeObject *)Py_NewRef(type);
    Py_DECREF(type);
    return failed;
}

static int module_exec(PyObject *module)
{
    module_state *state = PyModule_GetState(module);
    state->template_error = PyErr_NewExceptionWithDoc(
        "quantllm.TemplateError",
        "A chat template is wrong, refuses the messages it is given, or passes a limit. The message has the place: "
        "\"chat_template:LINE:COLUMN: ...\".",
        PyExc_ValueError, NULL);
    if (!state->template_error || PyModule_AddObjectRef(module, "TemplateError", state->template_error) < 0)
        return -1;
    if (add_type(module, &ql_py_model_spec, NULL) < 0 ||
        add_type(module, &ql_py_session_spec, &state->session_type) < 0 ||
        add_type(module, &ql_py_tokenizer_spec, NULL) < 0 || add_type(module, &ql_py_template_spec, NULL) < 0 ||
        add_type(module, &ql_py_answer_spec, NULL) < 0)
        return -1;
    if (PyModule_AddIntConstant(module, "ADD_SPECIAL", QL_ADD_SPECIAL) < 0 ||
        PyModule_AddIntConstant(module, "PARSE_SPECIAL", QL_PARSE_SPECIAL) < 0 ||
        PyModule_AddIntConstant(module, "SKIP_SPECIAL", QL_SKIP_SPECIAL) < 0)
        return -1;
    return PyModule_AddStringConstant(module, "version", ql_version());
}

static int module_traverse(PyObject *module, visitproc visit, void *arg)
{
    module_state *state = PyModule_GetState(module);
    Py_VISIT(state->session_type);
    Py_VISIT(state->template_error);
    return 0;
}

static int module_clear(PyObject *module)
{
    module_state *state = PyModule_GetState(module);
    Py_CLEAR(state->session_type);
    Py_CLEAR(state->template_error);
    return 0;
}

static PyMethodDef module_methods[] = {
    {"doctor", ql_py_doctor, METH_VARARGS, "doctor(measure, /): what this machine has, as JSON."},
    {"verify", ql_py_verify, METH_VARARGS, "verify(path, threads, /): (findings, n_tensors, n_values, n_packed)."},
    {"export_gguf", ql_py_export_gguf, METH_VARARGS,
     "export_gguf(path, quantization, threads, out, progress, log, /): (quantization, bytes, n_tensors, n_encoded)."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
    {0, NULL},
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "quantllm._quantllm",
    .m_doc = "quantllm.h for Python: handles only. Use the package quantllm.",
    .m_size = sizeof(module_state),
    .m_methods = module_methods,
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
};

PyMODINIT_FUNC PyInit__quantllm(void);
PyMODINIT_FUNC PyInit__quantllm(void) { return PyModuleDef_Init(&module_def); }
