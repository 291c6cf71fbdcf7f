"""H19's patches in numbers, and what the paper prints of its classes, in the long form in which measures are compared."""

from __future__ import annotations

import pandas as pd

from lookalike.measures.classes import PIXELS
from lookalike.utility.benchmark import COLUMNS

CLASSES = ("benign", "malignant", "normal")
ALL = "all"
SPLITS = ("train", "validation", "test")


def patch_counts(cohort: pd.DataFrame) -> pd.DataFrame:
    """Lesions, patches and patients: a row a class, and `all`; columns class, lesions, patches, patients, train, validation, test (patches). NaN for lesions
    where there are none to count.

    A lesion is counted once an exam, in however many slices it has a patch.

    Args:
        cohort: a row a patch: patient, study, lesion, label and split.
    """
    findings = cohort[cohort["label"] != CLASSES[-1]]
    rows = []
    for name in (*CLASSES, ALL):
        own, lesions = (table if name == ALL else table[table["label"] == name] for table in (cohort, findings))
        counts = {split: int((own["split"] == split).sum()) for split in SPLITS}
        number = float("nan") if name == CLASSES[-1] else len(lesions[["patient", "study", "lesion"]].drop_duplicates())
        rows.append({"class": name, "lesions": number, "patches": len(own), "patients": own["patient"].nunique(), **counts})
    return pd.DataFrame(rows)


def encoder_of(classes: pd.DataFrame) -> str:
    """Name of the features in which the classes were compared, other than pixels."""
    return str(classes.loc[classes["features"] != PIXELS, "features"].iloc[0])


def with_spread(classes: pd.DataFrame) -> pd.DataFrame:
    """The classes without the intervals and standard deviations of draws that are all equal: where every draw has all images there is no spread to tell of.

    Args:
        classes: a row a generator, class, measure and features (`measures.classes.compare_classes`).
    """
    masked = classes.copy()
    masked.loc[classes["low"] == classes["high"], ["sd", "low", "high"]] = float("nan")
    masked.loc[classes["control_low"] == classes["control_high"], ["control_low", "control_high"]] = float("nan")
    return masked


def patch_measures(classes: pd.DataFrame, counts: pd.DataFrame) -> pd.DataFrame:
    """Columns `benchmark.COLUMNS`, NaN where a number has no meaning.

    - `frechet`, `nn_real` and `nn_fake`, definition = features: first = class, second = generator; intervals as of `with_spread`. The ceiling is the control of held-out real images. The ratio
      is the Frechet distance's alone: 1-NN accuracies are best at one half.
    - `lesions`, `patches` and `patients`: first = class, or `all`.

    Args:
        classes: a row a generator, class, measure and features (`measures.classes.compare_classes`).
        counts: as `patch_counts` gives them.
    """
    columns = {"features": "definition", "class": "first", "generator": "second"}
    ends = {"control": "ceiling", "control_low": "ceiling_low", "control_high": "ceiling_high"}
    measured = with_spread(classes).rename(columns={**columns, **ends})
    measured["ratio"] = (measured["matched"] / measured["ceiling"]).where(measured["measure"] == "frechet")
    counted = counts.melt(id_vars="class", value_vars=["lesions", "patches", "patients"], var_name="measure").rename(columns={"class": "first"})
    frame = pd.concat([measured.reindex(columns=list(COLUMNS)), counted.reindex(columns=list(COLUMNS))], ignore_index=True)
    return frame.fillna({"definition": "", "second": ""})
