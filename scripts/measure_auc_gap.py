"""The AUC gap between classifiers that learnt from real and from synthetic images, label by label (D21)."""

import pandas as pd

from _job import job, origin
from lookalike.files import atomic
from lookalike.utility.gap import tabulate_gap

with job(snakemake) as task:
    tables = [pd.read_parquet(snakemake.input[name]) for name in ("real", "synthetic", "ceiling")]
    table = tabulate_gap(*tables, draws=task["bootstrap"], seed=task["seed"], flip=task["flip"])
    with atomic(snakemake.output.table) as path:
        table.assign(data=origin(task["simulated"])).to_csv(path, index=False)
