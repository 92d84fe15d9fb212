# Everything that is done in this tree, one command each. Only Python (3.11 or newer), git and make need to be there.
#
#   make demo        set up and run the main job on a small made-up dataset, with no account
#   make test        set up and run the whole test suite            (TESTS=tests/test_errors.py ARGS=-x)
#   make long        the long forms of the tests: kill loops and memory at full scale (minutes)
#   make bench       pack small corpora with Sealift and its peers, side by side (minutes)
#   make bench-long  the same, complete: hours, 25 GB of disk  (BENCH="--root FOLDER --resume")
#   make lint        ruff: mistakes and format                      make format    mend both where it can
#   make types       mypy, strict
#   make contracts   import-linter: who may import whom
#   make docs        the documents' snippets and tables
#   make audit       the locked libraries against the known vulnerabilities; needs the network
#   make check       all of the above but the audit
#   make lock        write requirements/*.txt anew from pyproject.toml; make bench-lock those of the peers
#   make clean       remove .venv and what tools left behind

VENV   ?= .venv
TESTS  ?=
BENCH  ?=
ARGS   ?=
# The first interpreter that is new enough. A name can be there and not work (a version manager's shim): so it is run.
PYTHON ?= $(shell for python in python3.11 python3 python3.12 python3.13 python; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$python && break; done)

BIN     := $(VENV)/bin
PIP     := $(BIN)/python -m pip --disable-pip-version-check --quiet
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"
BENCH_COMPILE := $(BIN)/uv pip compile --quiet --python-version 3.11 $(addprefix --find-links ,$(PIP_FIND_LINKS)) \
	--no-emit-index-url --no-emit-find-links --override requirements/bench/not-needed.txt \
	--custom-compile-command "make bench-lock" $(UPGRADE)

.DEFAULT_GOAL := help
.PHONY: help demo test long bench bench-long bench-lock lint format types contracts docs audit check lock clean
.SECONDARY:

help:
	@sed -n 's/^#   //p' Makefile

# --- the environment: made anew when its lock changes, the project installed anew when pyproject.toml does ------------------

$(VENV)/.made-%: requirements/%.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed, and not on the PATH" >&2; exit 1; }
	@echo "setting up $(VENV) ($*)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(PIP) install --require-hashes --requirement $<
	@touch $@

$(VENV)/.ready-%: $(VENV)/.made-% pyproject.toml
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

# The demo needs little; where the developer's environment is, it does.
DEMO := $(if $(wildcard $(VENV)/.made-dev),dev,demo)

# --- the commands -----------------------------------------------------------------------------------------------------------

demo: $(VENV)/.ready-$(DEMO)
	@$(BIN)/sealift demo

test: $(VENV)/.ready-dev
	@$(BIN)/pytest -n 2 $(ARGS) $(TESTS)

long: $(VENV)/.ready-dev
	@$(BIN)/pytest -m long $(ARGS) $(TESTS)

# The peers' environments are made by the command itself, in benchmarks/.venvs.
bench: $(VENV)/.ready-dev
	@$(BIN)/python -m benchmarks --short --fresh $(BENCH)

bench-long: $(VENV)/.ready-dev
	@$(BIN)/python -m benchmarks $(BENCH)

lint: $(VENV)/.ready-dev
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

format: $(VENV)/.ready-dev
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

types: $(VENV)/.ready-dev
	@$(BIN)/mypy

contracts: $(VENV)/.ready-dev
	@$(BIN)/lint-imports

docs: $(VENV)/.ready-dev
	@$(BIN)/pytest $(ARGS) tests/test_docs.py tests/test_docs_hub.py

# AUDIT=required fails where the service cannot be asked; else that is said, and the build goes on.
audit: $(VENV)/.ready-dev
	@$(BIN)/python .ci/audit.py requirements/dev.txt

# The tests hold the documents too.
check: lint types contracts test

lock: $(VENV)/.ready-dev
	@$(COMPILE) $(UPGRADE) pyproject.toml --all-extras --group dev --output-file requirements/dev.txt
	@$(COMPILE) --constraint requirements/dev.txt pyproject.toml --group build \
		--extra audio --extra image --extra nifti --extra midi --extra datasets --output-file requirements/demo.txt
	@$(COMPILE) --constraint requirements/dev.txt pyproject.toml --output-file requirements/runtime.txt

# Of torch a build for processors alone is taken where one is offered, and pinned without that mark.
bench-lock: $(VENV)/.ready-dev
	@for name in tables training; do $(BENCH_COMPILE) requirements/bench/$$name.in --output-file requirements/bench/$$name.txt; \
		sed -i 's/+cpu$$//' requirements/bench/$$name.txt; done

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
