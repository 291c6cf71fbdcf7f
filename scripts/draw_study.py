"""D21, Figure 1: the study's data flow, with the counts of what ran."""

from pathlib import Path

import pandas as pd

from _job import job, label
from lookalike.figures import study
from lookalike.utility.benchmark import foot, study_counts

with job(snakemake) as task:
    runs = pd.read_csv(snakemake.input.runs)
    counts = study_counts(
        pd.read_csv(snakemake.input.settings),
        runs,
        {name: pd.read_parquet(snakemake.input[f"labelled_{name}"]) for name in task["benchmarks"]},
        {name: pd.read_csv(snakemake.input[f"flow_{name}"]) for name in task["benchmarks"]},
    )
    study.draw(counts, Path(snakemake.output.png).with_suffix(""), label=foot(label(task["simulated"]), runs["backbone"]))
