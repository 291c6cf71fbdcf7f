"""Label MI and neighbour counts of every moment (K21, Table 2)."""

import pandas as pd

from _job import job, origin
from lookalike.files import atomic
from lookalike.measures.compare import compare_label_mi
from lookalike.measures.moments import MOMENTS

with job(snakemake) as task:
    real, synthetic = (pd.read_parquet(path) for path in (snakemake.input.real, snakemake.input.synthetic))
    table = compare_label_mi(
        real[list(MOMENTS)].to_numpy(),
        real["patient"],
        synthetic[list(MOMENTS)].to_numpy(),
        **task["label_mi"],
        splits=task["splits"],
        bootstrap=task["bootstrap"],
        seed=task["seed"],
    )
    with atomic(snakemake.output.table) as path:
        table.assign(data=origin(task["simulated"])).to_csv(path, index=False)
