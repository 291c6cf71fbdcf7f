"""Kernel densities against scipy.stats.gaussian_kde."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy.stats import gaussian_kde

from lookalike.measures.density import KernelDensity, degenerate


def sample(kind: str, n: int = 800, *, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    x, y = generator.normal(size=(2, n))
    return {
        "normal": np.stack([3 + x, 0.01 * y], axis=1),
        "correlated": np.stack([x, x + 0.01 * y], axis=1),
        "bent": np.stack([x, x**2 + 0.05 * y], axis=1),
        "heavy": generator.standard_t(2, size=(n, 2)),
        "skewed": np.exp(1.5 * np.stack([x, 0.9 * x + 0.4 * y], axis=1)),
        "line": x[:, None],
        "heavy line": generator.standard_t(2, size=(n, 1)),
    }[kind]


def places_about(points: np.ndarray) -> np.ndarray:
    """A grid over the data and three bandwidths beyond, and some of the points."""
    bandwidth = len(points) ** (-1 / (points.shape[1] + 4)) * points.std(axis=0)
    axes = [np.linspace(low, high, 40) for low, high in zip(points.min(axis=0) - 3 * bandwidth, points.max(axis=0) + 3 * bandwidth, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, points.shape[1])
    return np.concatenate([grid, points[:300]])


@pytest.mark.parametrize("kind", ["normal", "correlated", "bent", "heavy", "skewed", "line", "heavy line"])
@pytest.mark.parametrize("n", [12, 800])
def test_equals_scipy(kind: str, n: int) -> None:
    points = sample(kind, n)
    places = places_about(points)
    expected = gaussian_kde(points.T)(places.T)
    np.testing.assert_allclose(KernelDensity(points, places)()[0], expected, atol=1e-3 * expected.max(), rtol=0)


@pytest.mark.parametrize("kind", ["correlated", "skewed", "line"])
def test_weights_are_repetitions(kind: str) -> None:
    points = sample(kind)
    places = places_about(points)
    generator = np.random.default_rng(1)
    weights = np.stack([generator.poisson(1, len(points)), np.arange(len(points)) % 2, generator.poisson(0.2, len(points))])
    densities = KernelDensity(points, places)(weights)
    for row, density in zip(weights, densities, strict=True):
        expected = gaussian_kde(np.repeat(points, row, axis=0).T)(places.T)
        np.testing.assert_allclose(density, expected, atol=1e-3 * expected.max(), rtol=0)


def test_an_outlier_left_out_of_a_draw_costs_no_accuracy() -> None:
    """It widens the bandwidth that the grid is made for: without it the kernel is several times narrower."""
    points = np.concatenate([sample("normal", 500), [[60.0, 0.5]]])
    weights = np.ones((1, len(points)))
    weights[0, -1] = 0
    places = places_about(points[:-1])
    expected = gaussian_kde(points[:-1].T)(places.T)
    np.testing.assert_allclose(KernelDensity(points, places)(weights)[0], expected, atol=1e-2 * expected.max(), rtol=0)


def test_integrates_to_one_and_is_zero_far_away() -> None:
    points = sample("bent")
    x, y = np.linspace(-6, 6, 300), np.linspace(-4, 18, 600)
    places = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1).reshape(-1, 2)
    density = KernelDensity(points, np.concatenate([places, [[1e9, -1e9]]]))()[0]
    assert density[:-1].sum() * (x[1] - x[0]) * (y[1] - y[0]) == pytest.approx(1, abs=1e-3)
    assert density[-1] == 0 and density.min() >= 0


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        (np.array([[0.0, 1.0], [1.0, 2.0]]), "too few points"),
        (np.stack([np.full(50, 0.1), np.arange(50.0)], axis=1), "all values are the same"),
        (np.stack([np.arange(50.0), 3 * np.arange(50.0) + 1], axis=1), "all points lie on a line"),
        (np.full((9, 1), 0.3), "all values are the same"),
        (np.array([[np.inf, 1.0], [1.0, 2.0], [3.0, 4.0], [0.0, 1.0]]), "values that are not finite"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_points_without_a_density_say_why(points: np.ndarray, reason: str) -> None:
    estimate = KernelDensity(points, points[:2])
    assert degenerate(points) == estimate.reason == reason
    assert np.isnan(estimate()).all() and estimate(np.ones((3, len(points)))).shape == (3, 2)


def test_a_draw_without_a_density_is_nan_and_spares_the_others() -> None:
    points = sample("normal", 50)
    weights = np.ones((3, 50))
    weights[1] = 0
    weights[1, 7] = 50
    densities = KernelDensity(points, points)(weights)
    assert np.isnan(densities[1]).all()
    np.testing.assert_allclose(densities[[0, 2]], np.repeat(KernelDensity(points, points)(), 2, axis=0), rtol=1e-9)


def test_fast_enough_for_big_cohorts() -> None:
    """Two sets of 100,000 points at 512 x 512; scipy takes minutes. The bound is ten times what one quiet core needs."""
    points = sample("correlated", 100_000)
    axis = np.linspace(-5, 5, 512)
    places = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    start = time.process_time()
    for _ in range(2):
        KernelDensity(points, places)()
    assert time.process_time() - start < 4
