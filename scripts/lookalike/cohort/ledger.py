"""Nothing is lost: every indexed file is kept, excluded or quarantined, with its reason; and the tables that follow from that."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import pandas as pd

from lookalike.cohort.header import KNOWN_VIEWS, normal_manufacturer
from lookalike.cohort.index import Column
from lookalike.config import PIXEL_RULES
from lookalike.errors import LookalikeError

log = logging.getLogger("lookalike")

# Below it, patient-disjoint halves and resamples of patients are the same few images again and again.
MINIMUM_PATIENTS = 4
QUARANTINES = ("unreadable", "undecodable")
# Of cohorts whose images are made of several series.
INCOMPLETE = "incomplete_exam"
LEDGER_COLUMNS = ("image", "decision", "rule", "detail")
COHORT_COLUMNS: dict[str, Column] = {
    "image": Column("str", "16 hex digits, keyed hash."),
    "patient": Column("str", "16 hex digits, keyed hash."),
    "study": Column("str", '16 hex digits, keyed hash, or "".'),
    "view": Column(
        "str", 'CC, MLO, ..., frontal, lateral; "other" for a word that is no known view (only where the rule view_not_wanted is off), or "".'
    ),
    "laterality": Column("str", 'L, R or "".'),
    "label": Column("str", 'benign, malignant, normal or "" (unknown).'),
    "density": Column("str", 'BI-RADS density A to D, or "".'),
    "findings": Column("str", "Names in snake case joined by |, uncertain ones with a question mark behind."),
    "manufacturer": Column(
        "str", 'Short name of a known manufacturer (`header.MANUFACTURERS`: GE, Hologic, ...); "other" for any other text of the header, "" for none.'
    ),
    "age": Column("float64", "Age in years, NaN unknown."),
    "rows": Column("int64", "Rows of the original in pixels."),
    "columns": Column("int64", "Columns of the original in pixels."),
    "part": Column("int64", "Part of the image store."),
    "row": Column("int64", "Row inside the part's arrays."),
    "split": Column("str", "train, validation or test."),
}


def reconcile(index: pd.DataFrame, decisions: pd.DataFrame) -> dict[str, int]:
    """Counts of indexed, kept, excluded and quarantined rows, after checking that they add up.

    Raises:
        LookalikeError: rows are missing, doubled, undecided, or have a decision without a reason.
    """
    same = len(index) == len(decisions) and (index["row_id"].to_numpy() == decisions["row_id"].to_numpy()).all()
    same = same and (index["image"].to_numpy() == decisions["image"].to_numpy()).all()
    counts = {"indexed": len(index), **{name: int((decisions["decision"] == name).sum()) for name in ("kept", "excluded", "quarantined")}}
    if not same or counts["indexed"] != counts["kept"] + counts["excluded"] + counts["quarantined"]:
        raise LookalikeError(
            "The ledger does not add up: " + ", ".join(f"{count} {name}" for name, count in counts.items()),
            "cohort ledger",
            "Index this cohort again; if it happens twice, report it.",
        )
    unexplained = (decisions["decision"] != "kept") & ((decisions["rule"] == "") | (decisions["detail"] == ""))
    if unexplained.any() or (decisions.loc[decisions["decision"] == "kept", "rule"] != "").any():
        raise LookalikeError(
            f"{int(unexplained.sum())} decisions have no reason", "cohort ledger", "Index this cohort again; if it happens twice, report it."
        )
    return counts


def flow_counts(decisions: pd.DataFrame, rules: Sequence[str]) -> pd.DataFrame:
    """What each rule removed, for the flow diagram: from all files found to the images kept.

    Args:
        decisions: final decisions, or those on headers alone.
        rules: the rules in force, in the order in which they apply.

    Returns:
        Columns step, rule, removed, remaining. First a row for all files found, then the kinds of quarantine (no rule's doing, so they are taken off first;
        incomplete_exam only where the rule no_phase makes exams), then a row a rule: step "headers" or "pixels" says whether it is decided before or after
        decoding. Rules that removed nothing are there too.

    Raises:
        LookalikeError: the decisions name a rule that is not in force.
    """
    counts = decisions.loc[decisions["decision"] == "excluded", "rule"].value_counts()
    unknown = counts.index.difference(list(rules))
    if len(unknown):
        raise LookalikeError(
            f"The ledger names the rule `{unknown[0]}`, which is not in force", "cohort ledger", "Run the exclusion of this cohort again."
        )
    kinds = [*QUARANTINES, INCOMPLETE] if "no_phase" in rules else list(QUARANTINES)
    quarantines = decisions.loc[decisions["decision"] == "quarantined", "rule"].value_counts()
    removed = pd.concat([quarantines.reindex(kinds, fill_value=0), counts.reindex(list(rules), fill_value=0)]).astype(int)
    steps = ["quarantine"] * len(kinds) + ["pixels" if rule in PIXEL_RULES else "headers" for rule in rules]
    return pd.DataFrame(
        {
            "step": ["found", *steps],
            "rule": ["", *removed.index],
            "removed": [0, *removed],
            "remaining": [len(decisions), *(len(decisions) - removed.cumsum())],
        }
    )


def public_ledger(decisions: pd.DataFrame) -> pd.DataFrame:
    """The ledger as published: image (hash), decision, rule and detail, one row an indexed file."""
    return decisions[list(LEDGER_COLUMNS)].reset_index(drop=True)


def cohort_table(index: pd.DataFrame, decisions: pd.DataFrame, features: pd.DataFrame, splits: Mapping[str, str]) -> pd.DataFrame:
    """The cohort: `COHORT_COLUMNS`, one row an image kept, in the order of the index. A cohort too small to compare logs a warning.

    Args:
        index: index table.
        decisions: final decisions (`exclude.apply_pixel_rules`).
        features: pixel features, with part and row a candidate.
        splits: split a patient (`split.split_patients`).

    Raises:
        LookalikeError: no image is kept; it names the rule that removed most.
    """
    kept = index[(decisions["decision"] == "kept").to_numpy()]
    if kept.empty:
        raise _nothing_kept(index, decisions)
    table = kept.merge(features[["row_id", "part", "row"]], on="row_id", how="left")
    table["split"] = table["patient"].map(splits)
    # Headers' own words stay in the private index.
    table["view"] = table["view"].where(table["view"].isin([*KNOWN_VIEWS, ""]), "other")
    table["manufacturer"] = table["manufacturer"].map(normal_manufacturer)
    warn_of_few_patients(table)
    return table[list(COHORT_COLUMNS)].astype({name: column.dtype for name, column in COHORT_COLUMNS.items()})


def warn_of_few_patients(table: pd.DataFrame) -> None:
    """Log a warning where a cohort is too small to compare."""
    patients = table["patient"].nunique()
    if patients < MINIMUM_PATIENTS:
        log.warning(
            "the cohort keeps %d images of %d patients, but comparisons need at least %d patients; add images, or look into exclusions.csv for what was removed",
            len(table),
            patients,
            MINIMUM_PATIENTS,
        )


def _nothing_kept(index: pd.DataFrame, decisions: pd.DataFrame) -> LookalikeError:
    counts = decisions["rule"].value_counts()
    rule = str(counts.index[0])
    if rule in (*QUARANTINES, INCOMPLETE):
        fix = f"The most frequent reason is: {decisions.loc[decisions['rule'] == rule, 'detail'].value_counts().index[0]}."
    else:
        section = "pixel_rules" if rule in PIXEL_RULES else "header_rules"
        fix = f"If these images belong in the cohort, list the cohort's `exclude.{section}` without `{rule}`"
        fix += ", or give a table with a column `view`." if rule == "view_missing" else "."
    return LookalikeError(f"No image is left in the cohort: `{rule}` removed {counts.iloc[0]} of {len(index)}", "cohort ledger", fix)
