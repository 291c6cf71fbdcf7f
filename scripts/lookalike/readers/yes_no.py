"""A reader who calls every image real or fake: how often that is right, and what of it is telling them apart rather than a leaning to one answer.

A fake is the signal: calling it fake is a hit, calling a real image fake a false alarm (Macmillan and Creelman 2005).
"""

from __future__ import annotations

import math

import pandas as pd
from scipy import stats

from lookalike.statistics import clopper_pearson_interval, wilson_interval

CHANCE = 0.5
_Z = float(stats.norm.ppf(0.975))


def share_right(right: int, n: int) -> pd.DataFrame:
    """`accuracy` with its exact interval, and `p`, the two-sided exact binomial P against CHANCE: index measure, columns value, low, high.

    Args:
        right: right answers.
        n: all answers, at least one.
    """
    interval = clopper_pearson_interval(right, n)
    return _frame({"accuracy": (right / n, *interval), "p": (float(stats.binomtest(right, n, CHANCE).pvalue), math.nan, math.nan)})


def measure_answers(real_right: int, n_real: int, fake_right: int, n_fake: int) -> pd.DataFrame:
    """All that one reader's counts say, each with its 95 % interval: index measure, columns value, low, high.

    - `accuracy` and `p`: see `share_right`.
    - `sensitivity`, fakes called fake, and `specificity`, reals called real; exact intervals.
    - `balanced_accuracy`, their mean: it does not grow by giving the more frequent answer; Newcombe's (1998) interval from Wilson's of both.
    - `d_prime` = z(hits) + z(specificity), how far apart the sets are to the reader in standard deviations (0 = not at all), and `criterion` =
      (z(specificity) - z(hits)) / 2, below 0 for a leaning to `fake`. Their rates are log-linear, (count + 1/2) / (n + 1), and so finite (Hautus 1995); the intervals are
      those of the delta method (Gourevitch and Galanter 1967).

    Args:
        real_right: real images called real.
        n_real: real images, at least one.
        fake_right: fakes called fake.
        n_fake: fakes, at least one.
    """
    sensitivity, specificity = fake_right / n_fake, real_right / n_real
    balanced = (sensitivity + specificity) / 2
    wilson = wilson_interval(fake_right, n_fake), wilson_interval(real_right, n_real)
    below, above = (math.hypot(wilson[0][end] - sensitivity, wilson[1][end] - specificity) / 2 for end in (0, 1))
    hits, variance_hits = _z(fake_right, n_fake)
    rejections, variance_rejections = _z(real_right, n_real)
    half = _Z * math.sqrt(variance_hits + variance_rejections)
    d_prime, criterion = hits + rejections, (rejections - hits) / 2
    rest = {
        "sensitivity": (sensitivity, *clopper_pearson_interval(fake_right, n_fake)),
        "specificity": (specificity, *clopper_pearson_interval(real_right, n_real)),
        "balanced_accuracy": (balanced, balanced - below, balanced + above),
        "d_prime": (d_prime, d_prime - half, d_prime + half),
        "criterion": (criterion, criterion - half / 2, criterion + half / 2),
    }
    return pd.concat([share_right(real_right + fake_right, n_real + n_fake), _frame(rest)])


def _z(count: int, n: int) -> tuple[float, float]:
    """z of the log-linear rate, and its variance."""
    rate = (count + 0.5) / (n + 1)
    z = float(stats.norm.ppf(rate))
    return z, rate * (1 - rate) / ((n + 1) * float(stats.norm.pdf(z)) ** 2)


def _frame(rows: dict[str, tuple[float, float, float]]) -> pd.DataFrame:
    return pd.DataFrame.from_dict(rows, orient="index", columns=["value", "low", "high"]).rename_axis("measure")
