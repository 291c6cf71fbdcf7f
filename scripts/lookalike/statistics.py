"""Intervals, resampling by patient and permutation P values: pure functions on arrays, float64.

Images of one patient are alike, so every resampling of real images draws patients, never images. Each draw has a random stream of its own, seeded by the
seed, the kind of resampling and the draw's number: a draw does not depend on how many others are made.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Seed = int | tuple[int, ...]
_BOOTSTRAP, _HALVES, _SUBSAMPLES = range(3)


def wilson_interval(successes: int, trials: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a proportion (Wilson 1927); (NaN, NaN) without trials."""
    _check_counts(successes, trials)
    if trials == 0:
        return float("nan"), float("nan")
    z = float(stats.norm.ppf(0.5 + confidence / 2))
    share = successes / trials
    centre = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z * np.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials)) / (1 + z * z / trials)
    # at 0 and at n the bound is exactly 0 or 1; rounding would leave 1e-17
    return (0.0 if successes == 0 else float(centre - half), 1.0 if successes == trials else float(centre + half))


def clopper_pearson_interval(successes: int, trials: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Exact binomial interval of a proportion (Clopper and Pearson 1934); (NaN, NaN) without trials."""
    _check_counts(successes, trials)
    if trials == 0:
        return float("nan"), float("nan")
    tail = (1 - confidence) / 2
    low = 0.0 if successes == 0 else float(stats.beta.ppf(tail, successes, trials - successes + 1))
    high = 1.0 if successes == trials else float(stats.beta.ppf(1 - tail, successes + 1, trials - successes))
    return low, high


def _check_counts(successes: int, trials: int) -> None:
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes in {trials} trials")


def percentile_interval(draws: ArrayLike, *, confidence: float = 0.95) -> tuple[float, float]:
    """Equal-tailed quantiles of the draws that are not NaN; (NaN, NaN) if fewer than half are left, as those left would be a selection."""
    values = np.asarray(draws, dtype=np.float64)
    kept = values[~np.isnan(values)]
    if kept.size == 0 or kept.size < values.size / 2:
        return float("nan"), float("nan")
    low, high = np.quantile(kept, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def centred_interval(
    value: float, draws: ArrayLike, *, bounds: tuple[float, float] = (-np.inf, np.inf), confidence: float = 0.95
) -> tuple[float, float]:
    """Percentile interval of the draws, moved so that their median is `value`, and cut at `bounds`.

    For statistics that measure how alike two samples are. Resampling adds noise to both samples, so the draws lie systematically on the unlike side of
    `value`, and their bare percentiles need not even contain it; their spread is right. The interval is for the statistic at these sample sizes:
    what more images would give is not in it.
    """
    low, high = percentile_interval(draws, confidence=confidence)
    if np.isnan(low) or np.isnan(value):
        return float("nan"), float("nan")
    shift = value - float(np.nanmedian(np.asarray(draws, dtype=np.float64)))
    return float(np.clip(low + shift, *bounds)), float(np.clip(high + shift, *bounds))


def cluster_bootstrap(groups: ArrayLike, *, draws: int, seed: Seed) -> NDArray[np.int64]:
    """Multiplicity of every row in bootstrap samples of whole groups (patients), drawn with replacement.

    groups [n] of labels; returns [draws, n]. Rows that are their own groups give the ordinary bootstrap.
    """
    codes, count = _codes(groups)
    weights = np.empty((draws, codes.size), dtype=np.int64)
    for draw in range(draws):
        picked = _generator(seed, _BOOTSTRAP, draw).integers(0, count, count)
        weights[draw] = np.bincount(picked, minlength=count)[codes]
    return weights


def disjoint_halves(groups: ArrayLike, *, draws: int, seed: Seed) -> NDArray[np.bool_]:
    """Random halves of the groups (patients): True for rows of the first half, False for rows of the second.

    groups [n] of labels; returns [draws, n]. Of an odd number of groups, the first half gets the larger part in half of the draws.
    """
    codes, count = _codes(groups)
    if count < 2:
        raise ValueError("fewer than two groups cannot be halved")
    halves = np.empty((draws, codes.size), dtype=np.bool_)
    for draw in range(draws):
        generator = _generator(seed, _HALVES, draw)
        size = (count + int(generator.integers(2))) // 2
        first = np.zeros(count, dtype=np.bool_)
        first[generator.permutation(count)[:size]] = True
        halves[draw] = first[codes]
    return halves


def subsample(rows: NDArray[np.bool_], sizes: ArrayLike, *, seed: Seed) -> NDArray[np.bool_]:
    """At random keep `sizes[draw]` of the rows that are True in `rows[draw]`, or all where there are no more. rows [draws, n]; returns [draws, n]."""
    kept = np.zeros_like(rows)
    for draw, size in enumerate(np.broadcast_to(np.asarray(sizes, dtype=np.int64), rows.shape[0])):
        generator = _generator(seed, _SUBSAMPLES, draw)
        kept[draw, generator.permutation(np.flatnonzero(rows[draw]))[:size]] = True
    return kept


def permutation_p(observed: float, null: ArrayLike) -> float:
    """One-sided P value of a permutation test, (1 + number of null values >= observed) / (1 + number of null values) (Phipson and Smyth 2010)."""
    values = np.asarray(null, dtype=np.float64)
    if np.isnan(observed):
        return float("nan")
    # the same counts summed in another order may differ in the last bits; such values are ties
    return float((1 + np.count_nonzero(values >= observed - 1e-12)) / (1 + values.size))


def _generator(seed: Seed, kind: int, draw: int) -> np.random.Generator:
    return np.random.default_rng([*(seed if isinstance(seed, tuple) else (seed,)), kind, draw])


def _codes(groups: ArrayLike) -> tuple[NDArray[np.int64], int]:
    """Groups numbered from 0 in sorted order, and how many there are."""
    names, codes = np.unique(np.asarray(groups), return_inverse=True)
    return codes.astype(np.int64), int(names.size)
