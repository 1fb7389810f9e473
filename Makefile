# `make help` lists what there is. Everything runs from .venv, which is made when first needed.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/bash

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYTHONDONTWRITEBYTECODE := 1

# Runs something against a real control plane, whose programs are built once, outside the repository. Without Go (the
# builder's 3) or namespaces (the sandbox's 2) it says so; in CI that is a failure.
define on_a_cluster
$(PY) tests/controlplane/build.py etcd kubernetes certmanager helm kustomize prometheus && go=0 || go=$$?; \
why=$$($(PY) -m webhook.node.sandbox -- true 2>&1) && sandbox=0 || sandbox=$$?; \
if [ $$go -eq 0 ] && [ $$sandbox -eq 0 ]; then $(2); \
elif { [ $$go -eq 3 ] || [ $$sandbox -eq 2 ]; } && [ "$${CI:-}" != true ]; then \
  echo "make $(1): what needs a control plane is skipped. $$why"; \
else echo "make $(1): failed. $$why" >&2; exit 1; fi
endef

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Redone only when the dependencies change; the code itself is installed editable.
$(STAMP): pyproject.toml requirements-dev.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Evenkeel needs Python 3.11 or newer; '$(PYTHON)' is '$$($(PYTHON) --version 2>&1)'. Try: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "'$(PYTHON)' cannot make virtual environments. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "Installing into $(VENV) what requirements-dev.lock pins (some 370 MB on disk, once) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install --quiet --require-hashes -r requirements-dev.lock
	@$(PY) -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: venv
venv: $(STAMP) ## Make the virtual environment and install everything into it

.PHONY: demo
demo: $(STAMP) ## Run the whole path on this machine: admission, Envoys, gRPC calls, numbers
	@mkdir -p build
	@$(VENV)/bin/evenkeel demo --picture build/spread.svg

.PHONY: test
test: unit packaging e2e ## Run all tests

.PHONY: unit
unit: $(STAMP) ## Run the tests that need neither a network nor namespaces (under a minute)
	@$(PY) tests/side_by_side.py unit $(PYTEST)

.PHONY: demo-test
demo-test: $(STAMP) ## Run the demo as a person would and check what it prints, draws and leaves behind
	@$(PY) -m pytest -q -m demo tests/demo $(PYTEST)

.PHONY: packaging
packaging: $(STAMP) ## Run the Dockerfile's steps without Docker and try what they install (downloads)
	@$(PY) -m pytest -q -m packaging tests/packaging $(PYTEST)

# Whether the machine allows it is asked first: pytest has an exit code 2 of its own.
.PHONY: e2e
e2e: $(STAMP) ## Run real Envoys and real gRPC in Pods of their own namespaces
	@# The sandbox has no network, so what comes from one is made before; exit code 3 is a language that is not here.
	@$(PY) tests/apps/build.py >/dev/null || { code=$$?; [ $$code -eq 3 ] && [ "$${CI:-}" != true ]; }
	@why=$$($(PY) -m webhook.node.sandbox -- true 2>&1) && code=0 || code=$$?; \
	if [ $$code -eq 0 ]; then \
	  $(PY) tests/side_by_side.py e2e $(PYTEST); \
	elif [ $$code -eq 2 ] && [ "$${CI:-}" != true ]; then \
	  echo "make e2e: skipped, nothing was tested here. $$why"; \
	else \
	  echo "make e2e: $$why" >&2; exit 1; \
	fi

.PHONY: test-cluster
test-cluster: $(STAMP) ## Run the tests against a real etcd, kube-apiserver and controller manager (needs Go; built once)
	@$(call on_a_cluster,test-cluster,$(PY) tests/side_by_side.py cluster $(PYTEST))

.PHONY: lint
lint: $(STAMP) ## Check style, types, import contracts and YAML; all problems at once
	@failed=0; run() { echo "$$*"; "$$@" || failed=1; }; \
	run $(VENV)/bin/ruff check --quiet .; \
	run $(VENV)/bin/ruff format --quiet --check .; \
	run $(VENV)/bin/mypy --no-incremental; \
	run $(VENV)/bin/mypy --no-incremental examples/echo/server.py examples/echo/gateway.py; \
	run $(VENV)/bin/lint-imports --no-cache; \
	run $(VENV)/bin/yamllint --strict .; \
	exit $$failed

.PHONY: format
format: $(STAMP) ## Bring the code into its form
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

.PHONY: bench
bench: $(STAMP) ## Measure admissions, the data plane and pushed endpoints; the numbers go to build/bench
	@mkdir -p build/bench
	$(PY) benchmarks/admission.py --json build/bench/admission.json
	$(PY) benchmarks/dataplane.py --json build/bench/dataplane.json
	PYTHONPATH=. $(PY) benchmarks/push.py --json build/bench/push.json
	PYTHONPATH=. $(PY) benchmarks/visibility.py --json build/bench/visibility.json
	@$(call on_a_cluster,bench,\
	  PYTHONPATH=. $(PY) benchmarks/catalog.py --json build/bench/catalog.json && \
	  PYTHONPATH=. $(PY) benchmarks/tokens.py --json build/bench/tokens.json && \
	  PYTHONPATH=. $(PY) -m webhook.node.sandbox -- $(PY) benchmarks/creation.py --json build/bench/creation.json)

.PHONY: bench-smoke
bench-smoke: $(STAMP) ## Run the benchmarks for a few seconds, to see that they work
	$(PY) benchmarks/admission.py --smoke
	$(PY) benchmarks/dataplane.py --smoke
	PYTHONPATH=. $(PY) benchmarks/push.py --smoke
	PYTHONPATH=. $(PY) benchmarks/visibility.py --smoke
	@$(call on_a_cluster,bench-smoke,\
	  PYTHONPATH=. $(PY) benchmarks/catalog.py --smoke && \
	  PYTHONPATH=. $(PY) benchmarks/tokens.py --smoke && \
	  PYTHONPATH=. $(PY) -m webhook.node.sandbox -- $(PY) benchmarks/creation.py --smoke)

# The sources of packages are the machine's own business, so no address is written down.
COMPILE = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url

# Hatchling makes editable installs with `editables`, which it leaves to its caller to have.
.PHONY: lock
lock: ## Pin the newest allowed dependencies (needs uv)
	echo editables | $(COMPILE) --upgrade --all-extras pyproject.toml - -o requirements-dev.lock
	$(COMPILE) --upgrade -c requirements-dev.lock pyproject.toml -o requirements.lock
	$(PYTHON) -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' \
	  | $(COMPILE) --upgrade -c requirements-dev.lock - -o requirements-build.lock
	sed -i -E '/^ *#   -c |# via -c requirements-dev.lock$$/d' requirements.lock requirements-build.lock

.PHONY: clean
clean: ## Remove everything that was made here, the virtual environment too
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
