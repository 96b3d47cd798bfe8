# SPDX-License-Identifier: MIT
"""Writes jinja_cases.json: what jinja2 makes of a part of jinja_cases.py. With a library's path, compares all of it.

    python make_jinja.py                      (jinja2 3.1.6)
    python make_jinja.py path/to/libquantllm.so
"""
import json
import pathlib
import re
import sys

import jinja2

import jinja_cases
import jinja_oracle

MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": " Hi \n"},
            {"role": "assistant", "content": "Hello!"}, {"role": "user", "content": "Bye"}]
NOW = 1795694400
# What this library refuses although jinja2 does it, or prints otherwise: object addresses, integers of more than
# 64 bits, complex numbers.
SKIPPED = re.compile(r"\dj\)$|0x[0-9a-f]{9,}|[0-9]{20,}(?!\.)|<bound method|generator.{,3}object", re.I)


def main():
    here = pathlib.Path(__file__).parent
    library = jinja_oracle.Library(sys.argv[1]) if len(sys.argv) > 1 else None
    cases, wrong = [], 0
    for source in jinja_cases.sources(1 if library else 7):
        case = {"source": source, "messages": MESSAGES, "variables": jinja_cases.VARIABLES, "now": NOW}
        want = jinja_oracle.expected(case)
        if "text" in want and SKIPPED.search(want["text"]):
            continue
        cases.append([source, want.get("text")])
        if library:
            got = library.render(case)
            if got.get("text") != want.get("text"):
                wrong += 1
                print(f"{source!r}\n  want {want}\n  got  {got}")
    if library:
        print(f"{len(cases) - wrong} of {len(cases)} equal")
        return wrong > 0
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    head = json.dumps({"jinja2": jinja2.__version__, "now": NOW, "messages": MESSAGES,
                       "variables": jinja_cases.VARIABLES}, ensure_ascii=False)
    (here / "jinja_cases.json").write_text(head[:-1] + ', "cases": [\n' + lines + "\n]}\n")
    print(len(cases), "cases")
    return 0


if __name__ == "__main__":
    sys.exit(main())
