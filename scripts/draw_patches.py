"""H19, Figures 1 to 5: the channels of a real lesion, grids of generated ones, and their phases and subtractions."""

from pathlib import Path

import numpy as np
import pandas as pd

from _job import STAND_IN, job, label
from lookalike.figures import contrasts, patch_grid, subtractions
from lookalike.pixels.store import ImageStore, image_table

GRID, BLOCKS = 36, 4  # patches of Figures 2 and 3, and of Figures 4 and 5

with job(snakemake) as task:
    foot = label(task["simulated"], STAND_IN[task["t2_from"]])

    def patches(table: pd.DataFrame, parts: list[str]) -> np.ndarray:
        """In [0, 1], as the store codes them."""
        store = ImageStore(table, [Path(path) for path in parts])
        return store.level(store.levels - 1).load() / np.float64(2**store.bits - 1)

    def stem(number: int) -> Path:
        return Path(snakemake.output[f"figure{number}_png"]).with_suffix("")

    real = image_table(snakemake.input.real_table)
    lesions = real[real["class"] == "malignant"].sort_values("bordered", kind="stable")  # one that lies in the image, if there is any
    (patch,) = patches(lesions.head(1), snakemake.input.real_store)
    contrasts.draw(patch, stem(1), finding="malignant", label=foot)

    first, second = (task["generators"] * 2)[:2]
    found = set(real["class"])
    for number, draw, generator, wanted, count in (
        (2, patch_grid.draw, first, "malignant", GRID),
        (3, patch_grid.draw, second, "malignant", GRID),
        (4, subtractions.draw, first, "benign", BLOCKS),
        (5, subtractions.draw, second, "malignant", BLOCKS),
    ):
        finding = wanted if wanted in found else "malignant"
        made = image_table(snakemake.input[f"{generator}_table"])
        shown = patches(made[made["class"] == finding].head(count), snakemake.input[f"{generator}_store"])
        draw(shown, stem(number), generator=generator, finding=finding, label=foot)
