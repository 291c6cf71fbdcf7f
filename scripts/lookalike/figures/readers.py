"""Right answers an attempt beside what guessing gives, and their distribution by group of readers (K21, Figure 7)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from lookalike.figures import style
from lookalike.readers.analysis import ALL, strata
from lookalike.readers.yes_no import CHANCE

_HEIGHT_MM = 58.0
_LOOKS = ((style.INK, "-"), (style.MUTED, "--"))
"""Colour and line of who says yes, and of who says no."""
_POINTS = 201


def draw(readers: pd.DataFrame, output_stem: Path, *, questions: int, groups: Sequence[str], label: str) -> None:
    """Panel a: attempts by number of right answers, and how many are expected when all guess. Panels b and c: densities (Gaussian kernels, Scott's width) of the share of right
    answers of who says yes and who says no to the first group, and, among who says yes to it, to the third.

    Args:
        readers: as `readers.analysis.tabulate_readers` gives it; attempts that are complete count.
        output_stem: path without suffix.
        questions: of an attempt.
        groups: names of the study's groups, in order; panels of groups that it has not are left out.
        label: see `style.save`.
    """
    attempts = readers[(readers["set"] == ALL) & (readers["complete"] == 1)].reset_index(drop=True)
    masks = strata(attempts, groups)
    shown = [name for name in (*groups[:1], *groups[2:3]) if name in masks or f"not {name}" in masks]
    with style.figure(style.DOUBLE_MM if shown else style.SINGLE_MM, _HEIGHT_MM, label=label) as fig:
        panels = fig.subplots(1, 1 + len(shown), squeeze=False)[0]
        sources = [_histogram(panels[0], attempts["right"].to_numpy(np.int64), questions)]
        for axes, name in zip(panels[1:], shown, strict=True):
            sides = {title: attempts.loc[masks[title], "accuracy"] for title in (name, f"not {name}") if title in masks}
            sources.append(_densities(axes, sides, questions))
        for axes, letter, source in zip(panels, "abc", sources, strict=False):
            style.panel_letter(axes, letter)
            source.insert(0, "panel", letter)
        style.save(fig, output_stem, pd.concat(sources, ignore_index=True), label=label)


def _histogram(axes: Axes, right: np.ndarray, questions: int) -> pd.DataFrame:
    numbers = np.arange(questions + 1)
    counts = np.bincount(right, minlength=questions + 1)
    expected = len(right) * stats.binom.pmf(numbers, questions, CHANCE)
    axes.bar(numbers, counts, width=0.8, facecolor=style.RULE, edgecolor=style.INK, linewidth=0.6, label=f"{len(right)} attempts")
    axes.plot(numbers, expected, "o-", color=style.INK, markersize=3, linewidth=0.8, label=f"guessing, Bin({questions}, ½)")
    axes.set(xlabel=f"right answers of {questions}", ylabel="attempts")
    axes.set_ylim(0, 1.45 * max(counts.max(), expected.max()))
    axes.legend(loc="upper left")
    return pd.DataFrame({"group": ALL, "x": numbers, "y": counts, "expected": expected})


def _densities(axes: Axes, sides: dict[str, pd.Series], questions: int) -> pd.DataFrame:
    grid = np.linspace(0, 1, _POINTS)
    parts = []
    for (name, shares), (colour, line) in zip(sides.items(), _LOOKS, strict=False):
        title = f"{name.replace('_', ' ')} (n = {len(shares)})"
        if shares.nunique() < 2:
            # no density of one value: a line where it is
            axes.axvline(shares.iloc[0], linewidth=1.0, color=colour, linestyle=line, label=title)
            parts.append(pd.DataFrame({"group": name, "x": shares.iloc[:1], "y": np.nan}))
            continue
        density = stats.gaussian_kde(shares)(grid)
        axes.plot(grid, density, linewidth=1.2, color=colour, linestyle=line, label=title)
        parts.append(pd.DataFrame({"group": name, "x": grid, "y": density}))
    axes.axvline(CHANCE, ymax=0.75, color=style.RULE, linewidth=0.6, zorder=0)
    axes.set(xlabel="share of right answers", ylabel="density", xlim=(0, 1))
    axes.set_ylim(0, 1.35 * axes.get_ylim()[1])
    axes.legend(loc="upper left")
    return pd.concat(parts)
