# Every target sets up what it needs: .venv with the pinned dependencies, and Nix (scripts/setup.sh).
BIN := .venv/bin
# Parallel test processes. The suite waits for databases and builds more than it computes; three fill two cores.
WORKERS ?= 3
# More arguments for the program that a target runs: make test-fast ARGS="-k tokens -x"
ARGS ?=
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

.DEFAULT_GOAL := help
.PHONY: demo serve test test-fast bench lint format lock migration clean help runtime dev bench-tools

demo: runtime ## See it work: serve, create, download, activate, roll back
	@$(BIN)/python scripts/demo.py $(ARGS)

serve: runtime ## Serve on http://127.0.0.1:8000, reloading on change
	@$(BIN)/example-init
	$(BIN)/uvicorn example.server:app --host 127.0.0.1 --port 8000 --timeout-graceful-shutdown 5 --reload --reload-dir example $(ARGS)

test: dev ## Run every test and require that all code is covered
	$(PYTEST) --cov --cov-report=term-missing:skip-covered --cov-fail-under=100 $(ARGS)

test-fast: dev ## Run the tests that take no time, without coverage
	$(PYTEST) -m "not slow" $(ARGS)

bench: bench-tools ## Measure against the reference servers
	@$(BIN)/python -m bench $(ARGS)

lint: dev ## Check style, types, shell scripts, Docker, Compose and Nix files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/shellcheck .ci/run scripts/*.sh
	$(BIN)/hadolint Dockerfile
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml docker-compose.prod.yml
	@# A store in name only: parsing needs none, and /nix may not be writable.
	nix-instantiate --store dummy:// --parse default.nix shell.nix $$(find example -name '*.nix') >/dev/null

format: dev ## Format the code and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: dev ## Compile setup.py to exact pins (newest of all: ARGS=--upgrade)
	@scripts/lock.sh $(ARGS)

migration: dev ## Write the next migration from the models: MESSAGE="what it does"
	@$(BIN)/python scripts/migration.py "$(MESSAGE)"

clean: ## Remove what the other targets made; never ./data
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .schemathesis htmlcov .coverage .coverage.*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

runtime dev:
	@scripts/setup.sh $@

bench-tools:
	@scripts/setup.sh bench
