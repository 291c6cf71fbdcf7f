"""Loss curves and a sample grid of one training stage."""

from pathlib import Path

import numpy as np
import pandas as pd

from _job import job, label
from lookalike.figures import samples, training_curves
from lookalike.sampling import example_labels, sample

SHOWN = 32

with job(snakemake) as task:
    note = label(task["simulated"])
    statistics = pd.read_json(snakemake.input.statistics, lines=True)
    training_curves.draw(statistics, Path(snakemake.output.curves).with_suffix(""), label=note)
    weights = Path(snakemake.input.weights)
    labels = example_labels(weights, SHOWN)
    batches = sample(weights, indices=range(SHOWN), seed=task["seed"], batch=8, device="cpu", threads=snakemake.threads, labels=labels)
    images = np.concatenate(list(batches))
    if images.ndim == 4:  # breast MR
        images, note = images[:, 1], label(task["simulated"], "channel shown: T1 before contrast")
    samples.draw_grid(images, Path(snakemake.output.grid).with_suffix(""), label=note)
