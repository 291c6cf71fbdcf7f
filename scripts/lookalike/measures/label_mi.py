"""Mutual information between a measurement and the label real/synthetic: Ross's nearest-neighbour estimator (Ross 2014; K21, Table 2), in nats.

For point i of class x with N_x points, let d_i be the distance to its k-th nearest neighbour in its own class and m_i the number of other points, of
either class, within d_i (that neighbour included). Then MI = psi(N) + psi(k) - <psi(N_x)> - <psi(m_i)>, psi being the digamma function.

K21's second row, the average number of neighbours, is the digamma mean of m_i at the clipped MI, psi^-1(psi(N) + psi(k) - <psi(N_x)> - MI): it
says the same as the first row. The arithmetic mean of m_i, about 2k where the classes are alike, is given beside it.

Ties (quantised or collapsed images): where several points of the own class lie at d_i, psi(k) is replaced by psi(k_i), k_i being the number of other points
of the own class within d_i, d_i = 0 included (after Gao et al. 2017); without ties k_i is k. Ross's formula as it stands would count tied points in m_i
alone and call a generator that makes one image over and over perfect. Values are standardised and distances that differ by less than 1e-12
standard deviations are equal, so that ties survive rounding. No noise is added: the same data give the same number, always.

The attainable maximum is the entropy of the label, ln 2 with classes of one size and less otherwise (.451 with 200 and 1000 images). K21 has equal classes,
and numbers of different maxima cannot be compared, so `equal_label_mi` draws the larger class down to the size of the smaller one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.special import digamma, zeta

from lookalike.statistics import Seed, permutation_p, subsample

TIE = 1e-12
"""Distances closer than this, in standard deviations, are equal."""
SUBSAMPLES = 21
"""Subsamples of the larger class; odd, so that the median MI is that of one of them."""
_STREAM = 4
"""Keeps the random numbers of the subsamples apart from those that other users of one seed draw (0 to 3 in `compare`)."""


@dataclass(frozen=True)
class RossEstimate:
    """What Ross's estimator says of two samples; all NaN where a class has no more than k points or a value is not finite."""

    mi: float
    """Mutual information with the label, nats, clipped at 0 (as K21 prints it) and at the label's entropy, ln 2 for equal classes."""
    mi_unclipped: float
    """The same before clipping: about 0 on average where the classes are alike, so it may be negative."""
    neighbours_digamma: float
    """psi^-1 of the mean that belongs to `mi` (K21, Table 2, second row); never below k, for `mi` is clipped."""
    neighbours_arithmetic: float
    """Arithmetic mean of m_i (K21's note: six at perfect overlap)."""
    p: float
    """Share of label permutations with at least this `mi_unclipped`; NaN without permutations."""


@dataclass(frozen=True)
class EqualEstimate:
    """Ross's estimator with equal classes."""

    estimate: RossEstimate
    """Medians over the subsamples of the unclipped MI, clipped only then, and of the arithmetic mean; no P value."""
    real: NDArray[np.bool_]
    """[n] real images of the subsample with the median MI: all, where they are no more than the synthetic ones."""
    synthetic: NDArray[np.bool_]
    """[m] synthetic images of that subsample."""
    size: int
    """Images a class."""
    subsamples: int
    """How many there were; 1 where the classes are equal as they are."""


def inverse_digamma(value: float) -> float:
    """The x > 0 with digamma(x) = value, by Newton's method from Minka's start (Minka 2000, appendix C)."""
    x = float(np.exp(value) + 0.5) if value >= -2.22 else -1.0 / (value - float(digamma(1.0)))
    for _ in range(8):
        x -= float((digamma(x) - value) / zeta(2, x))  # the trigamma function
    return x


def digamma_constant(real: int, synthetic: int, *, neighbours: int = 3) -> float:
    """psi(N) + psi(k) - <psi(N_x)>, of which the mean digamma of the neighbour counts is subtracted to give MI."""
    total = real + synthetic
    return float(digamma(total) + digamma(neighbours) - (real * digamma(real) + synthetic * digamma(synthetic)) / total)


def label_entropy(real: int, synthetic: int) -> float:
    """Entropy of the label of so many images, nats: what MI with it is at most."""
    shares = np.array([real, synthetic]) / (real + synthetic)
    return float(-np.sum(shares * np.log(shares)))


def neighbours_of(mi: float, real: int, synthetic: int, *, neighbours: int = 3) -> float:
    """The digamma mean of the neighbour counts that belongs to an MI (K21, Table 2, second row)."""
    return inverse_digamma(digamma_constant(real, synthetic, neighbours=neighbours) - mi)


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
    table = _digammas(len(points))

    def estimate(labels: NDArray[np.bool_]) -> tuple[float, float]:
        own, every = count(points, labels, neighbours)
        return constant - float(digamma(neighbours)) + float(np.mean(table[own] - table[every])), float(every.mean())

    unclipped, arithmetic = estimate(labels)
    mi = min(max(unclipped, 0.0), label_entropy(len(real), len(synthetic)))
    p = float("nan")
    if permutations:
        generator = np.random.default_rng(seed)
        p = permutation_p(unclipped, [estimate(generator.permutation(labels))[0] for _ in range(permutations)])
    return RossEstimate(mi, unclipped, inverse_digamma(constant - mi), arithmetic, p)


def equal_label_mi(
    real: NDArray[np.floating], synthetic: NDArray[np.floating], *, neighbours: int = 3, subsamples: int = SUBSAMPLES, seed: int = 0
) -> EqualEstimate:
    """As `label_mi`, for classes of one size: the larger one is drawn down, at random and image by image, `subsamples` times.

    The medians have less noise of the drawing than any one subsample. One seed draws the same images whatever was measured of them.
    """
    size = min(len(real), len(synthetic))
    draws = 1 if len(real) == len(synthetic) else subsamples
    # only the larger class is drawn from: the smaller one is whole in each
    rows, others = (subsample(np.ones((draws, len(points)), dtype=np.bool_), size, seed=(seed, _STREAM)) for points in (real, synthetic))
    estimates = [label_mi(real[mine], synthetic[theirs], neighbours=neighbours) for mine, theirs in zip(rows, others, strict=True)]
    values = np.array([estimate.mi_unclipped for estimate in estimates])
    unclipped = float(np.median(values))
    if np.isnan(unclipped):
        return EqualEstimate(RossEstimate(*[float("nan")] * 5), rows[0], others[0], size, draws)
    middle = int(np.argmin(np.abs(values - unclipped)))
    mi = min(max(unclipped, 0.0), label_entropy(size, size))
    arithmetic = float(np.median([estimate.neighbours_arithmetic for estimate in estimates]))
    median = RossEstimate(mi, unclipped, neighbours_of(mi, size, size, neighbours=neighbours), arithmetic, float("nan"))
    return EqualEstimate(median, rows[middle], others[middle], size, draws)


@lru_cache(maxsize=4)
def _digammas(size: int) -> NDArray[np.float64]:
    """psi of 0 to size, NaN at 0: permutations and resamples need it millions of times."""
    return np.concatenate([[np.nan], digamma(np.arange(1, size + 1))])


def _standardise(points: NDArray[np.float64]) -> NDArray[np.float64]:
    centred = points - points.mean(axis=0)
    spread = np.asarray(centred.std(axis=0))
    # a column without spread carries only rounding: all its points are tied
    flat = spread <= TIE * np.abs(points).max(axis=0)
    return np.where(flat, 0.0, centred / np.where(flat, 1.0, spread))


def _counts_line(points: NDArray[np.float64], labels: NDArray[np.bool_], k: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """k_i and m_i of sorted points on a line, those of the first class first."""
    own, every = [], []
    for inside in (labels, ~labels):
        values = points[inside]
        distance = _distance_line(values, k)
        low, high = values - distance - TIE, values + distance + TIE
        within = np.full(values.size, k, dtype=np.int64)
        tied = _distance_line(values, k + 1) <= distance + TIE
        within[tied] = np.searchsorted(values, high[tied], side="right") - np.searchsorted(values, low[tied], side="left") - 1
        own.append(within)
        every.append(np.searchsorted(points, high, side="right") - np.searchsorted(points, low, side="left") - 1)
    return np.concatenate(own), np.concatenate(every)


def _distance_line(values: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """Distance of each of sorted values to its k-th nearest other one; infinite where there are fewer.

    The k nearest neighbours of a point are, with it, k + 1 consecutive points: the distance is the least reach of those k + 1 windows.
    """
    size = values.size
    padded = np.concatenate([np.full(k, -np.inf), values, np.full(k, np.inf)])
    distance = np.full(size, np.inf)
    for shift in range(k + 1):
        left, right = padded[k - shift : k - shift + size], padded[2 * k - shift : 2 * k - shift + size]
        np.minimum(distance, np.maximum(values - left, right - values), out=distance)
    return distance


def _counts_space(points: NDArray[np.float64], labels: NDArray[np.bool_], k: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """k_i and m_i of points [n, d], those of the first class first."""
    everyone = cKDTree(points)
    own, every = [], []
    for inside in (labels, ~labels):
        values = points[inside]
        tree = cKDTree(values)
        # a class of k + 1 points has no (k + 2)th: its distance is infinite
        distance, beyond = tree.query(values, k=[k + 1, k + 2])[0].T
        within = np.full(len(values), k, dtype=np.int64)
        tied = beyond <= distance + TIE
        within[tied] = tree.query_ball_point(values[tied], distance[tied] + TIE, return_length=True) - 1
        own.append(within)
        every.append(everyone.query_ball_point(values, distance + TIE, return_length=True) - 1)
    return np.concatenate(own), np.concatenate(every)
