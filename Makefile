# The commands of the project; `make` alone lists them. How a machine is set up stands in builder/setup/, why in
# docs/development.md.

# Interpreter that the virtual environment is made with, 3.11 or newer.
PYTHON ?= python3
# Further arguments for pytest, for example `make test-fast ARGS="-k lock -x"`.
ARGS ?=

VENV := .venv
PYTEST = $(VENV)/bin/pytest $(ARGS)
SOURCES = builder operator providers tests

export PYTHON
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# Targets share one environment and one machine: in turn, also under -j.
.NOTPARALLEL:
.PHONY: help setup setup-test setup-cluster image containers test test-fast cluster cluster-down lint format bench requirements clean

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Both scripts know by themselves whether there is anything to do, and take a fraction of a second when there is not.
setup: ## Make .venv with all that composing images needs, host packages too
	@builder/setup/host.sh build
	@builder/setup/venv.sh runtime

setup-test: ## The same, and what the checks and tests need
	@builder/setup/host.sh build boot tests
	@builder/setup/venv.sh test

# Building the cluster's programs takes minutes, once a machine: it goes on beside what comes next, and the tests of the
# cluster, which are the last, wait for it.
setup-cluster: setup-test ## The same, and what the test cluster needs; its programs are built in the background
	@builder/setup/host.sh cluster
	@mkdir -p .cache/tools
	@nice -n 19 tests/cluster/tools/build.sh pause versitygw kubernetes helm </dev/null >.cache/tools/build.log 2>&1 &

image: setup ## Compose the example, a Debian 12 image, into out/
	$(VENV)/bin/image-composer build -f examples/debian-12.yaml --output out

containers: setup ## Make the container images of builder and operator into out/containers/
	$(VENV)/bin/python -m containers $(ARGS)

test: setup-cluster lint ## Run every check and every test
	$(PYTEST)

test-fast: setup-test ## Run the tests that need no network and no cluster, build no image and boot none
	$(PYTEST) -m "not boot and not build and not network and not cluster"

cluster: setup-cluster ## Bring up a Kubernetes cluster on this machine; it stays until cluster-down
	@PYTHONPATH=tests $(VENV)/bin/python -m support.cluster up $(ARGS)

cluster-down: setup-test ## End that cluster
	@PYTHONPATH=tests $(VENV)/bin/python -m support.cluster down

lint: setup-test ## Check style, types and the layers of the architecture
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy --strict $(SOURCES)
	$(VENV)/bin/lint-imports

format: setup-test ## Write the code in the project's style
	$(VENV)/bin/ruff check --fix-only .
	$(VENV)/bin/ruff format .

bench: setup-test ## Measure against the benchmark's peers
	$(PYTEST) -s -o python_files="bench_*.py test_*.py" tests/benchmark

requirements: ## Pin the Python packages anew (UPGRADE=1: the newest versions)
	@builder/setup/requirements.sh $(if $(UPGRADE),--upgrade)

clean: ## Remove all that the other commands made in this folder, images too
	rm -rf $(VENV) .cache out build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find $(SOURCES) -name __pycache__ -type d -exec rm -rf {} +
