"""Frechet and kernel distances against closed forms, scipy's and MONAI's matrix square root, scikit-learn's kernel, and simulation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import linalg
from sklearn.metrics.pairwise import polynomial_kernel

from lookalike.measures import frechet
from lookalike.measures.frechet import compare_features, extrapolate, frechet_distance, frechet_name, kernel_distance, kernel_distances, kernel_name


def normal(n: int, d: int, *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d))


def white(n: int, d: int, *, seed: int = 0) -> np.ndarray:
    """Rows whose mean is exactly 0 and whose covariance exactly 1."""
    x = normal(n, d, seed=seed)
    return linalg.qr(x - x.mean(axis=0), mode="economic")[0] * np.sqrt(n - 1)


@pytest.mark.parametrize(("n", "d"), [(300, 20), (30, 50)])
def test_identical_sets_are_at_0_and_shifted_ones_at_the_square_of_the_shift(n: int, d: int) -> None:
    x, shift = 50 + normal(n, d), np.linspace(-1, 2, d)
    assert frechet_distance(x, x[::-1]) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(x, x + shift) == pytest.approx(shift @ shift, rel=1e-9)
    assert frechet_distance(x, x + shift) == pytest.approx(frechet_distance(x + shift, x), rel=1e-9)


def test_gaussians_with_a_closed_form() -> None:
    """Covariances that commute: the distance is |mu - nu|^2 + sum (s - t)^2, s and t being the standard deviations."""
    s, t, shift = np.linspace(0.1, 4, 12), np.linspace(3, 0.5, 12), np.full(12, 0.3)
    turn = linalg.qr(normal(12, 12, seed=5))[0]
    distance = frechet_distance(white(400, 12) * s @ turn, white(300, 12, seed=1) * t @ turn + shift)
    assert distance == pytest.approx(shift @ shift + np.sum((s - t) ** 2), rel=1e-9)


@pytest.mark.parametrize(("n", "m"), [(200, 150), (20, 200), (200, 20), (20, 15)])
def test_equals_the_matrix_square_root(n: int, m: int) -> None:
    mixing = normal(40, 40, seed=2)
    x, y = normal(n, 40) @ mixing, 1.5 * normal(m, 40, seed=1) @ mixing + 0.2
    s, t = np.cov(x.T), np.cov(y.T)
    root = np.trace(linalg.sqrtm(s @ t)).real
    expected = np.sum((x.mean(0) - y.mean(0)) ** 2) + np.trace(s) + np.trace(t) - 2 * root
    # where a covariance is singular, it is the square root that is inexact
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-9 if min(n, m) > 40 else 1e-5)


def by_roots(x: np.ndarray, y: np.ndarray) -> float:
    """The slow form, exact for singular covariances too: S^(1/2) from all eigenvectors."""
    s, t = np.cov(x.T), np.cov(y.T)
    values, vectors = linalg.eigh(s)
    root = vectors * np.sqrt(np.maximum(values, 0))
    shared = np.sqrt(np.maximum(linalg.eigvalsh(root.T @ t @ root), 0)).sum()
    return float(np.sum((x.mean(0) - y.mean(0)) ** 2) + np.trace(s) + np.trace(t) - 2 * shared)


def test_features_that_follow_from_others_or_never_change() -> None:
    """Covariances of less than full rank, from more images than features."""
    mixing = normal(6, 20, seed=3)
    x, y = normal(90, 6) @ mixing, 1.4 * normal(80, 6, seed=1) @ mixing + 0.3
    x[:, 4], y[:, 4] = 2.0, 2.5
    for pair in ((x, y), (x, normal(80, 20, seed=2)), (normal(80, 20, seed=2), x)):
        assert frechet_distance(*pair) == pytest.approx(by_roots(*pair), rel=1e-6)
    constant = np.ones((90, 20))
    assert frechet_distance(constant, constant + 1) == pytest.approx(20)
    assert frechet_distance(constant, y) == pytest.approx(by_roots(constant, y)) == pytest.approx(frechet_distance(y, constant))


@pytest.mark.filterwarnings("ignore:The `disp` argument:DeprecationWarning")
def test_equals_monai() -> None:
    from monai.metrics.fid import get_fid_score

    x, y = normal(300, 16), normal(250, 16, seed=1) * 1.3 + 0.1
    theirs = float(get_fid_score(torch.from_numpy(y), torch.from_numpy(x)))
    assert frechet_distance(x.astype(np.float32), y) == pytest.approx(theirs, rel=1e-5)


def test_sets_without_a_distance_are_nan() -> None:
    x = normal(5, 3)
    broken = np.where(np.eye(5, 3, dtype=bool), np.inf, x)
    for measure in (frechet_distance, kernel_distance):
        assert np.isnan(measure(x, x[:1])) and np.isnan(measure(broken, x)) and np.isnan(measure(x, broken))


@pytest.mark.parametrize("block", [7, 1024])
def test_kernel_distance_equals_all_pairs(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frechet, "_BLOCK", block)
    x, y = normal(30, 6), normal(41, 6, seed=1) + 0.4
    xx, yy, xy = (polynomial_kernel(a, b, degree=3, gamma=1 / 6, coef0=1) for a, b in ((x, x), (y, y), (x, y)))
    off = ~np.eye(30, dtype=bool), ~np.eye(41, dtype=bool)
    assert kernel_distance(x, y) == pytest.approx(xx[off[0]].mean() + yy[off[1]].mean() - 2 * xy.mean(), rel=1e-12)


def test_kernel_distance_is_unbiased() -> None:
    distances = [kernel_distance(normal(20, 4, seed=2 * k), normal(30, 4, seed=2 * k + 1)) for k in range(400)]
    assert abs(np.mean(distances)) < 3 * np.std(distances) / 20 and min(distances) < 0


def test_resampled_kernel_distances_leave_out_pairs_of_copies() -> None:
    x, y, generator = normal(30, 6), normal(20, 6, seed=1) + 0.4, np.random.default_rng(2)
    weights, others = generator.integers(0, 4, (5, 30)), generator.integers(0, 4, (5, 20))
    assert kernel_distances(x, y, np.ones((1, 30)), np.ones((1, 20)))[0] == kernel_distance(x, y)
    for found, first, second in zip(kernel_distances(x, y, weights, others), weights, others, strict=True):
        rows = [np.repeat(np.arange(len(each)), each) for each in (first, second)]
        a, b = x[rows[0]], y[rows[1]]
        aa, bb, ab = (polynomial_kernel(p, q, degree=3, gamma=1 / 6, coef0=1) for p, q in ((a, a), (b, b), (a, b)))
        apart = [row[:, None] != row[None] for row in rows]
        assert found == pytest.approx(aa[apart[0]].mean() + bb[apart[1]].mean() - 2 * ab.mean(), rel=1e-10)
    assert np.isnan(kernel_distances(x, y, np.eye(2, 30), np.ones((2, 20)))).all()


def test_the_limit_is_without_bias_and_its_interval_is_as_wide_as_the_limit_varies() -> None:
    """Patients of four images, which are alike: counted by image, the bias would be underestimated."""
    patients, d, shift = np.repeat(np.arange(75), 4), 6, 0.3
    estimates = []
    for k in range(40):
        generator = np.random.default_rng(k)
        real = np.sqrt(0.6) * generator.normal(size=(75, d))[patients] + np.sqrt(0.4) * generator.normal(size=(300, d))
        synthetic = generator.normal(shift, 1, (300, d))
        estimates.append(extrapolate(real, synthetic, first_groups=patients, second_groups=np.arange(300), draws=30, seed=1))
    truth, limits = d * shift**2, np.array([estimate.value for estimate in estimates])
    error = limits.std() / np.sqrt(len(limits))
    assert np.mean([estimate.distance for estimate in estimates]) > truth + 5 * error
    assert abs(limits.mean() - truth) < 2.5 * error
    widths = np.array([estimate.high - estimate.low for estimate in estimates]) / 3.92
    assert widths.mean() == pytest.approx(limits.std(), rel=0.3)
    assert np.mean([estimate.low <= truth <= estimate.high for estimate in estimates]) > 0.8
    spreads = np.array([estimate.distance_high - estimate.distance_low for estimate in estimates]) / 3.92
    assert spreads.mean() == pytest.approx(np.std([estimate.distance for estimate in estimates]), rel=0.3)
    assert all(estimate.distance_low < estimate.distance < estimate.distance_high for estimate in estimates)
    assert estimates[0].smallest == 150


def test_a_nesting_does_not_depend_on_how_many_there_are() -> None:
    x, y = normal(60, 4), normal(50, 4, seed=1)
    groups = {"first_groups": np.arange(60), "second_groups": np.arange(50)}
    one, two = (extrapolate(x, y, **groups, draws=draws, seed=3) for draws in (1, 2))
    assert one.low == one.high == pytest.approx(one.value)
    assert min(abs(bound - one.value) for bound in (two.low, two.high)) < 0.05 * (two.high - two.low)
    assert one != extrapolate(x, y, **groups, draws=1, seed=4)


def test_only_inceptions_features_are_called_fid() -> None:
    assert frechet_name("Inception") == "FID" and kernel_name("Inception") == "KID"
    assert frechet_name("DenseNet-121") == "Frechet distance (DenseNet-121)"
    assert kernel_name("DenseNet-121") == "kernel distance (DenseNet-121)"


def test_distances_beside_what_they_are_between_real_images() -> None:
    """Patients of four images, which are alike. As unlike as other patients: at the ceiling; shifted: far above it."""
    patients = np.repeat(np.arange(60), 4)

    def people(seed: int) -> np.ndarray:
        return 0.8 * normal(60, 5, seed=seed)[patients] + 0.6 * normal(240, 5, seed=seed + 100)

    def compared(synthetic: np.ndarray) -> pd.DataFrame:
        return compare_features(people(0), patients, synthetic, features="x", splits=30, bootstrap=100, seed=1).set_index("measure")

    like, shifted = compared(people(1)[:100]), compared(people(1) + 1)
    for table in (like, shifted):
        assert (table["low"] <= table["value"]).all() and (table["value"] <= table["high"]).all()
    assert (like["matched"] < like["ceiling_high"]).all() and (shifted["matched"] > 2 * shifted["ceiling_high"]).all()
    assert like.loc["frechet", ["n_real", "n_synthetic", "name"]].tolist() == [240, 100, "Frechet distance (x)"]
    assert like.loc["frechet", "extrapolated"] < like.loc["frechet", "value"] and np.isnan(like.loc["kernel", "extrapolated"])
    wide = compare_features(normal(20, 30), np.arange(20), normal(20, 30), features="Inception", splits=3, bootstrap=10, seed=1)
    assert "too few for a straight line" in wide["note"][0] and wide["name"].tolist() == ["FID", "KID"]
    alone = compare_features(people(0), np.zeros(240), people(1), features="x", splits=3, bootstrap=10, seed=1)
    assert alone[["ceiling", "matched"]].isna().all(axis=None) and alone["value"].notna().all()
