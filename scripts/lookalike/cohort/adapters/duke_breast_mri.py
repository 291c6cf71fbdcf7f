"""Duke-Breast-Cancer-MRI (TCIA): phases in the mapping file, one box a patient in Annotation_Boxes.xlsx; all lesions are malignant.

The mapping names each file three ways: as the hospital had it (DICOM_Images/Breast_MRI_001/post_1/Breast_MRI_001_post_1_001.dcm), and by two layouts of the
download, by UIDs and by descriptions. The latter has doubled slashes, and spells "W WO", "W & W/O" and "BreastMRI001" in several ways.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pandas as pd

from lookalike.cohort.adapters.breast_mr import BOX, LESION_COLUMNS, box, checked_lesions, phases
from lookalike.cohort.adapters.table import blank_values, columns_of, find_tables, first_match, look_for, read_table
from lookalike.errors import LookalikeError

log = logging.getLogger("lookalike")

PATIENT = re.compile(r"Breast_?MRI_?(\d{3})", re.IGNORECASE)
MAPPING = [f"Breast-Cancer-MRI-filepath_filename-mapping*.{suffix}" for suffix in ("csv", "xlsx")]
MAPPED = re.compile(r"(?:pre|post_\d|t1)")
T1 = r"(?<![a-z0-9])t1(?![a-z0-9])"


def values(headers: pd.DataFrame, *, root: Path, table: Path | None) -> pd.DataFrame:
    """Values a file: patient, phase and the number by which boxes count slices, from the mapping where there is one, else from description and file name.

    T2 series, which the mapping does not know, always go by their description. The set's own T1 series, without contrast or fat suppression, have the phase t1.

    Raises:
        LookalikeError: see `lesions`; or a mapping without its columns, or one that fits no file.
    """
    told = lesions(root=root, table=table)
    found = blank_values(headers.index)
    matches = [first_match(PATIENT, [patient, path]) for patient, path in zip(headers["patient_id"], headers["path"], strict=True)]
    found["patient"] = ["" if match is None else f"Breast_MRI_{match[1]}" for match in matches]
    found["table_row"] = found["patient"].isin(told["patient"])
    found["phase"] = phases(headers)
    plain = (found["phase"] == "") & headers["series_description"].str.lower().str.contains(T1, regex=True)
    found["phase"] = found["phase"].mask(plain, "t1")
    found["instance"] = pd.to_numeric(headers["path"].str.extract(r"(\d+)(?:\.dcm)?$")[0]).astype("float64")
    if tables := look_for(root, MAPPING):
        mapped = _mapped(tables[0])
        keys = headers["path"].map(_key)
        known = keys.isin(mapped.index)
        if not known.any():
            raise LookalikeError(
                f"None of the {len(mapped)} names of the mapping fits any of the {len(headers)} files",
                str(tables[0]),
                "Check `source.root`, or move the file away.",
            )
        found["phase"] = found["phase"].where(found["phase"] == "t2", "").mask(known, keys.map(mapped["phase"]))
        found["instance"] = found["instance"].mask(known, keys.map(mapped["number"]))
        log.info("Duke-Breast-Cancer-MRI: the mapping knows %d of %d files", known.sum(), len(headers))
    return found


def lesions(*, root: Path, table: Path | None) -> pd.DataFrame:
    """The boxes, as `breast_mr.lesions` gives them.

    Raises:
        LookalikeError: no table, one without its columns, a box that is none, or a patient twice.
    """
    path = find_tables(root, table, ["Annotation_Boxes*.xlsx", "Annotation_Boxes*.csv"], data_set="Duke-Breast-Cancer-MRI")[0]
    cells = columns_of(read_table(path), ["patient id", *(name.replace("_", " ") for name in BOX)], table=path)
    rows = [
        [patient, "", "1", "malignant", "", 0, *box(numbers, where=f"{path}, line {line}"), line]
        for line, (patient, *numbers) in enumerate(cells.itertuples(index=False), start=2)
    ]
    return checked_lesions(pd.DataFrame(rows, columns=list(LESION_COLUMNS)), table=path)


def _mapped(path: Path) -> pd.DataFrame:
    """Phase and number of a slice, by the key of each of a file's names."""
    names = ["original_path_and_filename", "classic_path", "descriptive_path"]
    cells = columns_of(read_table(path), names, table=path)
    parts = cells[names[0]].str.replace("\\", "/").str.extract(r"(?P<folder>[^/]+)/[^/]*?(?P<number>\d+)(?:\.dcm)?$")
    folders = parts["folder"].str.lower()
    facts = pd.DataFrame({"phase": folders.where(folders.str.fullmatch(MAPPED, na=False), ""), "number": pd.to_numeric(parts["number"])})
    mapped = pd.concat([facts.set_axis(cells[name].map(_key)) for name in names])
    return mapped[~mapped.index.duplicated() & (mapped.index != "")]


def _key(path: str) -> str:
    """What the spellings of a path have in common: patient, letters and digits of the folders, and the file name's numbers without leading zeros."""
    path = path.replace("\\", "/")
    match = PATIENT.search(path)
    if match is None:
        return ""
    folders, _, name = path[match.end() :].lower().rpartition("/")
    return "|".join((match[1], re.sub(r"[^a-z0-9]", "", folders), re.sub(r"(?<!\d)0+(?=\d)", "", name.removesuffix(".dcm"))))
