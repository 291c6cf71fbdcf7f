"""One resolution stage of a generator."""

from pathlib import Path

import pandas as pd

from _job import job
from lookalike.config import Generator
from lookalike.files import sha256
from lookalike.pixels.store import ImageStore
from lookalike.provenance import digest
from lookalike.training.loop import train_stage

with job(snakemake) as task:
    stage = int(snakemake.wildcards.stage)
    name = snakemake.wildcards.generator
    settings = {key: value for key, value in task.items() if key in Generator.model_fields}
    settings |= {"cohort": "any", "stages": [task[f"stage_{k}"] for k in range(stage + 1)], "save_minutes": snakemake.resources.save_seconds / 60}
    generator = Generator.model_validate(settings)
    cohort = pd.concat([pd.read_parquet(path) for path in snakemake.input.table], ignore_index=True)
    if generator.split == "train":
        cohort = cohort[cohort["split"] == "train"].reset_index(drop=True)
    previous = Path(snakemake.input.previous[0]) if snakemake.input.previous else None
    store = ImageStore(cohort, [Path(path) for path in snakemake.input.store])
    # The state of an interrupted job is only good for the same settings, code, images (which ones, and their pixels) and weights below.
    made_from = [task, [sha256(path) for path in snakemake.input.table], store.sha256, sha256(previous) if previous else None]
    train_stage(
        generator=generator,
        stage=stage,
        base=tuple(task["base"]),
        images=store.level(stage),
        previous=previous,
        output=Path(snakemake.output.weights),
        digest=digest(made_from),
        state_folder=Path("state") / name / f"stage_{stage}",
        statistics=Path(snakemake.output.statistics),
        threads=snakemake.threads,
    )
