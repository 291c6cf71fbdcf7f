"""Pixel rules, the patient split, and the ledger: every file found is kept, excluded or quarantined, with its reason."""

import pandas as pd

from _job import job
from lookalike.cohort.exclude import apply_pixel_rules
from lookalike.cohort.ledger import cohort_table, flow_counts, public_ledger, reconcile
from lookalike.cohort.split import patient_strata, split_patients
from lookalike.config import Exclude, Split
from lookalike.files import atomic

with job(snakemake) as task:
    exclude, split = Exclude.model_validate(task["exclude"]), Split.model_validate(task["split"])
    index = pd.read_parquet(snakemake.input.index)
    features = pd.concat([pd.read_parquet(path) for path in snakemake.input.features], ignore_index=True)
    decisions = apply_pixel_rules(pd.read_parquet(snakemake.input.decisions), features, exclude, maximum_quarantined=task["maximum_quarantined"])
    reconcile(index, decisions)
    kept = index[(decisions["decision"] == "kept").to_numpy()]
    strata = patient_strata(kept) if split.stratify else None
    splits = split_patients(list(kept["patient"]), train=split.train, validation=split.validation, seed=split.seed, strata=strata)
    cohort = cohort_table(index, decisions, features, splits)
    with atomic(snakemake.output.cohort) as path:
        cohort.to_parquet(path, index=False)
    with atomic(snakemake.output.exclusions) as path:
        public_ledger(decisions).to_csv(path, index=False)
    with atomic(snakemake.output.flow) as path:
        flow_counts(decisions, [*exclude.header_rules, *exclude.pixel_rules]).to_csv(path, index=False)
