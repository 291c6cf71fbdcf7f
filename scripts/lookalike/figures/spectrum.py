"""Radially averaged power spectra of both sets: texture, which moments cannot see."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from lookalike.figures import style

_DASHED = (0, (4, 1.2))


def draw(spectra: pd.DataFrame, bands: pd.DataFrame, output_stem: Path, *, label: str) -> None:
    """Spectra above, errors by frequency band below.

    Args:
        spectra: a row a radial frequency, columns `frequency` (cycles per image width), `real` and `synthetic` (mean power), `ceiling_low` and `ceiling_high`
            (2.5 and 97.5 % of the means of random halves of the real images' patients).
        bands: a row a band, columns `frequency_low`, `frequency_high` (cycles per image width) and `tables.STATISTICS` of the band's error, log10 of
            synthetic over real power. Drawn: the value with its interval, and the ranges of the ceiling and of the matched value.
        output_stem: path without suffix.
        label: see `style.save`.
    """
    with style.figure(style.SINGLE_MM, 104, label=label) as fig:
        power, error = fig.subplots(2, 1, sharex=True, height_ratios=(2.1, 1))
        frequency = spectra["frequency"]
        power.fill_between(
            frequency,
            spectra["ceiling_low"],
            spectra["ceiling_high"],
            color=style.REAL,
            alpha=0.25,
            linewidth=0,
            label="real, halves of the patients (95 %)",
        )
        power.plot(frequency, spectra["real"], color=style.REAL, label="real")
        power.plot(frequency, spectra["synthetic"], color=style.SYNTHETIC, linestyle=_DASHED, label="synthetic")
        power.set(xscale="log", yscale="log", ylabel="power")
        power.legend(loc="lower left")
        _bands(error, bands)
        error.set(xlabel="radial frequency (cycles per image width)", ylabel="power ratio\n(log10)")
        error.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        error.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        error.xaxis.set_minor_formatter(NullFormatter())
        for axes, letter in ((power, "a"), (error, "b")):
            style.panel_letter(axes, letter)
        fig.align_ylabels()
        source = pd.concat([spectra.assign(panel="a"), bands.assign(panel="b")], ignore_index=True)
        style.save(fig, output_stem, source[["panel", *[column for column in source if column != "panel"]]], label=label)


def _bands(axes: Axes, bands: pd.DataFrame) -> None:
    axes.axhline(0, color=style.RULE, linewidth=0.6, zorder=0)
    for number, row in enumerate(bands.to_dict("records")):
        edges = [row["frequency_low"], row["frequency_high"]]
        first = number == 0
        axes.fill_between(
            edges, row["ceiling_low"], row["ceiling_high"], color=style.REAL, alpha=0.25, linewidth=0, label="real against real" if first else None
        )
        axes.fill_between(
            edges,
            row["matched_low"],
            row["matched_high"],
            facecolor="none",
            edgecolor=style.SYNTHETIC,
            hatch="////",
            linewidth=0,
            label="matched" if first else None,
        )
        centre = float(np.sqrt(edges[0] * edges[1]))
        axes.plot([centre] * 2, [row["low"], row["high"]], color=style.SYNTHETIC, linewidth=0.9)
        axes.plot(
            centre,
            row["value"],
            "^",
            color=style.SYNTHETIC,
            markerfacecolor="white",
            markersize=4,
            linestyle="none",
            label="all images" if first else None,
        )
    # room for the legend on whichever side of zero the lines are not
    low, high = axes.get_ylim()
    axes.set_ylim(low - 0.08 * (high - low), high + 0.45 * (high - low))
    axes.legend(loc="upper left", ncols=3, borderaxespad=0.2, columnspacing=1.0, handlelength=1.4)
