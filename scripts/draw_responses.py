"""K21, Figure 7: right answers an attempt, and by group."""

from pathlib import Path

from _job import answers_label, job
from lookalike.figures import readers
from lookalike.readers.analysis import load_readers

with job(snakemake) as task:
    readers.draw(
        load_readers(Path(snakemake.input.readers)),
        Path(snakemake.output.png).with_suffix(""),
        questions=task["questions"],
        groups=list(task["groups"]),
        label=answers_label(task),
    )
