# make help        what can be made
# Variables: PYTHON, the interpreter that makes .venv (default python3)
#            TORCH_INDEX, a package index with CPU-only builds of torch, for machines that
#            should not download CUDA: make setup TORCH_INDEX=https://…
#            JOBS, how many processes run the fast tests (default 2)
#            DATA, a data folder of your own for `make demo` and `make bench-encoder`
#            CHECKPOINT, what `make bench-encoder` exports
#            SCALE, options of `make bench-scale`
#            BASE_IMAGE, what both images are built on; IMAGE_FLAGS, more for `docker build`

PYTHON ?= python3
TORCH_INDEX ?=
JOBS ?= 2
DATA ?=
CHECKPOINT ?=
PROMETHEUS ?= http://127.0.0.1:9090
MINUTES ?= 60
SCALE ?=
BUNDLES ?=
IMAGE_FLAGS ?=
COMPOSE ?= $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints/cpu.txt

GPU_PIP = $(VENV)-gpu/bin/python -m pip install --quiet --disable-pip-version-check -c constraints/gpu.txt -c $(VENV)-gpu/tests.txt

.DEFAULT_GOAL := help
.PHONY: help setup demo test check check-rules dashboards dashboard-pictures unit test-slow test-data test-service images up stack bench bench-encoder bench-peers bench-index bench-memory bench-scale bench-products bench-swaps gpu-check sbom audit fix constraints clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(VENV)/.installed ## make .venv with all that demo and test need; done once

$(VENV)/.installed: pyproject.toml constraints/cpu.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if v >= (3, 11) else f"error: {sys.executable} is Python {v[0]}.{v[1]}, needed is 3.11 or newer; run make PYTHON=python3.11")'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "error: this Python cannot make virtual environments (module venv or ensurepip is missing);" \
	       "on Debian or Ubuntu run: apt-get install python3-venv" >&2; exit 1; }
	@echo "making $(VENV): about two minutes and 2 GB (more where torch brings CUDA)"
	@test -x $(BIN)/python && $(BIN)/python -c '' 2>/dev/null || $(PYTHON) -m venv --clear $(VENV)
	@$(PIP) pip
	@$(PIP) hatchling editables
	@$(PIP) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch
	@$(PIP) --no-build-isolation --editable '.[service,cpu,training,export]' --group dev
	@touch $@

demo: setup ## the main job on synthetic data, or on a folder: make demo DATA=FOLDER
	@$(BIN)/python -m export demo $(if $(DATA),--data '$(DATA)')

test: check unit ## what a contributor runs before a commit

check: setup ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports --no-logo

unit: setup ## fast tests
	OMP_WAIT_POLICY=PASSIVE $(BIN)/pytest -q -n $(JOBS) -m "not slow and not real_data and not gpu and not promtool and not stack"

test-slow: setup ## whole pipelines, processes, the demo; minutes
	$(BIN)/pytest -q -o faulthandler_timeout=900 -m "slow and not real_data and not gpu and not promtool and not stack"

test-data: setup ## the same on real data; SUREMATCH_DATA names their folder
	$(BIN)/pytest -q -o faulthandler_timeout=900 -m "real_data and not gpu and not promtool"

check-rules: setup ## Prometheus rules and Alertmanager's routes, by promtool and amtool
	$(BIN)/pytest -q -m promtool tests/deploy

dashboards: setup ## write Grafana's dashboards anew from deploy/dashboards
	$(BIN)/python -m deploy.dashboards

dashboard-pictures: setup ## draw both dashboards from a running Prometheus: PROMETHEUS=URL MINUTES=60
	$(BIN)/python -m deploy.pictures --prometheus $(PROMETHEUS) --minutes $(MINUTES)

test-service: ## the service alone, without torch, on PYTHON (try python3.12): install and test it
	$(PYTHON) -m venv --clear $(VENV)-service
	$(VENV)-service/bin/python -m pip install --quiet --disable-pip-version-check -c constraints/cpu.txt pip hatchling editables
	$(VENV)-service/bin/python -m pip install --quiet --disable-pip-version-check -c constraints/cpu.txt \
	  --no-build-isolation '.[service,cpu]' onnx --group test
	$(VENV)-service/bin/python -m pip uninstall --quiet --yes surematch
	$(VENV)-service/bin/python -m pytest -q -m "not slow" tests/service \
	  tests/system/test_hostile_requests.py tests/system/test_service_process.py
	rm -rf $(VENV)-service

IMAGE_LABELS = --build-arg RELEASE=$$(sed -n 's/^RELEASE = "\(.*\)"/\1/p' service/contract/release.py) \
  --build-arg REVISION=$$(git rev-parse HEAD 2>/dev/null || echo unknown) \
  $(if $(BASE_IMAGE),--build-arg BASE_IMAGE='$(BASE_IMAGE)') $(IMAGE_FLAGS)

images: ## the service's image, and that of training, export and the stack's demo
	docker build $(IMAGE_LABELS) -t surematch-service .
	docker build $(IMAGE_LABELS) $(if $(TORCH_INDEX),--build-arg TORCH_INDEX='$(TORCH_INDEX)') \
	  -t surematch-training -f deploy/training.Dockerfile .

up: ## the local stack with made-up traffic, Prometheus and Grafana; docs/stack.md
	deploy/secrets.sh
	$(COMPOSE) --profile demo up --build

stack: setup images ## run the local stack in containers and check every expression of it; ten minutes
	$(BIN)/pytest -q -m stack -o faulthandler_timeout=1100 $(STACK_FLAGS) tests/stack

bench: setup ## benchmarks: ratios on the screen, figures in bench.json and training_step.json
	$(BIN)/python -m tests.benchmarks.served_path --json bench.json
	$(BIN)/python -m tests.benchmarks.training_step --json training_step.json

bench-memory: setup ## peak memory of a step with a million products and queries; half an hour
	$(BIN)/python -m tests.benchmarks.training_memory --json training_memory.json

bench-peers: setup ## the service beside other servers on the same weights, each in an environment of its own
	$(BIN)/python -m tests.benchmarks.against_peers --json bench_peers.json

bench-scale: setup ## catalogues of 10,000 to 10,000,000 products; SCALE="--sizes 10000 100000" takes less than hours
	$(BIN)/python -m tests.benchmarks.scale --folder .scale --json scale.json $(SCALE)

bench-index: setup ## recall and time of our indices beside hnswlib and usearch; ARGS, see --help
	@$(PIP) --constraint constraints/bench.txt --group bench
	$(BIN)/python -m tests.benchmarks.index_families --json bench_index.json --plot bench_index.png $(ARGS)

bench-products: setup ## what a catalogue that changes costs; minutes
	$(BIN)/python -m tests.benchmarks.living_catalogue --json products.json

bench-swaps: setup ## memory while bundles are swapped; five minutes
	$(BIN)/python -m tests.benchmarks.swap_memory --json swap_memory.json

gpu-check: $(VENV)-gpu/.installed ## on a machine with an NVIDIA GPU: its tests and benchmarks, into gpu_check.json; ARGS=--quick
	$(VENV)-gpu/bin/python -m tests.benchmarks.gpu_check --json gpu_check.json $(if $(BUNDLES),--bundle $(BUNDLES)) $(ARGS)

# the service's packages for CUDA, and what its tests need; the pins of the CPU's environment stand
# without those of torch, which wants other libraries of CUDA
$(VENV)-gpu/.installed: pyproject.toml constraints/gpu.txt constraints/cpu.txt
	@echo "making $(VENV)-gpu: about 4 GB, most of it CUDA"
	$(PYTHON) -m venv --clear $(VENV)-gpu
	sed '/^-c/d' constraints/cpu.txt > $(VENV)-gpu/tests.txt
	$(GPU_PIP) pip hatchling editables
	$(GPU_PIP) --no-build-isolation '.[service,gpu]' onnx --group test
	$(VENV)-gpu/bin/python -m pip uninstall --quiet --yes surematch
	@touch $@

bench-encoder: setup ## fp32, int8 and fp16 of one encoder: make bench-encoder CHECKPOINT=FOLDER DATA=FOLDER
	$(BIN)/python -m tests.benchmarks.encoder_variants --checkpoint '$(CHECKPOINT)' --data '$(DATA)' --json encoder_variants.json

sbom: $(VENV)-served/.installed ## what the service is made of, as CycloneDX in sbom.json
	$(VENV)-served/bin/python -m venv --clear $(VENV)-tools
	$(VENV)-tools/bin/python -m pip install --quiet --disable-pip-version-check -c constraints/tools.txt cyclonedx-bom
	$(VENV)-tools/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
	  --output-file sbom.json $(VENV)-served/bin/python

audit: $(VENV)-served/.installed ## known faults of the packages the service is made of; asks PyPI
	$(VENV)-served/bin/python -m venv --clear $(VENV)-tools
	$(VENV)-tools/bin/python -m pip install --quiet --disable-pip-version-check -c constraints/tools.txt pip-audit
	$(VENV)-tools/bin/pip-audit --strict --path $$($(VENV)-served/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')

$(VENV)-served/.installed: pyproject.toml constraints/cpu.txt | setup
	$(PYTHON) -m venv --clear $(VENV)-served
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir $(VENV)-served .
	$(VENV)-served/bin/python -m pip install --quiet --disable-pip-version-check -c constraints/cpu.txt \
	  "$$(ls $(VENV)-served/*.whl)[service,cpu,otel]"
	$(VENV)-served/bin/python -m pip uninstall --quiet --yes surematch
	@touch $@

fix: setup ## format, and repair what a tool can repair
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

constraints: ## pin anew what a fresh environment gets; a deliberate act
	rm -rf $(VENV)-fresh && $(PYTHON) -m venv $(VENV)-fresh
	$(VENV)-fresh/bin/python -m pip install -q -U pip hatchling editables
	$(VENV)-fresh/bin/python -m pip install -q torch==2.13.0
	$(VENV)-fresh/bin/python -m pip install -q --no-build-isolation '.[service,cpu,training,export]' --group dev
	sed -n '/^#/p; /^-c/p' constraints/cpu.txt > constraints/.cpu.txt
	$(VENV)-fresh/bin/python -m pip freeze --all | sed -E '/^surematch/d; s/\+cpu//' >> constraints/.cpu.txt
	mv constraints/.cpu.txt constraints/cpu.txt
	rm -rf $(VENV)-fresh

clean: ## remove the environment and what demo and tests left
	rm -rf $(VENV) $(VENV)-served $(VENV)-tools $(VENV)-gpu .bench .demo .scale .pytest_cache .ruff_cache .import_linter_cache .hypothesis bench.json bench_index.json bench_index.png bench_peers.json sbom.json scale.json swap_memory.json training_step.json training_memory.json products.json encoder_variants.json gpu_check.json
