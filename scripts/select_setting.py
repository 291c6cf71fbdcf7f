"""The real images of one setting of D21's Table 1."""

import pandas as pd

from _job import job
from lookalike.cohort.labels import select_setting
from lookalike.files import atomic

with job(snakemake) as task:
    name = f"{snakemake.wildcards.bench}, {snakemake.wildcards.setting}"
    table = select_setting(pd.read_parquet(snakemake.input.table), **task["choice"], setting=name)
    with atomic(snakemake.output.table) as path:
        table.to_parquet(path, index=False)
