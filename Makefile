# Each target needs nothing but make, Python 3.11 with pip, and root or the Debian packages that it names when missing.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

# wkhtmltopdf prints receipts; the tests look at them, buy in a browser, type what the documentation says, and have
# alerts fire.
PACKAGES := wkhtmltopdf fontconfig fonts-dejavu-core fonts-liberation fonts-noto-ui-core fonts-ipafont-gothic
TEST_PACKAGES := $(PACKAGES) poppler-utils chromium curl jq prometheus prometheus-alertmanager

# More arguments for the tool behind a target: make test ARGS="-k settle", make lock ARGS=--upgrade
ARGS ?=

.PHONY: help
help: ## Say what can be made
	@sed -nE 's/^([a-z]+):.*## (.*)/\1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 10

.PHONY: demo
demo: $(VENV)/ready packages ## Make a whole purchase on embedded services and show its course
	@exec $(BIN)/paywindow demo $(ARGS)

.PHONY: browser
browser: $(VENV)/ready test-packages ## Make a purchase in a real browser, and say where its pictures are
	@exec $(BIN)/paywindow demo --browser $(ARGS)

.PHONY: run
run: $(VENV)/ready packages ## Keep the same services up and print their links, until Ctrl-C
	@exec $(BIN)/paywindow dev $(ARGS)

# Three processes for two cores: tests of whole processes wait as much as they work.
.PHONY: test
test: $(VENV)/ready test-packages ## Run all tests
	@$(BIN)/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder $(ARGS)

# A failure names its seed: make chaos SEED=42 RUNS=1. PURCHASES=n is the size of a run, JOBS=n how many run at a time.
.PHONY: chaos
chaos: $(VENV)/ready packages ## Have real processes struck by faults while purchases go on, and audit (SEED=n, RUNS=n)
	@$(if $(DRAW),DRAW=1) SEED="$(SEED)" RUNS="$(RUNS)" PURCHASES="$(PURCHASES)" JOBS="$(JOBS)" DRILLS="$(DRILLS)" PYTHONPATH=tests $(BIN)/python -m chaos

# Every hundred courses have a seed; a failure names it: make courses SEED=42 RUNS=100
.PHONY: courses
courses: $(VENV)/ready packages ## Try generated interleavings at length (RUNS=n, SEED=n), and say how many runs and steps it were
	@RUNS=$(or $(RUNS),10000) SEED=$(or $(SEED),1) $(BIN)/python -m pytest --numprocesses 2 --timeout 0 --quiet -rfEP --show-capture=stdout -k "at_length or under_random_kills" tests/integration tests/e2e $(ARGS)

.PHONY: bench
bench: $(VENV)/ready packages ## Measure against baselines: a table, and build/bench.json (ROWS=n shrinks, ONLY=name,name selects)
	@ROWS="$(ROWS)" ONLY="$(ONLY)" PYTHONPATH=tests $(BIN)/python -m benchmarks

.PHONY: pictures
pictures: $(VENV)/ready test-packages ## Take the pictures of the documentation anew
	@PAYWINDOW_PICTURES=$(CURDIR)/docs/images $(BIN)/python -m pytest --quiet tests/e2e/browser/test_states.py $(ARGS)

.PHONY: image
image: $(VENV)/ready packages ## Make the Python environment of the container image in build/image, as docker/Dockerfile does, and start it
	@$(PYTHON) docker/environment.py dependencies build/image
	@$(PYTHON) docker/environment.py product build/image
	@build/image/bin/paywindow openapi >build/image/openapi.json
	@build/image/bin/paywindow --help

.PHONY: lint
lint: $(VENV)/ready ## Check style, format and types
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@.ci/typecheck

.PHONY: lock
lock: $(VENV)/ready ## Write requirements.lock anew after a change of setup.cfg
	@$(BIN)/uv pip compile --quiet --no-config --universal --python-version 3.11 --extra dev --generate-hashes $(ARGS) \
	    --output-file requirements.lock setup.cfg

.PHONY: clean
clean: ## Remove everything that was made, the data of `make run` included
	@rm -rf $(VENV) .paywindow build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	@find actors app http models schedules tests -name __pycache__ -prune -exec rm -rf {} +

.PHONY: packages test-packages
packages:
	@.ci/debian-packages $(PACKAGES)
test-packages:
	@.ci/debian-packages $(TEST_PACKAGES)

# The environment holds exactly the lock: a changed lock makes it anew, a changed setup.cfg only installs us again.
$(VENV)/locked: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	    .ci/debian-packages "$$($(PYTHON) -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
	@echo "Installing Python packages into $(VENV)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(PIP) install --require-hashes --requirement requirements.lock
	@touch $@

$(VENV)/ready: $(VENV)/locked setup.cfg
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@
