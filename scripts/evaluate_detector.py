"""Sensitivity and specificity of the pixel detectors on the phantoms' planted truth."""

import pandas as pd

from _job import SIMULATED, job
from lookalike.files import atomic
from lookalike.measures.detector import detector_performance

with job(snakemake) as task:
    index = pd.read_parquet(snakemake.input.index)
    features = pd.concat([pd.read_parquet(path) for path in snakemake.input.features])
    truth = pd.read_csv(snakemake.input.table, keep_default_na=False)
    decoded = features[features["problem"] == ""].merge(index[["row_id", "path"]], on="row_id").merge(truth[["path", "planted"]], on="path")
    with atomic(snakemake.output.detector) as path:
        detector_performance(decoded, threshold=task["threshold"]).assign(note=SIMULATED).to_csv(path, index=False)
