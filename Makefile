# `make test` and `make demo` do all their own set-up on a machine with only Python and pip.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

.PHONY: install test lint types coverage demo docs linkcheck bench gpu dist clean

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
	$(BIN)/lint-imports --no-cache
	$(BIN)/oxlint --deny-warnings -D correctness -D suspicious -A unicorn/consistent-function-scoping -A unicorn/no-array-sort featx/reporting/static featx/app/static

types: install
	$(BIN)/mypy

# Subprocesses are measured too: most of the command line is tested through real processes.
coverage: install
	$(BIN)/python -m pip install --quiet -e '.[dev]'
	$(BIN)/python -m pytest -n auto --dist worksteal --cov=featx --cov-report=term:skip-covered --cov-report=html:coverage

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

# On a machine with a GPU, perhaps without a network: nothing is installed. See docs/performance.md.
gpu:
	$(or $(wildcard $(BIN)/python),$(PYTHON)) benchmarks/gpu.py --minutes 8

# Both files, and the wheel tried outside the clone in an environment of its own.
dist: install
	rm -rf dist build/wheel
	$(BIN)/python -m pip install --quiet -e '.[dev]'
	$(BIN)/python -m build
	$(PYTHON) -m venv build/wheel
	build/wheel/bin/python -m pip install --quiet dist/featx-*.whl
	cd build/wheel && bin/featx demo --overwrite

clean:
	rm -rf $(VENV) build dist coverage site featx-demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
