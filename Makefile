# `make run` starts the dashboard and `make test` runs every test; both set up what they need first.
# Options for the command behind a target go in ARGS: make run ARGS="--port 9000", make test ARGS="-k usage".

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup setup-dev run test check format lock lambda-package screenshots bench bench-scale clean
MAKEFLAGS += --no-print-directory
ARGS ?=
# Many tests wait for a server, a browser or a deadline; more processes than cores make those with a deadline late.
WORKERS ?= 2
BIN := .venv/bin
PYTHON ?=
export PYTHON

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: ## Make .venv with what the program needs (PYTHON=/path/to/python chooses the interpreter)
	@.ci/setup run

setup-dev: ## The same, with what checks and tests need
	@.ci/setup dev

run: setup ## Start the dashboard on http://127.0.0.1:8501
	@$(BIN)/agent-launcher up $(ARGS)

test: setup-dev ## Run every test; browser, Postgres, Node and Lambda's emulator are found or installed
	@.ci/setup lambda-tools
	@.ci/lambda-package --wheels-only
	@$(BIN)/python -m tests.support.provision
	@$(BIN)/pytest --numprocesses=$(WORKERS) --dist=loadfile $(ARGS)

check: setup-dev ## Format, lint, types, import contracts
	$(BIN)/ruff format --check --output-format concise .
	$(BIN)/ruff check --output-format concise .
	$(BIN)/basedpyright
	$(BIN)/lint-imports --no-logo

format: setup-dev ## Format the code and apply the linter's safe fixes
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

lock: ## Write the lock files again (ARGS=--upgrade for newer versions)
	.ci/lock $(ARGS)

lambda-package: ## Build what is deployed to AWS Lambda (ARGS="--arch x86_64 --with my-plugin")
	@.ci/lambda-package $(ARGS)

screenshots: setup-dev ## Take a picture of every page, light and dark
	@$(BIN)/python -m tests.support.provision
	$(BIN)/python -m tests.browser.screenshots $(ARGS)

bench: setup-dev ## Measure beside other libraries, in one interleaved run
	@.ci/setup bench-peers
	@.ci/setup bench-litellm
	$(BIN)/python -m benchmarks.run $(ARGS)

bench-scale: setup-dev ## Measure the store with a million runs, beside SQL, pandas and SQLModel; takes half an hour
	$(BIN)/python -m benchmarks.scale $(ARGS)

clean: ## Remove environments and caches; data/ stays
	rm -rf .venv .tools build dist *.egg-info .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	rm -rf tests/support/aimock/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
