"""What figures of breast MR patches share: names and intensities of the channels, grey scales, and the record of a picture."""

from __future__ import annotations

import hashlib

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from lookalike.figures import style
from lookalike.pixels.patches import CHANNELS, TOP

NAMES = dict(zip(CHANNELS, ("T2", "T1 pre", "T1 post 1", "T1 post 2", "T1 post 3", "T1 post 4", "post 1 − pre"), strict=True))
T1 = slice(1, 6)
"""Channels before and after contrast, in time."""
_BRIGHTEST = 99.8
"""Percentile of the pixels that is drawn white."""

Limits = tuple[float, float]


def intensities(patches: NDArray[np.floating]) -> NDArray[np.float64]:
    """Patches [n, 7, H, W] as a store codes them, in [0, 1], as intensities: 0 to 1023, of the subtraction -1023 to 1023."""
    values = TOP * np.asarray(patches, dtype=np.float64)
    values[:, -1] = 2 * values[:, -1] - TOP
    return values


def grey_scale(pixels: NDArray[np.float64], *, signed: bool = False) -> Limits:
    """What is black and what is white; of signed pixels 0 is the mid-grey."""
    white = max(float(np.percentile(np.abs(pixels), _BRIGHTEST)), 1.0)
    return (-white if signed else 0.0), white


def describe(**scales: Limits) -> str:
    """Grey scales in words, by what they are of."""
    words = [f"{name} {low:.0f} to {high:.0f}".replace("-", "−") for name, (low, high) in scales.items()]
    return f"Grey scales (of 0 to {TOP:.0f}): {', '.join(words)}"


def picture(axes: Axes, image: NDArray[np.float64], corner: tuple[float, float], size: tuple[float, float], limits: Limits) -> None:
    """An image at a place in mm of a `style.diagram`."""
    (x, y), (width, height) = corner, size
    axes.imshow(image, cmap="gray", vmin=limits[0], vmax=limits[1], extent=(x, x + width, y + height, y), interpolation="nearest", aspect="auto")


def side_bar(axes: Axes, corner: tuple[float, float], height: float, words: str, *, synthetic: bool) -> None:
    """A line in the colour of the set, whose upper end is at `corner`, with words to its left, upwards."""
    x, y = corner
    colour = style.SYNTHETIC if synthetic else style.REAL
    axes.plot([x] * 2, [y, y + height], color=colour, linewidth=1.4, linestyle=(0, (2.5, 1)) if synthetic else "-", solid_capstyle="butt")
    axes.text(x - 2.4, y + height / 2, words, rotation=90, ha="center", va="center", color=colour, fontweight="bold", fontsize=6.5)


def record(image: NDArray[np.float64], limits: Limits, **about: object) -> dict[str, object]:
    """A row of the source table: which picture it is, its grey scale, and what tells that its pixels are these."""
    pixels = np.ascontiguousarray(image, dtype="<f4")
    numbers = {"black": limits[0], "white": limits[1], "mean": float(pixels.mean(dtype=np.float64))}
    return {**about, "rows": image.shape[0], "columns": image.shape[1], **numbers, "sha256_float32": hashlib.sha256(pixels.tobytes()).hexdigest()}
