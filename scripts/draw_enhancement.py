"""Enhancement curves of real and generated patches by class."""

from pathlib import Path

import pandas as pd

from _job import job, label
from lookalike.figures import enhancement

with job(snakemake) as task:
    nothing = {"generator": "", "class": "", "unit": ""}
    curves, measures = (pd.read_csv(path).fillna(nothing) for path in (snakemake.input.curves, snakemake.input.enhancement))
    enhancement.draw(curves, measures, Path(snakemake.output.png).with_suffix(""), label=label(task["simulated"]))
