"""K21, Figure 3: pair plot of the five moments."""

from pathlib import Path

import pandas as pd

from _job import job, label
from lookalike.figures import pairplot

with job(snakemake) as task:
    real, synthetic = (pd.read_parquet(path) for path in (snakemake.input.real, snakemake.input.synthetic))
    pairplot.draw(real, synthetic, Path(snakemake.output.png).with_suffix(""), label=label(task["simulated"]))
