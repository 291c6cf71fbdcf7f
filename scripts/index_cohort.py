"""Headers of every file of a cohort, in one private table."""

from pathlib import Path

from _job import job
from lookalike.cohort.identity import load_key
from lookalike.cohort.index import build_index
from lookalike.files import atomic

with job(snakemake) as task:
    source, table = task["source"], snakemake.input.get("table")
    index = build_index(
        Path(snakemake.input.get("tree", source["root"])),
        adapter=source["adapter"],
        table=Path(table) if table else None,
        key=load_key(Path(source["identity_key"]) if source["identity_key"] else None, phantoms=source["simulated"]),
        processes=snakemake.threads,
        maximum_quarantined=source["maximum_quarantined"],
    )
    with atomic(snakemake.output.index) as path:
        index.to_parquet(path, index=False)
