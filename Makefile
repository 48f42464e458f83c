# Everything on a fresh machine with Python 3.11+: `make demo` and `make test` set up what they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := runs/demo

.PHONY: demo bench results test versions wheel lint types check clean

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

demo: $(VENV)/.installed
	$(BIN)/twofold sample runs/fashion
	$(BIN)/twofold pretrain runs/fashion --recipe fashion-demo --out $(DEMO)
	$(BIN)/twofold evaluate $(DEMO) --data runs/fashion --shots 1 5 10 --few-seeds 40

# Beside the peers, one after the other, alone on a quiet machine; CIFAR10=FOLDER adds those that need the real pictures.
bench: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[bench]'
	for name in loss batch processes views compiled; do $(BIN)/python benchmarks/$$name.py || exit 1; done
	if [ -n "$(CIFAR10)" ]; then $(BIN)/python benchmarks/endtoend.py "$(CIFAR10)" && \
		$(BIN)/python benchmarks/speedrun.py "$(CIFAR10)" --out runs/speedrun; \
	else echo "CIFAR10=FOLDER was not given: endtoend and speedrun are left out"; fi
	$(BIN)/python benchmarks/render.py

# docs/results.md with its charts, and the marked figures of README.md and docs, from docs/results and benchmarks/results.
results: $(VENV)/.installed
	$(BIN)/python tools/make_results.py render

# Two processes of one thread: the tests' tensors are small, and threads that wait for each other are slower than one.
test: $(VENV)/.installed
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile

# The oldest declared versions, torch 2.11, Python 3.13, the newest extras on 3.11 and 3.13: each in an environment of its own, with a subset of the tests.
versions: $(VENV)/.installed
	$(BIN)/python tools/versions.py

# Builds the sdist and from it the wheel, installs that into a bare environment and runs the demo's commands there.
wheel: $(VENV)/.installed
	$(BIN)/python tools/check_wheel.py

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed
	$(BIN)/mypy

check: lint types test

clean:
	rm -rf $(VENV) runs/demo runs/fashion
