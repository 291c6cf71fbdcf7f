"""D21's readers of single images, study by study."""

from pathlib import Path

from _job import answers_label, job
from lookalike import tables
from lookalike.readers.analysis import load_readers, load_results

with job(snakemake) as task:
    files = dict(snakemake.input.items())
    studies = {name: (load_results(Path(files[f"results_{name}"])), load_readers(Path(files[f"readers_{name}"]))) for name in task["studies"]}
    tables.write(tables.dumont2021_readers(studies), Path(snakemake.output.csv).with_suffix(""), label=answers_label(task))
