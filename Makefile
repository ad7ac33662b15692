.DEFAULT_GOAL := help
.PHONY: help install run test unit storm faults check format bench lock clean

PYTHON ?= python3
BIN := .venv/bin

help: ## show what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: .venv/installed ## make .venv from the locked requirements

.venv/installed: requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'Python 3.11 or newer is needed: make install PYTHON=python3.11'; exit 1; }
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

run: install ## start the server on its embedded database (http://127.0.0.1:8000)
	$(BIN)/tallystick serve

test: check ## every check and every test, on memory and on a real PostgreSQL
	$(BIN)/pytest --numprocesses 3 --dist loadfile  # many wait for servers that start

unit: install ## the tests in memory, without a database
	$(BIN)/pytest --numprocesses 3 --dist loadfile tests/unit

storm: install ## flip flags every 200 ms for a minute under traffic; the tests do it for six seconds
	TALLYSTICK_TEST_FLIP_SECONDS=60 $(BIN)/pytest tests/integration/races/test_flag_storm.py

faults: install ## run callers who try to cost the others something against a started server, for a few minutes
	$(BIN)/python -m bench.faults

check: install ## format, lint, types, layers, dependencies, SQL
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/deptry src
	$(BIN)/squawk --config .squawk.toml src/adapters/postgres/migrations/*.sql
	@! grep -nE '://|^--(extra-)?index-url|^--find-links| @ ' requirements/*.txt bench/requirements.txt bench/fastify/package-lock.json || { echo 'lock files hold names, versions and hashes only'; exit 1; }

format: install ## rewrite the sources as the formatter wants them
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: install ## measure speed side by side, in one run
	$(BIN)/python -m bench

lock: ## resolve the requirements anew (needs uv)
	uv pip compile pyproject.toml --quiet --universal --upgrade --generate-hashes --no-emit-index-url --no-annotate --no-header -o requirements/runtime.txt
	uv pip compile pyproject.toml --extra dev --quiet --universal --upgrade --generate-hashes --no-emit-index-url --no-annotate --no-header -o requirements/dev.txt

clean: ## remove the environment and what tools left; data in .tallystick stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
