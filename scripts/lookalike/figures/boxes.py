"""Boxes and arrows of flow diagrams, on axes in mm (`style.diagram`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from lookalike.figures import style

LINE = 3.5
"""Height of a line of text, mm."""


def box(
    axes: Axes,
    corner: tuple[float, float],
    size: tuple[float, float],
    lines: Sequence[str],
    *,
    bold: bool = False,
    emphasis: bool = False,
    dashed: bool = False,
    colour: str = style.INK,
) -> None:
    """A rounded box with `colour` as its outline; main boxes are centred with a bold title, side boxes are lists."""
    (x, y), (width, height) = corner, size
    outline: dict[str, Any] = {"linewidth": 1.2 if emphasis else 0.6, "linestyle": (0, (3, 2)) if dashed else "-"}
    face = style.PAPER if bold and not emphasis else "white"
    axes.add_patch(FancyBboxPatch(corner, width, height, boxstyle="round,pad=0,rounding_size=0.9", facecolor=face, edgecolor=colour, **outline))
    for number, line in enumerate(lines):
        axes.text(
            x + width / 2 if bold else x + 2.5,
            y + height / 2 + (number - (len(lines) - 1) / 2) * LINE,
            line,
            ha="center" if bold else "left",
            va="center",
            color=style.INK,
            fontweight="bold" if bold and number == 0 else "normal",
        )


def arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    """A thin arrow."""
    axes.annotate(
        "", end, start, arrowprops={"arrowstyle": "-|>", "linewidth": 0.7, "color": style.INK, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 7}
    )
