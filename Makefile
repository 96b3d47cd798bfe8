# SPDX-License-Identifier: MIT
# What people type; the work is Meson's. PREFIX is where `make install` puts the library, header and command.
PREFIX ?= /usr/local
DESTDIR ?=
MESON ?= $(firstword $(wildcard .venv/bin/meson) meson)
NINJA ?= $(firstword $(wildcard .venv/bin/ninja) ninja)
PYTHON ?= $(firstword $(wildcard .venv/bin/python) python3)
# meson finds ninja beside itself
export PATH := $(CURDIR)/.venv/bin:$(PATH)
MODEL ?= $(shell tools/get_model.sh --path)

.PHONY: build test test-long bench bench-compare install docs clean

build: build/build.ninja
	@$(NINJA) -C build

build/build.ninja:
	$(MESON) setup build --prefix=$(PREFIX) -Dtests=true

test:
	./check

test-long: build
	tools/test_long.sh $(MODEL)

bench: build
	build/cli/quantllm bench $(MODEL) -p 512 -n 128 -d 0 -r 5

# RIVAL: a Python with llama-cpp-python (bench/compare.py says how it is built); MODEL may be several
bench-compare: build
	$(PYTHON) bench/compare.py $(MODEL) --command build/cli/quantllm --rival-python $(RIVAL) --work all --json build/compare.json
	$(PYTHON) bench/plot.py build/compare.json build/plots

install: build
	$(MESON) configure build --prefix=$(PREFIX)
	$(MESON) install -C build --no-rebuild --tags devel,runtime $(if $(DESTDIR),--destdir $(DESTDIR))

docs: build
	$(PYTHON) tools/make_docs.py

clean:
	rm -rf build build-asan
