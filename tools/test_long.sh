#!/bin/sh
# SPDX-License-Identifier: MIT
# The long runs (about an hour): the full perplexity, fuzzing, ThreadSanitizer, and the whole model under ASan.
#   tools/test_long.sh MODEL [SECONDS_PER_FUZZER]
# QL_JINJA_PYTHON: an interpreter with jinja2, to compare templates with it.
set -eu
cd "$(dirname "$0")/.."
model=$1
seconds=${2:-300}
PATH=$PWD/.venv/bin:$PATH
export QL_SOURCE_ROOT="$PWD" QL_SHARED="${QL_SHARED:-$PWD/../shared}"
failed=0
step() {
    name=$1
    shift
    echo "== $name"
    "$@" || { failed=$((failed + 1)); echo "FAIL $name"; }
}

step "perplexity of 20,480 tokens" env QL_LONG=1 QL_MODEL="$model" python -m pytest -q tests/python -m slow

[ ! -x "${QL_JINJA_PYTHON:-}" ] || {
    step "templates beside jinja2" "$QL_JINJA_PYTHON" tests/golden/fuzz_jinja.py build/libquantllm.so "$seconds"
    step "templates of models beside jinja2" "$QL_JINJA_PYTHON" tests/golden/compare_templates.py build/libquantllm.so \
        "$QL_SHARED/data/templates" 300 "$(date +%s)"
}

step "tokenizers, 100,000 strings a family" env QL_TOKENIZER_STRINGS=100000 python -m pytest -q tests/python/test_tokenizer_families.py

[ -f build-asan/build.ninja ] || meson setup build-asan --prefix=/usr -Dtests=true -Dpython=true -Dbuildtype=debugoptimized \
    -Db_sanitize=address,undefined -Db_lundef=false >/dev/null
ninja -C build-asan >/dev/null
step "the whole model under ASan" env UBSAN_OPTIONS=halt_on_error=1 build-asan/cli/quantllm run "$model" \
    "The capital of France is" --max-new-tokens 32 --temperature 0 --quiet
for isa in scalar avx2 avx512; do
    step "the whole model under ASan, $isa" env QUANTLLM_ISA=$isa UBSAN_OPTIONS=halt_on_error=1 build-asan/cli/quantllm run \
        "$model" "The capital of France is" --max-new-tokens 4 --temperature 0 --quiet
done

[ -f build-tsan/build.ninja ] || meson setup build-tsan -Dtests=true -Dbuildtype=debugoptimized -Db_sanitize=thread \
    -Db_lundef=false >/dev/null
ninja -C build-tsan >/dev/null
for program in build-tsan/tests/unit/test_*; do
    [ -x "$program" ] && [ -f "$program" ] && step "TSan $(basename "$program")" "$program"
done
step "the whole model under TSan" env TSAN_OPTIONS=halt_on_error=1 build-tsan/cli/quantllm run "$model" \
    "The capital of France is" --max-new-tokens 8 --temperature 0 --quiet --threads 4

if command -v clang >/dev/null; then
    for source in tests/fuzz/fuzz_*.c; do
        name=$(basename "$source" .c)
        # shellcheck disable=SC2046
        clang -g -O1 -D_GNU_SOURCE -DQL_VERSION='"fuzz"' -fsanitize=fuzzer,address,undefined -Iinclude -Isrc -Ihub -o "build/$name" \
            "$source" hub/name.c hub/metadata.c hub/choose.c src/base/*.c src/tensor/*.c src/format/*.c src/text/*.c \
            $(pkg-config --cflags --libs jansson libpcre2-8) -lunistring -lm -lpthread
        mkdir -p "build/corpus-$name"
        seeds=tests/fuzz/corpus/$name
        [ -d "$seeds" ] || seeds=
        # shellcheck disable=SC2086
        step "$name for $seconds s" "build/$name" -max_total_time="$seconds" -rss_limit_mb=512 -timeout=5 "build/corpus-$name" $seeds
    done
else
    echo "== fuzzing skipped: clang is not installed (apt-get install clang)"
fi
[ "$failed" = 0 ] && echo "long runs: all passed" || { echo "long runs: $failed failed"; exit 1; }
