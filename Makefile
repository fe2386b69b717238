# Targets create .venv as needed. Requirements: Python 3.11+, make, git.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help lint types contracts docs demo test simulate fuzz chaos check alerting bench recovery burst soak growth flow scorecard models screenshots run kafka image image-test licenses vulnerabilities kubernetes dashboards asyncapi lock format clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Foreshock needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1). Name another: make PYTHON=/path/to/python3.12 …"; exit 1; }
	@echo "setting up $(VENV) (once; about a minute)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $@

demo: $(READY) ## show a warning before a cascade: embedded broker, simulated exchange, 90 s
	@$(BIN)/foreshock demo $(DEMO_ARGS)

run: $(READY) ## run the service (settings: foreshock.toml or FORESHOCK_… variables)
	@$(BIN)/foreshock run $(RUN_ARGS)

test: $(READY) ## run every test; starts a real Kafka if Java and Maven are installed
	@$(BIN)/python -m pytest $(TEST_ARGS)

simulate: $(READY) ## inject random faults in virtual time, by seed (SEEDS=200; SEED=17 shows one)
	@$(BIN)/python -m tests.faults.simulate $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),200)) $(SIMULATE_ARGS)

chaos: $(READY) ## inject faults into real processes and a real Kafka, verify all output (FAULTS="kill scale")
	@$(BIN)/python -m tests.kafka.broker.chaos $(FAULTS) $(CHAOS_ARGS)

check: lint types contracts docs ## check lint, types, import contracts and the documentation

lint: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(READY)
	@$(BIN)/mypy

contracts: $(READY)
	@$(BIN)/lint-imports

docs: $(READY) build/mermaid.min.js ## build the documentation site into build/site; a broken link fails
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

build/mermaid.min.js: deploy/docs/mermaid.py
	@$(PYTHON) deploy/docs/mermaid.py $@

alerting: $(READY) ## measure the time from a cascade to its notification, by Prometheus and by push
	@$(BIN)/python -m pytest tests/deploy/test_alerting.py -q -s $(TEST_ARGS)

fuzz: $(READY) ## fuzz decoding, files, snapshots and the core (RUNS=1000000); writes build/fuzz
	@$(BIN)/python tests/fuzz/run.py --runs $(or $(RUNS),100000) $(FUZZ_ARGS)

bench: $(READY) ## measure throughput and memory on a real Kafka, and the risk; writes build/bench.json
	@$(BIN)/python benchmarks/run.py $(BENCH_ARGS)

recovery: $(READY) ## measure the recovery time of a killed service; writes build/recovery.json
	@$(BIN)/python benchmarks/recovery.py $(RECOVERY_ARGS)

burst: $(READY) ## measure a minute of twenty times the flow; writes build/burst.json
	@$(BIN)/python benchmarks/burst.py $(BURST_ARGS)

soak: $(READY) ## measure memory growth (MINUTES=30, after a warm-up); writes build/soak.json
	@$(BIN)/python benchmarks/soak.py --minutes $(or $(MINUTES),30) $(SOAK_ARGS)

growth: $(READY) ## show which state grows over days of event time, in one process without Kafka
	@$(BIN)/python benchmarks/growth.py $(GROWTH_ARGS)

flow: $(READY) ## compare order flow in folders of streams (FLOW_ARGS='DIR DIR')
	@$(BIN)/python benchmarks/flow.py $(FLOW_ARGS)

scorecard: $(READY) ## measure detection on labelled markets; writes build/scorecard
	@$(BIN)/foreshock scorecard $(SCORECARD_ARGS)

models: $(READY) ## compare detector models and features on tuning markets; writes build/models
	@$(BIN)/python benchmarks/models.py $(MODELS_ARGS)

screenshots: $(READY) ## take screenshots of the console (calm, stress, cascade); writes build/screenshots
	@$(BIN)/python -m tests.console.screenshots $(SCREENSHOTS_ARGS)

kafka: $(READY) ## start a single-node Apache Kafka 4 on loopback (Ctrl-C stops it)
	@$(BIN)/python deploy/kafka/kafka.py $(KAFKA_ARGS)

image: ## build the container image
	@deploy/image.sh build

image-test: $(READY) ## test the built image against a real Kafka, read-only and unprivileged
	@deploy/image.sh test

kubernetes: $(READY) ## regenerate the PrometheusRule of deploy/kubernetes from deploy/prometheus
	@$(BIN)/python deploy/kubernetes/prometheusrule.py \
		> deploy/kubernetes/components/prometheus-operator/prometheusrule.yaml

dashboards: $(READY) ## regenerate the Grafana dashboards (RUNBOOK=address of the runbook)
	@$(BIN)/python -m deploy.grafana.dashboards $(RUNBOOK)

asyncapi: $(READY) ## regenerate docs/asyncapi.yaml from the message types
	@env -i $(BIN)/foreshock asyncapi --config /dev/null > docs/asyncapi.yaml

licenses: $(READY) ## list the licences of the image's packages; writes build/licenses.md
	@mkdir -p build
	@$(BIN)/pip-licenses --output-file build/licenses.md \
		--packages $$(sed -n 's/^\([A-Za-z0-9._-]*\)==.*/\1/p' requirements.txt)

vulnerabilities: $(READY) ## check the image's packages for known vulnerabilities; needs the network
	@$(BIN)/python -m pip install --quiet 'pip-audit>=2.10,<3'
	@$(BIN)/pip-audit --requirement requirements.txt --require-hashes --disable-pip --strict \
		--progress-spinner off

lock: $(READY) ## resolve the pinned requirements again
	@$(BIN)/python -m pip install --quiet uv
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --python-version 3.11 \
		--extra zstd --extra registry pyproject.toml --output-file requirements.txt
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --python-version 3.11 \
		--extra dev pyproject.toml --output-file requirements-dev.txt

format: $(READY) ## format the code and apply ruff's fixes
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

clean: ## delete .venv, build output and caches
	rm -rf $(VENV) build dist .kafka .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
