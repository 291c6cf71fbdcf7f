"""CBIS-DDSM (TCIA): scanned films; cropped images and ROI masks lie beside the full mammograms.

The header's PatientID is "Mass-Training_P_00001_LEFT_CC", one a view: the patient is P_00001, who may be in the mass and the calcification set.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from lookalike.cohort.adapters.table import columns_of, combine_rows, find_tables, first_match, normal_density, normal_label, read_table
from lookalike.cohort.header import normal_laterality

# A number at the end stands on crops and masks (one an abnormality), never on full mammograms.
NAME = re.compile(r"(?:Mass|Calc)-(?:Training|Test)_(?P<patient>P_\d+)_(?P<side>LEFT|RIGHT)_(?P<view>CC|MLO)(?P<region>_\d+)?", re.IGNORECASE)


def values(headers: pd.DataFrame, *, root: Path, table: Path | None) -> pd.DataFrame:
    """Values a file: patient, side and view from its name, the worst pathology and the density of that view from the case descriptions.

    A file is matched by the name in its PatientID or folders, else by its series UID. Crops and masks get CROP or MASK at the end of
    `image_type`: of a region's files the one as large as the full mammogram is the mask (the published paths of the two are partly swapped).

    Raises:
        LookalikeError: no case description table, or one without its columns.
    """
    cases = pd.concat([_cases(path) for path in find_tables(root, table, ["*case_description*.csv"], data_set="CBIS-DDSM")], ignore_index=True)
    by_series = {uid: (key, True) for key, regions in zip(cases["key"], cases["regions"], strict=True) for uid in regions}
    by_series.update((uid, (key, False)) for key, uid in zip(cases["key"], cases["full"], strict=True))
    named = [
        _identify(path, patient_id, series, by_series)
        for path, patient_id, series in zip(headers["path"], headers["patient_id"], headers["series_uid"], strict=True)
    ]
    files = headers[["rows", "columns"]].assign(key=[key for key, _ in named], region=[region for _, region in named])

    described = files[files["key"] != ""].assign(file=lambda part: part.index).merge(cases[["key", "label", "density"]], on="key", how="outer")
    described["file"] = described["file"].fillna(-1).astype(int)
    rows = described[["file", "label", "density"]].fillna("")
    rows = rows[(rows["file"] == -1) | described["label"].notna()]
    found = combine_rows(rows, headers.index, data_set="CBIS-DDSM")

    parts = files["key"].str.split("|", expand=True).reindex(columns=range(3)).fillna("")
    found["patient"], found["laterality"], found["view"] = parts[0], parts[1], parts[2]
    found["modality"] = headers["modality"].where(headers["modality"] != "", "MG")
    full_size = files[~files["region"] & (files["key"] != "")].groupby("key")[["rows", "columns"]].first()
    sizes = files[["key"]].join(full_size, on="key")
    as_large = (sizes["rows"] == files["rows"]) & (sizes["columns"] == files["columns"])
    kind = as_large.map({True: "MASK", False: "CROP"})
    found["image_type"] = (headers["image_type"] + "\\" + kind).where(files["region"], "")
    return found


def _identify(path: str, patient_id: str, series: str, by_series: Mapping[str, tuple[str, bool]]) -> tuple[str, bool]:
    """patient|side|view of a file ("" unknown), and whether it is a region (crop or mask)."""
    match = first_match(NAME, [patient_id, path])
    if match is not None:
        return f"{match['patient'].upper()}|{normal_laterality(match['side'])}|{match['view'].upper()}", match["region"] is not None
    return next((by_series[uid] for uid in [series, *reversed(path.split("/"))] if uid and uid in by_series), ("", False))


def _cases(path: Path) -> pd.DataFrame:
    """Columns key (patient|side|view), label, density, full (series UID of the mammogram), regions (series UIDs of crop and mask)."""
    frame = read_table(path)
    # The calcification sets write `breast density`, the mass sets `breast_density`.
    frame = frame.rename(columns={"breast density": "breast_density"})
    names = [
        "patient_id",
        "breast_density",
        "left or right breast",
        "image view",
        "pathology",
        "image file path",
        "cropped image file path",
        "roi mask file path",
    ]
    frame = columns_of(frame, names, table=path)
    return pd.DataFrame(
        {
            "key": frame["patient_id"].str.extract(r"(P_\d+)", expand=False).fillna("")
            + "|"
            + frame["left or right breast"].map(normal_laterality)
            + "|"
            + frame["image view"].str.upper(),
            "label": frame["pathology"].map(normal_label),
            "density": frame["breast_density"].map(normal_density),
            "full": frame["image file path"].map(_series),
            "regions": [
                [_series(crop), _series(mask)] for crop, mask in zip(frame["cropped image file path"], frame["roi mask file path"], strict=True)
            ],
        }
    )


def _series(path: str) -> str:
    """Series UID of `name/<study UID>/<series UID>/000000.dcm`."""
    return path.split("/")[-2] if path.count("/") >= 2 else ""
