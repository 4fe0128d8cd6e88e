# Two commands do everything on a machine with Python 3.10 or newer: `make demo` and `make test`.
PYTHON ?= python3
VENV   ?= .venv
OLDEST ?= .venv-oldest
AUDIT  ?= .venv-audit
FORMATS ?= .venv-formats
RAY    ?= .venv-ray
BIN    := $(VENV)/bin

.PHONY: help demo check test test-fast test-oldest test-formats test-ray lint docs package audit clean
.DEFAULT_GOAL := help

help:
	@echo "make demo         draw scenes, train on their tags, score, make pictures (minutes, no data, no GPU)"
	@echo "make check        lint and test-fast: the loop while working on the code"
	@echo "make test         run the tests, all of them"
	@echo "make test-fast    run the tests that are not marked slow"
	@echo "make test-oldest  run the tests with the oldest allowed dependencies (Python 3.10 to 3.12)"
	@echo "make test-formats read formats back with the tools they are for, and tables of other libraries"
	@echo "make test-ray     run the tests that start a real Ray (predict --engine ray)"
	@echo "make lint         style, types and import order"
	@echo "make docs         the documentation as a site in site/; fails on broken links"
	@echo "make package      build wheel and source distribution, install each in a clean environment and use it"
	@echo "make audit        known vulnerabilities of what is installed, and its licences"
	@echo "make clean        remove the environments (runs/ is kept)"
	@echo "PYTHON=python3.12 makes an environment with another Python, VENV=folder in another folder. DEMO='--steps 60' is a shorter demo."

# uv leaves Python files uncompiled, and with PYTHONDONTWRITEBYTECODE (common in containers) they stay so: each start then takes
# ten seconds more. So they are compiled once, here.
$(VENV)/ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --editable ".[dev]"
	@touch $@

# Direct dependencies at their lower bounds, so that each bound in pyproject.toml is known to work. Always from nothing: what is
# installed already and new enough would be kept.
$(OLDEST)/ready: pyproject.toml
	$(PYTHON) -m venv --clear $(OLDEST)
	$(OLDEST)/bin/python -m pip install --quiet uv
	$(OLDEST)/bin/uv pip install --quiet --compile-bytecode --python $(OLDEST)/bin/python --resolution lowest-direct --editable ".[dev]"
	@touch $@

# The tools that formats are for. Some pin older versions of what the package uses, so they have an environment of their own.
$(FORMATS)/ready: pyproject.toml
	$(PYTHON) -m venv $(FORMATS)
	$(FORMATS)/bin/python -m pip install --quiet uv
	$(FORMATS)/bin/uv pip install --quiet --compile-bytecode --python $(FORMATS)/bin/python --editable ".[dev,formats]"
	@touch $@

# Ray is an extra that few need, and starting it takes half a minute each time, so it stays out of `make test`.
$(RAY)/ready: pyproject.toml
	$(PYTHON) -m venv $(RAY)
	$(RAY)/bin/python -m pip install --quiet uv
	$(RAY)/bin/uv pip install --quiet --compile-bytecode --python $(RAY)/bin/python --editable ".[dev,ray]"
	@touch $@

demo: $(VENV)/ready
	$(BIN)/tagseg demo $(DEMO)

check: lint test-fast

test: $(VENV)/ready
	$(BIN)/python -m pytest -n auto --dist worksteal

test-fast: $(VENV)/ready
	$(BIN)/python -m pytest -n auto --dist worksteal -m "not slow"

test-oldest: $(OLDEST)/ready
	$(OLDEST)/bin/python -m pytest -n auto --dist worksteal

test-formats: $(FORMATS)/ready
	$(FORMATS)/bin/python -m pytest -n auto --dist worksteal tests/formats tests/inference/test_result.py tests/labelling/test_hand_off.py \
		tests/data/test_given_photos.py tests/data/tools/test_hugging_face.py tests/data/tools/test_hugging_face_folder.py

test-ray: $(RAY)/ready
	$(RAY)/bin/python -m pytest tests/scale tests/labelling/test_on_ray.py

lint: $(VENV)/ready
	$(BIN)/ruff check src tests benchmarks tools
	$(BIN)/ruff format --check src tests benchmarks tools
	$(BIN)/mypy
	$(BIN)/lint-imports

# The site generator is no dependency of the tests, so it is installed here.
docs: $(VENV)/ready
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --editable ".[docs]"
	$(BIN)/zensical build --clean --strict
	TAGSEG_SITE=site $(BIN)/python -m pytest -q tests/test_docs_links.py tests/test_docs_site.py

# Wheel and source distribution; `make package QUICK=--quick` tries the wheel alone with the packages of $(VENV), in seconds.
package: $(VENV)/ready
	$(BIN)/python tools/try_package.py $(QUICK)

# The auditor stays out of the environment that it looks at. It asks a service for known vulnerabilities, so it needs a network.
$(AUDIT)/ready:
	$(PYTHON) -m venv $(AUDIT)
	$(AUDIT)/bin/python -m pip install --quiet pip-audit
	@touch $@

audit: $(VENV)/ready $(AUDIT)/ready
	$(BIN)/python tools/licences.py > /dev/null
	$(BIN)/python tools/audit.py $(BIN)/python $(AUDIT)/bin/pip-audit

clean:
	rm -rf $(VENV) $(OLDEST) $(FORMATS) $(RAY) $(AUDIT) site
