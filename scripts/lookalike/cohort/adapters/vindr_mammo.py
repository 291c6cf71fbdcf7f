"""VinDr-Mammo (PhysioNet): `images/<study>/<image>.dicom` without patient, view or side in the header; all stand in the breast-level table."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from lookalike.cohort.adapters.table import birads_label, columns_of, combine_rows, find_tables, normal_density, read_table, without
from lookalike.cohort.header import normal_age, normal_laterality, normal_view
from lookalike.errors import LookalikeError


def values(headers: pd.DataFrame, *, root: Path, table: Path | None) -> pd.DataFrame:
    """Values a file, joined on image_id = file stem; a study stands for its patient; age from `metadata.csv` where that lies beside the table.

    Raises:
        LookalikeError: no table, or one without its columns.
    """
    path = find_tables(root, table, ["breast-level_annotations.csv"], data_set="VinDr-Mammo")[0]
    cells = columns_of(read_table(path), ["study_id", "image_id", "laterality", "view_position", "breast_birads", "breast_density"], table=path)
    by_image = {without(name): label for label, name in headers["path"].str.rsplit("/", n=1).str[-1].items()}
    rows = pd.DataFrame(
        {
            "file": [by_image.get(image, -1) for image in cells["image_id"]],
            "patient": cells["study_id"],
            "study": cells["study_id"],
            "view": cells["view_position"].map(normal_view),
            "laterality": cells["laterality"].map(normal_laterality),
            "label": cells["breast_birads"].map(birads_label),
            "density": cells["breast_density"].map(normal_density),
            "age": cells["image_id"].map(_ages(path.with_name("metadata.csv"))),
        }
    )
    found = combine_rows(rows, headers.index, data_set="VinDr-Mammo")
    found["modality"] = headers["modality"].where(headers["modality"] != "", "MG")
    return found


def _ages(path: Path) -> dict[str, float]:
    try:
        metadata = columns_of(read_table(path), ["sop instance uid", "patient's age"], table=path)
    except LookalikeError:
        return {}  # the table is an extra: without it, or without ages in it, the header's age stands
    return dict(zip(metadata["sop instance uid"], metadata["patient's age"].map(normal_age), strict=True))
