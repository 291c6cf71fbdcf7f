# make install: the environment. make demo: the whole pipeline on simulated mammograms. make test: every test. Both build their own .venv first.
PYTHON ?= python3.11
CORES ?= 2
BIN := .venv/bin

.PHONY: install demo test bench lint docs report clean

.venv/.installed: requirements.lock
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -e .
	touch $@

install: .venv/.installed

demo: .venv/.installed
	$(BIN)/snakemake --cores $(CORES)
	@echo "Done. Open results/index.html"

# Three at a time, as each waits for a part of it: whole runs here, the scheduler's, and all else. They share one finished run; the words of the first two come last.
RUNS := tests/test_end_to_end.py tests/test_faults.py tests/test_workflow.py
SCHEDULED := tests/test_slurm.py
test: .venv/.installed
	@mkdir -p logs; export LOOKALIKE_FINISHED_RUN=$$(mktemp -d); \
	$(BIN)/pytest $(RUNS) > logs/test_runs.log 2>&1 & runs=$$!; \
	$(BIN)/pytest $(SCHEDULED) > logs/test_scheduled.log 2>&1 & scheduled=$$!; trap 'kill $$runs $$scheduled' INT TERM; \
	$(BIN)/pytest $(addprefix --ignore=,$(RUNS) $(SCHEDULED)); others=$$?; \
	wait $$runs; runs=$$?; cat logs/test_runs.log; \
	wait $$scheduled; scheduled=$$?; cat logs/test_scheduled.log; \
	rm -r $$LOOKALIKE_FINISHED_RUN; exit $$((others | runs | scheduled))

# ZOO=/path/to/pytorch_GAN_zoo: train beside it too.
bench: .venv/.installed
	$(BIN)/python -m benchmarks $(if $(ZOO),--zoo $(ZOO))

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
