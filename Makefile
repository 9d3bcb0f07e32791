# The two commands of the README are `make demo` and `make test`; each makes .venv when it is missing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test check bench install clean

demo: $(VENV)/.installed
	$(BIN)/rekindle demo

test: $(VENV)/.installed-dev
	scripts/test

check: $(VENV)/.installed-dev
	scripts/check

bench: $(VENV)/.installed-dev
	scripts/bench

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	scripts/install $(PYTHON)

$(VENV)/.installed-dev: $(VENV)/.installed pyproject.toml constraints.txt
	scripts/install $(PYTHON) dev

clean:
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
