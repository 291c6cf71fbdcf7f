"""What a reader study of the planned size can prove, and how large it would have to be."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from lookalike.readers.equivalence import power_difference, power_tost, sample_size
from lookalike.readers.study import Protocol
from lookalike.readers.yes_no import CHANCE
from lookalike.statistics import clopper_pearson_interval

LOG = logging.getLogger("lookalike")
CORRELATIONS = (0.0, 0.02)
"""Of two answers of one reader (intraclass): 0 = answers are independent; .02 = readers' true shares right scatter by .07 around one half."""
POWER = 0.8
ARTEFACTS = 0.1
"""Share of images with artefacts at which the precision of that protocol is given."""


def plan(protocol: Protocol, *, questions: int, readers: int, margins: Sequence[float]) -> pd.DataFrame:
    """Power of the planned study, which is logged too.

    Answers of one reader are alike: n of them are worth n / design effect independent ones, the design effect being 1 + (questions - 1) correlation (Kish 1965). Power is
    that of the exact tests on so many independent answers.

    Args:
        protocol: of the study.
        questions: that a reader answers, without the warm-up.
        readers: how many are planned.
        margins: of the equivalence tests.

    Returns:
        A row a test, margin and correlation: test (equivalence: the share right is within the margin of one half, when it is one half; difference: it is not one half, when
        it is the margin away), margin, true, readers, questions, n (answers), correlation, design_effect, n_effective, power, n_needed and readers_needed for a power of
        POWER (of equivalence). Of the protocol artefacts, which has no one half, one row precision: margin is half the exact 95 % interval of the share of images with artefacts,
        of one reader who finds ARTEFACTS of them.
    """
    if protocol == "artefacts":
        low, high = clopper_pearson_interval(round(ARTEFACTS * questions), questions)
        LOG.info(
            "A reader who finds artefacts in %.0f %% of %d images knows that share to within %.1f points",
            100 * ARTEFACTS,
            questions,
            50 * (high - low),
        )
        precision = {"test": "precision", "margin": (high - low) / 2, "true": ARTEFACTS, "readers": 1, "questions": questions, "n": questions}
        return pd.DataFrame([precision], columns=COLUMNS)
    rows = [
        _row(test, margin, correlation, questions=questions, readers=readers)
        for test in ("equivalence", "difference")
        for margin in margins
        for correlation in CORRELATIONS
    ]
    for row in rows:
        if row["test"] == "equivalence":
            LOG.info(
                "%d readers with %d questions prove guessing within %g points with a power of %.2f, if answers of a reader correlate by %g; "
                "a power of %g takes %d readers",
                readers, questions, 100 * row["margin"], row["power"], row["correlation"], POWER, row["readers_needed"],
            )  # fmt: skip
    return pd.DataFrame(rows, columns=COLUMNS)


COLUMNS = [
    "test",
    "margin",
    "true",
    "readers",
    "questions",
    "n",
    "correlation",
    "design_effect",
    "n_effective",
    "power",
    "n_needed",
    "readers_needed",
]


def _row(test: str, margin: float, correlation: float, *, questions: int, readers: int) -> dict[str, Any]:
    design_effect = 1 + (questions - 1) * correlation
    n = readers * questions
    effective = math.floor(n / design_effect)
    row: dict[str, Any] = {
        "test": test, "margin": margin, "readers": readers, "questions": questions, "n": n,
        "correlation": correlation, "design_effect": design_effect, "n_effective": effective,
    }  # fmt: skip
    if test == "difference":
        return {**row, "true": CHANCE + margin, "power": power_difference(effective, CHANCE + margin)}
    needed = math.ceil(sample_size(margin, power=POWER) * design_effect)
    return {**row, "true": CHANCE, "power": power_tost(effective, margin), "n_needed": needed, "readers_needed": math.ceil(needed / questions)}
