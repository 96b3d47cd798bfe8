# SPDX-License-Identifier: MIT
"""Writes tools.json: the schemas that transformers makes of tool_functions.py; null where it refuses. Needs transformers."""
import json
import pathlib

from tool_functions import FUNCTIONS
from transformers.utils import get_json_schema


def schema(function):
    try:
        return get_json_schema(function)
    except Exception:  # whatever it is: only that it refuses is compared
        return None


if __name__ == "__main__":
    schemas = {function.__name__: schema(function) for function in FUNCTIONS}
    path = pathlib.Path(__file__).with_name("tools.json")
    path.write_text(json.dumps(schemas, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(len(schemas), "functions,", sum(s is None for s in schemas.values()), "refused")
