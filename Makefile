# `make` alone lists the commands. Everything is installed below this folder: nothing needs root or Docker.

PYTHON ?= python3
UV_VERSION := 0.13.9

TOOLS := .tools
VENV := .venv
UV := $(TOOLS)/bin/uv
BIN := $(VENV)/bin
SYNCED := $(VENV)/.synced
SYNCED_E2E := $(VENV)/.synced-e2e

# Nothing but the lock file decides what is installed, and no interpreter is downloaded.
export UV_PYTHON_DOWNLOADS := never
export UV_PROJECT_ENVIRONMENT := $(VENV)
# A process starts half a second sooner where modules were compiled by one before it.
export PYTHONDONTWRITEBYTECODE :=
# A company's proxy signs with a certificate that only the system knows.
ifneq (,$(wildcard /etc/ssl/certs/ca-certificates.crt))
export UV_SYSTEM_CERTS := true
endif
# Two BLAS threads on small batches are a third as fast as one.
export OMP_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1
export TF_CPP_MIN_LOG_LEVEL := 3

# Tests wait for processes now and then: three keep two cores busy.
N_TEST_WORKERS ?= 3
SEEDS ?= 1
SYNC_FLAGS := --frozen --compile-bytecode --all-groups --all-extras
BILL = $(UV) export --quiet --frozen --all-extras --no-default-groups --format cyclonedx1.5 --preview-features sbom-export

.DEFAULT_GOAL := help
.PHONY: help setup setup-e2e demo up down status test check check-types check-imports check-licences e2e lint-compose secrets sbom bench-small proofs stores bench-nab bench-skab bench-te documents clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

setup: $(SYNCED) ## install everything into .venv (PYTHON=python3.12 chooses the interpreter)
	@echo "Everything is installed in $(VENV). Next: make demo"

demo: $(SYNCED) ## simulate a server room, train, score 48 hours through Airflow, write the PDF
	@$(BIN)/tsad demo

up: $(SYNCED) ## start PostgreSQL and Airflow with its UI
	@$(BIN)/tsad up

down: $(SYNCED) ## stop both, leaving no process behind
	@$(BIN)/tsad down

status: $(SYNCED) ## say what runs
	@$(BIN)/tsad status

test: $(SYNCED) ## run the tests
	@$(BIN)/python -m pytest -n $(N_TEST_WORKERS) --dist worksteal --durations=10 --ignore=tests/e2e

check: $(SYNCED) ## ruff, mypy --strict, import contracts, licences
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(MAKE) --no-print-directory -j2 --output-sync=target check-types check-imports check-licences

check-types:
	@$(BIN)/mypy

check-imports:
	@$(BIN)/lint-imports

check-licences: | $(UV)
	@$(BILL) | $(BIN)/python -m devstack.sbom

sbom: $(SYNCED) ## the bill of materials, CycloneDX with licences: dist/tsad.cdx.json
	@$(BILL) | $(BIN)/python -m devstack.sbom dist/tsad.cdx.json

setup-e2e: $(SYNCED_E2E) ## install what make e2e needs, too

e2e: $(SYNCED_E2E) ## the tests in a browser and with Celery (needs Chromium and redis-server)
	@missing=; \
	command -v chromium >/dev/null || command -v chromium-browser >/dev/null || missing="$$missing chromium"; \
	command -v redis-server >/dev/null || missing="$$missing redis-server"; \
	if [ -n "$$missing" ]; then \
	  echo "make e2e needs programs that are missing. Install them with: apt-get install$$missing" >&2; exit 1; \
	fi
	@$(BIN)/python -m pytest tests/e2e --durations=10

lint-compose: $(SYNCED) ## lint docker-compose.yml and Dockerfile without a container engine
	@$(UV) sync $(SYNC_FLAGS) --quiet
	@PYTHON=$(BIN)/python sh docker/lint.sh

secrets: .env ## write .env with random secrets for docker compose, if there is none

.env:
	@$(PYTHON) -m devstack.compose_secrets .env

bench-small: $(SYNCED) ## a small size of every benchmark, two at a time
	@$(BIN)/python benchmarks/run_all.py --small --jobs 2

proofs: $(SYNCED) ## every benchmark at full size, one after another (hours), each with a log in .tsad/proofs
	@$(BIN)/python benchmarks/run_all.py

stores: $(SYNCED) ## real Zabbix, Home Assistant, collectd and Icinga (fetched, not installed; Debian 12) to right values
	@$(BIN)/python benchmarks/stores_real.py --download $(ONLY)

bench-nab: $(SYNCED) ## NAB's files with one default config: DATA=folder, and REFEREE=path for the scores
	@$(BIN)/python benchmarks/nab.py --data "$(DATA)" $(if $(REFEREE),--referee "$(REFEREE)") $(BENCH_FLAGS)

bench-skab: $(SYNCED) ## the same for SKAB's files
	@$(BIN)/python benchmarks/skab.py --data "$(DATA)" $(if $(REFEREE),--referee "$(REFEREE)") $(BENCH_FLAGS)

bench-te: $(SYNCED) ## detectors on the Tennessee Eastman process: DATA=folder of d00.dat … d21_te.dat
	@$(BIN)/python benchmarks/tennessee_eastman.py --data "$(DATA)" $(BENCH_FLAGS)

documents: $(SYNCED) ## every figure of the five documents beside ours: docs/results.md (SEEDS=3 for median and spread)
	@$(BIN)/python benchmarks/documents.py --seeds $(SEEDS) $(if $(ONLY),--only $(ONLY))

clean: ## stop what runs, and remove its rows, the environment and all caches
	@if [ -x $(BIN)/tsad ]; then $(BIN)/tsad down; fi
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m devstack.postgres remove; fi
	rm -rf .tsad $(VENV) $(TOOLS) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null || { \
	  echo "Expected Python 3.11, 3.12 or 3.13. Received: $$($(PYTHON) --version 2>&1)." >&2; \
	  echo "Install one of them and name it: make setup PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(TOOLS) || { \
	  echo "Expected Python with its venv module. On Debian: apt-get install python3-venv" >&2; exit 1; }
	@$(TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

$(SYNCED): pyproject.toml uv.lock | $(UV)
	@echo "Installing into $(VENV) (about 3 GB; the first time takes one to three minutes)"
	@$(UV) sync $(SYNC_FLAGS) --no-group e2e --no-group lint --python $(TOOLS)/bin/python --quiet
	@touch $@

$(SYNCED_E2E): pyproject.toml uv.lock | $(UV)
	@$(UV) sync $(SYNC_FLAGS) --no-group lint --python $(TOOLS)/bin/python --quiet
	@touch $(SYNCED) $@
