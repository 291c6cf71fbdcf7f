"""D21, Figure 4: synthetic images, not selected, and the real training images that are most like them."""

from pathlib import Path

import pandas as pd

from _job import job, label
from lookalike.figures import neighbours
from lookalike.pixels.store import ImageStore, image_table

SHOWN = 6
RANKS = 3

with job(snakemake) as task:
    files = dict(snakemake.input.items())
    blocks = []
    for benchmark, settings in task["benchmarks"].items():
        for generator in settings["generators"]:
            found = pd.read_parquet(files[f"neighbours_{benchmark}_{generator}"])
            found = found[found["query_row"].isin(found["query_row"].unique()[:SHOWN]) & (found["rank"] < RANKS)]
            images = []
            for name in (f"synthetic_{{}}_{benchmark}_{generator}", f"real_{{}}_{benchmark}"):
                table = image_table(files[name.format("table")])
                images.append((table, ImageStore(table, [Path(path) for path in files[name.format("store")]]).level(settings["level"])))
            blocks.append(neighbours.block(f"{benchmark}, {generator}", found, *images))
    neighbours.draw(blocks, Path(snakemake.output.png).with_suffix(""), label=label(task["simulated"]))
