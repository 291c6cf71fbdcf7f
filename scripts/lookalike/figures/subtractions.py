"""A generator's patches of one class with what contrast does to them (H19, Figures 4 and 5)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lookalike.figures import patches, style
from lookalike.pixels.patches import PHASES

# All in mm.
_GAP = 0.8
_TITLE = 5.0
_NAMES = 4.0
_LEFT = 5.5
_BLOCK = 90.0
_UNDER = 2.5
_FOOT = 4.0


def draw(images: NDArray[np.floating], output_stem: Path, *, generator: str, finding: str, label: str) -> None:
    """A block a patch, two to a row: above, T2 and T1 before and after contrast; below each T1 after contrast, that less T1 before.

    Grey scales are those of all blocks: one of T2, one of T1, one of the subtractions, around 0.

    Args:
        images: patches [n, 7, H, W] in [0, 1], as a store codes them. Subtractions are made from the T1 series; the seventh channel is not drawn.
        generator: its name.
        finding: class of the patches.
        output_stem: path without suffix.
        label: see `style.save`.
    """
    values = patches.intensities(images)[:, : len(PHASES)]
    less_pre = values[:, 2:] - values[:, 1:2]
    t1 = patches.grey_scale(values[:, patches.T1])
    scales = {"T2": patches.grey_scale(values[:, 0]), "T1": t1, "subtractions": patches.grey_scale(less_pre, signed=True)}
    width = (_BLOCK - _LEFT + _GAP) / len(PHASES) - _GAP
    height = width * values.shape[2] / values.shape[3]
    block = 2 * (height + _GAP) + _UNDER
    page = style.DOUBLE_MM if len(images) > 1 else _BLOCK + 2
    bottom = _TITLE + _NAMES + -(-len(images) // 2) * block
    with style.diagram(page, bottom + _FOOT, label=label) as (fig, axes):
        axes.text(1, _TITLE - 1.2, f"Synthetic patches, {finding}, of {generator}", va="bottom", color=style.SYNTHETIC, fontweight="bold")
        records = []
        for patch, (series, differences) in enumerate(zip(values, less_pre, strict=True)):
            left, top = 1 + patch % 2 * (_BLOCK + 1) + _LEFT, _TITLE + _NAMES + patch // 2 * block
            patches.side_bar(axes, (left - 1.2, top), height, "patch", synthetic=True)
            patches.side_bar(axes, (left - 1.2, top + height + _GAP), height, "less pre", synthetic=True)
            tiles = [
                (0, number, phase, image, scales["T1" if number else "T2"]) for number, (phase, image) in enumerate(zip(PHASES, series, strict=True))
            ]
            tiles += [(1, 2 + number, f"{PHASES[2 + number]} - pre", image, scales["subtractions"]) for number, image in enumerate(differences)]
            for row, column, name, image, limits in tiles:
                x, y = left + column * (width + _GAP), top + row * (height + _GAP)
                if row == 0 and patch < 2:
                    axes.text(x + width / 2, y - 0.8, patches.NAMES[name], ha="center", va="bottom", fontsize=6.5)
                patches.picture(axes, image, (x, y), (width, height), limits)
                records.append(patches.record(image, limits, generator=generator, finding=finding, number=patch, channel=name))
        axes.text(1, bottom, patches.describe(**scales), va="top", fontsize=6, color=style.MUTED)
        axes.set(xlim=(0, page), ylim=(bottom + _FOOT, 0), aspect="auto")
        style.save(fig, output_stem, pd.DataFrame(records), label=label)
