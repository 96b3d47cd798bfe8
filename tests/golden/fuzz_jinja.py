# SPDX-License-Identifier: MIT
"""Random templates, rendered by jinja2 and by this library: the texts must be equal, or both must refuse.

    python fuzz_jinja.py path/to/libquantllm.so [seconds] [seed]

Templates are grown from a small grammar over the pieces of jinja_cases.py, and some are damaged by deleting or doubling
a piece of their source or putting another one in, which tests the lexer and the parser.
"""
import random
import re
import sys
import time

import jinja_cases
import jinja_oracle
import make_jinja

NAMES = ["name", "n", "f", "nums", "strs", "users", "d", "missing", "x", "y", "messages", "nested", "words", "nothing"]
FILTERS = [f for f in jinja_cases.FILTERS if f != "nosuch"]
TESTS = [t for t in jinja_cases.TESTS if t != "nosuch"]
WORDS = ["{%", "%}", "{{", "}}", "{#", "#}", "-", "+", "'", '"', "(", ")", "[", "]", "|", ".", ",", ":", " ", "\n",
         "  ", "if", "else", "for", "in", "set", "endif", "endfor", "not", "is", "and", "raw", "endraw", "=", "==", "~", "*"]


class Grower:
    def __init__(self, rng):
        self.rng = rng

    def expression(self, depth):
        pick = self.rng.random()
        if depth <= 0 or pick < 0.2:
            return self.rng.choice(NAMES + jinja_cases.OPERANDS + ["loop.index", "loop.last", "ns.a", "'lit'"])
        inner = lambda: self.expression(depth - 1)
        if pick < 0.35:
            return f"({inner()}) {self.rng.choice(jinja_cases.OPERATORS)} ({inner()})"
        if pick < 0.55:
            return f"({inner()})|{self.rng.choice(FILTERS)}"
        if pick < 0.63:
            return f"({inner()}) is {self.rng.choice(['', 'not '])}{self.rng.choice(TESTS)}"
        if pick < 0.73:
            return f"({inner()}).{self.rng.choice(jinja_cases.METHODS)}"
        if pick < 0.8:
            # Of names only: jinja2's optimizer makes slices of constants undefined where Python raises.
            return f"{self.rng.choice(NAMES)}[{self.rng.choice(jinja_cases.SLICES)}]"
        if pick < 0.85:
            return f"({inner()} if {inner()} else {inner()})"
        if pick < 0.9:
            return "[" + ", ".join(inner() for _ in range(self.rng.randrange(4))) + "]"
        if pick < 0.94:
            return f"{{'a': {inner()}, {self.rng.choice(['1', 'name', 'x', 'none'])}: {inner()}}}"
        if pick < 0.97:
            return f"m({inner()})"
        return self.rng.choice(jinja_cases.EXPRESSIONS)

    def tag(self, body):
        signs = [("{%", "%}")] * 4 + [("{%-", "%}"), ("{%", "-%}"), ("{%-", "-%}"), ("{%+", "%}")]
        open_, close = self.rng.choice(signs)
        return f"{open_} {body} {close}"

    def text(self):
        return self.rng.choice(["", " ", "\n", "  \n", "\n  ", "text", " a b ", "{# c #}", "{#- c -#}\n", "é\n"])

    def statement(self, depth):
        e, body = self.expression(2), lambda: self.body(depth - 1)
        kind = self.rng.randrange(13 if depth > 0 else 3)
        if kind < 2:
            return "{{ " + self.expression(3) + " }}"
        if kind == 2:
            return self.tag(f"set {self.rng.choice(['x', 'y', 'name', 'ns.a', 'x, y'])} = {e}")
        if kind in (3, 4):
            other = self.tag("else") + body() if self.rng.random() < 0.4 else ""
            return self.tag(f"if {e}") + body() + other + self.tag("endif")
        if kind in (5, 6, 7):
            test = f" if {self.expression(1)}" if self.rng.random() < 0.2 else ""
            other = self.tag("else") + body() if self.rng.random() < 0.2 else ""
            jump = self.tag("if loop.index > 3") + self.tag(self.rng.choice(["break", "continue"])) + self.tag("endif")
            jump = jump if self.rng.random() < 0.2 else ""
            target = self.rng.choice(["x", "y", "x, y", "i"])
            return self.tag(f"for {target} in {e}{test}") + body() + jump + other + self.tag("endfor")
        if kind == 8:
            return self.tag(f"macro m(x{self.rng.choice(['', ', y=1', '=name'])})") + body() + self.tag("endmacro")
        if kind == 9:
            return self.tag("set y") + body() + self.tag("endset")
        if kind == 10:
            return self.tag(f"with x = {e}") + body() + self.tag("endwith")
        if kind == 11:
            return self.tag(f"filter {self.rng.choice(['upper', 'trim', 'indent(2)', 'length|string'])}") + body() + \
                self.tag("endfilter")
        return self.tag(f"call m({e})") + body() + self.tag("endcall")

    def body(self, depth):
        return "".join(self.text() + self.statement(depth) for _ in range(self.rng.randrange(1, 4))) + self.text()

    def template(self):
        source = self.rng.choice(["", "{% set ns = namespace(a=0) %}", "{% macro m(x) %}<{{ x }}>{% endmacro %}"])
        source += self.body(3)
        if self.rng.random() < 0.25:
            for _ in range(self.rng.randrange(1, 4)):
                at, size = self.rng.randrange(len(source) + 1), self.rng.randrange(6)
                source = source[:at] + self.rng.choice(["", source[at:at + size] * 2, self.rng.choice(WORDS)]) + \
                    source[at + size:]
        return source


# Where this library may refuse what jinja2 does: its limits, 64-bit integers, and Python objects that print an address.
REFUSED = re.compile(r"limit|64 bits|call depth|nested more|not supported|complex")


def main():
    library = jinja_oracle.Library(sys.argv[1])
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 60
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else int(time.time())
    rng = random.Random(seed)
    grower = Grower(rng)
    n = wrong = refused = 0
    end = time.time() + seconds
    while time.time() < end and wrong < 20:
        case = {"source": grower.template(), "messages": make_jinja.MESSAGES, "variables": jinja_cases.VARIABLES}
        got = library.render(case)
        if REFUSED.search(got.get("raises", "")):
            refused += 1
            continue
        want = jinja_oracle.expected(case)
        if "text" in want and make_jinja.SKIPPED.search(want["text"]):
            continue
        n += 1
        if got.get("text") != want.get("text"):
            wrong += 1
            print(f"{case['source']!r}\n  want {str(want)[:500]}\n  got  {str(got)[:500]}")
    print(f"seed {seed}: {n} templates, {wrong} different, {refused} beyond the limits")
    return wrong > 0


if __name__ == "__main__":
    sys.exit(main())
