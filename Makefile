# make run    sets up .venv (once), then runs the sample manifest against the sandbox
# make test   the same set-up, then all checks a change must pass
# make soak   many more simulated worlds and hostile inputs than the tests have
# Another Python: make PYTHON=/path/to/python3.12

PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test soak format bench bench-pacing clean

run:
	@$(PYTHON) tools/prepare.py run
	@$(BIN)/bulk-trigger manifests/release.csv --sandbox

test:
	@$(PYTHON) tools/prepare.py test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest

soak:
	@$(PYTHON) tools/prepare.py test
	$(BIN)/python -m tests.simulation.soak
	$(BIN)/python -m tests.simulation.planted
	$(BIN)/python -m tests.fuzz.soak
	$(BIN)/python -m tests.kills.soak --kills 200
	$(BIN)/python -m tests.kills.system_calls

format:
	@$(PYTHON) tools/prepare.py test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench:
	@$(PYTHON) tools/prepare.py test
	$(BIN)/python -m benchmarks.scale

bench-pacing:
	@$(PYTHON) tools/prepare.py test
	$(BIN)/python -m benchmarks.pacing --nginx

clean:
	rm -rf .venv .mypy_cache .ruff_cache .hypothesis
