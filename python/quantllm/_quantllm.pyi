# SPDX-License-Identifier: MIT
"""The extension module: handles on quantllm.h. Not a public interface."""

from collections.abc import Callable
from typing import Any, final

version: str
ADD_SPECIAL: int
PARSE_SPECIAL: int
SKIP_SPECIAL: int

def doctor(measure: bool, /) -> str: ...
def verify(path: bytes, threads: int, /) -> tuple[list[tuple[str, str]], int, int, int]: ...
def export_gguf(
    path: bytes,
    quantization: str | None,
    threads: int,
    out: bytes,
    progress: Callable[[float], object] | None,
    log: Callable[[str], object] | None,
    /,
) -> tuple[str, int, int, int]: ...

class TemplateError(ValueError): ...

@final
class Model:
    closed: bool
    def __new__(
        cls,
        path: bytes,
        threads: int,
        max_length: int,
        bits: int,
        quantization: str | None,
        kv_cache: str | None,
        draft: Model | None,
        chat_template: str | None,
        cache: bool,
        progress: Callable[[float], object] | None,
        log: Callable[[str], object] | None,
        /,
    ) -> Model: ...
    def session(self) -> Session: ...
    def info(self) -> dict[str, Any]: ...
    def default_params(self) -> dict[str, Any]: ...
    def tokenize(self, text: str, flags: int, /) -> list[int]: ...
    def detokenize(self, ids: list[int], flags: int, /) -> str: ...
    def vocab_info(self) -> dict[str, int]: ...
    def render(
        self, messages: str, tools: str | None, variables: str | None, add_generation_prompt: bool, now: int | None, /
    ) -> str: ...
    def render_ids(
        self, messages: str, tools: str | None, variables: str | None, add_generation_prompt: bool, now: int | None, /
    ) -> list[int]: ...
    def close(self) -> None: ...

@final
class Session:
    def start(
        self,
        prompts: tuple[str | list[int], ...],
        *,
        max_new_tokens: int,
        temperature: float,
        top_p: float,
        top_k: int,
        min_p: float,
        typical_p: float,
        repetition_penalty: float,
        frequency_penalty: float,
        presence_penalty: float,
        do_sample: bool,
        seed: int | None,
        logit_bias: tuple[tuple[int, float], ...],
        stop_strings: tuple[str, ...],
        parse_special: bool,
        keep_special: bool,
        no_speculation: bool,
    ) -> int: ...
    def next(self, generation: int, /) -> tuple[str, int, str | None] | None: ...
    def end(self, generation: int, /) -> None: ...
    def usage(self) -> tuple[int, int, int, float, float, int, int]: ...
    def logits(self, ids: list[int], n_vocab: int, /) -> bytearray: ...

@final
class Tokenizer:
    def __new__(cls, path: bytes, /) -> Tokenizer: ...
    def tokenize(self, text: str, flags: int, /) -> list[int]: ...
    def detokenize(self, ids: list[int], flags: int, /) -> str: ...
    def vocab_info(self) -> dict[str, int]: ...

@final
class Template:
    def __new__(cls, source: str, bos_token: str, eos_token: str, /) -> Template: ...
    def render(
        self, messages: str, tools: str | None, variables: str | None, add_generation_prompt: bool, now: int | None, /
    ) -> str: ...

@final
class Answer:
    def __new__(cls, chat_template: str | None, prompt: str | None, tools: str | None, /) -> Answer: ...
    def feed(self, text: str, last: bool, /) -> None: ...
    def parts(self) -> tuple[str, str, str, str]: ...
