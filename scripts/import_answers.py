"""Answers of people, from files of the server, the static page or elsewhere, as one table."""

from pathlib import Path

from _job import job
from lookalike.files import atomic
from lookalike.readers.answers import read_answers

with job(snakemake):
    answers = read_answers([Path(path) for path in snakemake.input.answers])
    with atomic(snakemake.output.answers) as path:
        answers.to_csv(path, index=False)
