"""The tests that the papers print, as they print them, and what each of them leaves out.

K21 tests the number of right answers of each attempt against Bin(10, 1/2) (chi-square), questions and groups of readers against one another (Kruskal-Wallis, and between
questions Conover's test without adjustment); D21 tests readers against 1/2 (Wilcoxon, one-sided).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import combinations
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from lookalike.readers.yes_no import CHANCE
from lookalike.statistics import permutation_p
from lookalike.utility.auc import mann_whitney_p

_LEAST_EXPECTED = 5
_EXACT = 50
"""Values up to which all ways to part them are counted."""


def goodness_of_fit(successes: ArrayLike, questions: int, *, draws: int, seed: int) -> pd.DataFrame:
    """Chi-square test of the attempts' numbers of right answers against Bin(questions, 1/2): index bins, columns statistic, df, p.

    - `raw`: a bin for each of 0 ... questions, as in K21; bins at the ends expect less than one attempt, and the P value is not to be trusted.
    - `pooled`: the bins at both ends united until each expects five attempts; NaN where that leaves one bin.
    - `exact`: the raw statistic against its distribution over simulated attempts of readers who guess.

    It sees readers who differ and readers who are not at 1/2 without telling one from the other, and is weak for either: see `clustered`.

    Args:
        successes: right answers of each attempt [n].
        questions: of an attempt.
        draws: simulated studies.
        seed: of the simulation.
    """
    counts = np.bincount(np.asarray(successes, dtype=np.int64), minlength=questions + 1)
    if counts.size > questions + 1:
        raise ValueError(f"{counts.size - 1} right answers to {questions} questions")
    attempts = int(counts.sum())
    expected = attempts * stats.binom.pmf(np.arange(questions + 1), questions, CHANCE)
    raw = _chi_square(counts, expected)
    simulated = np.random.default_rng(seed).multinomial(attempts, expected / attempts, size=draws)
    rows: dict[str, tuple] = {"raw": (raw, questions, stats.chi2.sf(raw, questions)), "pooled": (math.nan, 0, math.nan)}
    for tail in range((questions + 1) // 2):
        united = np.clip(np.arange(questions + 1), tail, questions - tail)
        few, fewer = (np.bincount(united, weights=values)[tail:] for values in (counts, expected))
        if fewer.min() >= _LEAST_EXPECTED:
            statistic, df = _chi_square(few, fewer), few.size - 1
            rows["pooled"] = (statistic, df, stats.chi2.sf(statistic, df))
            break
    rows["exact"] = (raw, math.nan, permutation_p(float(raw), _chi_square(simulated, expected)))
    return pd.DataFrame.from_dict(rows, orient="index", columns=["statistic", "df", "p"], dtype=np.float64).rename_axis("bins")


def _chi_square(counts: NDArray, expected: NDArray) -> NDArray[np.float64]:
    return (np.square(counts - expected) / expected).sum(axis=-1)


def kruskal(groups: Sequence[ArrayLike]) -> tuple[float, float]:
    """Kruskal and Wallis's H of two or more groups of independent values, corrected for ties, and its P value; NaN where all values are equal or a group is empty."""
    values = [np.asarray(group, dtype=np.float64) for group in groups]
    if min(len(group) for group in values) == 0 or np.ptp(np.concatenate(values)) == 0:
        return math.nan, math.nan
    found = stats.kruskal(*values)
    return float(found.statistic), float(found.pvalue)


def conover(groups: Mapping[int | str, ArrayLike]) -> pd.DataFrame:
    """Conover and Iman's (1979) test of every two of the groups after Kruskal-Wallis: columns first, second, t, p (unadjusted, as in K21) and p_holm.

    Groups are taken as independent, which the answers of the same readers to several questions are not (see `clustered.cochran_q`). Where values differ between groups alone,
    P is 0 of groups that differ and 1 of those that do not, the limits.

    Args:
        groups: values of each group, at least two of them, not all values equal.
    """
    values = {name: np.asarray(group, dtype=np.float64) for name, group in groups.items()}
    sizes = np.array([len(group) for group in values.values()])
    ranks = stats.rankdata(np.concatenate(list(values.values())))
    n, freedom = int(sizes.sum()), int(sizes.sum()) - len(sizes)
    means = [part.mean() for part in np.split(ranks, np.cumsum(sizes)[:-1])]
    h, _ = kruskal(list(values.values()))
    # rounding leaves a little more or less than none
    spread = n - 1 - h if n - 1 - h > 1e-9 * n else 0.0
    variance = ranks.var(ddof=1) * spread / freedom
    rows = []
    for (one, first), (other, second) in combinations(enumerate(values), 2):
        difference, error = means[one] - means[other], math.sqrt(variance * (1 / sizes[one] + 1 / sizes[other]))
        t = difference / error if error else math.copysign(math.inf, difference) if difference else 0.0
        rows.append((first, second, t, 2 * stats.t.sf(abs(t), freedom)))
    frame = pd.DataFrame(rows, columns=["first", "second", "t", "p"])
    return frame.assign(p_holm=holm(frame["p"]))


def wilcoxon_half(right: ArrayLike, n: ArrayLike, alternative: Literal["less", "greater", "two-sided"]) -> float:
    """P value of Wilcoxon's signed-rank test of readers' shares of right answers against 1/2, exact with ties too; shares of just 1/2 take no part.

    D21's `less` is small when readers are wrong more often than right: that proves that they tell the images apart, and name them the wrong way round. It never proves
    that they guess (see `equivalence`).

    Args:
        right: right answers of each reader [R].
        n: all answers of each reader [R], or the same number for all.
        alternative: the shares lie below 1/2, above, or on either side.
    """
    totals = np.broadcast_to(np.asarray(n, dtype=np.int64), np.shape(right))
    # fractions, as .43 and .57 are not equally far from .5 in floating point
    gaps = [Fraction(2 * int(count) - int(total), int(total)) for count, total in zip(np.asarray(right), totals, strict=True) if 2 * count != total]
    place = {size: number for number, size in enumerate(sorted({abs(gap) for gap in gaps}))}
    ranks = np.rint(2 * stats.rankdata([place[abs(gap)] for gap in gaps])).astype(np.int64)
    # chances[s]: that the doubled ranks of the readers above 1/2 add up to s
    chances = np.zeros(ranks.sum() + 1)
    chances[0] = 1.0
    for rank in ranks:
        chances[rank:] = (chances[rank:] + chances[:-rank]) / 2
        chances[:rank] /= 2
    above = ranks[[gap > 0 for gap in gaps]].sum()
    less, greater = float(chances[: above + 1].sum()), float(chances[above:].sum())
    return min(1.0, {"less": less, "greater": greater, "two-sided": 2 * min(less, greater)}[alternative])


def mann_whitney(first: ArrayLike, second: ArrayLike) -> float:
    """Two-sided P value of the Mann-Whitney U test of two groups of independent values.

    Up to 50 values it is exact with ties too; beyond, it is that of `kruskal` of two groups, the same test by the normal approximation. NaN with an empty group.
    """
    if np.size(first) + np.size(second) > _EXACT:
        return kruskal([first, second])[1]
    return float(np.minimum(1.0, 2 * np.minimum(mann_whitney_p(first, second), mann_whitney_p(second, first))))


def holm(p: ArrayLike) -> NDArray[np.float64]:
    """Holm's (1979) adjusted P values of a family of tests [n]. NaN, tests that could not be made, stay NaN and do not count."""
    values = np.asarray(p, dtype=np.float64)
    adjusted = np.full(values.shape, np.nan)
    order = np.argsort(values)[: np.count_nonzero(~np.isnan(values))]
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(values[order] * np.arange(order.size, 0, -1)))
    return adjusted


class Luck(NamedTuple):
    """How often readers who guess do so well."""

    single: float
    """Chance that one attempt does."""
    expected: float
    """Number of attempts that do, on average."""
    any: float
    """Chance that at least one attempt does."""


def nine_of_ten(attempts: int, questions: int, right: int) -> Luck:
    """What guessing alone makes of the best attempt: `right` or more right answers to `questions` questions, among so many attempts."""
    single = float(stats.binom.sf(right - 1, questions, CHANCE))
    return Luck(single, attempts * single, -math.expm1(attempts * math.log1p(-single)) if single < 1 else 1.0)
