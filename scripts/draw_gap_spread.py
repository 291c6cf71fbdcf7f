"""D21, Figure 3: Frechet distance and change of AUC with the most and the fewest classes and images."""

from pathlib import Path

import pandas as pd

from _job import job, label
from lookalike.figures import gap_spread

with job(snakemake) as task:
    gap_spread.draw(pd.read_csv(snakemake.input.runs), Path(snakemake.output.png).with_suffix(""), label=label(task["simulated"]))
