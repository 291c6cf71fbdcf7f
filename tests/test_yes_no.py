"""Readers' answers against closed forms, scipy and simulation."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lookalike.readers.yes_no import measure_answers, share_right


@pytest.mark.parametrize(("right", "n"), [(155, 240), (75, 120), (0, 10), (10, 10), (5, 10)])
def test_share_right_equals_scipy(right: int, n: int) -> None:
    found, test = share_right(right, n), stats.binomtest(right, n, 0.5)
    exact = test.proportion_ci(method="exact")
    assert found.loc["accuracy"].tolist() == pytest.approx([right / n, exact.low, exact.high], abs=1e-12)
    assert found.loc["p", "value"] == pytest.approx(test.pvalue) and math.isnan(found.loc["p", "low"])


def test_d_prime_of_a_reader_of_known_sensitivity() -> None:
    """A reader who sees fakes d higher than reals, and says fake above a threshold, has that d and criterion threshold - d / 2."""
    d, threshold, n = 1.3, 0.4, 1_000_000
    found = measure_answers(round(n * stats.norm.cdf(threshold)), n, round(n * stats.norm.sf(threshold - d)), n)
    assert found.loc["d_prime", "value"] == pytest.approx(d, abs=1e-4)
    assert found.loc["criterion", "value"] == pytest.approx(threshold - d / 2, abs=1e-4)
    # saying fake more often is a criterion below 0, and changes neither side's balance into skill
    lazy = measure_answers(30, 100, 70, 100).loc[:, "value"]
    assert lazy["d_prime"] == pytest.approx(0, abs=1e-12) and lazy["balanced_accuracy"] == 0.5 and lazy["criterion"] < -0.5


@pytest.mark.parametrize(("real", "n_real", "fake", "n_fake"), [(155, 240, 159, 240), (176, 240, 92, 120), (12, 20, 15, 20)])
def test_intervals_are_as_wide_as_the_spread_of_repeated_readings(real: int, n_real: int, fake: int, n_fake: int) -> None:
    found, random = measure_answers(real, n_real, fake, n_fake), np.random.default_rng(4)
    reals, fakes = random.binomial(n_real, real / n_real, 4000), random.binomial(n_fake, fake / n_fake, 4000)
    zs = [stats.norm.ppf((counts + 0.5) / (n + 1)) for counts, n in ((reals, n_real), (fakes, n_fake))]
    draws = {"d_prime": zs[0] + zs[1], "criterion": (zs[0] - zs[1]) / 2, "balanced_accuracy": (reals / n_real + fakes / n_fake) / 2}
    for measure, values in draws.items():
        row = found.loc[measure]
        assert row["high"] - row["low"] == pytest.approx(2 * 1.96 * values.std(), rel=0.12), measure
        assert row["low"] < row["value"] < row["high"]


def test_extremes_are_finite_and_repeat_the_log_linear_rate() -> None:
    found = measure_answers(20, 20, 20, 20)
    assert found.loc["d_prime", "value"] == pytest.approx(2 * stats.norm.ppf(20.5 / 21))
    assert found.loc["balanced_accuracy"].between(0, 1).all() and found.drop(index="p").notna().all(axis=None)


def test_sides_and_totals() -> None:
    found = measure_answers(176, 240, 92, 120)["value"]
    assert (found["specificity"], found["sensitivity"]) == (176 / 240, 92 / 120)
    assert found["accuracy"] == 268 / 360 and found["balanced_accuracy"] == pytest.approx((176 / 240 + 92 / 120) / 2)
    pd.testing.assert_frame_equal(measure_answers(176, 240, 92, 120).loc[["accuracy", "p"]], share_right(268, 360))


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="11 successes in 10 trials"):
        measure_answers(11, 10, 5, 10)
