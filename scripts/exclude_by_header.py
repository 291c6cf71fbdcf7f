"""Decisions that headers alone allow; the images that remain are dealt out to the scatter parts."""

import numpy as np
import pandas as pd

from _job import job
from lookalike.cohort.exclude import apply_header_rules
from lookalike.config import Exclude
from lookalike.files import atomic

with job(snakemake) as task:
    settings = Exclude.model_validate({key: task[key] for key in ("header_rules", "views", "minimum_field_mm", "minimum_side_px")})
    decisions = apply_header_rules(pd.read_parquet(snakemake.input.index), settings)
    candidate = (decisions["decision"] == "candidate").to_numpy()
    part = np.full(len(decisions), -1)
    part[candidate] = np.arange(candidate.sum()) * task["parts"] // max(1, candidate.sum())
    with atomic(snakemake.output.decisions) as path:
        decisions.assign(part=part).to_parquet(path, index=False)
