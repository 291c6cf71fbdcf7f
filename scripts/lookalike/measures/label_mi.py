"""Mutual information between a measurement and the label real/synthetic: Ross's nearest-neighbour estimator (Ross 2014; K21, Table 2), in nats.

For point i of class x with N_x points, let d_i be the distance to its k-th nearest neighbour in its own class and m_i the number of other points, of
either class, within d_i (that neighbour included). Then MI = psi(N) + psi(k) - <psi(N_x)> - <psi(m_i)>, psi being the digamma function.

K21's second row, the average number of neighbours, is the digamma mean of m_i at the clipped MI, psi^-1(psi(N) + psi(k) - <psi(N_x)> - MI): it
says the same as the first row. The arithmetic mean of m_i, about 2k where the classes are alike, is given beside it.

Ties (quantised images): values are standardised and distances that differ by less than 1e-12 standard deviations are equal, so that ties survive
rounding. Every tied point within d_i counts. Where more than k points of a class have one value d_i is 0, and m_i counts the other points of that value.
No noise is added: the same data give the same number, always. Many ties push the estimate down, below 0 even where the classes differ.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.special import digamma, polygamma

from lookalike.statistics import Seed, permutation_p

TIE = 1e-12
"""Distances closer than this, in standard deviations, are equal."""


@dataclass(frozen=True)
class RossEstimate:
    """What Ross's estimator says of two samples; all NaN where a class has no more than k points or a value is not finite."""

    mi: float
    """Mutual information with the label, nats, clipped at 0 (as K21 prints it)."""
    mi_unclipped: float
    """The same before clipping: about 0 on average where the classes are alike, so it may be negative."""
    neighbours_digamma: float
    """psi^-1 of the mean that belongs to `mi` (K21, Table 2, second row)."""
    neighbours_arithmetic: float
    """Arithmetic mean of m_i (K21's note: six at perfect overlap)."""
    p: float
    """Share of label permutations with at least this `mi_unclipped`; NaN without permutations."""


def inverse_digamma(value: float) -> float:
    """The x > 0 with digamma(x) = value, by Newton's method from Minka's start (Minka 2000, appendix C)."""
    x = float(np.exp(value) + 0.5) if value >= -2.22 else -1.0 / (value - float(digamma(1.0)))
    for _ in range(8):
        x -= float((digamma(x) - value) / polygamma(1, x))
    return x


def digamma_constant(real: int, synthetic: int, *, neighbours: int = 3) -> float:
    """psi(N) + psi(k) - <psi(N_x)>, of which the mean digamma of the neighbour counts is subtracted to give MI."""
    total = real + synthetic
    return float(digamma(total) + digamma(neighbours) - (real * digamma(real) + synthetic * digamma(synthetic)) / total)


def label_mi(
    real: NDArray[np.floating], synthetic: NDArray[np.floating], *, neighbours: int = 3, permutations: int = 0, seed: Seed = 0
) -> RossEstimate:
    """Ross's estimate for real [n] or [n, d] and synthetic [m] or [m, d] measurements; d > 1 uses Euclidean distances between standardised columns.

    The P value permutes labels between images, which takes the images as exchangeable: repeated images of a patient make it too small.
    """
    points = np.concatenate([np.asarray(real, dtype=np.float64), np.asarray(synthetic, dtype=np.float64)])
    labels = np.arange(len(points)) < len(real)
    if min(len(real), len(synthetic)) <= neighbours or not np.isfinite(points).all():
        return RossEstimate(*[float("nan")] * 5)
    points = _standardise(points)
    constant = digamma_constant(len(real), len(synthetic), neighbours=neighbours)
    if points.ndim == 1:
        order = np.argsort(points, kind="stable")
        points, labels = points[order], labels[order]
        count = _counts_line
    else:
        count = _counts_space
    # psi of a count is read from a table: the permutations need it millions of times
    table = np.concatenate([[np.nan], digamma(np.arange(1, len(points) + 1))])
    counts = count(points, labels, neighbours)
    unclipped = constant - float(table[counts].mean())
    mi = max(unclipped, 0.0)
    p = float("nan")
    if permutations:
        generator = np.random.default_rng(seed)
        null = [constant - float(table[count(points, generator.permutation(labels), neighbours)].mean()) for _ in range(permutations)]
        p = permutation_p(unclipped, null)
    return RossEstimate(mi, unclipped, inverse_digamma(constant - mi), float(counts.mean()), p)


def _standardise(points: NDArray[np.float64]) -> NDArray[np.float64]:
    centred = points - points.mean(axis=0)
    spread = np.asarray(centred.std(axis=0))
    # a column without spread carries only rounding: all its points are tied
    flat = spread <= TIE * np.abs(points).max(axis=0)
    return np.where(flat, 0.0, centred / np.where(flat, 1.0, spread))


def _counts_line(points: NDArray[np.float64], labels: NDArray[np.bool_], k: int) -> NDArray[np.int64]:
    """m_i of sorted points on a line, those of the first class first.

    The k nearest neighbours of a point are, with it, k + 1 consecutive points of its class: d_i is the least reach of those k + 1 windows.
    """
    counts = []
    for inside in (labels, ~labels):
        values = points[inside]
        size = values.size
        padded = np.concatenate([np.full(k, -np.inf), values, np.full(k, np.inf)])
        distance = np.full(size, np.inf)
        for shift in range(k + 1):
            left, right = padded[k - shift : k - shift + size], padded[2 * k - shift : 2 * k - shift + size]
            np.minimum(distance, np.maximum(values - left, right - values), out=distance)
        distance += TIE
        counts.append(np.searchsorted(points, values + distance, side="right") - np.searchsorted(points, values - distance, side="left") - 1)
    return np.concatenate(counts)


def _counts_space(points: NDArray[np.float64], labels: NDArray[np.bool_], k: int) -> NDArray[np.int64]:
    """m_i of points [n, d], those of the first class first."""
    everyone = cKDTree(points)
    counts = []
    for inside in (labels, ~labels):
        values = points[inside]
        distance = cKDTree(values).query(values, k=[k + 1])[0][:, 0]
        counts.append(everyone.query_ball_point(values, distance + TIE, return_length=True) - 1)
    return np.concatenate(counts)
