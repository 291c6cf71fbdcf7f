"""Coverage of every pair of moments under all readings, and the densities that Figure 6 draws (K21, Figure 6)."""

import numpy as np
import pandas as pd

from _job import job, origin
from lookalike.files import atomic
from lookalike.measures.compare import compare_coverage
from lookalike.measures.coverage import coverage_map
from lookalike.measures.moments import MOMENTS, PAIRS

with job(snakemake) as task:
    grid = {key: task[key] for key in ("grid", "cut", "scale")}
    real, synthetic = (pd.read_parquet(path) for path in (snakemake.input.real, snakemake.input.synthetic))
    patients, real, synthetic = real["patient"], real[list(MOMENTS)].to_numpy(), synthetic[list(MOMENTS)].to_numpy()
    table = compare_coverage(
        real, patients, synthetic, mass=task["mass"], **grid, splits=task["splits"], bootstrap=task["bootstrap"], seed=task["seed"]
    )
    with atomic(snakemake.output.table) as path:
        table.assign(data=origin(task["simulated"])).to_csv(path, index=False)
    usable_real, usable_synthetic = (values[~np.isnan(values).any(axis=1)] for values in (real, synthetic))
    densities = {}
    for pair in PAIRS:
        drawn = coverage_map(usable_real[:, pair], usable_synthetic[:, pair], **grid)
        name = "_".join(MOMENTS[k] for k in pair)
        densities |= {f"{name}_{part}": getattr(drawn, part) for part in ("x", "y", "real", "synthetic")}
    with atomic(snakemake.output.densities) as path, open(path, "wb") as handle:
        np.savez_compressed(handle, **densities)
