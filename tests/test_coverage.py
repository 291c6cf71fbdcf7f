"""Coverage against closed forms for normals, seaborn's levels and brute force."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import gaussian_kde, norm

from lookalike.measures.coverage import (
    CONTOURS,
    REGIONS,
    Coverage,
    common_axes,
    contour_levels,
    coverage,
    coverage_map,
    grid_places,
    scale_axes,
    support_level,
)


def normal_grid(shift: float = 0.0, *, cells: int = 401, reach: float = 5.0) -> np.ndarray:
    axis = np.linspace(-reach, reach, cells)
    return np.outer(norm.pdf(axis, shift), norm.pdf(axis, shift)).ravel()


def lens(shift: float, radius: float) -> float:
    """Share of a disc that a second one of its radius covers, `shift` away."""
    return float(2 / np.pi * np.arccos(shift / (2 * radius)) - shift / (np.pi * radius) * np.sqrt(1 - (shift / (2 * radius)) ** 2))


def test_support_of_a_normal_is_its_disc() -> None:
    """97 % of a two-dimensional normal lie within radius sqrt(-2 log .03)."""
    density = normal_grid()
    edge = norm.pdf(0) ** 2 * 0.03
    assert float(support_level(density, mass=0.97)) == pytest.approx(edge, rel=0.01)
    assert density[density >= support_level(density, mass=0.97)].sum() / density.sum() == pytest.approx(0.97, abs=1e-4)
    share = np.mean(density >= support_level(density, mass=0.97, definition="density_percentile"))
    assert share == pytest.approx(0.03, abs=1e-4)


def test_support_level_of_few_cells() -> None:
    density = np.array([[0.5, 0.3, 0.15, 0.05], [np.nan] * 4, [0.25] * 4])
    assert [support_level(density, mass=mass)[0] for mass in (0.4, 0.79, 0.81, 0.96)] == [0.5, 0.3, 0.15, 0.05]
    assert np.isnan(support_level(density, mass=0.8)[1]) and support_level(density, mass=0.8)[2] == 0.25


def test_contours_equal_the_edges_of_one_support_each() -> None:
    densities = np.random.default_rng(3).gamma(1.0, 1.0, (3, 40, 30)).round(1)  # with ties
    for definition in REGIONS:
        for density in densities:
            edges = [support_level(density.ravel(), mass=percentile / 100, definition=definition) for percentile in CONTOURS]
            np.testing.assert_array_equal(contour_levels(density, definition=definition), edges)
        together = support_level(densities.reshape(3, -1), mass=CONTOURS / 100, definition=definition)
        assert together.shape == (len(CONTOURS), 3)
        np.testing.assert_array_equal(together[:, 1], contour_levels(densities[1], definition=definition))


def test_shifted_normals() -> None:
    """Shift .4 an axis covers .864 (in closed form, two overlapping discs), .899 at .3."""
    for shift, expected in ((0.3, 0.899), (0.4, 0.864)):
        real, synthetic = (density >= support_level(density, mass=0.97) for density in (normal_grid(), normal_grid(shift)))
        share = np.mean(synthetic[real])
        assert share == pytest.approx(lens(shift * np.sqrt(2), np.sqrt(-2 * np.log(0.03))), abs=0.003) == pytest.approx(expected, abs=0.003)


def test_shifted_normal_samples() -> None:
    generator = np.random.default_rng(1)
    real = generator.normal(size=(20_000, 2))
    synthetic = generator.permutation(real) + 0.4
    assert coverage(real, synthetic)["hdr"] == pytest.approx(0.864, abs=0.01)


def test_identical_sets_cover_one_another() -> None:
    points = np.exp(np.random.default_rng(2).normal(size=(300, 2)))
    shares = coverage(points, points[::-1])
    assert shares["hdr"] == pytest.approx(1, abs=1e-3) and shares["density_percentile"] == pytest.approx(1, abs=1e-3)
    generator = np.random.default_rng(3)
    assert coverage(generator.normal(size=(5000, 2)), generator.normal(size=(5000, 2)))["points"] == pytest.approx(0.97, abs=0.01)


def test_brute_force_with_scipy() -> None:
    generator = np.random.default_rng(3)
    real = generator.multivariate_normal([0.2, 0.04], [[0.01, 0.0018], [0.0018, 0.0004]], 250)
    synthetic = generator.multivariate_normal([0.23, 0.05], [[0.01, 0.0015], [0.0015, 0.0004]], 150)
    scaled = [(points - real.mean(axis=0)) / real.std(axis=0, ddof=1) for points in (real, synthetic)]
    axes = common_axes(*scaled, grid=120, cut=3.0)
    for axis, column in enumerate(np.concatenate(scaled).T):
        assert axes[axis][0] < column.min() and axes[axis][-1] > column.max()
    estimates = [gaussian_kde(points.T) for points in scaled]
    densities = [estimate(grid_places(axes).T) for estimate in estimates]
    shares = coverage(real, synthetic, grid=120)
    for definition in ("hdr", "density_percentile"):
        regions, edges = [], []
        for density in densities:
            ordered = np.sort(density)[::-1]
            hdr = ordered[np.searchsorted(np.cumsum(ordered) / ordered.sum(), 0.97)]
            edges.append(hdr if definition == "hdr" else np.percentile(density, 97))
            regions.append(density >= edges[-1])
        assert shares[definition] == pytest.approx((regions[0] & regions[1]).sum() / regions[0].sum(), abs=0.005)
        if definition == "hdr":
            assert shares["points"] == pytest.approx(np.mean(estimates[1](scaled[0].T) >= edges[1]), abs=0.005)


def test_coverage_is_not_symmetric_and_has_no_unit() -> None:
    generator = np.random.default_rng(4)
    wide, narrow = generator.normal(size=(500, 2)), 0.4 * generator.normal(size=(500, 2))
    shares = coverage(wide, narrow)
    assert shares["hdr"] < 0.3 < 0.97 < coverage(narrow, wide)["hdr"]
    units = np.array([1e-3, 70.0])
    for scale in ("zscore", "raw"):
        assert coverage(wide * units + 5, narrow * units + 5, scale=scale) == pytest.approx(shares, abs=1e-3)


def test_zscore_is_the_real_set_s() -> None:
    generator = np.random.default_rng(5)
    real, synthetic = scale_axes(5 + 3 * generator.normal(size=(200, 2)), 11 + 3 * generator.normal(size=(200, 2)), scale="zscore")
    np.testing.assert_allclose([real.mean(axis=0), real.std(axis=0, ddof=1)], [[0, 0], [1, 1]], atol=1e-12)
    assert synthetic.mean() == pytest.approx(2, abs=0.3)


def test_map_and_contours() -> None:
    generator = np.random.default_rng(6)
    real, synthetic = generator.normal([1, 5], [1, 0.1], (400, 2)), generator.normal([1, 5], [0.5, 0.2], (300, 2))
    drawn = coverage_map(real, synthetic, grid=90)
    assert drawn.real.shape == drawn.synthetic.shape == (90, 90) and drawn.reason == ""
    # the synthetic set is wide along the second axis, which is the second index
    assert np.std(drawn.y @ drawn.synthetic.T) >= 0 and drawn.synthetic.sum(axis=0).max() < drawn.real.sum(axis=0).max()
    mode = np.unravel_index(drawn.real.argmax(), drawn.real.shape)
    assert abs(drawn.x[mode[0]]) < 0.6 and abs(drawn.y[mode[1]]) < 0.6
    wider = contour_levels(drawn.real)
    inner = contour_levels(drawn.real, definition="density_percentile")
    assert wider.shape == CONTOURS.shape and (np.diff(wider) < 0).all() and (np.diff(inner) > 0).all()


def test_sets_without_density_give_nan_and_a_reason() -> None:
    generator = np.random.default_rng(7)
    real, flat = generator.normal(size=(100, 2)), np.stack([np.full(80, 0.3), generator.normal(size=80)], axis=1)
    assert all(np.isnan(share) for share in coverage(real, flat).values()) and np.isnan(coverage(flat, real)["hdr"])
    assert Coverage(real, flat).reason == coverage_map(real, flat).reason == "synthetic: all values are the same"


def test_far_apart_sets_do_not_cover_one_another() -> None:
    """The grid is so wide that a percentile of either density over it is 0, and one set lies between its points."""
    generator = np.random.default_rng(8)
    real, synthetic = generator.normal(size=(200, 2)), 3000 + 0.01 * generator.normal(size=(200, 2))
    shares = coverage(real, synthetic)
    assert shares["points"] == 0 and not shares["hdr"] > 0 and not shares["density_percentile"] > 0
    near = coverage(real, synthetic / 100)
    assert near == {"hdr": 0, "density_percentile": 0, "points": 0}


def test_a_grid_too_coarse_for_the_reals_is_named() -> None:
    generator = np.random.default_rng(8)
    real = generator.normal(size=(200, 2))
    measure = Coverage(real, np.concatenate([real, [[-1000, -1000], [1000, 1000]]]))
    assert measure.reason.startswith("real: no cell of the grid")
    shares = measure(np.ones((1, 200)), np.ones((1, 202)), origin="synthetic")
    assert np.isnan(shares["hdr"]) and np.isnan(shares["density_percentile"])
