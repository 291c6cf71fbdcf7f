"""Agreement of the joint density of two moments in real and synthetic images (K21, Table 1).

K21 does not print what its table's "mutual information" is. From its words (source and target, support and shape) the default is a reconstruction from image
registration: normalised mutual information between the two densities as images. No definition tried gives the printed pattern, so values cannot be compared
with the printed .60 to .78. All five definitions are 1 for identical sets:

    density_nmi          both kernel densities on a common grid, each cut into equal-width levels: normalised mutual information of the two level images
    jsd_complement       1 - Jensen-Shannon divergence of the gridded densities, in bits
    hist_nmi             as density_nmi, with the counts of images in 20 bins an axis in place of the densities
    label_mi_complement  1 - Ross's label MI of the pair (clipped, equal classes) / ln 2, the entropy of the label
    overlap              overlap coefficient of the gridded densities, the sum of their minimum

A pair with itself, the diagonal, is the one-dimensional case.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from lookalike.measures.coverage import grid_places
from lookalike.measures.density import KernelDensity, degenerate
from lookalike.measures.label_mi import equal_label_mi
from lookalike.measures.moments import MOMENTS

DEFINITIONS = ("density_nmi", "jsd_complement", "hist_nmi", "label_mi_complement", "overlap")
PAIRS_WITH_DIAGONAL = tuple((i, j) for i in range(len(MOMENTS)) for j in range(i, len(MOMENTS)))
BINS = 20
"""Bins an axis of hist_nmi."""
MARGIN = 0.05
"""Grid beyond the common range of both sets, as a share of it."""


def normalised_mutual_information(first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.float64]:
    """2 I / (H1 + H2) of two label images [b, p], by row: 1 where both are constant (as scikit-learn's, with the arithmetic mean)."""
    rows = np.arange(len(first))[:, None]
    joint = first * (int(second.max(initial=0)) + 1) + second
    entropies = [_entropy(rows, labels) for labels in (first, second, joint)]
    total = entropies[0] + entropies[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(total > 0, 2 * (total - entropies[2]) / total, 1.0)


def _entropy(rows: NDArray[np.int64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Entropy [b] of the labels [b, p] of each row, nats."""
    width = int(labels.max(initial=0)) + 1
    places = labels.shape[1]
    counts = np.bincount((rows * width + labels).ravel(), minlength=len(labels) * width).reshape(len(labels), width)
    shares = counts / places
    return -np.sum(shares * np.log(shares, out=np.zeros_like(shares), where=counts > 0), axis=1)


def equal_width_levels(density: NDArray[np.float64], levels: int) -> NDArray[np.int64]:
    """Each row of [b, p] cut into `levels` intervals of one width between its least and its greatest value: 0 to levels - 1."""
    low, high = density.min(axis=1, keepdims=True), density.max(axis=1, keepdims=True)
    width = np.where(high > low, high - low, 1.0)
    return np.minimum((density - low) / width * levels, levels - 1).astype(np.int64)


def common_range_axes(real: NDArray[np.float64], synthetic: NDArray[np.float64], *, grid: int) -> list[NDArray[np.float64]]:
    """Grid points [grid] of each axis over the common range of both sets, and `MARGIN` of it on either side."""
    low = np.minimum(real.min(axis=0), synthetic.min(axis=0))
    high = np.maximum(real.max(axis=0), synthetic.max(axis=0))
    margin = MARGIN * (high - low)
    return [np.linspace(start, stop, grid) for start, stop in zip(low - margin, high + margin, strict=True)]


class PairAgreement:
    """Agreement of any two weightings of fixed real [n, d] and synthetic [m, d] points, d = 1 or 2, on one grid for all.

    `label_mi_complement` is not among them: a nearest-neighbour estimate has no weights (see `label_mi_complement`).
    """

    def __init__(self, real: NDArray[np.float64], synthetic: NDArray[np.float64], *, grid: int = 100, levels: int = 32) -> None:
        self._levels = levels
        self.reason = "; ".join(f"{name}: {reason}" for name, reason in (("real", degenerate(real)), ("synthetic", degenerate(synthetic))) if reason)
        axes = common_range_axes(real, synthetic, grid=grid)
        places = grid_places(axes)
        self._density = {"real": KernelDensity(real, places), "synthetic": KernelDensity(synthetic, places)}
        self._bins = {"real": _bin_matrix(real, axes), "synthetic": _bin_matrix(synthetic, axes)}

    def __call__(
        self, target: NDArray[np.float64], source: NDArray[np.float64], *, origin: Literal["real", "synthetic"]
    ) -> dict[str, NDArray[np.float64]]:
        """Agreement [b] by definition, for weights `target` [b, n] of the real points and `source` [b, n or m] of points of that origin."""
        densities = self._density["real"](target), self._density[origin](source)
        counts = self._bins["real"] @ target.T, self._bins[origin] @ source.T
        # a set much narrower than the grid's cells may lie between them
        known = (densities[0].max(axis=1) > 0) & (densities[1].max(axis=1) > 0)
        first, second = densities[0][known], densities[1][known]
        scores = {
            "density_nmi": self._level_nmi(first, second),
            "hist_nmi": self._level_nmi(counts[0].T[known], counts[1].T[known]),
            **_divergences(first, second),
        }
        filled = {}
        for definition, values in scores.items():
            filled[definition] = np.full(len(target), np.nan)
            filled[definition][known] = values
        return filled

    def _level_nmi(self, first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
        return normalised_mutual_information(equal_width_levels(first, self._levels), equal_width_levels(second, self._levels))


def _divergences(first: NDArray[np.float64], second: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """1 - Jensen-Shannon divergence in bits, and the overlap coefficient, of densities [b, p] normalised on the grid."""
    p, q = first / first.sum(axis=1, keepdims=True), second / second.sum(axis=1, keepdims=True)
    divergence = _plogp((p + q) / 2) * -1 + (_plogp(p) + _plogp(q)) / 2
    return {"jsd_complement": 1 - divergence, "overlap": np.minimum(p, q).sum(axis=1)}


def _plogp(p: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.sum(p * np.log2(p, out=np.zeros_like(p), where=p > 0), axis=1)


def _bin_matrix(points: NDArray[np.float64], axes: list[NDArray[np.float64]]) -> sparse.csr_array:
    """[bins, n]: one where a point is in a bin; `BINS` equal bins an axis over the grid's extent."""
    code = np.zeros(len(points), dtype=np.int64)
    for column, axis in zip(points.T, axes, strict=True):
        width = (axis[-1] - axis[0]) or 1.0
        code = code * BINS + np.clip((column - axis[0]) / width * BINS, 0, BINS - 1).astype(np.int64)
    return sparse.csr_array((np.ones(len(points)), (code, np.arange(len(points)))), shape=(BINS ** len(axes), len(points)))


def as_points(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points [n, d] as `label_mi` takes them: [n] for d = 1, which it does faster."""
    return columns[:, 0] if columns.shape[1] == 1 else columns


def complement(mi: float) -> float:
    """1 - label MI of equal classes over its maximum, ln 2."""
    return 1 - mi / float(np.log(2))


def label_mi_complement(real: NDArray[np.float64], synthetic: NDArray[np.float64], *, neighbours: int = 3, seed: int = 1) -> float:
    """1 - label MI of points [n, d], [m, d] over ln 2, with equal classes (`equal_label_mi`); Euclidean distances between standardised columns."""
    return complement(equal_label_mi(as_points(real), as_points(synthetic), neighbours=neighbours, seed=seed).estimate.mi)


def pair_columns(pair: tuple[int, int]) -> list[int]:
    """Columns of the moments that a pair takes: one for the diagonal."""
    return sorted(set(pair))


def pair_agreement(
    real: NDArray[np.float64], synthetic: NDArray[np.float64], *, grid: int = 100, levels: int = 32, neighbours: int = 3, seed: int = 1
) -> dict[tuple[int, int], dict[str, float]]:
    """Agreement of moments [n, 5] and [m, 5], without NaN, under each of `DEFINITIONS`, for the 15 pairs with the diagonal.

    The seed draws the larger set down where label MI needs equal classes.
    """
    ones = np.ones((1, len(real))), np.ones((1, len(synthetic)))
    result = {}
    for pair in PAIRS_WITH_DIAGONAL:
        columns = pair_columns(pair)
        scores = PairAgreement(real[:, columns], synthetic[:, columns], grid=grid, levels=levels)(*ones, origin="synthetic")
        of_label = label_mi_complement(real[:, columns], synthetic[:, columns], neighbours=neighbours, seed=seed)
        values = {definition: float(score[0]) for definition, score in scores.items()} | {"label_mi_complement": of_label}
        result[pair] = {definition: values[definition] for definition in DEFINITIONS}
    return result


def shuffle_columns(moments: NDArray[np.float64], *, seed: int) -> NDArray[np.float64]:
    """Each column of [n, 5] permuted on its own: the five distributions stay, their joint ones are lost.

    `pair_agreement(real, shuffle_columns(real))` is the baseline of a generator that knows nothing of how moments go together, and
    `pair_agreement(real, real)` that of one that knows all.
    """
    generator = np.random.default_rng(seed)
    return np.stack([generator.permutation(column) for column in moments.T], axis=1)
