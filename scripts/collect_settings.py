"""A row a setting of D21: how many labels, classes and images it came to have."""

from pathlib import Path

import pandas as pd

from _job import job, origin
from lookalike.files import atomic
from lookalike.utility.benchmark import setting_row

with job(snakemake) as task:
    rows = []
    for path in map(Path, snakemake.input.tables):
        benchmark, setting = path.parts[-3:-1]
        plan = task["settings"][f"{benchmark}/{setting}"]
        kept = {name: plan[name] for name in ("dimension", "resolution")}
        counts = setting_row(pd.read_parquet(path))
        rows.append({"benchmark": benchmark, "setting": setting, **kept, **counts, "generators": "+".join(plan["generators"])})
    with atomic(snakemake.output.table) as path:
        pd.DataFrame(rows).assign(data=origin(task["simulated"])).to_csv(path, index=False)
