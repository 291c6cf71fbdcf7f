"""Do the channels of a breast MR patch belong together? Contrast enhancement of real and synthetic lesions by class, which H19 does not measure.

Patches have the channels T2, T1 before contrast (pre), four times after it (post 1 to 4) and the subtraction, post 1 - pre. Kinetic features are those that
readers assess (Kuhl et al. 1999; the BI-RADS lexicon): malignant lesions tend to rise fast and to wash out, benign ones go on rising.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lookalike.pixels.patches import CHANNELS, TOP
from lookalike.statistics import Seed, cluster_bootstrap, percentile_interval

TIMES = CHANNELS[1:6]
"""The T1 series: before contrast and four times after."""
UNITS = {"initial_rise": "share of pre", "washout": "share of post 1", "consistency": "of 0 to 1023", "auc": ""}
SETS = ("real_train", "real_test", "synthetic")
_FLOOR = 0.01 * TOP
"""A signal that another is divided by counts as no smaller: ratios to noise around 0 would rule the means."""
_BLOCK = 256
"""Patches in memory at once."""


@dataclass(frozen=True)
class Patches:
    """Patches of several classes."""

    images: Any
    """[n, 7, H, W] as stored, uint8 or uint16: an array, or whatever gives one for a slice, such as a store's level."""
    classes: NDArray
    """[n]: benign, malignant, normal; of synthetic patches, what was asked for."""
    patients: NDArray
    """[n]; of synthetic patches, which have none, `np.arange(n)`."""


@dataclass(frozen=True)
class Enhancement:
    """What contrast does in the middle of patches."""

    curves: NDArray[np.float64]
    """[n, 5] mean signal at TIMES, 0 to 1023, in the disc around the middle with an eighth of the patch's side as its radius."""
    consistency: NDArray[np.float64]
    """[n] mean of |subtraction - (post 1 - pre)| over all pixels, in units of 0 to 1023. Of real patches no more than rounding: 0.01 at 16 bits, 2 at 8."""

    @property
    def kinetics(self) -> NDArray[np.float64]:
        """[n, 2] initial rise, (post 1 - pre) / pre, and washout, (post 4 - post 1) / post 1 (below 0 where the signal falls)."""
        pre, first, last = self.curves[:, 0], self.curves[:, 1], self.curves[:, 4]
        return np.stack([(first - pre) / np.maximum(pre, _FLOOR), (last - first) / np.maximum(first, _FLOOR)], axis=1)


def measure_enhancement(images: Any) -> Enhancement:
    """Curves and consistency of stored patches [n, 7, H, W].

    A lesion's centre of mass is in the middle of its patch. The disc needs no mask, which synthetic patches have none of, and does not go after bright
    pixels, whose rise would be too large by choice; of a lesion smaller than the disc it dilutes the rise, in real and synthetic patches alike.
    """
    shape = images.shape[-2:]
    rows, columns = (np.arange(size) - size // 2 for size in shape)  # the pixel that patches are centred on
    disc = np.hypot(rows[:, None], columns[None]) <= max(min(shape) / 8, 1)
    curves, consistency = np.empty((len(images), len(TIMES))), np.empty(len(images))
    for start in range(0, len(images), _BLOCK):
        stored = images[start : start + _BLOCK]
        share = stored / np.float64(np.iinfo(stored.dtype).max)
        dynamic = TOP * share[:, 1:6]
        curves[start : start + _BLOCK] = dynamic[..., disc].mean(axis=-1)
        subtraction = TOP * (2 * share[:, 6] - 1)
        consistency[start : start + _BLOCK] = np.abs(subtraction - (dynamic[:, 1] - dynamic[:, 0])).mean(axis=(1, 2))
    return Enhancement(curves, consistency)


def tabulate_enhancement(
    training: Patches, held_out: Patches, synthetic: Mapping[str, Patches], *, draws: int, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Enhancement of real and synthetic patches by class, and whether their curves tell malignant from benign.

    `auc` is that of a logistic regression on the two kinetic features, fitted to the real training patches: on real test patches the ceiling, on synthetic
    ones how far their curves follow the class that was asked for. It has no row of the patches that it was fitted to, and none at all where these are not of both.

    Args:
        training, held_out: real patches, of different patients.
        synthetic: by generator.
        draws: bootstrap samples, of patients or of synthetic patches, behind the 95 % intervals.
        seed: of the bootstrap.

    Returns:
        generator ("" for real), set (SETS), class ("" for auc), measure (UNITS), value (mean over patches), low, high, control (the same of real_test), n,
        patients (NaN for synthetic), unit; and the curves: generator, set, class, time (0 to 4, TIMES), mean, low, high, n. A class that a set lacks has
        n = 0 and no value.
    """
    sets = [
        ("", "real_train", training),
        ("", "real_test", held_out),
        *((generator, "synthetic", patches) for generator, patches in synthetic.items()),
    ]
    measured = [measure_enhancement(patches.images) for _, _, patches in sets]
    classifier = _fit(measured[0].kinetics, training.classes)
    rows: list[dict[str, Any]] = []
    curves: list[dict[str, Any]] = []
    for (generator, name, patches), enhancement in zip(sets, measured, strict=True):
        about, stream = {"generator": generator, "set": name}, SETS.index(name)
        values = np.column_stack([enhancement.kinetics, enhancement.consistency, enhancement.curves])
        for index, kind in enumerate(("benign", "malignant", "normal")):
            of = patches.classes == kind
            counts = {"n": int(of.sum()), "patients": np.nan if name == "synthetic" else np.unique(patches.patients[of]).size}
            means = _means(values[of], patches.patients[of], draws=draws, seed=(seed, stream, index))
            for measure, (value, low, high) in zip(("initial_rise", "washout", "consistency"), means[:3], strict=True):
                rows.append(about | {"class": kind, "measure": measure, "value": value, "low": low, "high": high, **counts})
            for time, (mean, low, high) in enumerate(means[3:]):
                curves.append(about | {"class": kind, "time": time, "mean": mean, "low": low, "high": high, "n": counts["n"]})
        if name != "real_train" and classifier is not None:
            lesions = np.isin(patches.classes, ("benign", "malignant"))
            scores, groups = classifier.decision_function(enhancement.kinetics)[lesions], patches.patients[lesions]
            value, low, high = _auc(patches.classes[lesions] == "malignant", scores, groups, draws=draws, seed=(seed, stream))
            counts = {"n": int(lesions.sum()), "patients": np.nan if name == "synthetic" else np.unique(groups).size}
            rows.append(about | {"class": "", "measure": "auc", "value": value, "low": low, "high": high, **counts})
    table = pd.DataFrame(rows)
    control = table[table["set"] == "real_test"].set_index(["class", "measure"])["value"].rename("control")
    table = table.join(control, on=["class", "measure"]).assign(unit=table["measure"].map(UNITS))
    return table[["generator", "set", "class", "measure", "value", "low", "high", "control", "n", "patients", "unit"]], pd.DataFrame(curves)


def _fit(kinetics: NDArray[np.float64], classes: NDArray) -> Any:
    """Classifier of malignant against benign; None where one of them is not there to learn from."""
    lesions = np.isin(classes, ("benign", "malignant"))
    if np.unique(classes[lesions]).size < 2:
        return None
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(kinetics[lesions], classes[lesions] == "malignant")


def _means(values: NDArray[np.float64], patients: NDArray, *, draws: int, seed: Seed) -> list[tuple[float, float, float]]:
    """Means over rows of values [n, k], with their 95 % intervals from resampled patients."""
    if not len(values):
        return [(np.nan, np.nan, np.nan)] * values.shape[1]
    _, codes, sizes = np.unique(patients, return_inverse=True, return_counts=True)
    sums = np.zeros((len(sizes), values.shape[1]))
    np.add.at(sums, codes, values)
    weights = cluster_bootstrap(np.arange(len(sizes)), draws=draws, seed=seed)
    resampled = (weights @ sums) / (weights @ sizes)[:, None]
    return [(float(mean), *percentile_interval(column)) for mean, column in zip(values.mean(axis=0), resampled.T, strict=True)]


def _auc(malignant: NDArray[np.bool_], scores: NDArray[np.float64], patients: NDArray, *, draws: int, seed: Seed) -> tuple[float, float, float]:
    """AUC with its 95 % interval from resampled patients; NaN where a class is lacking."""

    def auc(weights: NDArray[np.int64]) -> float:
        there = weights > 0
        if np.unique(malignant[there]).size < 2:
            return float("nan")
        return float(roc_auc_score(malignant[there], scores[there], sample_weight=weights[there]))

    resampled = [auc(weights) for weights in cluster_bootstrap(patients, draws=draws, seed=seed)] if len(patients) else []
    return auc(np.ones(len(scores), dtype=np.int64)), *percentile_interval(resampled)
