"""RSNA Intracranial Hemorrhage 2019: `stage_2_train/ID_<9 hex>.dcm`; stage_2_train.csv has a row an image and subtype, patients stand in the headers alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from lookalike.cohort.adapters.table import columns_of, combine_rows, find_tables, read_table, without
from lookalike.errors import LookalikeError

KINDS = ("epidural", "intraparenchymal", "intraventricular", "subarachnoid", "subdural")


def values(headers: pd.DataFrame, *, root: Path, table: Path | None) -> pd.DataFrame:
    """Values a file, joined on its name: findings are the subtypes whose label is 1 in any row (some rows are there twice), `no_finding` where all five are 0
    and the set's own `any` is not 1. Any other image, such as one without rows, has no findings, not even that one.

    Raises:
        LookalikeError: no table, one without its columns, an ID without a subtype, or a label that is neither 0 nor 1.
    """
    path = find_tables(root, table, ["stage_2_train.csv"], data_set="RSNA Intracranial Hemorrhage")[0]
    cells = columns_of(read_table(path), ["id", "label"], table=path)
    parts = cells["id"].str.extract(rf"^(?P<image>.+)_(?P<kind>{'|'.join(KINDS)}|any)$")
    label = pd.to_numeric(cells["label"], errors="coerce")
    for wrong, what in (
        (parts["kind"].isna(), "The ID `{id}` has no subtype at its end"),
        (~label.isin([0, 1]), "The label `{label}` is neither 0 nor 1"),
    ):
        if wrong.any():
            row = int(wrong.to_numpy().argmax())
            raise LookalikeError(what.format(**cells.iloc[row]), f"{path}, line {row + 2}", "Use the data set's own table, unchanged.")
    highest = label.groupby([parts["image"], parts["kind"]]).max().unstack().reindex(columns=[*KINDS, "any"])  # NaN: not in the table
    subtypes = highest[list(KINDS)]
    healthy = (subtypes == 0).all(axis=1) & (highest["any"] != 1)
    by_name = {without(name): file for file, name in headers["path"].str.rsplit("/", n=1).str[-1].items()}
    rows = pd.DataFrame(
        {
            "file": [by_name.get(image, -1) for image in highest.index],
            "findings": [
                "no_finding" if none else "|".join(np.array(KINDS)[row]) for none, row in zip(healthy, (subtypes == 1).to_numpy(), strict=True)
            ],
        }
    )
    found = combine_rows(rows, headers.index, data_set="RSNA Intracranial Hemorrhage")
    found["modality"] = headers["modality"].where(headers["modality"] != "", "CT")
    return found
