"""K21, Figure 6: density contours of the ten pairs of moments, with coverage and its ceiling."""

from pathlib import Path

import numpy as np
import pandas as pd

from _job import job, label
from lookalike.figures import contours
from lookalike.measures.coverage import contour_levels, support_level
from lookalike.measures.moments import MOMENTS, PAIRS

with job(snakemake) as task:
    densities = np.load(snakemake.input.densities)
    table = pd.read_csv(snakemake.input.coverage)
    rows = table[table["definition"] == task["definition"]].set_index(["first", "second"])

    def density(values: np.ndarray) -> contours.Density:
        flat = values.reshape(1, -1)
        levels = np.unique(contour_levels(flat, definition="density_percentile"))  # by mass, all ten would crowd at the edge of the support
        return contours.Density(values, levels, float(support_level(flat, mass=task["mass"], definition=task["definition"])[0]))

    panels = []
    for first, second in ((MOMENTS[i], MOMENTS[j]) for i, j in PAIRS):
        x, y, real, synthetic = (densities[f"{first}_{second}_{part}"] for part in ("x", "y", "real", "synthetic"))
        panels.append(contours.Panel(first, second, x, y, density(real), density(synthetic), rows.loc[(first, second)]))
    unit = "z" if task["scale"] == "zscore" else ""
    contours.draw(panels, Path(snakemake.output.png).with_suffix(""), unit=unit, mass=task["mass"], label=label(task["simulated"]))
