# Every target makes and uses .venv; nothing but Python 3.11+, make and git is needed beforehand.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help demo test simulate fuzz chaos check alerting bench recovery burst soak growth scorecard models screenshots run kafka image image-test licenses vulnerabilities kubernetes dashboards asyncapi lock format clean

help: ## show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Foreshock needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1). Name another: make PYTHON=/path/to/python3.12 …"; exit 1; }
	@echo "setting up $(VENV) (once; about a minute)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $@

demo: $(READY) ## watch Foreshock warn of a cascade: embedded broker, simulated exchange, 90 s
	@$(BIN)/foreshock demo $(DEMO_ARGS)

run: $(READY) ## run the service (settings: foreshock.toml or FORESHOCK_… variables)
	@$(BIN)/foreshock run $(RUN_ARGS)

test: $(READY) ## run every test; starts a real Kafka itself where Java and Maven are there
	@$(BIN)/python -m pytest $(TEST_ARGS)

simulate: $(READY) ## break the service by seed, in virtual time (SEEDS=200; SEED=17 shows one)
	@$(BIN)/python -m tests.faults.simulate $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),200)) $(SIMULATE_ARGS)

chaos: $(READY) ## break real processes and a real Kafka, and read everything back (FAULTS="kill scale")
	@$(BIN)/python -m tests.kafka.broker.chaos $(FAULTS) $(CHAOS_ARGS)

check: $(READY) ## lint, types, import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

alerting: $(READY) ## a cascade on a real Kafka calls by Prometheus and by push; shows how soon
	@$(BIN)/python -m pytest tests/deploy/test_alerting.py -q -s $(TEST_ARGS)

fuzz: $(READY) ## fuzz decoding, files, snapshots and the core: make fuzz RUNS=1000000; writes build/fuzz
	@$(BIN)/python tests/fuzz/run.py --runs $(or $(RUNS),100000) $(FUZZ_ARGS)

bench: $(READY) ## measure throughput and memory on a real Kafka; writes build/bench.json
	@$(BIN)/python benchmarks/run.py $(BENCH_ARGS)

recovery: $(READY) ## measure how soon a killed service is back; writes build/recovery.json
	@$(BIN)/python benchmarks/recovery.py $(RECOVERY_ARGS)

burst: $(READY) ## measure twenty times the flow for a minute; writes build/burst.json
	@$(BIN)/python benchmarks/burst.py $(BURST_ARGS)

soak: $(READY) ## measure whether memory stays flat (MINUTES=30, after a warm-up); writes build/soak.json
	@$(BIN)/python benchmarks/soak.py --minutes $(or $(MINUTES),30) $(SOAK_ARGS)

growth: $(READY) ## see what still grows after days of event time, in one process and without Kafka
	@$(BIN)/python benchmarks/growth.py $(GROWTH_ARGS)

scorecard: $(READY) ## measure the detection on labelled markets; writes build/scorecard
	@$(BIN)/foreshock scorecard $(SCORECARD_ARGS)

models: $(READY) ## compare the detectors' models and features on tuning markets; writes build/models
	@$(BIN)/python benchmarks/models.py $(MODELS_ARGS)

screenshots: $(READY) ## the console calm, stressed and in a cascade, by Chromium; into build/screenshots
	@$(BIN)/python -m tests.console.screenshots

kafka: $(READY) ## start a single-node Apache Kafka 4 on loopback (Ctrl-C stops it)
	@$(BIN)/python deploy/kafka/kafka.py $(KAFKA_ARGS)

image: ## build the container image
	@deploy/image.sh build

image-test: $(READY) ## run the built image against a real Kafka, read-only and as an ordinary user
	@deploy/image.sh test

kubernetes: $(READY) ## make the PrometheusRule of deploy/kubernetes from deploy/prometheus anew
	@$(BIN)/python deploy/kubernetes/prometheusrule.py \
		> deploy/kubernetes/components/prometheus-operator/prometheusrule.yaml

dashboards: $(READY) ## make Grafana's dashboards anew (RUNBOOK=address of the runbook)
	@$(BIN)/python -m deploy.grafana.dashboards $(RUNBOOK)

asyncapi: $(READY) ## make docs/asyncapi.yaml from the message types anew
	@env -i $(BIN)/foreshock asyncapi --config /dev/null > docs/asyncapi.yaml

licenses: $(READY) ## list the licences of what the image installs; writes build/licenses.md
	@mkdir -p build
	@$(BIN)/pip-licenses --output-file build/licenses.md \
		--packages $$(sed -n 's/^\([A-Za-z0-9._-]*\)==.*/\1/p' requirements.txt)

vulnerabilities: $(READY) ## look for known vulnerabilities in what the image installs; needs the network
	@$(BIN)/python -m pip install --quiet 'pip-audit>=2.10,<3'
	@$(BIN)/pip-audit --requirement requirements.txt --require-hashes --disable-pip --strict \
		--progress-spinner off

lock: $(READY) ## resolve the pinned requirements anew
	@$(BIN)/python -m pip install --quiet uv
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --python-version 3.11 \
		--extra zstd pyproject.toml --output-file requirements.txt
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --python-version 3.11 \
		--extra dev pyproject.toml --output-file requirements-dev.txt

format: $(READY) ## format the code and mend what ruff can mend
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

clean: ## remove everything that a target made
	rm -rf $(VENV) build dist .kafka .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
