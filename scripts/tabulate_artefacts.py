"""How many synthetic images have an obvious artefact, and of which kind (K21, Results)."""

from pathlib import Path

from _job import answers_label, job
from lookalike import tables
from lookalike.readers.analysis import load_results

with job(snakemake) as task:
    tables.write(tables.artefacts(load_results(Path(snakemake.input.results))), Path(snakemake.output.csv).with_suffix(""), label=answers_label(task))
