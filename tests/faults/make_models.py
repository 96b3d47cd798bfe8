#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The models of test_faults.c: tiny.gguf, the same split in two, folder/ in two shards.

    make_models.py FOLDER"""
import pathlib
import subprocess
import sys

GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "golden"


def main():
    folder = pathlib.Path(sys.argv[1])
    chat = folder / "chat.jinja"
    chat.write_text("{% macro m(x) %}{{ x.role }}: {{ x.content | trim }}\n{% endmacro %}{% set ns = namespace(n=0) %}"
                    "{% for x in messages %}{{ m(x) }}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}"
                    "{% if tools %}{{ tools | tojson(indent=2) }}{{ tools[0]['function'].name.upper() }}{% endif %}"
                    "{{ more.items() | list }}{{ 'a-b'.split('-') | join(', ') }}{% if add_generation_prompt %}assistant:{% endif %}")
    for script, *args in (("make_tiny.py", folder / "tiny.gguf", "--dtype", "q8_0", "--template", chat),
                          ("make_tiny.py", folder / "split", "--split", "2"),
                          ("make_tiny_folder.py", folder / "folder", "--shards", "2")):
        subprocess.run([sys.executable, GOLDEN / script, *args], check=True, stdout=subprocess.DEVNULL)


main()
