"""Frechet distance and kernel distance between feature matrices (D21, Methods; Heusel et al. 2017; Binkowski et al. 2018), float64.

Only with the Inception network's features are they the FID and KID of the literature: their names come from `frechet_name` and `kernel_name`.

The Frechet distance is biased upwards by about c / n, so that numbers from differently many images cannot be compared; `extrapolate` gives the limit of
infinitely many (Chong and Forsyth 2020). The kernel distance is unbiased.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import linalg

from lookalike.statistics import Seed, centred_interval, cluster_bootstrap, disjoint_halves, percentile_interval, subsample

INCEPTION = "Inception"
FRACTIONS = (1 / 2, 2 / 3, 1.0)
"""Shares of the images that the 1 / n fit is made of. From a half up, the spread over random subsets is about that of sampling the whole: for a
subset of half the images they are equal, Var(half - all) = Var(all)."""
_BLOCK = 1024
"""Images on a side of a kernel matrix that is held at once."""
COLUMNS = (
    *("measure", "name", "features", "value", "low", "high", "extrapolated", "extrapolated_low", "extrapolated_high"),
    *("ceiling", "ceiling_low", "ceiling_high", "matched", "n_real", "n_synthetic", "note"),
)
_REAL, _SYNTHETIC, _NESTED = range(3)


def frechet_name(features: str) -> str:
    """What the Frechet distance of these features is called."""
    return "FID" if features == INCEPTION else f"Frechet distance ({features})"


def kernel_name(features: str) -> str:
    """What the kernel distance of these features is called."""
    return "KID" if features == INCEPTION else f"kernel distance ({features})"


def frechet_distance(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """Squared Frechet distance between the Gaussians that fit two feature matrices [n, d] and [m, d]: |mu - nu|^2 + tr(S + T - 2 (S T)^(1/2)).

    In the square of the features' unit; 0 for identical sets. NaN where a set has fewer than two rows or a feature is not finite.
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if not _sound(a, b):
        return float("nan")
    means = a.mean(axis=0), b.mean(axis=0)
    apart = np.sum((means[0] - means[1]) ** 2)
    # rows whose products are the covariances: x'x = S, y'y = T
    x, y = ((rows - mean) / np.sqrt(len(rows) - 1) for rows, mean in zip((a, b), means, strict=True))
    # the trace of (S T)^(1/2) is the sum of the singular values of x y', which is small where there are few images, and of the roots of the eigenvalues of
    # L' T L with S = L L'
    if min(len(x), len(y)) < x.shape[1]:
        shared = linalg.svdvals(x @ y.T, overwrite_a=True).sum()
    else:
        s, t = x.T @ x, y.T @ y
        factor, singular = linalg.lapack.dpotrf(s, lower=1)
        if singular:
            # with pivots, and without what lies beyond the rank, which is rounding
            factor, pivots, rank, _ = linalg.lapack.dpstrf(s, lower=1)
            factor[:, rank:] = 0
            t = t[np.ix_(pivots - 1, pivots - 1)]
        product, _ = linalg.lapack.dsygst(t, factor, itype=2, lower=1)
        shared = np.sqrt(np.maximum(linalg.eigvalsh(product, overwrite_a=True, driver="evd"), 0.0)).sum()
    return float(max(apart + np.vdot(x, x) + np.vdot(y, y) - 2 * shared, 0.0))


def kernel_distance(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """Unbiased squared maximum mean discrepancy of feature matrices [n, d] and [m, d] under the kernel (x.y / d + 1)^3, from all pairs of rows.

    About 0, and as often below as above, where the sets are alike. NaN where a set has fewer than two rows or a feature is not finite.
    """
    return float(kernel_distances(first, second, np.ones((1, len(first))), np.ones((1, len(second))))[0])


def kernel_distances(first: NDArray[np.floating], second: NDArray[np.floating], weights: NDArray, others: NDArray) -> NDArray[np.float64]:
    """`kernel_distance` of resampled sets.

    Args:
        first, second: feature matrices [n, d] and [m, d].
        weights, others: multiplicities [b, n] and [b, m] of their rows; a row makes no pair with its own copies.

    Returns:
        [b]; NaN where fewer than two rows of a set are left.
    """
    x, y = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    v, w = np.asarray(weights, dtype=np.float64), np.asarray(others, dtype=np.float64)
    if not _sound(x, y):
        return np.full(len(v), np.nan)

    def total(a: NDArray[np.float64], b: NDArray[np.float64], s: NDArray[np.float64], t: NDArray[np.float64]) -> NDArray[np.float64]:
        """Weighted sums of the kernel over all pairs of rows."""
        sums = np.zeros(len(s))
        for i in range(0, len(a), _BLOCK):
            for j in range(0, len(b), _BLOCK):
                kernel = (a[i : i + _BLOCK] @ b[j : j + _BLOCK].T / a.shape[1] + 1) ** 3
                sums += np.einsum("bj,bj->b", s[:, i : i + _BLOCK] @ kernel, t[:, j : j + _BLOCK])
        return sums

    def within(a: NDArray[np.float64], s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Weighted mean of the kernel over pairs of different rows."""
        own = s**2 @ (np.sum(a**2, axis=1) / a.shape[1] + 1) ** 3
        pairs = s.sum(axis=1) ** 2 - (s**2).sum(axis=1)
        return np.divide(total(a, a, s, s) - own, pairs, out=np.full(len(s), np.nan), where=pairs > 0)

    return within(x, v) + within(y, w) - 2 * total(x, y, v, w) / np.maximum(v.sum(axis=1) * w.sum(axis=1), 1)


@dataclass(frozen=True)
class Extrapolation:
    """A Frechet distance and its limit for infinitely many images."""

    distance: float
    """From all images."""
    distance_low: float
    distance_high: float
    """95 % interval of the distance at this number of images: the spread of its halves, which is about its own (see FRACTIONS)."""
    value: float
    """The limit; may be below 0, by its error, where the sets are alike."""
    low: float
    high: float
    """95 % interval of the limit, from random nested subsets."""
    smallest: int
    """Images in the smallest subset of the smaller set. The line is straight only where these are several times more than the features."""


def extrapolate(
    first: NDArray[np.floating], second: NDArray[np.floating], *, first_groups: ArrayLike, second_groups: ArrayLike, draws: int, seed: Seed
) -> Extrapolation:
    """The Frechet distance of feature matrices [n, d] and [m, d] fitted as a + b / n on nested random subsets of both; the limit is a.

    Args:
        first_groups, second_groups: [n] and [m] labels (patients) whose rows stay together in the subsets, but for one group at the cut: images of a patient
            are alike, so that their bias falls with the number of patients. Rows of their own: `np.arange(n)`.
        draws: nestings; each fits a line of its own, and `value` is the mean of the limits.
        seed: of the nestings; each has a random stream of its own.
    """
    whole = frechet_distance(first, second)
    limits, halves = np.empty(draws), np.empty(draws)
    for draw in range(draws):
        generator = np.random.default_rng([*(seed if isinstance(seed, tuple) else (seed,)), draw])
        one, other = first[_grouped_order(first_groups, generator)], second[_grouped_order(second_groups, generator)]
        distances = [frechet_distance(one[: _share(one, part)], other[: _share(other, part)]) for part in FRACTIONS[:-1]]
        halves[draw] = distances[0]
        limits[draw] = np.polynomial.polynomial.polyfit(1 / np.array(FRACTIONS), [*distances, whole], 1)[0]
    smallest = min(_share(first, FRACTIONS[0]), _share(second, FRACTIONS[0]))
    return Extrapolation(whole, *centred_interval(whole, halves, bounds=(0, np.inf)), float(limits.mean()), *percentile_interval(limits), smallest)


def compare_features(
    real: NDArray[np.floating], patients: ArrayLike, synthetic: NDArray[np.floating], *, features: str, splits: int, bootstrap: int, seed: int
) -> pd.DataFrame:
    """Both distances between real and synthetic images, and what they are between real images.

    The ceiling is the distance between two halves of the real images, of different patients; `matched` is that of as many synthetic images from the
    first half. Only these two are of equally many images, and so only their ratio says how much of the distance is not for want of images.

    Args:
        real: features [n, d].
        patients: [n].
        synthetic: features [m, d].
        features: what they are called (`frechet_name`).
        splits: halvings and nestings.
        bootstrap: resamples of patients and of synthetic images behind the kernel distance's interval.
        seed: of all of them.

    Returns:
        Rows `frechet` and `kernel`: measure, name, features, value, low, high, extrapolated, extrapolated_low, extrapolated_high, ceiling, ceiling_low,
        ceiling_high, matched, n_real, n_synthetic, note.
    """
    groups, others = np.asarray(patients), np.arange(len(synthetic))
    limit = extrapolate(real, synthetic, first_groups=groups, second_groups=others, draws=splits, seed=(seed, _NESTED))
    draws = kernel_distances(
        real,
        synthetic,
        cluster_bootstrap(groups, draws=bootstrap, seed=(seed, _REAL)),
        cluster_bootstrap(others, draws=bootstrap, seed=(seed, _SYNTHETIC)),
    )
    kernel = kernel_distance(real, synthetic)
    first, second, matched = _equal_halves(groups, len(synthetic), draws=splits, seed=seed)

    def frechets(other: NDArray[np.floating], rows: NDArray[np.bool_]) -> NDArray[np.float64]:
        return np.array([frechet_distance(real[half], other[more]) for half, more in zip(first, rows, strict=True)])

    smallest, width = limit.smallest, real.shape[1]
    few = "" if smallest > 2 * width else f"extrapolated from {smallest} to {2 * smallest} images in {width} dimensions: too few for a straight line"
    nowhere = (float("nan"),) * 3  # the kernel distance has no bias to be extrapolated away
    frechet = [limit.distance, limit.distance_low, limit.distance_high, limit.value, limit.low, limit.high]
    frechet += _summary(frechets(real, second), frechets(synthetic, matched))
    unbiased = [kernel, *centred_interval(kernel, draws), *nowhere]
    unbiased += _summary(kernel_distances(real, real, first, second), kernel_distances(real, synthetic, first, matched))
    sizes = len(real), len(synthetic)
    rows = [("frechet", frechet_name(features), features, *frechet, *sizes, few), ("kernel", kernel_name(features), features, *unbiased, *sizes, "")]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _summary(ceiling: NDArray[np.float64], matched: NDArray[np.float64]) -> tuple[float, float, float, float]:
    """Median and interval of the ceiling, and the median of what is held against it."""
    middle, other = (percentile_interval(values, confidence=0.0)[0] for values in (ceiling, matched))
    return middle, *percentile_interval(ceiling), other


def _equal_halves(patients: NDArray, synthetic: int, *, draws: int, seed: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Rows of half the patients' real images, of the other half's and of synthetic images, [draws, n], [draws, n] and [draws, m], equally many in a draw;
    none of a single patient."""
    if np.unique(patients).size < 2:
        empty = np.zeros((draws, len(patients)), dtype=np.bool_)
        return empty, empty, np.zeros((draws, synthetic), dtype=np.bool_)
    halves = disjoint_halves(patients, draws=draws, seed=(seed, _REAL))
    sizes = np.minimum(np.minimum(halves.sum(axis=1), (~halves).sum(axis=1)), synthetic)
    everything = np.ones((draws, synthetic), dtype=np.bool_)
    return (
        subsample(halves, sizes, seed=(seed, _REAL, 0)),
        subsample(~halves, sizes, seed=(seed, _REAL, 1)),
        subsample(everything, sizes, seed=(seed, _SYNTHETIC)),
    )


def _share(rows: NDArray, part: float) -> int:
    return round(len(rows) * part)


def _grouped_order(groups: ArrayLike, generator: np.random.Generator) -> NDArray[np.int64]:
    """A random order of rows in which groups stay together."""
    names, codes = np.unique(np.asarray(groups), return_inverse=True)
    return np.lexsort((generator.random(len(codes)), generator.permutation(len(names))[codes]))


def _sound(first: NDArray[np.float64], second: NDArray[np.float64]) -> bool:
    # one value that is not finite makes the sum of its column so
    return min(len(first), len(second)) >= 2 and all(bool(np.isfinite(rows.sum(axis=0)).all()) for rows in (first, second))
