# SPDX-License-Identifier: MIT
"""The two sides that the template tests compare: jinja2 in the environment of chat templates, and this library.

The environment is the one transformers builds: ImmutableSandboxedEnvironment with trim_blocks, lstrip_blocks, loop
controls, {% generation %}, tojson as json.dumps, raise_exception, strftime_now (UTC, for a fixed instant), dict and
namespace of its own.
"""
import copy
import ctypes
import datetime
import functools
import json
import warnings

import jinja2
import jinja2.ext
import jinja2.nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment


warnings.simplefilter("ignore", SyntaxWarning)  # of the Python code that jinja2 makes


class Generation(jinja2.ext.Extension):
    """{% generation %}...{% endgeneration %}: renders its body."""

    tags = {"generation"}

    def parse(self, parser):
        lineno = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(lineno)

    def _body(self, caller):
        return caller()


def environment(now):
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True,
                                        extensions=[Generation, jinja2.ext.loopcontrols])

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def strftime_now(format):
        at = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=now)
        return at.strftime(format)

    class TemplateDict:
        """dict of a template, without the attributes of the class."""

        def __call__(self, *args, **kwargs):
            return dict(*args, **kwargs)

        def fromkeys(self, *args, **kwargs):
            return dict.fromkeys(*args, **kwargs)

    class TemplateNamespace(jinja2.utils.Namespace):
        """namespace of a template, without names that begin with an underscore."""

        def __init__(*args, **kwargs):
            self, values = args[0], dict(*args[1:], **kwargs)
            for name in values:
                check_name(name)
            jinja2.utils.Namespace.__init__(self, values)

        def __setitem__(self, name, value):
            check_name(name)
            jinja2.utils.Namespace.__setitem__(self, name, value)

    def check_name(name):
        if isinstance(name, str) and name.startswith("_"):
            raise jinja2.exceptions.SecurityError(name)

    env.globals["dict"] = TemplateDict()
    env.globals["namespace"] = TemplateNamespace
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = strftime_now
    return env


@functools.lru_cache(maxsize=4)
def compiled(source, now):
    return environment(now).from_string(source)


def expected(case):
    """{"text": ...} or {"raises": "Type: message"} of one case (see make_jinja.py)."""
    try:
        template = compiled(case["source"], case.get("now", 0))
        messages = copy.deepcopy(case.get("messages", []))  # some filters change lists in place
        text = template.render(messages=messages, tools=case.get("tools"),
                               add_generation_prompt=case.get("add_generation_prompt", True),
                               **{"documents": None, "bos_token": case.get("bos", "<s>"),
                                  "eos_token": case.get("eos", "</s>"), **copy.deepcopy(case.get("variables", {}))})
        text.encode()
        return {"text": text}
    except RecursionError:
        return {"raises": "RecursionError"}
    except Exception as error:  # whatever it is: only that there is one is compared
        return {"raises": f"{type(error).__name__}: {error}"}


class Error(ctypes.Structure):
    _fields_ = [("code", ctypes.c_int), ("message", ctypes.c_char * 1024)]


class Render(ctypes.Structure):
    _fields_ = [("messages", ctypes.c_char_p), ("tools", ctypes.c_char_p), ("variables", ctypes.c_char_p),
                ("add_generation_prompt", ctypes.c_bool), ("has_now", ctypes.c_bool), ("now", ctypes.c_int64)]


class Library:
    """libquantllm's templates through ctypes."""

    def __init__(self, path):
        lib = self.lib = ctypes.CDLL(path)
        lib.ql_template_open.restype = ctypes.c_void_p
        lib.ql_template_open.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_char_p,
                                         ctypes.POINTER(Error)]
        lib.ql_template_close.argtypes = [ctypes.c_void_p]
        lib.ql_template_render.argtypes = [ctypes.c_void_p, ctypes.POINTER(Render), ctypes.POINTER(ctypes.c_void_p),
                                           ctypes.POINTER(ctypes.c_size_t), ctypes.POINTER(Error)]
        lib.ql_free.argtypes = [ctypes.c_void_p]

    def render(self, case):
        error = Error()
        source = case["source"].encode()
        handle = self.lib.ql_template_open(source, len(source), case.get("bos", "<s>").encode(),
                                           case.get("eos", "</s>").encode(), ctypes.byref(error))
        if not handle:
            return {"raises": error.message.decode()}
        try:
            return self._render(handle, case, error)
        finally:
            self.lib.ql_template_close(handle)

    def _render(self, handle, case, error):
        def dump(value):
            return json.dumps(value).encode()

        render = Render(dump(case.get("messages", [])), dump(case.get("tools")), dump(case.get("variables", {})),
                        case.get("add_generation_prompt", True), True, case.get("now", 0))
        text, size = ctypes.c_void_p(), ctypes.c_size_t()
        if self.lib.ql_template_render(handle, ctypes.byref(render), ctypes.byref(text), ctypes.byref(size),
                                       ctypes.byref(error)):
            return {"raises": error.message.decode()}
        out = ctypes.string_at(text, size.value)
        self.lib.ql_free(text)
        return {"text": out.decode()}
