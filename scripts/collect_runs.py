"""A row a run of D21: its gap, its distances, and when its training stopped."""

import json
from pathlib import Path

import pandas as pd

from _job import job, origin
from lookalike.files import atomic
from lookalike.utility.benchmark import run_row

with job(snakemake) as task:
    rows = []
    for gap, distances, copying in zip(snakemake.input.gaps, snakemake.input.distances, snakemake.input.copying, strict=True):
        benchmark, setting, generator, seed = Path(gap).parts[-5:-1]
        plan = task["settings"][f"{benchmark}/{setting}"]
        kept = {name: plan[name] for name in ("cohort", "dimension", "resolution", "classes", "samples")}
        run = {"benchmark": benchmark, "setting": setting, **kept, "generator": generator, "seed": int(seed.removeprefix("seed_"))}
        tables = (pd.read_csv(path) for path in (gap, distances, copying))
        folder = f"results/generators/dumont2021/{benchmark}/{setting}/{generator}/{seed}/"
        stages = [json.loads(Path(path).read_text()) for path in snakemake.input.networks if path.startswith(folder)]
        rows.append({**run, **run_row(*tables, stages)})
    with atomic(snakemake.output.table) as path:
        pd.DataFrame(rows).assign(data=origin(task["simulated"])).to_csv(path, index=False)
