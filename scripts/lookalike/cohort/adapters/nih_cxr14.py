"""NIH ChestX-ray14: PNGs in images_001/images to images_012/images, findings in Data_Entry_2017*.csv; or any folder of them with a one-hot labels.csv."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from lookalike.cohort.adapters.table import columns_of, combine_rows, find_tables, match_paths, read_table
from lookalike.cohort.header import normal_age, normal_view
from lookalike.errors import LookalikeError

LABELS = (
    *(
        "Atelectasis",
        "Cardiomegaly",
        "Effusion",
        "Infiltration",
        "Mass",
        "Nodule",
        "Pneumonia",
        "Pneumothorax",
        "Consolidation",
        "Edema",
        "Emphysema",
    ),
    *("Fibrosis", "Pleural_Thickening", "Hernia"),
)
FLAGS = ("1", "1.0", "0", "0.0", "")


def values(headers: pd.DataFrame, *, root: Path, table: Path | None) -> pd.DataFrame:
    """Values a file, joined on its name: the NIH's own table (of its editions the latest), or else one with a column of 1 and 0 for each of the 14 labels,
    where an image without any is `no_finding`, but has no findings if all 14 cells are blank. A view, where the table has one, is PA or AP: frontal.

    Raises:
        LookalikeError: no table, one without its columns, a name that is that of several files, or a cell that is none of 1, 0 and blank.
    """
    # the NIH's header has unquoted commas inside brackets, but only in columns behind those that are read
    path = max(
        find_tables(root, table, ["Data_Entry_2017*.csv", "labels.csv"], data_set="NIH ChestX-ray14"), key=lambda path: path.name != "labels.csv"
    )
    frame = read_table(path)
    cells = columns_of(frame, ["image index", "patient id"], table=path)
    if "finding labels" in frame:
        findings = frame["finding labels"]
    else:
        findings = pd.Series(_findings(columns_of(frame, [name.lower() for name in LABELS], table=path), table=path), index=frame.index)
    rows = pd.DataFrame(
        {
            "file": match_paths(cells["image index"], headers["path"], table=path),
            "patient": cells["patient id"],
            "findings": findings,
        }
    )
    if "patient age" in frame:
        rows["age"] = frame["patient age"].map(normal_age)
    if "view position" in frame:
        rows["view"] = frame["view position"].map(normal_view)
    if "follow-up #" in frame:
        rows["study"] = cells["patient id"] + "/" + frame["follow-up #"]
    return combine_rows(rows, headers.index, data_set="NIH ChestX-ray14")


def _findings(flags: pd.DataFrame, *, table: Path) -> list[str]:
    """Findings of each row of the 14 columns."""
    wrong = (~flags.isin(FLAGS)).to_numpy()
    if wrong.any():
        row, column = (int(places[0]) for places in wrong.nonzero())
        raise LookalikeError(
            f"`{flags.iloc[row, column]!s}` is not understood", f"{table}, line {row + 2}, column {LABELS[column]}", "Write 1, 0 or nothing."
        )
    cells = flags.to_numpy()
    return [
        "|".join(name for name, cell in zip(LABELS, row, strict=True) if cell in ("1", "1.0")) or ("no_finding" if any(row) else "") for row in cells
    ]
