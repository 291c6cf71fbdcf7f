"""K21, Figure 5: image size of published generators and of this set."""

from pathlib import Path

import pandas as pd

from _job import job, label
from lookalike.figures import resolutions
from lookalike.pixels.store import ImageStore, image_table
from lookalike.published import load
from lookalike.published import resolutions as published_resolutions

with job(snakemake) as task:
    table = image_table(snakemake.input.table)
    store = ImageStore(table, [Path(path) for path in snakemake.input.store])
    height, width = (side * 2 ** (store.levels - 1) for side in store.base)
    published = published_resolutions(load(Path(snakemake.input.published))).assign(ours=False)
    ours = pd.DataFrame([{"model": f"this run: {snakemake.wildcards.synthetic}", "height": height, "width": width, "ours": True}])
    resolutions.draw(pd.concat([published, ours], ignore_index=True), Path(snakemake.output.png).with_suffix(""), label=label(task["simulated"]))
