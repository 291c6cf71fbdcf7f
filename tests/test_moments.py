"""Moments against scipy.stats on the pixels themselves."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from lookalike.measures import moments as module
from lookalike.measures.moments import MOMENTS, PAIRS, histogram, image_moments, moments_from_histogram


def image(dtype: type, bits: int, *, seed: int = 0) -> np.ndarray:
    """Like a mammogram: half background, the rest skewed."""
    generator = np.random.default_rng(seed)
    values = np.minimum(generator.gamma(2.0, 2**bits / 12, (150, 120)), 2**bits - 1)
    values[:, 60:] = 0
    return values.astype(dtype)


def scipy_moments(pixels: np.ndarray, *, standardized: bool) -> list[float]:
    central = [stats.moment(pixels, order) for order in (2, 3, 4, 5)]
    if standardized:
        assert stats.skew(pixels) == pytest.approx(central[1] / central[0] ** 1.5)
        central[1:] = [stats.skew(pixels), stats.kurtosis(pixels, fisher=False), central[3] / central[0] ** 2.5]
    return [pixels.mean(), *central]


@pytest.mark.parametrize(("dtype", "bits"), [(np.uint8, 8), (np.uint16, 16), (np.uint16, 12)])
@pytest.mark.parametrize("form", ["standardized", "central"])
@pytest.mark.parametrize("mask", ["none", "breast"])
def test_moments_equal_scipy(dtype: type, bits: int, form: str, mask: str) -> None:
    values = image(dtype, bits)
    pixels = values.ravel() / (2**bits - 1)
    if mask == "breast":
        pixels = pixels[pixels > 0]
    ours = moments_from_histogram(histogram(values), bits=bits, form=form, mask=mask)
    np.testing.assert_allclose(ours, scipy_moments(pixels, standardized=form == "standardized"), rtol=1e-9)


def test_histogram_counts_every_stored_value() -> None:
    counts = histogram(np.array([[0, 3], [3, 65535]], dtype=np.uint16))
    assert counts.dtype == np.int64 and counts.shape == (65536,)
    assert counts[[0, 3, 65535]].tolist() == [1, 2, 1] and counts.sum() == 4
    with pytest.raises(ValueError, match="float32"):
        histogram(np.zeros((2, 2), dtype=np.float32))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_histogram_equals_counting_whatever_the_layout(dtype: type) -> None:
    values = np.random.default_rng(1).integers(0, np.iinfo(dtype).max, (3, 31, 17), dtype=dtype, endpoint=True)
    for view in (values, values[:, ::2, ::-3], values.T, values[0, 0], values[:0]):
        np.testing.assert_array_equal(histogram(view), np.bincount(view.ravel(), minlength=np.iinfo(dtype).max + 1))


def test_constant_and_empty_images_have_no_shape() -> None:
    constant = np.full((4, 4), 51, dtype=np.uint8)
    for form in ("standardized", "central"):
        values = moments_from_histogram(histogram(constant), bits=8, form=form)
        assert values[:2].tolist() == [0.2, 0.0] and np.isnan(values[2:]).all()
    assert np.isnan(moments_from_histogram(histogram(np.zeros((4, 4), dtype=np.uint8)), bits=8, mask="breast")).all()


def test_value_that_does_not_fit_the_bits_is_refused() -> None:
    with pytest.raises(ValueError, match="4096 does not fit in 12 bits"):
        moments_from_histogram(histogram(np.array([[0, 4096]], dtype=np.uint16)), bits=12)


def test_two_point_distribution_in_closed_form() -> None:
    """White with probability q, else black: M3 = (1-2q)/s, M4 = 1/s^2 - 3, M5 = (1-2q)(1-2q(1-q))/s^3 with s^2 = q(1-q)."""
    q = 0.2
    pixels = np.array([255] * 20 + [0] * 80, dtype=np.uint8)
    s = np.sqrt(q * (1 - q))
    expected = [q, s**2, (1 - 2 * q) / s, 1 / s**2 - 3, (1 - 2 * q) * (1 - 2 * q * (1 - q)) / s**3]
    np.testing.assert_allclose(moments_from_histogram(histogram(pixels), bits=8), expected, rtol=1e-12)


def test_one_row_an_image(monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.stack([image(np.uint8, 8, seed=seed) for seed in range(7)])
    values = image_moments(images, bits=8, mask="breast")
    assert values.shape == (7, len(MOMENTS)) and values.dtype == np.float64
    np.testing.assert_array_equal(values[5], moments_from_histogram(histogram(images[5]), bits=8, mask="breast"))
    # read in blocks, all the same
    monkeypatch.setattr(module, "BLOCK_BYTES", 2 * images[0].nbytes)
    np.testing.assert_array_equal(image_moments(images, bits=8, mask="breast"), values)
    assert image_moments(images[:0], bits=8).shape == (0, 5)


def test_pairs_are_the_upper_triangle() -> None:
    assert len(PAIRS) == 10 and PAIRS[0] == (0, 1) and PAIRS[4] == (1, 2) and PAIRS[-1] == (3, 4)
