"""The seven channels of one real patch (H19, Figure 1)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lookalike.figures import patches, style
from lookalike.pixels.patches import CHANNELS

# All in mm.
_GAP = 1.0
_TITLE = 4.5
_LEFT = 6.0
_FOOT = 4.5


def draw(patch: NDArray[np.floating], output_stem: Path, *, finding: str, label: str) -> None:
    """A row of pictures: T2 on its own grey scale, the T1 series on one, the subtraction around 0.

    Args:
        patch: [7, H, W] in [0, 1], as a store codes it.
        finding: its class.
        output_stem: path without suffix.
        label: see `style.save`.
    """
    (values,) = patches.intensities(patch[None])
    t1 = patches.grey_scale(values[patches.T1])
    scales = {"T2": patches.grey_scale(values[0]), "T1": t1, "subtraction": patches.grey_scale(values[-1], signed=True)}
    limits = [scales["T2"], *[t1] * 5, scales["subtraction"]]
    width = (style.DOUBLE_MM - _LEFT - 1) / len(CHANNELS) - _GAP
    height = width * values.shape[1] / values.shape[2]
    full = _TITLE + height + _FOOT
    with style.diagram(style.DOUBLE_MM, full, label=label) as (fig, axes):
        patches.side_bar(axes, (_LEFT - 1.4, _TITLE), height, f"real, {finding}", synthetic=False)
        for number, (channel, image, ends) in enumerate(zip(CHANNELS, values, limits, strict=True)):
            x = _LEFT + number * (width + _GAP)
            axes.text(x + width / 2, _TITLE - 1, patches.NAMES[channel], ha="center", va="bottom")
            patches.picture(axes, image, (x, _TITLE), (width, height), ends)
        axes.text(_LEFT, _TITLE + height + 1, patches.describe(**scales), ha="left", va="top", fontsize=6, color=style.MUTED)
        axes.set(xlim=(0, style.DOUBLE_MM), ylim=(full, 0), aspect="auto")
        records = [
            patches.record(image, ends, finding=finding, channel=channel) for channel, image, ends in zip(CHANNELS, values, limits, strict=True)
        ]
        style.save(fig, output_stem, pd.DataFrame(records), label=label)
