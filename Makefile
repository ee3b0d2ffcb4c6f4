# The commands of the project. Everything runs in .venv, made from requirements.lock.

PYTHON ?= $(shell for p in python3.11 python3.12 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2>/dev/null \
	&& command -v $$p && break; done)
BIN := .venv/bin
STAMP := .venv/.ready

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint bench lock clean

help: ## list the commands
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

setup: $(STAMP) ## make .venv from the lock

$(STAMP): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "error: expected Python 3.11 or 3.12 on the PATH" >&2; exit 1; }
	@echo "setting up .venv with $(PYTHON): about 1.4 GB, a minute or two"
	@if command -v uv >/dev/null; then \
		uv venv --quiet --clear --python $(PYTHON) .venv && \
		uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock && \
		uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e . ; \
	else \
		$(PYTHON) -m venv --clear .venv && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes \
			-r requirements.lock && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
			--no-build-isolation -e . ; \
	fi
	@echo "compiling the kernels of learners and markets"
	@$(BIN)/python -m policies.precompile
	@$(BIN)/python -m simulators.precompile
	@touch $(STAMP)

demo: $(STAMP) ## watch agents learn over HTTP, and get the closing table
	@$(BIN)/nextbest demo --replace

lint: $(STAMP) ## ruff, mypy --strict, import-linter
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

# those that start a whole server on Ray: most wait for it, so that two go at a time; the last one
# holds recoveries to their seconds, and has the machine to itself
ON_RAY := tests/faults/test_rolling.py tests/faults/test_stop.py tests/test_demo.py \
	tests/experiments/test_distributed.py tests/serving/test_deploy.py
TIMED := tests/faults/test_cluster.py
# a test that hangs ends its process (pyproject.toml), and is tried again by the next, but not forever
AFTER_A_HANG := --max-worker-restart 1

# two processes on two cores: more threads in each would only wait for one another; and what one
# process has compiled of the sources, the programs that tests start need not compile again
test: export OMP_NUM_THREADS = 1
test: export PYTHONDONTWRITEBYTECODE =

# in the order of collection: the last ones are doctests, which are short, and nobody waits long
test: lint ## lint, then every test and doctest
	@$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(AFTER_A_HANG) \
		$(ON_RAY:%=--ignore=%) $(TIMED:%=--ignore=%)
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(AFTER_A_HANG) $(ON_RAY)
	@$(BIN)/python -m pytest $(TIMED)

bench: $(STAMP) ## measure: each figure beside what it is compared with
	@$(BIN)/python -m agents.benchmark
	@$(BIN)/python -m simulators.benchmarks
	@$(BIN)/python -m experiments.studies
	@$(BIN)/python -m serving.benchmarks
	@NEXTBEST_KILLS=2000 $(BIN)/python -m pytest -q -s -p no:cacheprovider --timeout=0 \
		tests/faults/test_kills.py

lock: ## choose versions anew (needs uv and the package index)
	uv pip compile pyproject.toml --group dev --universal --python-version 3.11 \
		--generate-hashes --no-annotate --no-header --no-emit-index-url --upgrade \
		--quiet -o requirements.lock

clean: ## remove everything that was made
	rm -rf .venv runs build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache \
		.hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
