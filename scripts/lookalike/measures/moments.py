"""Five moments of an image's intensities (K21, Statistical analysis), exactly, from the image's integer histogram."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MOMENTS = ("M1", "M2", "M3", "M4", "M5")
PAIRS = tuple(combinations(range(len(MOMENTS)), 2))
"""Index pairs of different moments, in the order of K21's upper triangle."""
BLOCK_BYTES = 2**24
"""Images that are read at once: a store decodes many together faster than one by one, and its small images lie several in a chunk."""


class Images(Protocol):
    """What images [n, ...] are read from: an array in memory, or a store's level."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype: ...

    def __len__(self) -> int: ...

    def __getitem__(self, block: slice, /) -> Any: ...


def histogram(image: NDArray[np.unsignedinteger]) -> NDArray[np.int64]:
    """Pixels at every stored value: int64 [256] of a uint8 image, [65536] of a uint16 image; any shape."""
    if image.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"an image of uint8 or uint16 is needed, not {image.dtype}")
    if image.dtype == np.uint8:
        # numpy would first make every pixel an int64, which takes longer than counting
        return np.array(Image.fromarray(image.reshape(1, -1)).histogram(), dtype=np.int64)
    return np.bincount(image.ravel(), minlength=2**16).astype(np.int64, copy=False)


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
    # sums, not scalar products: those are handed to threads, which takes longer than they save
    mean = np.sum(shares * levels)
    if values.size == 1:
        return np.array([levels[0], 0.0, np.nan, np.nan, np.nan])
    deviations = levels - mean
    powers = shares * deviations
    central = np.array([np.sum(powers := powers * deviations) for _ in range(2, 6)])
    if form == "standardized":
        central[1:] /= np.sqrt(central[0]) ** np.array([3, 4, 5])
    return np.array([mean, *central])


def image_moments(
    images: Images,
    *,
    bits: int,
    form: Literal["standardized", "central"] = "standardized",
    mask: Literal["none", "breast"] = "none",
) -> NDArray[np.float64]:
    """Moments of each image, float64 [n, 5]; twice `BLOCK_BYTES` of images are in memory at once; other arguments as for `moments_from_histogram`."""
    rows = [moments_from_histogram(histogram(image), bits=bits, form=form, mask=mask) for block in _blocks(images) for image in block]
    return np.array(rows, dtype=np.float64).reshape(-1, 5)


def _blocks(images: Images) -> Iterator[NDArray[np.unsignedinteger]]:
    """Images in blocks of `BLOCK_BYTES`, in order; a thread reads the next block while one is counted."""
    count = max(1, BLOCK_BYTES // (math.prod(images.shape[1:]) * images.dtype.itemsize))
    with ThreadPoolExecutor(1) as reader:
        reading = reader.submit(images.__getitem__, slice(0, count))
        for start in range(count, len(images) + count, count):
            block = reading.result()
            reading = reader.submit(images.__getitem__, slice(start, start + count))
            yield block
