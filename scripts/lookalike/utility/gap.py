"""The AUC gap: how much worse a classifier is for having learnt from synthetic images (D21, Methods).

Predictions are tables with a row a test image: image, patient, `of` (real = of the real test split, own = of the test split of the set that the
classifier learnt from), `is_<label>` as in tables with labels, `score_<label>` and backbone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lookalike.cohort.labels import PREFIX, label_matrix
from lookalike.errors import LookalikeError
from lookalike.utility.auc import Gap, Scored, auc_gap, delong_gap, label_aucs

SCORE = "score_"


def predictions(table: pd.DataFrame, scores: NDArray[np.floating], *, of: str, backbone: str) -> pd.DataFrame:
    """A classifier's scores [n, l] of the images of a table with labels, as a table of predictions."""
    names, _ = label_matrix(table)
    columns = {SCORE + name: column for name, column in zip(names, scores.T, strict=True)}
    kept = table[["image", "patient", *(PREFIX + name for name in names)]]
    return kept.assign(**columns, of=of, backbone=backbone).reset_index(drop=True)


def tabulate_gap(real: pd.DataFrame, synthetic: pd.DataFrame, ceiling: pd.DataFrame, *, draws: int, seed: int, flip: bool) -> pd.DataFrame:
    """The gap of each label and, first, of their mean.

    Intervals are those of other test patients, for these very classifiers; what training anew would change is not in them, but shows in the ceiling.

    Args:
        real: predictions of the classifier that learnt from real images.
        synthetic: of the one that learnt from synthetic images.
        ceiling: of another one that learnt from the same real images: its gap is what mere repetition makes.
        draws, seed: of the bootstrap by patient.
        flip: an AUC below 0.5 becomes 1 - AUC.

    Returns:
        label ("mean", then the labels), auc_real, auc_synthetic, gap, gap_low, gap_high (bootstrap), delong_low, delong_high, delong_p (NaN for the mean;
        they take images as independent), ceiling, ceiling_low, ceiling_high, auc_own (the synthetic-trained classifier on synthetic test images),
        delta_synthetic, delta_synthetic_low, delta_synthetic_high (auc_own - auc_synthetic), n_test (images with a known label), n_present, n_patients,
        backbone.

    Raises:
        LookalikeError: the predictions are not of the same real test images and labels.
    """
    names = label_matrix(synthetic)[0]
    tested = [table[table["of"] == "real"] for table in (real, synthetic, ceiling)]
    if any(label_matrix(table)[0] != names or table["image"].tolist() != tested[0]["image"].tolist() for table in tested):
        raise LookalikeError(
            "The classifiers were not tested on the same real images and labels",
            "predictions of real- and synthetic-trained classifiers",
            "Train them on sets of one cohort or setting.",
        )
    at_real, at_synthetic, at_ceiling = (_scored(table, names, table["patient"].to_numpy()) for table in tested)
    own = synthetic[synthetic["of"] == "own"]
    at_own = _scored(own, names, np.arange(len(own)))
    gap, repeated = (auc_gap(at_real, other, paired=True, draws=draws, seed=seed, flip=flip) for other in (at_synthetic, at_ceiling))
    unseen = auc_gap(at_own, at_synthetic, paired=False, draws=draws, seed=seed, flip=flip)
    known = (at_real.labels == 0) | (at_real.labels == 1)
    table = pd.DataFrame(
        {
            "label": [*names, "mean"],
            "auc_real": gap.first,
            "auc_synthetic": gap.second,
            **_with_interval("gap", gap),
            **_delong(at_real, at_synthetic, flip=flip),
            **_with_interval("ceiling", repeated),
            "auc_own": unseen.first,
            **_with_interval("delta_synthetic", unseen),
            "n_test": [*known.sum(axis=0), len(known)],
            "n_present": [*(at_real.labels == 1).sum(axis=0), (at_real.labels == 1).any(axis=1).sum()],
            "n_patients": [*(np.unique(at_real.groups[column]).size for column in known.T), np.unique(at_real.groups).size],
            "backbone": synthetic["backbone"].iloc[0],
        }
    )
    return table.iloc[[-1, *range(len(names))]].reset_index(drop=True)


def _scored(table: pd.DataFrame, names: Sequence[str], groups: NDArray) -> Scored:
    return Scored(label_matrix(table)[1], table[[SCORE + name for name in names]].to_numpy(dtype=np.float64), groups)


def _with_interval(name: str, gap: Gap) -> dict[str, NDArray[np.float64]]:
    return {name: gap.value, f"{name}_low": gap.low, f"{name}_high": gap.high}


def _delong(real: Scored, synthetic: Scored, *, flip: bool) -> dict[str, list[float]]:
    turned = [np.where(label_aucs(each.labels, each.scores)[0] < 0.5, -1, 1) if flip else 1 for each in (real, synthetic)]
    first, second = (each.scores * sign for each, sign in zip((real, synthetic), turned, strict=True))
    estimates = [delong_gap(*columns) for columns in zip(real.labels.T, first.T, second.T, strict=True)]
    return {f"delong_{key}": [*(getattr(estimate, key) for estimate in estimates), float("nan")] for key in ("low", "high", "p")}
