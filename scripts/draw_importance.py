"""D21, Figures 6 and 7: what classifiers look at that learnt from real images, from those of the first generator (6), and from those of each (7)."""

import json
from pathlib import Path

import numpy as np

from _job import job, label
from lookalike.figures import importance

with job(snakemake) as task:
    for output, most in ((snakemake.output.figure6_png, 1), (snakemake.output.figure7_png, None)):
        blocks = []
        for benchmark, settings in task["benchmarks"].items():
            with np.load(snakemake.input[f"importance_{benchmark}"]) as found:
                maps = {name: found[f"map_{name}"] for name in ("real", *settings["generators"][:most])}
                blocks.append(importance.Block(benchmark, found["images"], json.loads(str(found["labels"])), found["names"].tolist(), maps))
        importance.draw(blocks, Path(output).with_suffix(""), label=label(task["simulated"]))
