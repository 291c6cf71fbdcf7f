"""Loss curves and a sample grid of one training stage."""

from pathlib import Path

import numpy as np
import pandas as pd

from _job import job, label
from lookalike.figures import samples, training_curves
from lookalike.sampling import sample

with job(snakemake) as task:
    note = label(task["simulated"])
    statistics = pd.read_json(snakemake.input.statistics, lines=True)
    training_curves.draw(statistics, Path(snakemake.output.curves).with_suffix(""), label=note)
    images = np.concatenate(
        list(sample(Path(snakemake.input.weights), indices=range(32), seed=task["seed"], batch=8, device="cpu", threads=snakemake.threads))
    )
    samples.draw_grid(images, Path(snakemake.output.grid).with_suffix(""), label=note)
