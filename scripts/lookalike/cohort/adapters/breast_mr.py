"""Any tree of breast MR exams as DICOM files: phases by SeriesDescription and time, lesions from a table (`lesions.csv` in root, or the user's)."""

from __future__ import annotations

import math
import posixpath
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from lookalike.cohort.adapters.table import blank_values, columns_of, find_tables, normal_label, read_table
from lookalike.errors import LookalikeError

BOX = ("start_row", "end_row", "start_column", "end_column", "start_slice", "end_slice")
LESION_COLUMNS = ("patient", "study", "lesion", "label", "mask", "mask_value", *BOX, "line")
NIFTI = (".nii", ".nii.gz")
# Series that are computed from others, or that only find the place.
OTHER = re.compile(r"(?<![a-z])(?:sub|mip|mpr|adc|loc)(?![a-z])|subtr|reformat|locali[sz]er|scout|survey|dwi|diffusion|wash|kinetic|calibration")
OTHER_TYPES = r"(?:^|\\)(?:SUB|SUBTRACT\w*|MIP|MPR|ADC\w*|PROJECTION IMAGE|LOCALIZER)(?:\\|$)"
T2 = re.compile(r"(?<![a-z0-9])t2")
# "post 1", "post_contrast-2", "3rd pass", "pass 4"; not "post 2 min".
NUMBERED_POST = re.compile(
    r"(?<![a-z])post[^a-z0-9]{0,3}(?:contrast|con|gad|gd|c)?[^a-z0-9]{0,3}([1-9])(?!\d|[^a-z0-9]*(?:min|sec|[ms](?![a-z])))"
    r"|([1-9])(?:st|nd|rd|th)[^a-z0-9]*(?:pass|post)|(?<![a-z])pass[^a-z0-9]*([1-9])(?!\d)"
)
# "Ph1/ax dyn", "dyn_3"; not "dyn 1+5", which is how many, nor "dyn 3D".
NUMBERED = re.compile(r"(?:(?<![a-z])ph(?:ase)?|dyn(?:amic)?|dce)[^a-z0-9]{0,2}(\d)(?!\d|d(?![a-z])|[^a-z0-9]*\+)")
PRE = re.compile(r"(?<![a-z])pre(?![a-z])|precon|pre-?gd|unenhanced|native")
POST = re.compile(r"(?<![a-z])post(?![a-z])|postcon|postgd")
DYNAMIC = re.compile(r"dyn|dce|vibrant|thrive|perfusion")
SUPPRESSED = r"tirm|stir|spair|spir|fat|dixon|flair|(?<![a-z])fs(?![a-z])"
# What the series of one sequence may differ in.
VARYING = re.compile(r"(?:pre|post|con|gd|gad|dyn|dce|ph|pass|contrast|native|unenhanced|with|wo?|min|sec|s|c|st|nd|rd|th|before|after|\W|\d|_)*")
T1 = re.compile(r"t1|fl3d|flash|vibe|spgr|lava")
# T1 series before and after contrast.
PHASES = 5
# Cosine of the angle between axes that count as the same.
PARALLEL = 0.99


def values(headers: pd.DataFrame, *, root: Path, table: Path | None) -> pd.DataFrame:
    """Values a file: its phase (see `phases`; a DICOM Segmentation that the table names: mask), and whether the table has a row for the patient.

    Raises:
        LookalikeError: see `lesions`; or a mask that is neither DICOM SEG nor NIfTI.
    """
    told = lesions(root=root, table=table)
    found = blank_values(headers.index)
    found["phase"] = phases(headers)
    found["table_row"] = headers["patient_id"].isin(told["patient"])
    by_path = dict(zip(headers["path"], headers.index, strict=True))
    for mask, line in told.loc[(told["mask"] != "") & ~told["mask"].str.endswith(NIFTI), ["mask", "line"]].itertuples(index=False):
        file = by_path.get(mask)
        # What cannot be read makes its exam incomplete, later.
        if file is None or (headers.at[file, "readable"] and headers.at[file, "modality"] != "SEG"):
            raise LookalikeError(
                "The mask is neither a DICOM Segmentation nor NIfTI", _line(root, table, line), "Name a file of one of these, or give a box."
            )
        found.at[file, "phase"] = "mask"
    return found


def lesions(*, root: Path, table: Path | None) -> pd.DataFrame:
    """The lesion table: `LESION_COLUMNS`, a row a lesion, as written (boxes 1-based and inclusive, -1 where there is a mask); patients without any have one
    row whose `lesion` is "". `line` is the row's line in the file.

    Raises:
        LookalikeError: no table, one without its columns, an unknown label, a box that is none, a lesion twice, or a mask that is outside root or not there.
    """
    path = _table(root, table)
    frame = read_table(path)
    columns_of(frame, ["patient", "lesion", "label", *(() if "mask" in frame else BOX)], table=path)
    cells = frame.reindex(columns=[name for name in LESION_COLUMNS if name != "line"], fill_value="")
    rows = [
        _lesion(dict(zip(cells.columns, row, strict=True)), root=root, where=f"{path}, line {line}") | {"line": line}
        for line, row in enumerate(cells.itertuples(index=False), start=2)
    ]
    return checked_lesions(pd.DataFrame(rows, columns=list(LESION_COLUMNS)), table=path)


def checked_lesions(told: pd.DataFrame, *, table: Path) -> pd.DataFrame:
    """The table itself, if it has rows and each lesion once.

    Raises:
        LookalikeError: it does not.
    """
    if told.empty:
        raise LookalikeError("The lesion table has a header and no rows", str(table), "Write a row a lesion, and one for each patient without any.")
    again = (told["lesion"] != "") & told.duplicated(["patient", "study", "lesion"])
    if again.any():
        line = told.loc[again, "line"].iloc[0]
        raise LookalikeError(
            "The lesion is there twice", f"{table}, line {line}", "Give each lesion of a patient a name of its own in the column `lesion`."
        )
    return told


def box(cells: Sequence[object], *, where: str) -> list[int]:
    """First and last row, column and slice as whole numbers, 1-based.

    Raises:
        LookalikeError: a cell is no such number, or a last one is before its first.
    """
    numbers = [int(float(str(cell))) if re.fullmatch(r"[1-9]\d*(?:\.0+)?", str(cell)) else 0 for cell in cells]
    if min(numbers) < 1 or any(first > last for first, last in zip(numbers[::2], numbers[1::2], strict=True)):
        raise LookalikeError(
            "The box is none: its six numbers must be whole, from 1, and no end before its start", where, f"Mend {', '.join(BOX)}, or name a mask."
        )
    return numbers


def _table(root: Path, table: Path | None) -> Path:
    return find_tables(root, table, ["lesions.csv"], data_set="lesions")[0]


def _line(root: Path, table: Path | None, line: int) -> str:
    return f"{_table(root, table)}, line {line}"


def _lesion(row: dict[str, str], *, root: Path, where: str) -> dict[str, object]:
    label = normal_label(row["label"])
    if not row["patient"]:
        raise LookalikeError("The row names no patient", where, "Write the PatientID of the headers.")
    if not row["lesion"] and label in ("", "normal") and (label or not row["label"]):
        return {**row, "label": "", "mask": "", "mask_value": 0, **dict.fromkeys(BOX, -1)}
    if not row["lesion"]:
        raise LookalikeError("The lesion has no name", where, "Write one in the column `lesion`, unique in the patient.")
    if label not in ("benign", "malignant"):
        raise LookalikeError(f"The label `{row['label']}` is not understood", where, "Write benign or malignant.")
    if (row["mask"] != "") == any(row[name] for name in BOX):
        raise LookalikeError("The lesion has neither mask nor box, or both", where, f"Fill either `mask` or {', '.join(BOX)}.")
    facts: dict[str, object] = {**row, "label": label, "mask_value": 0}
    if not row["mask"]:
        return facts | dict(zip(BOX, box([row[name] for name in BOX], where=where), strict=True))
    mask = posixpath.normpath(row["mask"].replace("\\", "/"))
    if mask.startswith(("/", "../")):
        raise LookalikeError("The mask's path leads out of the folder of raw images", where, "Write a path relative to `source.root`.")
    if not (root / mask).is_file():
        raise LookalikeError("The mask does not exist", where, "Write its path relative to `source.root`, with the extension.")
    if not re.fullmatch(r"(\d+(?:\.0+)?)?", row["mask_value"]):
        raise LookalikeError(
            f"The mask value `{row['mask_value']}` is not understood", where, "Write a segment number or voxel value, or nothing for all above 0."
        )
    return facts | {"mask": mask, "mask_value": int(float(row["mask_value"] or 0)), **dict.fromkeys(BOX, -1)}


def phases(headers: pd.DataFrame) -> pd.Series:
    """Phase of each file, study by study: t2, pre, post_1, post_2, ..., or "".

    What a SeriesDescription says of a T1 series (pre, post 1, 2nd pass, Ph3) counts; where no series of a study has a number, they are in order of time, and the
    first is pre (where only some headers name a contrast agent, those that do not). A series that has several files at each place is taken apart by
    TemporalPositionIdentifier, else by time. Of several T2 series those that run as the T1 series do count, and of these the one without fat suppression.
    Where there are more T1 series than H19's five, and the first is called by other words than the rest, it may be of another sequence: none is then named.
    """
    found = pd.Series("", index=headers.index)
    copies = headers["readable"] & (headers["sop_uid"] != "") & headers["sop_uid"].where(headers["readable"]).duplicated()
    used = headers[headers["modality"].isin(["MR", ""]) & ~copies & ~headers["image_type"].str.contains(OTHER_TYPES)]
    roles = used["series_description"].map(described)
    used = used.assign(role=roles, unit=used["series_uid"].where(used["series_uid"] != "", used["series_description"]))[roles != ""]
    studies = used["study_uid"].where(used["study_uid"] != "", used["patient_id"])
    for _, study in used.groupby(studies):
        t2 = study[study["role"] == "t2"]
        t1 = study[~study["role"].isin(["t2", "t1"])]
        if t1.empty:
            t1 = study[study["role"] == "t1"]
        if not t1.empty:
            found.loc[t1.index] = _dynamic(t1)
            if t2["unit"].nunique() > 1:
                t2 = t2[[parallel(plane, t1["orientation"].iloc[0]) for plane in t2["orientation"]]]
        if t2["unit"].nunique() > 1:
            plain = t2[~t2["series_description"].str.lower().str.contains(SUPPRESSED)]
            t2 = plain if plain["unit"].nunique() == 1 else t2
        found.loc[t2.index] = "t2"
    return found


def described(description: str) -> str:
    """What a SeriesDescription tells: t2, pre, post, post_3, phase_3 (a number that may count from the first of all), dynamic, t1, or "" (none of these)."""
    text = description.lower()
    if OTHER.search(text):
        return ""
    if T2.search(text):
        return "t2"
    if number := NUMBERED_POST.search(text):
        return f"post_{number[number.lastindex or 1]}"
    if number := NUMBERED.search(text):
        return f"phase_{number[1]}"
    pre, post = PRE.search(text), POST.search(text)
    if pre and not post:
        return "pre"
    if post and not pre:
        return "post"
    return "dynamic" if pre or DYNAMIC.search(text) else "t1" if T1.search(text) else ""


def parallel(plane: str, other: str) -> bool:
    """Whether two orientations (six cosines each, as text) have the same axes, whichever way they run; True where one is unknown."""
    if "" in (plane, other):
        return True
    first, second = (np.array(text.split("\\"), dtype=float).reshape(2, 3) for text in (plane, other))
    return bool((np.abs((first * second).sum(axis=1)) > PARALLEL).all())


def _dynamic(files: pd.DataFrame) -> pd.Series:
    """Phases of a study's T1 series before and after contrast."""
    slots = pd.concat([_slots(series) for _, series in files.groupby("unit")])
    several = slots.groupby(files["unit"]).transform("max") > 0
    # What a description says of a series cannot be said of each of its parts, but that all are after contrast.
    role = files["role"].mask(several & files["role"].str.startswith("post"), "post").mask(several & ~files["role"].str.startswith("post"), "dynamic")
    parts = (
        files.assign(slot=slots, role=role)
        .groupby(["unit", "slot"])
        .agg(
            role=("role", "first"),
            words=("series_description", "first"),
            acquired=("acquired", "min"),
            number=("series_number", "min"),
            contrast=("contrast", "any"),
        )
    )
    if parts["acquired"].isna().any():
        parts["acquired"] = math.nan
    parts = parts.sort_values(["acquired", "number", "slot"], kind="stable")
    named = _names(list(parts["role"]), list(parts["contrast"]))
    sequences = parts["words"].map(_sequence)
    first = sequences[[name == "pre" for name in named]]
    if len(named) > PHASES and not set(first) <= set(sequences[[name.startswith("post") for name in named]]):
        named = [""] * len(named)
    names = dict(zip(parts.index, named, strict=True))
    return pd.Series([names[key] for key in zip(files["unit"], slots[files.index], strict=True)], index=files.index)


def _sequence(description: str) -> str:
    """What names the sequence in a SeriesDescription, whichever phase it is of."""
    return "".join(part for part in re.split(r"[^a-z0-9]+", description.lower()) if not VARYING.fullmatch(part))


def _slots(series: pd.DataFrame) -> pd.Series:
    """Which of its phases each file of a series is in, 0 upwards; 0 for all where they cannot be told."""
    files = series.groupby("position").size()
    repeats = files.max()
    if repeats > 1 and "" not in files:
        for clock in ("temporal", "acquired"):
            times = series[clock]
            if times.notna().all() and (times.nunique() == repeats or (clock == "temporal" and times.nunique() > 1)):
                return times.rank(method="dense").astype(int) - 1
        if (files == repeats).all():
            return series.sort_values(["acquired", "instance"], kind="stable").groupby("position").cumcount()[series.index]
    return pd.Series(0, index=series.index)


def _names(roles: list[str], contrast: list[bool]) -> list[str]:
    """Phases of T1 series in order of time."""
    numbers = {role: int(role[-1]) for role in roles if "_" in role}
    if numbers:
        named_pre = "pre" in roles or "phase_0" in roles
        base = not named_pre and roles.count("dynamic") == 1
        first = 0 if named_pre or base or "post_1" in roles else 1
        names = {"pre": "pre", "dynamic": "pre" if base else ""}
        for role, number in numbers.items():
            place = number - first if role.startswith("phase") else number
            names[role] = f"post_{place}" if place else "pre"
        return [names.get(role, "") for role in roles]
    if "pre" in roles:
        before = [role == "pre" for role in roles]
    elif any(contrast) and not contrast[0]:
        before = [not given for given in contrast]
    else:
        before = [place == 0 and role != "post" for place, role in enumerate(roles)]
    after = np.cumsum(~np.array(before))
    return ["pre" if early else f"post_{place}" for early, place in zip(before, after, strict=True)]
