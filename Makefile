# Two commands to begin with: `make sweep` and `make test`. Both set up first, once.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# A process a core, from two to four; `make test PARALLEL=` takes one (tests/conftest.py). A file stays
# in one process, for its tests share what is costly.
PARALLEL ?= -n auto --dist loadfile

.PHONY: sweep test all-tests lint bench campaign lab clean

# The main job: vary the loss weights, train, track, rank.
sweep: $(READY)
	$(BIN)/python -m lab.sweep loss_weights $(ARGS)

# The suite, without the hundred tests that take longest.
test: $(READY)
	$(BIN)/python -m pytest $(PARALLEL) -m "not slow" $(ARGS)

# Those too, as CI does: killed studies, notebooks in a browser, compiled and exported networks.
all-tests: $(READY)
	$(BIN)/python -m pytest $(PARALLEL) $(ARGS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Speed of the training step, inference, masks, reading, packing, fills, and Lightning's overhead.
bench: $(READY)
	$(BIN)/python -m tests.benchmarks.run $(ARGS)

# Kills, failing disks, mutated and hostile files: hours, and no part of the tests, which try a few.
campaign: $(READY)
	nice $(BIN)/python -m tests.campaign $(ARGS)

# JupyterLab with the notebooks, for this machine alone; the address that it prints holds its token.
lab: $(READY)
	$(BIN)/python -m jupyterlab --ip=127.0.0.1 --LabApp.default_url=/lab/tree/notebooks/00_start.ipynb \
		--LabApp.app_settings_dir=notebooks/settings $(ARGS)

# Set up once; again only when the pins change. A set-up that was cut off is begun anew.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else "Python 3.11 or newer is needed, this is %d.%d: make PYTHON=python3.11" % v[:2])'
	$(PYTHON) -m venv $(if $(wildcard $(READY)),,--clear) $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
