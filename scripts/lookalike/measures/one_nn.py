"""Leave-one-out accuracy of a nearest-neighbour classifier of real against fake images (Lopez-Paz and Oquab 2017; Xu et al. 2018; H19, Table 2).

Equally many images of one law give (n - 1) / (2n - 1) on both sides, about one half. Above, the sets are told apart. Below one half is not better: fakes lie
nearer to these very reals than reals to one another, as they do when the reals are memorised, or few where the generator has seen them all.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NAMES = {"nn_real": "1-NN accuracy, real", "nn_fake": "1-NN accuracy, fake"}
_BLOCK = 2048
"""Columns that are in memory as float64 at once."""
_ROUNDING = 1e-11
"""Squared distances that differ by less than this share of the vectors' squared lengths are equal: so much may rounding make of it, in 1e5 columns."""


def one_nn(real: NDArray, fake: NDArray) -> tuple[float, float]:
    """Share of the real, and of the fake images whose nearest other image, by Euclidean distance, is of their own kind.

    An image is no neighbour of itself, but its copies are, at no distance. Of equally near ones each has its share of the vote, whatever their order: a real
    image with one copy among the reals and one among the fakes counts one half.

    Args:
        real, fake: images or features, [n, ...] and [m, ...], of any dtype; compared in float64. The distances [n + m, n + m] are in memory.

    Returns:
        In [0, 1]; NaN both where a set has fewer than two images or a value is not finite.

    Raises:
        ValueError: the images of the two sets differ in size.
    """
    if min(len(real), len(fake)) < 2:
        return float("nan"), float("nan")
    sets = [rows.reshape(len(rows), -1) for rows in (real, fake)]
    if sets[0].shape[1] != sets[1].shape[1]:
        raise ValueError(f"real images of {sets[0].shape[1]} values and fake ones of {sets[1].shape[1]}")
    size = len(real) + len(fake)
    products = np.zeros((size, size))
    for start in range(0, sets[0].shape[1], _BLOCK):
        columns = np.concatenate([rows[:, start : start + _BLOCK] for rows in sets]).astype(np.float64)
        columns -= columns.mean(axis=0)  # distances stay, but come out of small numbers
        products += columns @ columns.T
    lengths = products.diagonal().copy()
    if not np.isfinite(lengths).all():
        return float("nan"), float("nan")
    distances = lengths[:, None] + lengths - 2 * products
    np.fill_diagonal(distances, np.inf)
    nearest = distances.argmin(axis=1)
    rows = np.arange(size)
    near = distances <= (distances[rows, nearest] + _ROUNDING * (lengths + lengths[nearest]))[:, None]
    own = (rows < len(real))[:, None] == (rows < len(real))
    right = (near & own).sum(axis=1) / near.sum(axis=1)
    return float(right[: len(real)].mean()), float(right[len(real) :].mean())
