#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Draws the results of bench/compare.py --json as SVG, one picture a model: a pair of bars for each work, with the ratio.

    python bench/plot.py results.json FOLDER [--works prompt,decode,...]

Bars of a pair are scaled to the longer one: works have different units. Every bar bears its name and its figure, so that
nothing rests on colours; these follow the reader's light or dark scheme."""
import argparse
import json
import pathlib
import xml.sax.saxutils

WIDTH, LEFT, BAR, ROW, GAP, TOP = 760, 190, 18, 22, 14, 76
LONGEST = 300  # of a bar; its label stands behind it
STYLE = """
.page { fill: #ffffff } .text { fill: #1f2328 } .soft { fill: #59636e }
.ours { fill: #0969da } .rival { fill: #8c959f } .line { stroke: #d1d9e0 }
text { font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif }
.head { font-size: 16px; font-weight: 600 } .ratio { font-size: 15px; font-weight: 600 }
@media (prefers-color-scheme: dark) {
.page { fill: #0d1117 } .text { fill: #f0f6fc } .soft { fill: #9198a1 }
.ours { fill: #4493f8 } .rival { fill: #6e7681 } .line { stroke: #3d444d } }
"""


def number(x):
    """Three figures that say something: 1234, 123, 12.3, 1.23."""
    return f"{x:.0f}" if x >= 100 else f"{x:.1f}" if x >= 10 else f"{x:.2f}"


def text(x, y, kind, words, anchor="start"):
    return f'<text x="{x:g}" y="{y:g}" class="{kind}" text-anchor="{anchor}">{xml.sax.saxutils.escape(words)}</text>'


def bar(y, kind, part, words):
    length = max(2, LONGEST * part)
    return [f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR}" rx="2" class="{kind}"/>',
            text(LEFT + length + 8, y + 13.5, "text", words)]


def pair(y, r):
    longest = max(r["quantllm_median"], r["llama_cpp_median"])
    out = [text(LEFT - 12, y + 14, "text", r["title"], "end")]
    if r["less_is_better"]:
        out.append(text(LEFT - 12, y + ROW + 14, "soft", "less is better", "end"))
    for at, kind, name, key in ((y, "ours", "quantllm", "quantllm"), (y + ROW, "rival", "llama.cpp", "llama_cpp")):
        value = r[key + "_median"]
        out += bar(at, kind, value / longest, f"{name} {number(value)} {r['unit']}")
    out.append(text(WIDTH - 20, y + ROW + 2, "text ratio", f"{r['ratio']:.2f}×", "end"))
    return out


def sentence(r):
    return (f"{r['title']}: quantllm {number(r['quantllm_median'])} {r['unit']}, llama.cpp {number(r['llama_cpp_median'])} "
            f"{r['unit']}, ratio {r['ratio']:.2f} in quantllm's favour if above 1.")


def one_or_many(results, key):
    values = sorted({str(r[key]) for r in results if r.get(key)})
    return ", ".join(values)


def draw(model, results):
    pitch = 2 * ROW + GAP
    height = TOP + pitch * len(results) + 34
    head = f"{model.removesuffix('.gguf')}: quantllm and llama.cpp"
    levels, rivals = one_or_many(results, "isa"), one_or_many(results, "rival")
    sub = f"{one_or_many(results, 'cpu')}, {one_or_many(results, 'threads')} threads" + (f", {levels}" if levels else "")
    foot = f"Medians; turns: {one_or_many(results, 'turns')}; {one_or_many(results, 'date')}" + (
        f"; llama-cpp-python {rivals}" if rivals else "")
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" '
           'aria-labelledby="title desc">',
           f'<title id="title">{xml.sax.saxutils.escape(head)}</title>',
           f'<desc id="desc">{xml.sax.saxutils.escape(" ".join(sentence(r) for r in results))}</desc>',
           f"<style>{STYLE}</style>", f'<rect width="{WIDTH}" height="{height}" class="page"/>',
           text(20, 30, "text head", head), text(20, 52, "soft", sub), text(WIDTH - 20, 52, "soft", "ratio (above 1: quantllm is ahead)", "end"),
           f'<line x1="20" x2="{WIDTH - 20}" y1="62" y2="62" class="line"/>']
    for i, r in enumerate(results):
        out += pair(TOP + i * pitch, r)
    out += [text(20, height - 14, "soft", foot), "</svg>"]
    return "\n".join(out) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--works", default="prompt,long,decode,deep,batch,busy,first,memory")
    options = parser.parse_args()
    wanted = options.works.split(",")
    results = json.loads(options.results.read_text())["results"]
    options.folder.mkdir(parents=True, exist_ok=True)
    for model in dict.fromkeys(r["model"] for r in results):
        of_model = sorted((r for r in results if r["model"] == model and r["work"] in wanted), key=lambda r: wanted.index(r["work"]))
        if of_model:
            path = options.folder / f"{model.removesuffix('.gguf')}.svg"
            path.write_text(draw(model, of_model))
            print(path)


if __name__ == "__main__":
    main()
