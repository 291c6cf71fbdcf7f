"""Radially averaged power spectra of images: texture, which moments cannot see."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import fft

BANDS = ("low", "mid", "high")


def image_spectra(images: Iterable[NDArray[np.unsignedinteger]], *, bits: int) -> NDArray[np.float64]:
    """Power [n, K] of images [H, W] of one shape at radial frequencies 1 to K = W // 2 cycles per image width; K is Nyquist's.

    Pixels are scaled to [0, 1] by 2^bits - 1. The weighted mean is taken out and a Hann window put on both axes: breasts end at the chest wall and not at
    their own beginning, which without a window smears power along the axes. Power is |FFT|^2 over the window's sum of squares, so white noise of variance v
    has power v at every frequency. Frequency is the distance from 0 in cycles per pixel (pixels are square, images need not be), times W; bin k averages
    what is nearer to k than to other whole numbers.
    """
    rows: list[NDArray[np.float64]] = []
    shape: tuple[int, ...] = ()
    for image in images:
        if image.shape != shape:
            if shape:
                raise ValueError(f"images of one shape are needed, not {shape} and {image.shape}")
            shape = image.shape
            window = np.outer(_hann(shape[0]), _hann(shape[1]))
            bins, shares = _radial_bins(shape)
        values = image / (2**bits - 1)
        values = (values - (values * window).sum() / window.sum()) * window
        power = np.abs(fft.rfft2(values)) ** 2
        rows.append(np.bincount(bins, weights=(power * shares).ravel())[1 : shape[1] // 2 + 1] / np.sum(window**2))
    return np.array(rows)


def _hann(size: int) -> NDArray[np.float64]:
    """Periodic Hann window; of a single pixel 1."""
    return np.ones(1) if size == 1 else 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)


def _radial_bins(shape: tuple[int, ...]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Bin of each coefficient of the half spectrum, flat, and its share in the bin's mean."""
    height, width = shape
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :]) * width
    bins = np.rint(radius).astype(np.int64)
    # each column of the half spectrum stands for two, but the first and, in even widths, the last
    columns = np.full(radius.shape, 2.0)
    columns[:, 0] = 1.0
    if width % 2 == 0:
        columns[:, -1] = 1.0
    totals = np.bincount(bins.ravel(), weights=columns.ravel())
    return bins.ravel(), columns / totals[bins]


def octave_bands(frequencies: NDArray[np.float64]) -> dict[str, tuple[float, float]]:
    """Low, mid and high thirds, in octaves, of the range from the lowest of the frequencies to the highest: name -> (from, to); the last holds its end."""
    edges = np.geomspace(frequencies.min(), frequencies.max(), len(BANDS) + 1)
    return {name: (float(low), float(high)) for name, low, high in zip(BANDS, edges[:-1], edges[1:], strict=True)}


def band_matrix(frequencies: NDArray[np.float64], bands: Mapping[str, tuple[float, float]]) -> NDArray[np.float64]:
    """[bands, K]: the weights with which each frequency enters each band's mean, equal within a band (NaN where a band has none)."""
    rows = []
    for low, high in bands.values():
        inside = (frequencies >= low) & ((frequencies < high) | (frequencies == frequencies.max()) & np.isclose(high, frequencies.max()))
        rows.append(inside / inside.sum() if inside.any() else np.full(frequencies.size, np.nan))
    return np.array(rows)


def spectrum_band_error(
    real: NDArray[np.float64],
    synthetic: NDArray[np.float64],
    *,
    frequencies: NDArray[np.float64],
    bands: Mapping[str, tuple[float, float]] | None = None,
) -> dict[str, float]:
    """log10 of the sets' mean power ratio (synthetic over real) a band, averaged over the band's frequencies.

    real [n, K], synthetic [m, K]; 0 = the same power, -1 = a tenth of it (too smooth). bands: name -> (from, to), by default `octave_bands`.
    """
    bands = octave_bands(frequencies) if bands is None else bands
    errors = band_matrix(frequencies, bands) @ np.log10(synthetic.mean(axis=0) / real.mean(axis=0))
    return dict(zip(bands, map(float, errors), strict=True))
