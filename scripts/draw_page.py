"""A picture of the running page of a reader study (K21, Figure 4)."""

import logging
from pathlib import Path

from _job import job
from lookalike.readers.screenshot import take_screenshot

with job(snakemake):
    take_screenshot(Path(snakemake.input.web), Path(snakemake.output.png), log=logging.info)
