# SPDX-License-Identifier: MIT
"""turbo(): what a model's name means, the options, and what is said on stderr while it loads."""

from __future__ import annotations

import os
from typing import Any

from . import _quantllm
from ._arguments import FORMATS, UINT32_MAX, UINT64_MAX, flag, integer, known_names, optional_text, whole, wrong_type
from ._model import Origin, TurboModel, size_of
from ._stderr import ProgressBar, short, talker
from ._tokenizer import file_path

_BITS = (2, 3, 4, 5, 6, 8, 16)
_EXPORT_ALIASES = {"export_format": "format", "export_quantization": "quantization"}
_EXPORT_DEFAULTS = {"format": "safetensors", "quantization": "Q4_K_M", "push_format": "safetensors",
                    "push_quantization": None}


@known_names
def turbo(
    model: str | os.PathLike[str],
    *,
    bits: int | None = None,
    quantization: str | None = None,
    kv_cache: str | None = None,
    max_length: int | None = None,
    threads: int | None = None,
    device: str | None = None,
    dtype: str | None = None,
    seed: int | None = None,
    revision: str | None = None,
    token: str | None = None,
    verbose: bool = True,
    config: dict[str, Any] | None = None,
    chat_template: str | os.PathLike[str] | None = None,
    cache: bool = True,
    speculation: bool = True,
    draft: TurboModel | str | os.PathLike[str] | None = None,
) -> TurboModel:
    """Opens a model and makes it ready to generate text.

    model          a name of the Hugging Face Hub, "owner/name", or of one of its GGUF files, "owner/name:Q4_K_M" or
                   "owner/name:file.gguf"; or the path, str or Path, of a folder with safetensors, of a .safetensors
                   or .gguf file, or of a folder of GGUF files ("folder:Q4_K_M" chooses). What exists as a path is one.
    bits           2, 3, 4, 5, 6, 8 or 16 bits per weight: Q2_K, Q3_K_M, Q4_K_M, Q5_K_M, Q6_K, Q8_0, or the model's own
                   16-bit type.
    quantization   the same by name: "Q4_K_M", "Q4_0", "F16", ...; "F32": weights, activations and cache in f32, the
                   reference numerics, slow. None or "auto": a GGUF file as stored, anything else as Q8_0 below 1e9
                   parameters and as Q4_K_M from there.
    kv_cache       keys and values: "f32", "f16", "q8" (keys of 16 bits, values of 8) or "q4" (8 and 4), which take 8, 4,
                   3 and 1.5 bytes a pair. None or "auto": q8; f32 with quantization="F32".
    max_length     context in tokens (prompt and new text). None: the smaller of the model's own and 8192.
    threads        1 to 256. None: the physical cores this process may use. Results do not depend on it.
    device         None, "auto" or "cpu".
    dtype          None, or "float32", which means quantization="F32".
    seed           makes all calls repeatable: the n-th call (from 0) of generate or chat without a seed of its own
                   takes the n-th output of SplitMix64 started at it. None: fresh entropy for each prompt.
    revision       of the Hub: a branch, tag or commit; None: main. Not for a path.
    token          of the Hub; None: the variable HF_TOKEN or what `hf auth login` stored. Not for a path.
    verbose        progress (on a terminal) and a few lines about the model on stderr.
    config         defaults of export and push, by upstream's names: format, quantization, push_format,
                   push_quantization. See TurboModel.export_push_config.
    chat_template  Jinja source, or the Path of a file of it, used instead of the model's own.
    cache          keep quantized weights on disk, so that the next start takes a moment; False neither reads nor
                   writes them.
    speculation    compute tokens ahead where the text repeats itself or its prompt, and keep those that are right. The
                   text is the same without, token by token; summaries, edits and structured text come sooner with it.
    draft          a smaller model with the same vocabulary, opened by turbo() or named as above, whose continuations are
                   tried where the text itself suggests nothing.

    Models of the Hub are downloaded by huggingface_hub into its cache (HF_HOME, HF_HUB_CACHE, HF_ENDPOINT, HF_TOKEN,
    HF_HUB_OFFLINE): only the files that are needed, and only once.

    Files are mapped. One that is replaced by rename while it is in use changes nothing; one that is cut in place ends the
    process (SIGBUS), since a library can not handle that for its host.

    Raises FileNotFoundError for a model, revision or file that is not there; PermissionError when the Hub refuses;
    ConnectionError when it can not be reached; ValueError for a wrong option or a file that breaks a rule of its
    format; NotImplementedError for what is valid but not supported; MemoryError, with figures, for one that does not
    fit."""
    name = file_path("model", model)
    _check_device(device)
    bits = None if bits is None else _checked_bits(bits)
    kind = _with_dtype(dtype, bits, optional_text("quantization", quantization))
    arguments = (
        0 if threads is None else integer("threads", threads, 1, 256),
        0 if max_length is None else integer("max_length", max_length, 1, UINT32_MAX),
        bits or 0,
        kind,
        optional_text("kv_cache", kv_cache),
        _draft_handle(draft, threads, max_length, cache, token, verbose),
        _template_source(chat_template),
        flag("cache", cache),
    )
    first_seed = None if seed is None else integer("seed", seed, 0, UINT64_MAX)
    export_push_config = _export_push_config(config)
    say = talker(flag("verbose", verbose))
    origin = _locate(model, name, optional_text("revision", revision), optional_text("token", token), verbose)
    bar = ProgressBar("loading", origin.name) if verbose else None
    try:
        handle = _quantllm.Model(os.fsencode(origin.path), *arguments, bar, bar.log if bar else None)
    finally:
        if bar:
            bar.clear()
    opened = TurboModel(handle, origin, bits, first_seed, flag("speculation", speculation), export_push_config, verbose)
    say(_summary(opened.report()))
    return opened


# ---- which model ----


def _draft_handle(
    draft: Any, threads: Any, max_length: Any, cache: Any, token: Any, verbose: Any
) -> _quantllm.Model | None:
    """The library's handle of the draft model; what it drafts for keeps it alive."""
    if draft is None:
        return None
    if not isinstance(draft, TurboModel):
        file_path("draft", draft)  # says what it must be
        draft = turbo(draft, threads=threads, max_length=max_length, cache=cache, token=token, verbose=verbose)
    return draft._handle



def _locate(model: Any, name: str, revision: str | None, token: str | None, verbose: bool) -> Origin:
    """A path is what exists, or what can be nothing else; anything else is a name of the Hub."""
    if not name:
        raise ValueError('model is empty: give a path, or a name of the Hub such as "owner/name"')
    folder, colon, _ = name.rpartition(":")
    if not os.path.exists(name) and not (colon and os.path.isdir(folder)):
        from . import _hub

        hub_name = _hub.parse(name) if isinstance(model, str) else None
        if hub_name:
            say = talker(verbose)
            snapshot = _hub.fetch(hub_name, revision, token, verbose, say)
            return Origin(snapshot.path, str(hub_name), f"{hub_name}@{snapshot.commit}")
        if isinstance(model, str):
            raise FileNotFoundError(f'{name}: no such file or folder, and no name of the Hub ("owner/name") either')
        raise FileNotFoundError(f"{name}: no such file or folder")
    for option, value in (("revision", revision), ("token", token)):
        if value is not None:
            raise ValueError(f"{option} is for models of the Hub, and {name} is a path: leave it out")
    return Origin(name, name, os.path.abspath(name))


# ---- options ----


def _check_device(device: Any) -> None:
    if device is not None and not (isinstance(device, str) and device in ("cpu", "auto")):
        raise ValueError(f'device must be "cpu", "auto" or None, got {device!r}')


def _checked_bits(bits: Any) -> int:
    n = whole("bits", bits)
    if n not in _BITS:
        hint = '; for 32 take quantization="F32"' if n == 32 else ""
        raise ValueError(f"bits must be one of {', '.join(map(str, _BITS))}, got {n}{hint}")
    return n


def _with_dtype(dtype: Any, bits: int | None, quantization: str | None) -> str | None:
    """The quantization that dtype and quantization mean together; the library compares it with bits."""
    if dtype is None:
        return quantization
    if not (isinstance(dtype, str) and dtype == "float32"):
        raise ValueError(f'dtype must be "float32" or None, got {dtype!r}')
    if bits is not None:
        raise ValueError(f'bits={bits} and dtype="float32" do not agree: give one of them')
    if quantization is not None and quantization.upper() not in ("F32", "AUTO"):
        raise ValueError(f'quantization={quantization!r} and dtype="float32" do not agree: give one of them')
    return "F32"


def _export_push_config(config: Any) -> dict[str, str | None]:
    """The defaults of export and push. What is said of one alone is said of both."""
    if config is None:
        return dict(_EXPORT_DEFAULTS)
    if not isinstance(config, dict):
        wrong_type("config", "a dict", config)
    given: dict[str, str | None] = {}
    for key, value in config.items():
        name = _EXPORT_ALIASES.get(key, key)
        if name not in _EXPORT_DEFAULTS:
            known = (*_EXPORT_DEFAULTS, *_EXPORT_ALIASES)
            raise ValueError(f"config has no key {key!r}; it has {', '.join(known)}")
        if name in given:
            raise ValueError(f"config has {key!r} twice, as {name!r} too: give one of them")
        given[name] = optional_text(f"config[{key!r}]", value)
        if name.endswith("format") and given[name] not in (None, *FORMATS):
            raise ValueError(f"config[{key!r}] must be one of {', '.join(FORMATS)}, got {value!r}")
    given = {name: value for name, value in given.items() if value is not None}
    copied = {f"push_{name}": given[name] for name in ("format", "quantization") if name in given}
    return {**_EXPORT_DEFAULTS, **copied, **given}


def _template_source(chat_template: Any) -> str | None:
    if chat_template is None:
        return None
    if isinstance(chat_template, os.PathLike):
        with open(chat_template, encoding="utf-8") as file:
            return file.read()
    if not isinstance(chat_template, str):
        wrong_type("chat_template", "Jinja source as str, or the Path of a file of it", chat_template)
    if "{" not in chat_template and "\n" not in chat_template and os.path.isfile(chat_template):
        raise ValueError(f"chat_template is Jinja source; for a file of it, give pathlib.Path({chat_template!r})")
    return chat_template


# ---- what is said ----


def _summary(report: dict[str, Any]) -> str:
    """One line: what runs, and how."""
    size = size_of(report["n_params"])
    cached = " from the cache" if report["from_cache"] else ""
    return (
        f"quantllm: {short(report['model_id'])}: {size} parameters, {report['quantization']}, context "
        f"{report['max_length']}, threads {report['threads']}, {report['isa']}, {report['load_seconds']:.2f} s{cached}"
    )
