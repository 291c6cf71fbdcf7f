"""The five moments of both image sets against one another (K21, Figure 3)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from lookalike.figures import style

MOMENTS = {"M1": "mean", "M2": "variance", "M3": "skewness", "M4": "kurtosis", "M5": "hyperskewness"}
_BINS = 30
_LAYERS = 8


def draw(real: pd.DataFrame, synthetic: pd.DataFrame, output_stem: Path, *, label: str) -> None:
    """Scatter plots of every pair of moments; on the diagonal, histograms of each (density, 30 bins over the common range).

    Both sets are drawn in interleaved random layers, so neither hides the other, as bitmaps inside the PDF.

    Args:
        real, synthetic: a row an image, columns M1 to M5; rows with NaN (constant images) are left out.
        output_stem: path without suffix.
        label: see `style.save`.
    """
    names = list(MOMENTS)
    sets = {"real": real[names].dropna(), "synthetic": synthetic[names].dropna()}
    with style.figure(style.DOUBLE_MM, style.DOUBLE_MM * 0.94, label=label) as fig:
        panels = fig.subplots(5, 5, sharex="col", sharey="row")
        for row, vertical in enumerate(names):
            for column, horizontal in enumerate(names):
                axes = panels[row, column]
                if row == column:
                    # the row shares its vertical axis, so a histogram has one of its own
                    _histograms(axes.twinx(), sets["real"][vertical].to_numpy(), sets["synthetic"][vertical].to_numpy())
                else:
                    _scatter(axes, sets["real"][[horizontal, vertical]].to_numpy(), sets["synthetic"][[horizontal, vertical]].to_numpy())
                axes.locator_params(nbins=4)
                if row == 4:
                    axes.set_xlabel(f"{horizontal} {MOMENTS[horizontal]}")
                if column == 0:
                    axes.set_ylabel(f"{vertical} {MOMENTS[vertical]}")
        fig.align_ylabels(panels[:, 0])
        fig.legend(handles=_legend(len(sets["real"]), len(sets["synthetic"])), loc="outside upper center", ncols=2)
        source = pd.concat([points.assign(set=name)[["set", *names]] for name, points in sets.items()], ignore_index=True)
        style.save(fig, output_stem, source, label=label)


def _legend(real: int, synthetic: int) -> list[Line2D]:
    mark: dict[str, Any] = {"linestyle": "none", "markersize": 4}
    return [
        Line2D([], [], marker="o", color=style.REAL, label=f"real (n = {real:,})", **mark),
        Line2D(
            [], [], marker="^", color=style.SYNTHETIC, markerfacecolor="none", markeredgewidth=0.8, label=f"synthetic (n = {synthetic:,})", **mark
        ),
    ]


def _scatter(axes: Axes, real: np.ndarray, synthetic: np.ndarray) -> None:
    random = np.random.default_rng(0)
    size = float(np.clip(8000 / (len(real) + len(synthetic)), 1.2, 8))
    reals, synthetics = (np.array_split(random.permutation(points), _LAYERS) for points in (real, synthetic))
    for layer in range(_LAYERS):
        common: dict[str, Any] = {"rasterized": True, "zorder": 2 + layer / _LAYERS, "alpha": 0.75}
        axes.scatter(reals[layer][:, 0], reals[layer][:, 1], s=size, marker="o", color=style.REAL, linewidths=0, **common)
        outlined: dict[str, Any] = {"facecolors": "none", "edgecolors": style.SYNTHETIC, "linewidths": 0.4, **common}
        axes.scatter(synthetics[layer][:, 0], synthetics[layer][:, 1], s=1.5 * size, marker="^", **outlined)


def _histograms(axes: Axes, real: np.ndarray, synthetic: np.ndarray) -> None:
    edges = np.histogram_bin_edges(np.concatenate([real, synthetic]), bins=_BINS).tolist()
    axes.hist(real, bins=edges, density=True, histtype="stepfilled", facecolor=style.REAL, alpha=0.35, linewidth=0)
    axes.hist(real, bins=edges, density=True, histtype="step", color=style.REAL, linewidth=0.8)
    axes.hist(synthetic, bins=edges, density=True, histtype="step", color=style.SYNTHETIC, linestyle=(0, (3, 1)), linewidth=1.0)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
