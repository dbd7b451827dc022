# Every command sets up what it needs. The only prerequisites are make and Python 3.11 or newer.
.DEFAULT_GOAL := help
.PHONY: help run test check look bench soak clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9
AXE := tests/look/node_modules/.package-lock.json
# Two files at a time; what kills and times real processes has the machine to itself.
define TESTS
if [ -n "$(ARGS)" ]; then $(BIN)/python -m pytest $(ARGS); \
	else $(BIN)/python -m pytest -n 2 --dist loadfile --ignore tests/live; first=$$?; \
	$(BIN)/python -m pytest tests/live && exit $$first; fi
endef

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16

run: $(VENV)/run ## show a river rising: the demonstration (ARGS="--speed 60" and other options of `takean demo`)
	$(BIN)/takean demo $(ARGS)

test: $(VENV)/dev $(VENV)/system $(AXE) check ## all tests (ARGS="tests/ingest -k flat" and the like: some of them)
	$(TESTS)

check: $(VENV)/dev ## format, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

look: $(VENV)/dev $(VENV)/system ## our pages beside the pictures of the design, in build/look; see docs/look.md
	$(BIN)/python -m tests.look.side_by_side

bench: $(VENV)/dev ## benchmarks, printed as tables; see docs/performance.md
	$(BIN)/python -m bench

soak: $(VENV)/dev $(VENV)/system $(AXE) ## the full counts of what `make test` samples; prints seed and commit
	export TAKEAN_SOAK=1 PYTEST_ADDOPTS="--timeout 7200"; $(TESTS)

clean: ## forget the environment and what was built
	rm -rf $(VENV) build tests/look/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(BIN)/uv:
	@sh deploy/prerequisites.sh python
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet uv==$(UV_VERSION)

# One stamp for each set of packages; the larger set serves the smaller command too.
$(VENV)/run: $(BIN)/uv requirements.lock pyproject.toml
	@test -e $(VENV)/dev || $(BIN)/uv pip sync --quiet --python $(BIN)/python requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

$(VENV)/dev: $(BIN)/uv requirements-dev.lock pyproject.toml
	$(BIN)/uv pip sync --quiet --python $(BIN)/python requirements-dev.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

$(VENV)/system: deploy/prerequisites.sh
	@sh deploy/prerequisites.sh test
	@touch $@

# The accessibility checker, exactly as its lock pins it; no script of it runs, and it is never part of the project.
$(AXE): tests/look/package-lock.json tests/look/.npmrc | $(VENV)/system
	cd tests/look && npm ci --silent
	@touch $@
