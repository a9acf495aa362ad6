# Verbs for people. CMake and Ninja do the work; every verb can be run on a fresh checkout after scripts/bootstrap.
BUILD ?= build
export TURNPIKE_BUILD := $(CURDIR)/$(BUILD)

.PHONY: build run test test-fast unit e2e conformance check asan tsan fuzz bench bench-quick compat fmt fmt-check lint lint-changed web new-plugin clean help

build: ## compile everything into build/
	@cmake -S . -B $(BUILD) -G Ninja --log-level=WARNING >/dev/null
	@ninja -C $(BUILD) --quiet

run: ## install what is missing, build, start the demo gateway, print calls to try
	@scripts/run-demo

test: ## install what the tests need, run all that CI runs; ends with "N passed, N failed"
	@scripts/bootstrap --test
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

bench: build ## the table of budgets: the gateway against nginx's own proxy_pass
	@tests/bench/run

bench-quick: build ## the same table in few rounds: to see that it works
	@tests/bench/run --quick

compat: build ## extra checks with other people's tools; says which are missing
	@scripts/compat

fmt: ## format the C sources in place
	@scripts/c-files | xargs clang-format -i

fmt-check: ## say which C sources are not formatted
	@scripts/c-files | xargs clang-format --dry-run --Werror

lint: ## clang-tidy over the C sources
	@scripts/lint

lint-changed: ## the same over those that differ from the last commit
	@scripts/lint --changed

web: ## build the web user interfaces (none yet)
	@echo "There is no web interface yet: web/ comes with the Manager and the Portal."

new-plugin: ## make src/plugins/<name> with a working plugin: make new-plugin NAME=my-plugin
	@scripts/new-plugin "$(NAME)"

clean: ## remove all builds
	@rm -rf $(BUILD) build-*

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' Makefile | expand -t 16
