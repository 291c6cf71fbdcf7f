"""Intervals against statsmodels, resampling against its definition."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

from lookalike.statistics import (
    centred_interval,
    clopper_pearson_interval,
    cluster_bootstrap,
    disjoint_halves,
    percentile_interval,
    permutation_p,
    subsample,
    wilson_interval,
)

PATIENTS = np.repeat(["d", "a", "c", "b", "e"], [4, 1, 2, 4, 3])


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (10, 10), (3, 17), (652, 1330), (1, 1)])
def test_proportion_intervals_equal_statsmodels(successes: int, trials: int) -> None:
    assert wilson_interval(successes, trials) == pytest.approx(proportion_confint(successes, trials, method="wilson"), abs=1e-12)
    assert clopper_pearson_interval(successes, trials) == pytest.approx(proportion_confint(successes, trials, method="beta"), abs=1e-12)


def test_proportion_without_trials_and_impossible_counts() -> None:
    assert np.isnan(wilson_interval(0, 0)).all() and np.isnan(clopper_pearson_interval(0, 0)).all()
    with pytest.raises(ValueError, match="11 successes in 10 trials"):
        wilson_interval(11, 10)


def test_percentile_interval_ignores_few_nan_and_refuses_many() -> None:
    draws = np.arange(1001.0)
    assert percentile_interval(draws) == pytest.approx((25.0, 975.0))
    assert percentile_interval(np.r_[draws, [np.nan] * 500]) == pytest.approx((25.0, 975.0))
    assert np.isnan(percentile_interval(np.r_[draws, [np.nan] * 1100])).all()


def test_centred_interval_keeps_the_spread_and_holds_the_value() -> None:
    draws = np.linspace(0, 1, 1001)
    assert centred_interval(2.0, draws) == pytest.approx((2 - 0.475, 2 + 0.475))
    assert centred_interval(0.9, draws, bounds=(0, 1)) == pytest.approx((0.425, 1.0))


def test_bootstrap_draws_whole_patients() -> None:
    weights = cluster_bootstrap(PATIENTS, draws=400, seed=3)
    for patient in np.unique(PATIENTS):
        of_patient = weights[:, patient == PATIENTS]
        assert (of_patient == of_patient[:, :1]).all()
    first = [np.flatnonzero(patient == PATIENTS)[0] for patient in np.unique(PATIENTS)]
    assert (weights[:, first].sum(axis=1) == 5).all()
    # a patient's multiplicity is binomial (5, 1/5)
    assert weights[:, 0].mean() == pytest.approx(1.0, abs=0.15) and weights[:, 0].var() == pytest.approx(0.8, abs=0.2)


def test_draws_do_not_depend_on_their_number_nor_on_one_another() -> None:
    assert (cluster_bootstrap(PATIENTS, draws=20, seed=3)[:5] == cluster_bootstrap(PATIENTS, draws=5, seed=3)).all()
    assert (disjoint_halves(PATIENTS, draws=20, seed=(3, 1))[:5] == disjoint_halves(PATIENTS, draws=5, seed=(3, 1))).all()
    assert (cluster_bootstrap(PATIENTS, draws=20, seed=3) != cluster_bootstrap(PATIENTS, draws=20, seed=4)).any()


def test_halves_share_no_patient() -> None:
    halves = disjoint_halves(PATIENTS, draws=200, seed=1)
    for half in halves:
        assert not set(PATIENTS[half]) & set(PATIENTS[~half])
    sizes = np.array([len(set(PATIENTS[half])) for half in halves])
    assert set(sizes) == {2, 3} and sizes.mean() == pytest.approx(2.5, abs=0.15)
    with pytest.raises(ValueError, match="fewer than two groups"):
        disjoint_halves(["a", "a"], draws=1, seed=0)


def test_subsample_keeps_so_many_of_the_rows() -> None:
    rows = disjoint_halves(PATIENTS, draws=50, seed=1)
    kept = subsample(rows, np.minimum(rows.sum(axis=1), 3), seed=1)
    assert (kept <= rows).all() and (kept.sum(axis=1) == np.minimum(rows.sum(axis=1), 3)).all()


def test_permutation_p_counts_ties_and_is_never_zero() -> None:
    assert permutation_p(5.0, [1.0, 2.0, 3.0]) == 1 / 4
    assert permutation_p(0.1 + 0.2, [0.3, 0.1, 0.9]) == 3 / 4
    assert np.isnan(permutation_p(float("nan"), [0.3]))
