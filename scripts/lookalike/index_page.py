"""results/index.html: one page, whole in itself, that a person reads first and can send to a co-author.

The answer stands on top, computed from the measures; then every paper item beside its printed value; then the cohort, the training and where it all comes
from. Pictures are embedded; nothing is fetched, and no script runs.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from lookalike.files import atomic
from lookalike.published import CHECK_STATUSES, CHECKS, NUMBERS, STATUSES, Published
from lookalike.tables import interval, number

MOMENTS = {"M1": "mean", "M2": "variance", "M3": "skewness", "M4": "kurtosis", "M5": "hyperskewness"}
CAPTIONS = {
    "figure1": "Every layer of both networks as trained: a slab is a layer, its height grows with the logarithm of the image size.",
    "figure2": "Synthetic images at every stage of the training above real images at the same level of detail, all at one physical size.",
    "figure3": "Every image is a point. Orange circles: real; blue triangles: synthetic. On the diagonal, the density of each moment.",
    "figure5": "The longer side of the images of published generators, and of this run.",
    "figure6": "Density of pairs of moments. Dashed: the edge of each set's support. Above each panel: the share of the real support that synthetic images cover.",
    "spectrum": "Power at every spatial frequency. The moments of the other items cannot see texture; this can. Shaded: halves of the real patients.",
    "flow": "Every file found, and why it left. Rules apply from top to bottom; the first that fits gives the reason.",
    "curves": "Over the number of real images shown; grey where the newest layers fade in.",
    "grid": "Images from the averaged generator at the end of the stage.",
}
"""Caption of an item, by its id or else by the name of its picture."""
NO_MERIT = (
    "A ratio above 1 is no merit: few images that differ much have broad kernels, and broad kernels cover much. Read label MI and Figure 3 beside it."
)
FEW = 100
"""Below so many synthetic images, coverage can flatter."""
TITLES = {"spectrum": "Power spectrum: the texture that moments cannot see"}
"""Titles of items that the paper does not have."""


class Item(TypedDict):
    """A table or figure to show."""

    id: str
    """The item's name in the comparison, or any other."""
    section: Literal["paper", "cohort", "training", "other"]
    title: NotRequired[str]
    """By default that of the printed values."""
    caption: NotRequired[str]
    picture: NotRequired[Path]
    """PNG to embed."""
    table: NotRequired[Path]
    """HTML fragment made by `tables.write`."""
    files: NotRequired[Sequence[str]]
    """Files to name below."""


class Overview(TypedDict):
    """What the page says around its items."""

    status: Literal["demo", "study"]
    label: str
    """The line that all files carry about the data behind them."""
    synthetic: str
    real: str
    published: Published
    measures: pd.DataFrame
    """All comparison tables of the set, one below the other."""
    definitions: Mapping[str, str]
    """Definition of coverage to speak of."""
    cohort: Mapping[str, str]
    """Facts, name to text."""
    training: Mapping[str, str]
    settings: Mapping[str, str]
    """Versions, seeds, hardware: name to text."""
    provenance: Sequence[Mapping[str, Any]]
    """Provenance records (`provenance.record`), each with the `file` that it lies beside."""


@dataclass(frozen=True)
class Mark:
    """A line of a dumbbell chart, in parts of the axis from 0 to 1: synthetic against real, and real against real, at one number of images."""

    name: str
    at: float
    low: float
    high: float
    ceiling: float
    ceiling_low: float
    ceiling_high: float
    text: str


@dataclass(frozen=True)
class Card:
    """One part of the answer."""

    title: str
    figure: str
    unit: str
    sentences: tuple[str, ...]
    marks: tuple[Mark, ...]
    ends: tuple[str, str]
    better: str


def write_index(items: Sequence[Item], comparison: pd.DataFrame, overview: Overview, output: Path) -> None:
    """Write the page.

    Args:
        items: what to show, in order.
        comparison: as `published.compare` gives it.
        overview: everything else.
        output: the HTML file.
    """
    printed = overview["published"]
    # read from a file, a column with empty cells may hold text
    numbers = {name: pd.to_numeric(comparison[name]) for name in NUMBERS}
    comparison = comparison.assign(**numbers, decimals=[printed.decimals(name) for name in comparison["id"]])
    titles = TITLES | {name: item.title for name, item in printed.items.items()}
    notes = {name: item.note for name, item in printed.items.items()}
    shown = [_shown(item, titles, notes, comparison) for item in items]
    named = {item["id"] for item in items}
    absent = [
        {
            "title": titles.get(str(name), str(name)),
            "values": int(rows["published"].notna().sum()),
            "reason": _common(rows["reason"]) or "see the full comparison",
        }
        for name, rows in comparison.groupby("item", sort=False)
        if name not in named and name != CHECKS
    ]
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    counts = {str(status): int(count) for status, count in comparison["status"].value_counts().items()}
    page = environment.get_template("index_page.html.jinja").render(
        overview=overview,
        cards=answer(overview["measures"], definitions=overview["definitions"]),
        sections={section: [item for item in shown if item["section"] == section] for section in ("paper", "other", "cohort", "training")},
        absent=absent,
        checks=_rows(comparison[comparison["item"] == CHECKS]),
        everything=_rows(comparison),
        no_merit=NO_MERIT,
        counts=[(status, counts[status]) for status in (*STATUSES, *CHECK_STATUSES) if status in counts],
    )
    with atomic(output) as path:
        path.write_text(page, encoding="utf-8")


def answer(measures: pd.DataFrame, *, definitions: Mapping[str, str]) -> list[Card]:
    """The answer in three parts (moments together, moments alone, texture), each computed from rows of the measures; parts without rows are left out."""
    pairs, mean = (_select(measures, measure, definitions["coverage"]) for measure in ("coverage", "coverage_mean"))
    label_mi, spectrum = _select(measures, "label_mi", "clipped"), _select(measures, "spectrum", "log10_power_ratio")
    cards = [_coverage(pairs, mean.iloc[0])] if len(mean) else []
    return cards + [part(rows) for part, rows in ((_label_mi, label_mi), (_spectrum, spectrum)) if len(rows)]


def _select(measures: pd.DataFrame, measure: str, definition: str) -> pd.DataFrame:
    return measures[(measures["measure"] == measure) & (measures["definition"] == definition)].dropna(subset="value").reset_index(drop=True)


def _coverage(rows: pd.DataFrame, mean: pd.Series) -> Card:
    worst = rows.iloc[int(rows["value"].to_numpy().argmin())]
    pair = f"{MOMENTS[worst['first']]} and {MOMENTS[worst['second']]}"
    reaching = int((rows["matched_high"] >= rows["ceiling_low"]).sum())
    return Card(
        title="Do synthetic images reach where real ones are?",
        figure=f"{100 * mean['value']:.0f} %",
        unit=f"of the real images' support covered, mean of {len(rows)} pairs of moments",
        sentences=(
            f"Lowest: {pair}, {number(worst['value'], 2)}.",
            _sentence("The mean's 95 % interval is {}.", interval(mean["low"], mean["high"], 2)),
            _sentence(
                "At equal numbers of images: {} {}, where one half of the real patients covers the other by {} {}, so {} of the ceiling; "
                f"the two ranges meet in {reaching} of {len(rows)} pairs.",
                number(mean["matched"], 2),
                interval(mean["matched_low"], mean["matched_high"], 2),
                number(mean["ceiling"], 2),
                interval(mean["ceiling_low"], mean["ceiling_high"], 2),
                "" if math.isnan(mean["ratio"]) else f"{100 * mean['ratio']:.0f} %",
            ),
            *([NO_MERIT] if mean["ratio"] > 1 or mean["n_synthetic"] < FEW else []),
        ),
        marks=_marks(rows, 0.0, 1.0, [f"{row['first']} {row['second']}" for row in rows.to_dict("records")], decimals=2),
        ends=("0", "1"),
        better="further right is better",
    )


def _label_mi(rows: pd.DataFrame) -> Card:
    worst = rows.iloc[int(rows["value"].to_numpy().argmax())]
    limit = max(math.ceil(100 * _largest(rows, "value", "matched", "matched_high", "ceiling", "ceiling_high")) / 100, 0.01)
    return Card(
        title="Does a single moment give them away?",
        figure=f"{number(worst['value'], 3)} nats",
        unit=f"of at most 0.693, by {MOMENTS[worst['first']]}, the most telling of {len(rows)} moments",
        sentences=(
            _sentence(
                "Its 95 % interval is {}; 0 means that the moment says nothing about where an image comes from.",
                interval(worst["low"], worst["high"], 3),
            ),
            _sentence(
                "At equal numbers of images: {}, where two halves of the real patients give {}.",
                number(worst["matched"], 3),
                number(worst["ceiling"], 3),
            ),
        ),
        marks=_marks(rows, 0.0, limit, [MOMENTS[first] for first in rows["first"]], decimals=3),
        ends=("0", f"{limit:g}"),
        better="further left is better",
    )


def _spectrum(rows: pd.DataFrame) -> Card:
    finest = rows.iloc[-1]
    span = 1.05 * max(_largest(rows, "value", "matched_low", "matched_high", "ceiling_low", "ceiling_high"), 0.1)
    halves = 10 ** max(abs(finest["ceiling_low"]), abs(finest["ceiling_high"]))
    return Card(
        title="Is the texture right?",
        figure=f"× {number(10 ** finest['value'], 2)}",
        unit=f"power in the {finest['first']} band of spatial frequencies, synthetic over real",
        sentences=(
            _sentence(
                "Its 95 % interval is {}; 1 means as much fine detail as in real images, less means smoother.",
                interval(10 ** finest["low"], 10 ** finest["high"], 2),
            ),
            _sentence("Halves of the real patients differ by a factor of up to {} there.", number(halves, 2)),
        ),
        marks=_marks(rows, -span, span, list(rows["first"]), decimals=2),
        ends=(f"× {10**-span:.2g}", f"× {10**span:.2g}"),
        better="the middle is best",
    )


def _sentence(text: str, *numbers: str) -> str:
    """The sentence with its numbers, or that they are missing: an answer without spread and ceiling must say so."""
    return text.format(*numbers) if all(numbers) else "Too few patients for an interval or a ceiling."


def _largest(rows: pd.DataFrame, *columns: str) -> float:
    """Largest absolute value in the columns that is a number; `value` always is."""
    return float(np.nanmax(rows[list(columns)].abs().to_numpy()))


def _marks(rows: pd.DataFrame, low: float, high: float, names: Sequence[str], *, decimals: int) -> tuple[Mark, ...]:
    def part(value: float) -> float:
        return min(max((value - low) / (high - low), 0.0), 1.0)

    marks = []
    for name, row in zip(names, rows.to_dict("records"), strict=True):
        if any(math.isnan(row[key]) for key in ("matched", "matched_low", "matched_high", "ceiling", "ceiling_low", "ceiling_high")):
            continue
        places = {key: part(row[key]) for key in ("ceiling", "ceiling_low", "ceiling_high")}
        text = f"{name}: {number(row['matched'], decimals)} against {number(row['ceiling'], decimals)}"
        marks.append(Mark(name=name, at=part(row["matched"]), low=part(row["matched_low"]), high=part(row["matched_high"]), text=text, **places))
    return tuple(marks)


def _shown(item: Item, titles: Mapping[str, str], notes: Mapping[str, str], comparison: pd.DataFrame) -> dict[str, Any]:
    rows = comparison[(comparison["item"] == item["id"]) & comparison["published"].notna()]
    statuses = list(dict.fromkeys(comparison.loc[comparison["item"] == item["id"], "status"]))
    return {
        "id": item["id"],
        "section": item["section"],
        "title": item.get("title") or titles.get(item["id"], item["id"]),
        "caption": item.get("caption", CAPTIONS.get(item["id"], CAPTIONS.get(item["picture"].stem, "") if "picture" in item else "")),
        "note": notes.get(item["id"], ""),
        "picture": base64.b64encode(item["picture"].read_bytes()).decode() if "picture" in item else "",
        # our own tables escape what they hold
        "table": Markup(item["table"].read_text(encoding="utf-8")) if "table" in item else "",
        "files": list(item.get("files", ())),
        "rows": _rows(rows),
        "reason": _common(comparison.loc[comparison["item"] == item["id"], "reason"]),
        "statuses": statuses,
    }


def _rows(comparison: pd.DataFrame) -> list[dict[str, str]]:
    rows = []
    for row in comparison.to_dict("records"):
        # counts are whole on both sides
        counts = float(row["published"]).is_integer() and float(row["ours"]).is_integer()
        decimals = 0 if counts else int(row["decimals"])
        rows.append(
            {
                "item": row["item"],
                "cell": row["cell"],
                "printed": number(row["published"], decimals),
                "ours": number(row["ours"], decimals),
                "interval": interval(row["low"], row["high"], decimals),
                "matched": number(row["matched"], decimals),
                "ceiling": number(row["ceiling"], decimals),
                "status": row["status"],
                "reason": row["reason"],
            }
        )
    return rows


def _common(reasons: pd.Series) -> str:
    """The reason that all rows share, or ""."""
    return str(reasons.iloc[0]) if reasons.nunique() == 1 else ""
