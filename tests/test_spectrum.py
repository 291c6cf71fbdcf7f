"""Spectra against noise whose spectrum is known."""

from __future__ import annotations

import numpy as np
import pytest

from lookalike.measures.spectrum import BANDS, band_matrix, image_spectra, octave_bands, spectrum_band_error


def noise(shape: tuple[int, int], exponent: float, *, seed: int) -> np.ndarray:
    """uint16 image, power falling with radial frequency in cycles per pixel to the power `exponent`."""
    generator = np.random.default_rng(seed)
    radius = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None, :])
    radius[0, 0] = np.inf
    field = np.fft.irfft2(np.fft.rfft2(generator.normal(size=shape)) * radius ** (-exponent / 2), s=shape)
    return np.rint(np.clip(32768 + 4000 * field / field.std(), 0, 65535)).astype(np.uint16)


@pytest.mark.parametrize("shape", [(64, 64), (80, 64), (50, 65)])
def test_white_noise_is_flat_at_its_variance(shape: tuple[int, int]) -> None:
    images = [noise(shape, 0.0, seed=seed) for seed in range(80)]
    power = image_spectra(images, bits=16)
    assert power.shape == (80, shape[1] // 2)
    variance = np.mean([np.var(image / 65535) for image in images])
    np.testing.assert_allclose(power.mean(axis=0)[2:], variance, rtol=0.1)
    assert power.mean() == pytest.approx(variance, rel=0.02)


@pytest.mark.parametrize("shape", [(128, 128), (160, 128)])
@pytest.mark.parametrize("exponent", [1.0, 2.0, 3.0])
def test_power_law_slope_is_recovered(shape: tuple[int, int], exponent: float) -> None:
    mean = image_spectra([noise(shape, exponent, seed=seed) for seed in range(20)], bits=16).mean(axis=0)
    frequency = np.arange(1, mean.size + 1)
    fitted = slice(3, 60)
    slope = np.polyfit(np.log10(frequency[fitted]), np.log10(mean[fitted]), 1)[0]
    assert slope == pytest.approx(-exponent, abs=0.07)


def test_a_wave_is_found_at_its_frequency_whatever_the_shape() -> None:
    """8 cycles in 64 pixels, along either axis of an 80 x 64 image: bin 8, as pixels are square."""
    rows, columns = np.mgrid[:80, :64]
    for phase in (columns / 8, rows / 8):
        image = np.rint(128 + 100 * np.cos(2 * np.pi * phase)).astype(np.uint8)
        power = image_spectra([image], bits=8)[0]
        assert power.argmax() + 1 == 8 and power[[6, 7, 8]].sum() / power.sum() > 0.99


def test_an_edge_does_not_smear_along_the_axis() -> None:
    """A breast is bright at the chest wall and dark at the other side: without a window the jump alone would fill all frequencies."""
    ramp = np.tile(np.linspace(250, 5, 64), (64, 1)).astype(np.uint8)
    power = image_spectra([ramp], bits=8)[0]
    assert power[20:].max() / power[0] < 1e-5


def test_brightness_and_contrast() -> None:
    image = noise((64, 64), 1.0, seed=1) // 4
    first, brighter, stronger = image_spectra([image, image + 9000, image * 2], bits=16)
    np.testing.assert_allclose(brighter, first, rtol=1e-6)
    np.testing.assert_allclose(stronger, 4 * first, rtol=1e-9)
    assert (image_spectra([np.full((8, 8), 7, dtype=np.uint8)], bits=8) < 1e-30).all()
    with pytest.raises(ValueError, match="one shape"):
        image_spectra([image, image[:, :32]], bits=16)


def test_bands_hold_every_frequency_once() -> None:
    frequencies = np.arange(1, 513, dtype=float)
    bands = octave_bands(frequencies)
    assert list(bands) == list(BANDS)
    np.testing.assert_allclose([edge for band in bands.values() for edge in band], [1, 8, 8, 64, 64, 512])
    members = band_matrix(frequencies, bands) > 0
    assert (members.sum(axis=0) == 1).all() and members[2, -1]


def test_band_error_of_known_ratios() -> None:
    frequencies = np.arange(1, 65, dtype=float)
    real = np.random.default_rng(0).gamma(5, size=(30, 64))
    factors = np.select([frequencies < 4, frequencies < 16], [1.0, 10.0], 0.01)
    errors = spectrum_band_error(real, real * factors, frequencies=frequencies, bands={"low": (1, 4), "mid": (4, 16), "high": (16, 64)})
    assert errors == pytest.approx({"low": 0.0, "mid": 1.0, "high": -2.0}, abs=1e-12)
