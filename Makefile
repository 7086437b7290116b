# make run        sets up .venv (once), then runs the sample manifest against the sandbox
# make test       the same set-up, then all checks a change must pass
# make test-fast  the tests that need no socket, no process and no long simulation
# make test-lowest  the fast tests and the sample with the lowest versions that pyproject.toml allows
# make soak       many more simulated worlds, examples, hostile inputs and kills than the tests have
# Another Python: make PYTHON=/path/to/python3.12

PYTHON ?= python3
BIN := .venv/bin
STEAL := --dist worksteal
SLOW := sockets or processes or browser or nginx or long

.PHONY: run test test-fast test-lowest ready lint types pytest soak format bench bench-pacing clean

run:
	@$(PYTHON) tools/prepare.py run
	@$(BIN)/bulk-trigger manifests/release.csv --sandbox

# Types are checked while the tests run. Without -j here, make would wait for one before the other.
test: ready
	@$(MAKE) --no-print-directory -j3 lint types pytest

test-fast: ready
	$(BIN)/python -m pytest -n logical $(STEAL) -m "not ($(SLOW))"

test-lowest: ready
	$(BIN)/python -m tools.lowest

ready:
	@$(PYTHON) tools/prepare.py test

lint:
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types:
	$(BIN)/mypy

pytest:
	$(BIN)/python -m pytest -n auto $(STEAL)

soak: ready
	$(BIN)/python -m tools.soak

format: ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: ready
	$(BIN)/python -m benchmarks.scale

bench-pacing: ready
	$(BIN)/python -m benchmarks.pacing --nginx

clean:
	rm -rf .venv .mypy_cache .ruff_cache .hypothesis
