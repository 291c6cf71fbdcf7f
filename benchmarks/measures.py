"""The measures against scipy, scikit-learn and the formula as one would write it, with the threads that each takes by default."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import linalg, ndimage, stats
from sklearn.feature_selection import mutual_info_classif
from sklearn.neighbors import NearestNeighbors

from benchmarks.timing import Options, Row, in_child, race
from lookalike.measures.coverage import contour_levels, coverage, coverage_map, grid_places
from lookalike.measures.density import KernelDensity
from lookalike.measures.frechet import frechet_distance
from lookalike.measures.label_mi import label_mi, neighbours_of
from lookalike.measures.moments import BLOCK_BYTES, PAIRS, histogram, image_moments, moments_from_histogram
from lookalike.measures.one_nn import one_nn
from lookalike.pixels.store import ImageStore, write_part
from lookalike.statistics import disjoint_halves


def run(options: Options) -> Iterator[Row]:
    """Moments and their stage, coverage, label MI, Frechet distance, 1-NN."""
    for bits in (8, 16):
        yield from _moments(options.quick, bits)
        yield _stage(options, bits)
    yield _coverage(options.quick)
    yield _label_mi(options.quick)
    for images, reach in ((1000, 30.0), (10_000, 5.0)):
        yield _frechet(options.quick, images, reach)
    yield _one_nn(options.quick)


def _mammogram(seed: int, rows: int, columns: int) -> NDArray[np.float32]:
    """In [0, 1]: half of it background, the rest smooth, with texture."""
    y, x = np.mgrid[:rows, :columns]
    texture = 0.6 * ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(rows, columns)), 2)
    return np.asarray(
        np.clip(np.clip(1 - np.hypot((y - rows / 2) / (0.55 * rows), x / (0.8 * columns)), 0, 1) * (0.6 + texture), 0, 1), dtype=np.float32
    )


def _moments(quick: bool, bits: int) -> Iterator[Row]:
    top = 2**bits - 1
    image = np.rint(top * _mammogram(1, *((160, 128) if quick else (1280, 1024)))).astype(np.uint8 if bits == 8 else np.uint16)

    def ours() -> NDArray[np.float64]:
        return moments_from_histogram(histogram(image), bits=bits)

    def naive() -> list[float]:
        x = image / top
        return [x.mean(), x.var(), *(np.mean(((x - x.mean()) / x.std()) ** power) for power in (3, 4, 5))]

    def scipys() -> list[float]:
        x = image.ravel() / top
        return [x.mean(), x.var(), stats.skew(x), stats.kurtosis(x, fisher=False), stats.moment(x, 5) / x.var() ** 2.5]

    for against, peer, reach in (("numpy as one would write it", naive, 100.0), ("scipy.stats", scipys, None)):
        holds = _equal(ours(), peer(), 1e-9)
        job = f"five moments of {image.shape[0]}x{image.shape[1]}, uint{bits}"
        yield race(job, against, ours, peer, reach=reach, rounds=1 if quick else 15, holds=holds)


def _stage(options: Options, bits: int) -> Row:
    images, levels = (4, 5) if options.quick else (96, 9)
    shape = (5 << levels - 1, 4 << levels - 1)
    part = Path(options.scratch, f"{bits}", "part-000.zarr")
    write_part(part, (_mammogram(seed, *shape) for seed in range(images)), n=images, base=(5, 4), levels=levels, bits=8 if bits == 8 else 16)
    table = pd.DataFrame({"part": 0, "row": range(images)})

    def ours() -> None:
        image_moments(ImageStore(table, [part]).level(levels - 1), bits=bits)

    def read() -> None:
        level = ImageStore(table, [part]).level(levels - 1)
        count = max(1, BLOCK_BYTES // (math.prod(shape) * level.dtype.itemsize))
        for start in range(0, images, count):
            level[start : start + count]

    job = f"the moments' stage, {images} images of {shape[0]}x{shape[1]}, uint{bits}"
    return race(job, "only reading the store", ours, read, reach=0.8, rounds=1 if options.quick else 15, holds="both read the same blocks")


def _coverage(quick: bool) -> Row:
    points, grid, part = (1000, 64, 64) if quick else (100_000, 512, 256)
    generator = np.random.default_rng(1)
    mixing = np.eye(5) + 0.3 * generator.normal(size=(5, 5))
    real, synthetic = (generator.normal(shift, 1, (points, 5)) @ mixing for shift in (0.0, 0.2))

    def ours() -> None:
        for pair in PAIRS:
            density = coverage_map(real[:, pair], synthetic[:, pair], grid=grid)
            contour_levels(density.real), contour_levels(density.synthetic)
            coverage(real[:, pair], synthetic[:, pair], grid=grid)

    drawn = coverage_map(real[:, PAIRS[0]], synthetic[:, PAIRS[0]], grid=grid, scale="raw")
    cells = grid_places([drawn.x, drawn.y])
    places = cells[generator.choice(len(cells), part, replace=False)]

    def peer() -> NDArray[np.float64]:
        return np.asarray(stats.gaussian_kde(real[:, PAIRS[0]].T)(places.T))

    holds = _equal(KernelDensity(real[:, PAIRS[0]], places)()[0], peer(), 1e-3, of=drawn.real.max(), unit="of the peak")
    job = f"KDE, contours, coverage: 10 pairs, 2 x {points:,}, {grid}x{grid}"
    holds += f"; the peer: densities alone, at {part} of {len(cells):,} cells of one of 20"
    return race(job, "scipy.stats.gaussian_kde", ours, peer, reach=1000, rounds=1 if quick else 5, share=part / (20 * len(cells)), holds=holds)


def _label_mi(quick: bool) -> Row:
    images, draws, part = (200, 20, 5) if quick else (2000, 1000, 50)
    generator = np.random.default_rng(1)
    real, synthetic = generator.normal(size=images), generator.normal(0.5, 1, images)

    def halves(count: int) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        rows, others = (disjoint_halves(np.arange(images), draws=count, seed=seed) for seed in (1, 2))
        return ((real[one], synthetic[other]) for one, other in zip(rows, others, strict=True))

    def ours() -> list[tuple[float, float]]:
        return [(found.mi, found.neighbours_digamma) for found in (label_mi(*pair) for pair in halves(draws))]

    def peer() -> list[tuple[float, float]]:
        labels = np.repeat([0, 1], images // 2)
        mi = [float(mutual_info_classif(np.concatenate(pair)[:, None], labels, discrete_features=False, random_state=0)[0]) for pair in halves(part)]
        return [(each, neighbours_of(each, images // 2, images // 2)) for each in mi]

    # not a bootstrap: its repeated images are ties, to which scikit-learn adds noise and we do not
    holds = _equal(ours()[:part], peer(), 1e-6, of=1, unit="at most") + "; halves of the images, as the program draws them"
    job = f"label MI and neighbours, {draws:,} resamples of 2 x {images // 2:,}"
    rounds = 1 if quick else 5
    return race(job, "mutual_info_classif in a loop", ours, peer, reach=10, rounds=rounds, share=part / draws, holds=holds)


def _frechet(quick: bool, images: int, reach: float) -> Row:
    images, dimensions = (images // 20, 100) if quick else (images, 2048)
    generator = np.random.default_rng(1)
    real, synthetic = (generator.normal(shift, 1 + shift, (images, dimensions)).astype(np.float32) for shift in (0.0, 0.1))
    found: dict[str, float] = {}

    def ours() -> None:
        found["ours"] = frechet_distance(real, synthetic)

    def peer() -> None:
        first, second = real.astype(np.float64), synthetic.astype(np.float64)
        s, t = np.cov(first.T), np.cov(second.T)
        apart = np.sum((first.mean(axis=0) - second.mean(axis=0)) ** 2)
        found["peer"] = float(apart + np.trace(s) + np.trace(t) - 2 * np.trace(linalg.sqrtm(s @ t)).real)

    row = race(f"Frechet distance, d {dimensions:,}, n {images:,}", "scipy.linalg.sqrtm", ours, peer, reach=reach, rounds=1 if quick else 3)
    # with fewer images than features the covariances are singular, and their root is inexact
    return replace(row, holds=_equal(found["ours"], found["peer"], 1e-6 if images > dimensions else 1e-4))


def _one_nn_alone(images: int, dimensions: int) -> None:
    one_nn(*_features(images, dimensions))


def _features(images: int, dimensions: int) -> list[NDArray[np.float32]]:
    generator = np.random.default_rng(1)
    return [generator.normal(shift, 1, (images, dimensions)).astype(np.float32) for shift in (0.0, 0.05)]


def _one_nn(quick: bool) -> Row:
    images, dimensions = (500, 64) if quick else (10_000, 2048)
    real, fake = _features(images, dimensions)
    found: dict[str, Any] = {}

    def ours() -> None:
        found["ours"] = one_nn(real, fake)

    def peer() -> None:
        both = np.concatenate([real, fake])
        nearest = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(both).kneighbors(return_distance=False)[:, 0]
        right = (nearest < images) == (np.arange(2 * images) < images)
        found["peer"] = right[:images].mean(), right[images:].mean()

    job = f"1-NN, {images:,} real and {images:,} fake of {dimensions:,}"
    row = race(job, "scikit-learn brute force", ours, peer, reach=1, rounds=1 if quick else 2)
    memory = in_child(_one_nn_alone, images, dimensions)[1]
    if memory > 1e9:
        raise RuntimeError(f"1-NN took {memory / 1e9:.2f} GB")
    return replace(row, holds=f"{_equal(found['ours'], found['peer'], 1e-12)}; {memory / 1e9:.2f} GB with the features, of 1 allowed")


def _equal(ours: Any, theirs: Any, bound: float, *, of: Any = None, unit: str = "relatively") -> str:
    """In words that two results are equal, as shares of `of`, else of the peer's.

    Raises:
        RuntimeError: they are not, so that their times cannot be compared.
    """
    apart = float(np.max(np.abs(np.subtract(ours, theirs)) / np.abs(theirs if of is None else of)))
    if not apart <= bound:
        raise RuntimeError(f"ours and the peer's results are {apart:.2g} apart {unit}, more than {bound:g}")
    return f"equal: {apart:.2g} apart {unit}, {bound:g} allowed"
