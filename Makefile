# Set-up and everyday commands; `make help` lists them. Nothing needs to be activated: recipes use $(VENV)/bin.
PYTHON ?= python3# >= 3.11; only makes the virtual environment
VENV ?= .venv
CORES ?= all
PORT ?= 5000
ARGS ?=# passed on to snakemake (demo) or pytest (test)
UV = uv==0.13.8
BIN = $(VENV)/bin
DB = results/mlflow/mlflow.db
REPORT = results/report.html

# rules and Snakemake start programs by name
export PATH := $(if $(filter /%,$(VENV)),$(BIN),$(CURDIR)/$(BIN)):$(PATH)
# where a shell forbids bytecode, every job would compile the package again
unexport PYTHONDONTWRITEBYTECODE
# would shadow the pinned packages
unexport PYTHONPATH PYTHONHOME

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint docs format bench ui lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
	@echo 'variables: PYTHON=python3.12  VENV=.venv  CORES=all (demo)  PORT=5000 (ui)  ARGS="..." (demo, test)'

setup: $(VENV)/.ok ## make .venv with all pinned packages (about 2 GB); again only when requirements.lock changes

# uv reads none of pip's settings, so those that say where packages come from are handed on
pip_setting = $$($(BIN)/python -m pip config get global.$(1) 2>/dev/null | tr -s '[:space:]' ',' | sed 's/,$$//')
define uv_sources
	links=$${UV_FIND_LINKS:-$${PIP_FIND_LINKS:-$(call pip_setting,find-links)}}; \
	index=$${UV_DEFAULT_INDEX:-$${PIP_INDEX_URL:-$(call pip_setting,index-url)}}; \
	if [ -n "$$links" ]; then export UV_FIND_LINKS="$$links"; fi; \
	if [ -n "$$index" ]; then export UV_DEFAULT_INDEX="$$index"; fi
endef

# uv takes a tenth of pip's time, but leaves bytecode out if not told: every start of torch would cost seconds more
$(VENV)/.ok: requirements.lock
	@$(PYTHON) -c 'import sys; v = sys.version_info; \
	    sys.exit(None if v >= (3, 11) else f"{sys.executable} is Python {v[0]}.{v[1]}; needed: >= 3.11 (make PYTHON=...)")'
	@echo "installing the packages of requirements.lock into $(VENV): about a minute, longer where they must be downloaded"
	@$(PYTHON) -m venv "$(VENV)"
	@$(uv_sources); { $(BIN)/python -m pip install -q --disable-pip-version-check $(UV) \
	    && $(BIN)/uv pip install -q --python $(BIN)/python --compile-bytecode -r requirements.lock; } \
	  || { echo "uv did not manage: once more with pip, which takes some minutes" >&2; \
	       $(BIN)/python -m pip install -q --disable-pip-version-check -r requirements.lock; }
	@$(BIN)/python -c 'import torch, mlflow, snakemake; print("torch", torch.__version__, "mlflow", mlflow.__version__)'
	@touch $@

demo: setup ## run config/config.yaml (MNIST and a simulated cohort), print the leaderboards; a few minutes
	@$(BIN)/snakemake --cores $(CORES) $(ARGS)
	@if [ ! -e $(REPORT) ] || [ -n "$$(find results/comparison results/runs workflow/report -newer $(REPORT))" ]; then \
	    $(BIN)/snakemake --report $(REPORT) $(ARGS); fi
	@for board in results/comparison/*/leaderboard.txt; do printf '\n== %s ==\n' "$$board"; cat "$$board"; done
	@printf '\nWhere to look next:\n'
	@printf '  %-28s %s\n' '$(REPORT)' 'every table and figure in one file' \
	    'make ui' 'compare all runs in the MLflow UI' 'results/README.md' 'what lies where' \
	    'config/config.yaml' 'change a value, run `make demo` again: only what depends on it runs'

test: setup ## run the tests; ARGS="-k slurm" picks some
	@$(BIN)/python -m pytest $(ARGS)

lint: setup ## check style and workflow, change nothing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/python .ci/lint_workflow.py

docs: setup ## write what is generated: the configuration's schema and page, the tables of metrics
	PYTHONPATH=src $(BIN)/python -m aeflow.plan.configuration_page
	PYTHONPATH=src $(BIN)/python -m aeflow.evaluation.metric_tables

format: setup ## rewrite the sources in the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow

bench: setup ## measure conversion, unification at Toil's shape, and training beside its floor (some minutes)
	@$(BIN)/python tests/bench/convert.py
	@$(BIN)/python tests/bench/toil.py
	@$(BIN)/python tests/bench/training.py

ui: $(DB) setup ## MLflow UI on 127.0.0.1:PORT over what was logged; Ctrl-C ends it
	@echo "MLflow UI: http://127.0.0.1:$(PORT) (ready after about 10 s, Ctrl-C ends it)"
	@MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false MLFLOW_DISABLE_TELEMETRY=true exec $(BIN)/mlflow server \
	    --host 127.0.0.1 --port $(PORT) --workers 1 \
	    --backend-store-uri sqlite:///$(DB) --artifacts-destination results/mlflow/artifacts

$(DB):
	@echo "$@ does not exist: nothing has been logged yet; run \`make demo\` first" >&2; exit 1

# the lock serves every machine: neither the build of torch found on this one ("+cpu") nor the CUDA packages of another
# build belong in it; at installation torch brings what it needs
lock: setup ## compile requirements.in to requirements.lock; ARGS=--upgrade takes newer versions. Then edit environment.yml
	@$(uv_sources); $(BIN)/uv pip compile -q --python $(BIN)/python --no-header --no-annotate $(ARGS) \
	    requirements.in -o requirements.lock
	@sed -E -i.old -e 's/^(torch==[^+]*)\+.*/\1/' -e '/^(nvidia-|cuda-|triton==)/d' requirements.lock
	@rm requirements.lock.old

clean: ## delete results (MLflow runs and notes made in its UI, too), logs and caches; keeps resources/ (downloads) and .venv
	find results -mindepth 1 -maxdepth 1 ! -name README.md -exec rm -rf {} +
	rm -rf .snakemake logs benchmarks .pytest_cache .ruff_cache .hypothesis
