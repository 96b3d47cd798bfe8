#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Line coverage of what reads other people's bytes: the unit tests, and each fuzz target over its corpus and over what
fuzzing has found (build/corpus-TARGET, if it is there). Measured by gcov in build-cov/, which it makes.

    tools/coverage.py [--at-least 95] [--missing]     --missing: the lines that nothing reaches"""
import argparse
import collections
import gzip
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build-cov"
PARSERS = {
    "gguf": ["src/format/gguf.c", "src/format/gguf_tensors.c", "src/format/gguf_split.c", "src/format/source.c"],
    "safetensors": ["src/format/safetensors.c", "src/format/hf_index.c"],
    "config": ["src/format/hf_config.c", "src/model/config_hf.c", "src/model/config_gguf.c", "src/model/config.c"],
    "tokenizer.json": ["src/text/json_scan.c", "src/text/tokenizer_json.c", "src/text/tokenizer_json_steps.c",
                       "src/text/tokenizer_json_members.c", "src/text/tokenizer_json_out.c",
                       "src/text/tokenizer_json_finish.c", "src/text/regex_translate.c", "src/text/charsmap.c"],
    "jinja parse": ["src/text/jinja_lex.c", "src/text/jinja_parse.c", "src/text/jinja_parse_base.c",
                    "src/text/jinja_parse_expr.c"],
    "jinja render": ["src/text/jinja_*.c"],
    "packed cache": ["src/text/tokenizer_store.c", "src/format/seal.c"],
    "hub metadata": ["hub/metadata.c", "hub/name.c", "hub/choose.c"],
    "utf-8": ["src/base/utf8.c", "src/text/stream.c"],
}


def run(*command, **options):
    return subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **options)


def build():
    env = {**os.environ, "PATH": f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}"}
    if not (BUILD / "build.ninja").exists():
        run("meson", "setup", str(BUILD), "-Dtests=true", "-Dlibrary=false", "-Dbuildtype=debug", "-Db_coverage=true", env=env)
    run("ninja", "-C", str(BUILD), env=env)


def run_tests():
    """With one process a time, since all add to the same counters."""
    env = {**os.environ, "QL_SOURCE_ROOT": str(ROOT), "QUANTLLM_CACHE": "off",
           "QL_SHARED": os.environ.get("QL_SHARED", str(ROOT.parent / "shared"))}
    for old in BUILD.rglob("*.gcda"):
        old.unlink()
    for program in sorted([*BUILD.glob("tests/unit/test_*"), *BUILD.glob("tests/fuzz/test_fuzz_*"),
                           *BUILD.glob("tests/faults/test_*")]):
        if program.is_file() and os.access(program, os.X_OK):
            run(str(program), env=env, stderr=subprocess.DEVNULL)
            found = sorted((ROOT / "build" / f"corpus-{program.name[5:]}").glob("*"))
            for at in range(0, len(found), 200):
                run(str(program), *map(str, found[at:at + 200]), env=env, stderr=subprocess.DEVNULL)
    hub = {"QL_HUB_CHOOSE": BUILD / "tests" / "hub" / "hub_choose", "QL_COMMAND": BUILD / "cli" / "quantllm",
           "QL_FAULT_PULL": BUILD / "tests" / "faults" / "fault_pull"}
    run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not model", "tests/python/test_hub_choose.py",
        "tests/cli/test_hub.py", "tests/cli/test_pull_faults.py", cwd=ROOT, env={**env, **{k: str(v) for k, v in hub.items()}})


def lines():
    """{source: {line: times}}"""
    counts = collections.defaultdict(collections.Counter)
    with tempfile.TemporaryDirectory() as folder:
        files = [str(path) for path in BUILD.rglob("*.gcda")]
        run("gcov", "--json-format", "--preserve-paths", *files, cwd=folder, stderr=subprocess.DEVNULL)
        for path in pathlib.Path(folder).glob("*.gz"):
            data = json.loads(gzip.decompress(path.read_bytes()))
            for file in data["files"]:
                source = os.path.relpath(os.path.join(data["current_working_directory"], file["file"]), ROOT)
                for line in file["lines"]:
                    counts[source][line["line_number"]] += line["count"]
    return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--at-least", type=float, default=0, metavar="PERCENT", help="fail below it")
    parser.add_argument("--missing", action="store_true")
    options = parser.parse_args()
    build()
    run_tests()
    counts, low = lines(), []
    for name, patterns in PARSERS.items():
        sources = sorted({str(path.relative_to(ROOT)) for pattern in patterns for path in ROOT.glob(pattern)})
        assert sources, patterns
        total = sum(len(counts[source]) for source in sources)
        reached = sum(n > 0 for source in sources for n in counts[source].values())
        percent = 100 * reached / total
        low += [name] if percent < options.at_least else []
        print(f"{percent:5.1f} %  {reached:5} of {total:5} lines  {name}")
        for source in sources:
            missed = sorted(line for line, n in counts[source].items() if not n)
            print(f"          {100 - 100 * len(missed) / len(counts[source]):5.1f} %  {source}")
            if options.missing and missed:
                print(f"                   {' '.join(map(str, missed))}")
    if low:
        print(f"below {options.at_least} %: {', '.join(low)}")
    return bool(low)


if __name__ == "__main__":
    sys.exit(main())
