"""D21, Figure 2: AUC of classifiers that learnt from real and from synthetic images."""

from pathlib import Path

import pandas as pd

from _job import job, label
from lookalike.figures import gaps

with job(snakemake) as task:
    gaps.draw(pd.read_csv(snakemake.input.runs), Path(snakemake.output.png).with_suffix(""), label=label(task["simulated"]))
