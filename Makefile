# farthing: each target sets up what it needs. `make` alone lists them.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.ready
# Environments that tests start processes of: other versions of the SDKs, frameworks, a tester of APIs.
BESIDE := oldest early older middle frameworks contract
# What examines the FOCUS export runs on this Python: a version that uv finds, or a path.
PYTHON_OF_FOCUS ?= 3.12
# The guards that benchmarks.guard_cost measures beside ours.
PEERS := tokenfence==0.3.2 backstop-ai==0.8.0 floe-guard==0.25.2

.DEFAULT_GOAL := help

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

setup: $(STAMP) ## create .venv with every extra and the test tools

beside: setup $(BESIDE:%=.venv/beside/%/.ready) .venv/beside/focus/.ready ## create the environments that tests start processes of

$(STAMP): requirements/dev.lock pyproject.toml
	@echo "Setting up .venv (about a minute) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements/dev.lock
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)

.venv/beside/%/.ready: requirements/%.lock pyproject.toml | $(STAMP)
	@echo "Setting up .venv/beside/$* (seconds) ..."
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv/beside/$*
	@$(BIN)/uv pip sync --quiet --require-hashes --python .venv/beside/$* requirements/$*.lock || \
	  $(BIN)/python -m pip --python .venv/beside/$* install -qq --disable-pip-version-check --require-hashes -r requirements/$*.lock
	@$(BIN)/uv pip install --quiet --offline --no-deps --no-build-isolation --python .venv/beside/$* -e .
	@touch $@

.venv/beside/focus/.ready: requirements/focus.lock | $(STAMP)
	@echo "Setting up .venv/beside/focus (about a minute) ..."
	@PYENV_VERSION=$$(pyenv latest 3.12 2>/dev/null) $(BIN)/uv venv --quiet --clear --no-python-downloads \
	  --python $(PYTHON_OF_FOCUS) .venv/beside/focus || { echo "The validator of FOCUS needs Python 3.12, and none was found." \
	  "Install it so that python3.12 runs, or name it: make beside PYTHON_OF_FOCUS=path/to/python3.12" >&2; exit 1; }
	@$(BIN)/uv pip sync --quiet --require-hashes --python .venv/beside/focus requirements/focus.lock || \
	  $(BIN)/python -m pip --python .venv/beside/focus install -qq --disable-pip-version-check --require-hashes -r requirements/focus.lock
	@touch $@

run: setup ## start a gateway with its simulator and two keys to try
	@mkdir -p run
	@test -f run/farthing.yaml || $(BIN)/farthing init --path run/farthing.yaml
	@$(BIN)/farthing serve --try --policy run/farthing.yaml

test: beside ## run all tests, with a short count of each fault and race run
	@$(BIN)/python -m pytest -n 2 --dist loadfile

faults: beside ## run the fault and race tests at full length
	@FARTHING_FAULTS=full $(BIN)/python -m pytest -p no:xdist tests/faults

check: setup format-check lint types contracts test ## everything the gate asks, fastest first

format-check: setup
	@$(BIN)/ruff format --check .

lint: setup
	@$(BIN)/ruff check .

types: setup
	@$(BIN)/mypy

contracts: setup
	@$(BIN)/lint-imports --no-cache

format: setup ## format and repair what can be repaired
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format .

map: setup ## redraw docs/map.md from the modules' first lines
	@$(BIN)/python tools/draw_map.py

prices: setup ## compile the price book anew from genai-prices
	@$(BIN)/python tools/compile_prices.py

lock: setup ## resolve and lock the dependencies anew, with hashes
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --all-extras --group dev --upgrade pyproject.toml -o requirements/dev.lock > /dev/null
	@for group in $(BESIDE); do $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-header --no-annotate --extra gateway --extra tokens --group $$group --upgrade pyproject.toml -o requirements/$$group.lock > /dev/null; done
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.12 --generate-hashes --no-header --no-annotate \
	  --group focus --upgrade -o requirements/focus.lock > /dev/null
	@for peer in $(PEERS); do printf '%s\nopenai==3.54.0\n' $$peer | $(BIN)/uv pip compile --quiet --universal \
	  --python-version 3.11 --generate-hashes --no-header --no-annotate - -o requirements/peers-$${peer%%==*}.lock > /dev/null; done

conformance: setup ## send recorded provider traffic (FARTHING_TRAFFIC or ../shared/traffic) through a gateway
	@$(BIN)/python -m pytest -p no:xdist conformance

bench: setup ## measure side by side with nginx and with other guards; prints ratios
	@$(BIN)/python -m benchmarks

clean: ## remove what make setup and make run made
	rm -rf .venv run dist

.PHONY: help setup beside run test faults check format-check lint types contracts format map prices lock conformance bench clean
