"""CheXpert (Stanford): `CheXpert-v1.0[-small]/train/patient00001/study1/view1_frontal.jpg`; labels stand in train.csv and valid.csv."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from lookalike.cohort.adapters.table import columns_of, combine_rows, find_tables, read_table, snake_case
from lookalike.cohort.header import normal_age
from lookalike.cohort.labels import UNCERTAIN
from lookalike.errors import LookalikeError

# What the folders above are called differs between the editions, and tables of others hold absolute paths. Patients' numbers are unique in all of it.
FILE = re.compile(r"(?P<patient>patient\d+)/(?P<study>study\d+)/view\d+_(?P<view>frontal|lateral)\.jpe?g$", re.IGNORECASE)
LABELS = (
    "no_finding",
    "enlarged_cardiomediastinum",
    "cardiomegaly",
    "lung_opacity",
    "lung_lesion",
    "edema",
    "consolidation",
    "pneumonia",
    "atelectasis",
    "pneumothorax",
    "pleural_effusion",
    "pleural_other",
    "fracture",
    "support_devices",
)
MARKS = {"": None, "0": None, "0.0": None, "1": "", "1.0": "", "-1": UNCERTAIN, "-1.0": UNCERTAIN}


def values(headers: pd.DataFrame, *, root: Path, table: Path | None) -> pd.DataFrame:
    """Values a file, joined on patient, study and file name: findings are the labels that are 1, or -1 (uncertain); 0 and blank are no findings.

    Patient, study and view stand in the path (`view1` may be lateral, so that only the word tells); spaces and underscores in the names of columns are one.
    An image without a row, such as those of valid/ where valid.csv is missing, has no findings.

    Raises:
        LookalikeError: no table, one without its columns or rows, or a label that is none of 1, 0, -1 and blank.
    """
    files = _parts(headers["path"])
    frames = [_rows(path) for path in find_tables(root, table, ["train.csv", "valid.csv"], data_set="CheXpert")]
    by_key = files.loc[files["key"] != "", ["key"]].assign(file=lambda part: part.index)
    rows = pd.concat(frames, ignore_index=True).merge(by_key, on="key", how="left")
    rows["file"] = rows["file"].fillna(-1).astype(int)
    found = combine_rows(rows[["file", "age", "findings"]], headers.index, data_set="CheXpert")
    for name in ("patient", "study", "view"):
        found[name] = files[name]
    return found


def _parts(paths: pd.Series) -> pd.DataFrame:
    """Patient, study, view, and the key that joins a file with its row; all "" where a path has none."""
    matches = [FILE.search(path.replace("\\", "/")) for path in paths]
    facts = [("", "", "", "") if m is None else (m["patient"], f"{m['patient']}/{m['study']}", m["view"].lower(), m[0].lower()) for m in matches]
    return pd.DataFrame(facts, columns=["patient", "study", "view", "key"], index=paths.index)


def _rows(path: Path) -> pd.DataFrame:
    """Columns key, age and findings of a table."""
    frame = read_table(path).rename(columns=snake_case)
    cells = columns_of(frame, ["path", "age", *LABELS], table=path)
    if cells.empty:
        raise LookalikeError("The table has a header and no rows", str(path), "Use the data set's own table, unchanged.")
    parts = []
    for name in LABELS:
        marks = cells[name].map(MARKS.get)
        unknown = ~cells[name].isin(list(MARKS))
        if unknown.any():
            line = int(unknown.to_numpy().argmax()) + 2
            raise LookalikeError(
                f"The label `{cells[name][unknown].iloc[0]}` is not understood", f"{path}, line {line}", "Write 1.0, 0.0, -1.0 or nothing."
            )
        parts.append(["" if mark is None else name + mark for mark in marks])
    findings = ["|".join(filter(None, image)) for image in zip(*parts, strict=True)]
    return pd.DataFrame({"key": _parts(cells["path"])["key"], "age": cells["age"].map(normal_age), "findings": findings})
