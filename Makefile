# BUS= and DB= take the words of --bus and --db (sqlite, kafka, postgresql or a URL); ONCE=1 ends the demo by itself; soak reads SECONDS= and SEED=, chaos STORIES= and SEED=.
# test is every test but the campaigns, which kill, freeze and measure Kafka and PostgreSQL for minutes; .ci/run has both. They mostly wait: WORKERS=4.
NEWER := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do $$p -c '$(NEWER)' 2>/dev/null && { echo $$p; break; }; done)
WORKERS ?= 4
WHERE = $(if $(BUS),--bus $(BUS)) $(if $(DB),--db $(DB))

.PHONY: setup demo test campaigns lint check soak chaos bench clean

setup: .venv/installed

demo: setup
	@.venv/bin/lendbus demo $(if $(filter 1,$(ONCE)),--once) $(WHERE)

test: setup
	.venv/bin/pytest -n $(WORKERS) --dist worksteal -m 'not campaign'

campaigns: setup
	.venv/bin/pytest -n $(WORKERS) --dist loadfile -m campaign

lint: setup
	.venv/bin/ruff format --check . && .venv/bin/ruff check . && .venv/bin/mypy

check: setup
	@.venv/bin/lendbus check $(WHERE)

soak: setup
	@.venv/bin/lendbus soak $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEED),--seed $(SEED)) $(WHERE)

chaos: setup
	@.venv/bin/lendbus chaos $(if $(STORIES),--stories $(STORIES)) $(if $(SEED),--seed $(SEED)) $(WHERE)

bench: setup
	@.venv/bin/lendbus bench all $(WHERE)

clean:
	rm -rf .venv data build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis && find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/installed: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Lendbus needs Python 3.11 or newer: install one, or name it with make PYTHON=/path/to/python3" >&2; exit 2; }
	@$(PYTHON) -m venv .venv || { echo "this Python cannot make a virtual environment: install its venv package (python3-venv on Debian)" >&2; exit 2; }
	.venv/bin/python -m pip install --quiet --require-hashes --no-deps -r requirements.lock
	.venv/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@
