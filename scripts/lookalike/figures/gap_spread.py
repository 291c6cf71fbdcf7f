"""Frechet distance and change of AUC of the runs with the most and the fewest classes, or images a class (D21, Figure 3)."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from lookalike.figures import style
from lookalike.figures.gaps import DIMENSIONS, LOOKS
from lookalike.utility.benchmark import extreme_settings

_TITLES = {"classes": "classes", "samples": "images a class"}
_PANEL_MM = 45.0


def draw(runs: pd.DataFrame, output_stem: Path, *, label: str) -> None:
    """A row of panels a measure, a column a benchmark and dimension; in each, a box a generator for the settings with the most and with the fewest.

    Box: quartiles and median; whiskers reach 1.5 interquartile ranges; points: runs. A single run is a square.

    Args:
        runs: a row a run: benchmark, dimension, classes, samples, generator, seed, frechet, frechet_name, delta_synthetic.
        output_stem: path without suffix.
        label: see `style.save`.
    """
    generators = list(dict.fromkeys(runs["generator"]))
    columns = [(benchmark, dimension) for benchmark in dict.fromkeys(runs["benchmark"]) for dimension in _TITLES]
    columns = [
        (benchmark, dimension) for benchmark, dimension in columns if ((runs["benchmark"] == benchmark) & (runs["dimension"] == dimension)).any()
    ]
    # a study of resolutions alone still has its panel, which says what is missing
    columns = columns or [(runs["benchmark"].iloc[0], "classes")]
    measures = {"frechet": str(runs["frechet_name"].iloc[0]), "delta_synthetic": "AUC on synthetic less\nAUC on real images"}
    with style.figure(min(style.DOUBLE_MM, 20 + 60 * len(columns)), 10 + 2 * _PANEL_MM, label=label) as fig:
        grid = fig.subplots(2, len(columns), squeeze=False)
        sources = []
        for column, (benchmark, dimension) in enumerate(columns):
            extremes = extreme_settings(runs[runs["benchmark"] == benchmark], dimension)
            for row, (measure, name) in enumerate(measures.items()):
                axes, letter = grid[row, column], "abcdefghijklmnopqrstuvwxyz"[2 * column + row]
                style.panel_letter(axes, letter)
                axes.set_title(f"{benchmark}: {_TITLES[dimension]}", loc="left")
                axes.set_xlabel(DIMENSIONS[dimension])
                if column == 0:
                    axes.set_ylabel(name.replace(" (", "\n("))
                if extremes is None:
                    axes.set(xticks=[], yticks=[])
                    axes.text(0.5, 0.5, "one setting only", ha="center", va="center", transform=axes.transAxes, color=style.MUTED)
                    continue
                sources.append(_panel(axes, extremes, generators, dimension, measure).assign(panel=letter, benchmark=benchmark))
        handles = [Patch(label=name, linewidth=0.8, **LOOKS[number % len(LOOKS)]) for number, name in enumerate(generators)]
        fig.legend(handles=handles, loc="outside upper center", ncols=len(handles))
        columns_of_source = ["panel", "benchmark", "dimension", "many", "generator", "seed", "measure", "value"]
        source = pd.concat(sources, ignore_index=True)[columns_of_source] if sources else pd.DataFrame(columns=columns_of_source)
        style.save(fig, output_stem, source, label=label)


def _panel(axes: Axes, extremes: tuple[pd.DataFrame, pd.DataFrame], generators: list[str], dimension: str, measure: str) -> pd.DataFrame:
    width = 0.8 / len(generators)
    parts = []
    for place, runs in enumerate(extremes):
        for number, generator in enumerate(generators):
            own = runs[runs["generator"] == generator]
            x = place + (number - (len(generators) - 1) / 2) * width
            parts.append(own.assign(dimension=dimension, many=place == 0, measure=measure, value=own[measure]))
            look = LOOKS[number % len(LOOKS)]
            if len(own) == 1:
                # a box of one run would be a line that does not tell whose it is
                axes.plot(x, own[measure], "s", markersize=5, markerfacecolor=look["facecolor"], markeredgecolor=look["edgecolor"])
                continue
            drawn = axes.boxplot(
                own[measure].dropna(),
                positions=[x],
                widths=0.7 * width,
                whis=1.5,
                patch_artist=True,
                showfliers=False,
                manage_ticks=False,
                boxprops={**look, "linewidth": 0.8},
                medianprops={"color": style.INK, "linewidth": 1.2},
                whiskerprops={"color": style.SYNTHETIC, "linewidth": 0.8},
                capprops={"color": style.SYNTHETIC, "linewidth": 0.8},
            )
            for artist in drawn["medians"]:
                artist.set_zorder(3)
            axes.plot(
                [x] * len(own), own[measure], "o", markersize=2.4, markerfacecolor="white", markeredgecolor=style.INK, markeredgewidth=0.5, zorder=4
            )
    axes.set_xticks(range(2), labels=[f"{runs[dimension].iloc[0]:,.0f}" for runs in extremes])
    axes.set_xlim(-0.6, 1.6)
    axes.margins(y=0.12)
    if measure == "delta_synthetic":
        axes.axhline(0, color=style.RULE, linewidth=0.6, zorder=0)
    return pd.concat(parts)
