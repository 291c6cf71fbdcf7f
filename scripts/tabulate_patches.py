"""H19, Tables 1 to 3."""

from pathlib import Path

import pandas as pd

from _job import STAND_IN, job, label
from lookalike import tables
from lookalike.published import load

with job(snakemake) as task:
    printed = load(Path(snakemake.input.published))
    counts, classes, selection = (pd.read_csv(snakemake.input[name]) for name in ("counts", "classes", "selection"))
    foot = " | ".join(filter(None, (label(task["simulated"]), STAND_IN[task["t2_from"]])))
    for name, table, words in (
        ("table1", tables.haarburger2019_table1(counts), foot),
        ("table2", tables.haarburger2019_table2(classes, selection, printed), foot),
        ("table3", tables.haarburger2019_table3(printed), ""),  # the paper's own readers, whatever the data here
    ):
        tables.write(table, Path(snakemake.output[f"{name}_csv"]).with_suffix(""), label=words)
