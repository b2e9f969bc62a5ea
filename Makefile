# `make repro` and `make test` are all that a newcomer types; each sets up what it needs.
# Profiles: tiny (minutes), laptop (the default, under half an hour), released (hours), paper (a GPU).
PROFILE ?= laptop
PYTHON ?= python3

ifeq ($(filter $(PROFILE),tiny laptop released paper),)
$(error PROFILE=$(PROFILE) is not a profile; choose one of tiny, laptop, released, paper)
endif

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
BROKEN := $(VENV)/.unfinished
PIPELINE := notebooks/dvc.yaml
NOTEBOOKS := $(wildcard notebooks/*.ipynb)
# The registry holds hashes, which look like keys; pictures and data hold no text.
TEXTS = $(shell git ls-files '*.py' '*.md' '*.toml' '*.yml' '*.yaml' '*.ipynb' '*.txt' '*.cff' Makefile .ci .dvc)
# `dvc repro` that says how far it is; how long stages take is kept with the results.
PROGRESS = $(BIN)/python -m xrdlib.progress --times results/$(PROFILE)/seconds.json
NBSTRIPOUT := $(BIN)/nbstripout --extra-keys metadata.language_info
# The default profile is what the dvc.yaml of the project's root stands for.
TARGET := $(if $(filter laptop,$(PROFILE)),dvc.yaml,$(PIPELINE):13_figures@$(PROFILE))

export PATH := $(CURDIR)/$(BIN):$(PATH)
# A kernel registered elsewhere under the name python3 must not run our notebooks.
unexport JUPYTER_PATH
unexport PYTHONPATH
# Threads that wait should sleep: spinning ones make a shared machine several times slower.
export OMP_WAIT_POLICY := PASSIVE

.PHONY: setup data repro studies test figures release lab page bench audit secrets lint format
.DELETE_ON_ERROR:

setup: $(READY)

# An environment whose building was cut short is thrown away; a finished one is only brought up to date.
$(READY): pyproject.toml constraints.txt
	@echo "Installing into $(VENV); the first time takes some minutes."
	if [ -e $(BROKEN) ]; then rm -rf $(VENV); fi
	mkdir -p $(VENV) && touch $(BROKEN)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --editable '.[dev]' --constraint constraints.txt
	touch $@ && rm $(BROKEN)

# The mineral structures, which `make repro` also fetches itself; see xrdlib/datasets.py.
data: setup
	$(BIN)/python -m xrdlib fetch amcsd

repro: setup
	$(BIN)/python -m xrdlib inventory build/inventory.json
	$(PROGRESS) $(TARGET)
	$(BIN)/python -m xrdlib report --profile $(PROFILE)

test: setup
	$(BIN)/python -m pytest

figures: setup
	$(BIN)/dvc repro --single-item $(PIPELINE):strip@13_figures
	$(BIN)/dvc repro --single-item --force $(PIPELINE):13_figures@$(PROFILE)
	$(BIN)/python -m xrdlib gallery --profile $(PROFILE) --studies

# The studies behind the paper's claims, after `make repro`: hours, resumed where they were.
studies: repro
	$(PROGRESS) $(PIPELINE):24_companion@$(PROFILE)
	$(BIN)/python -m xrdlib claims --profile $(PROFILE)

# Trains the predictor that models/ holds: hours on a CPU, resumed where it was when typed again.
release: setup
	$(PROGRESS) $(PIPELINE):11_retrieval@released
	cp runs/released/retrieval/fused.safetensors models/released.safetensors
	cp runs/released/retrieval/library.safetensors models/library.safetensors
	cp runs/released/retrieval/lattices.safetensors models/lattices.safetensors

lab: setup
	$(BIN)/jupyter lab notebooks

# Your own pattern in the browser; with a page template that needs nothing from the network.
page: setup
	JUPYTER_PATH=notebooks/jupyter $(BIN)/voila --template=offline notebooks/predict_your_pattern.ipynb

bench: setup
	mkdir -p results
	$(BIN)/python benchmarks/bench_simulator.py --json results/bench.json

# Packages with known weaknesses (needs the network), and what looks like a password or a key.
audit: setup
	$(BIN)/python -m pip check
	$(BIN)/pip-audit --no-deps --disable-pip --progress-spinner off --requirement constraints.txt

secrets: setup
	$(BIN)/detect-secrets-hook --exclude-files '^xrdlib/registry.py$$' $(TEXTS)

lint: setup secrets
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(NBSTRIPOUT) --verify $(NOTEBOOKS)

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(NBSTRIPOUT) $(NOTEBOOKS)
