"""AUC of classifiers that learnt from real and from synthetic images, over classes, images a class and resolution (D21, Figure 2)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from lookalike.figures import style

DIMENSIONS = {"classes": "classes", "samples": "training images a class", "resolution": "resolution (pixels)"}
LOOKS: tuple[dict[str, Any], ...] = (
    {"facecolor": style.SYNTHETIC, "edgecolor": style.SYNTHETIC},
    {"facecolor": "white", "edgecolor": style.SYNTHETIC, "hatch": "/////"},
    {"facecolor": "#9CC6E0", "edgecolor": style.SYNTHETIC, "hatch": "..."},
)
"""Of generators, in their order: one colour, for all are synthetic, and another filling."""
CHANCE = 0.5
_PANEL_MM = 46.0


def draw(runs: pd.DataFrame, output_stem: Path, *, label: str) -> None:
    """A row of panels a dimension, a column a benchmark; in each, bars of the generators by setting, from chance upwards, and the line of the real images.

    Bars and line: mean over seeds; thick whiskers and band: its standard deviation; thin whiskers: the patient-clustered 95 % interval of the gap, hung from the
    line, mean over seeds.

    Args:
        runs: a row a run: benchmark, dimension, resolution, classes, samples, setting, generator, seed, auc_real, auc_synthetic, gap, gap_low, gap_high.
        output_stem: path without suffix.
        label: see `style.save`.
    """
    benchmarks, generators = (list(dict.fromkeys(runs[column])) for column in ("benchmark", "generator"))
    dimensions = [name for name in DIMENSIONS if (runs["dimension"] == name).any()]
    with style.figure(style.DOUBLE_MM if len(benchmarks) > 1 else 120, 15 + _PANEL_MM * len(dimensions), label=label) as fig:
        grid = fig.subplots(len(dimensions), len(benchmarks), squeeze=False, sharey="col")
        sources = []
        for place, (dimension, benchmark) in enumerate((dimension, benchmark) for dimension in dimensions for benchmark in benchmarks):
            axes = grid.flat[place]
            own = runs[(runs["dimension"] == dimension) & (runs["benchmark"] == benchmark)]
            style.panel_letter(axes, "abcdefghijklmnopqrstuvwxyz"[place])
            axes.set_title(benchmark, loc="left")
            axes.set(xlabel=DIMENSIONS[dimension], ylabel="AUC on real test images")
            if own.empty:
                axes.set_axis_off()
                axes.text(
                    0.5, 0.5, f"{benchmark}: no settings of this dimension", ha="center", va="center", transform=axes.transAxes, color=style.MUTED
                )
                continue
            table = _means(own, dimension)
            _panel(axes, table, generators, dimension)
            sources.append(table.assign(panel="abcdefghijklmnopqrstuvwxyz"[place], benchmark=benchmark, dimension=dimension))
        handles: list[Any] = [Line2D([], [], color=style.REAL, label="learnt from real images")]
        handles += [Patch(label=name, linewidth=0.6, **LOOKS[number % len(LOOKS)]) for number, name in enumerate(generators)]
        handles.append(Line2D([], [], color=style.INK, linewidth=1.6, label="± SD over seeds"))
        handles.append(Line2D([], [], color=style.INK, linewidth=0.5, label="95 % interval of the gap (patients), hung from the line"))
        fig.legend(handles=handles, loc="outside upper center", ncols=3)
        style.save(fig, output_stem, pd.concat(sources, ignore_index=True), label=label)


def _means(runs: pd.DataFrame, dimension: str) -> pd.DataFrame:
    """A row a setting and generator, most classes or images first, resolutions upwards; the real AUC is that of the setting's seeds, each counted once."""
    order = runs.sort_values(dimension, ascending=dimension == "resolution", kind="stable")["setting"].unique()
    rows = []
    for setting in order:
        own = runs[runs["setting"] == setting]
        real = own.drop_duplicates("seed")["auc_real"]
        for generator, part in own.groupby("generator", sort=False):
            synthetic, ends = part["auc_synthetic"], part[["gap_low", "gap_high"]].mean()
            row = {"setting": setting, dimension: part[dimension].iloc[0], "generator": generator, "seeds": len(part)}
            row |= {"real": real.mean(), "real_sd": real.std(), "synthetic": synthetic.mean(), "synthetic_sd": synthetic.std()}
            rows.append({**row, "low": part["auc_real"].mean() - ends["gap_high"], "high": part["auc_real"].mean() - ends["gap_low"]})
    return pd.DataFrame(rows)


def _panel(axes: Axes, table: pd.DataFrame, generators: list[str], dimension: str) -> None:
    settings = list(dict.fromkeys(table["setting"]))
    width = 0.8 / len(generators)
    for number, generator in enumerate(generators):
        own = table[table["generator"] == generator]
        x = [settings.index(setting) + (number - (len(generators) - 1) / 2) * width for setting in own["setting"]]
        axes.bar(x, own["synthetic"] - CHANCE, 0.86 * width, bottom=CHANCE, linewidth=0.6, zorder=2, **LOOKS[number % len(LOOKS)])
        axes.vlines(x, own["low"], own["high"], color=style.INK, linewidth=0.5, zorder=3)
        axes.errorbar(x, own["synthetic"], own["synthetic_sd"], fmt="none", ecolor=style.INK, elinewidth=1.6, zorder=3)
    real = table.drop_duplicates("setting")
    # a step a setting: the line of a single setting is seen too
    for position, (_, row) in enumerate(real.iterrows()):
        ends = position - 0.45, position + 0.45
        axes.fill_between(ends, row["real"] - row["real_sd"], row["real"] + row["real_sd"], color=style.REAL, alpha=0.25, linewidth=0, zorder=1)
        axes.plot(ends, [row["real"]] * 2, color=style.REAL, linewidth=1.4, zorder=4)
    axes.plot(range(len(real)), real["real"], color=style.REAL, linewidth=0.6, linestyle=(0, (1, 1.5)), zorder=1)
    axes.axhline(CHANCE, color=style.RULE, linewidth=0.6, zorder=0)
    axes.set_xticks(range(len(settings)), labels=[f"{value:,.0f}" if pd.notna(value) else "all" for value in real[dimension]])
    axes.set_xlim(-0.6, max(len(settings) - 0.4, 1.6))
    remarks = ["one setting only"] * (len(settings) == 1) + ["one seed: no standard deviation"] * bool((table["seeds"] == 1).all())
    axes.set_title(", ".join(remarks), loc="right", color=style.MUTED, fontsize=6)
