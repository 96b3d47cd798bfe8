# SPDX-License-Identifier: MIT
"""Run language models on the CPU.

    from quantllm import turbo

    model = turbo("TinyLlama/TinyLlama-1.1B-Chat-v1.0")
    for token in model.generate("Count from 1 to 10:", stream=True):
        print(token, end="", flush=True)

turbo() opens a model, by its name on the Hugging Face Hub or by its path, and gives a TurboModel, whose generate() and
chat() make text. Tokenizer and ChatTemplate work without a model. Nothing is ever written to stdout, and importing the
package changes nothing in the process.
"""

from ._answer import Answer, AnswerStream
from ._generation import Stream, Usage
from ._load import turbo
from ._machine import doctor, verify
from ._model import TurboModel
from ._quantllm import TemplateError
from ._quantllm import version as __version__
from ._template import ChatTemplate
from ._tokenizer import Tokenizer

__all__ = [
    "Answer", "AnswerStream", "ChatTemplate", "Stream", "TemplateError", "Tokenizer", "TurboModel", "Usage", "__version__",
    "doctor", "turbo", "verify",
]
