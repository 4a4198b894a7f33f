# make help lists the targets. Everything runs from one environment, $(VENV), built from hash-checked
# locks the first time that it is needed and again whenever a lock or pyproject.toml changes.

VENV   ?= .venv
PYTHON ?= $(shell $(find_python))
IMAGE  ?= repro:0.1.0
ARGS   ?=
export UV_HTTP_TIMEOUT ?= 300

BIN := $(VENV)/bin
UV  := $(BIN)/uv
# The image brings its environment along and sets VENV_READY: nothing to build there.
READY := $(if $(VENV_READY),,$(VENV)/.complete)
# Its scripts have its absolute path: where the checkout was moved, renamed or copied they lead elsewhere.
MOVED := $(if $(VENV_READY),,$(shell [ ! -f $(BIN)/activate ] || (. $(BIN)/activate; [ "$$VIRTUAL_ENV" -ef $(VENV) ]) || echo moved))

find_python = for p in python3.12 python3.13 python3.11 python3; do \
  "$$p" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null \
  && { command -v "$$p"; break; }; done

# A docker client without its engine is common; take the first that can build.
find_engine = { docker info >/dev/null 2>&1 && echo docker build; } \
  || { command -v podman >/dev/null && echo podman build --format docker; } \
  || { command -v buildah >/dev/null && echo buildah bud --format docker --layers; }

.DEFAULT_GOAL := help
.PHONY: help env moved cluster reproduce test lint format lock image clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | awk -F'\t' '{printf "  make %-10s %s\n", $$1, $$2}'

env: $(READY) ## build the environment, if it is not up to date

reproduce: $(READY) ## regenerate the results; options through ARGS="--profile smoke"
	$(BIN)/repro reproduce $(ARGS)

cluster: $(READY) ## add Ray to the environment (docs/cluster.md)
	$(UV) pip install --python $(BIN)/python --require-hashes -r requirements-cluster.lock

test: $(READY) ## the tests, with the slowest named; options through ARGS
	$(BIN)/python -m pytest -n 2 --dist worksteal --durations=10 $(ARGS)

lint: $(READY) ## style, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY) ## write the formatting and the fixes that lint asks for
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Both keep the pins that still fit; make lock ARGS=--upgrade takes the newest.
COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-header $(ARGS)
lock: $(if $(VENV_READY),,$(UV)) ## write the three locks anew
	$(COMPILE) pyproject.toml --extra dev --extra build -o requirements.lock
	$(COMPILE) pyproject.toml --extra ray -c requirements.lock -o requirements-cluster.lock
	echo uv | $(COMPILE) - -o requirements-uv.lock

image: ## build the image with docker, podman or buildah; BASE_IMAGE=... replaces the base
	@engine="$${ENGINE:-$$($(find_engine))}"; \
	[ -n "$$engine" ] || { echo "make image: no docker, podman or buildah here" >&2; exit 1; }; \
	set -x; $$engine -t $(IMAGE) $(if $(BASE_IMAGE),--build-arg BASE_IMAGE=$(BASE_IMAGE)) $(ARGS) .

clean: ## remove the environment and the caches; runs/, results/ and data/ stay
	rm -rf $(if $(VENV_READY),,$(VENV)) *.egg-info build .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find repro tests -name __pycache__ -prune -exec rm -rf {} +

moved:
	@echo "make: $(VENV) was built in another place, and is built anew" >&2

$(UV): requirements-uv.lock $(MOVED)
	@[ -n "$(PYTHON)" ] || { echo "make: needs Python 3.11, 3.12 or 3.13 with its venv module (or PYTHON=/path/to/one)" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.lock
	@touch $@

$(VENV)/.complete: $(UV) requirements.lock pyproject.toml
	$(UV) pip sync --python $(BIN)/python --compile-bytecode --require-hashes \
	  --build-constraints requirements.lock requirements.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-build-isolation --no-deps -e .
	@touch $@
