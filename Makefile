# `make test` and `make demo` do all their own set-up on a machine with only Python and pip.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

.PHONY: install test lint types demo bench clean

install: $(VENV)/.installed

# torch and torchvision are resolved together from the package index, with everything else.
$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e '.[test]'
	touch $@

test: lint types
	$(BIN)/python -m pytest -n auto --dist worksteal

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

demo: install
	$(BIN)/featx demo --overwrite

bench: install
	$(BIN)/python benchmarks/extract.py
	$(BIN)/python benchmarks/fit.py

clean:
	rm -rf $(VENV) featx-demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
