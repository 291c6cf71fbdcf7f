# make install: the environment. make demo: the whole pipeline on simulated mammograms. make test: every test. Both build their own .venv first.
PYTHON ?= python3.11
CORES ?= 2
BIN := .venv/bin

.PHONY: install demo test lint docs report clean

.venv/.installed: requirements.lock
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.lock
	touch $@

install: .venv/.installed

demo: .venv/.installed
	$(BIN)/snakemake --cores $(CORES)
	@echo "Done. Open results/index.html"

test: .venv/.installed
	$(BIN)/pytest

lint: .venv/.installed
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/mypy scripts/lookalike
	$(BIN)/snakemake --lint

docs: .venv/.installed
	PYTHONPATH=scripts $(BIN)/python -c "from pathlib import Path; from lookalike import config; \
	Path('config/README.md').write_text(config.reference()); Path('workflow/schemas/config.schema.json').write_text(config.schema())"

report: .venv/.installed
	$(BIN)/snakemake --report report.zip

clean:
	rm -rf results/* state logs benchmarks/runs .snakemake
	git checkout -- results/README.md
