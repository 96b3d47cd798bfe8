#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes build/docs/c.md and build/docs/python.md: the two public interfaces as text, from their own comments."""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUT = ROOT / "build" / "docs"


def c_interface():
    """Every block of quantllm.h: its section, its comment, its declaration."""
    header = (ROOT / "include" / "quantllm.h").read_text()
    intro = re.search(r"/\* SPDX.*?\*/", header, re.S).group(0)
    lines = ["# The C interface", ""] + [re.sub(r"^ ?\*( |$)", "", line) for line in intro.splitlines()[2:-1]] + [""]
    body = header[header.index("/* ---- errors"):header.index("#ifdef __cplusplus\n}")]
    for block in re.split(r"\n\n+", body):
        section = re.fullmatch(r"/\* ---- (.*?) -+ \*/", block.strip())
        lines += [f"## {section.group(1)}", ""] if section else ["```c", block.strip(), "```", ""]
    return "\n".join(lines) + "\n"


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "c.md").write_text(c_interface())
    python = ROOT / ".venv" / "bin" / "python"
    text = subprocess.run([str(python if python.exists() else sys.executable), "-m", "pydoc", "quantllm"], cwd="/",
                          check=True, capture_output=True, text=True).stdout
    text = re.sub(r"\nFILE\n.*\n", "\n", text)
    (OUT / "python.md").write_text("# The Python interface\n\n```\n" + text + "```\n")
    print(f"docs: {OUT.relative_to(ROOT)}/c.md and python.md")


if __name__ == "__main__":
    main()
