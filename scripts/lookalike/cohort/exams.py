"""From files of breast MR to exams, lesions and patches: which series belong together, and whether they make a whole exam.

An exam is a study of a patient with all six of `exclude.PHASES`, whose T1 series have one grid. Nothing is mended: an exam with anything missing or doubtful is
quarantined, with all its files of a phase, and the detail says what. Details are published, so they hold numbers and words of ours alone.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lookalike.cohort.adapters.breast_mr import BOX, parallel
from lookalike.cohort.exclude import PHASES, apply_header_rules
from lookalike.cohort.header import normal_manufacturer
from lookalike.cohort.identity import hash_identity
from lookalike.cohort.index import ADAPTERS, Column
from lookalike.cohort.ledger import COHORT_COLUMNS, INCOMPLETE, warn_of_few_patients
from lookalike.config import Exclude
from lookalike.errors import LookalikeError

log = logging.getLogger("lookalike")

EXAM_COLUMNS: dict[str, Column] = {
    "row_id": Column("int64", "Row of the index."),
    "path": Column("str", "Path relative to the source's root. Private."),
    "exam": Column("str", "16 hex digits: keyed hash of the study, of the patient where no study is known."),
    "patient": Column("str", "16 hex digits, keyed hash."),
    "phase": Column("str", "t2, pre, post_1, post_2, post_3, post_4 or mask."),
    "slice": Column("int64", "Place along the normal of the phase's slices, 0 upwards; -1 for a mask."),
    "part": Column("int64", "Scatter part; -1 = not dealt yet."),
}
LESION_COLUMNS: dict[str, Column] = {
    "exam": Column("str", "As of the exams."),
    "lesion": Column("int64", "Number in the exam, 0 upwards."),
    "label": Column("str", "benign or malignant."),
    "mask": Column("str", 'Path relative to the source\'s root, "" where there is a box. Private.'),
    "mask_value": Column("int64", "Segment number or voxel value, 0 = all above 0."),
    **{
        name: Column("int64", f"The box's {name.replace('_', ' ')}, 0-based, inclusive, in pixels and slices of pre; -1 where there is a mask.")
        for name in BOX
    },
}
PATCH_COLUMNS: dict[str, Column] = {
    **COHORT_COLUMNS,
    "exam": Column("str", "16 hex digits, keyed hash."),
    "lesion": Column("int64", "Number of the lesion in the exam, -1 for normal tissue."),
    "slice": Column("int64", "Slice of the resampled exam."),
    "bordered": Column("bool", "The patch reaches beyond the image."),
}
# Scanners write positions and cosines with few digits.
TOLERANCE_MM = 0.1
TOLERANCE = 1e-3


def group_exams(
    index: pd.DataFrame, exclude: Exclude, *, root: Path, adapter: str, table: Path | None, key: bytes, t2_from: Literal["t2", "t1"] = "t2"
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Every file's decision, the files of complete exams, and their lesions.

    Args:
        index: index table.
        exclude: with the rules not_mr and no_phase.
        root, adapter, table, key: as of `index.build_index`.
        t2_from: phase that is taken for t2.

    Returns:
        Decisions (row_id, image, decision, rule, detail; rows as in `index`): kept, excluded by a header rule, or quarantined as unreadable or incomplete_exam.
        Exams (`EXAM_COLUMNS`) by exam, phase and slice. Lesions (`LESION_COLUMNS`) by exam, in the order of the lesion table.

    Raises:
        LookalikeError: the rules or the adapter are not for exams, the lesion table is wrong, or no exam is complete.
    """
    missing = {"not_mr", "no_phase"} - set(exclude.header_rules)
    if missing:
        raise LookalikeError(
            f"Exams cannot be grouped without the rule `{min(missing)}`", "cohorts.*.exclude.header_rules", "List both not_mr and no_phase."
        )
    read = ADAPTERS[adapter].lesions
    if read is None:
        known = ", ".join(name for name, how in ADAPTERS.items() if how.lesions is not None)
        raise LookalikeError(f"The adapter `{adapter}` tells no lesions", "cohorts.*.source.adapter", f"Set it to one that does: {known}.")
    if t2_from != "t2":
        index = index.assign(phase=index["phase"].replace({"t2": "", t2_from: "t2"}))
    decisions = apply_header_rules(index, exclude).drop(columns="uid_group")
    files = index.assign(exam=index["study"].where(index["study"] != "", index["patient"]))
    told = _place_lesions(read(root=root, table=table), files, key=key)

    problems: dict[str, str] = {}
    whole, found = [], []
    for exam, series in files[files["phase"].isin(PHASES)].groupby("exam", sort=True):
        rows = told[told["exam"] == exam]
        lesions = rows[rows["lesion"] != ""]
        masks = files[files["path"].isin(lesions["mask"])]
        problem = _unfit(series, masks, known=len(rows) > 0)
        stacks = {}
        if not problem:
            stacks = {phase: _sorted(group) for phase, group in series.groupby("phase")}
            boxes, problem = _boxes(lesions, stacks["pre"])
        problems[str(exam)] = problem
        if not problem:
            stacked = [stacks[phase].assign(slice=range(len(stacks[phase]))) for phase in PHASES]
            whole += [*stacked, masks.assign(exam=exam, phase="mask", slice=-1)]
            found.append(lesions.assign(exam=exam, lesion=range(len(lesions)), **dict(zip(BOX, boxes.T, strict=True))))

    of_mask = dict(zip(told["mask"], told["exam"].map(problems).fillna("no exam of its patient"), strict=True))  # of several the last
    detail = files["exam"].map(problems).where(files["phase"] != "mask", files["path"].map(of_mask))
    candidate = decisions["decision"] == "candidate"
    incomplete = candidate & (detail != "").to_numpy()
    decisions.loc[candidate, "decision"] = "kept"
    decisions.loc[incomplete, ["decision", "rule"]] = ["quarantined", INCOMPLETE]
    decisions.loc[incomplete, "detail"] = detail[incomplete]
    _report(problems, decisions)
    exams = pd.concat(whole).assign(part=-1)
    return decisions, _typed(exams, EXAM_COLUMNS), _typed(pd.concat(found), LESION_COLUMNS)


def quarantine_uncut(decisions: pd.DataFrame, exams: pd.DataFrame, features: pd.DataFrame, *, maximum_quarantined: float = 1.0) -> pd.DataFrame:
    """Final decisions: all files of an exam that could not be read are quarantined as undecodable. Lesions without a patch are counted in the log.

    Args:
        decisions, exams: what `group_exams` gave.
        features: a row a patch; and one with a `problem` for each lesion without, and for each exam that could not be read (its `label` is "").
        maximum_quarantined: largest fraction of all files that may be unreadable or undecodable.

    Raises:
        LookalikeError: too many files are quarantined.
    """
    unread = features[features["problem"] != ""]
    lost = unread.loc[unread["label"] != "", "problem"].value_counts()
    if len(lost):
        log.warning("%d lesions have no patch, most often: %s", lost.sum(), "; ".join(f"{count} x {why}" for why, count in lost.head(3).items()))
    problems = unread[unread["label"] == ""].groupby("exam")["problem"].first()
    broken = exams[exams["exam"].isin(problems.index)].set_index("row_id")["exam"].map(problems)
    decisions = decisions.copy()
    rows = decisions["row_id"].isin(broken.index)
    decisions.loc[rows, ["decision", "rule"]] = ["quarantined", "undecodable"]
    decisions.loc[rows, "detail"] = decisions.loc[rows, "row_id"].map(broken)
    quarantined = decisions["rule"].isin(["unreadable", "undecodable"])
    if quarantined.sum() > maximum_quarantined * len(decisions):
        raise LookalikeError(
            f"{quarantined.sum()} of {len(decisions)} files are unreadable or cannot be decoded, allowed are {maximum_quarantined:.1%}; "
            f"most often: {decisions.loc[quarantined, 'detail'].value_counts().index[0]}",
            "patch features",
            "Mend the files, or raise `source.maximum_quarantined`.",
        )
    return decisions


def lesion_ledger(features: pd.DataFrame) -> pd.DataFrame:
    """Every lesion of the exams that were cut, and why it has no patch where it has none: exam, lesion, label, patches, problem."""
    lesions = features[features["lesion"] >= 0]
    return (
        lesions.assign(cut=lesions["problem"] == "")
        .groupby(["exam", "lesion", "label"], as_index=False)
        .agg(patches=("cut", "sum"), problem=("problem", "max"))
    )


def select_patches(
    index: pd.DataFrame, decisions: pd.DataFrame, exams: pd.DataFrame, features: pd.DataFrame, splits: Mapping[str, str]
) -> pd.DataFrame:
    """The cohort: `PATCH_COLUMNS`, a row a patch of the exams kept, in the order of the store. A cohort too small to compare logs a warning.

    Args:
        index: index table.
        decisions: final decisions (`quarantine_uncut`).
        exams, features: as of `quarantine_uncut`.
        splits: split a patient.

    Raises:
        LookalikeError: there is no patch.
    """
    kept = decisions.loc[decisions["decision"] == "kept", "row_id"]
    first = exams[(exams["phase"] == "pre") & (exams["slice"] == 0) & exams["row_id"].isin(kept)][["row_id", "exam"]].merge(index, on="row_id")
    facts = first[["exam", "patient", "study", "laterality", "density", "manufacturer", "age", "rows", "columns"]]
    table = features[features["problem"] == ""].sort_values(["part", "row"]).merge(facts, on="exam")
    if table.empty:
        raise LookalikeError(
            "No patch is left in the cohort", "cohort ledger", "Look into exclusions.csv for what was removed, or raise `patches.normal`."
        )
    table["findings"] = table["label"].mask(table["label"] == "normal", "no_finding")
    table["manufacturer"] = table["manufacturer"].map(normal_manufacturer)
    table = table.assign(image=table["patch"], view="", split=table["patient"].map(splits), bordered=table["flagged_border"])
    warn_of_few_patients(table)
    return _typed(table, PATCH_COLUMNS)


def _typed(table: pd.DataFrame, columns: Mapping[str, Column]) -> pd.DataFrame:
    return table[list(columns)].astype({name: column.dtype for name, column in columns.items()}).reset_index(drop=True)


def _place_lesions(told: pd.DataFrame, files: pd.DataFrame, *, key: bytes) -> pd.DataFrame:
    """The lesion table with the exam of each row; "" where the tree has none.

    Raises:
        LookalikeError: a row names no study, and its patient has several; or no row has an exam.
    """
    used = files[files["phase"].isin(PHASES)]
    of_patient = used.groupby("patient")["exam"].unique()
    exams = []
    for patient, study, line in told[["patient", "study", "line"]].itertuples(index=False):
        those = set(of_patient.get(hash_identity(key, "patient", patient), ()))
        if study:
            those &= {hash_identity(key, "study", study)}
        if len(those) > 1:
            raise LookalikeError(
                f"The patient has {len(those)} studies, and the row names none",
                f"the lesion table, line {line}",
                "Write the StudyInstanceUID in the column `study`.",
            )
        exams.append(next(iter(those), ""))
    if not any(exams) and len(used):
        raise LookalikeError(
            f"None of the {len(told)} rows of the lesion table fits any patient and study of the files",
            "source.table",
            "Check `source.root`, and that the table's patients are the PatientIDs of these files.",
        )
    lost = exams.count("")
    if lost:
        log.warning("%d of %d rows of the lesion table have no exam", lost, len(exams))
    return told.assign(exam=exams)


def _unfit(series: pd.DataFrame, masks: pd.DataFrame, *, known: bool) -> str:
    """Why the files of the phases of a study make no exam, "" where they do."""
    for phase in PHASES:
        if not series.loc[series["phase"] == phase, "readable"].all():
            return f"a file of {phase} is unreadable"
    absent = [phase for phase in PHASES if phase not in set(series["phase"])]
    if absent:
        return "no " + ", ".join(absent)
    if not known:
        return "no row in the lesion table"
    if not masks["readable"].all():
        return "a mask is unreadable"
    if series["patient"].nunique() > 1:
        return "files of several patients"
    groups = {phase: series[series["phase"] == phase] for phase in PHASES}
    problems = (_no_stack(phase, files) for phase, files in groups.items())
    return next(filter(None, problems), "") or _not_together({phase: _sorted(files) for phase, files in groups.items()})


def _no_stack(phase: str, files: pd.DataFrame) -> str:
    """Why the files of a phase are no stack of slices, "" where they are."""
    number = files["series"].nunique()
    if number > 1:
        times = files.groupby("series")["acquired"].min()
        return f"{number} series of {phase}" + (" that differ in time" if times.nunique() > 1 else "")
    if (files["position"] == "").any() or (files["orientation"] == "").any():
        return f"files of {phase} have no position or orientation"
    if files[["rows", "columns"]].nunique().max() > 1 or np.ptp(files["spacing_mm"]) > TOLERANCE or files["rows"].min() < 1:
        return f"files of {phase} differ in size"
    planes = _numbers(files["orientation"])
    if np.ptp(planes, axis=0).max() > TOLERANCE:
        return f"files of {phase} differ in orientation"
    if len(files) < 2:
        return f"{phase} has one slice"
    places = _numbers(_sorted(files)["position"])
    gaps = np.diff(places @ _normal(planes))
    step = gaps.min()
    if step < TOLERANCE_MM:
        return f"files of {phase} are at the same place"
    if gaps.max() - step > TOLERANCE_MM:
        lost = int(np.rint(gaps / step).sum()) - len(gaps)
        return f"slices of {phase} are not evenly spaced" + (f": {lost} of {len(files) + lost} missing" if lost else "")
    line = np.linspace(places[0], places[-1], len(places))
    return f"slices of {phase} are not in one line" if np.abs(places - line).max() > TOLERANCE_MM else ""


def _not_together(stacks: Mapping[str, pd.DataFrame]) -> str:
    """Why sorted stacks are not of one exam, "" where they are."""
    pre = stacks["pre"]
    before = "pre"
    for phase in PHASES[2:]:
        post = stacks[phase]
        if len(post) != len(pre):
            return f"different number of slices: {len(pre)} of pre, {len(post)} of {phase}"
        sizes = [f"{stack['rows'].iloc[0]} x {stack['columns'].iloc[0]}" for stack in (pre, post)]
        if sizes[0] != sizes[1]:
            return f"different matrix: pre is {sizes[0]}, {phase} {sizes[1]}"
        if _differ(post["spacing_mm"], pre["spacing_mm"], TOLERANCE):
            return f"different pixel spacing of pre and {phase}"
        if _differ(_numbers(post["orientation"]), _numbers(pre["orientation"]), TOLERANCE):
            return f"different orientation of pre and {phase}"
        if _differ(_numbers(post["position"]), _numbers(pre["position"]), TOLERANCE_MM):
            return f"{phase} is not where pre is"
        if post["acquired"].min() < stacks[before]["acquired"].min():
            return f"{phase} is earlier than {before}"
        before = phase
    return "" if parallel(stacks["t2"]["orientation"].iloc[0], pre["orientation"].iloc[0]) else "different orientation of pre and t2"


def _boxes(lesions: pd.DataFrame, pre: pd.DataFrame) -> tuple[NDArray[np.int64], str]:
    """Boxes [n, 6] in the order of `BOX`, 0-based, slices along the normal; and why they do not fit the sorted stack, "" where they do."""
    boxes = lesions[list(BOX)].to_numpy(dtype=np.int64)
    boxed = boxes[:, 0] > 0
    if not boxed.any():
        return boxes, ""
    limits = (int(pre["rows"].iloc[0]), int(pre["columns"].iloc[0]), len(pre))
    for axis, limit in zip(("row", "column", "slice"), limits, strict=True):
        highest = lesions[f"end_{axis}"].max()
        if highest > limit:
            return boxes, f"the box of a lesion ends at {axis} {highest} of {limit}"
    steps = np.diff(pre["instance"])
    if not ((steps > 0).all() or (steps < 0).all()):
        return boxes, "files of pre are not numbered in the order of their slices"
    boxes[boxed] -= 1
    if steps[0] < 0:
        boxes[boxed, 4:] = len(pre) - 1 - boxes[boxed, 5:3:-1]
    return boxes, ""


def _report(problems: Mapping[str, str], decisions: pd.DataFrame) -> None:
    """Log how many exams are complete.

    Raises:
        LookalikeError: none is.
    """
    reasons = pd.Series([problem for problem in problems.values() if problem], dtype=object).value_counts()
    if len(problems) > reasons.sum():
        if len(reasons):
            most = "; ".join(f"{count} x {reason}" for reason, count in reasons.head(3).items())
            log.warning("%d of %d exams are incomplete, most often: %s", reasons.sum(), len(problems), most)
        return
    if problems:
        what, why = f"None of {len(problems)} exams is complete; most often: {reasons.index[0]}", "Complete them, or check `source.adapter`."
    else:
        rule = decisions["rule"].value_counts().index[0]
        what, why = (
            f"No file is of a phase of an exam; `{rule}` removed most",
            "Check `source.root` and `source.adapter`, and what the series are called.",
        )
    raise LookalikeError(what, "cohort ledger", why)


def _sorted(files: pd.DataFrame) -> pd.DataFrame:
    """Files of a phase along the normal of their slices."""
    height = _numbers(files["position"]) @ _normal(_numbers(files["orientation"]))
    return files.iloc[np.argsort(height, kind="stable")]


def _normal(planes: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.cross(planes[0, :3], planes[0, 3:])


def _numbers(texts: pd.Series) -> NDArray[np.float64]:
    return np.array([text.split("\\") for text in texts], dtype=np.float64)


def _differ(values: pd.Series | NDArray[np.float64], others: pd.Series | NDArray[np.float64], tolerance: float) -> bool:
    return bool(np.nanmax(np.abs(np.asarray(values) - np.asarray(others)), initial=0) > tolerance)
