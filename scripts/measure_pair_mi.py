"""Agreement of every pair of moments under all definitions (K21, Table 1)."""

import pandas as pd

from _job import job, origin
from lookalike.files import atomic
from lookalike.measures.compare import compare_pair_mi
from lookalike.measures.moments import MOMENTS

with job(snakemake) as task:
    real, synthetic = (pd.read_parquet(path) for path in (snakemake.input.real, snakemake.input.synthetic))
    table = compare_pair_mi(
        real[list(MOMENTS)].to_numpy(),
        real["patient"],
        synthetic[list(MOMENTS)].to_numpy(),
        grid=task["grid"],
        levels=task["levels"],
        neighbours=task["neighbours"],
        splits=task["splits"],
        bootstrap=task["bootstrap"],
        seed=task["seed"],
    )
    with atomic(snakemake.output.table) as path:
        table.assign(data=origin(task["simulated"])).to_csv(path, index=False)
