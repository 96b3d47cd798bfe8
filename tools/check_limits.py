#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Holds docs/limits.md against the source: each row's value is its constant's, each message is in the source, and each constant
of a reader that is named as a limit has its row.

Prints "limits: N rows ok" and exits 0, or one line for each fault and exits 1."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
READERS = ["src/format/*.[ch]", "src/text/tokenizer*.[ch]", "src/text/json_scan.c", "src/text/regex*.c",
           "src/text/normalize.h", "src/text/pretokenize.h", "src/text/decode.h", "src/text/jinja_mem.h", "src/text/jinja_read.c", "src/text/jinja_global.c",
           "src/sample/params.c", "src/model/model.h", "hub/*.[ch]"]
# Of what we write ourselves, and of what is cut into pieces instead of refused.
NOT_LIMITS = {"src/format/gguf_write.c", "src/model/model.h:QL_ROWS_MAX", "src/model/model.h:QL_LOGIT_ROWS_MAX"}
NAME = r"(?:QL_J_MAX_\w+|HUB_MAX_\w+|MAX_\w+|max_(?:document|dim)|QL_\w+_MAX)"
UNITS = {"KiB": 10, "MiB": 20, "GiB": 30}


def source(name):
    for folder in ("src", "hub"):
        if (ROOT / folder / name).is_file():
            return ROOT / folder / name
    return None


def number(text):
    """Of a C expression of integers, or of the page's "64 MiB", "2^24", "1 to 1024" (its end), "65536 each"."""
    text = re.sub(r"\(uint64_t\)|(?<=\d)[uUlL]+\b", "", text).strip()
    if shift := re.fullmatch(r"(\d+)\s*<<\s*(\d+)", text):
        return int(shift[1]) << int(shift[2])
    text = re.sub(r"^\d+ to ", "", text)
    if unit := re.match(r"(\d+) (KiB|MiB|GiB)", text):
        return int(unit[1]) << UNITS[unit[2]]
    if power := re.match(r"2\^(\d+)", text):
        return 1 << int(power[1])
    return int(re.match(r"\d+", text)[0])


def constant(path, name):
    """The value in the source; of a key in quotes the upper end of its range."""
    text = path.read_text()
    if name.startswith('"'):
        found = re.search(rf"ql_read_u32\(r, {re.escape(name)}, \w+, \w+, ([^,]+),", text)
    else:
        found = re.search(rf"\b{name}\s*=\s*([^,;}}\n/]+)", text)
    return number(found[1]) if found else None


def literals():
    """The strings of all sources, those that follow each other joined, conversions as %."""
    found = []
    for path in [*ROOT.glob("src/**/*.[ch]"), *ROOT.glob("hub/*.[ch]")]:
        text = re.sub(r'"\s*PRI[udx]+64\s*"', 'd', path.read_text())
        text = re.sub(r'"(\s*PRI[udx]+64)\s*(?=[,)])', '"', text)
        text = re.sub(r'"\s*\n?\s*"', "", text)
        found += re.findall(r'"((?:\\.|[^"\\\n])*)"', text)
    return [re.sub(r"%[-+ #0-9.*]*(?:hh|h|ll|l|z)?[a-zA-Z]?", "%", s).replace('\\"', '"').replace("%%", "%") for s in found]


def in_source(message, strings):
    """Whether some string has the message's words, in their order."""
    if message.startswith("none: "):
        return True
    words = [w for w in re.split(r"…|\bN\b|llama\.\w[\w.]*", message) if w.strip(" :,")]
    pattern = re.compile(".*".join(re.escape(w.strip()) for w in words), re.S)
    return any(pattern.search(s) for s in strings) or all(any(w.strip() in s for s in strings) for w in words if len(w) > 8) and \
        any(len(w) > 8 for w in words)


def rows():
    for line in (ROOT / "docs" / "limits.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) == 4 and not set(line) <= set("|-") and cells[0] != "limit":
            yield cells


def main():
    faults, told, strings, n = [], set(), literals(), 0
    for limit, value, where, message in rows():
        n += 1
        if where:
            file, name = where.strip("`").split(":", 1)
            path = source(file)
            real = constant(path, name) if path else None
            told.add((path, name))
            if real != number(value):
                faults.append(f"docs/limits.md: {limit}: {value}, in the source {where} it is {real}")
        if not in_source(message.strip("`"), strings):
            faults.append(f"docs/limits.md: {limit}: no message of the source is {message}")
    for path in sorted({p for pattern in READERS for p in ROOT.glob(pattern)}):
        file = str(path.relative_to(ROOT))
        for name in re.findall(rf"\b({NAME})\s*=\s*[\d(]", path.read_text()):
            if (path, name) not in told and file not in NOT_LIMITS and f"{file}:{name}" not in NOT_LIMITS:
                faults.append(f"{file}: {name} is a limit that docs/limits.md does not tell")
    if faults:
        print("\n".join(faults))
        return 1
    print(f"limits: {n} rows ok")
    return 0


if __name__ == "__main__":
    sys.exit(main())
