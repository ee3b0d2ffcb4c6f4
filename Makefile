# The commands of the project. Everything runs in .venv, made from requirements.lock.

PYTHON ?= $(shell for p in python3.11 python3.12 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2>/dev/null \
	&& command -v $$p && break; done)
BIN := .venv/bin
STAMP := .venv/.ready
KERNELS := .venv/.compiled

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint bench lock clean on-ray others

help: ## list the commands
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

# without bytecode, as uv does: of 16,000 modules most are never imported
QUIETLY := --quiet --disable-pip-version-check --no-compile

setup: $(KERNELS) ## make .venv from the lock

$(STAMP): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "error: expected Python 3.11 or 3.12 on the PATH" >&2; exit 1; }
	@echo "setting up .venv with $(PYTHON): about 1.4 GB, a minute or two"
	@if command -v uv >/dev/null; then \
		uv venv --quiet --clear --python $(PYTHON) .venv && \
		uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock && \
		uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e . ; \
	else \
		$(PYTHON) -m venv --clear .venv && \
		$(BIN)/python -m pip install $(QUIETLY) --require-hashes -r requirements.lock && \
		$(BIN)/python -m pip install $(QUIETLY) --no-deps --no-build-isolation -e . ; \
	fi
	@touch $(STAMP)

$(KERNELS): $(STAMP)
	@echo "compiling the kernels of learners, markets and logs"
	@$(BIN)/python -m policies.precompile
	@$(BIN)/python -m simulators.precompile
	@$(BIN)/python -m experiments.precompile
	@touch $(KERNELS)

demo: $(KERNELS) ## watch agents learn over HTTP, and get the closing table
	@$(BIN)/nextbest demo --replace

lint: $(STAMP) ## ruff, mypy --strict, import-linter
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

# those that start a whole server on Ray: it is mostly waited for, which leaves time for the others;
# the last one holds recoveries to their seconds, and has the machine to itself
ON_RAY := tests/faults/test_replicas.py tests/faults/test_rolling.py tests/faults/test_stop.py \
	tests/test_demo.py tests/experiments/test_distributed.py tests/serving/test_deploy.py
TIMED := tests/faults/test_cluster.py
# a test that hangs ends its process (pyproject.toml), and is tried again by the next, but not forever
AFTER_A_HANG := --max-worker-restart 1
# The others make hundreds of small databases. Where there is room in memory they make them there:
# what they kill is processes, after which a file is the same in memory as on a disk.
IN_MEMORY = $(shell df -Pk /dev/shm 2>/dev/null | awk '$$6 == "/dev/shm" && $$4 > 2000000 {print $$6}')

# two processes on two cores: more threads in each would only wait for one another; and what one
# process has compiled of the sources, the programs that tests start need not compile again
test: export OMP_NUM_THREADS = 1
test: export PYTHONDONTWRITEBYTECODE =

# each step on two cores: types beside kernels, then servers on Ray before all others
test: ## lint, then every test and doctest
	@$(MAKE) --no-print-directory -j 2 lint setup
	@$(MAKE) --no-print-directory -j 2 on-ray others
	@$(BIN)/python -m pytest $(TIMED)

on-ray: # says what it found when it has ended
	@said=$$(mktemp); $(BIN)/python -m pytest -p no:cacheprovider -n 1 $(AFTER_A_HANG) $(ON_RAY) \
		>$$said 2>&1; code=$$?; cat $$said; rm $$said; exit $$code

# in the order of collection: the last ones are doctests, which are short, and nobody waits long
others:
	@TMPDIR=$(or $(IN_MEMORY),$${TMPDIR:-/tmp}) nice -n 4 $(BIN)/python -m pytest -n auto \
		--maxprocesses 4 --dist loadfile --no-loadscope-reorder $(AFTER_A_HANG) \
		$(ON_RAY:%=--ignore=%) $(TIMED:%=--ignore=%)

bench: $(KERNELS) ## measure: each figure beside what it is compared with
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
