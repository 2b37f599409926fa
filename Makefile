# `make demo` and `make test` do everything on a fresh machine: they make the environment in .venv themselves.
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready-dev
# Tests wait more than they compute: six keep two cores busy.
WORKERS ?= 6
# Airflow lives in environments of its own, from pins: one per version that the example DAG serves.
AIRFLOW := .airflow/2.11.0 .airflow/3.3.2
AIRFLOW_READY := $(AIRFLOW:%=%/.ready)

# where the bench finds its own modules and the tests' helpers
HELPERS := tests/bench:tests/servers:tests/worlds:tests/disks:examples/demo

.PHONY: help demo world docs airflow-environments test test-long test-airflow test-slurm test-install test-pythons test-lowest wheels bench bench-docs bench-scale lint types format clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(READY): pyproject.toml .ci/environment hatch_build.py $(wildcard applier/disk/compiled/*.[ch])
	bash .ci/environment $(VENV) dev

demo: $(READY)  ## the main job on an embedded S3 server and an exported catalog; KEEP=1 keeps it in demo-world to try
	@$(BIN)/python examples/demo/demo.py $(if $(KEEP),demo-world)

world: $(READY)  ## the world of the tutorial, in the folder demo-world, until Ctrl-C
	$(BIN)/python examples/demo/world.py demo-world

docs: $(READY)  ## the documentation as a site, in docs/_build/html; a warning or a dead internal link fails
	$(BIN)/python -m sphinx -W --keep-going --nitpicky -b html docs docs/_build/html

.airflow/%/.ready: tests/clusters/airflow_pins/%.txt | $(READY)
	mkdir -p .airflow/$*
	@if ! $(BIN)/uv python find 3.11 >/dev/null 2>&1; then \
	    echo "Airflow's pins are for Python 3.11, which is not here: the tests of the DAG will be skipped"; \
	else set -x; \
	    $(BIN)/uv venv --quiet --clear --python 3.11 .airflow/$* && \
	    $(BIN)/uv pip install --quiet --python .airflow/$*/bin/python --requirement $< && \
	    touch $@; \
	fi

airflow-environments: $(AIRFLOW_READY)

test: lint types $(AIRFLOW_READY)  ## everything: lint, types, all tests of ordinary size
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --durations 40

test-long: $(READY)  ## the tests that take minutes or gigabytes
	$(BIN)/python -m pytest -m long

test-airflow: $(READY) $(AIRFLOW_READY)  ## the example DAG on Airflow 2.11 and 3.3, scheduler and all
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -m airflow

test-slurm: $(READY)  ## examples/slurm on a real Slurm of one node, if it is installed
	$(BIN)/python -m pytest -m long tests/acceptance/test_slurm_cluster.py

test-install: $(READY)  ## the wheels, installed by pip, uv and pipx, and the image of the Containerfile
	$(BIN)/python -m pytest -m long tests/acceptance/test_install.py tests/acceptance/test_container.py

# What is tried with other Pythons, and with the oldest dependencies: each module, and the main commands as processes.
QUICK := tests/unit tests/acceptance/test_apply.py tests/acceptance/test_compile.py tests/acceptance/test_diff.py \
	tests/acceptance/test_show.py tests/acceptance/test_split_report.py tests/acceptance/test_status.py
PYTHONS ?= 3.11 3.12 3.13 3.14

test-pythons: $(PYTHONS:%=test-python-%)  ## the quick tests with every Python from 3.11 to 3.14 that is here

test-python-%: $(READY)
	@python=$$(PATH="$$PATH:$$(echo ~/.pyenv/versions/*/bin | tr ' ' ':')" $(BIN)/uv python find --no-python-downloads \
	    --no-project --system $* 2>/dev/null) || { echo "Python $* is not here: nothing is tried with it"; exit 0; }; \
	set -ex; \
	$(BIN)/uv venv --quiet --clear --python "$$python" .pythons/$*; \
	$(BIN)/uv pip install --quiet --python .pythons/$*/bin/python --editable ".[dev]"; \
	.pythons/$*/bin/python -m pytest -q -n $(WORKERS) $(QUICK)

test-lowest: $(READY)  ## the quick tests with the lowest version of each dependency that pyproject.toml allows
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .pythons/lowest
	$(BIN)/uv pip compile --quiet --no-header --resolution lowest-direct --python $(BIN)/python pyproject.toml \
	    --output-file .pythons/lowest/lowest.txt
	$(BIN)/uv pip install --quiet --python .pythons/lowest/bin/python --override .pythons/lowest/lowest.txt \
	    --editable ".[dev]"
	.pythons/lowest/bin/python -m pytest -q -n $(WORKERS) $(QUICK)

wheels: $(READY)  ## dist: a source distribution, a manylinux wheel with the compiled part, a pure wheel
	bash .ci/wheels dist

lint: $(READY)  ## ruff: format and rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(READY)  ## mypy, strict
	$(BIN)/mypy

format: $(READY)  ## let ruff write
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:  ## remove the environments and all caches
	rm -rf $(VENV) .airflow .pythons .mypy_cache .ruff_cache .pytest_cache .hypothesis dist docs/_build demo-world

bench: $(READY)  ## kraken-plan beside s5cmd, rclone and the AlphaKraken sequence: ratios of medians
	PYTHONPATH=$(HELPERS) $(BIN)/python tests/bench/bench.py $(BENCH)

bench-docs: $(READY)  ## the same, written to the docs: run it on a quiet machine
	PYTHONPATH=$(HELPERS) $(BIN)/python tests/bench/bench.py --write docs/explanation/measured.md $(BENCH)

bench-scale: $(READY)  ## compile, validate and apply with 10,000, 100,000 and a million files
	PYTHONPATH=$(HELPERS) $(BIN)/python tests/bench/scale.py $(BENCH)
