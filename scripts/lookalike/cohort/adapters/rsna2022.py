"""RSNA Screening Mammography 2022: `train_images/<patient>/<image>.dcm`; view, side, implant flag and outcome stand in train.csv."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from lookalike.cohort.adapters.table import columns_of, combine_rows, find_tables, normal_density, read_table, without
from lookalike.cohort.header import normal_age, normal_laterality, normal_view, normal_yes_no


def values(headers: pd.DataFrame, *, root: Path, table: Path | None) -> pd.DataFrame:
    """Values a file, joined on patient_id/image_id; cancer 1 = malignant, biopsied without cancer = benign, else normal (test.csv: unknown).

    The implant flag is a fact of the patient, side unknown, and drives the rule `implant` where the header has no flag.

    Raises:
        LookalikeError: no table, or one without its columns.
    """
    tables = find_tables(root, table, ["train.csv", "test.csv"], data_set="RSNA 2022")
    frames = []
    for path in tables:
        frame = read_table(path)
        columns_of(frame, ["patient_id", "image_id", "laterality", "view", "age", "implant"], table=path)
        frames.append(frame)
    cells = (
        pd.concat(frames, ignore_index=True).reindex(columns=[*frames[0].columns.union(["cancer", "biopsy", "density"])], fill_value="").fillna("")
    )
    by_image = {"/".join(without(path).split("/")[-2:]): label for label, path in headers["path"].items()}
    rows = pd.DataFrame(
        {
            "file": [by_image.get(key, -1) for key in cells["patient_id"] + "/" + cells["image_id"]],
            "patient": cells["patient_id"],
            "view": cells["view"].map(normal_view),
            "laterality": cells["laterality"].map(normal_laterality),
            "label": [_label(cancer, biopsy) for cancer, biopsy in zip(cells["cancer"], cells["biopsy"], strict=True)],
            "density": cells["density"].map(normal_density),
            "implant": cells["implant"].map(normal_yes_no),
            "age": cells["age"].map(normal_age),
        }
    )
    found = combine_rows(rows, headers.index, data_set="RSNA 2022")
    found["modality"] = headers["modality"].where(headers["modality"] != "", "MG")
    return found


def _label(cancer: str, biopsy: str) -> str:
    if normal_yes_no(cancer) == "YES":
        return "malignant"
    if normal_yes_no(cancer) == "NO":
        return "benign" if normal_yes_no(biopsy) == "YES" else "normal"
    return ""
