# The commands of the project; `make` alone lists them. How a machine is set up stands in builder/setup/, why in
# docs/development.md.

# Interpreter that the virtual environment is made with, 3.11 or newer.
PYTHON ?= python3
# Further arguments for pytest, for example `make test-fast ARGS="-k lock -x"`.
ARGS ?=

# Processes that share the tests. No more than processors: a machine that starts too slowly gives up its disk.
WORKERS ?= $(shell nproc)

VENV := .venv
PYTEST = $(VENV)/bin/pytest $(ARGS)
SPREAD = -n $(WORKERS) --no-loadscope-reorder
SOURCES = builder operator providers tests
CLUSTER = PYTHONPATH=tests $(VENV)/bin/python -m support.cluster
CLUSTER_TOOLS = tests/cluster/tools/build.sh pause versitygw kubernetes helm kwok

export PYTHON
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# Targets share one environment and one machine: in turn, also under -j.
.NOTPARALLEL:
.PHONY: help setup setup-test setup-cluster cluster-tools-beside image containers test test-fast cluster cluster-demo \
	cluster-down generate golden lint format bench vendor-check requirements clean

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Both scripts know by themselves whether there is anything to do, and take a fraction of a second when there is not.
setup: ## Make .venv with all that composing images needs, host packages too
	@builder/setup/host.sh build sign
	@builder/setup/venv.sh runtime

setup-test: ## The same, and what the checks and tests need
	@builder/setup/host.sh build sign boot tests
	@builder/setup/host.sh foreign || echo "tests of other architectures are skipped: see above" >&2
	@builder/setup/venv.sh test

setup-cluster: setup-test ## The same, and the test cluster's programs: ten minutes, once a machine
	@builder/setup/host.sh cluster
	@$(CLUSTER_TOOLS) >/dev/null

image: setup ## Compose the example, a Debian 12 image, into out/
	$(VENV)/bin/image-composer build -f examples/debian-12.yaml --output out

containers: setup ## Make the container images of builder and operator into out/containers/
	$(VENV)/bin/python -m containers $(ARGS)

# On a fresh machine the cluster's programs are built beside all that comes before its tests, which wait for them.
cluster-tools-beside: setup-test
	@builder/setup/host.sh cluster
	@mkdir -p .cache/tools
	@nice -n 10 $(CLUSTER_TOOLS) </dev/null >.cache/tools/build.log 2>&1 &

test: cluster-tools-beside lint ## Run every check and every test
	$(PYTEST) $(SPREAD) --durations=30

test-fast: setup-test ## Run the tests that need no network and no cluster, build no image and boot none
	$(PYTEST) $(SPREAD) -m "not boot and not build and not network and not cluster"

cluster: setup-test ## Bring up a Kubernetes cluster on this machine; it stays until cluster-down
	@builder/setup/host.sh cluster
	@$(CLUSTER) up $(ARGS)

cluster-demo: cluster ## Install the chart there, build the example, download and verify it
	PYTHONPATH=tests $(VENV)/bin/python -m support.demo

cluster-down: setup-test ## End that cluster
	@$(CLUSTER) down

generate: setup-test ## Write anew what is made of the models: the CRD, the spec's reference and its JSON Schema
	UPDATE_GOLDEN=1 $(PYTEST) -q tests/unit/spec/test_reference.py -k in_which_version
	$(VENV)/bin/image-composer schema >docs/schema/image.schema.json
	$(VENV)/bin/image-composer schema --markdown >docs/spec.md
	$(VENV)/bin/image-composer-operator crd >crds/imagebuilds.yaml
	cp crds/imagebuilds.yaml charts/image-composer/files/imagebuilds.yaml

golden: setup-test ## Write golden files anew; look at git diff afterwards
	UPDATE_GOLDEN=1 $(PYTEST) -q tests/unit/chart tests/unit/gitops tests/unit/operator

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

vendor-check: setup ## Ask the vendors' real repositories whether the providers still fit them
	$(VENV)/bin/python -m vendors $(ARGS)

requirements: ## Pin the Python packages anew (UPGRADE=1: the newest versions)
	@builder/setup/requirements.sh $(if $(UPGRADE),--upgrade)

clean: ## Remove all that the other commands made in this folder, images and cluster too
	@[[ ! -e .cache/cluster/local/node.json ]] || $(CLUSTER) down
	rm -rf $(VENV) .cache out build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find $(SOURCES) -name __pycache__ -type d -exec rm -rf {} +
