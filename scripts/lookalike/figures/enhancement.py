"""How real and synthetic patches brighten over time, class by class (beyond H19)."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure
from matplotlib.lines import Line2D

from lookalike.figures import style
from lookalike.tables import interval, number
from lookalike.utility.patches import CLASSES

KINETICS = {"initial_rise": "initial rise", "washout": "washout"}
"""Measure to printed name."""
SETS: dict[str, tuple[str, dict[str, Any]]] = {
    "real_train": ("real, training", {"color": style.REAL, "linestyle": "-", "marker": "o", "markerfacecolor": style.REAL}),
    "real_test": ("real, test", {"color": style.REAL, "linestyle": (0, (1, 1.2)), "marker": "s", "markerfacecolor": "white"}),
    "synthetic": ("synthetic", {"color": style.SYNTHETIC, "linestyle": (0, (4, 1.2)), "marker": "^", "markerfacecolor": "white"}),
}
"""Set to printed name and look."""
_TIMES = ("pre", "1", "2", "3", "4")
_ROW_MM = 54.0


def draw(curves: pd.DataFrame, measures: pd.DataFrame, output_stem: Path, *, label: str) -> None:
    """A row of panels a generator: the mean curve of each class, and its initial rise and washout, all with 95 % intervals.

    Args:
        curves: a row a generator, set, class and time (`measures.enhancement.tabulate_enhancement`): those columns, mean, low, high, n. Rows of real patches
            belong to every generator.
        measures: a row a generator, set, class and measure: those columns, value, low, high, unit. `auc` and `consistency` are told in words.
        output_stem: path without suffix.
        label: see `style.save`.
    """
    generators = list(dict.fromkeys(curves.loc[curves["set"] == "synthetic", "generator"]))
    with style.figure(style.DOUBLE_MM, 7 + _ROW_MM * len(generators), label=label) as fig:
        rows = fig.subfigures(len(generators), 1, squeeze=False)[:, 0]
        limits = curves["low"].fillna(curves["mean"]).min(), curves["high"].fillna(curves["mean"]).max()
        sources = []
        for place, (generator, row) in enumerate(zip(generators, rows, strict=True)):
            own, values = (table[(table["set"] != "synthetic") | (table["generator"] == generator)] for table in (curves, measures))
            _row(row, own, values, generator, "abcdefghijklmnopqrstuvwxyz"[len(_PANELS) * place :], limits)
            sources += [table.assign(panel_row=generator) for table in (own, values)]
        handles = [Line2D([], [], markersize=3.5, label=name, **look) for name, look in SETS.values()]
        fig.legend(handles=handles, loc="outside upper center", ncols=len(handles))
        style.save(fig, output_stem, pd.concat(sources, ignore_index=True), label=label)


_PANELS = (*CLASSES, *KINETICS)


def _row(row: SubFigure, curves: pd.DataFrame, values: pd.DataFrame, generator: str, letters: str, limits: tuple[float, float]) -> None:
    grid = row.subplots(1, len(_PANELS), width_ratios=[1.15] * len(CLASSES) + [1] * len(KINETICS))
    row.suptitle(f"{generator}{_verdict(values)}", x=0.01, ha="left", fontsize=7)
    for axes, name, letter in zip(grid, _PANELS, letters, strict=False):
        style.panel_letter(axes, letter)
        if name in CLASSES:
            _curves(axes, curves[curves["class"] == name])
            axes.set_title(name, loc="left")
            room = 0.06 * (limits[1] - limits[0])
            axes.set(xlabel="image after contrast", ylim=(limits[0] - room, limits[1] + room))
            if name == CLASSES[0]:
                axes.set_ylabel("mean signal (0 to 1023)")
            else:
                axes.tick_params(labelleft=False)
        else:
            rows = values[values["measure"] == name]
            _points(axes, rows)
            axes.set_title(KINETICS[name], loc="left")
            axes.set_ylabel(rows["unit"].iloc[0])


def _verdict(values: pd.DataFrame) -> str:
    """What the measures that have no panel say of the generator."""
    fake, real = (values[values["set"] == name] for name in ("synthetic", "real_test"))
    words = ""
    for row in fake[fake["measure"] == "auc"].dropna(subset="value").to_dict("records"):
        words += f": malignant from benign by their curves, AUC {number(row['value'], 2)} {interval(row['low'], row['high'], 2)}"
        held_out = real[real["measure"] == "auc"].dropna(subset="value")
        words += "".join(
            f"; real test patches {number(row['value'], 2)} {interval(row['low'], row['high'], 2)}" for row in held_out.head(1).to_dict("records")
        )
    off = fake[fake["measure"] == "consistency"].dropna(subset="value")
    parts = ", ".join(_with_interval(row) + f" {row['class']}" for row in off.to_dict("records"))
    return words + (f"\nSubtraction off post 1 − pre by {parts}, {number(off['control'].max(), 2)} real (of 1023)" if parts else "")


def _with_interval(row: Mapping[Hashable, Any]) -> str:
    decimals = 1 if row["value"] < 10 else 0
    return f"{number(row['value'], decimals)} {interval(row['low'], row['high'], decimals)}"


def _curves(axes: Axes, curves: pd.DataFrame) -> None:
    for name, (_, look) in SETS.items():
        own = curves[curves["set"] == name].drop_duplicates("time").sort_values("time")
        if name != "real_test":
            axes.fill_between(own["time"], own["low"], own["high"], color=look["color"], alpha=0.2, linewidth=0)
        axes.plot(own["time"], own["mean"], markersize=3, markeredgewidth=0.7, linewidth=1.0, **look)
    axes.set_xticks(range(len(_TIMES)), labels=_TIMES)
    axes.set_xlim(-0.3, len(_TIMES) - 0.7)
    if curves["mean"].isna().all():
        axes.text(0.5, 0.5, "no patches", ha="center", va="center", transform=axes.transAxes, color=style.MUTED)


def _points(axes: Axes, rows: pd.DataFrame) -> None:
    axes.axhline(0, color=style.RULE, linewidth=0.6, zorder=0)
    for number_of_set, (name, (_, look)) in enumerate(SETS.items()):
        own = rows[rows["set"] == name].drop_duplicates("class").set_index("class").reindex(CLASSES)
        x = [place + 0.24 * (number_of_set - 1) for place in range(len(CLASSES))]
        axes.vlines(x, own["low"], own["high"], color=look["color"], linewidth=0.9)
        axes.plot(x, own["value"], markersize=3.5, markeredgewidth=0.7, **{**look, "linestyle": "none"})
    axes.set_xticks(range(len(CLASSES)), labels=CLASSES, rotation=30, ha="right", rotation_mode="anchor")
    axes.set_xlim(-0.5, len(CLASSES) - 0.5)
    axes.margins(y=0.1)
