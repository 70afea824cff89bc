# VoxScope. The two commands to remember: `make app` and `make test`.

PORT ?= 8501
# a folder made by `python -m sae_core import`; empty opens the demo
WORKSPACE ?=
# 1 serves without opening a browser window
HEADLESS ?=
# the interpreter that makes .venv; empty looks for one
PYTHON ?=
# benchmarks to run, empty runs all; 1 runs them at small sizes
ONLY ?=
QUICK ?=

VENV := .venv
BIN := $(VENV)/bin
CODE := sae_core pages app.py tests benchmarks docs
PIP := $(BIN)/python -m pip --disable-pip-version-check
SERVE_FLAGS = --port $(PORT) $(if $(filter-out 0 no false,$(HEADLESS)),--headless)

.PHONY: help app test check coverage format docs bench clean ready ready-dev chromium
.DEFAULT_GOAL := help

help:
	@echo "make app      open the demo on http://127.0.0.1:$(PORT) (WORKSPACE=folder PORT=number HEADLESS=1)"
	@echo "make test     lint, types, import rules and every test"
	@echo "make coverage which lines of sae_core the tests reach; fails below 90 %"
	@echo "make check    lint, types and import rules only"
	@echo "make format   put the code into the house format"
	@echo "make docs     build the documentation into site/; open site/index.html"
	@echo "make bench    every benchmark beside its peers, one table (ONLY='names' QUICK=1; half an hour on two quiet cores)"
	@echo "make clean    remove .venv and every cache"

app: ready
	@$(BIN)/python -m sae_core $(if $(WORKSPACE),serve --workspace "$(WORKSPACE)",demo open) $(SERVE_FLAGS)

test: ready-dev chromium check
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not browser and not slow"
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "browser or slow"

# Apart from the tests, because counting lines makes them take nearly twice as long.
coverage: ready-dev
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not browser" --cov=sae_core --cov-report=term:skip-covered --cov-fail-under=90

check: ready-dev
	$(BIN)/ruff check $(wildcard $(CODE))
	$(BIN)/ruff format --check $(wildcard $(CODE))
	$(BIN)/oxlint pages
	$(BIN)/oxfmt --check pages
	$(BIN)/hadolint Dockerfile
	$(BIN)/mypy
	$(BIN)/lint-imports

format: ready-dev
	$(BIN)/ruff check --fix-only --quiet $(wildcard $(CODE))
	$(BIN)/ruff format $(wildcard $(CODE))
	$(BIN)/oxlint --fix pages
	$(BIN)/oxfmt pages

docs: ready-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	@echo "read it at site/index.html"

bench: ready
	$(BIN)/python -m benchmarks $(if $(ONLY),--only $(ONLY)) $(if $(filter-out 0 no false,$(QUICK)),--quick)

clean:
	rm -rf $(VENV) site benchmarks/.peers benchmarks/gpu/.wheels .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage .coverage.* htmlcov
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The lists last installed are kept inside .venv, so that only a changed list is installed again,
# whatever the dates of the files.
ready: $(BIN)/python
	@cmp -s requirements.txt $(VENV)/requirements.txt || { \
	  $(PIP) --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip; \
	  echo "Installing what VoxScope needs into $(VENV) (a few minutes, once)"; \
	  $(PIP) install --prefer-binary -r requirements.txt \
	  && cp requirements.txt $(VENV)/requirements.txt; }

ready-dev: ready
	@cat requirements-ray.txt requirements-docs.txt requirements-dev.txt | cmp -s - $(VENV)/requirements-dev.txt || { \
	  echo "Installing what the tests need into $(VENV)"; \
	  $(PIP) install --quiet --prefer-binary -r requirements-dev.txt \
	  && cat requirements-ray.txt requirements-docs.txt requirements-dev.txt > $(VENV)/requirements-dev.txt; }

$(BIN)/python:
	@for candidate in $(or $(PYTHON),python3.11 python3.12 python3.13 python3); do \
	  if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$$candidate; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "VoxScope needs Python 3.11 or newer: apt install python3 python3-venv (Debian 12, Ubuntu 24.04 or later)," >&2; \
	  echo "brew install python@3.11 (macOS), or name one: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; exit 1; \
	fi; \
	if ! "$$python" -c 'import venv, ensurepip' 2>/dev/null; then \
	  echo "$$python cannot make virtual environments yet: apt install python3-venv, then run make $(MAKECMDGOALS) again" >&2; exit 1; \
	fi; \
	"$$python" -m venv --clear $(VENV)

# Browser tests drive a Chromium of the system; without one they skip and say so.
chromium:
	@for name in "$$CHROMIUM" chromium chromium-browser google-chrome; do \
	  if command -v "$$name" >/dev/null 2>&1; then exit 0; fi; \
	done; \
	as_root=; [ "$$(id -u)" = 0 ] || as_root="sudo -n"; \
	if command -v apt-get >/dev/null && $$as_root true 2>/dev/null; then \
	  echo "Installing Chromium for the browser tests"; \
	  export DEBIAN_FRONTEND=noninteractive; \
	  $$as_root apt-get update -qq; \
	  $$as_root apt-get install -qq -y --no-install-recommends chromium fonts-liberation >/dev/null && exit 0; \
	fi; \
	echo "*** NO CHROMIUM: the browser tests will be SKIPPED. Install it (apt install chromium) or set CHROMIUM=/path/to/it ***"
