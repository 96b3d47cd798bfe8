#!/bin/sh
# SPDX-License-Identifier: MIT
# Makes this folder ready: Debian packages, .venv, build/, and .venv/bin/quantllm with the Python package.
# Run by ./demo and ./check; does only what is missing, so a second run takes a moment.
set -eu
cd "$(dirname "$0")/.."
root=$PWD

say() { echo "setup: $*" >&2; }
fail() { say "$*"; exit 1; }

# The Debian packages that are missing, by what they provide.
missing() {
    command -v gcc >/dev/null || printf ' gcc libc6-dev'
    command -v make >/dev/null || printf ' make'
    command -v pkg-config >/dev/null || printf ' pkg-config'
    for pair in jansson:libjansson-dev libpcre2-8:libpcre2-dev libedit:libedit-dev libcurl:libcurl4-openssl-dev libcrypto:libssl-dev cmocka:libcmocka-dev; do
        pkg-config --exists "${pair%%:*}" 2>/dev/null || printf ' %s' "${pair#*:}"
    done
    [ -f /usr/include/uninorm.h ] || printf ' libunistring-dev'
    [ "$(uname -m)" != x86_64 ] || [ -f /usr/include/simde/x86/avx512.h ] || printf ' libsimde-dev' # tests/kernel/emulated
    python3 -c 'import ensurepip, venv' 2>/dev/null || printf ' python3-venv'
    python3 -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' ||
        printf ' python3-dev'
}

install_packages() {
    packages=$(missing)
    [ -n "$packages" ] || return 0
    command -v apt-get >/dev/null ||
        fail "missing:$packages (Debian names): install them with your package manager, then run this again"
    sudo=
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || fail "missing:$packages: as root, run: apt-get install$packages"
        sudo=sudo
    fi
    say "installing$packages"
    log=$(mktemp)
    # shellcheck disable=SC2086
    if ! { $sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq $packages; } \
        >"$log" 2>&1 </dev/null; then
        tail -n 3 "$log" >&2
        fail "apt-get could not install$packages: check the network, then run: $sudo apt-get install$packages"
    fi
    rm -f "$log"
    packages=$(missing)
    [ -z "$packages" ] || fail "still missing after apt-get:$packages"
}

install_venv() {
    wanted="meson>=1.3 ninja meson-python>=0.17 pytest pytest-xdist hypothesis huggingface_hub>=0.25,<3 tqdm>=4.42 numpy tokenizers>=0.20 sentencepiece"
    stamp=.venv/.quantllm-tools
    if [ ! -x .venv/bin/python ] || [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
        say "making .venv"
        [ -x .venv/bin/python ] || python3 -m venv .venv
        # shellcheck disable=SC2086
        .venv/bin/python -m pip install -q --disable-pip-version-check $wanted >.venv/pip.log 2>&1 ||
            { tail -n 3 .venv/pip.log >&2; fail "pip could not install $wanted: check the network and run this again"; }
        echo "$wanted" >"$stamp"
    fi
}

# One build for the library, the command, the tests and the Python package: compiling it all again for a wheel takes as
# long again (tools/test_long.sh makes one).
build() {
    [ -f build/build.ninja ] || run_quietly meson setup build --prefix="$root/.venv" -Dtests=true -Dpython=true
    [ -d build/python ] || run_quietly meson setup --reconfigure build -Dpython=true
    run_quietly ninja -C build
}

# Runs a program of .venv; its output only shows when it fails.
run_quietly() {
    PATH="$root/.venv/bin:$PATH" "$@" >.venv/build.log 2>&1 || { tail -n 30 .venv/build.log >&2; fail "$* failed"; }
}

install_package() {
    stamp=.venv/.quantllm-package
    if [ -f "$stamp" ] && [ -x .venv/bin/quantllm ] &&
        [ -z "$(find build/cli/quantllm build/python python -newer "$stamp" -type f | head -n 1)" ]; then
        return 0
    fi
    say "installing the Python package"
    run_quietly meson install -C build --quiet --no-rebuild --tags python-runtime
    install -m 755 build/cli/quantllm .venv/bin/quantllm
    touch "$stamp"
}

install_packages
install_venv
build
install_package
