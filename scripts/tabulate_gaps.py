"""Mean AUC gaps of D21's text, and its tests."""

from pathlib import Path

import pandas as pd

from _job import job, label
from lookalike import tables
from lookalike.utility.benchmark import beginning, study_measures

with job(snakemake) as task:
    runs = pd.read_csv(snakemake.input.runs)
    measures = study_measures(pd.read_csv(snakemake.input.settings), runs, draws=task["bootstrap"], seed=task["seed"])
    table = tables.dumont2021_summary(measures, beginning=beginning(runs["backbone"]))
    tables.write(table, Path(snakemake.output.csv).with_suffix(""), label=label(task["simulated"]))
