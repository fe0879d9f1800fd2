# Everything happens in .venv; the second run of a target installs nothing.
# A fresh machine needs Python 3.11+ and make. PYTHON=python3.12 make test picks another Python.

PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11 python3.14; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; done)
VENV := .venv
BIN := $(VENV)/bin
# one more than there are cores: many tests wait for a server
WORKERS ?= $(shell $(PYTHON) -c 'import os; print((os.cpu_count() or 1) + 1)')

.PHONY: help demo test bench readme report format lint clean

help:
	@echo "make demo    load a sick online shop into an embedded PostgreSQL and audit it"
	@echo "make test    run all tests"
	@echo "make bench   run the benchmarks"
	@echo "make readme  renew the output that the README shows"
	@echo "make report  renew the report in examples/report"
	@echo "make lint    check format, lint and types (make format repairs what can be repaired)"

demo: $(VENV)/.demo
	$(BIN)/queryfit demo

test: $(VENV)/.test
	$(BIN)/python -m pytest -n $(WORKERS)

bench: $(VENV)/.dev
	$(BIN)/python -m tests.bench

# the output that the README shows, from a real run
readme: $(VENV)/.test
	$(BIN)/python -m tests.readme

# the report of a month that a real server lives through
report: $(VENV)/.test
	$(BIN)/python -m tests.example

format: $(VENV)/.dev
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) dist

# The stamp is written last, so an installation that was interrupted starts again.
$(VENV)/.%: pyproject.toml | $(VENV)/bin/pip
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[$*]'
	touch $@

$(VENV)/bin/pip:
	@test -n "$(PYTHON)" || \
		{ echo "queryfit needs Python 3.11 or newer; hint: PYTHON=/path/to/python3.12 make demo" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
