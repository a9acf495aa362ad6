# Verbs for people. CMake and Ninja do the work; every verb can be run on a fresh checkout after scripts/bootstrap.
BUILD ?= build
PYTHON := /usr/bin/python3
export TURNPIKE_BUILD := $(CURDIR)/$(BUILD)

.PHONY: build run test test-fast unit e2e conformance check asan tsan fuzz fuzz-replay bench bench-quick compat fmt fmt-check lint web new-plugin clean help

build: ## compile everything into build/
	@cmake -S . -B $(BUILD) -G Ninja --log-level=WARNING >/dev/null
	@ninja -C $(BUILD) --quiet

run: ## install what is missing, build, start the demo gateway, print calls to try
	@scripts/run-demo

test: ## all that CI runs; ends with "N passed, N failed"
	@scripts/run-tests all

test-fast: ## unit tests, checks and the quick end-to-end tests, under two minutes
	@scripts/run-tests fast

unit: build ## unit tests only
	@scripts/run-tests unit

e2e: build ## end-to-end tests only
	@scripts/run-tests e2e

conformance: build ## replay what a real Kong answered
	@scripts/run-tests conformance

check: ## the rules of the tree: direction of includes, headers compile alone, sizes
	@scripts/check-includes
	@scripts/check-headers
	@scripts/check-sizes

asan: ## unit and end-to-end tests with the address and undefined-behaviour sanitizers
	@scripts/run-tests asan

tsan: ## unit tests with threads under the thread sanitizer
	@scripts/run-tests tsan

fuzz: ## each fuzz target for FUZZ_SECONDS (default 60)
	@scripts/fuzz

bench: ## the table of budgets (docs/bench.md)
	@tests/bench/run

compat: ## extra checks with other people's tools; says which are missing
	@scripts/compat

fmt: ## format the C sources in place
	@scripts/c-files | xargs clang-format -i

fmt-check:
	@scripts/c-files | xargs clang-format --dry-run --Werror

lint: build ## clang-tidy over the C sources
	@scripts/c-files | grep '\.c$$' | xargs -P 2 -n 8 clang-tidy --quiet -p $(BUILD)

web: ## build the web user interfaces (none yet)
	@echo "There is no web interface yet: web/ comes with the Manager and the Portal."

new-plugin: ## make src/plugins/<name> with a working plugin: make new-plugin NAME=my-plugin
	@scripts/new-plugin "$(NAME)"

clean:
	@rm -rf $(BUILD) build-*

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 16
