# make figures: run every notebook headlessly and write figures/
# make unit:    the loop one works in: everything fast, without notebooks
# make test:    everything that must hold
# An active conda environment is used; otherwise .venv, made when absent.
SHELL := /bin/bash
ENV := $(if $(CONDA_PREFIX),$(CONDA_PREFIX),.venv)
BIN := $(ENV)/bin
READY := $(ENV)/.scapre-ready
# three on two cores: while one waits for a kernel or a browser to come up, the others work
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 3 -q
SEED := 1

.PHONY: figures test all-tests unit shuffle thorough notebooks lint full card bench site

figures: $(READY)
	$(BIN)/scapre run --all --jobs 2

test: $(READY)
	$(MAKE) --no-print-directory --jobs 2 --output-sync=target lint all-tests

# Notebooks come first, since they take longest; tests/conftest.py keeps the cells of each in one process.
all-tests: $(READY)
	out=$$(mktemp -d) && SCAPRE_OUT=$$out SCAPRE_CACHE=$$out/cache $(PYTEST) --nbval --nbval-cell-timeout=600 --durations=10 notebooks tests lib/scapre \
	&& rm -r $$out

unit: $(READY)
	$(PYTEST) -m "not slow" tests lib/scapre

# The same in a random order, which SEED repeats.
shuffle: $(READY)
	$(PYTEST) -m "not slow" --random-order --random-order-bucket=global --random-order-seed=$(SEED) tests lib/scapre

# Kills of the real commands at twenty moments, and property tests on ten times as many examples.
thorough: $(READY)
	SCAPRE_KILLS=20 SCAPRE_EXAMPLES=10 $(PYTEST) -rP tests/cli/test_kills.py tests/concepts tests/methods/test_values.py \
	tests/model/test_damage.py tests/patch/test_damage.py tests/pictures/test_damage.py

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/scapre verify

# Run the notebooks and store their outputs as the committed, compared ones.
notebooks: $(READY)
	$(BIN)/scapre run --all --update

# Measure every case of every experiment and publish tables, figures and executed notebooks; hours, resumes.
full: $(READY)
	$(BIN)/scapre run 09 --profile full --update
	$(BIN)/scapre run --all --profile full --update --jobs 2

# Time an edit at the shapes of Stable Diffusion 1.x; needs an idle machine.
bench: $(READY)
	$(BIN)/scapre bench

# The executed notebooks as a static site in site/; opens without a network.
site: $(READY)
	$(BIN)/scapre site

card: $(READY)
	$(BIN)/scapre card && $(BIN)/scapre card --control

$(READY): requirements.lock lib/pyproject.toml
	test -x $(BIN)/python || python3.11 -m venv .venv || python3 -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock -e ./lib
	touch $@
