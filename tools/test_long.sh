#!/bin/sh
# SPDX-License-Identifier: MIT
# The long runs (one to two hours): everything that ./check runs a sample of, the released command with all tests, the
# wheel, fuzzing, ThreadSanitizer, the whole model under ASan, and the coverage of the parsers.
#   tools/test_long.sh MODEL [SECONDS_PER_FUZZER [STEP...]]       STEP: only these, by the first word of their names
# QL_JINJA_PYTHON: an interpreter with jinja2, to compare templates with it.
set -eu
cd "$(dirname "$0")/.."
model=$1
seconds=${2:-60}
[ $# -lt 2 ] && shift 1 || shift 2
only=" $* "
PATH=$PWD/.venv/bin:$PATH
export QL_SOURCE_ROOT="$PWD" QL_SHARED="${QL_SHARED:-$PWD/../shared}" QL_LONG=1
QUANTLLM_CACHE=$(mktemp -d)
export QUANTLLM_CACHE # not the user's
trap 'rm -rf "$QUANTLLM_CACHE"' EXIT
passed=0 failed=0
wanted() { case $only in "  " | *" $1 "*) ;; *) return 1 ;; esac; }
step() {
    name=$1
    shift
    wanted "${name%% *}" || return 0
    echo "== $name"
    begin=$(date +%s)
    if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAIL $name"; fi
    echo "   $(($(date +%s) - begin)) s"
}

step "python: all of it" env QL_MODEL="$model" python -m pytest -q -rs -p no:cacheprovider tests/python
step "command: all of it, as released" env QL_MODEL="$model" QL_COMMAND="$PWD/.venv/bin/quantllm" \
    python -m pytest -q -rs -p no:cacheprovider tests/cli
step "wheel: made, installed in an environment of its own, and used" sh -ec '
    folder=$(mktemp -d)
    python -m pip wheel -q --no-deps --no-build-isolation --disable-pip-version-check -w "$folder" .
    python -m venv "$folder/venv"
    "$folder/venv/bin/pip" install -q --no-deps --disable-pip-version-check "$folder"/quantllm-*.whl
    cd "$folder"
    venv/bin/python -c "import sys, quantllm; print(quantllm.turbo(sys.argv[1], verbose=False).generate(\"The capital of France is\", do_sample=False, max_new_tokens=4))" "$1" | grep -q Paris
    venv/bin/quantllm --version
    rm -rf "$folder"' sh "$model"

[ ! -x "${QL_JINJA_PYTHON:-}" ] || {
    step "jinja: templates beside jinja2" "$QL_JINJA_PYTHON" tests/golden/fuzz_jinja.py build/libquantllm.so "$seconds"
    step "jinja: templates of models beside jinja2" "$QL_JINJA_PYTHON" tests/golden/compare_templates.py build/libquantllm.so \
        "$QL_SHARED/data/templates" 300 "$(date +%s)"
}

step "tokenizers: 100,000 strings a family" env QL_TOKENIZER_STRINGS=100000 python -m pytest -q tests/python/test_tokenizer_families.py

# A build with a sanitizer: folder, sanitizer, the steps that need it. As tools/run_tests.py makes build-asan.
sanitized() {
    wanted "$3" || wanted "$4" || return 0
    [ -f "$1/build.ninja" ] || meson setup "$1" --prefix=/usr -Dtests=true -Dpython=true -Dbuildtype=debug -Doptimization=1 \
        -Dc_args="-g1 -fno-tree-sra --param=asan-instrumentation-with-call-threshold=30" -Db_sanitize="$2" -Db_lundef=false >/dev/null
    ninja -C "$1" >/dev/null
    meson install -C "$1" --quiet --no-rebuild --destdir root
}

sanitized build-asan address,undefined asan: sweeps:
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 ASAN_OPTIONS=detect_leaks=1:exitcode=99
for program in faults damage; do
    step "sweeps: $program, under ASan" build-asan/tests/faults/test_$program
    step "sweeps: $program, as released" build/tests/faults/test_$program
done
step "sweeps: download, under ASan" env QL_FAULT_PULL="$PWD/build-asan/tests/faults/fault_pull" \
    QL_COMMAND="$PWD/build-asan/cli/quantllm" python -m pytest -q -p no:cacheprovider tests/cli/test_pull_faults.py
step "asan: the whole model" build-asan/cli/quantllm run "$model" "The capital of France is" --max-new-tokens 32 \
    --temperature 0 --quiet
for isa in scalar avx2 avx512; do
    step "asan: the whole model, $isa" env QUANTLLM_ISA=$isa build-asan/cli/quantllm run "$model" "The capital of France is" \
        --max-new-tokens 4 --temperature 0 --quiet
done

sanitized build-tsan thread tsan: tsan:
export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:suppressions=$PWD/tests/faults/tsan.supp
for program in build-tsan/tests/unit/test_*; do
    [ -x "$program" ] && [ -f "$program" ] && step "tsan: $(basename "$program")" "$program"
done
step "tsan: the whole model" build-tsan/cli/quantllm run "$model" "The capital of France is" --max-new-tokens 8 \
    --temperature 0 --quiet --threads 4
package=$(dirname "$(dirname "$(find build-tsan/root -name '_quantllm*.so' 2>/dev/null)")")
! wanted tsan: || gcc -D_GNU_SOURCE -shared -fPIC -o build-tsan/sem_clockwait.so tests/faults/sem_clockwait.c
step "tsan: Python's threads" env -u QL_LONG LD_PRELOAD="$(gcc -print-file-name=libtsan.so) $PWD/build-tsan/sem_clockwait.so" PYTHONPATH="$PWD/$package" \
    python -m pytest -q -p no:cacheprovider tests/python/test_threads.py tests/python/test_handles.py -m "not model"

# The code under test is compiled once; a target is its own file and that archive.
flags="-g -O1 -D_GNU_SOURCE -DQL_VERSION=\"fuzz\" -Iinclude -Isrc -Ihub"
fuzzers() {
    rm -rf build/fuzz-objects
    mkdir -p build/fuzz-objects
    # shellcheck disable=SC2046,SC2086
    echo hub/name.c hub/metadata.c hub/choose.c src/base/*.c src/tensor/*.c src/format/*.c src/text/*.c | tr ' ' '\n' |
        xargs -P "$(nproc)" -I FILE sh -c 'clang $0 -fsanitize=fuzzer-no-link,address,undefined $(pkg-config --cflags jansson libpcre2-8) \
            -c -o "build/fuzz-objects/$(echo FILE | tr / _).o" FILE' "$flags"
    ar rcs build/fuzz-objects/all.a build/fuzz-objects/*.o
}
if ! wanted fuzz; then
    :
elif command -v clang >/dev/null; then
    step "fuzz targets are compiled" fuzzers
    for source in tests/fuzz/fuzz_*.c; do
        name=$(basename "$source" .c)
        # shellcheck disable=SC2046,SC2086
        clang $flags -fsanitize=fuzzer,address,undefined -o "build/$name" "$source" build/fuzz-objects/all.a \
            $(pkg-config --cflags --libs jansson libpcre2-8) -lunistring -lm -lpthread
        mkdir -p "build/corpus-$name"
        step "fuzz $name for $seconds s" "build/$name" -max_total_time="$seconds" -rss_limit_mb=512 -timeout=10 -verbosity=0 \
            -print_final_stats=1 -artifact_prefix="build/$name-" "build/corpus-$name" "tests/fuzz/corpus/$name"
    done
else
    echo "== fuzzing skipped: clang is not installed (apt-get install clang)"
fi
step "coverage: of what reads other people's bytes" tools/coverage.py --at-least 95
[ "$failed" = 0 ] && echo "long runs: all $passed passed" || { echo "long runs: $passed passed, $failed failed"; exit 1; }
