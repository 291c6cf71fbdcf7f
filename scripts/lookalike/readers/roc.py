"""Readers who say how sure they are: areas under their ROC curves, of readers who all saw the same images (readers and cases crossed)."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from lookalike.readers.yes_no import CHANCE
from lookalike.statistics import cluster_bootstrap, percentile_interval
from lookalike.utility.auc import Estimate, delong, label_aucs

_READERS, _CASES = range(2)


def reader_aucs(scores: NDArray, truth: NDArray) -> pd.DataFrame:
    """AUC of each reader with DeLong's 95 % interval and two-sided P value against 1/2: columns value, low, high, p, a row a reader.

    Interval and P are NaN where an AUC is 0 or 1, whose variance DeLong's formula takes to be 0.

    Args:
        scores: [R, N], higher for surer of truth 1.
        truth: 0 or 1 [N].
    """
    aucs, covariance = delong(truth, scores.T)
    variances = np.diag(covariance)
    errors = np.sqrt(np.where(variances > 1e-18, variances, np.nan))
    half = stats.norm.isf(0.025) * errors
    p = 2 * stats.norm.sf(np.abs(aucs - CHANCE) / errors)
    return pd.DataFrame({"value": aucs, "low": np.clip(aucs - half, 0, 1), "high": np.clip(aucs + half, 0, 1), "p": p})


def bootstrap_mean_auc(scores: NDArray, truth: NDArray, cases: ArrayLike, *, draws: int, seed: int) -> tuple[float, float]:
    """95 % interval of the readers' mean AUC, from readers and cases both drawn with replacement. It is for readers and cases like these, not for these readers.

    Args:
        scores: [R, N].
        truth: 0 or 1 [N].
        cases: [N] labels of what is drawn together: the patient, or of images that have none their number.
        draws: bootstrap samples.
        seed: of the bootstrap.
    """
    aucs = label_aucs(np.tile(truth, (len(scores), 1)).T, scores.T, _draw(cases, draws, seed, _CASES))
    weights = _draw(np.arange(len(scores)), draws, seed, _READERS)
    return percentile_interval((weights * aucs).sum(axis=1) / len(scores))


def _draw(groups: ArrayLike, draws: int, seed: int, kind: int) -> NDArray[np.int64]:
    return cluster_bootstrap(groups, draws=draws, seed=(seed, kind))


def obuchowski_rockette(scores: NDArray, truth: NDArray) -> Estimate:
    """The readers' mean AUC, with the interval and two-sided P value against 1/2 of Obuchowski and Rockette's (1995) model for readers and cases like these.

    One modality: the variance of the mean is that among readers plus the mean covariance of two readers' AUCs (DeLong's, not below 0), which they share by seeing the same
    cases; degrees of freedom are Hillis's (2007). Cases are taken as independent. Interval and P are NaN for fewer than two readers, or two images of a kind.

    Args:
        scores: [R, N].
        truth: 0 or 1 [N].
    """
    aucs, covariance = delong(truth, scores.T)
    readers = len(aucs)
    mean = float(aucs.mean())
    if readers < 2:
        return Estimate(mean, math.nan, math.nan, math.nan)
    among = float(aucs.var(ddof=1))
    shared = readers * float(np.maximum(0, (covariance.sum() - np.trace(covariance)) / (readers * (readers - 1))))
    if not among + shared >= 1e-18:  # NaN with a single image of a kind
        return Estimate(mean, math.nan, math.nan, math.nan)
    error = math.sqrt((among + shared) / readers)
    freedom = math.inf if among == 0 else (1 + shared / among) ** 2 * (readers - 1)
    half = float(stats.t.isf(0.025, freedom)) * error
    low, high = np.clip([mean - half, mean + half], 0, 1)
    return Estimate(mean, float(low), float(high), float(2 * stats.t.sf(abs(mean - CHANCE) / error, freedom)))
