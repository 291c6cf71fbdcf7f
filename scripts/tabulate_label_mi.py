"""K21, Table 2."""

from pathlib import Path

import pandas as pd

from _job import job, label
from lookalike import tables

with job(snakemake) as task:
    tables.write(
        tables.korkinof2021_table2(pd.read_csv(snakemake.input.table)), Path(snakemake.output.csv).with_suffix(""), label=label(task["simulated"])
    )
