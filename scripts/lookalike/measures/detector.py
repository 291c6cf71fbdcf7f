"""How well the pixel detectors find what was planted in phantoms."""

from __future__ import annotations

import pandas as pd

from lookalike.statistics import wilson_interval

FOREIGN_BODIES = ("clip", "pacemaker", "skin_marker", "implant_untagged")
BURNED_IN = ("burned_in_pixels",)


def detector_performance(images: pd.DataFrame, *, threshold: float) -> pd.DataFrame:
    """Sensitivity for each planted kind, and specificity on images with nothing planted, with Wilson's 95 % intervals.

    Args:
        images: one row a decoded phantom: `planted` (what was planted, "none" = nothing), `foreign_body_score`, `text_score`.
        threshold: operating point of the foreign-body score; that of the text score is 1.

    Returns:
        A row a detector and kind: detector, planted, measure (sensitivity or specificity), images, right, value, low, high.
    """
    flagged = {"foreign_body": images["foreign_body_score"] >= threshold, "burned_in_pixels": images["text_score"] >= 1}
    rows = []
    for detector, kinds in (("foreign_body", FOREIGN_BODIES), ("burned_in_pixels", BURNED_IN)):
        for planted in (*kinds, "none"):
            among = images["planted"] == planted
            right = flagged[detector][among] if planted != "none" else ~flagged[detector][among]
            low, high = wilson_interval(int(right.sum()), int(among.sum()))
            rows.append(
                {
                    "detector": detector,
                    "planted": planted,
                    "measure": "specificity" if planted == "none" else "sensitivity",
                    "images": int(among.sum()),
                    "right": int(right.sum()),
                    "value": float(right.mean()),
                    "low": low,
                    "high": high,
                }
            )
    return pd.DataFrame(rows)
