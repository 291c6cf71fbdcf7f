"""Simulated mammograms as DICOM files, with their planted truth."""

from pathlib import Path

from _job import job
from lookalike.files import atomic
from lookalike.phantoms.collection import write_collection

with job(snakemake) as task:
    phantoms = task["phantoms"]
    truth = write_collection(
        Path(snakemake.output.tree),
        patients=phantoms["patients"],
        shape=tuple(phantoms["shape"]),
        seed=phantoms["seed"],
        processes=snakemake.threads,
    )
    with atomic(snakemake.output.truth) as path:
        truth.to_csv(path, index=False)
