# Everything one does here, one word each. `make` alone lists them.

.DEFAULT_GOAL := help
.PHONY: help run check test golden simulate build deploy bench fuzz audit .venv

PYTHON ?= python3
STACK ?= lockgate
FUZZ_SECONDS ?= 60
SCHEDULES ?= 1000000

# AWS's DynamoDB Local, for the tests of the storage.
dynamodb_local = shared/storage/tests/dynamodb-local

# SAM's tools live in the virtual environment, and cargo-lambda finds its linker there.
sam = SAM_CLI_TELEMETRY=0 PATH="$(CURDIR)/.venv/bin:$$PATH" sam

# arm64, unless Rust can build for x86_64 only.
has_target = $(wildcard $(shell rustc --print target-libdir --target $(1)-unknown-linux-gnu))
ARCHITECTURE ?= $(if $(call has_target,aarch64),arm64,$(if $(call has_target,x86_64),x86_64,arm64))

help: ## List these commands
	@sed -nE 's/^([a-z]+):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

run: ## Serve every endpoint on localhost, with SQLite
	cargo run --package lockgate

check: ## Formatting, lints and docs
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- --deny warnings
	RUSTDOCFLAGS="--deny warnings" cargo doc --workspace --no-deps

test: check .venv ## All that a change must pass: checks, unit, golden, contract and end-to-end tests
	cargo test --workspace
	.venv/bin/pytest e2e

golden: ## Accept what the formats now write
	UPDATE_GOLDEN=1 cargo test --package formats

simulate: ## Play SCHEDULES schedules of the simulated ledger; `make test` plays ten thousand
	PROPTEST_CASES=$(SCHEDULES) cargo test --package tenants --test simulation

build: .venv ## Build the functions for Lambda, into .aws-sam/build
	$(sam) build --parameter-overrides Architecture=$(ARCHITECTURE)

deploy: build ## Deploy them to your AWS account; the first time it asks what it needs
	@guided=$$($(sam) list stack-outputs --stack-name $(STACK) >/dev/null 2>&1 || echo --guided); \
	$(sam) deploy --stack-name $(STACK) --parameter-overrides Architecture=$(ARCHITECTURE) $$guided

bench: ## Measure the gateway against its floor
	cargo build --release --package lockgate --package chat-completions --package messages --package responses --package generate-content --package models --package health --package bench
	target/release/bench

fuzz: ## Feed the readers what nobody should send; needs a nightly compiler, FUZZ_SECONDS each
	test -x target/tools/bin/cargo-fuzz || cargo install cargo-fuzz --locked --root target/tools
	sh fuzz/seed.sh
	for target in request answer stream; do \
		PATH="$(CURDIR)/target/tools/bin:$$PATH" cargo +nightly fuzz run $$target -- \
			-max_total_time=$(FUZZ_SECONDS) -max_len=65536 -timeout=10 -dict=fuzz/words.dict || exit 1; \
	done

audit: ## Licences, advisories and origins of what we depend on; needs cargo-deny
	cargo deny check

.venv: .venv/installed

.venv/installed: e2e/requirements.txt e2e/requirements-pins.txt e2e/package-lock.json $(dynamodb_local)/package-lock.json
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
		echo "The tests need Python 3.10 or newer: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || { \
		echo "Python lacks its venv module: on Debian and Ubuntu, apt install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --no-input --disable-pip-version-check \
		--requirement e2e/requirements.txt --constraint e2e/requirements-pins.txt
	PATH="$(CURDIR)/.venv/bin:$$PATH" npm ci --prefix e2e --ignore-scripts --no-audit --no-fund --loglevel error
	PATH="$(CURDIR)/.venv/bin:$$PATH" npm ci --prefix $(dynamodb_local) --ignore-scripts --no-audit --no-fund --loglevel error
	@touch $@
