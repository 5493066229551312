# One door for commands. `make demo` on a clean clone installs everything into .venv and shows a week of paper trading.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PORT ?= $(or $(OPENCLAW_PORT),3000)
PYTEST_WORKERS ?= 2
PYTEST_ARGS ?=
BENCHMARKS ?= $(filter-out benchmarks/bench_%,$(wildcard benchmarks/*.py))

# Dagster's instance is one absolute folder, the same for every command started from here.
DATA_DIR := $(if $(OPENCLAW_DATA_DIR),$(abspath $(OPENCLAW_DATA_DIR)),$(CURDIR)/data/local)
export DAGSTER_HOME ?= $(DATA_DIR)/dagster
export PYTHONUNBUFFERED := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo factory up test lint format bench lock wheel clean

help: ## Show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

setup: .env ## Install into .venv what the lock names, each file checked by its hash; make the store and Dagster's folder

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null || { \
	  echo "This needs Python 3.11 to 3.13, '$(PYTHON)' is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# Dagster's own commands, started here without DAGSTER_HOME, find the instance by this file.
.env: | $(INSTALLED)
	@$(BIN)/openclaw init > /dev/null

demo: .env ## Live through a week of the embedded market and say what to look at
	$(BIN)/openclaw demo

factory: .env ## One cycle of the strategy factory on the embedded market, to its verdict
	$(BIN)/openclaw factory run --allow-blocked

up: .env ## Guarded web UI and daemon on 127.0.0.1:3000 (PORT=...)
	$(BIN)/openclaw web --port $(PORT)

test: $(INSTALLED) ## Tests that need neither the shared data nor minutes
	$(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist loadfile -m "not slow and not shared_data" $(PYTEST_ARGS) tests openclaw_pipelines

lint: $(INSTALLED) ## Style, formatting, types, the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/longest_functions.py

format: $(INSTALLED) ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(INSTALLED) .peers/.installed ## Benchmarks; peers for comparison live in an environment of their own
	@set -e; for file in $(BENCHMARKS); do echo "== $$file"; PEERS_PYTHON=$(CURDIR)/.peers/bin/python $(BIN)/python $$file; done

.peers/.installed: benchmarks/requirements-peers.txt
	$(PYTHON) -m venv .peers
	.peers/bin/python -m pip install --quiet --disable-pip-version-check -r benchmarks/requirements-peers.txt
	@touch $@

# `pip install uv` first. The lock names no host; hashes bind every file.
lock: ## Resolve requirements.lock anew
	uv pip compile pyproject.toml --extra dev --universal --generate-hashes --no-emit-index-url --no-header --no-strip-extras -o requirements.lock

# What an earlier build left would go into the wheel as well.
wheel: $(INSTALLED) ## Build a wheel into dist, which runs without the checkout
	rm -rf build
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist .

clean: ## Remove caches and build products; the store, Dagster's instance and .venv stay
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find openclaw_pipelines tests benchmarks tools -name __pycache__ -type d -prune -exec rm -rf {} +
