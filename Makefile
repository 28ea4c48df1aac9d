# Everything one does here, one word each. `make` alone lists them.

.DEFAULT_GOAL := help
.PHONY: help run check test test-clients golden simulate install uninstall deploy-ssh release image build deploy bench fuzz audit .venv

PYTHON ?= python3
STACK ?= lockgate
FUZZ_SECONDS ?= 60
SCHEDULES ?= 1000000
SOAK_SECONDS ?= 600
SSH_TARGET ?= x86_64-unknown-linux-musl
as_root = $(if $(filter-out 0,$(shell id -u)),sudo)

# SAM by itself knows AWS_DEFAULT_REGION only.
ifdef AWS_REGION
export AWS_DEFAULT_REGION = $(AWS_REGION)
endif

# AWS's DynamoDB Local, for the tests of the storage.
dynamodb_local = shared/storage/tests/dynamodb-local

# SAM's tools live in the virtual environment, and cargo-lambda finds its linker there.
sam = SAM_CLI_TELEMETRY=0 PATH="$(CURDIR)/.venv/bin:$$PATH" sam

# The cheaper processor. cargo-lambda builds for it anywhere, with zig.
ARCHITECTURE ?= arm64
sam_build = $(sam) build --parameter-overrides Architecture=$(ARCHITECTURE)
parameters = $(if $(DOMAIN),DomainName=$(DOMAIN)) $(if $(CERTIFICATE),CertificateArn=$(CERTIFICATE)) \
	$(if $(EMAIL),Email=$(EMAIL)) $(PARAMETERS)

help: ## List these commands
	@sed -nE 's/^([a-z-]+):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

run: ## Serve every endpoint on localhost, with SQLite
	cargo run --package lockgate

check: ## Formatting, lints and docs
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- --deny warnings
	RUSTDOCFLAGS="--deny warnings" cargo doc --workspace --no-deps
	@others=$$(rustup target list --installed 2>/dev/null | grep -E 'darwin|windows' || true); \
	if [ -z "$$others" ]; then echo "macOS and Windows are not checked: their standard libraries are not here"; \
	elif [ ! -x .venv/bin/cargo-zigbuild ]; then echo "macOS and Windows are not checked: make .venv/releases brings a C compiler for them"; \
	else for target in $$others; do PATH="$(CURDIR)/.venv/bin:$$PATH" cargo-zigbuild check --package lockgate --target $$target || exit 1; done; fi

test: check .venv ## All that a change must pass: checks, unit, golden, contract and end-to-end tests
	cargo test --workspace
	.venv/bin/pytest e2e --ignore e2e/clients --numprocesses 2 --dist loadfile

test-clients: .venv e2e/clients/.venv/installed ## Coding agents and LangChain before the gateway; brings 900 MB of them
	e2e/clients/.venv/bin/pytest e2e/clients

golden: ## Accept what the formats now write
	UPDATE_GOLDEN=1 cargo test --package formats

simulate: ## Play SCHEDULES schedules of the simulated ledger, and a thousandth of whole gateways; `make test` plays fewer
	PROPTEST_CASES=$(SCHEDULES) cargo test --package tenants --test simulation
	PROPTEST_CASES=$$(($(SCHEDULES) / 1000)) cargo test --package gateway --lib simulation

install: ## Build, and install as a service of systemd, or upgrade the one that is there; asks for root by sudo
	cargo build --release --locked --package lockgate
	$(as_root) sh infra/install.sh install $(if $(CONFIG),--config $(CONFIG))

uninstall: ## Remove the service; settings and data stay, unless PURGE=1
	$(as_root) sh infra/install.sh uninstall $(if $(PURGE),--purge)

# Static, so that neither the other machine's libraries nor its age matter.
deploy-ssh: .venv/releases ## Build, and install or upgrade on another machine: make deploy-ssh HOST=root@example.com [CONFIG=config.yaml]
	@test -n "$(HOST)" || { echo "Which machine? make deploy-ssh HOST=root@example.com" >&2; exit 2; }
	rustup target add $(SSH_TARGET)
	PATH="$(CURDIR)/.venv/bin:$$PATH" cargo zigbuild --release --locked --package lockgate --target $(SSH_TARGET)
	sh infra/deploy-ssh.sh $(HOST) target/$(SSH_TARGET)/release/lockgate $(CONFIG)

release: .venv/releases ## Archives for Linux, macOS and Windows, with checksums; RELEASE="linux-x86_64 …" for some of them
	.venv/bin/python infra/release.py $(RELEASE)

image: ## The container image `lockgate`
	docker build --build-arg VERSION="$$(git rev-parse --short HEAD)" --tag lockgate .

soak: ## Mixed traffic with faults for SOAK_SECONDS: memory and descriptors stay flat, every call is counted
	SOAK_SECONDS=$(SOAK_SECONDS) cargo test --release --package lockgate --test serve soak -- --ignored --nocapture

build: .venv/deploys ## Build the functions for Lambda, into .aws-sam/build
	$(sam_build)

# BUILT=TEMPLATE deploys what is built already. There is nobody to ask: standard input is empty.
deploy: .venv/deploys ## Build and deploy to AWS: make deploy [DOMAIN=… EMAIL=… STACK=… PARAMETERS="Name=Value …"]
	@wanted=$$(.venv/bin/python infra/preflight.py --stack $(STACK) --architecture $(ARCHITECTURE) \
		$(if $(BUILT),--built) $(parameters)) && \
	$(if $(BUILT),,$(sam_build) &&) \
	{ $(sam) deploy --config-file $(CURDIR)/samconfig.toml \
		--template-file $(or $(BUILT),.aws-sam/build/template.yaml) \
		--stack-name $(STACK) --parameter-overrides $$wanted </dev/null || \
	{ .venv/bin/python infra/failures.py --stack $(STACK) >&2; exit 1; }; }

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

pip_install = .venv/bin/python -m pip install --quiet --no-input --disable-pip-version-check \
	--constraint e2e/requirements-pins.txt --requirement

# What deploying needs, which is a small part of what the tests need.
.venv/deploys: infra/requirements.txt e2e/requirements-pins.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
		echo "Python 3.10 or newer is needed: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || { \
		echo "Python lacks its venv module: on Debian and Ubuntu, apt install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(pip_install) infra/requirements.txt
	@touch $@

.venv/releases: .venv/deploys infra/release-requirements.txt
	$(pip_install) infra/release-requirements.txt
	@touch $@

.venv/installed: .venv/deploys e2e/requirements.txt e2e/requirements-pins.txt e2e/package-lock.json $(dynamodb_local)/package-lock.json
	$(pip_install) e2e/requirements.txt
	PATH="$(CURDIR)/.venv/bin:$$PATH" npm ci --prefix e2e --ignore-scripts --no-audit --no-fund --loglevel error
	PATH="$(CURDIR)/.venv/bin:$$PATH" npm ci --prefix $(dynamodb_local) --ignore-scripts --no-audit --no-fund --loglevel error
	@touch $@

# LangChain wants an older client of Google's than the other tests, so this is an environment of its own.
e2e/clients/.venv/installed: .venv e2e/clients/requirements.txt e2e/clients/package-lock.json
	$(PYTHON) -m venv e2e/clients/.venv
	e2e/clients/.venv/bin/python -m pip install --quiet --no-input --disable-pip-version-check \
		--requirement e2e/clients/requirements.txt
	PATH="$(CURDIR)/.venv/bin:$$PATH" npm ci --prefix e2e/clients --ignore-scripts --no-audit --no-fund --loglevel error
	@touch $@
