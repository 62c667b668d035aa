# Needs a Python from 3.11 to 3.13 and a package index; everything else is installed into .venv/.
# PYTHON names a version or a program: make PYTHON=3.13, make PYTHON=/opt/python/bin/python3
PYTHON ?=
VENV ?= .venv
OPERATOR := $(VENV)/operator/bin
TRAINER := $(VENV)/trainer/bin
PIP := -m pip --disable-pip-version-check --quiet

.PHONY: help
help: ## List the commands
	@grep -E '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.PHONY: setup clean
setup: $(VENV)/operator/.installed $(VENV)/trainer/.installed ## Install everything into .venv/

$(VENV)/%/.installed: requirements/%-dev.txt pyproject.toml
	@python=$$(tools/find-python $(PYTHON)) && echo "Installing into $(VENV)/$* with $$($$python --version), $$python" && \
	    $$python -m venv --clear $(VENV)/$*
	@$(VENV)/$*/bin/python $(PIP) install --no-deps --require-hashes -r $<
	@$(VENV)/$*/bin/python $(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

clean: ## Remove what was built, installed and cached
	rm -rf .venv .venv-* build dist .devcluster .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -prune -exec rm -rf {} + -o -name '*.egg-info' -prune -exec rm -rf {} +

.PHONY: fmt lint types types-operator types-trainer
fmt: $(VENV)/operator/.installed ## Format the code and mend what the linter can
	$(OPERATOR)/ruff check --fix .
	$(OPERATOR)/ruff format .

lint: setup ## Check style, types and import rules
	$(OPERATOR)/ruff check .
	$(OPERATOR)/ruff format --check .
	@$(MAKE) --no-print-directory --jobs 2 types
	PYTHONPATH=examples $(OPERATOR)/lint-imports

types: types-operator types-trainer

types-operator: setup
	$(OPERATOR)/mypy

types-trainer: setup
	$(TRAINER)/mypy --config-file trainer/mypy.ini

# uv does not read pip's configuration, so it is told the index that pip uses.
COMPILE = $(OPERATOR)/uv pip compile --quiet --python-version 3.11 --universal --generate-hashes --no-annotate --no-header

.PHONY: lock
lock: export UV_DEFAULT_INDEX ?= $(or $(PIP_INDEX_URL),$(shell $(OPERATOR)/python -m pip config get global.index-url 2>/dev/null))
lock: $(VENV)/operator/.installed ## Renew the lock files; UPGRADE=1 takes the newest versions
	$(COMPILE) $(LOCK_ARGS) requirements/build.in --output-file requirements/build.txt
	$(COMPILE) $(LOCK_ARGS) pyproject.toml --output-file requirements/operator.txt
	$(COMPILE) $(LOCK_ARGS) pyproject.toml --extra devcluster --extra dev --constraint requirements/operator.txt \
	    --output-file requirements/operator-dev.txt
	$(COMPILE) $(LOCK_ARGS) pyproject.toml requirements/trainer.in --extra trainer \
	    --override requirements/trainer.override --output-file requirements/trainer.txt
	$(COMPILE) $(LOCK_ARGS) pyproject.toml requirements/trainer.in requirements/trainer-dev.in --extra trainer \
	    --extra modelserver --override requirements/trainer.override --constraint requirements/trainer.txt \
	    --output-file requirements/trainer-dev.txt
	$(COMPILE) $(LOCK_ARGS) pyproject.toml --extra trainer-gpu --override requirements/trainer-gpu.override \
	    --constraint requirements/trainer.txt --output-file requirements/trainer-gpu.txt

LOCK_ARGS = $(if $(UPGRADE),--upgrade)

.PHONY: protos
protos: $(VENV)/operator/.installed ## Generate the Python of the .proto files
	cd api && $(abspath $(OPERATOR))/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. trainyard_api/*.proto
	cd fetcher && $(abspath $(OPERATOR))/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. trainyard_fetcher/*.proto

.PHONY: operations
operations: $(VENV)/trainer/.installed ## Generate the list of operations that a served model may be made of
	$(TRAINER)/python -m tools.operations

.PHONY: crds
crds: setup ## Write what is generated: CRDs, field reference, the chart's table of values
	$(OPERATOR)/python -m tools.crds
	$(OPERATOR)/python -m tools.chart_values

.PHONY: bump images
bump: $(VENV)/operator/.installed ## Write a new version everywhere: make bump VERSION=0.2.0
	$(OPERATOR)/python -m tools.version $(VERSION)

images: ## Build the images; REGISTRY=registry.example.com PUSH=1 pushes them, VARIANTS="operator trainer" leaves CUDA out
	@ENGINE="$(ENGINE)" REGISTRY="$(REGISTRY)" PUSH="$(PUSH)" VARIANTS="$(VARIANTS)" BASE="$(BASE)" \
	    BUILD_ARGS="$(BUILD_ARGS)" tools/build-images

.PHONY: demo demo-stop
demo: ## Train, serve, predict and retrain on this machine (KEEP=1 leaves it running)
	@test -e $(VENV)/trainer/.installed || echo "Installing 3.2 GB into $(VENV)/, once: most of it is TensorFlow"
	@started=$$(date +%s) && $(MAKE) --no-print-directory setup && PYTHONPATH=examples $(OPERATOR)/python -m demo \
	    --setup-seconds $$(($$(date +%s) - started)) $(if $(KEEP),--keep)

demo-stop: $(VENV)/operator/.installed ## End what `make demo KEEP=1` left running, and remove it
	@PYTHONPATH=examples $(OPERATOR)/python -m demo --stop

.PHONY: test test-unit test-thorough test-thorough-operator test-thorough-trainer test-cluster test-e2e
test: test-unit test-cluster test-e2e ## Run the tests: unit, cluster, end to end

test-unit: setup ## Run the unit and chart tests
	$(OPERATOR)/pytest -n 3 --dist worksteal -m "$(UNIT_MARKS)" $(UNIT_TESTS) --ignore tests/unit/trainer \
	    --ignore tests/unit/modelserver
	$(TRAINER)/pytest -n 3 --dist worksteal -m "not thorough" $(TRAINER_TESTS)

UNIT_TESTS ?= tests/unit tests/charts
UNIT_MARKS ?= not thorough
TRAINER_TESTS ?= tests/unit/trainer tests/unit/modelserver

test-thorough: test-thorough-operator test-thorough-trainer ## Kill, stop and break operator and trainer at many moments

test-thorough-operator: setup ## Kill the operator over and over; replay the trainer's Dockerfile
	$(OPERATOR)/pytest -n 4 --dist worksteal -m thorough $(THOROUGH_OPERATOR_TESTS)

test-thorough-trainer: setup ## Kill and damage trainings; read every format from every place
	$(TRAINER)/pytest -n 2 --dist worksteal -m thorough $(THOROUGH_TESTS)

THOROUGH_OPERATOR_TESTS ?= tests/cluster tests/e2e
THOROUGH_TESTS ?= tests/unit/trainer

# Most of these tests wait for a cluster most of the time, so more of them than cores run at once. Installing brings
# and removes the CRDs that the others use, so it has its turn alone.
test-cluster: setup ## Run the cluster tests: on the devcluster, or on the cluster of KUBECONFIG
	$(OPERATOR)/pytest -n 4 --dist worksteal -m "not thorough" tests/cluster --ignore tests/cluster/test_install.py
	$(OPERATOR)/pytest tests/cluster/test_install.py

test-e2e: setup ## Run the whole flow as a person does: the demo, and the commands of the README and of an example
	$(OPERATOR)/pytest -n 2 --dist loadfile -m "not thorough" tests/e2e

# What misses its mark does not keep the rest from being measured.
.venv/quality/.installed: benchmarks/quality-requirements.txt
	$(PYTHON) -m venv .venv/quality
	.venv/quality/bin/python $(PIP) install -r $<
	touch $@

.PHONY: bench-quality
bench-quality: setup .venv/quality/.installed ## Measure how good models are on real files, beside scikit-learn and YDF
	$(TRAINER)/python benchmarks/quality.py .venv/quality/bin/python

.PHONY: bench bench-trainer
bench: setup ## Measure everything: the operator's latencies and memory, the model server, the trainer
	@failed=; for name in operator_load flow; do PYTHONPATH=examples $(OPERATOR)/python benchmarks/$$name.py || failed="$$failed $$name"; done; \
	    for name in modelserver $(BENCHMARKS); do $(TRAINER)/python benchmarks/$$name.py || failed="$$failed $$name"; done; \
	    test -z "$$failed" || { echo "not as good as wanted:$$failed"; exit 1; }

.PHONY: rollout-test
rollout-test: setup ## Measure what clients notice of rollouts, drains and bad canaries: ARGS=--quick, ARGS="canary slow"
	PYTHONPATH=tests:examples $(OPERATOR)/python benchmarks/rollouts.py $(ARGS)

.PHONY: faults
faults: setup ## Measure what faults cost a training, and check what they count as
	PYTHONPATH=tests:examples $(OPERATOR)/python benchmarks/faults.py

BENCHMARKS := trainer overhead input memory export workers gpu
bench-trainer: setup ## Measure the trainer: against plain Keras, its input against plain reading, and its memory
	@for name in $(BENCHMARKS); do $(TRAINER)/python benchmarks/$$name.py || failed="$$failed $$name"; done; \
	    test -z "$$failed" || { echo "not as good as wanted:$$failed"; exit 1; }
