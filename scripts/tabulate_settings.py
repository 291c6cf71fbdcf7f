"""D21, Table 1."""

from pathlib import Path

import pandas as pd

from _job import job, label
from lookalike import tables

with job(snakemake) as task:
    tables.write(
        tables.dumont2021_table1(pd.read_csv(snakemake.input.settings)), Path(snakemake.output.csv).with_suffix(""), label=label(task["simulated"])
    )
