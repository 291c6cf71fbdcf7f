"""Gaussian kernel density estimates in one or two dimensions with Scott's full-covariance bandwidth, by gridding and FFT.

The estimate is that of `scipy.stats.gaussian_kde`, hundreds of times faster, for many weightings of the same points (bootstrap draws, halves) at once.

How: points are whitened by their covariance, so that the kernel is round and a grid of `CELLS` cells a bandwidth resolves it in every direction,
however correlated the data. Points are spread on that grid with cubic B-splines, convolved with the Gaussian in Fourier space, where the two splines'
own smoothing is divided out, and read with cubic B-splines at the places asked for. Spreading and convolution are linear in the weights.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft, sparse

CELLS = 3.0
"""Grid cells a bandwidth. With cubic splines, 2 would do; resampling may shrink the bandwidth, when an outlier is left out."""
MARGIN = 5.0
"""Bandwidths of grid beyond the outermost points: the grid is periodic, so twice this lies between a point and another's echo."""
LARGEST = 4096
"""Most grid cells an axis, against running out of memory: reached only by points hundreds of standard deviations out."""
_BATCH_CELLS = 2**22
"""Grid cells of the draws that are convolved together, against running out of memory."""
SINGULAR = 1e-10
"""Covariances with a smaller eigenvalue, relative to the points' own scale, have no density."""


def scott_factor(points: int | NDArray[np.float64], dimensions: int) -> NDArray[np.float64]:
    """Bandwidth in standard deviations, n^(-1/(d+4)) (Scott 1992)."""
    return np.asarray(points, dtype=np.float64) ** (-1.0 / (dimensions + 4))


def without_spread(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Columns of points [n, d] that hold one value: a spread below the rounding of the values is none."""
    return np.asarray(points.std(axis=0) <= 1e-12 * np.abs(points).max(axis=0))


def degenerate(points: NDArray[np.float64]) -> str:
    """Why points [n, d] have no kernel density, in words; "" if they have one."""
    if len(points) <= points.shape[1]:
        return "too few points"
    if not np.isfinite(points).all():
        return "values that are not finite"
    if without_spread(points).any():
        return "all values are the same"
    if np.linalg.eigvalsh(np.atleast_2d(np.corrcoef(points.T)))[0] < SINGULAR:
        return "all points lie on a line"
    return ""


class KernelDensity:
    """Density of points [n, d] at places [p, d], d = 1 or 2, for any weighting of the points.

    Within 1e-3 of the peak of `scipy.stats.gaussian_kde(np.repeat(points, weights), bw_method="scott")`, within 1e-2 for weights that leave out an outlier
    which makes up most of the spread. Further than `MARGIN` bandwidths outside the points' range the density is 0. Where the points have no density, `reason` says why and every density is NaN.
    """

    def __init__(self, points: NDArray[np.float64], places: NDArray[np.float64]) -> None:
        self.points, self.places = len(points), len(places)
        self.reason = degenerate(points)
        if self.reason:
            return
        dimensions = points.shape[1]
        centre = points.mean(axis=0)
        root = np.linalg.cholesky(np.atleast_2d(np.cov(points.T)))
        self._whitened = np.linalg.solve(root, (points - centre).T).T
        self._volume = float(np.prod(np.diag(root)))
        bandwidth = float(scott_factor(len(points), dimensions))
        low, high = self._whitened.min(axis=0) - MARGIN * bandwidth, self._whitened.max(axis=0) + MARGIN * bandwidth
        self._cell = max(bandwidth / CELLS, float((high - low).max()) / LARGEST)
        self._shape = tuple(fft.next_fast_len(int(np.ceil(extent)) + 4, real=True) for extent in (high - low) / self._cell)
        self._spread = _splines((self._whitened - low) / self._cell, self._shape).T
        self._read = _splines((np.linalg.solve(root, (places - centre).T).T - low) / self._cell, self._shape)
        self._products = (self._whitened[:, :, None] * self._whitened[:, None, :]).reshape(len(points), -1)

    def __call__(self, weights: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """Densities [b, p] for weights [b, n], or [1, p] with all weights 1.

        Weights are multiplicities: Scott's factor and the covariance are those of the sample with each point repeated so often. A row whose covariance is
        singular is NaN.
        """
        if weights is None:
            weights = np.ones((1, self.points))
        if self.reason:
            return np.full((len(weights), self.places), np.nan)
        weights = np.asarray(weights, dtype=np.float64)
        totals, bandwidths = self._bandwidths(weights)
        sound = np.flatnonzero(np.isfinite(bandwidths).all(axis=(1, 2)))
        densities = np.full((len(weights), self.places), np.nan)
        axes = tuple(range(len(self._shape)))
        batch = max(1, _BATCH_CELLS // int(np.prod(self._shape)))
        for rows in (sound[start : start + batch] for start in range(0, sound.size, batch)):
            # the draws run along the last axis, so that spreading, transform and reading work on contiguous stretches
            counts = (self._spread @ np.ascontiguousarray(weights[rows].T)).reshape(*self._shape, rows.size)
            spectrum = fft.rfftn(counts, axes=axes)
            spectrum *= self._transfer(bandwidths[rows])
            smooth = fft.irfftn(spectrum, s=self._shape, axes=axes).reshape(-1, rows.size)
            scale = totals[rows] * self._volume * self._cell ** len(self._shape)
            # dividing the splines out rings by parts in a million, which can be negative
            densities[rows] = np.maximum(self._read @ smooth / scale, 0.0).T
        return densities

    def _bandwidths(self, weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Totals [b] and squared bandwidth matrices [b, d, d] in whitened units, NaN where singular."""
        dimensions = self._whitened.shape[1]
        totals = weights.sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            means = weights @ self._whitened / totals[:, None]
            second = (weights @ self._products / totals[:, None]).reshape(-1, dimensions, dimensions)
            covariances = (second - means[:, :, None] * means[:, None, :]) * (totals / (totals - 1))[:, None, None]
        covariances[~np.isfinite(covariances).all(axis=(1, 2)) | (totals <= dimensions)] = 0.0
        covariances[np.linalg.eigvalsh(covariances)[:, 0] < SINGULAR] = np.nan
        return totals, covariances * scott_factor(np.maximum(totals, 1), dimensions)[:, None, None] ** 2

    def _transfer(self, bandwidths: NDArray[np.float64]) -> NDArray[np.float64]:
        """Fourier transform of each Gaussian over that of both splines, [*half spectrum, b]."""
        frequencies = [np.fft.fftfreq(size) for size in self._shape[:-1]] + [np.fft.rfftfreq(self._shape[-1])]
        mesh = np.meshgrid(*frequencies, indexing="ij", sparse=True)
        exponent: NDArray[np.float64] = np.zeros(1)
        splines: NDArray[np.float64] = np.ones(1)
        for i, first in enumerate(mesh):
            # a cubic B-spline is four boxes convolved; there are two of them
            splines = splines * np.sinc(first) ** 8
            for j, second in enumerate(mesh):
                exponent = exponent + (first * second)[..., None] * bandwidths[:, i, j]
        return np.exp((-2 * np.pi**2 / self._cell**2) * exponent) / splines[..., None]


def _splines(positions: NDArray[np.float64], shape: tuple[int, ...]) -> sparse.csr_array:
    """Cubic B-spline weights of positions [n, d], in cells, on a grid of `shape`: [n, cells], rows outside the grid empty."""
    # far places are only known to be outside
    base: NDArray[np.int32] = np.clip(np.floor(positions), 0, max(shape)).astype(np.int32)
    t = positions - base
    inside = np.all((base >= 1) & (base + 2 < np.array(shape)), axis=1)
    rest, square = 1 - t, t * t
    pieces = np.stack([rest * rest * rest, (3 * t - 6) * square + 4, ((3 - 3 * t) * t + 3) * t + 1, square * t], axis=-1) / 6
    if not inside.all():
        base, pieces = base[inside], pieces[inside]
    columns: NDArray[np.int32] = base[:, 0] - 1
    values: NDArray[np.float64] = pieces[:, 0]
    steps: NDArray[np.int32] = np.arange(4, dtype=np.int32)
    for axis, size in enumerate(shape[1:], start=1):
        columns = columns * np.int32(size) + (base[:, axis] - 1)
        values = (values[:, :, None] * pieces[:, axis, None, :]).reshape(len(values), 4 * values.shape[1])
        steps = np.add.outer(steps * np.int32(size), np.arange(4, dtype=np.int32)).ravel()
    starts = np.concatenate([[0], np.cumsum(np.where(inside, steps.size, 0))])
    return sparse.csr_array((values.ravel(), (columns[:, None] + steps).ravel(), starts), shape=(len(positions), int(np.prod(shape))))
