"""One part of a synthetic image set, in the form of a cohort's store."""

from pathlib import Path

import pandas as pd

from _job import job
from lookalike.files import atomic
from lookalike.pixels.store import write_part
from lookalike.sampling import sample
from lookalike.training.state import read_weights

with job(snakemake) as task:
    part, name = int(snakemake.wildcards.part), snakemake.wildcards.synthetic
    first, last = (task["images"] * edge // task["parts"] for edge in (part, part + 1))
    weights = Path(snakemake.input.weights)
    about = read_weights(weights)[1]
    base, levels = tuple(about["base"]), about["stage"] + 1
    batches = sample(
        weights,
        indices=range(first, last),
        seed=task["seed"],
        batch=task["batch"],
        device=task["device"],
        threads=snakemake.threads,
        network=task["network"],
    )
    write_part(
        Path(snakemake.output.store),
        (image for batch in batches for image in batch),
        n=last - first,
        base=base,
        levels=levels,
        bits=task["bits"],
    )
    images = [f"{name}-{index:07d}" for index in range(first, last)]
    height, width = (side * 2 ** (levels - 1) for side in base)
    table = pd.DataFrame(
        {"image": images, "patient": images, "study": "", "view": "", "laterality": "", "label": "", "density": "", "manufacturer": "lookalike",
         "age": float("nan"), "rows": height, "columns": width, "part": part, "row": range(last - first), "split": ""}
    )  # fmt: skip
    with atomic(snakemake.output.table) as path:
        table.to_parquet(path, index=False)
