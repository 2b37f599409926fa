# `make demo` and `make test` do everything on a fresh machine: they make the environment in .venv themselves.
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready-dev
WORKERS ?= 2
# Airflow lives in environments of its own, from pins: one per version that the example DAG serves.
AIRFLOW := .airflow/2.11.0 .airflow/3.3.2
AIRFLOW_READY := $(AIRFLOW:%=%/.ready)

# where the bench finds its own modules and the tests' helpers
HELPERS := tests/bench:tests/servers:tests/worlds:tests/disks:examples/demo

.PHONY: help demo world docs test test-long test-airflow test-slurm bench bench-docs bench-scale lint types format clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(READY): pyproject.toml .ci/environment hatch_build.py applier/disk/md5_lanes.c
	bash .ci/environment $(VENV) dev

demo: $(READY)  ## the main job on an embedded S3 server and an exported catalog
	$(BIN)/python examples/demo/demo.py

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

test: lint types $(AIRFLOW_READY)  ## everything: lint, types, all tests of ordinary size
	$(BIN)/python -m pytest -n $(WORKERS)

test-long: $(READY)  ## the tests that take minutes or gigabytes
	$(BIN)/python -m pytest -m long

test-airflow: $(READY) $(AIRFLOW_READY)  ## the example DAG on Airflow 2.11 and 3.3, scheduler and all
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m airflow

test-slurm: $(READY)  ## examples/slurm on a real Slurm of one node, if it is installed
	$(BIN)/python -m pytest -m long tests/acceptance/test_slurm_cluster.py

lint: $(READY)  ## ruff: format and rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(READY)  ## mypy, strict
	$(BIN)/mypy

format: $(READY)  ## let ruff write
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:  ## remove the environments and all caches
	rm -rf $(VENV) .airflow .mypy_cache .ruff_cache .pytest_cache .hypothesis dist docs/_build demo-world

bench: $(READY)  ## kraken-plan beside s5cmd, rclone and the AlphaKraken sequence: ratios of medians
	PYTHONPATH=$(HELPERS) $(BIN)/python tests/bench/bench.py $(BENCH)

bench-docs: $(READY)  ## the same, written to the docs: run it on a quiet machine
	PYTHONPATH=$(HELPERS) $(BIN)/python tests/bench/bench.py --write docs/explanation/measured.md $(BENCH)

bench-scale: $(READY)  ## compile, validate and apply with 10,000, 100,000 and a million files
	PYTHONPATH=$(HELPERS) $(BIN)/python tests/bench/scale.py $(BENCH)
