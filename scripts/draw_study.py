"""D21, Figure 1: the study's data flow, with the counts of what ran."""

from pathlib import Path

import pandas as pd

from _job import job, label
from lookalike.figures import study
from lookalike.utility.benchmark import study_counts

with job(snakemake) as task:
    counts = study_counts(
        pd.read_csv(snakemake.input.settings),
        pd.read_csv(snakemake.input.runs),
        {name: pd.read_parquet(snakemake.input[f"labelled_{name}"]) for name in task["benchmarks"]},
        {name: pd.read_csv(snakemake.input[f"flow_{name}"]) for name in task["benchmarks"]},
    )
    study.draw(counts, Path(snakemake.output.png).with_suffix(""), label=label(task["simulated"]))
