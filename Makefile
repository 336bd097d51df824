# make env | demo | test | check | docs | figures | bench; each sets up .venv by itself where it is missing.
PYTHON ?= python3
BIN := $(CURDIR)/.venv/bin
READY := .venv/.ready
DOCS := .venv/.docs

export PATH := $(BIN):$(PATH)
.PHONY: env demo test check docs figures bench

env: $(READY)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --disable-pip-version-check --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: $(READY)
	@git rev-parse --git-dir >/dev/null 2>&1 || git init --quiet || dvc config --local core.no_scm true
	dvc repro
	@cat report/index.txt

test: $(READY)
	pytest -n auto --dist worksteal

check: $(READY)
	cmp params.yaml pipeline/core/packaged/params.yaml
	cmp dvc.yaml pipeline/core/packaged/graph.yaml
	ruff check
	ruff format --check
	mypy

$(DOCS): $(READY)
	$(BIN)/pip install --disable-pip-version-check --quiet --constraint constraints.txt --editable '.[docs]'
	touch $@

docs: $(DOCS)
	python docs/generate.py
	NO_MKDOCS_2_WARNING=1 mkdocs build --strict

figures: $(DOCS)
	python docs/figures.py

bench: $(READY)
	python benchmarks/decode.py generated
	python benchmarks/distill_step.py --pixels 32 56 --ipc 1 10 --steps 2
	python benchmarks/students.py
