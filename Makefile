# `make train` and `make test` are all that a fresh machine needs: Python 3.11 and make.

VENV := .venv
BIN := $(VENV)/bin
RUN := runs/digits-cnn

# The first Python on the path that TensorFlow has wheels for.
PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3 python; do \
	if $$name -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
	2>/dev/null; then echo $$name; break; fi; done)

.DEFAULT_GOAL := help
.PHONY: help install train quick test lint format types check

help:
	@echo 'make train   set up .venv/, train on digits, print the test accuracy'
	@echo 'make quick   lint, types and the quick tests: two minutes on two cores'
	@echo 'make test    set up .venv/, run all tests; the slowest are listed'
	@echo 'make lint    ruff: lint and format, nothing is changed'
	@echo 'make format  ruff: format, and fix what can be fixed'
	@echo 'make types   mypy'
	@echo 'make check   lint, types and tests'

# The environment is kept until requirements.txt changes, and then built from nothing;
# the package itself is only linked to, again when setup.py changes.
install:
	@test -n '$(PYTHON)' || { echo 'Python 3.11, 3.12 or 3.13 is needed and none is on the path: install it, or name it: make PYTHON=/path/to/python3.11' >&2; exit 2; }
	@digest() { $(PYTHON) -c 'import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())' $$1; }; \
	wanted=$$(digest requirements.txt) && linked=$$(digest setup.py) || exit 1; \
	if [ "$$(cat $(VENV)/requirements.sha256 2>/dev/null)" != "$$wanted" ]; then \
		echo 'Setting up $(VENV)/ (a few minutes, once)'; \
		rm -rf $(VENV) && \
		$(PYTHON) -m venv $(VENV) && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt && \
		echo "$$wanted" > $(VENV)/requirements.sha256 || exit 1; \
	fi; \
	if [ "$$(cat $(VENV)/setup.sha256 2>/dev/null)" != "$$linked $(CURDIR)" ]; then \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e . && \
		echo "$$linked $(CURDIR)" > $(VENV)/setup.sha256 || exit 1; \
	fi

# A second `make train` finds the run finished and the test set seen, and says both.
train: install
	@$(BIN)/atelier train --flagfile=recipes/digits-cnn.flags --run_dir=$(RUN)
	@if $(BIN)/python -m app.reporting.summary --tested $(RUN); then \
		echo 'The test set has been seen: it is not read again.'; \
	else \
		$(BIN)/atelier evaluate --run_dir=$(RUN) --split=test; \
	fi
	@$(BIN)/python -m app.reporting.summary $(RUN)

# A file's tests stay in one process and files in their order: those that divide the CPU
# into logical ones come first, before TensorFlow has looked at it.
PYTEST := $(BIN)/python -m pytest --numprocesses=auto --maxprocesses=4 --dist=loadfile --no-loadscope-reorder

test: install
	@$(PYTEST) --durations=25

# After each change. Tests that start processes, export or train say so by a mark, and
# tests/tiers.py fails those that do not.
quick: lint types
	@$(PYTEST) -m 'not (process or export or cluster or slow)'

lint: install
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: install
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

types: install
	@$(BIN)/mypy

check: lint types test
