"""One part of a synthetic image set, in the form of a cohort's store."""

from pathlib import Path

import pandas as pd

from _job import job
from lookalike.cohort.labels import label_matrix, synthetic_table
from lookalike.errors import LookalikeError
from lookalike.files import atomic
from lookalike.pixels.store import image_table, level_shape, write_part
from lookalike.sampling import sample
from lookalike.training.state import read_weights

with job(snakemake) as task:
    part, name = int(snakemake.wildcards.part), snakemake.wildcards.synthetic.replace("/", "-")
    weights = Path(snakemake.input.weights)
    about = read_weights(weights)[1]
    if tables := snakemake.input.get("labels"):
        real = image_table(tables)
        table = synthetic_table(real, name=name, images=task["images"], balanced=task["balanced"], seed=task["seed"])
        names, labels = label_matrix(table)
        if names != about["labels"]:
            raise LookalikeError(
                f"The generator learnt the labels {', '.join(about['labels'])}, but the real images have {', '.join(names)}",
                str(weights),
                "Run the training again.",
            )
    else:
        images = [f"{name}-{index:07d}" for index in range(task["images"])]
        table = pd.DataFrame(
            {"image": images, "patient": images, "study": "", "view": "", "laterality": "", "label": "", "density": "", "findings": "",
             "manufacturer": "lookalike", "age": float("nan"), "rows": 0, "columns": 0, "part": 0, "row": 0,
             "split": ""}
        )  # fmt: skip
        labels = None
    first, last = (len(table) * edge // task["parts"] for edge in (part, part + 1))
    batches = sample(
        weights,
        indices=range(first, last),
        seed=task["seed"],
        batch=task["batch"],
        device=task["device"],
        threads=snakemake.threads,
        network=task["network"],
        labels=None if labels is None else labels[first:last],
    )
    write_part(
        Path(snakemake.output.store),
        (image for batch in batches for image in batch),
        n=last - first,
        base=tuple(about["base"]),
        levels=about["level"] + 1,
        bits=task["bits"],
        channels=about.get("image_channels", 1),
    )
    height, width = level_shape(tuple(about["base"]), about["level"])
    table = table[first:last].assign(rows=height, columns=width, part=part, row=range(last - first))
    with atomic(snakemake.output.table) as path:
        table.to_parquet(path, index=False)
