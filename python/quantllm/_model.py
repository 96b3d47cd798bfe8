# SPDX-License-Identifier: MIT
"""TurboModel: an open model that generates text."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypedDict, overload

from . import _arguments as check
from . import _quantllm
from ._answer import Answer, AnswerStream, Parser, parse_answer
from ._arguments import known_names
from ._generation import Generation, Prompts, SessionPool, Stream, Usage, run
from ._json import template_request
from ._tokenizer import Tokenizer, decode_with, encode_with

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Unpack

    Tool = dict[str, Any] | Callable[..., Any]

Message = dict[str, Any]


class Parameters(TypedDict, total=False):
    """The keywords that generate and chat have in common, beside stream."""

    max_new_tokens: int | None
    temperature: float | None
    top_p: float | None
    top_k: int | None
    min_p: float | None
    do_sample: bool | None
    repetition_penalty: float | None
    stop_strings: str | Sequence[str] | None
    seed: int | None
    typical_p: float | None
    frequency_penalty: float | None
    presence_penalty: float | None
    logit_bias: dict[int, float] | None


def bits_of(type_name: str) -> int:
    """Bits per weight of a type, as in its name: "Q4_1" 4, "IQ4_XS" 4, "BF16" 16."""
    return int(type_name.lstrip("ABFIQ").split("_")[0])


def _or(value: Any, otherwise: Any) -> Any:
    return otherwise if value is None else value


def size_of(n_params: int) -> str:
    """A number of parameters as people say it: "134.5M", "1.24B"."""
    return f"{n_params / 1e6:.4g}M" if n_params < 1e9 else f"{n_params / 1e9:.3g}B"


class Origin(NamedTuple):
    """Where a model is from."""

    path: str
    """What the library opens."""
    name: str
    """What the user calls it."""
    source: str
    """What it is exactly: an absolute path, or "owner/name@commit"."""


class TurboModel:
    """A model opened by turbo().

    All methods may be called from many threads at once; generations then take turns, a token at a time. The text for
    a prompt depends on the model, the prompt, the parameters and the seed, and on nothing else. close(), or leaving a
    with block, frees the memory; afterwards every call raises ValueError "model is closed". In a forked child the
    model can not be used (RuntimeError)."""

    def __init__(
        self,
        handle: _quantllm.Model,
        origin: Origin,
        bits: int | None,
        seed: int | None,
        speculation: bool,
        export_push_config: dict[str, str | None],
        verbose: bool,
    ) -> None:
        """Not to be called: turbo() makes one."""
        self._handle = handle
        self._origin = origin
        self._bits = bits
        self._seed = seed
        self._speculation = speculation
        self._export_push_config = export_push_config
        self._verbose = verbose
        self._calls = itertools.count()  # those without a seed of their own
        self._info = handle.info()
        self._defaults = handle.default_params()
        self._pool = SessionPool(handle)
        self._tokenizer = Tokenizer(handle, origin.name)
        self._last: tuple[Usage, str | list[str]] | None = None

    # ---- text ----

    @overload
    def generate(
        self, prompt: str, *, stream: Literal[False] = False, parse_special: bool = True,
        **parameters: Unpack[Parameters],
    ) -> str: ...
    @overload
    def generate(
        self, prompt: str, *, stream: Literal[True], parse_special: bool = True, **parameters: Unpack[Parameters]
    ) -> Stream: ...
    @overload
    def generate(
        self, prompt: list[str] | tuple[str, ...], *, stream: Literal[False] = False, parse_special: bool = True,
        **parameters: Unpack[Parameters],
    ) -> list[str]: ...
    @overload
    def generate(
        self, prompt: str, *, stream: bool, parse_special: bool = True, **parameters: Unpack[Parameters]
    ) -> str | Stream: ...
    @known_names
    def generate(
        self,
        prompt: str | list[str] | tuple[str, ...],
        *,
        max_new_tokens: int | None = 512,
        temperature: float | None = 0.7,
        top_p: float | None = 0.9,
        top_k: int | None = 50,
        min_p: float | None = 0.0,
        do_sample: bool | None = True,
        stream: bool = False,
        repetition_penalty: float | None = 1.1,
        stop_strings: str | Sequence[str] | None = None,
        seed: int | None = None,
        typical_p: float | None = 1.0,
        frequency_penalty: float | None = 0.0,
        presence_penalty: float | None = 0.0,
        logit_bias: dict[int, float] | None = None,
        parse_special: bool = True,
    ) -> str | list[str] | Stream:
        """Continues a text. Returns the new text, without the prompt and not stripped; an iterator of its pieces with
        stream=True; a list of texts, in order, for a list of prompts, which run as one batch and give what each gives
        alone. No chat template is applied: chat() does that.

        max_new_tokens      >= 1; an upper limit: generation also stops at an end-of-text token, a stop string, and
                            the end of the context
        temperature         >= 0; small is factual, large is creative; 0 always takes the most likely token
        top_p               (0, 1]; only the most likely tokens that together have this probability; 1 is off
        top_k               >= 0; only this many most likely tokens; 0 is off
        min_p               [0, 1]; only tokens with this share of the most likely one's probability; 0 is off
        do_sample           False always takes the most likely token, as temperature=0; the penalties still act
        stream              an iterator of str (see Stream) instead of the text; not for a list
        repetition_penalty  > 0; above 1 makes tokens of the prompt and the new text less likely; 1 is off
        stop_strings        a str or up to 64: the text ends before the first of them to appear
        seed                0 to 2**64 - 1: the same text every time; every prompt of a list uses it as if alone.
                            None: see turbo(seed=...)
        typical_p           (0, 1]; only tokens of about the expected surprise, with this probability; 1 is off
        frequency_penalty   -2 to 2; taken from the logit for each time the token is in the new text
        presence_penalty    -2 to 2; taken from the logit once if the token is in the new text
        logit_bias          {token id: number added to its logit}; -inf forbids the token
        parse_special       False: what spells a control token in the prompt, such as "<|im_end|>", stays text

        None instead of a number or do_sample takes what the model recommends (its generation_config.json), else what
        switches the parameter off: temperature 1, top_k 0, top_p 1, repetition_penalty 1, do_sample False.

        Raises TypeError and ValueError that name the parameter; ValueError for a prompt that fills the context (with
        both counts), for an empty prompt when the model adds no token of its own, and for a closed model."""
        self._check_open()
        parameters = self._parameters(
            max_new_tokens, temperature, top_p, top_k, min_p, do_sample, repetition_penalty, stop_strings, seed,
            typical_p, frequency_penalty, presence_penalty, logit_bias,
        )
        parameters["parse_special"] = check.flag("parse_special", parse_special)
        stream = check.flag("stream", stream)
        if isinstance(prompt, str):
            return self._run_one(prompt, parameters, stream)
        if not isinstance(prompt, (list, tuple)):
            check.wrong_type("prompt", "str or a list of str", prompt)
        for i, item in enumerate(prompt):
            if not isinstance(item, str):
                check.wrong_type(f"prompt[{i}]", "str", item)
        if stream:
            raise ValueError("stream=True takes one prompt, got a list: stream each prompt, or leave stream out")
        return self._run_all(tuple(prompt), parameters)

    @overload
    def chat(
        self, messages: Sequence[Message], *, tools: None = None, documents: Sequence[Message] | None = None,
        variables: dict[str, Any] | None = None, parse: Literal[False] | None = None, stream: Literal[False] = False,
        **parameters: Unpack[Parameters],
    ) -> str: ...
    @overload
    def chat(
        self, messages: Sequence[Message], *, tools: None = None, documents: Sequence[Message] | None = None,
        variables: dict[str, Any] | None = None, parse: Literal[False] | None = None, stream: Literal[True],
        **parameters: Unpack[Parameters],
    ) -> Stream: ...
    @overload
    def chat(
        self, messages: Sequence[Message], *, tools: Sequence[Tool] | None = None,
        documents: Sequence[Message] | None = None, variables: dict[str, Any] | None = None,
        parse: bool | None = None, stream: bool = False, **parameters: Unpack[Parameters],
    ) -> str | Answer | Stream | AnswerStream: ...
    @known_names
    def chat(
        self,
        messages: Sequence[Message],
        *,
        max_new_tokens: int | None = 512,
        temperature: float | None = 0.7,
        top_p: float | None = 0.9,
        top_k: int | None = 50,
        min_p: float | None = 0.0,
        do_sample: bool | None = True,
        stream: bool = False,
        repetition_penalty: float | None = 1.1,
        stop_strings: str | Sequence[str] | None = None,
        seed: int | None = None,
        typical_p: float | None = 1.0,
        frequency_penalty: float | None = 0.0,
        presence_penalty: float | None = 0.0,
        logit_bias: dict[int, float] | None = None,
        tools: Sequence[Tool] | None = None,
        documents: Sequence[Message] | None = None,
        variables: dict[str, Any] | None = None,
        parse: bool | None = None,
    ) -> str | Answer | Stream | AnswerStream:
        """The assistant's answer to a conversation, a list of {"role": ..., "content": ...}, put into the model's chat
        template. The list is not changed: append the answer and the next question to go on; what is common with the
        call before is not computed again. Text in a message never becomes a control token.

        tools       functions with type hints and a docstring, or JSON schemas (dicts), that the model may ask to call
        documents   dicts with "title" and "text", for templates that know documents
        variables   further variables of the template, such as {"enable_thinking": False}
        parse       True: the answer is an Answer, with content, reasoning and tool_calls apart, or with stream=True an
                    AnswerStream, whose pieces are the content. False: the text as it is. None: True with tools

        The other parameters are those of generate(). Raises ValueError for a model without a chat template,
        TemplateError for messages that the template refuses, TypeError or ValueError for a tool that has no schema."""
        self._check_open()
        parameters = self._parameters(
            max_new_tokens, temperature, top_p, top_k, min_p, do_sample, repetition_penalty, stop_strings, seed,
            typical_p, frequency_penalty, presence_penalty, logit_bias,
        )
        stream = check.flag("stream", stream)
        parse = tools is not None if parse is None else check.flag("parse", parse)
        request = template_request(messages, tools, documents, variables, True)
        ids = self._handle.render_ids(*request)
        if not parse:
            return self._run_one(ids, parameters, stream)
        parameters["keep_special"] = True
        parser = Parser(self.chat_template, self._handle.render(*request), request[1])
        if stream:
            return AnswerStream(Generation(self._pool, (ids,), parameters), parser)
        generation = Generation(self._pool, (ids,), parameters)
        texts, reasons = run(generation, 1)
        self._last = generation.usage, reasons[0]
        parser.feed(texts[0], True)
        return parser.answer(reasons[0])

    @known_names
    def parse_answer(
        self, answer: str, tools: Sequence[Tool] | None = None, prompt: str | None = None
    ) -> Answer:
        """Takes a text apart as chat(parse=True) does, by the marks of this model's chat template.

        tools is what was offered, None for nothing, so that no calls are looked for; prompt is what was rendered, or
        its end: behind an opening mark such as "<think>" the answer begins in reasoning."""
        return parse_answer(answer, self.chat_template, tools, prompt)

    # ---- tokens ----

    @known_names
    def tokenize(self, text: str, add_special_tokens: bool = True, parse_special: bool = True) -> list[int]:
        """The token ids of a text, as generate() uses them by default; see Tokenizer.encode."""
        return encode_with(self._handle, text, add_special_tokens, parse_special)

    @known_names
    def detokenize(self, ids: Iterable[int], skip_special_tokens: bool = False) -> str:
        """The text of token ids; see Tokenizer.decode."""
        return decode_with(self._handle, ids, skip_special_tokens)

    @known_names
    def logits(self, ids: Iterable[int]) -> memoryview[float]:
        """The model's logits for a sequence of token ids: float32 [len(ids), n_vocab], row i predicting the token after
        ids[0..i]. A memoryview, which numpy.asarray() takes without a copy.

        Raises ValueError for no ids, ids outside the vocabulary, or more than max_length."""
        self._check_open()
        ids = check.token_ids("ids", ids)
        if not ids:
            raise ValueError("ids is empty: logits needs at least one token")
        session = self._pool.take()
        try:
            data = session.logits(ids, self._info["n_vocab"])
        finally:
            self._pool.give_back(session)
        return memoryview(data).cast("f", (len(ids), self._info["n_vocab"]))

    @overload
    def apply_chat_template(
        self, messages: Sequence[Message], tools: Sequence[Tool] | None = None, add_generation_prompt: bool = True,
        tokenize: Literal[False] = False, *, documents: Sequence[Message] | None = None,
        variables: dict[str, Any] | None = None,
    ) -> str: ...
    @overload
    def apply_chat_template(
        self, messages: Sequence[Message], tools: Sequence[Tool] | None = None, add_generation_prompt: bool = True,
        *, tokenize: Literal[True], documents: Sequence[Message] | None = None,
        variables: dict[str, Any] | None = None,
    ) -> list[int]: ...
    @known_names
    def apply_chat_template(
        self,
        messages: Sequence[Message],
        tools: Sequence[Tool] | None = None,
        add_generation_prompt: bool = True,
        tokenize: bool = False,
        *,
        documents: Sequence[Message] | None = None,
        variables: dict[str, Any] | None = None,
    ) -> str | list[int]:
        """What chat() gives to the model: the text of a conversation, its token ids with tokenize=True."""
        self._check_open()
        render = self._handle.render_ids if check.flag("tokenize", tokenize) else self._handle.render
        add_generation_prompt = check.flag("add_generation_prompt", add_generation_prompt)
        return render(*template_request(messages, tools, documents, variables, add_generation_prompt))

    # ---- files ----

    @known_names
    def export(
        self, format: str | None = None, path: str | os.PathLike[str] | None = None, *, quantization: str | None = None
    ) -> str:
        """Writes the model to a file for other programs, and returns its path.

        format        "gguf": one GGUF file, as llama.cpp, Ollama and LM Studio read it. None: what
                      turbo(config={"format": ...}) says. Other formats are not written.
        path          the file; one that is there is replaced when the new one is whole. None: NAME.TYPE.gguf in the
                      current folder
        quantization  the type of the weights, as for turbo(); "auto" keeps the types of a GGUF file. None: what
                      turbo(config={"quantization": ...}) says, else "Q4_K_M"

        The values are the model file's own, whatever quantization it runs in. The model may be used meanwhile. What is
        said goes to stderr, with turbo(verbose=False) nothing.

        Raises ValueError for an unknown format or type, and for a path that is one of the model's own files;
        FileNotFoundError for a folder that is not there; OSError, with what was written, when the disk is full or
        refuses (nothing is left of the file then); NotImplementedError for a model without an exact form in GGUF."""
        from ._export import checked_format, checked_path, default_path, export_gguf  # here: most programs do without

        self._check_open()
        checked_format(format, self._export_push_config["format"])
        quantization = _or(quantization, self._export_push_config["quantization"])
        kind = check.optional_text("quantization", quantization)
        out = checked_path(path, default_path(self._origin.name, kind))
        source = self._origin.source if os.path.isabs(self._origin.source) else self._origin.path
        return export_gguf(source, self._origin.name, out, kind, self._info["threads"], self._verbose)

    # ---- facts ----

    def report(self) -> dict[str, Any]:
        """What is loaded and how it runs: names, types, figures in bytes and seconds.

        model_id is the name given to turbo(), source what that was exactly (an absolute path, or "owner/name@commit"),
        file the path that was opened; quantization is the type that runs and from_cache whether its weights were
        mapped from the cache of an earlier start; n_params counts the parameters."""
        self._check_open()
        info = dict(self._info)
        info["has_chat_template"] = info.pop("chat_template") is not None
        runs = info["quantization"]
        quantized = runs not in ("F32", "F16", "BF16")
        return {
            "model_id": self._origin.name,
            "source": self._origin.source,
            "params_billion": info["n_params"] / 1e9,
            "requested_bits": self._bits,
            "effective_loading_bits": bits_of(runs),
            "is_quantized": quantized,
            "quant_method": "gguf" if quantized else None,
            "device": "cpu",
            "dtype": "float32",
            "finetuned": False,
            "lora_applied": False,
            "file": os.path.abspath(self._origin.path),
            **info,
        }

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer. It can be used as long as the model is open."""
        return self._tokenizer

    @property
    def chat_template(self) -> str | None:
        """The Jinja source that chat() uses, None if there is none."""
        source: str | None = self._info["chat_template"]
        return source

    @property
    def quantization(self) -> str:
        """The type of weights that runs, such as "Q4_1"; "F32" for the reference."""
        return str(self._info["quantization"])

    @property
    def export_push_config(self) -> dict[str, str | None]:
        """The defaults that turbo(config=...) set for export and push, which is not there yet: format, quantization,
        push_format, push_quantization."""
        return self._export_push_config

    @property
    def max_length(self) -> int:
        """The context in tokens: prompt and new text together."""
        return int(self._info["max_length"])

    @property
    def last_usage(self) -> Usage | None:
        """Figures of the generate or chat call that returned last; a Stream has its own."""
        return self._last[0] if self._last else None

    @property
    def last_finish_reason(self) -> str | list[str] | None:
        """Why that call's text ended: "stop" (end of text or a stop string) or "length"; a list for a list."""
        return self._last[1] if self._last else None

    @property
    def closed(self) -> bool:
        """Whether close() was called."""
        return self._handle.closed

    # ---- life ----

    def close(self) -> None:
        """Ends what is being generated, which raises ValueError there, and frees the model. May be called twice."""
        self._handle.close()
        self._pool.clear()

    def __enter__(self) -> TurboModel:
        self._check_open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = ", closed" if self.closed else ""
        return (
            f"TurboModel({self._origin.name!r}, {size_of(self._info['n_params'])} parameters, {self.quantization}, "
            f"max_length={self.max_length}, threads={self._info['threads']}{state})"
        )

    def _check_open(self) -> None:
        if self._handle.closed:
            raise ValueError("model is closed")

    def _parameters(
        self, max_new_tokens: Any, temperature: Any, top_p: Any, top_k: Any, min_p: Any, do_sample: Any,
        repetition_penalty: Any, stop_strings: Any, seed: Any, typical_p: Any, frequency_penalty: Any,
        presence_penalty: Any, logit_bias: Any,
    ) -> dict[str, Any]:
        """Types are checked here, ranges by the library. None is the model's own recommendation."""
        own = self._defaults
        parameters = {
            "max_new_tokens": check.int32("max_new_tokens", _or(max_new_tokens, own["max_new_tokens"]), 1),
            "temperature": check.number("temperature", _or(temperature, own["temperature"])),
            "top_p": check.number("top_p", _or(top_p, own["top_p"])),
            "top_k": check.int32("top_k", _or(top_k, own["top_k"]), 0),
            "min_p": check.number("min_p", _or(min_p, own["min_p"])),
            "do_sample": check.flag("do_sample", _or(do_sample, own["do_sample"])),
            "repetition_penalty": check.number(
                "repetition_penalty", _or(repetition_penalty, own["repetition_penalty"])
            ),
            "stop_strings": check.stop_strings(stop_strings),
            "seed": None if seed is None else check.integer("seed", seed, 0, check.UINT64_MAX),
            "typical_p": check.number("typical_p", _or(typical_p, own["typical_p"])),
            "frequency_penalty": check.number("frequency_penalty", _or(frequency_penalty, own["frequency_penalty"])),
            "presence_penalty": check.number("presence_penalty", _or(presence_penalty, own["presence_penalty"])),
            "logit_bias": check.logit_bias(logit_bias),
            "parse_special": True,
            "keep_special": False,
            "no_speculation": not self._speculation,
        }
        if seed is None and self._seed is not None:
            parameters["seed"] = check.mixed_seed(self._seed, next(self._calls))
        return parameters

    def _run_one(self, prompt: str | list[int], parameters: dict[str, Any], stream: bool) -> str | Stream:
        generation = Generation(self._pool, (prompt,), parameters)
        if stream:
            return Stream(generation)
        texts, reasons = run(generation, 1)
        self._last = generation.usage, reasons[0]
        return texts[0]

    def _run_all(self, prompts: Prompts, parameters: dict[str, Any]) -> list[str]:
        generation = Generation(self._pool, prompts, parameters)
        texts, reasons = run(generation, len(prompts))
        self._last = generation.usage, reasons
        return texts
