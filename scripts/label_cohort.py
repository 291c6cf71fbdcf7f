"""The images of a cohort that have labels, with their label vectors and classes."""

import pandas as pd

from _job import job, origin
from lookalike.cohort.labels import class_counts, label_cohort
from lookalike.files import atomic

with job(snakemake) as task:
    table = label_cohort(pd.read_parquet(snakemake.input.cohort), **task["labels"])
    with atomic(snakemake.output.table) as path:
        table.to_parquet(path, index=False)
    with atomic(snakemake.output.classes) as path:
        class_counts(table).assign(data=origin(task["simulated"])).to_csv(path, index=False)
