"""H19, Table 2: Frechet distance and 1-NN accuracy of each class and generator."""

from pathlib import Path

import pandas as pd

from _job import STAND_IN, job, label
from lookalike import tables
from lookalike.published import load

with job(snakemake) as task:
    table = tables.haarburger2019_table2(
        pd.read_csv(snakemake.input.classes), pd.read_csv(snakemake.input.selection), load(Path(snakemake.input.published))
    )
    tables.write(table, Path(snakemake.output.csv).with_suffix(""), label=label(task["simulated"], STAND_IN[task["t2_from"]]))
