"""Simulated images, written as data sets of their kind are, with their planted truth."""

from pathlib import Path

from _job import job
from lookalike.files import atomic
from lookalike.phantoms import breast_mr, chest_xray, head_ct
from lookalike.phantoms.collection import write_collection

WRITERS = {"mammography": write_collection, "chest_xray": chest_xray.write_tree, "head_ct": head_ct.write_tree, "breast_mr": breast_mr.write_tree}

with job(snakemake) as task:
    phantoms = task["phantoms"]
    truth = WRITERS[task["kind"]](
        Path(snakemake.output.tree),
        patients=phantoms["patients"],
        shape=tuple(phantoms["shape"]),
        seed=phantoms["seed"],
        processes=snakemake.threads,
    )
    with atomic(snakemake.output.truth) as path:
        truth.to_csv(path, index=False)
