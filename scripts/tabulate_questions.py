"""K21, Tables 3 and 4, from the answers of a reader study."""

from pathlib import Path

import pandas as pd

from _job import answers_label, job
from lookalike import tables
from lookalike.readers.analysis import load_results

with job(snakemake) as task:
    label = answers_label(task)
    conover = pd.read_csv(snakemake.input.conover, comment="#")
    tables.write(tables.korkinof2021_table3(conover), Path(snakemake.output.csv).with_suffix(""), label=label)
    tables.write(
        tables.korkinof2021_table4(load_results(Path(snakemake.input.results))), Path(snakemake.output.groups_csv).with_suffix(""), label=label
    )
