"""H19, Table 1: lesions, patches and patients of each class."""

from pathlib import Path

import pandas as pd

from _job import job, label, origin
from lookalike import tables
from lookalike.files import atomic
from lookalike.utility.patches import patch_counts

with job(snakemake) as task:
    counts = patch_counts(pd.read_parquet(snakemake.input.cohort[0]))
    with atomic(snakemake.output.counts) as path:
        counts.assign(data=origin(task["simulated"])).to_csv(path, index=False)
    tables.write(tables.haarburger2019_table1(counts), Path(snakemake.output.csv).with_suffix(""), label=label(task["simulated"]))
