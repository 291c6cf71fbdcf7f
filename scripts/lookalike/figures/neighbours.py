"""Synthetic images above the real training images that are most like them (D21, Figures 4 and 5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from lookalike.figures import style
from lookalike.pixels.store import Level

# All in mm.
_IMAGE = 20.0
_GAP = 1.0
_TITLE = 6.5
_UNDER = 3.6
_NAME = 6.0
_BLOCK = 90.0


@dataclass(frozen=True)
class Block:
    """One panel: synthetic images and their neighbours."""

    title: str
    synthetic: NDArray
    """[n, H, W] in [0, 1]."""
    real: NDArray
    """[n, k, H, W] in [0, 1], the nearest first."""
    source: pd.DataFrame
    """A row a synthetic image and neighbour: query, rank, neighbour, distance, and what else is known of them."""
    notes: Sequence[str]
    """A line under each synthetic image; none of them: no lines."""


def block(
    title: str, found: pd.DataFrame, synthetic: tuple[pd.DataFrame, Level], real: tuple[pd.DataFrame, Level], *, notes: Sequence[str] = ()
) -> Block:
    """A panel of queries and their neighbours.

    Args:
        title: of the panel.
        found: rows of a neighbours table, query by query in the order to be drawn and rank by rank, as many ranks of each: query, query_row, rank, neighbour,
            neighbour_row, distance.
        synthetic, real: table and images to which `query_row` and `neighbour_row` point.
        notes: as in `Block`.
    """
    (queries, drawn), (references, photographed) = synthetic, real
    rows, neighbours = found["query_row"].unique(), found["neighbour_row"].to_numpy()
    known = {"query_class": queries["class"].to_numpy()[found["query_row"]], "neighbour_class": references["class"].to_numpy()[neighbours]}
    images = drawn[rows] / (2**drawn.bits - 1), photographed[neighbours] / (2**photographed.bits - 1)
    source = found.drop(columns=["query_row", "neighbour_row"]).assign(**known)
    return Block(title, images[0], images[1].reshape(len(rows), -1, *photographed.shape[1:]), source, notes)


def draw(blocks: Sequence[Block], output_stem: Path, *, label: str) -> None:
    """A panel a block, two to a row.

    Args:
        blocks: panels, with one n, k and image shape a block.
        output_stem: path without suffix.
        label: see `style.save`.
    """
    wide = len(blocks) > 1
    heights = [_height(block) for block in blocks]
    rows = [max(heights[start : start + 2]) for start in range(0, len(blocks), 2)]
    with style.diagram(style.DOUBLE_MM if wide else _BLOCK + 3, sum(rows), label=label) as (fig, axes):
        for number, block in enumerate(blocks):
            corner = 2 + number % 2 * (_BLOCK + 1.0), sum(rows[: number // 2])
            _panel(axes, block, "abcdefghijklmnopqrstuvwxyz"[number], corner)
        axes.set(xlim=(0, style.DOUBLE_MM if wide else _BLOCK + 3), ylim=(sum(rows), 0), aspect="auto")
        source = pd.concat(
            [block.source.assign(panel="abcdefghijklmnopqrstuvwxyz"[number], title=block.title) for number, block in enumerate(blocks)],
            ignore_index=True,
        )
        style.save(fig, output_stem, source, label=label)


def _size(block: Block) -> tuple[float, float]:
    """Width and height of an image on the page."""
    count, rows, columns = block.synthetic.shape
    width = min(_IMAGE, (_BLOCK - _NAME - 2) / count - _GAP)
    return width, width * rows / columns


def _height(block: Block) -> float:
    lines = _UNDER * bool(block.notes)
    return _TITLE + lines + (1 + block.real.shape[1]) * (_size(block)[1] + _GAP) + 2 * _GAP + 2


def _panel(axes: Axes, block: Block, letter: str, corner: tuple[float, float]) -> None:
    left, y = corner
    width, height = _size(block)
    axes.text(left, y + 3.5, letter, fontsize=8, fontweight="bold", va="center")
    axes.text(left + 4, y + 3.5, block.title, va="center")
    y += _TITLE
    for name, colour, images, start in (
        ("synthetic", style.SYNTHETIC, block.synthetic[:, None], y),
        ("real", style.REAL, block.real, y + height + 2 * _GAP + _UNDER * bool(block.notes)),
    ):
        extent = images.shape[1] * (height + _GAP) - _GAP
        dash = (0, (2.5, 1)) if name == "synthetic" else "-"
        axes.plot([left + _NAME - 1.4] * 2, [start, start + extent], color=colour, linewidth=1.4, linestyle=dash, solid_capstyle="butt")
        words = name if extent > 14 else name[:5] + "."
        axes.text(left + 2.4, start + extent / 2, words, rotation=90, ha="center", va="center", color=colour, fontweight="bold", fontsize=6.5)
        for number, column in enumerate(images):
            for rank, image in enumerate(column):
                x, top = left + _NAME + number * (width + _GAP), start + rank * (height + _GAP)
                axes.imshow(image, cmap="gray", vmin=0, vmax=1, extent=(x, x + width, top + height, top), interpolation="nearest", aspect="auto")
    for number, note in enumerate(block.notes):
        axes.text(
            left + _NAME + number * (width + _GAP) + width / 2, y + height + 1.9, note, ha="center", va="center", fontsize=5.5, color=style.MUTED
        )
