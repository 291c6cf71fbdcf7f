"""A generator's patches of one class before contrast (H19, Figures 2 and 3)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lookalike.figures import patches, style
from lookalike.pixels.patches import CHANNELS

# All in mm.
_GAP = 0.8
_TITLE = 5.0
_FOOT = 4.0
_CHANNEL = CHANNELS.index("pre")


def draw(images: NDArray[np.floating], output_stem: Path, *, generator: str, finding: str, label: str) -> None:
    """As near to a square as their number allows, all on one grey scale.

    Args:
        images: patches [n, 7, H, W] in [0, 1], as a store codes them.
        generator: its name.
        finding: class of the patches.
        output_stem: path without suffix.
        label: see `style.save`.
    """
    values = patches.intensities(images)[:, _CHANNEL]
    count, rows_px, columns_px = values.shape
    across = int(np.ceil(np.sqrt(count * rows_px / columns_px)))
    width = (style.SINGLE_MM - 2 + _GAP) / across - _GAP
    height = width * rows_px / columns_px
    limits = patches.grey_scale(values)
    bottom = _TITLE + -(-count // across) * (height + _GAP)
    with style.diagram(style.SINGLE_MM, bottom + _FOOT, label=label) as (fig, axes):
        title = f"{count} synthetic patches, {finding}, of {generator}: {patches.NAMES['pre']}"
        axes.text(1, _TITLE - 1.2, title, va="bottom", color=style.SYNTHETIC)
        for number, image in enumerate(values):
            corner = 1 + number % across * (width + _GAP), _TITLE + number // across * (height + _GAP)
            patches.picture(axes, image, corner, (width, height), limits)
        axes.text(1, bottom + 0.6, patches.describe(T1=limits), va="top", fontsize=6, color=style.MUTED)
        axes.set(xlim=(0, style.SINGLE_MM), ylim=(bottom + _FOOT, 0), aspect="auto")
        records = [
            patches.record(image, limits, generator=generator, finding=finding, channel="pre", number=number) for number, image in enumerate(values)
        ]
        style.save(fig, output_stem, pd.DataFrame(records), label=label)
