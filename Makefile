# Two commands do everything on a fresh machine with Python 3.11 or newer and make:
#   make demo   a finished, split, checked dataset and its report, from real data, offline
#   make test   the tests
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help demo test lint types schemas docs pictures bench bench-dpm bench-traffic bench-winprop bench-scan bench-report bench-release bench-chaos bench-gpu test-nightly test-gpu clean

help: ## Show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "rmtools needs Python 3.11 or newer; set PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: $(VENV)/.installed ## Make the demo dataset and its report in demo/
	$(BIN)/rmtools run demo --out demo --overwrite $(ARGS)

test: $(VENV)/.installed-dev lint ## Run linter, type checker and tests
	$(BIN)/python -m pytest -n auto $(ARGS)

lint: $(VENV)/.installed-dev ## Run ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

schemas: $(VENV)/.installed-dev ## Write schemas/ from the models
	$(BIN)/python -m rmtools.schemas

docs: $(VENV)/.installed-dev ## Write the generated pages of docs/
	$(BIN)/python docs/generate.py

pictures: demo ## Remake the pictures of the README from the demo
	$(BIN)/python docs/pictures.py

$(VENV)/.installed-bench: pyproject.toml | $(VENV)/.installed-dev
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]' && touch $@ || \
	  echo "some packages to compare with could not be installed: their parts are left out" >&2

bench: $(VENV)/.installed-bench ## Maps per second from the city to the checksums, and the full datasets projected
	$(BIN)/python benchmarks/throughput.py $(ARGS)

bench-dpm: $(VENV)/.installed-bench ## Accuracy of the embedded solver on true maps, and its speed
	$(BIN)/python benchmarks/dpm.py $(ARGS)

bench-traffic: $(VENV)/.installed-bench ## Speed of the vehicle engine, beside SUMO
	$(BIN)/python benchmarks/traffic_speed.py $(ARGS)

bench-winprop: $(VENV)/.installed-bench ## Speed of reading WinProp's results, beside numpy.loadtxt
	PYTHONPATH=tests $(BIN)/python benchmarks/winprop_ingest.py $(ARGS)

bench-scan: $(VENV)/.installed-dev ## Speed of the selective scan, beside the plain loop
	$(BIN)/python benchmarks/scan_speed.py $(ARGS)

bench-report: $(VENV)/.installed-dev demo ## Time and size of the report for 300 scenes, and its first picture
	$(BIN)/python benchmarks/report_page.py demo $(ARGS)

bench-release: $(VENV)/.installed-dev demo ## The promises of a release, proven on the demo
	$(BIN)/python benchmarks/release_proof.py demo $(ARGS)

bench-chaos: $(VENV)/.installed-dev ## A dataset made on a cluster whose processes are killed
	$(BIN)/python benchmarks/chaos.py build/chaos $(ARGS)

bench-gpu: $(VENV)/.installed-dev ## Speed and memory of all models at 256 pixels, for a GPU
	$(BIN)/python benchmarks/gpu_models.py $(ARGS)

test-nightly: $(VENV)/.installed-dev ## Longer proofs of what shorter tests show
	$(BIN)/python -m pytest -n auto -m nightly tests $(ARGS)

test-gpu: $(VENV)/.installed-dev ## The tests that need a GPU
	$(BIN)/python -m pytest -m gpu tests $(ARGS)

clean: ## Remove the environment and the demo
	rm -rf $(VENV) demo build *.egg-info
