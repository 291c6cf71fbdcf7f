"""AUCs against scikit-learn, DeLong's covariance against all pairs and the bootstrap, the Mann-Whitney test against scipy and enumeration."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from lookalike.statistics import cluster_bootstrap
from lookalike.utility.auc import Scored, auc_gap, delong, delong_gap, label_aucs, mann_whitney_p, mean_auc


def scored(n: int, *, strength: float = 1.0, decimals: int = 8, seed: int = 0, shared: float = 0.6) -> tuple[np.ndarray, np.ndarray]:
    """Labels [n] and three correlated scores [n, 3], with ties where there are few decimals."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 2, n)
    noise = shared * generator.normal(size=(n, 1)) + np.sqrt(1 - shared**2) * generator.normal(size=(n, 3))
    return labels, np.round(strength * labels[:, None] + noise, decimals)


def all_pairs(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """AUCs and DeLong's covariance from the matrices of all pairs, O(m n)."""
    positive, negative = scores[labels == 1], scores[labels == 0]
    wins = (positive[:, None] > negative[None]) + 0.5 * (positive[:, None] == negative[None])
    by_positive, by_negative = wins.mean(axis=1), wins.mean(axis=0)
    return wins.mean(axis=(0, 1)), np.cov(by_positive.T) / len(positive) + np.cov(by_negative.T) / len(negative)


@pytest.mark.parametrize("decimals", [0, 1, 8])
def test_aucs_equal_scikit_learn_with_weights_and_ties(decimals: int) -> None:
    labels, scores = scored(200, decimals=decimals)
    several = np.stack([labels, 1 - labels, np.roll(labels, 1)], axis=1)
    weights = np.random.default_rng(1).poisson(1, (70, 200))
    aucs = label_aucs(several, scores, weights)
    assert aucs.shape == (70, 3)
    for draw, label in np.ndindex(70, 3):
        assert aucs[draw, label] == pytest.approx(roc_auc_score(several[:, label], scores[:, label], sample_weight=weights[draw]), abs=1e-12)
    assert label_aucs(several, scores)[0] == pytest.approx([roc_auc_score(several[:, k], scores[:, k]) for k in range(3)], abs=1e-15)


def test_unknown_labels_take_no_part_and_undefined_aucs_are_left_out_of_the_mean() -> None:
    labels = np.array([[1, 1, -1], [0, 1, -1], [-1, 1, -1], [1, 1, -1]])
    scores = np.array([[0.9, 0.1, 0.1], [0.2, 0.2, 0.2], [0.99, 0.3, 0.3], [0.2, 0.4, 0.4]])
    aucs = label_aucs(labels, scores)
    np.testing.assert_array_equal(aucs, [[0.75, np.nan, np.nan]])
    assert mean_auc(aucs) == 0.75 and np.isnan(mean_auc(aucs[:, 1:])).all()
    without_one_kind = label_aucs(labels, scores, np.array([[1, 0, 1, 1]]))
    assert np.isnan(without_one_kind).all()
    assert label_aucs(labels, -scores)[0, 0] == 0.25 and label_aucs(labels, -scores, flip=True)[0, 0] == 0.75


@pytest.mark.parametrize("decimals", [0, 8])
def test_delong_equals_all_pairs(decimals: int) -> None:
    labels, scores = scored(150, decimals=decimals)
    aucs, covariance = delong(labels, scores)
    expected_aucs, expected = all_pairs(labels, scores)
    np.testing.assert_allclose(aucs, expected_aucs, rtol=0, atol=1e-14)
    np.testing.assert_allclose(covariance, expected, rtol=0, atol=1e-15)
    one, variance = delong(labels, scores[:, :1])
    assert one.shape == (1,) and variance.shape == (1, 1) and variance[0, 0] == pytest.approx(expected[0, 0], abs=1e-15)


def test_delong_equals_the_bootstrap() -> None:
    labels, scores = scored(800)
    _, covariance = delong(labels, scores)
    weights = cluster_bootstrap(np.arange(800), draws=3000, seed=1)
    draws = label_aucs(np.repeat(labels[:, None], 3, axis=1), scores, weights)
    np.testing.assert_allclose(np.cov(draws.T), covariance, rtol=0.12)


def test_delong_gaps() -> None:
    labels, scores = scored(300)
    expected_aucs, expected = all_pairs(labels, scores)
    gap = delong_gap(labels, scores[:, 0], scores[:, 1])
    spread = np.sqrt(expected[0, 0] + expected[1, 1] - 2 * expected[0, 1])
    difference = expected_aucs[0] - expected_aucs[1]
    assert (gap.value, gap.low, gap.high) == pytest.approx((difference, difference - 1.959964 * spread, difference + 1.959964 * spread))
    assert gap.p == pytest.approx(2 * stats.norm.sf(abs(difference) / spread))


def test_delong_without_a_variance() -> None:
    labels, scores = scored(60)
    same = delong_gap(labels, scores[:, 0], 2 * scores[:, 0])
    assert same.value == 0 and np.isnan([same.low, same.high, same.p]).all()
    aucs, covariance = delong(np.array([1, 0, 0]), np.array([[2.0], [1.0], [3.0]]))
    assert aucs == [0.5] and np.isnan(covariance).all()
    assert np.isnan(delong(np.ones(3, dtype=int), np.zeros((3, 2)))[0]).all()


def test_paired_and_unpaired_gap() -> None:
    labels, scores = scored(600, shared=0.95)
    several, patients = np.stack([labels, np.zeros_like(labels), np.roll(labels, 3)], axis=1), np.arange(600)
    first, second = Scored(several, scores, patients), Scored(several, scores[:, [1, 0, 2]], patients)
    gap = auc_gap(first, second, paired=True, draws=300, seed=1)
    assert [gap.first[0], gap.second[0]] == pytest.approx([roc_auc_score(labels, scores[:, k]) for k in (0, 1)], abs=1e-15)
    assert np.isnan([gap.value[1], gap.low[1], gap.high[1]]).all()
    assert gap.value[3] == pytest.approx(np.mean(gap.value[[0, 2]])) and gap.value[3] == pytest.approx(gap.first[3] - gap.second[3])
    exact = delong_gap(labels, scores[:, 0], scores[:, 1])
    assert gap.high[0] - gap.low[0] == pytest.approx(exact.high - exact.low, rel=0.15)
    assert gap.value[2] == gap.low[2] == gap.high[2] == 0  # one score against itself, drawn together
    apart = auc_gap(first, second, paired=False, draws=300, seed=1)
    np.testing.assert_array_equal(apart.value, gap.value)
    _, covariance = delong(labels, scores)
    assert apart.high[0] - apart.low[0] == pytest.approx(2 * 1.959964 * np.sqrt(covariance[0, 0] + covariance[1, 1]), rel=0.15)
    with pytest.raises(ValueError, match="differ"):
        auc_gap(first, Scored(1 - several, scores, patients), paired=True, draws=2, seed=1)


def test_images_of_a_patient_are_drawn_together() -> None:
    """Each image eight times over is worth no more than once; DeLong, who takes them as new, gives an interval of a third of the width."""
    labels, scores = scored(150)
    copies = np.tile(np.arange(150), 8)
    one, eight = (
        auc_gap(*[Scored(labels[rows, None], scores[rows, k : k + 1], rows) for k in (0, 1)], paired=True, draws=400, seed=1)
        for rows in (np.arange(150), copies)
    )
    np.testing.assert_array_equal([one.low, one.high], [eight.low, eight.high])
    naive = delong_gap(labels[copies], scores[copies, 0], scores[copies, 1])
    assert naive.high - naive.low < 0.45 * (eight.high[0] - eight.low[0])


def test_flip_hides_a_reversed_classifier() -> None:
    labels, scores = scored(200)
    sets = [Scored(labels[:, None], sign * scores[:, :1], np.arange(200)) for sign in (1, -1)]
    plain, flipped = (auc_gap(*sets, paired=True, draws=20, seed=1, flip=flip) for flip in (False, True))
    assert plain.value[0] == pytest.approx(2 * plain.first[0] - 1) and flipped.value[0] == pytest.approx(0)


def test_mann_whitney_is_exact_with_and_without_ties() -> None:
    generator = np.random.default_rng(1)
    for n, m in ((4, 4), (10, 10), (20, 20), (3, 9)):
        a, b = generator.normal(0.4, 1, n), generator.normal(size=m)
        assert mann_whitney_p(a, b) == pytest.approx(stats.mannwhitneyu(a, b, alternative="greater", method="exact").pvalue, rel=1e-10)
    assert mann_whitney_p(np.arange(10) + 10, np.arange(10)) == pytest.approx(1 / 184756)
    a, b = np.array([1.0, 2.0, 2.0, 3.0]), np.array([0.0, 2.0, 1.0, 1.0, 2.0])
    ranks = stats.rankdata(np.concatenate([a, b]))
    sums = [ranks[list(chosen)].sum() for chosen in combinations(range(9), 4)]
    assert mann_whitney_p(a, b) == pytest.approx(np.mean(np.array(sums) >= ranks[:4].sum()))
    assert mann_whitney_p(a, a) > 0.5 and np.isnan(mann_whitney_p(a, [np.nan])) and np.isnan(mann_whitney_p(a, []))
