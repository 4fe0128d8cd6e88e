# Two commands do everything on a machine with Python 3.10 or newer: `make demo` and `make test`.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

.PHONY: demo test lint clean
.DEFAULT_GOAL := help

help:
	@echo "make demo   draw scenes, train on their tags, score, make pictures (minutes, no data, no GPU)"
	@echo "make test   run the tests"
	@echo "make lint   style, types and import order"
	@echo "make clean  remove the environment (runs/ is kept)"

$(VENV)/ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --editable ".[dev]"
	@touch $@

demo: $(VENV)/ready
	$(BIN)/tagseg demo

test: $(VENV)/ready
	$(BIN)/python -m pytest

lint: $(VENV)/ready
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV)
