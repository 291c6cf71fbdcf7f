"""Share of the real images' support that synthetic images cover, for pairs of moments (K21, Figure 6).

The support of a set is where its kernel density is high: by default the region that holds 97 % of the density (highest-density region, HDR). K21's "97th
percentile" can also be read as a percentile of the density values over the grid; such a region is always 3 % of the grid, whatever the data, so it hangs on
the grid's extent. Both are given, and beside them the share of the real images themselves that lie in the synthetic support.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lookalike.measures.density import KernelDensity, scott_factor, without_spread

CONTOURS = np.linspace(95, 99.99, 10)
"""Percentiles of K21's contours (the 97th is not one of them; it is drawn apart)."""
Region = Literal["hdr", "density_percentile"]
REGIONS: tuple[Region, ...] = ("hdr", "density_percentile")
DEFINITIONS = (*REGIONS, "points")


@dataclass(frozen=True)
class CoverageMap:
    """Two densities on one grid, and the edges of their supports."""

    x: NDArray[np.float64]
    """[g] of the first measurement, in the units of the scaled axes."""
    y: NDArray[np.float64]
    """[g] of the second."""
    real: NDArray[np.float64]
    """Density [g, g], the first measurement along the first axis; NaN where the set has no density."""
    synthetic: NDArray[np.float64]
    """The same of the synthetic set."""
    reason: str
    """Why a density is missing; "" where none is."""


def scale_axes(
    real: NDArray[np.float64], synthetic: NDArray[np.float64], *, scale: Literal["zscore", "raw"]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Real and synthetic measurements [n, d], [m, d] with the mean and standard deviation of the REAL ones taken out of both (raw: as they are).

    A column without spread is only centred.
    """
    if scale == "raw":
        return real, synthetic
    centre, spread = real.mean(axis=0), real.std(axis=0, ddof=1)
    spread = np.where(without_spread(real), 1.0, spread)
    return (real - centre) / spread, (synthetic - centre) / spread


def common_axes(real: NDArray[np.float64], synthetic: NDArray[np.float64], *, grid: int, cut: float) -> list[NDArray[np.float64]]:
    """Grid points [grid] of each axis, from the least point of both sets minus `cut` of its set's bandwidths to the greatest plus as many."""
    lows, highs = [], []
    for points in (real, synthetic):
        bandwidth = scott_factor(len(points), points.shape[1]) * points.std(axis=0, ddof=1)
        lows.append(points.min(axis=0) - cut * bandwidth)
        highs.append(points.max(axis=0) + cut * bandwidth)
    return [np.linspace(low, high, grid) for low, high in zip(np.min(lows, axis=0), np.max(highs, axis=0), strict=True)]


def grid_places(axes: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """All points of the grid that the axes span, [p, d], the first axis slowest."""
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))


def support_level(density: NDArray[np.float64], *, mass: float | NDArray[np.float64], definition: Region = "hdr") -> NDArray[np.float64]:
    """Density value on the edge of the support (see `inside_support`).

    density [..., p] over grid cells of one size; returns [...], with several masses [k] before it, [k, ...]; NaN where a density is NaN. `hdr`: the smallest region that holds `mass` of the density on the
    grid; `density_percentile`: the (100 mass)th percentile of the grid values.
    """
    if definition == "density_percentile":
        return np.asarray(np.quantile(density, mass, axis=-1))
    ordered = np.sort(density, axis=-1)
    # from the lowest cell upwards, the region outside may hold 1 - mass
    held = np.cumsum(ordered, axis=-1)
    outside = np.array([np.count_nonzero(held <= (1 - share) * held[..., -1:], axis=-1) for share in np.ravel(mass)])
    edges = np.stack([np.take_along_axis(ordered, np.minimum(cells, density.shape[-1] - 1)[..., None], axis=-1)[..., 0] for cells in outside])
    return edges if np.ndim(mass) else edges[0]


def inside_support(density: NDArray[np.float64], level: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Cells [b, p] with at least the level [b], but never those without any density: on a grid far wider than a set, a percentile of its density is 0."""
    return (density >= level[:, None]) & (density > 0)


def contour_levels(density: NDArray[np.float64], *, definition: Region = "hdr", percentiles: NDArray[np.float64] = CONTOURS) -> NDArray[np.float64]:
    """Density values of K21's contours, in the order of `percentiles`: descending for `hdr` (99.99 % of the mass is the widest), else ascending."""
    return support_level(density.ravel(), mass=percentiles / 100, definition=definition)


def coverage_map(
    real: NDArray[np.float64], synthetic: NDArray[np.float64], *, grid: int = 200, cut: float = 3.0, scale: Literal["zscore", "raw"] = "zscore"
) -> CoverageMap:
    """Densities of two measurements [n, 2] and [m, 2] on their common grid (K21, Figure 6), without NaN in either."""
    real, synthetic = scale_axes(real, synthetic, scale=scale)
    axes = common_axes(real, synthetic, grid=grid, cut=cut)
    places = grid_places(axes)
    estimators = [KernelDensity(points, places) for points in (real, synthetic)]
    reason = "; ".join(f"{name}: {estimator.reason}" for name, estimator in zip(("real", "synthetic"), estimators, strict=True) if estimator.reason)
    densities = [estimator()[0].reshape(grid, grid) for estimator in estimators]
    return CoverageMap(x=axes[0], y=axes[1], real=densities[0], synthetic=densities[1], reason=reason)


class Coverage:
    """Coverage by any two weightings of fixed real [n, 2] and synthetic [m, 2] points, on one grid (`coverage_map`'s) for all.

    A target is covered by a source: both are weighted real points, or the source synthetic ones.
    """

    def __init__(
        self,
        real: NDArray[np.float64],
        synthetic: NDArray[np.float64],
        *,
        mass: float = 0.97,
        grid: int = 200,
        cut: float = 3.0,
        scale: Literal["zscore", "raw"] = "zscore",
    ) -> None:
        self._mass = mass
        self._cells = grid * grid
        real, synthetic = scale_axes(real, synthetic, scale=scale)
        # the real points themselves follow the grid's cells
        places = np.concatenate([grid_places(common_axes(real, synthetic, grid=grid, cut=cut)), real])
        self._real, self._synthetic = KernelDensity(real, places), KernelDensity(synthetic, places)
        why = {"real": self._real.reason, "synthetic": self._synthetic.reason}
        if not (why["real"] or (self._real()[:, : self._cells] > 0).any()):
            why["real"] = "no cell of the grid lies where they do: they are too narrow beside the synthetic ones"
        self.reason = "; ".join(f"{name}: {reason}" for name, reason in why.items() if reason)

    def __call__(
        self, target: NDArray[np.float64], source: NDArray[np.float64], *, origin: Literal["real", "synthetic"]
    ) -> dict[str, NDArray[np.float64]]:
        """Coverage [b] under each of `DEFINITIONS`, for weights `target` [b, n] of the real points and `source` [b, n or m] of points of that origin.

        hdr and density_percentile: |target's support and source's| / |target's|; points: share of the target's points in the source's HDR. NaN where a weighted
        set has no density.
        """
        targets = self._real(target)
        sources = (self._real if origin == "real" else self._synthetic)(source)
        grid_targets, grid_sources = targets[:, : self._cells], sources[:, : self._cells]
        shares: dict[str, NDArray[np.float64]] = {}
        for definition in REGIONS:
            edges = [support_level(density, mass=self._mass, definition=definition) for density in (grid_targets, grid_sources)]
            inside, also_inside = inside_support(grid_targets, edges[0]), inside_support(grid_sources, edges[1])
            known = ~np.isnan(edges[1])
            shares[definition] = _share(inside & also_inside, inside, known=known)
            if definition == "hdr":
                shares["points"] = _share(target * inside_support(sources[:, self._cells :], edges[1]), target, known=known)
        return shares


def coverage(
    real: NDArray[np.float64],
    synthetic: NDArray[np.float64],
    *,
    mass: float = 0.97,
    grid: int = 200,
    cut: float = 3.0,
    scale: Literal["zscore", "raw"] = "zscore",
) -> dict[str, float]:
    """Coverage of real [n, 2] by synthetic [m, 2] measurements under each of `DEFINITIONS`."""
    measure = Coverage(real, synthetic, mass=mass, grid=grid, cut=cut, scale=scale)
    shares = measure(np.ones((1, len(real))), np.ones((1, len(synthetic))), origin="synthetic")
    return {definition: float(share[0]) for definition, share in shares.items()}


def _share(part: NDArray, whole: NDArray, *, known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Sum of part over sum of whole, by row; NaN where the whole is empty or the row is not known."""
    totals = whole.sum(axis=1).astype(np.float64)
    totals[(totals == 0) | ~known] = np.nan
    return part.sum(axis=1) / totals
