#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs every test of the project and ends with one line of counts: "N passed, N failed, N skipped".

Two builds: build/ as released, build-asan/ with AddressSanitizer and UndefinedBehaviorSanitizer, which is compiled
while the released one is tested. A C test program prints TAP (cmocka); Python and command tests run in pytest, which
writes a JUnit file. All cores are used: programs run side by side, and pytest has a worker for each core.

What the sanitized command is tested with is not run a second time with the released one, but for TWICE; tools/test_long.sh
runs the rest, and --quick, which has no sanitized build, runs all of it."""
import argparse
import concurrent.futures
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv" / "bin"
WORKERS = min(len(os.sched_getaffinity(0)), 8)
TWICE = [f"tests/cli/test_{name}.py" for name in ("run", "chat", "usage")]
# The reference libraries are not to be looked at, the whole model under ASan is for tools/test_long.sh, and
# huggingface_hub's side and the scripts of bench/ have no C of ours.
SANITIZED = ["-m", "not model and not slow", "--ignore=tests/python/test_tokenizer_families.py",
             "--ignore=tests/python/test_bench_scripts.py",
             # A thread may hold the lock of the sanitizer's own allocator while another one forks (LLVM frees it since 2023).
             "--deselect=tests/python/test_threads.py::test_fork"]
# -O1 and short debug data: half the time of -O2 -g to compile, and tests of a tiny model run as fast. A large function (a
# kernel, unrolled) calls its checks instead of holding thousands of them, and its structs of lanes stay in memory: half the
# time again for the kernels, which run as fast.
SANITIZED_BUILD = ["--prefix=/usr", "-Dtests=true", "-Dpython=true", "-Dbuildtype=debug", "-Doptimization=1",
                   "-Dc_args=-g1 -fno-tree-sra --param=asan-instrumentation-with-call-threshold=30",
                   "-Db_sanitize=address,undefined", "-Db_lundef=false"]
ASAN = {"ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:exitcode=99", "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1"}


class Counts:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def add(self, passed, failed, skipped):
        self.passed += passed
        self.failed += failed
        self.skipped += skipped


def report(name, passed, failed, skipped, seconds, output=""):
    """One line a suite; the output of one that failed."""
    extra = f", {skipped} skipped" if skipped else ""
    print(f"{'FAIL' if failed else 'ok':4} {name}: {passed} passed, {failed} failed{extra} ({seconds:.1f} s)", flush=True)
    if failed:
        print(output.rstrip()[-12000:], flush=True)


def run(command, env=None, timeout=900):
    start = time.monotonic()
    try:
        done = subprocess.run(command, cwd=ROOT, env={**os.environ, **(env or {})}, timeout=timeout,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        code, output = done.returncode, done.stdout.decode(errors="replace")
    except subprocess.TimeoutExpired as late:
        code, output = -1, (late.stdout or b"").decode(errors="replace") + f"\nno end after {timeout} s"
    return code, output, time.monotonic() - start


def simple(counts, name, command, env=None):
    """A check that passes or fails as a whole."""
    code, output, seconds = run(command, env)
    counts.add(code == 0, code != 0, 0)
    report(name, int(code == 0), int(code != 0), 0, seconds, output)
    return code == 0


def run_programs(counts, build, env):
    """The C tests of a build, as many at once as there are cores."""
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        for one in pool.map(lambda program: cmocka(Counts(), build, program, env), programs(build)):
            counts.add(one.passed, one.failed, one.skipped)


def cmocka(counts, build, program, env):
    env = {**env, "CMOCKA_MESSAGE_OUTPUT": "TAP"}
    code, output, seconds = run([str(program)], env)
    results = re.findall(r"^(ok|not ok) \d+ (.*)$", output, re.M)
    skipped = sum("# SKIP" in name for _, name in results)  # cmocka says "not ok N # SKIP name"
    passed = sum(word == "ok" and "# SKIP" not in name for word, name in results)
    failed = sum(word == "not ok" and "# SKIP" not in name for word, name in results)
    if code != 0 and not failed or not passed + failed + skipped:
        failed += 1  # a crash, a sanitizer's report, or no tests at all
    counts.add(passed, failed, skipped)
    report(f"{build}/{program.name}", passed, failed, skipped, seconds, output)
    for _, name in results:
        if "# SKIP" in name:
            print(f"     skipped: {name.replace('# SKIP', '').strip()}")
    return counts


def pytest(counts, name, arguments, env):
    with tempfile.TemporaryDirectory() as folder:
        junit = pathlib.Path(folder) / "junit.xml"
        code, output, seconds = run([str(VENV / "python"), "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "-n", str(WORKERS),
                                     "--dist", "worksteal", f"--junitxml={junit}", *arguments], env)
        passed = failed = skipped = 0
        if junit.exists():
            for suite in xml.etree.ElementTree.parse(junit).getroot().iter("testsuite"):
                bad = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
                skip = int(suite.get("skipped", 0))
                passed, failed, skipped = passed + int(suite.get("tests", 0)) - bad - skip, failed + bad, skipped + skip
        if code != 0 and not failed:
            failed = 1
    counts.add(passed, failed, skipped)
    report(name, passed, failed, skipped, seconds, output)
    for line in re.findall(r"^SKIPPED .*$", output, re.M):
        print(f"     {line}")


def programs(build):
    folders = [ROOT / build / "tests" / kind for kind in ("unit", "kernel", "fuzz", "faults")]
    return sorted(p for f in folders for p in f.glob("test_*") if p.is_file() and os.access(p, os.X_OK))


def build_sanitized(counts):
    """build-asan/, with the Python package installed below it for the tests to import."""
    env = {"PATH": f"{VENV}:{os.environ['PATH']}"}
    build = ROOT / "build-asan"
    if not (build / "build.ninja").exists():
        setup = ["meson", "setup", str(build), *SANITIZED_BUILD]
        if not simple(counts, "build-asan: setup", setup, env):
            return None
    if not simple(counts, "build-asan: build", ["nice", "ninja", "-C", str(build)], env):
        return None
    code, output, _ = run(["meson", "install", "-C", str(build), "--quiet", "--no-rebuild", "--destdir", "root"], env)
    found = [p for p in (build / "root").rglob("quantllm/__init__.py")]
    if code != 0 or not found:
        counts.add(0, 1, 0)
        report("build-asan: install", 0, 1, 0, 0, output)
        return None
    return found[0].parent.parent


def sanitized_python(package):
    libraries = [subprocess.run(["gcc", f"-print-file-name={name}"], capture_output=True, text=True).stdout.strip()
                 for name in ("libasan.so", "libubsan.so")]
    return {"LD_PRELOAD": " ".join(libraries), "PYTHONPATH": str(package), "PYTHONMALLOC": "malloc",
            "ASAN_OPTIONS": "detect_leaks=0:exitcode=99", "UBSAN_OPTIONS": ASAN["UBSAN_OPTIONS"]}


def c_example(counts, env):
    """What is installed, taken from an empty folder: the C example through pkg-config, as a user would."""
    with tempfile.TemporaryDirectory() as folder:
        script = f"""set -e
PATH={shlex.quote(str(VENV))}:$PATH
meson install -C build --quiet --no-rebuild --tags devel,runtime --destdir {folder}
export PKG_CONFIG_PATH=$(dirname $(find {folder} -name quantllm.pc)) PKG_CONFIG_SYSROOT_DIR={folder}
gcc -Wall -Wextra -Werror -o {folder}/generate examples/generate.c $(pkg-config --cflags --libs quantllm)
LD_LIBRARY_PATH=$(dirname $(find {folder} -name libquantllm.so)) {folder}/generate "$QL_MODEL" "The capital of France is" >{folder}/out
grep -q Paris {folder}/out"""
        simple(counts, "C example through pkg-config", ["sh", "-c", script], env)


def test_released(counts, options, full):
    """build/ and the Python package that was installed from it."""
    command = {**full, "QL_COMMAND": str(VENV / "quantllm"), "QL_PROBE": str(ROOT / "build" / "tests" / "probe")}
    run_programs(counts, "build", full)
    pytest(counts, "python", ["tests/python"], full)
    pytest(counts, "command", ["tests/cli"] if options.quick else TWICE, command)
    if not options.quick:
        pytest(counts, "command, large", ["tests/cli", "-m", "model or slow", *(f"--ignore={path}" for path in TWICE)], command)
    if options.model:
        c_example(counts, full)


def test_sanitized(counts, package, env):
    run_programs(counts, "build-asan", {**env, **ASAN})
    pytest(counts, "python, sanitized", ["tests/python", *SANITIZED], {**env, **sanitized_python(package)})
    pytest(counts, "command, sanitized", ["tests/cli", *SANITIZED],
           {**env, **ASAN, "QL_COMMAND": str(ROOT / "build-asan" / "cli" / "quantllm"),
            "QL_PROBE": str(ROOT / "build-asan" / "tests" / "probe")})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="SmolLM2-135M-Instruct.Q4_1.gguf")
    parser.add_argument("--quick", action="store_true", help="without the sanitized build")
    options = parser.parse_args()
    # A shell's background job ignores Ctrl-C, one under nohup hang-ups too, and every program under test would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    shared = os.environ.get("QL_SHARED", str(ROOT.parent / "shared"))
    cache = tempfile.TemporaryDirectory(prefix="quantllm-packed-")  # not the user's
    env = {"QL_SOURCE_ROOT": str(ROOT), "QL_SHARED": shared, "QUANTLLM_CACHE": cache.name}
    full = {**env, "QL_MODEL": options.model} if options.model else env
    counts, sanitized = Counts(), Counts()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        package = None if options.quick else pool.submit(build_sanitized, sanitized)
        simple(counts, "layers", [sys.executable, "tools/check_layers.py"])
        simple(counts, "arithmetic", [sys.executable, "tools/check_arithmetic.py"])
        simple(counts, "limits", [sys.executable, "tools/check_limits.py"])
        simple(counts, "binaries", [sys.executable, "tools/check_binaries.py", "build"])
        simple(counts, "inner loops", [sys.executable, "tools/check_loops.py", "build"])
        test_released(counts, options, full)
    if package and package.result():
        test_sanitized(sanitized, package.result(), env)
    counts.add(sanitized.passed, sanitized.failed, sanitized.skipped)
    print(f"{counts.passed} passed, {counts.failed} failed, {counts.skipped} skipped")
    return 1 if counts.failed else 0


if __name__ == "__main__":
    sys.exit(main())
