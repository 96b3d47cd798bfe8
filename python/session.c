// SPDX-License-Identifier: MIT
// _quantllm.Session: generations one after the other on one ql_session.
//
// A generation has a number, and next() wants it: a caller who still holds an ended generation gets None and never the
// text of the next one on the same session. Ending one is lock-free (the number changes, the library is told to
// cancel), so it is allowed from any thread, from a destructor, and from a signal handler. A lock covers each call into
// the library; whoever comes second waits.
#include "extension.h"

#include <unistd.h>

#define NO_THREAD ((unsigned long)-1) // what PyThread_start_new_thread gives when it can not
#define POLL_MICROSECONDS 20000 // how long Ctrl-C may wait while a prompt is computed

// A call into the library: ql_next, or ql_logits when out is set.
typedef struct work {
    ql_session *session;
    PyThread_type_lock done;  // held while a helper thread computes
    ql_piece piece;
    const int32_t *ids;       // [n_ids]
    size_t n_ids;
    float *out;               // [n_ids, n_vocab]
    ql_code code;
    ql_error err;
} work;

struct Session {
    PyObject_HEAD
    Model *model;
    Session *previous, *next_of_model;
    ql_session *session;
    PyThread_type_lock lock;
    work job;                   // not on the stack: at exit Python ends threads that wait for their helper
    unsigned long owner;        // the thread that holds lock, 0: none
    unsigned long long generation;
    bool active;                // generation is under way
    bool slow;                  // the next step may compute a prompt
    ql_usage usage;             // as of the last piece
    pid_t pid;
};

// ---- life ----

PyObject *ql_py_session_new(Model *model, PyTypeObject *session_type)
{
    Session *self = ql_py_alloc(session_type);
    if (!self)
        return NULL;
    ql_error err = {0};
    self->pid = getpid();
    self->model = (Model *)Py_NewRef((PyObject *)model);
    self->next_of_model = model->sessions;
    if (self->next_of_model)
        self->next_of_model->previous = self;
    model->sessions = self;
    self->lock = PyThread_allocate_lock();
    self->job.done = PyThread_allocate_lock();
    self->session = ql_session_new(model->model, &err);
    if (!self->lock || !self->job.done)
        PyErr_NoMemory();
    else if (!self->session)
        ql_py_raise((PyObject *)self, &err);
    if (PyErr_Occurred())
        Py_CLEAR(self);
    return (PyObject *)self;
}

static void session_dealloc(Session *self)
{
    Session **link = self->previous ? &self->previous->next_of_model : &self->model->sessions;
    *link = self->next_of_model;
    if (self->next_of_model)
        self->next_of_model->previous = self->previous;
    if (getpid() == self->pid) { // in a forked child other threads' locks and memory stay as they are
        ql_session_free(self->session);
        if (self->lock)
            PyThread_free_lock(self->lock);
        if (self->job.done)
            PyThread_free_lock(self->job.done);
    }
    Py_DECREF((PyObject *)self->model);
    ql_py_dealloc((PyObject *)self);
}

static void end_generation(Session *self)
{
    if (!self->active)
        return;
    self->active = false;
    self->generation++;
    ql_cancel(self->session);
}

void ql_py_sessions_cancel(Model *model)
{
    for (Session *s = model->sessions; s; s = s->next_of_model)
        end_generation(s);
}

// ---- lock ----

// What is left to say of a generation that is over: None, or that its model was closed under it.
static PyObject *ended(const Session *self)
{
    if (!self->model->closed)
        return Py_NewRef(Py_None);
    PyErr_SetString(PyExc_ValueError, "model is closed");
    return NULL;
}

static int lock(Session *self)
{
    if (ql_py_check_process(self->pid) < 0)
        return -1;
    if (self->owner == PyThread_get_thread_ident()) {
        PyErr_SetString(PyExc_RuntimeError, "this generation is being computed further up on the same thread");
        return -1;
    }
    if (!PyThread_acquire_lock(self->lock, NOWAIT_LOCK)) {
        Py_BEGIN_ALLOW_THREADS
        PyThread_acquire_lock(self->lock, WAIT_LOCK);
        Py_END_ALLOW_THREADS
    }
    self->owner = PyThread_get_thread_ident();
    return 0;
}

static void unlock(Session *self)
{
    self->owner = 0;
    PyThread_release_lock(self->lock);
}

// ---- computing ----

static void compute(work *job)
{
    if (job->out)
        job->code = ql_logits(job->session, job->ids, job->n_ids, job->out, &job->err);
    else
        job->code = ql_next(job->session, &job->piece, &job->err);
}

static void helper_thread(void *argument)
{
    work *job = argument;
    compute(job);
    PyThread_release_lock(job->done);
}

// Computes on a thread of its own while this one looks for signals: what raises (Ctrl-C) cancels the work. Only for
// calls that may take long: starting a thread costs as much as 1 % of a token. Returns -1 with the exception.
static int compute_interruptibly(work *job)
{
    PyThread_acquire_lock(job->done, WAIT_LOCK);
    if (PyThread_start_new_thread(helper_thread, job) == NO_THREAD) {
        PyThread_release_lock(job->done);
        Py_BEGIN_ALLOW_THREADS
        compute(job);
        Py_END_ALLOW_THREADS
        return 0;
    }
    int result = 0;
    for (bool waiting = true; waiting;) {
        PyLockStatus status;
        Py_BEGIN_ALLOW_THREADS
        status = PyThread_acquire_lock_timed(job->done, result ? -1 : POLL_MICROSECONDS, 0);
        Py_END_ALLOW_THREADS
        waiting = status != PY_LOCK_ACQUIRED;
        if (waiting && PyErr_CheckSignals() < 0) {
            ql_cancel(job->session);
            result = -1;
        }
    }
    PyThread_release_lock(job->done);
    return result;
}

// Locked. out is NULL for ql_next().
static int run(Session *self, bool slow, const int32_t *ids, size_t n_ids, float *out)
{
    work *job = &self->job;
    *job = (work){.session = self->session, .done = job->done, .ids = ids, .n_ids = n_ids, .out = out};
    if (slow) {
        if (compute_interruptibly(job) < 0)
            return -1;
    } else {
        Py_BEGIN_ALLOW_THREADS
        compute(job);
        Py_END_ALLOW_THREADS
    }
    if (job->code != QL_OK)
        ql_py_raise((PyObject *)self, &job->err);
    return job->code == QL_OK ? 0 : -1;
}

// ---- starting ----

// The arguments of ql_generate() and what they own.
typedef struct request {
    ql_params params;
    ql_prompt *prompts;
    size_t n_prompts;
    int32_t **ids;  // [n_prompts], NULL for a text
    ql_logit_bias *bias;
    ql_string *stops;
    bool no_parse_special;
} request;

static void request_free(request *r)
{
    for (size_t i = 0; r->ids && i < r->n_prompts; i++)
        PyMem_Free(r->ids[i]);
    PyMem_Free(r->ids);
    PyMem_Free(r->prompts);
    PyMem_Free(r->bias);
    PyMem_Free(r->stops);
}

// Zeroed memory for the items of a tuple.
static void *items(PyObject *tuple, size_t size, size_t *n)
{
    *n = (size_t)PyTuple_Size(tuple);
    void *memory = PyMem_Calloc(*n + 1, size);
    if (!memory)
        PyErr_NoMemory();
    return memory;
}

// A str is a text, a list holds ids.
static int read_prompts(request *r, PyObject *tuple)
{
    r->prompts = items(tuple, sizeof *r->prompts, &r->n_prompts);
    r->ids = items(tuple, sizeof *r->ids, &r->n_prompts);
    if (!r->prompts || !r->ids)
        return -1;
    for (size_t i = 0; i < r->n_prompts; i++) {
        ql_prompt *prompt = &r->prompts[i];
        PyObject *item = PyTuple_GetItem(tuple, (Py_ssize_t)i);
        char name[32] = "prompt";
        prompt->no_parse_special = r->no_parse_special;
        if (r->n_prompts > 1)
            PyOS_snprintf(name, sizeof name, "prompt[%zu]", i);
        if (PyList_Check(item)) {
            if (ql_py_ids(item, name, &r->ids[i], &prompt->n_ids) < 0)
                return -1;
            prompt->ids = r->ids[i];
        } else if (!(prompt->text = ql_py_text(item, name, &prompt->len))) {
            return -1;
        }
    }
    return 0;
}

// Pairs (id, bias).
static int read_bias(request *r, PyObject *tuple)
{
    r->bias = items(tuple, sizeof *r->bias, &r->params.n_logit_bias);
    if (!r->bias)
        return -1;
    for (size_t i = 0; i < r->params.n_logit_bias; i++) {
        PyObject *pair = PyTuple_GetItem(tuple, (Py_ssize_t)i);
        int id;
        double value;
        if (!PyTuple_Check(pair))
            return ql_py_wrong_type("a pair in logit_bias", "a tuple", pair);
        if (!PyArg_ParseTuple(pair, "id:logit_bias", &id, &value))
            return -1;
        r->bias[i] = (ql_logit_bias){.id = id, .bias = (float)value};
    }
    r->params.logit_bias = r->bias;
    return 0;
}

static int read_stops(request *r, PyObject *tuple)
{
    r->stops = items(tuple, sizeof *r->stops, &r->params.n_stop_strings);
    if (!r->stops)
        return -1;
    for (size_t i = 0; i < r->params.n_stop_strings; i++) {
        char name[48];
        PyOS_snprintf(name, sizeof name, "stop_strings[%zu]", i);
        r->stops[i].text = ql_py_text(PyTuple_GetItem(tuple, (Py_ssize_t)i), name, &r->stops[i].len);
        if (!r->stops[i].text)
            return -1;
    }
    r->params.stop_strings = r->stops;
    return 0;
}

static int read_request(request *r, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"prompts", "max_new_tokens", "temperature", "top_p", "top_k", "min_p", "typical_p",
                            "repetition_penalty", "frequency_penalty", "presence_penalty", "do_sample", "seed",
                            "logit_bias", "stop_strings", "parse_special", "keep_special", "no_speculation", NULL};
    ql_params *p = &r->params;
    PyObject *prompts, *seed, *bias, *stops;
    int do_sample, parse_special, keep_special, no_speculation;
    *p = ql_params_default();
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!$iddidddddpOO!O!ppp:start", names, &PyTuple_Type, &prompts,
                                     &p->max_new_tokens, &p->temperature, &p->top_p, &p->top_k, &p->min_p,
                                     &p->typical_p, &p->repetition_penalty, &p->frequency_penalty,
                                     &p->presence_penalty, &do_sample, &seed, &PyTuple_Type, &bias, &PyTuple_Type,
                                     &stops, &parse_special, &keep_special, &no_speculation))
        return -1;
    p->do_sample = do_sample;
    p->keep_special = keep_special;
    p->no_speculation = no_speculation;
    r->no_parse_special = !parse_special;
    p->has_seed = seed != Py_None;
    if (p->has_seed)
        p->seed = PyLong_AsUnsignedLongLong(seed);
    if (PyErr_Occurred())
        return -1;
    return read_prompts(r, prompts) < 0 || read_bias(r, bias) < 0 || read_stops(r, stops) < 0 ? -1 : 0;
}

static ql_code start(Session *self, const request *r, ql_error *err)
{
    ql_code code;
    end_generation(self);
    Py_BEGIN_ALLOW_THREADS
    code = ql_generate(self->session, r->prompts, r->n_prompts, &r->params, err);
    Py_END_ALLOW_THREADS
    self->generation++;
    self->active = code == QL_OK;
    self->slow = true;
    ql_session_get_usage(self->session, &self->usage);
    return code;
}

static PyObject *session_start(Session *self, PyObject *args, PyObject *kwargs)
{
    request r = {0};
    ql_error err = {0};
    PyObject *result = NULL;
    if (read_request(&r, args, kwargs) == 0 && lock(self) == 0) {
        ql_code code = self->model->closed ? QL_OK : start(self, &r, &err);
        if (code != QL_OK)
            ql_py_raise((PyObject *)self, &err);
        else if (self->model->closed) // before, or while it started
            result = ended(self);
        else
            result = PyLong_FromUnsignedLongLong(self->generation);
        unlock(self);
    }
    request_free(&r);
    return result;
}

// ---- pulling ----

static const char *finish_name(ql_finish finish)
{
    switch (finish) {
    case QL_FINISH_STOP: return "stop";
    case QL_FINISH_LENGTH: return "length";
    case QL_FINISH_CANCELLED: return "cancelled";
    default: return NULL;
    }
}

// None when the generation has ended, or was ended while it computed.
static PyObject *next_piece(Session *self, unsigned long long generation)
{
    const ql_piece *piece = &self->job.piece;
    if (self->generation != generation || !self->active)
        return ended(self);
    if (run(self, self->slow, NULL, 0, NULL) < 0) {
        end_generation(self);
        return NULL;
    }
    if (self->generation != generation)
        return ended(self);
    self->slow = piece->finish != QL_FINISH_NONE;
    ql_session_get_usage(self->session, &self->usage);
    if (!piece->text) {
        self->active = false;
        return Py_NewRef(Py_None);
    }
    return Py_BuildValue("s#nz", piece->text, (Py_ssize_t)piece->len, (Py_ssize_t)piece->index,
                         finish_name(piece->finish));
}

static PyObject *session_next(Session *self, PyObject *args)
{
    unsigned long long generation;
    if (!PyArg_ParseTuple(args, "K:next", &generation) || lock(self) < 0)
        return NULL;
    PyObject *result = next_piece(self, generation);
    unlock(self);
    return result;
}

static PyObject *session_end(Session *self, PyObject *args)
{
    unsigned long long generation;
    if (!PyArg_ParseTuple(args, "K:end", &generation))
        return NULL;
    if (generation == self->generation)
        end_generation(self);
    Py_RETURN_NONE;
}

// Without the lock: what another thread computes at this moment counts with its piece.
static PyObject *session_usage(Session *self, PyObject *unused)
{
    const ql_usage *u = &self->usage;
    (void)unused;
    return Py_BuildValue("KKKddKK", (unsigned long long)u->n_prompt, (unsigned long long)u->n_prompt_cached,
                         (unsigned long long)u->n_new, u->prompt_seconds, u->decode_seconds,
                         (unsigned long long)u->n_drafted, (unsigned long long)u->n_accepted);
}

// ---- logits ----

static PyObject *logits(Session *self, const int32_t *ids, size_t n, size_t n_vocab)
{
    if (n && n_vocab > (size_t)PY_SSIZE_T_MAX / sizeof(float) / n)
        return PyErr_NoMemory();
    PyObject *bytes = PyByteArray_FromStringAndSize(NULL, (Py_ssize_t)(n * n_vocab * sizeof(float)));
    if (!bytes)
        return NULL;
    self->generation++; // ql_logits() ends the one under way
    self->active = false;
    if (run(self, true, ids, n, (float *)(void *)PyByteArray_AsString(bytes)) < 0)
        Py_CLEAR(bytes);
    return bytes;
}

static PyObject *session_logits(Session *self, PyObject *args)
{
    PyObject *list, *result = NULL;
    Py_ssize_t n_vocab;
    int32_t *ids;
    size_t n;
    if (!PyArg_ParseTuple(args, "On:logits", &list, &n_vocab) || ql_py_ids(list, "ids", &ids, &n) < 0)
        return NULL;
    if (lock(self) == 0) {
        result = self->model->closed ? ended(self) : logits(self, ids, n, (size_t)n_vocab);
        unlock(self);
    }
    PyMem_Free(ids);
    return result;
}

static PyMethodDef session_methods[] = {
    {"start", (PyCFunction)(void (*)(void))session_start, METH_VARARGS | METH_KEYWORDS,
     "start(prompts, *, ...) -> the generation's number"},
    {"next", (PyCFunction)session_next, METH_VARARGS,
     "next(generation) -> (text, index, finish) or None when it has ended"},
    {"end", (PyCFunction)session_end, METH_VARARGS, "end(generation): cancels it if it is still under way"},
    {"usage", (PyCFunction)session_usage, METH_NOARGS,
     "usage() -> (n_prompt, n_prompt_cached, n_new, prompt_seconds, decode_seconds, n_drafted, n_accepted)"},
    {"logits", (PyCFunction)session_logits, METH_VARARGS,
     "logits(ids, n_vocab) -> bytearray of float32 [len(ids), n_vocab]"},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot session_slots[] = {
    {Py_tp_doc, "Generations, one at a time; made by Model.session()."},
    {Py_tp_dealloc, session_dealloc},
    {Py_tp_methods, session_methods},
    {0, NULL},
};

PyType_Spec ql_py_session_spec = {
    .name = "quantllm._quantllm.Session",
    .basicsize = sizeof(Session),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = session_slots,
};
