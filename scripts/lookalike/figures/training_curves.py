"""Losses and scores of one training stage against the one clock, the number of real images shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from lookalike.figures import style

_DASHED = (0, (4, 1.2))
DRAWN = ["nimg", "alpha", "loss_discriminator", "loss_generator", "real_score", "fake_score", "penalty"]
"""Columns of the statistics; the others tell of the machine, and differ between equal runs."""


def draw(statistics: pd.DataFrame, output_stem: Path, *, label: str) -> None:
    """Three panels over thousands of images shown: losses, the discriminator's scores, penalty. Shaded: the newest layers fade in (alpha below 1).

    Args:
        statistics: a row a tick in order; the columns `DRAWN` go into the source CSV.
        output_stem: path without suffix.
        label: see `style.save`.
    """
    kimg = statistics["nimg"].to_numpy() / 1000
    with style.figure(style.SINGLE_MM, 96, label=label) as fig:
        losses, scores, penalty = fig.subplots(3, 1, sharex=True, height_ratios=(1.5, 1.5, 1))
        losses.plot(kimg, statistics["loss_discriminator"], color=style.DISCRIMINATOR, label="discriminator")
        losses.plot(kimg, statistics["loss_generator"], color=style.GENERATOR, linestyle=_DASHED, label="generator")
        scores.plot(kimg, statistics["real_score"], color=style.REAL, label="real")
        scores.plot(kimg, statistics["fake_score"], color=style.SYNTHETIC, linestyle=_DASHED, label="synthetic")
        penalty.plot(kimg, statistics["penalty"], color=style.INK)
        penalty.set(xlabel="real images shown (thousands)", xlim=(0, kimg[-1]))
        panels = {losses: "loss", scores: "score", penalty: "penalty"}
        for letter, (panel, name) in zip("abc", panels.items(), strict=True):
            panel.set_ylabel(name)
            panel.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
            _shade(panel, kimg, statistics["alpha"].to_numpy(), name="fade-in" if panel is losses else None)
            style.panel_letter(panel, letter)
        for panel in (losses, scores):
            panel.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, borderaxespad=0.1, columnspacing=1.2)
        fig.align_ylabels()
        style.save(fig, output_stem, statistics[DRAWN], label=label)


def _shade(axes: Axes, kimg: NDArray[np.floating], alpha: NDArray[np.floating], *, name: str | None) -> None:
    """Grey where alpha < 1, from the tick before (the ticks are means of what went before them)."""
    fading = np.flatnonzero(alpha < 1)
    if fading.size:
        axes.axvspan(0 if fading[0] == 0 else kimg[fading[0] - 1], kimg[fading[-1]], color="#EAEAEA", linewidth=0, zorder=-1, label=name)
