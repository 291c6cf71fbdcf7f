"""What simulated images share: smooth steps, strokes and curves; and, for chest X-rays and head CTs, a plane in physical units, shapes on it, and
the way a tree is written, a patient at a time."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

import numpy as np
import pandas as pd

from lookalike.errors import LookalikeError

Array = np.ndarray


class Plane(NamedTuple):
    """Pixels of a square field in physical units, x from its middle, y from its top."""

    shape: tuple[int, int]
    pixel: float
    x: Array
    y: Array

    def pixels(self, points: Array) -> Array:
        """(x, y), last axis, as (column, row)."""
        return points / self.pixel + np.array([self.shape[1] / 2 - 0.5, -0.5])

    def stroke(self, canvas: Array, points: Sequence[tuple[float, float]], width: float, strength: float, taper: float = 0.0) -> None:
        """Draw a curve through `points` as a ridge on `canvas`; the stronger of what was there and what is drawn counts.

        Args:
            canvas: float32 [rows, columns], changed in place.
            points: (x, y); joined by a smooth curve.
            width: full width at half maximum.
            strength: height of the ridge; a stroke thinner than a pixel is weakened as a detector would.
            taper: share of the strength that is lost towards the end.
        """
        knots = np.array(points, dtype=float)
        gone = np.r_[0, np.cumsum(np.hypot(*np.diff(knots, axis=0).T))]
        along = np.linspace(0, 1, max(8, int(gone[-1] / (0.7 * self.pixel))))
        line = np.stack([_smooth(along * gone[-1], gone, knots[:, axis]) for axis in (0, 1)], axis=-1)
        thin = min(1.0, width / self.pixel)
        draw_strokes(canvas, self.pixels(line), width / self.pixel, strength * thin * (1 - taper * along))


def _smooth(at: Array, knots: Array, values: Array) -> Array:
    """Cubic Hermite curve through the knots; its slopes are those between the neighbours."""
    slopes = np.gradient(values, knots) if len(knots) > 2 else np.full(2, (values[1] - values[0]) / (knots[1] - knots[0]))
    i = np.clip(np.searchsorted(knots, at) - 1, 0, len(knots) - 2)
    h = knots[i + 1] - knots[i]
    t = (at - knots[i]) / h
    start = values[i] * (1 + 2 * t) * (1 - t) ** 2 + h * slopes[i] * t * (1 - t) ** 2
    return start + values[i + 1] * t * t * (3 - 2 * t) + h * slopes[i + 1] * t * t * (t - 1)


def plane(shape: tuple[int, int], height: float) -> Plane:
    """The plane of an image [rows, columns] whose rows span `height`."""
    pixel = height / shape[0]
    x = (np.arange(shape[1], dtype=np.float32) + 0.5 - shape[1] / 2) * pixel
    y = (np.arange(shape[0], dtype=np.float32) + 0.5) * pixel
    return Plane(shape, pixel, x[None, :] + 0 * y[:, None], y[:, None] + 0 * x[None, :])


def ellipse(x: Array, y: Array, centre: tuple[float, float], axes: tuple[float, float], turn: float = 0.0) -> Array:
    """Distance to an ellipse, positive inside, about right near its outline; `turn` in radians, clockwise on the screen."""
    dx, dy = x - centre[0], y - centre[1]
    along, across = dx * np.cos(turn) + dy * np.sin(turn), dy * np.cos(turn) - dx * np.sin(turn)
    return np.asarray((1 - np.sqrt((along / axes[0]) ** 2 + (across / axes[1]) ** 2)) * min(axes), dtype=np.float32)


def fill(distance: Array, soft: float) -> Array:
    """1 inside, 0 outside, the edge `soft` wide."""
    return np.asarray(smooth_step(distance, -soft / 2, soft / 2), dtype=np.float32)


def rise(value: float, low: float, high: float) -> float:
    """Smooth step from 0 at `low` to 1 at `high`."""
    return float(smooth_step(np.array(value), low, high))


def planted(rng: np.random.Generator, candidates: Array, rate: float, total: int) -> Array:
    """Which of `candidates` get something planted at `rate` of `total`: at least one, and never more than there are."""
    count = min(len(candidates), max(1, round(rate * total)))
    return np.sort(rng.permutation(candidates)[:count])


def check_request(patients: int, shape: tuple[int, int], smallest: int) -> None:
    """Raises LookalikeError: no patients, or images too small to show anything."""
    if patients < 1:
        raise LookalikeError(f"{patients} patients cannot be simulated", "phantoms.patients", "Ask for 1 or more.")
    if min(shape) < smallest:
        text = f"Phantoms of {shape[0]} x {shape[1]} pixels show nothing"
        raise LookalikeError(text, "phantoms.shape", f"Ask for {smallest} x {smallest} or more.")


def write_patients(work: Callable[[pd.DataFrame], None], truth: pd.DataFrame, processes: int) -> None:
    """Call `work` with each patient's rows of `truth`, in `processes` processes."""
    rows = [part for _, part in truth.groupby("number", sort=False)]
    if processes > 1:
        # fork, because a spawned process would run the calling script again
        with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("fork")) as pool:
            list(pool.map(work, rows, chunksize=4))
    else:
        for part in rows:
            work(part)


def smooth_step(value: Array, low: float | Array, high: float | Array) -> Array:
    """Smooth step from 0 at `low` to 1 at `high`."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def draw_strokes(canvas: Array, points: Array, width: float, strength: Array) -> None:
    """Draw curves as ridges with a Gaussian profile; where strokes cross, the stronger counts.

    Args:
        canvas: float32 [rows, columns], changed in place.
        points: [n, 2] (column, row); neighbours along a curve at most a pixel or so apart.
        width: full width at half maximum in pixels (at least 1).
        strength: [n] height of the ridge.
    """
    sigma = max(width, 1.0) / 2.355
    radius = int(np.ceil(2 * sigma))
    offsets = np.arange(-radius, radius + 1, dtype=np.intp)
    column, row = np.rint(points[:, 0]).astype(np.intp), np.rint(points[:, 1]).astype(np.intp)
    keep = (column >= radius) & (row >= radius) & (column < canvas.shape[1] - radius) & (row < canvas.shape[0] - radius)
    column, row, points, strength = column[keep], row[keep], points[keep], strength[keep]
    if not len(column):
        return
    dx, dy = (column - points[:, 0]).astype(np.float32), (row - points[:, 1]).astype(np.float32)
    steps = offsets.astype(np.float32)  # single precision throughout: ufunc.at is slow where it has to convert
    profile_x = np.exp(-((steps + dx[:, None]) ** 2) / np.float32(2 * sigma**2))
    profile_y = np.exp(-((steps + dy[:, None]) ** 2) / np.float32(2 * sigma**2)) * strength.astype(np.float32)[:, None]
    values = profile_y[:, :, None] * profile_x[:, None, :]
    index = (row[:, None] + offsets)[:, :, None] * canvas.shape[1] + (column[:, None] + offsets)[:, None, :]
    np.maximum.at(canvas.reshape(-1), index.ravel(), values.ravel())


def bent_curves(rng: np.random.Generator, start: Array, end: Array, bend: float, pixel: float) -> tuple[Array, Array, Array]:
    """Bent, slightly wavering curves from `start` to `end` ([n, 2] in cm).

    Returns:
        points [m, 2] in cm, number of the curve [m], position along it in [0, 1] [m].
    """
    chord = end - start
    length = np.hypot(chord[:, 0], chord[:, 1])
    steps = max(8, int(np.ceil(length.max(initial=0.1) * 1.15 / (1.5 * pixel))))
    t = np.linspace(0, 1, steps)[None, :, None]
    normal = np.stack([-chord[:, 1], chord[:, 0]], axis=-1)[:, None, :]
    bow = rng.normal(0, bend, len(start))[:, None, None] * 4 * t * (1 - t)
    phase, waves = rng.uniform(0, 2 * np.pi, (2, len(start)))[:, :, None, None]
    bow = bow + 0.25 * bend * np.sin(2 * np.pi * (1 + waves / 3) * t + phase) * np.sqrt(t * (1 - t))
    points = start[:, None, :] + chord[:, None, :] * t + normal * bow
    number = np.repeat(np.arange(len(start)), steps)
    return points.reshape(-1, 2), number, np.tile(t.ravel(), len(start))
