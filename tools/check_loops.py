#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The inner loops of the kernels keep their sums in registers: hardly a vector goes through the stack there.

    python tools/check_loops.py [BUILD]

Compilers spill silently, and a spill in an inner loop costs a third of the speed (kernel/meson.build has the flags that
keep GCC from it). An inner loop is a backward jump over no other one that multiplies at least twice. More than SHARE of
its instructions fails. Prints the worst loop of each level."""
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
MULTIPLY = re.compile(r"vpmaddubsw|vpmaddwd|vpdpbusd|vpdpwssd|vfmadd\w*ps")
TILES = re.compile(r"^(matmul|add|qk|pv)_(?!float_rest|int_rest)") # products; what is done once a row may use the stack
SHARE = 1 / 32 # AVX2 keeps what IQ4_NL's table is looked up with there, 2.8 % of a loop over a quad
STACK = re.compile(r"\(%r[sb]p\)") # with an index it is an array
VECTOR = re.compile(r"%[xyz]mm\d")
JUMP = re.compile(r"^j[a-z]+\s+([0-9a-f]+)\b")


def functions(archive):
    """(name, [(address, instruction)]) of every function in the archive."""
    text = subprocess.run(["objdump", "-d", "--no-show-raw-insn", archive], capture_output=True, text=True, check=True).stdout
    name, code = None, []
    for line in text.splitlines():
        head = re.match(r"^[0-9a-f]+ <(.+)>:$", line)
        if head:
            if name:
                yield name, code
            name, code = head.group(1), []
            continue
        one = re.match(r"^\s*([0-9a-f]+):\s+(\S.*)$", line)
        if one:
            code.append((int(one.group(1), 16), one.group(2)))
    if name:
        yield name, code


def inner_loops(code):
    spans = []
    for address, instruction in code:
        jump = JUMP.match(instruction)
        if jump and int(jump.group(1), 16) <= address:
            spans.append((int(jump.group(1), 16), address))
    for begin, end in spans:
        if not any((b, e) != (begin, end) and begin <= b and e <= end for b, e in spans):
            yield [(a, i) for a, i in code if begin <= a <= end]


def main():
    build = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build"
    if not shutil.which("objdump"):
        print("skipped: objdump is not installed (binutils)")
        return 0
    archives = [a for level in ("avx2", "avx512") for a in sorted(build.rglob(f"libkernel_{level}.a"))]
    if not archives:
        print("skipped: no vector kernels in this build")
        return 0
    bad = 0
    for archive in archives:
        n_loops, worst, where = 0, 0.0, "none"
        for name, code in functions(archive):
            if not TILES.match(name):
                continue
            for loop in inner_loops(code):
                if sum(bool(MULTIPLY.match(i)) for _, i in loop) < 2:
                    continue
                n_loops += 1
                share = sum(bool(VECTOR.search(i) and STACK.search(i)) for _, i in loop) / len(loop)
                if share > worst:
                    worst, where = share, f"{name}+{loop[0][0] - code[0][0]:#x}"
                if share > SHARE:
                    print(f"{archive.name}: {name}+{loop[0][0] - code[0][0]:#x}: {share:.0%} of {len(loop)} instructions "
                          "go through the stack")
                    bad += 1
        print(f"{archive.name}: {n_loops} inner loops, at most {worst:.1%} of one through the stack ({where})")
        bad += not n_loops
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
