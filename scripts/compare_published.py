"""Every printed value of K21 beside ours."""

from pathlib import Path

import pandas as pd

from _job import job, origin
from lookalike.files import atomic
from lookalike.published import compare, load

with job(snakemake) as task:
    settings = task["korkinof2021"]
    comparison = compare(
        load(Path(snakemake.input.published)),
        pd.concat([pd.read_csv(path) for path in snakemake.input.tables], ignore_index=True),
        # Phantoms are a demo, whatever the config says.
        status="demo" if task["simulated"] else settings["status"],
        tolerance=settings["tolerance"],
        synthetic=settings["synthetic"],
        definitions={measure: task[measure] for measure in ("pair_mi", "coverage")},
    )
    with atomic(snakemake.output.comparison) as path:
        path.write_text(f"# {origin(task['simulated'])}\n" + comparison.to_csv(index=False))
