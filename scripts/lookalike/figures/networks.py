"""The two networks as a schematic with every layer, shape and size (K21, Figure 1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import Polygon, Rectangle

from lookalike.figures import style

Row = Mapping[str, int | str]

# All in mm.
_LEFT = 14.0
_RIGHT = 14.0
_SMALLEST = 17.0
_OCTAVE = 2.6
_SLAB = 0.62  # share of a layer's step that its slab takes
_WIDEST_STEP = 13.0
_ABOVE = 9.0
_BELOW = 17.0
_COLUMNS = ("stage", "block", "kind", "channels", "height", "width", "parameters")


def draw(generator: Sequence[Row], discriminator: Sequence[Row], output_stem: Path, *, label: str) -> None:
    """Draw both networks from left to right in the order in which their layers run.

    A slab is a layer: its height grows with the logarithm of the resolution that it gives out. Below each stage stand its image size, its feature maps and
    its number of parameters.

    Args:
        generator, discriminator: rows in running order, as `generators.families.describe` gives them: stage, block, kind (`dense`, `conv 3x3 up` ...), channels,
            height, width (of the output; 1 x 1 for dense layers) and parameters.
        output_stem: path without suffix.
        label: see `style.save`.
    """
    tallest = max(_slab_height(row) for row in (*generator, *discriminator))
    panel = _ABOVE + tallest + _BELOW
    with style.diagram(style.DOUBLE_MM, 2 * panel, label=label) as (fig, axes):
        _network(axes, generator, "Generator", style.GENERATOR, _ABOVE + tallest / 2, tallest, ends=("latent", "image"))
        _network(axes, discriminator, "Discriminator", style.DISCRIMINATOR, panel + _ABOVE + tallest / 2, tallest, ends=("image", "score"))
        source = pd.concat(
            [
                pd.DataFrame([{"network": name, **{column: row[column] for column in _COLUMNS}} for row in rows])
                for name, rows in (("generator", generator), ("discriminator", discriminator))
            ],
            ignore_index=True,
        )
        style.save(fig, output_stem, source, label=label)


def _slab_height(row: Row) -> float:
    return _SMALLEST + _OCTAVE * float(np.log2(int(row["height"])))


def _network(axes: Axes, rows: Sequence[Row], title: str, colour: str, middle: float, tallest: float, *, ends: tuple[str, str]) -> None:
    total = sum(int(row["parameters"]) for row in rows)
    top = middle - tallest / 2
    axes.text(2, top - _ABOVE + 2.5, title, fontsize=8, fontweight="bold", color=colour, va="top")
    axes.text(style.DOUBLE_MM - 2, top - _ABOVE + 2.5, f"{total:,} parameters", color=style.MUTED, ha="right", va="top")

    step = min((style.DOUBLE_MM - _LEFT - _RIGHT) / len(rows), _WIDEST_STEP)
    start = (style.DOUBLE_MM - step * len(rows)) / 2
    slab = step * _SLAB
    centres = [start + (number + 0.5) * step for number in range(len(rows))]
    for number, row in enumerate(rows):
        x, height = centres[number] - slab / 2, _slab_height(row)
        if number:
            before = _slab_height(rows[number - 1])
            corners = [
                (x - step + slab, middle - before / 2),
                (x, middle - height / 2),
                (x, middle + height / 2),
                (x - step + slab, middle + before / 2),
            ]
            axes.add_patch(Polygon(corners, facecolor=_tint(colour, 0.12), edgecolor="none", zorder=1))
        axes.add_patch(Rectangle((x, middle - height / 2), slab, height, facecolor=_face(row, colour), edgecolor=colour, linewidth=0.7, zorder=2))
        axes.text(x + slab / 2, middle, _name(row), rotation=90, ha="center", va="center", fontsize=min(7.0, max(5.0, slab * 2.0)), color=style.INK)
    for text, x, tip in ((ends[0], start - 5.5, start), (ends[1], start + step * len(rows) + 5.5, None)):
        axes.text(x, middle, text, rotation=90, ha="center", va="center", color=style.MUTED)
        tail, head = (x + 1.8, tip) if tip is not None else (start + step * len(rows) - (step - slab) / 2 + 0.5, x - 1.8)
        axes.annotate(
            "",
            (head, middle),
            (tail, middle),
            arrowprops={"arrowstyle": "-|>", "linewidth": 0.7, "color": style.MUTED, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 6},
        )

    foot = middle + tallest / 2 + 2
    for _, numbered in groupby(enumerate(rows), key=lambda pair: pair[1]["stage"]):
        members = list(numbered)
        left, right = centres[members[0][0]] - slab / 2, centres[members[-1][0]] + slab / 2
        axes.plot([left, left, right, right], [foot, foot + 1, foot + 1, foot], color=style.MUTED, linewidth=0.6)
        largest = max((row for _, row in members), key=lambda row: int(row["height"]))
        maps = max(int(row["channels"]) for _, row in members if row["height"] == largest["height"])
        parameters = sum(int(row["parameters"]) for _, row in members)
        lines = [style.shape_text(int(largest["height"]), int(largest["width"])), f"{maps:,}", _short(parameters)]
        size = min(6.5, (right - left + step) * 0.38 + 0.6)
        for line, text in enumerate(lines):
            axes.text(
                (left + right) / 2, foot + 2.2 + 3.2 * line, text, ha="center", va="top", fontsize=size, color=style.INK if line == 0 else style.MUTED
            )
    for line, text in enumerate(("size", "maps", "weights")):
        axes.text(2, foot + 2.2 + 3.2 * line, text, va="top", fontsize=6.5, color=style.MUTED)


def _name(row: Row) -> str:
    ends = {"to_rgb": "to image", "from_rgb": "from image"}
    return ends.get(str(row["block"]), str(row["kind"]).replace("3x3", "3×3").replace("1x1", "1×1"))


def _face(row: Row, colour: str) -> tuple[float, float, float]:
    kind = str(row["kind"])
    if str(row["block"]) in {"to_rgb", "from_rgb"}:
        return to_rgb("white")
    if kind == "dense":
        return _tint("#888888", 0.2)
    return _tint(colour, 0.5 if kind.endswith(("up", "down")) else 0.25)


def _tint(colour: str, share: float) -> tuple[float, float, float]:
    red, green, blue = (1 - share + share * part for part in to_rgb(colour))
    return red, green, blue


def _short(count: int) -> str:
    if count >= 1_000_000:
        return f"{count / 1e6:.1f} M"
    return f"{count / 1e3:.1f} k" if count >= 1000 else str(count)
