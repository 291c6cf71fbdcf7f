"""INbreast: patient, side and view stand in the file name, density and assessment in `INbreast.csv` (`;` between cells)."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from lookalike.cohort.adapters.table import birads_label, columns_of, combine_rows, find_tables, normal_density, read_table
from lookalike.cohort.header import normal_age, normal_laterality, normal_view

NAME = re.compile(r"(?P<image>\d+)_(?P<patient>[0-9a-fA-F]{16})_MG_(?P<side>[LR])_(?P<view>[A-Z]+)_ANON")


def values(headers: pd.DataFrame, *, root: Path, table: Path | None) -> pd.DataFrame:
    """Values a file: the patient is the hash in its name (the table says "removed"), ML means MLO, and BI-RADS becomes a label (see `birads_label`).

    Raises:
        LookalikeError: no table, or one without its columns.
    """
    path = find_tables(root, table, ["INbreast.csv", "INbreast.xlsx"], data_set="INbreast")[0]
    cells = columns_of(read_table(path), ["patient age", "laterality", "view", "file name", "acr", "bi-rads"], table=path)
    names = headers["path"].str.rsplit("/", n=1).str[-1]
    matches = names.map(NAME.match)
    by_image = {match["image"]: label for label, match in matches.items() if match is not None}
    rows = pd.DataFrame(
        {
            "file": [by_image.get(name.removesuffix(".0"), -1) for name in cells["file name"]],
            "laterality": cells["laterality"].map(normal_laterality),
            "view": cells["view"].map(_view),
            "label": cells["bi-rads"].map(birads_label),
            "density": cells["acr"].map(normal_density),
            "age": cells["patient age"].map(normal_age),
        }
    )
    found = combine_rows(rows, headers.index, data_set="INbreast")
    for label, match in matches.items():
        if match is not None:
            found.loc[label, ["patient", "laterality", "view"]] = [match["patient"].lower(), match["side"], _view(match["view"])]
    found["modality"] = headers["modality"].where(headers["modality"] != "", "MG")
    return found


def _view(text: str) -> str:
    """INbreast writes ML for its mediolateral oblique views."""
    view = normal_view(text)
    return "MLO" if view == "ML" else view
