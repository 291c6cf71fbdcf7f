"""Five moments of an image's intensities (K21, Statistical analysis), exactly, from the image's integer histogram."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

MOMENTS = ("M1", "M2", "M3", "M4", "M5")
PAIRS = tuple(combinations(range(len(MOMENTS)), 2))
"""Index pairs of different moments, in the order of K21's upper triangle."""


def histogram(image: NDArray[np.unsignedinteger]) -> NDArray[np.int64]:
    """Pixels at every stored value: int64 [256] of a uint8 image, [65536] of a uint16 image; any shape."""
    if image.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"an image of uint8 or uint16 is needed, not {image.dtype}")
    return np.bincount(image.ravel(), minlength=np.iinfo(image.dtype).max + 1).astype(np.int64, copy=False)


def moments_from_histogram(
    counts: NDArray[np.int64], *, bits: int, form: Literal["standardized", "central"] = "standardized", mask: Literal["none", "breast"] = "none"
) -> NDArray[np.float64]:
    """Moments of an image from its histogram (K21, Statistical analysis); pixels are scaled to [0, 1] by 2^bits - 1.

    counts: int64, pixels at stored value 0, 1, ...; mask `breast` leaves out the zeros, `none` counts the background too.
    Returns float64 [5]: M1 mean, M2 variance (divided by n), M3 skewness, M4 kurtosis (Pearson: 3 for a normal), M5 hyperskewness; with form `central`
    M3 to M5 are the raw central moments. M3 to M5 are NaN in both forms where all pixels are the same (no sigma), all five where no pixel counts.
    """
    values = np.flatnonzero(counts)
    if mask == "breast":
        values = values[values > 0]
    if values.size and values[-1] >= 2**bits:
        raise ValueError(f"stored value {values[-1]} does not fit in {bits} bits")
    if values.size == 0:
        return np.full(5, np.nan)
    shares = counts[values] / counts[values].sum()
    levels = values / (2**bits - 1)
    mean = shares @ levels
    if values.size == 1:
        return np.array([levels[0], 0.0, np.nan, np.nan, np.nan])
    deviations = levels - mean
    squares = deviations * deviations
    variance = shares @ squares
    central = np.array([shares @ (squares * deviations), shares @ (squares * squares), shares @ (squares * squares * deviations)])
    if form == "standardized":
        central /= np.sqrt(variance) ** np.array([3, 4, 5])
    return np.array([mean, variance, *central])


def image_moments(
    images: Iterable[NDArray[np.unsignedinteger]],
    *,
    bits: int,
    form: Literal["standardized", "central"] = "standardized",
    mask: Literal["none", "breast"] = "none",
) -> NDArray[np.float64]:
    """Moments of each image, float64 [n, 5]; arguments as for `moments_from_histogram`."""
    rows = [moments_from_histogram(histogram(image), bits=bits, form=form, mask=mask) for image in images]
    return np.array(rows, dtype=np.float64).reshape(-1, 5)
