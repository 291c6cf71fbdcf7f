"""One scatter part of breast MR: exams resampled, and their patches cut and stored."""

from pathlib import Path

import pandas as pd

from _job import job
from lookalike.config import Patches, Pixels
from lookalike.files import atomic
from lookalike.pixels.patches import cut_exams

with job(snakemake) as task:
    part = int(snakemake.wildcards.part)
    exams = pd.read_parquet(snakemake.input.exams)
    features = cut_exams(
        exams[exams["part"] == part],
        pd.read_parquet(snakemake.input.lesions),
        root=Path(snakemake.input.get("tree", task["root"])),
        part=part,
        pixels=Pixels.model_validate(task["pixels"]),
        patches=Patches.model_validate(task["patches"]),
        output=Path(snakemake.output.store),
        processes=snakemake.threads,
    )
    with atomic(snakemake.output.features) as path:
        features.to_parquet(path, index=False)
