"""Training, validation and test split by patient."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence


def split_patients(patients: Sequence[str], *, train: float, validation: float, seed: int) -> dict[str, str]:
    """Each patient's split: train, validation or test.

    Patients are ranked by a hash of seed and patient, and the ranking is cut at the fractions; a patient's place moves only when newcomers push
    the cut across it. The order and repetition of `patients` do not matter.

    Args:
        patients: patient hashes, repeats allowed (one an image).
        train: fraction of the patients that train; where it is above 0, at least one does.
        validation: fraction for validation; the rest is test.
        seed: seed of the ranking.
    """
    ranked = sorted(set(patients), key=lambda patient: (hashlib.sha256(f"{seed}:{patient}".encode()).digest(), patient))
    first = _round(train * len(ranked))
    if train > 0:
        first = max(first, 1)
    second = max(first, _round((train + validation) * len(ranked)))
    return {patient: "train" if rank < first else "validation" if rank < second else "test" for rank, patient in enumerate(ranked)}


def _round(value: float) -> int:
    """Half up; the small term undoes binary fractions such as .8 + .1 falling short of .9."""
    return math.floor(value + 0.5 + 1e-9)
