# make figures: run every notebook headlessly and write figures/
# make test:    everything that must hold
# An active conda environment is used; otherwise .venv, made when absent.
SHELL := /bin/bash
ENV := $(if $(CONDA_PREFIX),$(CONDA_PREFIX),.venv)
BIN := $(ENV)/bin
READY := $(ENV)/.scapre-ready

.PHONY: figures test unit notebooks lint card bench site

figures: $(READY)
	$(BIN)/scapre run

test: $(READY) lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -q tests lib/scapre
	SCAPRE_OUT=$$(mktemp -d) $(BIN)/python -m pytest -q --nbval -p no:xdist --nbval-cell-timeout=600 notebooks

unit: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -q tests lib/scapre

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Run the notebooks and store their outputs as the committed, compared ones.
notebooks: $(READY)
	$(BIN)/scapre run --update

# Time an edit at the shapes of Stable Diffusion 1.x; needs an idle machine.
bench: $(READY)
	$(BIN)/scapre bench

# The executed notebooks as a static site in site/; opens without a network.
site: $(READY)
	$(BIN)/scapre site

card: $(READY)
	$(BIN)/scapre card

$(READY): requirements.lock lib/pyproject.toml
	test -x $(BIN)/python || python3.11 -m venv .venv || python3 -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock -e ./lib
	touch $@
