"""D21, Figure 2: AUC of classifiers that learnt from real and from synthetic images."""

from pathlib import Path

import pandas as pd

from _job import job, label
from lookalike.figures import gaps
from lookalike.utility.benchmark import foot

with job(snakemake) as task:
    runs = pd.read_csv(snakemake.input.runs)
    gaps.draw(runs, Path(snakemake.output.png).with_suffix(""), label=foot(label(task["simulated"]), runs["backbone"]))
