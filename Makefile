# softstep: one target per task; `make demo` and `make test` first install everything they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: setup setup-dev demo test test-all check bench docs dist clean

setup: $(VENV)/.installed
setup-dev: $(VENV)/.installed-dev

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable ".[train,web]"
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) --editable ".[dev]"
	@touch $@

demo: setup
	$(BIN)/softstep compare LunarLander-v3 --preset demo

test: setup-dev
	$(BIN)/python -m pytest -m "not heavy" -n auto --dist loadfile

test-all: setup-dev
	$(BIN)/python -m pytest -m heavy -n auto --dist loadfile

check: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup-dev
	$(BIN)/python -m benchmarks

docs: setup-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

dist: setup-dev
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/python -m pytest -m heavy -s tests/project/test_packaging.py

clean:
	rm -rf $(VENV) build dist site .pytest_cache .mypy_cache .ruff_cache
