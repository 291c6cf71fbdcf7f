"""Programs read in the place of people, through the page's own interface."""

import logging
from pathlib import Path

import pandas as pd

from _job import answers_label, job
from lookalike.config import SimulatedReaders
from lookalike.files import atomic
from lookalike.readers.simulate import simulate

with job(snakemake) as task:
    key = pd.read_csv(snakemake.input.key, keep_default_na=False)
    answers = simulate(Path(snakemake.input.web), key, SimulatedReaders.model_validate(task["readers"]), log=logging.info)
    with atomic(snakemake.output.answers) as path:
        path.write_text(f"# {answers_label(task)}\n" + answers.to_csv(index=False))
