"""CMMD (TCIA): the header has patient and side, the view only as a code; the clinical table has one row a diseased breast."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from lookalike.cohort.adapters.table import columns_of, combine_rows, find_tables, first_match, normal_label, read_table
from lookalike.cohort.header import normal_age, normal_laterality

PATIENT = re.compile(r"D[12]-\d{4}")


def values(headers: pd.DataFrame, *, root: Path, table: Path | None) -> pd.DataFrame:
    """Values a file, joined on patient and side; a breast without a clinical row (mostly the other side) has an unknown label, and no `table_row`.

    The age is the patient's and so holds for both breasts.

    Raises:
        LookalikeError: no clinical table, or one without its columns.
    """
    path = find_tables(root, table, ["CMMD_clinicaldata*.xlsx", "CMMD_clinicaldata*.csv"], data_set="CMMD")[0]
    cells = columns_of(read_table(path), ["id1", "leftright", "age", "classification"], table=path)
    clinical = pd.DataFrame(
        {
            "patient": cells["id1"],
            "laterality": cells["leftright"].map(normal_laterality),
            "label": cells["classification"].map(normal_label),
            "years": cells["age"].map(normal_age),
        }
    )
    matches = [first_match(PATIENT, [patient, file]) for patient, file in zip(headers["patient_id"], headers["path"], strict=True)]
    files = pd.DataFrame(
        {
            "patient": ["" if match is None else match[0] for match in matches],
            "laterality": headers["laterality"].to_list(),
            "file": headers.index.to_list(),
        }
    )
    rows = clinical.merge(files, on=["patient", "laterality"], how="left")
    rows["file"] = rows["file"].fillna(-1).astype(int)
    found = combine_rows(rows[["file", "label"]], headers.index, data_set="CMMD")
    found["patient"] = files.set_index("file")["patient"]
    found["age"] = found["patient"].map(clinical.groupby("patient")["years"].first())
    return found
