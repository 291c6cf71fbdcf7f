"""Image size of published generators and of this run (K21, Figure 5)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from lookalike.figures import style


def draw(models: pd.DataFrame, output_stem: Path, *, label: str) -> None:
    """Bars of the longer image side, from the smallest model to the largest.

    Args:
        models: columns `model`, `height`, `width` (pixels) and `ours` (True for this run).
        output_stem: path without suffix.
        label: see `style.save`.
    """
    ordered = models.assign(side=models[["height", "width"]].max(axis=1)).sort_values(["side", "width"], kind="stable", ignore_index=True)
    with style.figure(style.SINGLE_MM, 14 + 6.2 * len(ordered), label=label) as fig:
        axes = fig.add_subplot()
        for position, row in enumerate(ordered.to_dict("records")):
            look: dict[str, Any] = {"facecolor": "#9A9A9A"}
            if row["ours"]:
                look = {"facecolor": style.SYNTHETIC, "hatch": "////", "edgecolor": "white"}
            axes.barh(position, row["side"], height=0.66, linewidth=0, **look)
            axes.annotate(
                style.shape_text(row["height"], row["width"]),
                (row["side"], position),
                xytext=(3, 0),
                textcoords="offset points",
                va="center",
                fontsize=6.5,
            )
        axes.set_yticks(range(len(ordered)), labels=ordered["model"])
        for tick, ours in zip(axes.get_yticklabels(), ordered["ours"], strict=True):
            tick.set_fontweight("bold" if ours else "normal")
        axes.tick_params(axis="y", length=0)
        axes.set(xlabel="longer image side (pixels)", xlim=(0, 1.22 * ordered["side"].max()))
        style.save(fig, output_stem, ordered[["model", "height", "width", "ours"]], label=label)
