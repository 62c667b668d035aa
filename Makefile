# Needs Python 3.11 and a package index; everything else is installed into .venv/.
PYTHON ?= python3.11
OPERATOR := .venv/operator/bin
TRAINER := .venv/trainer/bin
PIP := -m pip --disable-pip-version-check --quiet
COMPILE := $(OPERATOR)/uv pip compile --quiet --python-version 3.11 --no-header --universal pyproject.toml
# uv does not read pip's configuration, so it is told the index that pip uses.
export UV_DEFAULT_INDEX ?= $(shell $(PYTHON) -m pip config get global.index-url 2>/dev/null || echo https://pypi.org/simple)

.PHONY: help
help: ## List the commands
	@grep -E '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.PHONY: setup
setup: .venv/operator/.installed .venv/trainer/.installed ## Install everything into .venv/

.venv/%/.installed: requirements/%-dev.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Trainyard needs Python 3.11 or newer")'
	$(PYTHON) -m venv .venv/$*
	.venv/$*/bin/python $(PIP) install --no-deps -r $<
	.venv/$*/bin/python $(PIP) install --no-deps --no-build-isolation --editable .
	touch $@

.PHONY: lint
lint: setup ## Check style, types and import rules
	$(OPERATOR)/ruff check .
	$(OPERATOR)/ruff format --check .
	$(OPERATOR)/mypy
	PYTHONPATH=examples $(OPERATOR)/lint-imports

.PHONY: lock
lock: .venv/operator/.installed ## Renew the lock files
	$(COMPILE) --output-file requirements/operator.txt
	$(COMPILE) --extra devcluster --extra dev --constraint requirements/operator.txt \
	    --output-file requirements/operator-dev.txt
	$(COMPILE) requirements/trainer.in --extra trainer --override requirements/trainer.override \
	    --output-file requirements/trainer.txt
	$(COMPILE) requirements/trainer.in requirements/trainer-dev.in --extra trainer --extra modelserver \
	    --override requirements/trainer.override --constraint requirements/trainer.txt \
	    --output-file requirements/trainer-dev.txt
	$(COMPILE) --extra trainer-gpu --override requirements/trainer-gpu.override \
	    --constraint requirements/trainer.txt --output-file requirements/trainer-gpu.txt

.PHONY: protos
protos: .venv/operator/.installed ## Generate the Python of the .proto files
	cd api && ../$(OPERATOR)/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. trainyard_api/*.proto
	cd fetcher && ../$(OPERATOR)/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. trainyard_fetcher/*.proto

.PHONY: operations
operations: .venv/trainer/.installed ## Generate the list of operations that a served model may be made of
	$(TRAINER)/python -m tools.operations

.PHONY: crds
crds: setup ## Write what is generated: CRDs, field reference, the chart's table of values
	$(OPERATOR)/python -m tools.crds
	$(OPERATOR)/python -m tools.chart_values

.PHONY: demo demo-stop
demo: ## Train, serve, predict and retrain on this machine (KEEP=1 leaves it running)
	@started=$$(date +%s) && $(MAKE) --no-print-directory setup && PYTHONPATH=examples $(OPERATOR)/python -m demo \
	    --setup-seconds $$(($$(date +%s) - started)) $(if $(KEEP),--keep)

demo-stop: .venv/operator/.installed ## End what `make demo KEEP=1` left running
	@PYTHONPATH=examples $(OPERATOR)/python -m demo --stop

.PHONY: test test-unit test-thorough test-cluster test-e2e
test: test-unit test-cluster test-e2e ## Run the tests: unit, cluster, end to end

test-unit: setup ## Run the unit and chart tests
	$(OPERATOR)/pytest -n 3 tests/unit tests/charts --ignore tests/unit/trainer \
	    --ignore tests/unit/modelserver
	$(TRAINER)/pytest -n 3 --dist worksteal -m "not thorough" tests/unit/trainer tests/unit/modelserver

test-thorough: setup ## Kill, stop and break operator and trainer at many moments; read every format from every place
	$(OPERATOR)/pytest -n 2 -m thorough tests/cluster
	$(TRAINER)/pytest -n 2 --dist worksteal -m thorough tests/unit/trainer

# Most of these tests wait for a cluster most of the time, so more of them than cores run at once. Installing brings
# and removes the CRDs that the others use, so it has its turn alone.
test-cluster: setup ## Run the cluster tests: on the devcluster, or on the cluster of KUBECONFIG
	$(OPERATOR)/pytest -n 4 --dist worksteal -m "not thorough" tests/cluster --ignore tests/cluster/test_install.py
	$(OPERATOR)/pytest tests/cluster/test_install.py

test-e2e: setup ## Run the whole flow as a person does: the demo, and the commands of the README and of an example
	$(OPERATOR)/pytest -n 2 --dist loadfile tests/e2e

# What misses its mark does not keep the rest from being measured.
.PHONY: bench bench-trainer
bench: setup ## Measure everything: the operator's latencies and memory, the model server, the trainer
	@failed=; PYTHONPATH=examples $(OPERATOR)/python benchmarks/flow.py || failed=" flow"; \
	    for each in modelserver $(BENCHMARKS); do $(TRAINER)/python benchmarks/$$each.py || failed="$$failed $$each"; done; \
	    test -z "$$failed" || { echo "not as good as wanted:$$failed"; exit 1; }

BENCHMARKS := trainer overhead input memory export workers gpu
bench-trainer: setup ## Measure the trainer: against plain Keras, its input against plain reading, and its memory
	@for each in $(BENCHMARKS); do $(TRAINER)/python benchmarks/$$each.py || failed="$$failed $$each"; done; \
	    test -z "$$failed" || { echo "not as good as wanted:$$failed"; exit 1; }
