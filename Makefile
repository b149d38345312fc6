# make demo · make test · make check · make results/<target>     each builds .venv first, if it is missing or old
PYTHON ?= python3
CORES ?= $(shell nproc 2>/dev/null || echo 2)
BIN := .venv/bin
STAMP := .venv/.installed
SNAKEMAKE := $(BIN)/snakemake --cores $(CORES)
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: demo test check lock bench chaos clean FORCE
.DEFAULT_GOAL := demo

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

demo: $(STAMP)
	$(SNAKEMAKE) --quiet rules progress -- results/demo/table3_iou.tex results/demo/table3_iou.html
	$(BIN)/python -m harness show results/demo/table3_iou.json
	@echo "The table as a page: file://$(CURDIR)/results/demo/table3_iou.html"

test: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(CORES) --dist loadgroup

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint

# Kills, a full disk, lost files, wrong dates and two builds at once: ROUNDS rounds, minutes each; docs/failures.md
ROUNDS ?= 20
SEED ?= 0
chaos: $(STAMP)
	$(BIN)/python -m tests.chaos.soak --rounds $(ROUNDS) --seed $(SEED)

# Speed beside the peers; writes benchmarks/RESULTS.md. SECTIONS="measures report" runs these only.
bench: $(STAMP)
	$(BIN)/python benchmarks/run.py $(SECTIONS)

results/%: $(STAMP) FORCE
	$(SNAKEMAKE) -- $@

# Hashes of every file for Python 3.11 to 3.13 on all systems; keeps what is locked. UPGRADE=1 takes the newest of everything.
lock: requirements.in
	rm -rf .venv-lock && $(PYTHON) -m venv .venv-lock && .venv-lock/bin/python -m pip install -q uv
	.venv-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate $(if $(UPGRADE),--upgrade) \
		--custom-compile-command "make lock" --output-file requirements.lock requirements.in
	rm -rf .venv-lock

clean:
	rm -rf work .snakemake
