"""Synthetic images at every resolution stage above real images at the same level of detail (K21, Figure 2), and the sample grid of one stage."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from lookalike.figures import style

Images = NDArray[np.floating]
Level = tuple[int, tuple[int, int], Images]

# All in mm.
_GAP = 0.8
_BETWEEN = 1.2  # more between stages, and between the two sets
_TITLE = 6.0
_NAME = 7.0
_WIDEST = 26.0
_TALLEST = 205.0


def draw(synthetic: Sequence[Level], real: Sequence[Level], output_stem: Path, *, label: str) -> None:
    """Blocks of images, one a stage from left to right, all at the same physical size; synthetic ones above, real ones below.

    Args:
        synthetic, real: (stage, (rows, columns), images) from the lowest stage upwards; images [n, rows, columns] in [0, 1], one n throughout.
        output_stem: path without suffix.
        label: see `style.save`.
    """
    stages, count, (rows_px, columns_px) = len(synthetic), len(synthetic[0][2]), synthetic[0][1]
    across, width = _arrangement(stages, count, rows_px / columns_px)
    height = width * rows_px / columns_px
    block = across * (width + _GAP) + _BETWEEN
    half = count // across * (height + _GAP)
    full = _TITLE + 2 * half + 2 * _BETWEEN
    left = _NAME + (style.DOUBLE_MM - _NAME - stages * block) / 2
    with style.diagram(style.DOUBLE_MM, full, label=label) as (fig, axes):
        records = []
        for name, levels, colour, top in (
            ("Synthetic", synthetic, style.SYNTHETIC, _TITLE),
            ("Real", real, style.REAL, _TITLE + half + 2 * _BETWEEN),
        ):
            axes.plot([left - 2.2] * 2, [top, top + half - _GAP], color=colour, linewidth=1.6, solid_capstyle="butt")
            axes.text(left - 5, top + half / 2, name, rotation=90, ha="center", va="center", color=colour, fontweight="bold")
            for position, (stage, shape, images) in enumerate(levels):
                start = left + position * block
                if top == _TITLE:
                    axes.text(
                        start + (block - _BETWEEN - _GAP) / 2,
                        _TITLE - 1.5,
                        style.shape_text(*shape),
                        ha="center",
                        va="bottom",
                        fontsize=min(7.0, block * 0.42),
                    )
                for number, image in enumerate(images):
                    x, y = start + number % across * (width + _GAP), top + number // across * (height + _GAP)
                    _picture(axes, image, (x, x + width, y + height, y))
                    records.append(_record(name.lower(), stage, number, image))
        axes.set(xlim=(0, style.DOUBLE_MM), ylim=(full, 0), aspect="auto")
        style.save(fig, output_stem, pd.DataFrame(records), label=label)


def draw_grid(images: Images, output_stem: Path, *, label: str) -> None:
    """A sample grid of one stage.

    Args:
        images: synthetic images [n, rows, columns] in [0, 1].
        output_stem: path without suffix.
        label: see `style.save`.
    """
    count, rows_px, columns_px = images.shape
    # of the grids without an empty corner, the one nearest to a square of images
    across = min(_divisors(count), key=lambda number: abs(number - np.sqrt(count * rows_px / columns_px)))
    width = min((style.SINGLE_MM - 2 - (across - 1) * _GAP) / across, _WIDEST)
    height = width * rows_px / columns_px
    full = _TITLE + count // across * (height + _GAP) + 1
    with style.diagram(style.SINGLE_MM, full, label=label) as (fig, axes):
        axes.text(1, _TITLE - 1.5, f"{count} synthetic images of {style.shape_text(rows_px, columns_px)}", va="bottom")
        for number, image in enumerate(images):
            x, y = 1 + number % across * (width + _GAP), _TITLE + number // across * (height + _GAP)
            _picture(axes, image, (x, x + width, y + height, y))
        axes.set(xlim=(0, style.SINGLE_MM), ylim=(full, 0), aspect="auto")
        style.save(fig, output_stem, pd.DataFrame([_record("synthetic", None, number, image) for number, image in enumerate(images)]), label=label)


def _arrangement(stages: int, count: int, aspect: float) -> tuple[int, float]:
    """Images across in the block of a stage, and their width, as large as the page allows."""
    options = []
    for across in _divisors(count):
        by_width = (style.DOUBLE_MM - _NAME - stages * _BETWEEN) / (stages * across) - _GAP
        by_height = ((_TALLEST - _TITLE) / (2 * count / across) - _GAP) / aspect
        options.append((min(by_width, by_height, _WIDEST), -across))
    width, across = max(options)
    return -across, width


def _divisors(count: int) -> list[int]:
    return [number for number in range(1, count + 1) if count % number == 0]


def _picture(axes: Axes, image: NDArray[np.floating], extent: tuple[float, float, float, float]) -> None:
    # Pixels show as squares where they are enlarged; where many share a dot of the print, choosing one of them would look like noise.
    dots = (extent[1] - extent[0]) / style.MM_PER_INCH * style.PDF_DPI
    axes.imshow(image, cmap="gray", vmin=0, vmax=1, extent=extent, interpolation="nearest" if dots >= image.shape[1] else "hanning", aspect="auto")


def _record(name: str, stage: int | None, number: int, image: NDArray[np.floating]) -> dict[str, object]:
    """A picture's numbers are its pixels: the source table tells which they were, not all of them."""
    pixels = np.ascontiguousarray(image, dtype="<f4")
    return {
        "set": name,
        **({} if stage is None else {"stage": stage}),
        "number": number,
        "rows": image.shape[0],
        "columns": image.shape[1],
        "mean": float(pixels.mean(dtype=np.float64)),
        "sha256_float32": hashlib.sha256(pixels.tobytes()).hexdigest(),
    }
