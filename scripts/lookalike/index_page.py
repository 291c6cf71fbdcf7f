"""results/index.html: one page, whole in itself, that a person reads first and can send to a co-author.

The answer stands on top, computed from the measures; then every item of each paper beside its printed value; then the cohorts, the training and where it all
comes from. Pictures are embedded; nothing is fetched, and no script runs.
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
from lookalike.readers.analysis import verdicts
from lookalike.tables import Table, html, interval, number

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
    "dumont2021_figure1": "From the files found to the AUC gaps, with the counts of what ran. Orange: real images; blue: synthetic ones.",
    "dumont2021_figure2": "Orange: classifiers that learnt from real images; bars: from synthetic ones, from chance (0.5) upwards. Thick whiskers and band: standard "
    "deviation over seeds; thin whiskers: patient-clustered 95 % interval of the gap, hung from the orange line.",
    "dumont2021_figure3": "Runs with the most and the fewest classes, or images a class. Box: quartiles; whiskers: 1.5 interquartile ranges; points: runs; a square: a single run.",
    "dumont2021_figure4": "Synthetic images, not selected, above the real training images that are nearest to them in the real-trained classifier's features.",
    "dumont2021_figure5": "Of the label that a classifier loses most on by learning from synthetic images, the synthetic images whose moments lie farthest from the real ones', "
    "above their nearest real training images. Under each: the moment, and how many standard deviations of the real images it is off.",
    "dumont2021_figure6": "Real test images, and how much the loss of a classifier grows where a patch is hidden, by what it learnt from. Each map has its own scale.",
    "dumont2021_figure7": "As Figure 6, with every generator.",
    "haarburger2019_figure1": "The seven channels of one real patch of a malignant lesion.",
    **{
        f"haarburger2019_figure{figure}": "Synthetic T1 patches before contrast, not selected, on one grey scale; above the picture, of which class and generator."
        for figure in (2, 3)
    },
    **{
        f"haarburger2019_figure{figure}": "Synthetic patches, not selected; above the picture, of which class and generator. Above: T2 and T1 before and after contrast; below: each T1 after contrast "
        "less that before, mid-grey where nothing changes."
        for figure in (4, 5)
    },
    "figure4": "The page as a reader sees it, running on this study's images.",
    "figure7": "Attempts by number of right answers, beside what guessing gives; and the share of right answers by group.",
    "haarburger2019_enhancement": "How T1 brightens over time by class, real and synthetic, and how much at first and at the end. Bands and whiskers: 95 % intervals.",
}
"""Caption of an item, by its id or else by the name of its picture."""
NO_MERIT = (
    "A ratio above 1 is no merit: few images that differ much have broad kernels, and broad kernels cover much. Read label MI and Figure 3 beside it."
)
FEW = 100
"""Below so many synthetic images, coverage can flatter."""
TITLES = {
    "spectrum": "Power spectrum: the texture that moments cannot see",
    "haarburger2019_enhancement": "Beyond H19: enhancement over time",
}
"""Titles of items that the papers do not have."""


class Item(TypedDict):
    """A table or figure to show."""

    id: str
    """The item's name in the comparison, or any other."""
    section: Literal["korkinof2021", "dumont2021", "haarburger2019", "cohort", "training", "other"]
    title: NotRequired[str]
    """By default that of the printed values."""
    caption: NotRequired[str]
    picture: NotRequired[Path]
    """PNG to embed."""
    table: NotRequired[Path | Table]
    """A table, or the HTML fragment that `tables.write` made of one."""
    files: NotRequired[Sequence[str]]
    """Files to name below."""


class Paper(TypedDict):
    """A paper, and what of ours is held against it."""

    published: Published
    status: Literal["demo", "study"]
    label: str
    """The line that all files carry about the data behind them."""
    subject: str
    """What is held against its printed values, in words."""
    remark: str
    """What a reader must know of all its items, or ""."""


class Overview(TypedDict):
    """What the page says around its items."""

    papers: Sequence[Paper]
    title: str
    measures: pd.DataFrame
    """All comparison tables of K21's set, one below the other; none: no rows."""
    gaps: pd.DataFrame
    """Mean AUC gaps: name, value, low, high, ceiling, ceiling_low, ceiling_high; none: no rows."""
    kinetics: pd.DataFrame
    """AUC of H19's enhancement curves, with the same columns; none: no rows."""
    readers: Mapping[str, pd.DataFrame]
    """Results of reader studies (`readers.analysis.analyse`), by name."""
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
    trainings: bool = False
    """The ceiling is two trainings on the same images, not two halves of the patients."""


def write_index(items: Sequence[Item], comparison: pd.DataFrame, overview: Overview, output: Path) -> None:
    """Write the page.

    Args:
        items: what to show, in order.
        comparison: as `published.compare` gives it.
        overview: everything else.
        output: the HTML file.
    """
    papers = [{**paper, **_paper(paper["published"], items, comparison)} for paper in overview["papers"]]
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    shown = [item for paper in papers for item in paper["items"]]
    shown += [_shown(item, TITLES, {}, comparison.iloc[:0]) for item in items if item["section"] in ("cohort", "training", "other")]
    labels = list(dict.fromkeys(paper["label"] for paper in overview["papers"] if paper["label"]))
    page = environment.get_template("index_page.html.jinja").render(
        overview=overview,
        label="; ".join(labels),
        papers=papers,
        cards=answer(
            overview["measures"],
            definitions=overview["definitions"],
            gaps=overview["gaps"],
            kinetics=overview["kinetics"],
            readers=overview["readers"],
        ),
        sections={section: [item for item in shown if item["section"] == section] for section in ("other", "cohort", "training")},
        no_merit=NO_MERIT,
    )
    with atomic(output) as path:
        path.write_text(page, encoding="utf-8")


def _paper(printed: Published, items: Sequence[Item], comparison: pd.DataFrame) -> dict[str, Any]:
    """A paper's items beside its printed values, the items that are no part of this run, its checks, and how many rows have which status."""
    rows = comparison[comparison["paper"] == printed.paper]
    # read from a file, a column with empty cells may hold text
    numbers = {name: pd.to_numeric(rows[name]) for name in NUMBERS}
    units = {name: item.unit for name, item in printed.items.items()}
    rows = rows.assign(**numbers, decimals=[printed.decimals(name) for name in rows["id"]], unit=rows["item"].map(units))
    titles = TITLES | {name: item.title for name, item in printed.items.items()}
    notes = {name: item.note for name, item in printed.items.items()}
    own = [item for item in items if item["section"] == printed.section]
    named = {item["id"] for item in own}
    absent = [
        {
            "title": titles.get(str(name), str(name)),
            "values": int(part["published"].notna().sum()),
            "reason": _common(part["reason"]) or "see the full comparison",
        }
        for name, part in rows.groupby("item", sort=False)
        if name not in named and name != CHECKS
    ]
    counts = {str(status): int(count) for status, count in rows["status"].value_counts().items()}
    return {
        "items": [_shown(item, titles, notes, rows) for item in own],
        "absent": absent,
        "checks": _rows(rows[rows["item"] == CHECKS]),
        "everything": _rows(rows),
        "counts": [(status, counts[status]) for status in (*STATUSES, *CHECK_STATUSES) if status in counts],
    }


def answer(
    measures: pd.DataFrame, *, definitions: Mapping[str, str], gaps: pd.DataFrame, kinetics: pd.DataFrame, readers: Mapping[str, pd.DataFrame]
) -> list[Card]:
    """The answer in parts (moments together, moments alone, texture, what a classifier learns, contrast enhancement, readers), each computed from rows of the
    measures, from the AUC gaps, from the AUC of enhancement curves, or from results of reader studies; parts without rows are left out."""
    pairs, mean = (_select(measures, measure, definitions["coverage"]) for measure in ("coverage", "coverage_mean"))
    label_mi, spectrum = _select(measures, "label_mi", "clipped"), _select(measures, "spectrum", "log10_power_ratio")
    cards = [_coverage(pairs, mean.iloc[0])] if len(mean) else []
    gaps = gaps.dropna(subset="value").reset_index(drop=True)
    kinetics = kinetics.dropna(subset="value").reset_index(drop=True)
    parts = ((_label_mi, label_mi), (_spectrum, spectrum), (_gaps, gaps), (_kinetics, kinetics))
    return cards + [part(rows) for part, rows in parts if len(rows)] + ([_readers(readers)] if readers else [])


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


def _gaps(rows: pd.DataFrame) -> Card:
    worst, best = rows.iloc[int(rows["value"].to_numpy().argmax())], rows.iloc[int(rows["value"].to_numpy().argmin())]
    span = 1.05 * max(_largest(rows, "value", "low", "high", "ceiling", "ceiling_low", "ceiling_high"), 0.02)
    several = len(rows) > 1
    return Card(
        title="What is a classifier trained on synthetic images worth?",
        figure=" to ".join(dict.fromkeys(number(row["value"], 2) for row in (best, worst))) if several else number(worst["value"], 3),
        unit="of AUC lost on real test images by learning from synthetic instead of real ones"
        + (f", by data set and generator ({len(rows)} of them)" if several else ""),
        sentences=(
            _sentence(
                f"{'Most' if several else 'That'} is {worst['name']}, with the 95 % interval {{}}; 0.5 is chance, so nothing at all learnt would cost the whole AUC above it.",
                interval(worst["low"], worst["high"], 3),
            ),
            _sentence(
                "Two classifiers that learnt from the same real images with different seeds differ by {} {} there: here that is the ceiling.",
                number(worst["ceiling"], 3),
                interval(worst["ceiling_low"], worst["ceiling_high"], 3),
            ),
        ),
        marks=_marks(
            rows.assign(matched=rows["value"], matched_low=rows["low"], matched_high=rows["high"]), -span, span, list(rows["name"]), decimals=3
        ),
        ends=(number(-span, 2), number(span, 2)),
        better="0 loses nothing; right is worse",
        trainings=True,
    )


def _kinetics(rows: pd.DataFrame) -> Card:
    real = rows.iloc[0]
    return Card(
        title="Do generated lesions take up contrast as their class does?",
        figure=" to ".join(dict.fromkeys(number(value, 2) for value in (rows["value"].min(), rows["value"].max()))),
        unit="AUC of malignant against benign, by enhancement curves as real training patches teach to read them; 0.5 is chance",
        sentences=(
            "; ".join(f"{row['name']}: {number(row['value'], 2)} {interval(row['low'], row['high'], 2)}" for row in rows.to_dict("records")) + ".",
            _sentence("Real patches of other patients: {} {}.", number(real["ceiling"], 2), interval(real["ceiling_low"], real["ceiling_high"], 2)),
        ),
        marks=(),
        ends=("", ""),
        better="",
    )


def _readers(studies: Mapping[str, pd.DataFrame]) -> Card:
    everyone = pd.concat([results.assign(study=name) for name, results in studies.items()])
    rights = everyone[(everyone["measure"] == "accuracy") & (everyone["definition"] == "exact") & (everyone["group"] == "all")]
    shares = rights if len(rights) else everyone[(everyone["measure"] == "artefact_share") & (everyone["group"] == "all")]
    ends = shares["value"].min(), shares["value"].max()
    return Card(
        title="Do readers tell them apart?",
        figure=" to ".join(dict.fromkeys(f"{100 * value:.0f} %" for value in ends)),
        unit="of answers right; 50 % is guessing" if len(rights) else "of synthetic images with an obvious artefact",
        sentences=tuple(f"{name.replace('_', ' ')}: {' '.join(verdicts(results)[:2])}" for name, results in studies.items()),
        marks=(),
        ends=("", ""),
        better="",
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
        "table": Markup(_fragment(item["table"])) if "table" in item else "",
        "files": list(item.get("files", ())),
        "rows": _rows(rows),
        "reason": _common(comparison.loc[comparison["item"] == item["id"], "reason"]),
        "statuses": statuses,
    }


def _fragment(table: Path | Table) -> str:
    return table.read_text(encoding="utf-8") if isinstance(table, Path) else html(table, label="")


def _rows(comparison: pd.DataFrame) -> list[dict[str, str]]:
    rows = []
    for row in comparison.to_dict("records"):
        # counts are whole on both sides
        counts = float(row["published"]).is_integer() and float(row["ours"]).is_integer()
        decimals = 0 if counts else int(row["decimals"])
        # a demo's thousands would be 0 million
        thousands = row["unit"] == "millions of images" and row["ours"] < 0.1
        rows.append(
            {
                "item": row["item"],
                "cell": row["cell"],
                "printed": number(row["published"], decimals),
                "ours": f"{number(1000 * row['ours'], 0)} thousand" if thousands else number(row["ours"], decimals),
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
