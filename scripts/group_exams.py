"""Breast MR: files grouped into exams, with their lesions; complete exams are dealt out to the scatter parts."""

from pathlib import Path

import pandas as pd

from _job import job
from lookalike.cohort.exams import group_exams
from lookalike.cohort.identity import load_key
from lookalike.config import Exclude
from lookalike.files import atomic

with job(snakemake) as task:
    source, table = task["source"], snakemake.input.get("table")
    decisions, exams, lesions = group_exams(
        pd.read_parquet(snakemake.input.index),
        Exclude.model_validate({"header_rules": task["header_rules"]}),
        root=Path(snakemake.input.get("tree", source["root"])),
        adapter=source["adapter"],
        table=Path(table) if table else None,
        key=load_key(Path(source["identity_key"]) if source["identity_key"] else None, phantoms=source["simulated"]),
        t2_from=task["t2_from"],
    )
    number, found = pd.factorize(exams["exam"])
    exams["part"] = number * task["parts"] // max(1, len(found))
    for frame, output in ((decisions, snakemake.output.decisions), (exams, snakemake.output.exams), (lesions, snakemake.output.lesions)):
        with atomic(output) as path:
            frame.to_parquet(path, index=False)
