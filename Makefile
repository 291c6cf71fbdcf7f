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

# Two at a time, as both wait for a half of it: whole runs here, and all else, the scheduler's last. They share one finished run; the runs' words come last.
RUNS := tests/test_end_to_end.py tests/test_faults.py tests/test_workflow.py
SCHEDULED := tests/test_slurm.py
test: .venv/.installed
	@mkdir -p logs; export LOOKALIKE_FINISHED_RUN=$$(mktemp -d); \
	$(BIN)/pytest $(RUNS) > logs/test_runs.log 2>&1 & runs=$$!; trap 'kill $$runs' INT TERM; \
	$(BIN)/pytest $(addprefix --ignore=,$(RUNS) $(SCHEDULED)); others=$$?; \
	$(BIN)/pytest $(SCHEDULED); scheduled=$$?; \
	wait $$runs; runs=$$?; cat logs/test_runs.log; rm -r $$LOOKALIKE_FINISHED_RUN; exit $$((others | scheduled | runs))

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
