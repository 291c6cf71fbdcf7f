"""Mean AUC gaps of D21's text, and its tests."""

from pathlib import Path

import pandas as pd

from _job import job, label
from lookalike import tables
from lookalike.utility.benchmark import study_measures

with job(snakemake) as task:
    measures = study_measures(pd.read_csv(snakemake.input.settings), pd.read_csv(snakemake.input.runs), draws=task["bootstrap"], seed=task["seed"])
    tables.write(tables.dumont2021_summary(measures), Path(snakemake.output.csv).with_suffix(""), label=label(task["simulated"]))
