# make demo · make demo-all · make test · make check · make results/<target>     each builds .venv first, if it is missing or old
PYTHON ?= python3
CORES ?= $(shell nproc 2>/dev/null || echo 2)
BIN := .venv/bin
INSTALLED := .venv/.installed
SNAKEMAKE := $(BIN)/snakemake --cores $(CORES)
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: demo demo-all test check lock bench chaos clean FORCE
.DEFAULT_GOAL := demo

$(INSTALLED): requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

# One build at a time in a folder: the kernel frees the lock when its holders die, orphaned jobs included. Whoever has it
# knows that no other build lives, so it may undo the lock that a killed Snakemake left.
define BUILD
@mkdir -p .snakemake; exec 9> .snakemake/build.lock; \
if ! command -v flock > /dev/null; then \
    echo "no flock(1) here: start one build at a time; after a crash: $(SNAKEMAKE) --unlock" >&2; \
else \
    flock --nonblock 9 || { echo "another build is at work in this folder; waiting for it to end" >&2; flock 9; }; \
    if ls .snakemake/locks/*.lock > /dev/null 2>&1; then $(SNAKEMAKE) --unlock --quiet all; fi; \
fi; exec $(SNAKEMAKE)
endef
define SHOWN
$(BUILD) --logger bar -- results/$(1)/table3_iou.tex results/$(1)/table3_iou.html
$(BIN)/python -m harness show results/$(1)/table3_iou.json
@echo "The table as a page: file://$(CURDIR)/results/$(1)/table3_iou.html"
endef

# Where `snakemake --logger bar` is found.
demo demo-all: export PYTHONPATH := $(CURDIR)/workflow/loggers$(if $(PYTHONPATH),:$(PYTHONPATH))

# The demo's Table 3 of two categories; demo-all has all four.
demo: $(INSTALLED)
	$(call SHOWN,first_look)

demo-all: $(INSTALLED)
	$(call SHOWN,demo)

test: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(CORES) --dist loadgroup

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint

# Kills, a full disk, lost files, wrong dates and two builds at once: ROUNDS rounds, minutes each; docs/failures.md
ROUNDS ?= 20
SEED ?= 0
chaos: $(INSTALLED)
	$(BIN)/python -m tests.chaos.soak --rounds $(ROUNDS) --seed $(SEED)

# Speed beside the peers; writes benchmarks/RESULTS.md. SECTIONS="measures report" runs these only.
bench: $(INSTALLED)
	$(BIN)/python benchmarks/run.py $(SECTIONS)

results/%: $(INSTALLED) FORCE
	$(BUILD) -- $@

# Hashes of every file for Python 3.11 to 3.13 on all systems; keeps what is locked. UPGRADE=1 takes the newest of everything.
lock: requirements.in
	rm -rf .venv-lock && $(PYTHON) -m venv .venv-lock && .venv-lock/bin/python -m pip install -q uv
	.venv-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate $(if $(UPGRADE),--upgrade) \
		--custom-compile-command "make lock" --output-file requirements.lock requirements.in
	rm -rf .venv-lock

clean:
	rm -rf work .snakemake
