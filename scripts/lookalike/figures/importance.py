"""What classifiers look at: real test images above the importance maps of the classifiers (D21, Figures 6 and 7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from lookalike.figures import style

# All in mm.
_GAP = 1.0
_TITLE = 6.0
_LABELS = 6.5
_NAME = 8.0
_BLOCK = 90.0
_IMAGE = 19.0
_KEY = 8.0
_BRIGHTEST = 99.5
"""Percentile of a map's values that is drawn brightest."""


@dataclass(frozen=True)
class Block:
    """One panel."""

    title: str
    images: NDArray[np.uint8]
    """[k, H, W]."""
    labels: Sequence[Sequence[str]]
    """Of each image, those present."""
    names: Sequence[str]
    """Of each image."""
    maps: Mapping[str, NDArray[np.floating]]
    """By what the classifier learnt from, `real` first: [k, H, W]."""


def draw(blocks: Sequence[Block], output_stem: Path, *, label: str) -> None:
    """A panel a block; in it a column an image: the image, and below it the map of each classifier. Every map has its own scale, up to its 99.5th percentile.

    Args:
        blocks: panels.
        output_stem: path without suffix.
        label: see `style.save`.
    """
    wide = len(blocks) > 1
    width = style.DOUBLE_MM if wide else _BLOCK + 3
    heights = [_height(block) for block in blocks]
    rows = [max(heights[start : start + 2]) for start in range(0, len(blocks), 2)]
    full = sum(rows) + _KEY
    with style.diagram(width, full, label=label) as (fig, axes):
        records: list[dict[str, object]] = []
        for number, block in enumerate(blocks):
            letter = "abcdefghijklmnopqrstuvwxyz"[number]
            _panel(axes, block, letter, (2 + number % 2 * (_BLOCK + 1.0), sum(rows[: number // 2])))
            for name, values in block.maps.items():
                for image, labels, importance in zip(block.names, block.labels, values, strict=True):
                    record = {"panel": letter, "title": block.title, "image": image, "labels": "+".join(labels), "learnt_from": name}
                    records.append(
                        {**record, "sum": float(importance.sum()), "hiding it hurts most": float(importance.max()), "brightest": _top(importance)}
                    )
        _key(axes, (2 + _NAME, sum(rows) + 1.5))
        axes.set(xlim=(0, width), ylim=(full, 0), aspect="auto")
        style.save(fig, output_stem, pd.DataFrame(records), label=label)


def _top(importance: NDArray[np.floating]) -> float:
    return float(np.percentile(importance, _BRIGHTEST))


def _size(block: Block) -> tuple[float, float]:
    count, rows, columns = block.images.shape
    width = min(_IMAGE, (_BLOCK - _NAME - 2) / count - _GAP)
    return width, width * rows / columns


def _height(block: Block) -> float:
    return _TITLE + _LABELS + (1 + len(block.maps)) * (_size(block)[1] + _GAP) + 2


def _panel(axes: Axes, block: Block, letter: str, corner: tuple[float, float]) -> None:
    left, y = corner
    width, height = _size(block)
    axes.text(left, y + 3, letter, fontsize=8, fontweight="bold", va="center")
    axes.text(left + 4, y + 3, block.title, va="center")
    y += _TITLE
    for number, labels in enumerate(block.labels):
        words = [label.replace("_", " ") for label in labels]
        shown = words if len(words) < 3 else [words[0], f"and {len(words) - 1} more"]
        axes.text(
            left + _NAME + number * (width + _GAP) + width / 2,
            y + _LABELS - 0.8,
            "\n".join(shown),
            ha="center",
            va="bottom",
            fontsize=5.2,
            linespacing=1.1,
        )
    y += _LABELS
    for row, (name, pictures) in enumerate({"image": block.images, **block.maps}.items()):
        top = y + row * (height + _GAP)
        colour = {"image": style.INK, "real": style.REAL}.get(name, style.SYNTHETIC)
        axes.text(left + 3.6, top + height / 2, name, rotation=90, ha="center", va="center", color=colour, fontweight="bold", fontsize=6.5)
        for number, picture in enumerate(pictures):
            x = left + _NAME + number * (width + _GAP)
            look: dict[str, Any] = (
                {"cmap": "gray", "vmin": 0, "vmax": 255} if name == "image" else {"cmap": "inferno", "vmin": 0, "vmax": max(_top(picture), 1e-12)}
            )
            axes.imshow(picture, extent=(x, x + width, top + height, top), interpolation="nearest", aspect="auto", **look)


def _key(axes: Axes, corner: tuple[float, float]) -> None:
    x, y = corner
    axes.text(x, y + 1.5, "hiding it changes nothing", ha="left", va="center", fontsize=6, color=style.MUTED)
    axes.imshow(np.linspace(0, 1, 128)[None], cmap="inferno", extent=(x + 29, x + 55, y + 3, y), aspect="auto")
    axes.text(x + 57, y + 1.5, "hiding it hurts most", ha="left", va="center", fontsize=6, color=style.MUTED)
    axes.text(
        x, y + 4.8, "each map has its own scale: colours cannot be compared between maps", ha="left", va="center", fontsize=6, color=style.MUTED
    )
