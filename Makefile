# Python (3.11 or newer), make and the package index are all that these targets need.
# Another interpreter: make PYTHON=python3.12 …

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
RUNTIME_STAMP := $(VENV)/.installed-runtime
DEV_STAMP     := $(VENV)/.installed-dev
SERVE_ARGS ?=
TEST_ARGS  ?=
BENCH_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help install demo serve test test-sdks lint format bench docs lock build clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Clarion needs Python 3.11 or newer; '$(PYTHON)' is older. Try: make PYTHON=python3.12 install"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(RUNTIME_STAMP): requirements/runtime.txt pyproject.toml | $(VENV)/bin/python
	@echo "Installing Clarion into $(VENV) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/runtime.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

$(DEV_STAMP): requirements/dev.txt $(RUNTIME_STAMP)
	@echo "Installing the SDKs and tools that the demo and the tests use …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

install: $(RUNTIME_STAMP) ## Install the program into .venv
	@echo "Ready: $(BIN)/clarion --help"

demo: $(DEV_STAMP) ## Install, then show official SDKs pushing over the link and every vendor channel
	@$(BIN)/python -m tools.demo

serve: $(RUNTIME_STAMP) ## Run the server on ./clarion-data (SERVE_ARGS="--port 9000")
	@$(BIN)/clarion serve $(SERVE_ARGS)

test: $(DEV_STAMP) ## Run every test, two files at a time (TEST_ARGS="-k link")
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile $(TEST_ARGS)

test-sdks: $(DEV_STAMP) ## Run the Node and Java SDKs against a server (needs node and maven)
	@$(BIN)/python -m pytest tests/sdk --foreign-sdks $(TEST_ARGS)

lint: $(DEV_STAMP) ## Check style, types and generated documents
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m tools.generate_docs --check

format: $(DEV_STAMP) ## Format the code
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

bench: $(DEV_STAMP) ## Measure; writes benchmarks/results.json and docs/benchmarks.md
	@$(BIN)/python -m benchmarks.run $(BENCH_ARGS)

docs: $(DEV_STAMP) ## Write the generated documents anew
	@$(BIN)/python -m tools.generate_docs

lock: ## Resolve the dependencies anew, with hashes
	$(PYTHON) -m venv $(VENV)/lock && $(VENV)/lock/bin/pip install --quiet uv
	$(VENV)/lock/bin/uv pip compile -q pyproject.toml --universal --generate-hashes --no-emit-index-url \
		--python-version 3.11 --custom-compile-command "make lock" --upgrade -o requirements/runtime.txt
	$(VENV)/lock/bin/uv pip compile -q pyproject.toml --group dev --universal --generate-hashes --no-emit-index-url \
		--python-version 3.11 --custom-compile-command "make lock" --upgrade -o requirements/dev.txt

build: $(DEV_STAMP) ## Build the wheel and the source archive into dist/
	@$(BIN)/python -m build

clean: ## Remove what the targets made (not clarion-data)
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
