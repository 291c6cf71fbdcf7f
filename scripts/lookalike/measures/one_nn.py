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
_ROWS = 1024
"""Images whose distances to all later ones are in memory at once."""
_ROUNDING = 1e-11
"""Squared distances that differ by less than this share of the vectors' squared lengths are equal: so much may rounding make of it, in 1e5 columns."""


def one_nn(real: NDArray, fake: NDArray) -> tuple[float, float]:
    """Share of the real, and of the fake images whose nearest other image, by Euclidean distance, is of their own kind.

    An image is no neighbour of itself, but its copies are, at no distance. Of equally near ones each has its share of the vote, whatever their order: a real
    image with one copy among the reals and one among the fakes counts one half.

    Args:
        real, fake: images or features, [n, ...] and [m, ...], of any dtype; compared in float64, a part of the distances and of the columns at a time: 10,000 and 10,000 of
            2,048 features take 0.8 GB, themselves included.

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
    blocks = [slice(start, start + _BLOCK) for start in range(0, sets[0].shape[1], _BLOCK)]
    means, lengths = [], np.zeros(size)
    for block in blocks:
        columns = np.concatenate([rows[:, block] for rows in sets], dtype=np.float64)
        means.append(columns.mean(axis=0))
        columns -= means[-1]  # distances stay, but come out of small numbers
        lengths += np.einsum("ij,ij->i", columns, columns)
    if not np.isfinite(lengths).all():
        return float("nan"), float("nan")
    nearest = _Nearest(lengths, len(real))
    for first in range(0, size, _ROWS):
        later = [sets[0][first:], sets[1][max(first - len(real), 0) :]]
        some = min(_ROWS, size - first)
        distances = np.zeros((some, size - first))
        for block, mean in zip(blocks, means, strict=True):
            columns = np.concatenate([rows[:, block] for rows in later], dtype=np.float64)
            columns -= mean
            distances += columns[:some] @ columns.T
        del columns
        distances *= -2
        distances += lengths[first:]
        distances += lengths[first : first + some, None]
        np.fill_diagonal(distances, np.inf)
        nearest.meet(distances, first, first)
        if first + some < size:
            # what these images are to the later ones, the later ones are to them
            nearest.meet(distances[:, some:].T, first + some, first)
    own = np.where(np.arange(size) < len(real), nearest.real, nearest.all - nearest.real)
    right = own / nearest.all
    return float(right[: len(real)].mean()), float(right[len(real) :].mean())


class _Nearest:
    """How many nearest neighbours each image has, and how many of them are real, as distances come block by block.

    lengths: squared lengths [n], of which `_ROUNDING` says what rounding may make of a distance; reals: how many images, the first ones, are real.
    """

    def __init__(self, lengths: NDArray[np.float64], reals: int) -> None:
        self._lengths, self._reals = lengths, reals
        self._least = np.full(len(lengths), np.inf)
        self.all, self.real = np.zeros((2, len(lengths)), dtype=np.int64)

    def meet(self, distances: NDArray[np.float64], first: int, other: int) -> None:
        """Squared distances [r, c] of images from `first` on to images from `other` on."""
        rows = slice(first, first + len(distances))
        least, known = distances.min(axis=1), self._least[rows]
        # a neighbour is no longer than twice the sum of the image's length and its distance
        slack = 2 * _ROUNDING * (self._lengths[rows] + np.maximum(np.minimum(least, known), 0.0))
        near = distances <= (least + slack)[:, None]
        reals = max(self._reals - other, 0)
        closer, as_close = least + slack < known, np.abs(least - known) <= slack
        for counts, found in ((self.all, near), (self.real, near[:, :reals])):
            found_here = np.count_nonzero(found, axis=1)
            counts[rows] = np.where(closer, found_here, counts[rows] + as_close * found_here)
        self._least[rows] = np.minimum(least, known)
