# SPDX-License-Identifier: MIT
"""bench/compare.py and bench/plot.py with stand-ins for both sides: which figure goes where, which way ratios point, and
that the pictures say in words what they show. No speed is measured."""
import json
import os
import pathlib
import subprocess
import sys
import xml.etree.ElementTree

import pytest

ROOT = pathlib.Path(os.environ.get("QL_SOURCE_ROOT", pathlib.Path(__file__).resolve().parent.parent.parent))
SVG = "{http://www.w3.org/2000/svg}"

OURS = """#!{python}
import json, sys
arguments = sys.argv[1:]
if arguments[0] == "bench":
    value = {{k: arguments[arguments.index(k) + 1] for k in ("-p", "-n", "-d", "-b", "-t")}}
    assert value["-t"] == "2" and int(value["-p"]) * int(value["-n"]) == 0
    rate = 400 if value["-p"] != "0" else 300 if value["-b"] == "8" else 60 if value["-d"] != "0" else 100
    print(json.dumps([{{"avg_ts": rate, "load_seconds": 0.5, "peak_memory_bytes": 100e6, "isa": "avx2",
                       "roofline_fraction": 0.8, "roofline_bound": "memory"}}]))
"""
RIVAL = """#!{python}
import json, sys
if sys.argv[2].count("llama_batch"):
    work = json.loads(sys.argv[4])
    rate = 200 if work["p"] else work["seqs"] * 15 if work["seqs"] > 1 else 20 if work["d"] else 50
    print(json.dumps({{"rate": rate, "load": 1.0, "peak": 50e6, "version": "9.9"}}))
"""


def script(path, text):
    path.write_text(text.format(python=sys.executable))
    path.chmod(0o755)
    return str(path)


def compare(folder, *arguments, works="prompt,decode,deep,batch,busy"):
    command = [sys.executable, str(ROOT / "bench" / "compare.py"), "a.gguf", "b.gguf", "--command", script(folder / "ours", OURS),
               "--rival-python", script(folder / "rival", RIVAL), "--work", works, "--turns", "2", "-t", "2", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """What compare.py wrote and printed."""
    folder = tmp_path_factory.mktemp("compare")
    done = compare(folder, "--json", str(folder / "results.json"))
    assert done.returncode == 0, done.stderr
    return folder / "results.json", done.stdout


def read(path):
    return {(r["model"], r["work"]): r for r in json.loads(path.read_text())["results"]}


def test_ratios_point_our_way(measured):
    path, printed = measured
    results = read(path)
    assert len(results) == 2 * 7  # five works, load and memory
    ratio = {work: results["a.gguf", work]["ratio"] for work in ("prompt", "decode", "deep", "batch", "busy", "load", "memory")}
    assert ratio == {"prompt": 2, "decode": 2, "deep": 3, "batch": 2.5, "busy": 2, "load": 2, "memory": 0.5}
    busy = results["b.gguf", "busy"]
    assert busy["quantllm_of_quiet"] == 1 and busy["llama_cpp_of_quiet"] == 1 and busy["rival"] == "9.9"
    assert "one core busy: 100 % of the quiet rate, llama.cpp 100 %" in printed
    assert "| decode, 128 tokens      |     100.00 |      50.00 | tok/s |  2.00x | 80 % memory    |" in printed


def test_a_second_run_replaces_its_own_results(measured, tmp_path):
    out = tmp_path / "results.json"
    out.write_text(measured[0].read_text())
    assert compare(tmp_path, "--json", str(out), "-n", "16", "--turns", "1", works="decode").returncode == 0
    results = read(out)
    assert len(results) == 14 and results["a.gguf", "decode"]["title"] == "decode, 16 tokens"
    assert results["a.gguf", "batch"]["title"] == "decode, 8 sequences"


def test_an_unknown_work_is_refused(tmp_path):
    done = compare(tmp_path, works="decode,fly")
    assert done.returncode == 2 and '"fly" is none of prompt, long, decode' in done.stderr


def texts(root):
    return [t.text for t in root.iter(f"{SVG}text")]


@pytest.fixture
def pictures(measured, tmp_path):
    done = subprocess.run([sys.executable, str(ROOT / "bench" / "plot.py"), str(measured[0]), str(tmp_path / "plots")],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return {path: xml.etree.ElementTree.parse(path).getroot() for path in done.stdout.split()}


def test_a_picture_a_model_and_its_words(pictures):
    assert [pathlib.Path(path).name for path in pictures] == ["a.svg", "b.svg"]
    for root in pictures.values():
        assert root.get("role") == "img" and root.get("aria-labelledby") == "title desc"
        assert root.find(f"{SVG}title").text.endswith("quantllm and llama.cpp")
        desc = root.find(f"{SVG}desc").text
        assert "decode behind 4096: quantllm 60.0 tok/s, llama.cpp 20.0 tok/s, ratio 3.00" in desc
        words = texts(root)
        assert "3.00×" in words and "quantllm 60.0 tok/s" in words and "llama.cpp 20.0 tok/s" in words
        assert words.count("less is better") == 1 and "llama.cpp 50.0 MB" in words  # memory; load is not drawn
        style = root.find(f"{SVG}style").text
        assert "prefers-color-scheme: dark" in style


def test_bars_are_in_proportion_and_inside(pictures):
    for root in pictures.values():
        width, height = (float(root.get(k)) for k in ("width", "height"))
        bars = {(r.get("class"), float(r.get("y"))): float(r.get("width")) for r in root.iter(f"{SVG}rect") if r.get("class") != "page"}
        ours = sorted(y for kind, y in bars if kind == "ours")
        shares = [bars["rival", y + 22] / bars["ours", y] for y in ours]
        assert shares == pytest.approx([1 / 2, 1 / 2, 1 / 3, 1 / 2.5, 1 / 2, 1 / 2])
        for t in root.iter(f"{SVG}text"):
            assert 0 < float(t.get("x")) < width and 0 < float(t.get("y")) < height


def test_names_are_escaped(tmp_path):
    data = {"results": [{"model": "a<b&c.gguf", "work": "decode", "title": "decode <&>", "unit": "tok/s", "less_is_better": False,
                         "quantllm_median": 2, "llama_cpp_median": 1, "ratio": 2}]}
    (tmp_path / "r.json").write_text(json.dumps(data))
    subprocess.run([sys.executable, str(ROOT / "bench" / "plot.py"), str(tmp_path / "r.json"), str(tmp_path)], check=True,
                   capture_output=True)
    root = xml.etree.ElementTree.parse(tmp_path / "a<b&c.svg").getroot()
    assert "decode <&>" in texts(root) and root.find(f"{SVG}title").text.startswith("a<b&c:")
