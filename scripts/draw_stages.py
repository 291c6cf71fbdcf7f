"""K21, Figure 2: synthetic images at every stage, and real ones at the same levels of detail."""

from pathlib import Path

import numpy as np

from _job import job, label
from lookalike.figures import samples
from lookalike.pixels.store import ImageStore, image_table
from lookalike.sampling import example_labels, sample
from lookalike.training.state import read_weights

SHOWN = 6

with job(snakemake) as task:
    table = image_table(snakemake.input.table)
    table = table.sample(min(SHOWN, len(table)), random_state=task["seed"]).reset_index(drop=True)
    store = ImageStore(table, [Path(path) for path in snakemake.input.store])
    synthetic, real = [], []
    for stage, path in enumerate(snakemake.input.weights):
        weights = Path(path)
        batches = sample(
            weights,
            indices=range(len(table)),
            seed=task["seed"],
            batch=SHOWN,
            device="cpu",
            threads=snakemake.threads,
            network=task["network"],
            labels=example_labels(weights, len(table)),
        )
        images = np.concatenate(list(batches))
        synthetic.append((stage, images.shape[1:], images))
        real.append((stage, images.shape[1:], store.level(read_weights(weights)[1]["level"])[:] / (2**store.bits - 1)))
    samples.draw(synthetic, real, Path(snakemake.output.png).with_suffix(""), label=label(task["simulated"]))
