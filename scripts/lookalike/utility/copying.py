"""Are synthetic images copies of training images? Their nearest training images, against those of real images that nobody trained on.

All in a classifier's feature space: what it cannot tell apart counts as the same. That a generator's images are nearer than unseen real ones is no proof of
copying: dull images, all near the middle, are nearer too. That some are the same is.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from lookalike.utility.auc import mann_whitney_p
from lookalike.utility.neighbours import nearest_neighbours

COPIES, NEARER, APART = "copies training images", "nearer to training images than unseen real ones", "no nearer than unseen real images"
IDENTICAL = 1e-6
"""Cosine distances below this are none: float32 features of one image differ by less than 1e-12."""
NEAR = 0.01
"""Quantile of the unseen images' distances below which a synthetic image counts as near: of images like them, so many would be."""
SIGNIFICANCE = 0.05
_EXACT = 60
"""Images of both kinds up to which the P value is exact."""


def tabulate_copying(queries: NDArray, held_out: NDArray, training: NDArray) -> pd.DataFrame:
    """One row: how near synthetic images are to the training images.

    Args:
        queries: features of synthetic images [q, d].
        held_out: of real images that were not trained on [h, d], each of another patient: P takes them as independent.
        training: of the training images [n, d].

    Returns:
        n_queries; share_nearer: share of the queries that are nearer than the 1 % quantile of the unseen ones; share_identical: share at no distance;
        p: one-sided Mann-Whitney that queries are nearer than unseen ones; median_synthetic, median_real: distances; verdict: COPIES where queries at no
        distance are more than twice as frequent as unseen images at none (which there are where the data hold duplicates), else NEARER where P < 0.05.
    """
    synthetic, real = (nearest_neighbours(features, training, k=1)[1][:, 0] for features in (queries, held_out))
    identical, chance = np.mean(synthetic < IDENTICAL), np.mean(real < IDENTICAL)
    if len(synthetic) + len(real) <= _EXACT:
        p = mann_whitney_p(real, synthetic)
    else:
        p = float(stats.mannwhitneyu(real, synthetic, alternative="greater", method="asymptotic").pvalue)
    return pd.DataFrame(
        {
            "n_queries": [len(synthetic)],
            "share_nearer": np.mean(synthetic < np.quantile(real, NEAR)),
            "share_identical": identical,
            "p": p,
            "median_synthetic": np.median(synthetic),
            "median_real": np.median(real),
            "verdict": COPIES if identical > 2 * chance else NEARER if p < SIGNIFICANCE else APART,
        }
    )
