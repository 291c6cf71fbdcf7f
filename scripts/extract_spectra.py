"""Radially averaged power spectrum of every image of a set, at one level of detail; column kF is the power at F cycles per image width."""

from pathlib import Path

import pandas as pd

from _job import job
from lookalike.cohort.split import select_images
from lookalike.files import atomic
from lookalike.measures.spectrum import image_spectra
from lookalike.pixels.store import ImageStore, image_table

with job(snakemake) as task:
    table = image_table(snakemake.input.table)
    if "reals" in task:
        table = select_images(table, split=task["reals"], maximum=task["maximum_images"], seed=task["seed"])
    store = ImageStore(table, [Path(path) for path in snakemake.input.store])
    power = image_spectra(store.level(int(snakemake.wildcards.level)), bits=store.bits)
    columns = {f"k{frequency}": power[:, frequency - 1] for frequency in range(1, power.shape[1] + 1)}
    with atomic(snakemake.output.table) as path:
        pd.concat([table[["image", "patient"]], pd.DataFrame(columns)], axis=1).to_parquet(path, index=False)
