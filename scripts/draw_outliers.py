"""D21, Figure 5: of the label that a classifier loses most on, the synthetic images whose moments are oddest, and their nearest real neighbours."""

from pathlib import Path

import numpy as np
import pandas as pd

from _job import job, label
from lookalike.cohort.labels import PREFIX
from lookalike.figures import neighbours
from lookalike.measures.moments import MOMENTS, image_moments
from lookalike.pixels.store import ImageStore, image_table
from lookalike.tables import number
from lookalike.utility.benchmark import foot, moment_outliers

SHOWN = 5
RANKS = 3
REALS = 1000

with job(snakemake) as task:
    files = dict(snakemake.input.items())
    blocks, backbones = [], set()
    for benchmark, settings in task["benchmarks"].items():
        for generator in settings["generators"]:
            images = []
            for name in (f"synthetic_{{}}_{benchmark}_{generator}", f"real_{{}}_{benchmark}"):
                table = image_table(files[name.format("table")])
                images.append((table, ImageStore(table, [Path(path) for path in files[name.format("store")]]).level(settings["level"])))
            (synthetic, drawn), (real, photographed) = images
            found = pd.read_parquet(files[f"neighbours_{benchmark}_{generator}"])
            found = found[found["rank"] < RANKS]
            gaps = pd.read_csv(files[f"gap_{benchmark}_{generator}"]).dropna(subset="gap")
            backbones |= set(gaps["backbone"])
            gaps = gaps[gaps["label"] != "mean"].sort_values("gap", ascending=False, kind="stable")
            # the label with the largest gap that any of the queries has
            rows, training = found["query_row"].unique(), np.flatnonzero(real["split"] == "train")
            title = f"{benchmark}, {generator}: any label"
            for name, gap in gaps[["label", "gap"]].itertuples(index=False):
                with_label = rows[synthetic[PREFIX + name].to_numpy()[rows] == 1]
                reals = training[real[PREFIX + name].to_numpy()[training] == 1]
                if len(with_label) and len(reals) > 1:
                    rows, training, title = with_label, reals, f"{benchmark}, {generator}: {name.replace('_', ' ')} (AUC gap {number(gap, 2)})"
                    break
            chosen, moments, deviations = moment_outliers(
                image_moments(drawn[rows], bits=drawn.bits), image_moments(photographed[training[:REALS]], bits=photographed.bits), k=SHOWN
            )
            found = pd.concat([found[found["query_row"] == row] for row in rows[chosen]])
            notes = [
                f"{MOMENTS[moment]} {'+' if deviation > 0 else ''}{number(deviation, 1)} sd"
                for moment, deviation in zip(moments, deviations, strict=True)
            ]
            blocks.append(neighbours.block(title, found, (synthetic, drawn), (real, photographed), notes=notes))
    neighbours.draw(blocks, Path(snakemake.output.png).with_suffix(""), label=foot(label(task["simulated"]), backbones))
