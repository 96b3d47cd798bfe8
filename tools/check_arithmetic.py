#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Numbers of files are added, multiplied and shifted by base/check.h alone: finds raw + * << on them in the readers of files.

A number of a file is a variable that a reading function fills (FILLS), a field that holds one (FIELDS), or a parameter of
type uint64_t: readers pass them so. Where a raw
operator is right, because a line above has bounded the number, the same line, or the one above, says so: "// bounded: by what".
Prints "arithmetic: N files ok" and exits 0, or one line for each fault and exits 1."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FILES = ["src/format/*.c", "src/format/gguf_read.h", "src/text/tokenizer_*.c", "src/text/json_scan.c",
         "src/text/charsmap.c", "src/text/bpe_model.c", "src/text/unigram.c", "src/engine/packed*.c", "src/engine/export.c",
         "src/engine/verify.c", "src/model/out*.c", "src/model/bind*.c", "src/model/config*.c", "src/model/weights.c", "hub/*.c"]
# Functions whose arguments of the form &name get numbers of a file.
FILLS = {"ql_gguf_take_u32", "ql_gguf_take_u64", "ql_source_get_u64", "ql_read_u32", "read_number", "parse_string", "memcpy",
         "sscanf"}
# Functions whose value is one.
GIVES = {"json_integer_value", "unsigned_at", "signed_at", "strtoull", "strtoul", "strtoll"}
# Fields that hold them.
FIELDS = {"shape", "n_dims", "offsets", "key_len", "n_vocab", "n_embd", "n_ff", "context_length", "n_layers", "content_length"}
TOKEN = re.compile(r'[A-Za-z_]\w*|\d[\w.]*|<<=|>>=|->|\+\+|--|&&|\|\||<<|>>|[+\-*/%&|^<>=!]=|.', re.S)
NOT_VALUES = {"return", "sizeof", "case", "else", "goto", "do", "in"}


def clean(text):
    """Without comments, strings and preprocessor lines, as long and with the same line ends."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match[0])

    text = re.sub(r'//[^\n]*|/\*.*?\*/', blank, text, flags=re.S)
    text = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", blank, text, flags=re.M)
    return re.sub(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', blank, text)


def tokens(text):
    line, out = 1, []
    for match in TOKEN.finditer(text):
        token = match[0]
        if not token.isspace():
            out.append((token, line))
        line += token.count("\n")
    return out


def is_name(token):
    return bool(re.match(r"[A-Za-z_]", token))


def types():
    """The names of types: after one, * declares."""
    found = {"void", "char", "int", "unsigned", "long", "short", "float", "double", "bool", "const", "struct", "FILE", "DIR",
             "size_t", "uint8_t", "uint16_t", "uint32_t", "uint64_t", "int8_t", "int32_t", "int64_t", "ssize_t", "uintptr_t", "json_t"}
    for path in [*ROOT.glob("src/**/*.[ch]"), *ROOT.glob("hub/*.[ch]"), *ROOT.glob("include/*.h")]:
        text = path.read_text()
        found |= set(re.findall(r"\btypedef\b[^;{]*?(\w+)\s*;", text)) | set(re.findall(r"}\s*(\w+)\s*;", text))
        found |= set(re.findall(r"\b(?:struct|enum|union)\s+(\w+)", text))
    return found


def closing(row, at, step):
    """The other end of the bracket at `at`."""
    pairs, depth = ("([", ")]") if step > 0 else (")]", "(["), 0
    while 0 <= at < len(row):
        token = row[at][0]
        depth += token in pairs[0]
        depth -= token in pairs[1]
        if depth == 0:
            return at
        at += step
    return at


def left_operand(row, at):
    """Names of the postfix expression that ends before `at`: of its last member, and of calls."""
    names, at = [], at - 1
    while at >= 0:
        token = row[at][0]
        if token in (")", "]"):
            at = closing(row, at, -1) - 1
            continue
        if not is_name(token) or token in NOT_VALUES:
            break
        names.append(token)
        if at and row[at - 1][0] in ("->", "."):
            at -= 2
            continue
        of_size = at and row[at - 1][0] == "sizeof" or at > 1 and row[at - 1][0] == "*" and row[at - 2][0] == "sizeof"
        return [] if of_size else names
    return names


def right_operand(row, at, known_types):
    names, at = [], at + 1
    while at < len(row) and (row[at][0] in ("-", "~", "!", "&", "*") or
                             (row[at][0] == "(" and row[at + 1][0] in known_types)):
        at = closing(row, at, 1) + 1 if row[at][0] == "(" else at + 1
    while at < len(row) and is_name(row[at][0]):
        names.append(row[at][0])
        at += 1
        while at < len(row) and row[at][0] in ("(", "["):
            at = closing(row, at, 1) + 1
        if at < len(row) and row[at][0] in ("->", "."):
            at += 1
            continue
        break
    return names


def functions(row):
    """Slices of the tokens: each top-level { } with what stands before it."""
    depth = start = 0
    for i, (token, _) in enumerate(row):
        depth += token == "{"
        depth -= token == "}"
        if depth == 0 and token in "};":
            yield row[start:i + 1]
            start = i + 1


def filled(row):
    """Local names that get a number of a file in this function."""
    names = set()
    for i, (token, _) in enumerate(row[:-1]):
        if token in FILLS and row[i + 1][0] == "(":
            end = closing(row, i + 1, 1)
            inside = row[i + 2:end]
            for j, (t, _) in enumerate(inside[:-1]):
                if t == "&" and is_name(inside[j + 1][0]) and (j == 0 or inside[j - 1][0] in (",", "(")):
                    chain = [inside[j + 1][0]]
                    k = j + 2
                    while k + 1 < len(inside) and inside[k][0] in ("->", "."):
                        chain.append(inside[k + 1][0])
                        k += 2
                    names.add(chain[-1])
                if token == "memcpy":
                    break
        if token == "=" and i and is_name(row[i - 1][0]):
            j = i + 1
            while j < len(row) and row[j][0] == "(":
                j = closing(row, j, 1) + 1
            if j < len(row) and row[j][0] in GIVES:
                names.add(row[i - 1][0])
    return names


def parameters(row):
    """Those of type uint64_t."""
    head = row[:next((i for i, (t, _) in enumerate(row) if t == "{"), 0)]
    return {name for (kind, _), (name, _), (after, _) in zip(head, head[1:], head[2:]) if kind == "uint64_t" and is_name(name)
            and after in (",", ")")}


def check(path, known_types):
    text = path.read_text()
    lines = text.split("\n")
    faults = []
    for row in functions(tokens(clean(text))):
        numbers = FIELDS | GIVES | filled(row) | parameters(row)
        for i, (token, line) in enumerate(row):
            if token not in ("+", "*", "<<", "+=", "*=", "<<=") or i == 0:
                continue
            before = row[i - 1][0]
            if not (is_name(before) or before[0].isdigit() or before in (")", "]")) or before in NOT_VALUES:
                continue  # unary
            if token == "*" and (before in known_types or (before == ")" and row[closing(row, i - 1, -1) + 1][0] in known_types)):
                continue  # a declaration, or a cast in front of what is pointed to
            operands = left_operand(row, i) + right_operand(row, i, known_types)
            touched = [name for name in operands if name in numbers]
            if touched and not any("// bounded:" in text for text in lines[max(line - 2, 0):line]):
                faults.append(f"{path.relative_to(ROOT)}:{line}: {token} on {touched[0]}, a number of a file: base/check.h does "
                              "it, or \"// bounded: by what\"")
    return faults


def main():
    known_types = types()
    paths = sorted({p for pattern in FILES for p in ROOT.glob(pattern)})
    faults = [fault for path in paths for fault in check(path, known_types)]
    if faults:
        print("\n".join(faults))
        return 1
    print(f"arithmetic: {len(paths)} files ok")
    return 0


if __name__ == "__main__":
    sys.exit(main())
