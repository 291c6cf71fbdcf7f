"""Training, validation and test split by patient, and what is chosen by it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import pandas as pd

from lookalike.errors import LookalikeError


def split_patients(patients: Sequence[str], *, train: float, validation: float, seed: int, strata: Mapping[str, str] | None = None) -> dict[str, str]:
    """Each patient's split: train, validation or test.

    Patients are ranked by a hash of seed and patient, and the ranking is cut at the fractions; a patient's place moves only when newcomers push
    the cut across it. The order and repetition of `patients` do not matter.

    With strata, patients are ranked so within their own, where the r-th of m stands at (r + u) / m; strata of one size have their u evenly over (0, 1), in
    the order of their first patients' hashes. All patients, ordered by where they stand, are then cut as one ranking. So the fractions hold over all as they
    do without strata, and in each stratum to about a patient: of strata of a single patient, which nothing can divide, the fraction's share trains.

    Args:
        patients: patient hashes, repeats allowed (one an image).
        train: fraction of the patients that train; where it is above 0, at least one does.
        validation: fraction for validation; the rest is test.
        seed: seed of the ranking.
        strata: each patient's stratum (`patient_strata`); None = all are in one.
    """
    by_hash = sorted(set(patients), key=lambda patient: (hashlib.sha256(f"{seed}:{patient}".encode()).digest(), patient))
    groups: dict[str, list[str]] = {}
    for patient in by_hash:
        groups.setdefault("" if strata is None else strata[patient], []).append(patient)
    alike: dict[int, list[list[str]]] = {}
    for group in groups.values():
        alike.setdefault(len(group), []).append(group)
    place = {
        patient: (rank + (number + 0.5) / len(same)) / size
        for size, same in alike.items()
        for number, group in enumerate(same)
        for rank, patient in enumerate(group)
    }
    ranked = sorted(by_hash, key=place.__getitem__)
    first = _round(train * len(ranked))
    if train > 0:
        first = max(first, 1)
    second = max(first, _round((train + validation) * len(ranked)))
    return {patient: "train" if rank < first else "validation" if rank < second else "test" for rank, patient in enumerate(ranked)}


def patient_strata(images: pd.DataFrame) -> dict[str, str]:
    """Each patient's stratum: what is found in any of the images, as findings, density or label."""
    found: dict[str, set[str]] = {}
    for patient, *cells in images[["patient", "findings", "density", "label"]].itertuples(index=False):
        found.setdefault(patient, set()).update("|".join(cells).split("|"))
    return {patient: "|".join(sorted(names - {""})) for patient, names in found.items()}


def _round(value: float) -> int:
    """Half up; the small term undoes binary fractions such as .8 + .1 falling short of .9."""
    return math.floor(value + 0.5 + 1e-9)


def select_images(table: pd.DataFrame, *, split: Literal["all", "train", "validation", "test"], maximum: int | None, seed: int) -> pd.DataFrame:
    """Rows of a cohort table that are in `split`; where there are more than `maximum`, so many at random, in the table's order.

    Raises:
        LookalikeError: no image is left.
    """
    chosen = table if split == "all" else table[table["split"] == split]
    if chosen.empty:
        raise LookalikeError(
            f"No real image is in the split `{split}`",
            "config key measures.reals",
            "Choose another split, or `all`, or give that split more patients.",
        )
    if maximum is not None and len(chosen) > maximum:
        chosen = chosen.iloc[np.sort(np.random.default_rng([seed]).permutation(len(chosen))[:maximum])]
    return chosen.reset_index(drop=True)
