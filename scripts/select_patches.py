"""Breast MR: the patient split, the patches that are the cohort, and the ledger: every file found is kept, excluded or quarantined, with its reason."""

import pandas as pd

from _job import job, origin
from lookalike.cohort.exams import lesion_ledger, quarantine_uncut, select_patches
from lookalike.cohort.ledger import flow_counts, public_ledger, reconcile
from lookalike.cohort.split import patient_strata, split_patients
from lookalike.config import Split
from lookalike.files import atomic

with job(snakemake) as task:
    split = Split.model_validate(task["split"])
    index, exams = pd.read_parquet(snakemake.input.index), pd.read_parquet(snakemake.input.exams)
    features = pd.concat([pd.read_parquet(path) for path in snakemake.input.features], ignore_index=True)
    decisions = quarantine_uncut(pd.read_parquet(snakemake.input.decisions), exams, features, maximum_quarantined=task["maximum_quarantined"])
    reconcile(index, decisions)
    # what is found in a patient is known of its patches, not of its files
    patches = features[features["problem"] == ""].merge(exams[["exam", "patient"]].drop_duplicates(), on="exam")
    strata = patient_strata(patches.assign(findings="", density="")) if split.stratify else None
    splits = split_patients(list(patches["patient"]), train=split.train, validation=split.validation, seed=split.seed, strata=strata)
    cohort = select_patches(index, decisions, exams, features, splits)
    with atomic(snakemake.output.cohort) as path:
        cohort.to_parquet(path, index=False)
    with atomic(snakemake.output.exclusions) as path:
        public_ledger(decisions).to_csv(path, index=False)
    with atomic(snakemake.output.lesions) as path:
        lesion_ledger(features).assign(data=origin(task["simulated"])).to_csv(path, index=False)
    with atomic(snakemake.output.flow) as path:
        flow_counts(decisions, task["header_rules"]).to_csv(path, index=False)
