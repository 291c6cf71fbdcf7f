"""H19, Table 3: the readers of this run's patches, if there are any, and the paper's own, whatever the data here."""

from pathlib import Path

from _job import answers_label, job
from lookalike import tables
from lookalike.published import load
from lookalike.readers.analysis import load_readers

with job(snakemake) as task:
    read = [load_readers(Path(path)) for path in snakemake.input.readers]
    table = tables.haarburger2019_table3(load(Path(snakemake.input.published)), *read)
    tables.write(table, Path(snakemake.output.csv).with_suffix(""), label=answers_label(task) if read else "")
