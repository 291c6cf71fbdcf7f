"""Flow diagram of a cohort."""

from pathlib import Path

import pandas as pd

from _job import job, label
from lookalike.figures import cohort_flow

with job(snakemake) as task:
    quarantined = int((pd.read_csv(snakemake.input.exclusions)["decision"] == "quarantined").sum())
    stem = Path(snakemake.output.png).with_suffix("")
    cohort_flow.draw(pd.read_csv(snakemake.input.flow), stem, quarantined=quarantined, label=label(task["simulated"]))
