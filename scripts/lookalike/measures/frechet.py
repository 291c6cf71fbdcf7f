"""Frechet distance and kernel distance between feature matrices (D21, Methods; Heusel et al. 2017; Binkowski et al. 2018), float64.

Only with the Inception network's features are they the FID and KID of the literature: their names come from `frechet_name` and `kernel_name`.

The Frechet distance is biased upwards by about c / n, so that numbers from differently many images cannot be compared; `extrapolate` gives the limit of
infinitely many (Chong and Forsyth 2020). The kernel distance is unbiased.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import linalg

from lookalike.statistics import percentile_interval

INCEPTION = "Inception"
FRACTIONS = (1 / 2, 2 / 3, 1.0)
"""Shares of the images that the 1 / n fit is made of. From a half up, the spread over random subsets is about that of sampling the whole: for a
subset of half the images they are equal, Var(half - all) = Var(all)."""
_BLOCK = 1024
"""Images on a side of a kernel matrix that is held at once."""


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
    apart = np.sum((a.mean(axis=0) - b.mean(axis=0)) ** 2)
    # rows whose products are the covariances: x'x = S, y'y = T
    x, y = ((rows - rows.mean(axis=0)) / np.sqrt(len(rows) - 1) for rows in (a, b))
    # the trace of (S T)^(1/2) is the sum of the singular values of x y', which is small where there are few images, and of the roots of the eigenvalues of
    # S^(1/2) T S^(1/2)
    if min(len(x), len(y)) < x.shape[1]:
        shared = linalg.svdvals(x @ y.T, overwrite_a=True).sum()
    else:
        values, vectors = linalg.eigh(x.T @ x, overwrite_a=True)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        shared = np.sqrt(np.maximum(linalg.eigvalsh(root.T @ (y.T @ y) @ root, overwrite_a=True), 0.0)).sum()
    return float(max(apart + np.sum(x**2) + np.sum(y**2) - 2 * shared, 0.0))


def kernel_distance(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """Unbiased squared maximum mean discrepancy of feature matrices [n, d] and [m, d] under the kernel (x.y / d + 1)^3, from all pairs of rows.

    About 0, and as often below as above, where the sets are alike. NaN where a set has fewer than two rows or a feature is not finite.
    """
    x, y = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if not _sound(x, y):
        return float("nan")

    def total(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
        """Sum of the kernel over all pairs of rows."""
        starts = [(i, j) for i in range(0, len(a), _BLOCK) for j in range(0, len(b), _BLOCK)]
        return float(sum(((a[i : i + _BLOCK] @ b[j : j + _BLOCK].T / a.shape[1] + 1) ** 3).sum() for i, j in starts))

    def within(a: NDArray[np.float64]) -> float:
        """Mean of the kernel over pairs of different rows."""
        own = np.sum((np.sum(a**2, axis=1) / a.shape[1] + 1) ** 3)
        return (total(a, a) - float(own)) / (len(a) * (len(a) - 1))

    return within(x) + within(y) - 2 * total(x, y) / (len(x) * len(y))


@dataclass(frozen=True)
class Extrapolation:
    """A Frechet distance and its limit for infinitely many images."""

    distance: float
    """From all images."""
    value: float
    """The limit; may be below 0, by its error, where the sets are alike."""
    low: float
    high: float
    """95 % interval of the limit, from random nested subsets."""
    smallest: int
    """Images in the smallest subset of the smaller set. The line is straight only where these are several times more than the features."""


def extrapolate(
    first: NDArray[np.floating], second: NDArray[np.floating], *, first_groups: ArrayLike, second_groups: ArrayLike, draws: int, seed: int
) -> Extrapolation:
    """The Frechet distance of feature matrices [n, d] and [m, d] fitted as a + b / n on nested random subsets of both; the limit is a.

    Args:
        first_groups, second_groups: [n] and [m] labels (patients) whose rows stay together in the subsets, but for one group at the cut: images of a patient
            are alike, so that their bias falls with the number of patients. Rows of their own: `np.arange(n)`.
        draws: nestings; each fits a line of its own, and `value` is the mean of the limits.
        seed: of the nestings; each has a random stream of its own.
    """
    whole = frechet_distance(first, second)
    limits = np.empty(draws)
    for draw in range(draws):
        generator = np.random.default_rng([seed, draw])
        one, other = first[_grouped_order(first_groups, generator)], second[_grouped_order(second_groups, generator)]
        distances = [frechet_distance(one[: _share(one, part)], other[: _share(other, part)]) for part in FRACTIONS[:-1]]
        limits[draw] = np.polynomial.polynomial.polyfit(1 / np.array(FRACTIONS), [*distances, whole], 1)[0]
    low, high = percentile_interval(limits)
    return Extrapolation(whole, float(limits.mean()), low, high, min(_share(first, FRACTIONS[0]), _share(second, FRACTIONS[0])))


def _share(rows: NDArray, part: float) -> int:
    return round(len(rows) * part)


def _grouped_order(groups: ArrayLike, generator: np.random.Generator) -> NDArray[np.int64]:
    """A random order of rows in which groups stay together."""
    names, codes = np.unique(np.asarray(groups), return_inverse=True)
    return np.lexsort((generator.random(len(codes)), generator.permutation(len(names))[codes]))


def _sound(first: NDArray[np.float64], second: NDArray[np.float64]) -> bool:
    return min(len(first), len(second)) >= 2 and bool(np.isfinite(first).all() and np.isfinite(second).all())
