"""Exact nearest neighbours in a classifier's feature space (D21, Methods: which real image is a synthetic one most like?)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

DECIMALS = 12
"""Distances are rounded to these, so that copies of an image tie: sums in another order differ in the last bits."""
_BLOCK = 8192
"""Rows of the gallery in memory at once."""


def nearest_neighbours(queries: NDArray, gallery: NDArray, *, k: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The k rows of a gallery that are nearest to each query by cosine distance, 1 - cos, nearest first; of equally near ones, the first in the gallery.

    The gallery is read in blocks, once: an array, a memory map, or whatever gives an array for a slice.

    Args:
        queries: [q, d].
        gallery: [n, d].
        k: how many.

    Returns:
        Rows of the gallery [q, k], and their distances [q, k] in [0, 2]. A vector of zeros is at distance 1 from everything.

    Raises:
        ValueError: fewer than k rows, or a feature that is not finite.
    """
    if len(gallery) < k:
        raise ValueError(f"{k} neighbours asked for among {len(gallery)}")
    directions = _directions(queries)
    rows = np.empty((len(directions), 0), dtype=np.int64)
    distances = np.empty((len(directions), 0))
    for start in range(0, len(gallery), _BLOCK):
        block = _directions(gallery[start : start + _BLOCK])
        found = np.clip(np.round(1 - directions @ block.T, DECIMALS), 0, 2)
        indices = np.broadcast_to(np.arange(start, start + len(block)), found.shape)
        # earlier rows stand first, and a stable sort leaves them there
        rows, distances = np.concatenate([rows, indices], axis=1), np.concatenate([distances, found], axis=1)
        order = np.argsort(distances, axis=1, kind="stable")[:, :k]
        rows, distances = np.take_along_axis(rows, order, axis=1), np.take_along_axis(distances, order, axis=1)
    return rows, distances


def _directions(vectors: NDArray) -> NDArray[np.float64]:
    vectors = np.asarray(vectors, dtype=np.float64)
    if not np.isfinite(vectors).all():
        raise ValueError("features that are not finite")
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
