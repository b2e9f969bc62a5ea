# `make repro` and `make test` are all that a newcomer types; each sets up what it needs.
# Profiles: tiny (minutes), laptop (the default, under an hour), released (hours), paper (a GPU),
# regime (the scaling study, a day). NOTEBOOK=04_stage1 goes no further than that notebook.
PROFILE ?= laptop
STUDIES ?=
NOTEBOOK ?=
PYTHON ?= python3

ifeq ($(filter $(PROFILE),tiny laptop regime released paper),)
$(error PROFILE=$(PROFILE) is not a profile; choose one of tiny, laptop, regime, released, paper)
endif

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
BROKEN := $(VENV)/.unfinished
NOTEBOOKS := $(wildcard notebooks/*.ipynb)
# The registry holds hashes, which look like keys; pictures and data hold no text.
TEXTS = $(shell git ls-files '*.py' '*.md' '*.toml' '*.yml' '*.yaml' '*.ipynb' '*.txt' '*.cff' Makefile .ci .dvc)
# `dvc repro` that says how far it is; how long stages take is kept with the results.
PROGRESS = $(BIN)/python -m xrdlib repro --times results/$(PROFILE)/seconds.json
NBSTRIPOUT := $(BIN)/nbstripout --extra-keys metadata.language_info

# A first answer, so that what Numba compiles is there when a person asks for one.
COMPILED = from numpy import arange, cos; from xrdlib import load_predictor; x = arange(5, 90, .02); \
load_predictor().predict(x, 1 + 1e3 * cos(x) ** 400)

export PATH := $(CURDIR)/$(BIN):$(PATH)
# A kernel registered elsewhere under the name python3 must not run our notebooks.
unexport JUPYTER_PATH
unexport PYTHONPATH
# Threads that wait should sleep: spinning ones make a shared machine several times slower.
export OMP_WAIT_POLICY := PASSIVE

.PHONY: setup data choose repro studies test figures documents book release lab page bench audit secrets lint format
.DELETE_ON_ERROR:

setup: $(READY)

# An environment whose building was cut short is thrown away; a finished one is only brought up to date.
$(READY): pyproject.toml constraints.txt
	@echo "Installing into $(VENV); the first time takes some minutes."
	if [ -e $(BROKEN) ]; then rm -rf $(VENV); fi
	mkdir -p $(VENV) && touch $(BROKEN)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --editable '.[dev]' --constraint constraints.txt
	$(BIN)/python -c "$(COMPILED)"
	touch $@ && rm $(BROKEN)

# The mineral structures, which `make repro` also fetches itself; see xrdlib/structures/datasets.py.
data: setup
	$(BIN)/python -m xrdlib fetch amcsd

# What was asked for here goes into params.yaml, which is all that `dvc repro` reads.
choose:
	@sed -e 's/^profile: .*/profile: $(PROFILE)/' -e 's/^studies: .*/studies: [$(STUDIES)]/' params.yaml > .params
	@if cmp -s .params params.yaml; then rm .params; else mv .params params.yaml; \
	echo "params.yaml now says: profile $(PROFILE), studies [$(STUDIES)]."; fi

repro: setup choose
	$(PROGRESS) $(NOTEBOOK)
	$(if $(NOTEBOOK),,$(BIN)/python -m xrdlib report --profile $(PROFILE))

test: setup
	$(BIN)/python -m pytest

figures: setup
	$(BIN)/python -m xrdlib gallery --profile $(PROFILE)
	$(BIN)/python -m xrdlib gallery --profile $(PROFILE) --studies

# The tables in the documents, from the results of the laptop profile.
documents: setup
	$(BIN)/python -m xrdlib report --profile laptop --headline --into README.md
	$(BIN)/python -m xrdlib report --profile laptop --into docs/results.md
	$(BIN)/python -m xrdlib claims --profile laptop --into README.md --companion docs/companion.md

# Documents, executed notebooks and the API as a site; its tools come on first use.
book: $(VENV)/.book
	PROFILE=$(PROFILE) $(BIN)/sphinx-build --quiet -c docs -d build/book-cache . build/book
	@echo "Open build/book/index.html."

$(VENV)/.book: $(READY)
	$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --editable '.[book]' --constraint constraints.txt
	touch $@

# The studies behind the paper's claims, with what they need: hours, resumed where they were.
studies: STUDIES := study
studies: repro
	$(BIN)/python -m xrdlib claims --profile $(PROFILE)

# Trains the predictor that models/ holds: hours on a CPU, resumed where it was when typed again.
release: PROFILE := released
release: setup choose
	$(PROGRESS) 10_retrieval
	cp runs/released/retrieval/fused.safetensors models/released.safetensors
	cp runs/released/retrieval/library.safetensors models/library.safetensors
	cp runs/released/retrieval/lattices.safetensors models/lattices.safetensors

lab: setup
	@if [ "$$(id -u)" = 0 ]; then echo "Jupyter does not run as root unasked; as another user type \
	make lab, or (in a container, say) $(BIN)/jupyter lab --allow-root notebooks"; exit 2; fi
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
	$(BIN)/detect-secrets-hook --exclude-files '^xrdlib/structures/registry.py$$' $(TEXTS)

lint: setup secrets
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	mkdir -p build && $(BIN)/lint-imports > build/imports.log || { cat build/imports.log; exit 1; }
	$(NBSTRIPOUT) --verify $(NOTEBOOKS)

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(NBSTRIPOUT) $(NOTEBOOKS)
