"""The data flow of the study, with the counts of what ran (D21, Figure 1)."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes

from lookalike.figures import style
from lookalike.figures.boxes import LINE, arrow, box

# All in mm.
_COLUMN = 88.0
_GAP = 5.0
_PAD = 1.8
_TITLE = 7.0
_TWO, _THREE = (lines * LINE + 2 * _PAD for lines in (2, 3))
_HEIGHT = _TITLE + 5 * _TWO + 5 * _THREE + 9 * _GAP + 1.0


def draw(counts: pd.DataFrame, output_stem: Path, *, label: str) -> None:
    """A column a benchmark, from the files found to the AUC gaps; real images on the left, synthetic ones on the right.

    Args:
        counts: as `utility.benchmark.study_counts` gives them.
        output_stem: path without suffix.
        label: see `style.save`.
    """
    benchmarks = list(dict.fromkeys(counts["benchmark"]))
    with style.diagram(style.DOUBLE_MM if len(benchmarks) > 1 else _COLUMN + 3.5, _HEIGHT * -(-len(benchmarks) // 2), label=label) as (fig, axes):
        for number, benchmark in enumerate(benchmarks):
            own = counts[counts["benchmark"] == benchmark]
            _column(axes, benchmark, own, (2 + number % 2 * (_COLUMN + 3.0), number // 2 * _HEIGHT))
        style.save(fig, output_stem, counts, label=label)


def _column(axes: Axes, benchmark: str, counts: pd.DataFrame, corner: tuple[float, float]) -> None:
    def count(step: str, name: str) -> int:
        return int(counts.loc[(counts["step"] == step) & (counts["name"] == name), "count"].sum())

    def total(step: str) -> int:
        return int(counts.loc[counts["step"] == step, "count"].sum())

    def parts(step: str) -> str:
        rows = counts[(counts["step"] == step) & (counts["count"] > 0)]
        return ", ".join(f"{row['name']} {row['count']:,}" for row in rows.to_dict("records"))

    left, y = corner
    centre, right = left + _COLUMN / 2, left + _COLUMN
    third, half = (_COLUMN - 2 * 2.0) / 3, (_COLUMN - 4.0) / 2
    middles = left + half / 2, right - half / 2
    axes.text(left, y + 3.5, benchmark, fontsize=8, fontweight="bold", va="center")
    y += _TITLE

    def down(x: float, lines: list[str], *, width: float, height: float, emphasis: bool = False, colour: str = style.INK) -> None:
        box(axes, (x - width / 2, y), (width, height), lines, bold=True, emphasis=emphasis, colour=colour)

    down(centre, ["Files found", f"{count('files', 'files'):,}"], width=44, height=_TWO)
    arrow(axes, (centre, y + _TWO), (centre, y + _TWO + _GAP))
    y += _TWO + _GAP
    down(centre, ["Images kept", f"{count('kept', 'images'):,}"], width=44, height=_TWO)
    arrow(axes, (centre, y + _TWO), (centre, y + _TWO + _GAP))
    y += _TWO + _GAP
    labelled = [f"{count('labelled', 'images'):,} of {count('labelled', 'patients'):,} patients"]
    labelled.append(f"{count('labelled', 'labels')} labels in {count('labelled', 'classes')} combinations (classes)")
    down(centre, ["Images with labels", *labelled], width=64, height=_THREE)
    for position, split in enumerate(("train", "validation", "test")):
        x = left + third / 2 + position * (third + 2.0)
        arrow(axes, (centre, y + _THREE), (x, y + _THREE + _GAP))
        lines = [
            split.capitalize() if split != "train" else "Training",
            f"{count(split, 'images'):,} images",
            f"{count(split, 'patients'):,} patients",
        ]
        box(axes, (x - third / 2, y + _THREE + _GAP), (third, _THREE), lines, bold=True)
        arrow(axes, (x, y + 2 * _THREE + _GAP), (centre, y + 2 * _THREE + 2 * _GAP))
    y += 2 * _THREE + 2 * _GAP
    down(centre, [f"Settings: {total('settings')}", parts("settings")], width=70, height=_TWO)
    arrow(axes, (centre, y + _TWO), (middles[0], y + _TWO + _GAP))
    y += _TWO + _GAP
    down(middles[0], ["Real images", "of each setting"], width=half, height=_THREE, colour=style.REAL)
    arrow(axes, (left + half, y + _THREE / 2), (right - half, y + _THREE / 2))
    generators = [f"Generators trained: {total('generators'):,}", parts("generators")]
    down(middles[1], generators, width=half, height=_THREE, colour=style.SYNTHETIC)
    arrow(axes, (middles[1], y + _THREE), (middles[1], y + _THREE + _GAP))
    # real images go straight to their classifier
    arrow(axes, (middles[0], y + _THREE), (middles[0], y + 2 * _THREE + 2 * _GAP))
    y += _THREE + _GAP
    images = [f"Synthetic images: {count('synthetic images', 'images'):,}", "with the labels of the real ones"]
    down(middles[1], images, width=half, height=_THREE, colour=style.SYNTHETIC)
    arrow(axes, (middles[1], y + _THREE), (middles[1], y + _THREE + _GAP))
    y += _THREE + _GAP
    for x, step, colour in ((middles[0], "real", style.REAL), (middles[1], "synthetic", style.SYNTHETIC)):
        lines = [f"Classifiers: {count(f'{step} classifiers', 'classifiers'):,}", f"learnt from {step} images"]
        down(x, lines, width=half, height=_THREE, colour=colour)
        arrow(axes, (x, y + _THREE), (centre, y + _THREE + _GAP))
    y += _THREE + _GAP
    down(centre, ["Real test images of the setting", "AUC of both classifiers"], width=64, height=_TWO)
    arrow(axes, (centre, y + _TWO), (centre, y + _TWO + _GAP))
    y += _TWO + _GAP
    down(centre, [f"AUC gaps: {count('gaps', 'gaps'):,}", "learnt from real less from synthetic"], width=64, height=_TWO, emphasis=True)
