"""Flow of images from the files found to the cohort kept; every box reconciles with its neighbours."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pandas as pd

from lookalike.config import PIXEL_RULES, HeaderRule
from lookalike.errors import LookalikeError
from lookalike.figures import style
from lookalike.figures.boxes import LINE, arrow, box

# All in mm.
_WIDTH = 120.0
_PAD = 1.8
_GAP = 2.5
_MAIN_WIDTH = 38.0
_MAIN_HEIGHT = 2 * LINE + 2 * _PAD
_SIDE_X = 54.0


_KINDS: dict[str, str] = {
    **{rule: "Excluded by header" for rule in get_args(HeaderRule)},
    **{rule: "Excluded after decoding" for rule in PIXEL_RULES},
}
_QUARANTINED = "Quarantined"


def draw(flow: pd.DataFrame, output_stem: Path, *, quarantined: int, label: str) -> None:
    """Draw the flow diagram.

    Neighbouring rules of one kind (quarantine, header rules, rules after decoding) share a side box. Rules that removed nothing are only listed in the source CSV.

    Args:
        flow: as `cohort.ledger.flow_counts` gives it: a row a rule in the order of application, columns step, rule, removed and remaining (images left after
            the rule); the first row is all files found.
        output_stem: path without suffix.
        quarantined: files quarantined, counted in the ledger; the flow must say the same.
        label: see `style.save`.

    Raises:
        LookalikeError: the numbers do not add up.
    """
    _check(flow, quarantined)
    noun = "Files" if "no_phase" in set(flow["rule"]) else "Images"  # where images are patches of exams, a file is none
    # Main boxes from top to bottom, and the side box that leaves below each.
    boxes = [("Files found", int(flow["remaining"].iloc[0]))]
    sides: list[list[str]] = []
    active = flow.iloc[1:][flow["removed"].iloc[1:] > 0]
    kinds = active["rule"].map(_KINDS).fillna(_QUARANTINED)
    for _, rows in active.groupby((kinds != kinds.shift()).cumsum(), sort=False):
        sides.append(
            [f"{kinds[rows.index[0]]}: {rows['removed'].sum():,}", *(f"   {_words(row.rule)}: {row.removed:,}" for row in rows.itertuples())]
        )
        boxes.append((f"{noun} left", int(rows["remaining"].iloc[-1])))
    boxes[-1] = (f"{noun} kept", boxes[-1][1])

    side_heights = [len(lines) * LINE + 2 * _PAD for lines in sides]
    height = _MAIN_HEIGHT * len(boxes) + sum(side_heights) + 2 * _GAP * len(sides) + 4
    with style.diagram(_WIDTH, height, label=label) as (fig, axes):
        y = 2.0
        for position, (title, count) in enumerate(boxes):
            last = position == len(boxes) - 1
            box(axes, (2, y), (_MAIN_WIDTH, _MAIN_HEIGHT), [title, f"n = {count:,}"], bold=True, emphasis=last)
            y += _MAIN_HEIGHT
            if last:
                break
            side = side_heights[position]
            middle = y + _GAP + side / 2
            following = y + side + 2 * _GAP
            arrow(axes, (2 + _MAIN_WIDTH / 2, y), (2 + _MAIN_WIDTH / 2, following))
            arrow(axes, (2 + _MAIN_WIDTH / 2, middle), (_SIDE_X, middle))
            dashed = sides[position][0].startswith(_QUARANTINED)
            box(axes, (_SIDE_X, y + _GAP), (_WIDTH - _SIDE_X - 2, side), sides[position], dashed=dashed)
            y = following
        style.save(fig, output_stem, flow, label=label)


def _check(flow: pd.DataFrame, quarantined: int) -> None:
    expected = flow["remaining"].shift(1) - flow["removed"]
    wrong = flow.iloc[1:][expected.iloc[1:] != flow["remaining"].iloc[1:]]
    if len(wrong):
        row = wrong.iloc[0]
        raise LookalikeError(
            "The cohort flow does not reconcile",
            f"rule {row['rule']}: removed {row['removed']}, remaining {row['remaining']}",
            "Make the flow table again from the ledger: each row's remaining is the former row's less what it removed.",
        )
    rules = flow.iloc[1:]
    counted = int(rules.loc[~rules["rule"].isin(_KINDS), "removed"].sum())
    if counted != quarantined:
        raise LookalikeError(
            f"The cohort flow counts {counted} quarantined files, the ledger {quarantined}",
            "flow and ledger",
            "Make both again: select the cohort anew.",
        )


def _words(name: object) -> str:
    return str(name).replace("_", " ")
