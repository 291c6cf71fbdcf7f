"""Do readers guess? Equivalence to chance within a margin (two one-sided tests, Schuirmann 1987), and what a study of a given size can prove.

A difference from chance that is not significant is no proof of guessing: a small study finds none whatever its readers see. Shares of right answers are
held to be equivalent to chance, 1/2, when they are proved to lie within 1/2 ± margin: the P value is the larger one of two tests, that they are not below and not above it.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import integrate, stats

from lookalike.readers.clustered import Mean, readers_mean
from lookalike.readers.yes_no import CHANCE


def tost_exact(right: int, n: int, margin: float) -> float:
    """P value of equivalence by two exact one-sided binomial tests. It takes all answers as independent: of readers who differ it is too small (`tost_t`).

    Args:
        right: right answers.
        n: all answers, at least one.
        margin: largest distance from 1/2 that still counts as guessing, above 0 and below 1/2.
    """
    _check_margin(margin)
    return float(max(stats.binom.sf(right - 1, n, CHANCE - margin), stats.binom.cdf(right, n, CHANCE + margin)))


def tost_t(shares: ArrayLike, margin: float) -> float:
    """P value of equivalence by two one-sided t tests on the shares of right answers of readers [R], the unit that is drawn at random.

    NaN for fewer than two readers, and where all shares are equal: nothing then says how far they would scatter.
    """
    return tost_mean(readers_mean(shares), margin)


def tost_mean(mean: Mean, margin: float) -> float:
    """The same on a mean whose error and degrees of freedom are known; NaN without an error."""
    _check_margin(margin)
    return float(stats.t.sf((margin - abs(mean.value - CHANCE)) / mean.error, mean.freedom))


def power_tost(n: int, margin: float, *, true: float = CHANCE, alpha: float = 0.05) -> float:
    """Exact chance that `tost_exact` of n independent answers is at most alpha when a share `true` of them is right in the long run.

    Answers are whole, so power over n is a sawtooth: a few more answers can lower it.
    """
    _check_margin(margin)
    return float(_power_tost(np.array([n]), margin, true, alpha)[0])


def power_tost_t(readers: int, questions: float, margin: float, *, alpha: float = 0.05) -> float:
    """Exact chance that `tost_t` is at most alpha when all readers guess: their shares are normal about 1/2 with the variance 1/4 / questions of independent answers.

    NaN for fewer than two readers.

    Args:
        readers: how many.
        questions: answers of each; of unequal numbers their harmonic mean.
        margin: as of `tost_t`.
    """
    _check_margin(margin)
    if readers < 2:
        return math.nan
    freedom = readers - 1
    error = math.sqrt(CHANCE * (1 - CHANCE) / questions / readers)
    # over the quantiles of the estimated error: where it is larger than the margin allows, no mean proves equivalence
    room, quantile = margin / error, stats.t.isf(alpha, freedom)
    most = stats.chi2.cdf(freedom * (room / quantile) ** 2, freedom)

    def proved(share: float) -> float:
        reach = room - quantile * math.sqrt(stats.chi2.ppf(share, freedom) / freedom)
        return float(2 * stats.norm.cdf(reach) - 1)

    return float(integrate.quad(proved, 0, most)[0])


def power_difference(n: int, true: float, *, alpha: float = 0.05) -> float:
    """Exact chance that the two-sided exact binomial test of n independent answers against 1/2 is at most alpha when a share `true` is right in the long run."""
    most = stats.binom.isf(alpha / 2, n, CHANCE)
    # the smallest k with P(X > k) <= alpha / 2: the test rejects from k + 1, and at the other end from n - k - 1
    return float(stats.binom.sf(most, n, true) + stats.binom.cdf(n - most - 1, n, true))


def sample_size(margin: float, *, power: float = 0.8, alpha: float = 0.05, true: float = CHANCE) -> int:
    """The smallest number of independent answers from which on `power_tost` is never again below `power`.

    The sawtooth may first reach it with fewer, and lose it again.

    Raises:
        ValueError: `true` lies outside the margin, so that no number is enough.
    """
    _check_margin(margin)
    room = margin - abs(true - CHANCE)
    if room < 1e-9:  # .6 - .5 is a little less than .1
        raise ValueError(f"a share of {true} is not within {margin} of {CHANCE}: no number of answers proves that it is")
    # twice what the normal approximation asks for, which takes both tests to fail as often as the nearer one: far beyond the last tooth
    normal = (stats.norm.isf(alpha) + stats.norm.isf((1 - power) / 2)) ** 2 / (4 * room * room)
    sizes = np.arange(1, math.ceil(2 * normal) + 200)
    return int(sizes[_power_tost(sizes, margin, true, alpha) < power].max(initial=0)) + 1


def _power_tost(n: NDArray[np.int64], margin: float, true: float, alpha: float) -> NDArray[np.float64]:
    # equivalence is proved by the counts from fewest to n - fewest
    fewest = stats.binom.isf(alpha, n, CHANCE - margin) + 1
    inside = stats.binom.cdf(n - fewest, n, true) - stats.binom.cdf(fewest - 1, n, true)
    return np.where(2 * fewest <= n, inside, 0.0)


def _check_margin(margin: float) -> None:
    if not 0 < margin < CHANCE:
        raise ValueError(f"a margin is above 0 and below {CHANCE}, not {margin}")
