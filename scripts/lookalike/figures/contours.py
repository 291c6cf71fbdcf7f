"""Density contours of moment pairs, with the share of the real support that synthetic images cover (K21, Figure 6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from lookalike.figures import style
from lookalike.figures.pairplot import MOMENTS
from lookalike.tables import STATISTICS, interval, number

_DASHED = (0, (3, 1.5))
_INDENT = -0.2
"""Where the text above a panel starts, in widths of the panel."""


@dataclass(frozen=True)
class Density:
    """One set's density on the panel's grid."""

    values: NDArray[np.float64]
    """[gx, gy], the first moment along the first axis."""
    levels: NDArray[np.float64]
    """Density values of the contours, in any order; values met twice are drawn once."""
    support: float
    """Density value on the edge of the support."""


@dataclass(frozen=True)
class Panel:
    """One pair of moments."""

    first: str
    second: str
    x: NDArray[np.float64]
    """[gx] of the first moment, in the units of the axes (z-scores)."""
    y: NDArray[np.float64]
    """[gy] of the second."""
    real: Density
    synthetic: Density
    coverage: pd.Series
    """The pair's row of the comparison: `tables.STATISTICS` and ratio."""


def draw(panels: Sequence[Panel], output_stem: Path, *, unit: str, mass: float, label: str) -> None:
    """The panels in a triangle, first moments along the columns and second ones along the rows.

    Real: filled tints and thin solid lines; synthetic: lines alone. Dashed: the edge of each support. Crosses: the modes. Above each panel: coverage with
    its interval; the ceiling, coverage of one half of the real images' patients by the other; and, to hold against that, coverage at as many images.

    Args:
        panels: the ten pairs of moments in any order.
        output_stem: path without suffix.
        unit: what the axes count, `z` for z-scores, "" for raw moments.
        mass: share of the density that the support holds, for the legend.
        label: see `style.save`.
    """
    firsts = sorted({panel.first for panel in panels})
    seconds = sorted({panel.second for panel in panels})
    suffix = f" ({unit})" if unit else ""
    records: list[pd.DataFrame] = []
    with style.figure(style.DOUBLE_MM, 8 + 48 * len(seconds), label=label) as fig:
        grid = fig.subplots(len(seconds), len(firsts), squeeze=False)
        unused = {(row, column) for row in range(len(seconds)) for column in range(len(firsts))}
        for panel in panels:
            place = seconds.index(panel.second), firsts.index(panel.first)
            unused.discard(place)
            axes = grid[place]
            for name, density, colour in (("real", panel.real, style.REAL), ("synthetic", panel.synthetic, style.SYNTHETIC)):
                records += _contours(axes, panel, density, name=name, colour=colour)
            _window(axes, panel)
            # from above the tick labels on, for the layout gives titles no room at the right
            axes.set_title(_text(panel.coverage), loc="left", x=_INDENT, linespacing=1.25)
            axes.locator_params(nbins=5)
            axes.set_xlabel(f"{panel.first} {MOMENTS[panel.first]}{suffix}", labelpad=1.5)
            axes.set_ylabel(f"{panel.second} {MOMENTS[panel.second]}{suffix}", labelpad=1.5)
            row = {"pair": f"{panel.first} {panel.second}", "set": "", "kind": "coverage"}
            records.append(pd.DataFrame([{**row, **{key: panel.coverage[key] for key in _TEXT_KEYS}}]))
        for place in unused:
            grid[place].set_axis_off()
        _legend(fig, f"{100 * mass:g} %")
        style.save(fig, output_stem, pd.concat(records, ignore_index=True), label=label)


_TEXT_KEYS = (*STATISTICS, "ratio")


def _contours(axes: Axes, panel: Panel, density: Density, *, name: str, colour: str) -> list[pd.DataFrame]:
    """Draw one set; returns what was drawn as rows pair, set, kind, level, line, x, y. A set without a density (all points on a line, say) stays blank."""
    if not np.isfinite(density.values).all():
        return []
    levels = np.unique(density.levels[density.levels > 0])
    if name == "real":
        # each tint lies on those below, so the colour deepens towards the mode
        for level in levels:
            axes.contourf(panel.x, panel.y, density.values.T, levels=[level, np.inf], colors=[colour], alpha=0.075, antialiased=True)
    lines = axes.contour(panel.x, panel.y, density.values.T, levels=levels, colors=colour, linewidths=0.35 if name == "real" else 0.55)
    edge = axes.contour(panel.x, panel.y, density.values.T, levels=[density.support], colors=colour, linewidths=1.3, linestyles=[_DASHED])
    mode = np.unravel_index(int(np.argmax(density.values)), density.values.shape)
    x, y = panel.x[mode[0]], panel.y[mode[1]]
    axes.plot(x, y, "x", color="white", markersize=6.5, markeredgewidth=2.6, zorder=5)
    axes.plot(x, y, "x", color=colour, markersize=5.5, markeredgewidth=1.4, zorder=6)
    place = {"pair": f"{panel.first} {panel.second}", "set": name}
    rows = [pd.DataFrame({**place, "kind": "mode", "level": [float(density.values[mode])], "line": [0], "x": [x], "y": [y]})]
    for kind, drawn in (("contour", lines), ("support", edge)):
        for level, path in zip(drawn.levels, drawn.get_paths(), strict=True):
            for line, polygon in enumerate(path.to_polygons(closed_only=False)):
                vertices = np.asarray(polygon)
                rows.append(pd.DataFrame({**place, "kind": kind, "level": level, "line": line, "x": vertices[:, 0], "y": vertices[:, 1]}))
    return rows


def _window(axes: Axes, panel: Panel) -> None:
    """Show what the lines enclose, with a margin: heavy tails make the grid much wider than that."""
    shown = np.zeros_like(panel.real.values, dtype=bool)
    for density in (panel.real, panel.synthetic):
        shown |= density.values >= min(density.support, density.levels.min())
    if not shown.any():
        return
    for other, positions, limit in ((1, panel.x, axes.set_xlim), (0, panel.y, axes.set_ylim)):
        inside = positions[shown.any(axis=other)]
        margin = 0.06 * (inside.max() - inside.min())
        limit(max(inside.min() - margin, positions[0]), min(inside.max() + margin, positions[-1]))


def _text(row: pd.Series) -> str:
    lines = (("coverage", "value", ""), ("matched", "matched", "matched_"), ("ceiling", "ceiling", "ceiling_"))
    return "\n".join(
        f"{name} {number(row[key], 2) or 'not defined'} {interval(row[f'{prefix}low'], row[f'{prefix}high'], 2)}".rstrip()
        for name, key, prefix in lines
    )


def _legend(fig: Figure, share: str) -> None:
    handles = [
        Patch(facecolor=style.REAL, alpha=0.35, edgecolor=style.REAL, linewidth=0.5, label="real, density"),
        Line2D([], [], color=style.SYNTHETIC, linewidth=0.7, label="synthetic, density"),
        Line2D([], [], color=style.REAL, linewidth=1.3, linestyle=_DASHED, label=f"real, edge of the {share} support"),
        Line2D([], [], color=style.SYNTHETIC, linewidth=1.3, linestyle=_DASHED, label=f"synthetic, edge of the {share} support"),
        Line2D([], [], color=style.INK, marker="x", linestyle="none", markersize=5, markeredgewidth=1.3, label="mode, in the set's colour"),
    ]
    fig.legend(handles=handles, loc="upper right", bbox_to_anchor=(0.985, 0.975), labelspacing=0.7)
