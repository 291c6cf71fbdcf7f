"""Pair agreement against scikit-learn, scipy and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import gaussian_kde, norm
from sklearn.metrics import normalized_mutual_info_score

from lookalike.measures.coverage import grid_places
from lookalike.measures.label_mi import label_mi
from lookalike.measures.pair_mi import (
    BINS,
    DEFINITIONS,
    PAIRS_WITH_DIAGONAL,
    PairAgreement,
    common_range_axes,
    equal_width_levels,
    normalised_mutual_information,
    pair_agreement,
    shuffle_columns,
)


def moments(n: int, *, seed: int, shift: float = 0.0) -> np.ndarray:
    """Like moments of mammograms: M2 goes with M1, M4 and M5 with M3."""
    a, b, c = np.random.default_rng(seed).normal(size=(3, n))
    a = a + shift
    m3 = 1.5 - 0.6 * a + 0.3 * c
    return np.stack([0.2 + 0.05 * a, 0.04 + 0.01 * a + 0.004 * b, m3, 1.1 * m3**2 + 0.5 * np.abs(b), m3**3 + 0.8 * m3], axis=1)


def test_nmi_equals_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    first = generator.integers(0, 7, (4, 500))
    second = (first + generator.integers(0, 3, (4, 500))) // 2
    second[3] = 5
    expected = [normalized_mutual_info_score(a, b) for a, b in zip(first, second, strict=True)]
    np.testing.assert_allclose(normalised_mutual_information(first, second), expected, atol=1e-12)
    np.testing.assert_allclose(normalised_mutual_information(first, first), 1)


def test_levels_have_equal_width() -> None:
    levels = equal_width_levels(np.array([[0.0, 0.24, 0.26, 0.99, 1.0], [3.0] * 5]), 4)
    assert levels.tolist() == [[0, 0, 1, 3, 3], [0] * 5]


@pytest.mark.parametrize("columns", [[2], [0, 3]])
def test_definitions_from_scipy_and_numpy(columns: list[int]) -> None:
    real, synthetic = moments(300, seed=1)[:, columns], moments(200, seed=2, shift=0.4)[:, columns]
    axes = common_range_axes(real, synthetic, grid=60)
    grid = grid_places(axes)
    ours = PairAgreement(real, synthetic, grid=60, levels=16)(np.ones((1, 300)), np.ones((1, 200)), origin="synthetic")
    p, q = (gaussian_kde(points.T)(grid.T) for points in (real, synthetic))
    p, q = p / p.sum(), q / q.sum()
    assert ours["jsd_complement"][0] == pytest.approx(1 - jensenshannon(p, q, base=2) ** 2, abs=1e-3)
    assert ours["overlap"][0] == pytest.approx(np.minimum(p, q).sum(), abs=1e-3)
    # cells on the edge of a level may change sides by rounding
    levels = [np.minimum((d - d.min()) / (d.max() - d.min()) * 16, 15).astype(int) for d in (p, q)]
    assert ours["density_nmi"][0] == pytest.approx(normalized_mutual_info_score(*levels), abs=0.01)
    edges = [np.linspace(axis[0], axis[-1], BINS + 1) for axis in axes]
    counts = [np.histogramdd(points, bins=edges)[0].ravel() for points in (real, synthetic)]
    levels = [np.minimum(count / count.max() * 16, 15).astype(int) for count in counts]
    assert ours["hist_nmi"][0] == pytest.approx(normalized_mutual_info_score(*levels), abs=1e-9)


def test_overlap_of_shifted_normals_in_closed_form() -> None:
    generator = np.random.default_rng(3)
    real = generator.normal(size=(50_000, 1))
    scores = PairAgreement(real, real[::-1] + 1.0)(np.ones((1, 50_000)), np.ones((1, 50_000)), origin="synthetic")
    assert scores["overlap"][0] == pytest.approx(2 * norm.cdf(-0.5), abs=0.01)


def test_identity_is_one_and_shuffling_lowers_pairs_alone() -> None:
    real, synthetic = moments(400, seed=4), moments(400, seed=5)
    identity, ours = pair_agreement(real, real), pair_agreement(real, synthetic)
    shuffled = pair_agreement(real, shuffle_columns(synthetic, seed=1))
    assert list(identity) == list(PAIRS_WITH_DIAGONAL) and len(identity) == 15
    for pair, scores in identity.items():
        assert list(scores) == list(DEFINITIONS)
        assert list(scores.values()) == pytest.approx([1.0] * 5, abs=1e-6)
        for definition in DEFINITIONS:
            assert 0 <= ours[pair][definition] <= 1
            if pair[0] == pair[1]:
                assert shuffled[pair][definition] == pytest.approx(ours[pair][definition], abs=1e-6)
    for definition in DEFINITIONS:
        assert shuffled[2, 4][definition] < ours[2, 4][definition] - 0.05


def test_label_mi_complement_in_units_of_the_label_s_entropy() -> None:
    real, synthetic = moments(300, seed=6), moments(300, seed=7, shift=1.5)
    scores = pair_agreement(real, synthetic)
    assert scores[0, 1]["label_mi_complement"] == pytest.approx(1 - label_mi(real[:, :2], synthetic[:, :2]).mi / np.log(2))
    # sets that lie apart have all the information there is: exactly 0 after clipping, whatever their sizes
    far = pair_agreement(real, synthetic[:100] + 1000.0)
    assert far[0, 0]["label_mi_complement"] == far[0, 1]["label_mi_complement"] == 0


def test_label_mi_complement_has_equal_classes() -> None:
    """120 real images against 120 or 960 of one law: the same on average, within the noise of 120 images."""
    real = moments(120, seed=1)
    few, many = (
        np.mean([pair_agreement(real, moments(n, seed=seed, shift=1))[0, 1]["label_mi_complement"] for seed in range(2, 10)]) for n in (120, 960)
    )
    assert few == pytest.approx(many, abs=0.04) and many < 0.9


def test_sets_without_density_are_nan_but_keep_what_is_known() -> None:
    real, collapsed = moments(100, seed=8), np.repeat(moments(1, seed=9), 60, axis=0)
    agreement = PairAgreement(real[:, :2], collapsed[:, :2])
    assert agreement.reason == "synthetic: all values are the same"
    scores = pair_agreement(real, collapsed)[0, 1]
    assert np.isnan(scores["density_nmi"]) and np.isnan(scores["overlap"]) and scores["label_mi_complement"] < 0.5
