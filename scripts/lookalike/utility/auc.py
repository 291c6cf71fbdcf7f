"""Areas under the ROC curve, their gaps and what is uncertain about them (D21, Methods).

Labels are [n] or [n, l]: 1 = present, 0 = absent; rows with any other value (unknown) take no part in that label. An AUC without rows of both
kinds is NaN. The AUC of several labels is the mean over those that have one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from lookalike.statistics import cluster_bootstrap, percentile_interval

_FIRST, _SECOND = range(2)
_CHUNK = 64
"""Bootstrap draws that are evaluated together, to bound memory."""


def label_aucs(labels: NDArray, scores: NDArray, weights: NDArray | None = None, *, flip: bool = False) -> NDArray[np.float64]:
    """AUC of each label: the share of pairs (present, absent) in which the present one scores higher, ties counting half. Exact.

    Args:
        labels: [n, l].
        scores: [n, l], of any scale.
        weights: [b, n] multiplicities of the rows, such as `cluster_bootstrap`'s; None = one row of ones.
        flip: an AUC below 0.5 becomes 1 - AUC, as in D21's code. It hides a classifier that has learnt the opposite.

    Returns:
        [b, l].
    """
    multiplicities = np.ones((1, len(labels)), dtype=np.int64) if weights is None else np.asarray(weights, dtype=np.int64)
    aucs = np.stack([_weighted_auc(labels[:, label], scores[:, label], multiplicities) for label in range(labels.shape[1])], axis=1)
    return np.maximum(aucs, 1 - aucs) if flip else aucs


def _weighted_auc(labels: NDArray, scores: NDArray, weights: NDArray[np.int64]) -> NDArray[np.float64]:
    """AUC [b] of one label."""
    known = np.flatnonzero((labels == 0) | (labels == 1))
    order = known[np.argsort(scores[known], kind="stable")]
    present = labels[order] == 1
    starts = np.flatnonzero(np.concatenate([[True], np.diff(scores[order]) != 0])) if order.size else np.empty(0, dtype=np.int64)
    aucs = np.full(len(weights), np.nan)
    if not present.any() or present.all():
        return aucs
    for start in range(0, len(weights), _CHUNK):
        sorted_weights = weights[start : start + _CHUNK, order]
        # weight of either kind at each distinct score
        positive = np.add.reduceat(np.where(present, sorted_weights, 0), starts, axis=1)
        negative = np.add.reduceat(np.where(present, 0, sorted_weights), starts, axis=1)
        # twice the pairs won: whole numbers, so that nothing is rounded before the division
        won = np.sum(positive * (2 * np.cumsum(negative, axis=1) - negative), axis=1)
        pairs = 2 * positive.sum(axis=1) * negative.sum(axis=1)
        aucs[start : start + _CHUNK] = np.where(pairs > 0, won / np.maximum(pairs, 1), np.nan)
    return aucs


def mean_auc(aucs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the labels (last axis) that have an AUC; NaN where none has."""
    defined = ~np.isnan(aucs)
    counts = defined.sum(axis=-1)
    return np.where(counts > 0, np.where(defined, aucs, 0.0).sum(axis=-1) / np.maximum(counts, 1), np.nan)


@dataclass(frozen=True)
class Scored:
    """What a classifier says of a test set."""

    labels: NDArray
    """[n, l]."""
    scores: NDArray
    """[n, l]."""
    groups: NDArray
    """[n] patients; for synthetic images, which have none, `np.arange(n)`."""


@dataclass(frozen=True)
class Gap:
    """AUC of the first minus that of the second, [l + 1]: each label's, and at the end their mean over the labels for which both have one."""

    first: NDArray[np.float64]
    second: NDArray[np.float64]
    value: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    """95 % interval, from resampled patients."""


def auc_gap(first: Scored, second: Scored, *, paired: bool, draws: int, seed: int, flip: bool = False) -> Gap:
    """The gap between two classifiers, or of one between two test sets, with its patient-clustered bootstrap interval.

    D21's delta is that of the real- and the synthetic-trained classifier on the real test images (paired); its delta-syn is that of the synthetic-trained one
    on synthetic and on real images (not paired). A draw in which a rare label has rows of one kind only has no gap for it, and its mean leaves it out.

    Args:
        first, second: of the same labels.
        paired: both are of the same images in the same order, which are then drawn together.
        draws: bootstrap samples.
        seed: of the bootstrap.
        flip: as in `label_aucs`.

    Raises:
        ValueError: paired sets have other labels or patients.
    """
    if paired and not (np.array_equal(first.labels, second.labels) and np.array_equal(first.groups, second.groups)):
        raise ValueError("paired test sets differ in their labels or patients")
    weights = cluster_bootstrap(first.groups, draws=draws, seed=(seed, _FIRST))
    others = weights if paired else cluster_bootstrap(second.groups, draws=draws, seed=(seed, _SECOND))
    one, other = label_aucs(first.labels, first.scores, flip=flip)[0], label_aucs(second.labels, second.scores, flip=flip)[0]
    both = np.isnan(one) | np.isnan(other)
    means = [mean_auc(np.where(both, np.nan, aucs)) for aucs in (one, other)]
    resampled = label_aucs(first.labels, first.scores, weights, flip=flip) - label_aucs(second.labels, second.scores, others, flip=flip)
    resampled = np.concatenate([resampled, mean_auc(resampled)[:, None]], axis=1)
    aucs = np.append(one, means[0]), np.append(other, means[1])
    low, high = np.array([percentile_interval(column) for column in resampled.T]).T
    return Gap(*aucs, aucs[0] - aucs[1], low, high)


def delong(labels: NDArray, scores: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """AUCs [k] of k scores [n, k] of the same rows with labels [n], and their covariance [k, k] (DeLong et al. 1988, by midranks: Sun and Xu 2014).

    Rows are taken as independent: several images of a patient make the variance too small (the bootstrap of `auc_gap` allows for them). The covariance is
    NaN where there are fewer than two rows of a kind, and 0 where an AUC is 0 or 1: it then says nothing.
    """
    positive, negative = scores[labels == 1], scores[labels == 0]
    m, n = len(positive), len(negative)
    k = scores.shape[1]
    if min(m, n) == 0:
        return np.full(k, np.nan), np.full((k, k), np.nan)
    ranks = stats.rankdata(np.concatenate([positive, negative]), axis=0)
    # of each row, the share of rows of the other kind that it is on the right side of
    won = (ranks[:m] - stats.rankdata(positive, axis=0)) / n
    lost = 1 - (ranks[m:] - stats.rankdata(negative, axis=0)) / m
    if min(m, n) == 1:
        return won.mean(axis=0), np.full((k, k), np.nan)
    return won.mean(axis=0), np.atleast_2d(np.cov(won.T)) / m + np.atleast_2d(np.cov(lost.T)) / n


@dataclass(frozen=True)
class Estimate:
    """A number with its normal 95 % interval and two-sided P value against 0."""

    value: float
    low: float
    high: float
    p: float


def delong_gap(labels: NDArray, first: NDArray, second: NDArray) -> Estimate:
    """AUC of scores `first` minus AUC of scores `second`, both [n] and of the same rows, by DeLong's covariance."""
    aucs, covariance = delong(labels, np.stack([first, second], axis=1))
    contrast = np.array([1.0, -1.0])
    value, variance = float(contrast @ aucs), float(contrast @ covariance @ contrast)
    # the variance of a difference that is the same in every row is 0 but for rounding
    spread = np.sqrt(variance) if variance > 1e-18 else float("nan")
    half = stats.norm.ppf(0.975) * spread
    return Estimate(value, float(value - half), float(value + half), float(2 * stats.norm.sf(abs(value) / spread)))


def mann_whitney_p(greater: ArrayLike, less: ArrayLike) -> float:
    """One-sided exact P value of the Mann-Whitney U test that `greater` [n] tends to exceed `less` [m] (D21: AUC gaps of seeds); NaN with a NaN.

    Exact with ties too, by counting the subsets of the midranks, which scipy's exact method takes as if there were none.
    """
    pooled = np.concatenate([np.asarray(greater, dtype=np.float64), np.asarray(less, dtype=np.float64)])
    size = np.size(greater)
    if np.isnan(pooled).any() or size in (0, pooled.size):
        return float("nan")
    doubled = np.rint(2 * stats.rankdata(pooled)).astype(np.int64)
    # subsets[k, s]: how many subsets of k values have doubled ranks that add up to s
    subsets = np.zeros((size + 1, doubled.sum() + 1))
    subsets[0, 0] = 1
    for rank in doubled:
        subsets[1:, rank:] += subsets[:-1, :-rank]
    return float(subsets[size, doubled[:size].sum() :].sum() / subsets[size].sum())
