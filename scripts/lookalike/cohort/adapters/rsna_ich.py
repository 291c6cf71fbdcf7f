"""RSNA Intracranial Hemorrhage 2019: `stage_2_train/ID_<9 hex>.dcm`; stage_2_train.csv has a row an image and subtype, patients stand in the headers alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from lookalike.cohort.adapters.table import columns_of, combine_rows, find_tables, read_table, without
from lookalike.errors import LookalikeError

KINDS = ("epidural", "intraparenchymal", "intraventricular", "subarachnoid", "subdural")


def values(headers: pd.DataFrame, *, root: Path, table: Path | None) -> pd.DataFrame:
    """Values a file, joined on its name: findings are the subtypes whose label is above 0 in any row (some rows are there twice), `no_finding` where none
    of the five is (which replaces the set's own `any`). An image without rows has no findings, not even that one.

    Raises:
        LookalikeError: no table, one without its columns, an ID without a subtype, or a label that is no number.
    """
    path = find_tables(root, table, ["stage_2_train.csv"], data_set="RSNA Intracranial Hemorrhage")[0]
    cells = columns_of(read_table(path), ["id", "label"], table=path)
    parts = cells["id"].str.extract(rf"^(?P<image>.+)_(?P<kind>{'|'.join(KINDS)}|any)$")
    label = pd.to_numeric(cells["label"], errors="coerce")
    wrong = (parts["kind"].isna() | label.isna()).to_numpy()
    if wrong.any():
        raise LookalikeError(
            "An ID has no subtype at its end, or its label is no number",
            f"{path}, line {int(wrong.argmax()) + 2}",
            "Use the data set's own table, unchanged.",
        )
    images = pd.unique(parts["image"])
    present = np.zeros((len(images), len(KINDS)), dtype=bool)
    shown = parts[(label > 0) & (parts["kind"] != "any")]
    present[pd.Index(images).get_indexer(pd.Index(shown["image"])), pd.Index(KINDS).get_indexer(pd.Index(shown["kind"]))] = True
    by_name = {without(name): file for file, name in headers["path"].str.rsplit("/", n=1).str[-1].items()}
    rows = pd.DataFrame(
        {
            "file": [by_name.get(image, -1) for image in images],
            "findings": ["|".join(np.array(KINDS)[row]) or "no_finding" for row in present],
        }
    )
    found = combine_rows(rows, headers.index, data_set="RSNA Intracranial Hemorrhage")
    found["modality"] = headers["modality"].where(headers["modality"] != "", "CT")
    return found
