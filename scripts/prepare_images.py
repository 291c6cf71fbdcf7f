"""One scatter part: decode, bring to display values, look for foreign bodies, resize, store."""

from pathlib import Path

import pandas as pd

from _job import job
from lookalike.config import Pixels
from lookalike.files import atomic
from lookalike.pixels.prepare import prepare_part

with job(snakemake) as task:
    part = int(snakemake.wildcards.part)
    decisions = pd.read_parquet(snakemake.input.decisions)
    candidates = pd.read_parquet(snakemake.input.index).loc[(decisions["part"] == part).to_numpy()]
    features = prepare_part(
        candidates,
        root=Path(snakemake.input.get("tree", task["root"])),
        part=part,
        pixels=Pixels.model_validate(task["pixels"]),
        kind=task["kind"],
        output=Path(snakemake.output.store),
        processes=snakemake.threads,
    )
    with atomic(snakemake.output.features) as path:
        features.to_parquet(path, index=False)
