"""Five moments of every image of a set, at one level of detail."""

from pathlib import Path

from _job import job
from lookalike.cohort.split import select_images
from lookalike.files import atomic
from lookalike.measures.moments import MOMENTS, image_moments
from lookalike.pixels.store import ImageStore, image_table

with job(snakemake) as task:
    table = image_table(snakemake.input.table)
    if "reals" in task:
        table = select_images(table, split=task["reals"], maximum=task["maximum_images"], seed=task["seed"])
    store = ImageStore(table, [Path(path) for path in snakemake.input.store])
    values = image_moments(store.level(int(snakemake.wildcards.level)), bits=store.bits, **task["moments"])
    with atomic(snakemake.output.table) as path:
        table[["image", "patient", "view"]].assign(**dict(zip(MOMENTS, values.T, strict=True))).to_parquet(path, index=False)
