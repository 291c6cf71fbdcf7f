"""D21, Figure 3: Frechet distance and change of AUC with the most and the fewest classes and images."""

from pathlib import Path

import pandas as pd

from _job import job, label
from lookalike.figures import gap_spread
from lookalike.utility.benchmark import foot

with job(snakemake) as task:
    runs = pd.read_csv(snakemake.input.runs)
    gap_spread.draw(runs, Path(snakemake.output.png).with_suffix(""), label=foot(label(task["simulated"]), runs["backbone"]))
