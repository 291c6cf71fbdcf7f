"""Ross's estimator against the printed rows of K21's Table 2, scikit-learn, closed forms and brute force."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import digamma
from scipy.stats import norm
from sklearn.feature_selection import mutual_info_classif

from lookalike.measures.label_mi import SUBSAMPLES, digamma_constant, equal_label_mi, inverse_digamma, label_entropy, label_mi
from lookalike.statistics import disjoint_halves, percentile_interval


def brute_force_counts(real: np.ndarray, synthetic: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    points = np.concatenate([real, synthetic]).reshape(len(real) + len(synthetic), -1)
    points = (points - points.mean(axis=0)) / points.std(axis=0)
    labels = np.arange(len(points)) < len(real)
    own, every = [], []
    for i in range(len(points)):
        distances = np.sqrt(np.sum((points - points[i]) ** 2, axis=1))
        distances[i] = np.inf
        reach = np.sort(distances[labels == labels[i]])[k - 1]
        every.append(np.count_nonzero(distances <= reach + 1e-12))
        own.append(np.count_nonzero(distances[labels == labels[i]] <= reach + 1e-12))
    return np.array(own), np.array(every)


def test_neighbours_of_table_2_follow_from_its_mi() -> None:
    """K21, Table 2: the second row is the first one, through the digamma identity at 1000 images a class."""
    constant = digamma_constant(1000, 1000, neighbours=3)
    neighbours = [inverse_digamma(constant - mi) for mi in (0.01772, 0.04087, 0.04096, 0.01138, 0.0)]
    assert [round(value, 2) for value in neighbours] == [5.44, 5.32, 5.32, 5.47, 5.53]


@pytest.mark.parametrize("x", [1e-3, 0.1, 1.0, 1.46, 5.5, 1e4])
def test_inverse_digamma(x: float) -> None:
    assert inverse_digamma(float(digamma(x))) == pytest.approx(x, rel=1e-9)


@pytest.mark.parametrize(("real", "synthetic", "shift"), [(400, 400, 1.0), (300, 500, 0.5), (250, 90, 2.0)])
def test_equals_scikit_learn_without_ties(real: int, synthetic: int, shift: float) -> None:
    generator = np.random.default_rng(5)
    a, b = generator.normal(size=real), generator.normal(shift, 1, synthetic)
    labels = np.repeat([0, 1], [real, synthetic])
    theirs = mutual_info_classif(np.concatenate([a, b])[:, None], labels, discrete_features=False, n_neighbors=3, random_state=0)[0]
    assert label_mi(a, b).mi == pytest.approx(theirs, abs=1e-7)


@pytest.mark.parametrize("decimals", [1, 8])
@pytest.mark.parametrize("columns", [0, 2])
def test_counts_equal_brute_force_with_and_without_ties(decimals: int, columns: int) -> None:
    generator = np.random.default_rng(6)
    shape = (columns,) if columns else ()
    real, synthetic = np.round(generator.normal(size=(70, *shape)), decimals), np.round(generator.normal(0.5, 1, (90, *shape)), decimals)
    own, every = brute_force_counts(real, synthetic, 3)
    assert (own == 3).all() == (decimals == 8)
    estimate = label_mi(real, synthetic, neighbours=3)
    assert estimate.neighbours_arithmetic == every.mean()
    # the term of k itself is in the constant
    assert estimate.mi_unclipped == pytest.approx(digamma_constant(70, 90) - digamma(3) + np.mean(digamma(own) - digamma(every)), abs=1e-12)


def test_ties_and_order_change_nothing() -> None:
    generator = np.random.default_rng(7)
    real, synthetic = np.round(generator.normal(size=200), 1), np.round(generator.normal(size=200), 1)
    first = label_mi(real, synthetic, permutations=20, seed=1)
    again = label_mi(generator.permutation(real), generator.permutation(synthetic), permutations=20, seed=1)
    assert (first.mi_unclipped, first.neighbours_arithmetic) == (again.mi_unclipped, again.neighbours_arithmetic)
    # a scale and an offset that round every value anew leave ties tied
    scaled = label_mi(real * 1e-3 + 0.7, synthetic * 1e-3 + 0.7)
    assert scaled.neighbours_arithmetic == first.neighbours_arithmetic


def test_more_than_k_equal_values_count_one_another() -> None:
    """Ten real and six synthetic points at 0: d = 0, m = 15 and k = 9 or 5; the four others are far away and know only each other."""
    real, synthetic = np.zeros(10), np.concatenate([np.zeros(6), 100 + np.arange(4.0) * 1e-3])
    expected = digamma(20) - digamma(10) + (10 * digamma(9) + 6 * digamma(5) - 16 * digamma(15)) / 20
    assert label_mi(real, synthetic).mi_unclipped == pytest.approx(expected, abs=1e-12)


def test_a_collapsed_generator_is_told_apart_however_it_ties() -> None:
    """One image over and over has all the information there is; Ross's formula without k_i gives less than 0."""
    real = np.random.default_rng(4).normal(size=200)
    for copies in (np.zeros(200), np.repeat([0.0, 1.0], 100)):
        assert label_mi(real, copies).mi > 0.6
        assert label_mi(np.stack([real, real**2], axis=1), np.stack([copies, copies], axis=1)).mi > 0.6


def test_coarse_values_keep_their_information() -> None:
    generator = np.random.default_rng(10)
    a, b = generator.normal(size=3000), generator.normal(1, 1, 3000)
    assert label_mi(np.round(a, 1), np.round(b, 1)).mi == pytest.approx(label_mi(a, b).mi, abs=0.02)


def test_true_mi_of_shifted_normals() -> None:
    """N(0,1) against N(1,1): .11142 nats."""

    def integrand(x: float) -> float:
        p, q = norm.pdf(x), norm.pdf(x - 1)
        mixture = (p + q) / 2
        return 0.5 * p * np.log(p / mixture) + 0.5 * q * np.log(q / mixture)

    truth = quad(integrand, -12, 13)[0]
    assert truth == pytest.approx(0.11142, abs=1e-5)
    estimates = [label_mi(g.normal(size=2000), g.normal(1, 1, 2000)).mi for g in map(np.random.default_rng, range(10))]
    assert np.mean(estimates) == pytest.approx(truth, abs=0.01)


def test_bounds() -> None:
    generator = np.random.default_rng(8)
    apart = label_mi(generator.normal(size=500), generator.normal(1000, 1, 500), permutations=50)
    assert apart.mi == pytest.approx(np.log(2), abs=2e-3) and apart.p == 1 / 51 and apart.neighbours_digamma == pytest.approx(3, abs=0.01)
    null = [label_mi(generator.normal(size=500), generator.normal(size=500)) for _ in range(40)]
    assert abs(np.mean([estimate.mi_unclipped for estimate in null])) < 0.01 and min(estimate.mi for estimate in null) == 0.0
    assert np.mean([estimate.neighbours_arithmetic for estimate in null]) == pytest.approx(6, abs=0.05)


@pytest.mark.parametrize(("real", "synthetic"), [(40, 40), (40, 200), (9, 400)])
def test_clipped_mi_stays_below_the_label_s_entropy(real: int, synthetic: int) -> None:
    """The estimate of sets that lie apart is above what any information on the label can be; the digamma mean at the clip is not below k."""
    generator = np.random.default_rng(11)
    apart = label_mi(generator.normal(size=real), generator.normal(1000, 1, synthetic))
    share = real / (real + synthetic)
    assert apart.mi == pytest.approx(-share * np.log(share) - (1 - share) * np.log(1 - share))
    assert apart.mi < apart.mi_unclipped
    assert apart.neighbours_digamma >= 3 and label_entropy(real, synthetic) == apart.mi


def test_equal_classes_have_the_information_of_equal_classes() -> None:
    """200 of N(0,1) and 1000 of N(1,1): .11142 nats with equal classes; as they are, the mixture of 1/6 and 5/6 has less (.063)."""
    generators = [np.random.default_rng([12, seed]) for seed in range(20)]
    pairs = [(generator.normal(size=200), generator.normal(1, 1, 1000)) for generator in generators]
    balanced = [equal_label_mi(*pair, seed=1).estimate for pair in pairs]
    assert np.mean([estimate.mi_unclipped for estimate in balanced]) == pytest.approx(0.11142, abs=0.012)
    assert np.mean([label_mi(*pair).mi_unclipped for pair in pairs]) < 0.08
    # which set is the larger does not matter, and neither does the seed to more than the noise of the subsamples
    real, synthetic = pairs[0]
    assert equal_label_mi(synthetic, real, seed=1).estimate.mi_unclipped == pytest.approx(balanced[0].mi_unclipped, abs=0.03)
    apart = equal_label_mi(real, synthetic + 1000).estimate
    assert apart.mi == np.log(2) and 3 <= apart.neighbours_digamma < 3.01


def test_equal_classes_are_medians_of_subsamples_of_the_larger_one() -> None:
    generator = np.random.default_rng(13)
    real, synthetic = generator.normal(size=50), generator.normal(0.3, 1, 170)
    equal = equal_label_mi(real, synthetic, seed=5)
    assert (equal.size, equal.subsamples) == (50, SUBSAMPLES) and equal.real.all() and equal.synthetic.sum() == 50
    # the subsample that is handed on has the median MI, and the digamma mean is the one that belongs to it
    median = label_mi(real, synthetic[equal.synthetic])
    assert (median.mi_unclipped, median.neighbours_digamma) == (equal.estimate.mi_unclipped, pytest.approx(equal.estimate.neighbours_digamma))
    assert (equal_label_mi(real, synthetic, seed=5).synthetic == equal.synthetic).all()
    whole = equal_label_mi(real, synthetic[:50], seed=5)
    expected = label_mi(real, synthetic[:50])
    assert whole.subsamples == 1 and whole.estimate.mi_unclipped == expected.mi_unclipped
    assert whole.estimate.neighbours_arithmetic == expected.neighbours_arithmetic
    assert np.isnan(equal_label_mi(real, synthetic[:2]).estimate.mi)


def test_permutation_p_is_uniform_under_the_null() -> None:
    generator = np.random.default_rng(9)
    values = [label_mi(generator.normal(size=60), generator.normal(size=80), permutations=99, seed=i).p for i in range(100)]
    assert 0.4 < np.mean(values) < 0.6 and np.mean(np.array(values) <= 0.1) < 0.2


def test_too_few_points_or_missing_values_are_nan() -> None:
    assert np.isnan(label_mi(np.arange(3.0), np.arange(9.0)).mi)
    assert np.isnan(label_mi(np.array([1.0, 2, 3, 4, np.nan]), np.arange(9.0)).mi_unclipped)


def test_half_samples_have_the_spread_of_the_estimate() -> None:
    """Why intervals come from halves: their spread is the sampling spread, where the bootstrap's repeated points are taken for structure."""
    n = 300
    truth = np.std([label_mi(g.normal(size=n), g.normal(0.7, 1, n)).mi_unclipped for g in map(np.random.default_rng, range(150))])
    widths = []
    for seed in range(12):
        generator = np.random.default_rng([1, seed])
        real, synthetic = generator.normal(size=n), generator.normal(0.7, 1, n)
        halves = zip(
            disjoint_halves(np.arange(n), draws=100, seed=2 * seed), disjoint_halves(np.arange(n), draws=100, seed=2 * seed + 1), strict=True
        )
        widths.append(np.diff(percentile_interval([label_mi(real[a], synthetic[b]).mi_unclipped for a, b in halves]))[0])
    assert np.mean(widths) / 3.92 == pytest.approx(truth, rel=0.25)
