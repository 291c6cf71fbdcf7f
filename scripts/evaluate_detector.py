"""Sensitivity and specificity of the clip and device detector on the phantoms' planted truth."""

import pandas as pd

from _job import SIMULATED, job
from lookalike.cohort.ledger import detector_performance
from lookalike.files import atomic

with job(snakemake) as task:
    table = detector_performance(
        pd.read_parquet(snakemake.input.index),
        pd.concat([pd.read_parquet(path) for path in snakemake.input.features]),
        pd.read_csv(snakemake.input.truth, keep_default_na=False),
        threshold=task["threshold"],
    )
    with atomic(snakemake.output.detector) as path:
        table.assign(note=SIMULATED).to_csv(path, index=False)
