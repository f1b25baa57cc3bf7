# `make test` and `make demo` do all their own set-up on a machine with only Python and pip.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

.PHONY: install test lint types demo docs linkcheck bench clean

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

# Notebooks are executed, so that the site shows what they print. Look at site/index.html.
docs: install
	FEATX_DOCS_EXECUTE=1 $(BIN)/python -m sphinx --fail-on-warning --keep-going -E docs site

# Addresses outside the site; needs a network.
linkcheck: install
	$(BIN)/python -m sphinx -b linkcheck docs site/linkcheck

bench: install
	$(BIN)/python benchmarks/extract.py
	$(BIN)/python benchmarks/fit.py

clean:
	rm -rf $(VENV) site featx-demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
