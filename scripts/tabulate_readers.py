"""H19, Table 3: the paper's own readers, whatever the data here."""

from pathlib import Path

from _job import job
from lookalike import tables
from lookalike.published import load

with job(snakemake):
    table = tables.haarburger2019_table3(load(Path(snakemake.input.published)))
    tables.write(table, Path(snakemake.output.csv).with_suffix(""), label="")
