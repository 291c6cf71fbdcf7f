"""Tables of the papers: full precision in CSV, the same numbers with units and rounding in LaTeX, HTML and Markdown.

A printed number never stands alone: below each value stand its 95 % interval, the ceiling (the same measure between patient-disjoint halves of the real
images) and the measure at the ceiling's number of images, which alone can be held against it. Rounding happens here; no rounded number is read back.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from markupsafe import Markup, escape

from lookalike.errors import LookalikeError
from lookalike.files import atomic
from lookalike.measures.moments import MOMENTS
from lookalike.published import Published, reader_answers
from lookalike.readers.yes_no import CHANCE, measure_answers, share_right
from lookalike.utility.benchmark import DISTANCES
from lookalike.utility.patches import with_spread

STATISTICS = ("value", "low", "high", "matched", "matched_low", "matched_high", "ceiling", "ceiling_low", "ceiling_high")
LINES = {"value": "", "interval": "95 % interval", "matched": "matched", "ceiling": "ceiling"}
"""Printed lines of a row and what stands before them."""
MOMENT_NOTE = "M1 mean, M2 variance, M3 skewness, M4 kurtosis, M5 hyperskewness."
CEILING_NOTE = (
    "95 % interval: patient-clustered resampling. Ceiling: the same measure between random patient-disjoint halves of the real images, median and range of 95 % of "
    "the splits. Matched: synthetic images against one half, as many as the other half has; compare the ceiling with this line, not with the value of all images."
)
RECONSTRUCTION_NOTE = "K21 does not print the definition behind its Table 1. {definition} is our reconstruction, so these values are not comparable with the printed ones."


@dataclass(frozen=True)
class Table:
    """A table ready to be written."""

    frame: pd.DataFrame
    """Full precision: rows indexed by (row, statistic) with the STATISTICS of each row in order (of counts only `value`); NaN where the layout leaves a cell empty."""
    decimals: Mapping[str, int]
    """Printed decimals of each row."""
    caption: str
    notes: tuple[str, ...]
    bounds: frozenset[str] = frozenset()
    """Rows of P values, printed as upper bounds where `low` is 0 (no permutation reached them) or where rounding would make them 0."""


def korkinof2021_table1(pair_mi: pd.DataFrame, *, definition: str) -> Table:
    """Agreement of the joint densities of moment pairs, in K21's upper triangular layout.

    Args:
        pair_mi: rows of the comparison with columns measure (`pair_mi`), definition, first, second and the STATISTICS.
        definition: the definition to show.

    Raises:
        LookalikeError: a pair is missing or twice there.
    """
    rows = pair_mi[(pair_mi["measure"] == "pair_mi") & (pair_mi["definition"] == definition)]
    cells = {(first, second): _one(rows, first=first, second=second) for place, first in enumerate(MOMENTS) for second in MOMENTS[place:]}
    return Table(
        frame=_frame(MOMENTS, MOMENTS, cells),
        decimals=dict.fromkeys(MOMENTS, 3),
        caption=f"Agreement of real and synthetic joint densities of moment pairs ({definition}; higher is better), in the layout of K21, Table 1.",
        notes=(RECONSTRUCTION_NOTE.format(definition=definition), MOMENT_NOTE, CEILING_NOTE),
    )


LABEL_MI_ROWS = {
    "clipped": ("Mutual information (nats)", 4),
    "neighbours_digamma": ("Neighbours, digamma mean", 2),
    "neighbours_arithmetic": ("Neighbours, arithmetic mean", 2),
    "unclipped": ("Mutual information, not clipped (nats)", 4),
    "p": ("Permutation P", 3),
}
"""Definition to printed name and decimals, in the order of the table; the first two rows are K21's."""


def korkinof2021_table2(label_mi: pd.DataFrame) -> Table:
    """Mutual information between each moment and the label real/synthetic, with what K21's clipped value hides below it.

    Args:
        label_mi: rows of the comparison with columns measure (`label_mi`), definition (the keys of LABEL_MI_ROWS), first and the STATISTICS.

    Raises:
        LookalikeError: a definition of a moment is missing or twice there.
    """
    rows = label_mi[label_mi["measure"] == "label_mi"]
    cells = {(name, moment): _one(rows, definition=key, first=moment) for key, (name, _) in LABEL_MI_ROWS.items() for moment in MOMENTS}
    return Table(
        frame=_frame([name for name, _ in LABEL_MI_ROWS.values()], MOMENTS, cells),
        decimals=dict(LABEL_MI_ROWS.values()),
        caption="Mutual information between each moment and the label real or synthetic (lower is better; 0 to ln 2 = 0.693), in the layout of K21, Table 2.",
        notes=(
            "The digamma mean follows from the mutual information (K21's second row is no measurement of its own); the arithmetic mean is about six where both sets "
            "overlap. K21 prints mutual information clipped at 0. The interval of P is its Monte Carlo error; ≤ where no permutation reached the value.",
            "Classes have equally many images, as in K21: where the sets differ in size, values are medians over random subsamples of the larger set.",
            MOMENT_NOTE,
            CEILING_NOTE.replace("Ceiling:", "Ceiling (here a floor: less is better):"),
        ),
        bounds=frozenset({LABEL_MI_ROWS["p"][0]}),
    )


SETTING_COLUMNS = {
    "resolution": "side (px)",
    "labels": "labels",
    "classes": "classes",
    "train": "training",
    "validation": "validation",
    "test": "test",
    "smallest": "smallest class",
    "largest": "largest class",
}
"""Column of the settings to its printed name."""


def dumont2021_table1(settings: pd.DataFrame) -> Table:
    """The settings that were built, counted, in the layout of D21's Table 1.

    Args:
        settings: a row a setting: benchmark, setting and the keys of SETTING_COLUMNS.
    """
    names = [f"{row['benchmark']}, {row['setting'].replace('_', ' ')}" for row in settings.to_dict("records")]
    frame = settings[list(SETTING_COLUMNS)].rename(columns=SETTING_COLUMNS).astype(float)
    frame.index = pd.MultiIndex.from_product([names, ["value"]], names=["row", "statistic"])
    return Table(
        frame=frame,
        decimals=dict.fromkeys(names, 0),
        caption="Images of each setting, counted in the sets that were built, in the layout of D21, Table 1.",
        notes=(
            "A class is a combination of labels. Smallest and largest class: training images. D21 prints one number for validation and test.",
            "Where a setting of D21 was built with other numbers, results/comparison.csv says so.",
        ),
    )


SUMMARY_ROWS = {
    "mean_gap": ("AUC gap, mean", 4),
    "sd_gap": ("AUC gap, standard deviation", 4),
    "mean_auc_real": ("AUC, learnt from real images", 3),
    "mean_auc_synthetic": ("AUC, learnt from synthetic images", 3),
    "mean_delta_synthetic": ("AUC on synthetic less AUC on real images", 4),
    "classes": ("P, most v fewest classes", 4),
    "samples": ("P, most v fewest images a class", 4),
    "settings": ("Settings", 0),
    "runs": ("Runs", 0),
}
"""Measure of the study (of `gap_p`: its definition) to printed name and decimals."""


def dumont2021_summary(measures: pd.DataFrame, *, beginning: str) -> Table:
    """Mean AUC gap of each benchmark and generator with what belongs to it, and the tests of D21's text.

    Args:
        measures: as `utility.benchmark.study_measures` gives them.
        beginning: as `utility.benchmark.beginning` gives it.
    """
    own = measures[measures["measure"].isin({*SUMMARY_ROWS, *DISTANCES, "gap_p"})]
    printed = dict(SUMMARY_ROWS)
    for measure, definition in own.loc[own["measure"].isin(DISTANCES), ["measure", "definition"]].drop_duplicates().itertuples(index=False):
        setting, _, name = definition.partition("; ")
        name += ", extrapolated" * (measure == "frechet_extrapolated")
        printed[f"{measure} {definition}"] = f"{name}, {setting.replace('_', ' ')}", 3
    keys = own["measure"].where(~own["measure"].isin(DISTANCES), own["measure"] + " " + own["definition"])
    keys = keys.where(own["measure"] != "gap_p", own["definition"])
    columns = own["first"] + ", " + own["second"]
    statistics = own.reindex(columns=STATISTICS).astype(float)
    cells = {(printed[key][0], column): row for key, column, (_, row) in zip(keys, columns, statistics.iterrows(), strict=True)}
    kept = [printed[key] for key in printed if key in set(keys)]
    return Table(
        frame=_frame([name for name, _ in kept], list(dict.fromkeys(columns)), cells),
        decimals=dict(kept),
        caption="What a classifier loses by learning from synthetic instead of real images: AUC on real test images, settings up to 128 × 128 (D21, Results).",
        notes=(
            *([beginning] if beginning else []),
            "Means and standard deviation over settings, each the mean of its runs; interval: settings drawn with replacement; of fewer than five settings the mean of "
            "their runs' own patient-clustered intervals, which leave out how much trainings differ.",
            "Ceiling of the AUC gap (here a floor: less is better): the mean absolute gap between two classifiers that learnt from the same real images with different seeds; "
            "signed, those of many runs would cancel. Its interval is made like the gap's, from absolute values.",
            "P: one-sided exact Mann-Whitney test that the gap grows with the number of classes, or of images a class. Each run is one value: of one against one P is at least "
            "0.5, of four against four 0.014.",
            "Distances, setting by setting, means of its runs: ceiling, patient-disjoint halves of the real images; matched, synthetic images against one half, as many as the other has; "
            "extrapolated, to endlessly many images. Those of a setting's own real-trained classifier rank generators within that setting only.",
        ),
        bounds=frozenset({SUMMARY_ROWS[name][0] for name in ("classes", "samples")}),
    )


def auc_gap(gap: pd.DataFrame) -> Table:
    """AUC on real test images of classifiers that learnt from real and from synthetic images, label by label.

    Args:
        gap: as the rule `measure_auc_gap` writes it: a row a label, and `mean`.
    """
    columns = {"auc_real": "learnt from real", "auc_synthetic": "learnt from synthetic", "gap": "gap"}
    cells: dict[tuple[str, str], dict[str, float]] = {}
    for row in gap.to_dict("records"):
        name = row["label"].replace("_", " ") + ("" if row["label"] == "mean" else f" (n = {row['n_present']:,.0f})")
        cells |= {(name, title): {"value": row[column]} for column, title in columns.items()}
        ends = {end: row[end] for end in ("ceiling", "ceiling_low", "ceiling_high")}
        cells[name, "gap"] |= {"low": row["gap_low"], "high": row["gap_high"], **ends}
    names = list(dict.fromkeys(name for name, _ in cells))
    first = gap.iloc[0]
    return Table(
        frame=_frame(names, list(columns.values()), cells),
        decimals=dict.fromkeys(names, 3),
        caption=f"AUC on {first['n_test']:,} real test images of {first['n_patients']:,} patients; backbone: {first['backbone']}.",
        notes=(
            "n: test images with the label. 95 % interval: patient-clustered resampling.",
            "Ceiling (here a floor: less is better): the gap between two classifiers that learnt from the same real images with different seeds.",
        ),
    )


COUNT_COLUMNS = {
    "lesions": "lesions",
    "patches": "patches",
    "patients": "patients",
    "train": "training patches",
    "validation": "validation patches",
    "test": "test patches",
}
"""Column of the counts to its printed name."""


def haarburger2019_table1(counts: pd.DataFrame) -> Table:
    """Lesions and patches of each class, counted, in the layout of H19's Table 1.

    Args:
        counts: as `utility.patches.patch_counts` gives them.
    """
    frame = counts[list(COUNT_COLUMNS)].rename(columns=COUNT_COLUMNS).astype(float)
    frame.index = pd.MultiIndex.from_product([counts["class"], ["value"]], names=["row", "statistic"])
    return Table(
        frame=frame,
        decimals=dict.fromkeys(counts["class"], 0),
        caption="Lesions, patches and patients of each class in the cohort that was built, in the layout of H19, Table 1.",
        notes=("A lesion has a patch in each slice that shows it. Normal: patches without findings, also of patients who have a lesion elsewhere.",),
    )


NEIGHBOUR_NOTE = (
    "1-NN accuracy: share of the images whose nearest neighbour, itself left out, is of their own kind. 0.5 on both sides: the sets cannot be told apart; above: they can. Below 0.5 on both sides is no "
    "merit: fakes lie nearer to these real images than these to one another, as when training images are memorised, or few. Real high and fake low: fakes around a few real images, or more spread than "
    "these; real low and fake high: less spread. Read it beside the control."
)


def haarburger2019_table2(classes: pd.DataFrame, selection: pd.DataFrame, printed: Published) -> Table:
    """Frechet distance and 1-NN accuracies of each class and generator, with H19's printed values below.

    Args:
        classes: a row a generator, class, measure and features: those columns, name, value, sd, low, high, control, control_low, control_high, matched, n_real, n_synthetic, n_control and draws.
        selection: a row a generator: generator, epochs, best_kimg, best, median_last, second_draw, name.
        printed: H19's printed values.
    """
    theirs = {(str(value.measure), value.first, value.second): value.value for value in printed.items["haarburger2019_table2"].values}
    cells: dict[tuple[str, str], dict[str, float]] = {}
    decimals: dict[str, int] = {}
    for (features, measure), own in with_spread(classes).groupby(["features", "measure"], sort=False):
        name = own["name"].iloc[0]
        title = name if measure == "frechet" else f"{name} ({features})"
        spread, beside = f"{title}, standard deviation", f"{'FID' if measure == 'frechet' else name}, printed by H19"
        for row in own.to_dict("records"):
            column = f"{row['class']}, {row['generator']}"
            ends = {"ceiling": row["control"], "ceiling_low": row["control_low"], "ceiling_high": row["control_high"]}
            cells[title, column] = {**{key: row[key] for key in ("value", "low", "high", "matched")}, **ends}
            if pd.notna(row["sd"]):
                cells[spread, column] = {"value": row["sd"]}
            # one space is printed: its values stand once, below the first of ours
            if (place := (str(measure), row["class"], row["generator"])) in theirs:
                cells[beside, column] = {"value": theirs[place]}
        decimals |= dict.fromkeys((title, spread, beside), 2 if measure == "frechet" else 3)
    places = classes[["class", "generator"]].drop_duplicates().sort_values("class", kind="stable")
    columns = [f"{name}, {generator}" for name, generator in places.itertuples(index=False)]
    sizes = " to ".join(f"{size:,}" for size in dict.fromkeys((classes["n_synthetic"].min(), classes["n_synthetic"].max())))
    return Table(
        frame=_frame([name for name in decimals if any(row == name for row, _ in cells)], columns, cells),
        decimals=decimals,
        caption=f"Distance of synthetic from real patches by class and generator, in the layout of H19, Table 2: mean of {classes['draws'].iloc[0]} random sets of {sizes} images a side.",
        notes=(
            NEIGHBOUR_NOTE,
            "95 % interval and standard deviation: over the random sets, which share images where there are few; none where every set has all images. Other patients and other trainings are not in it. Ceiling: the "
            "control, real images of other patients in the place of the synthetic ones. Matched: synthetic images, as many as the control has; compare the control with this line.",
            "Printed values are of other patients, and of Inception's features: results/comparison.csv tells whether ours may be held against them.",
            *_selections(selection),
        ),
    )


def _selections(selection: pd.DataFrame) -> list[str]:
    """How far choosing the best epoch flatters it."""
    return [
        f"{row['generator']}: the epoch with the lowest {row['name']} of {row['epochs']} is kept, {number(row['best'], 2)} after {number(row['best_kimg'], 1)} thousand images; other latents give it "
        f"{number(row['second_draw'], 2)}, and the median of the last quarter of the epochs is {number(row['median_last'], 2)}."
        for row in selection.dropna(subset="best").to_dict("records")
    ]


ANSWER_ROWS = {
    "right": ("Right answers", 0),
    "n": ("Images", 0),
    "accuracy": ("Share right", 3),
    "p": ("P against 0.5", 4),
    "balanced_accuracy": ("Balanced share right", 3),
    "d_prime": ("d′", 2),
    "criterion": ("Criterion c", 2),
}
"""Measure of the readers to printed name and decimals."""


def haarburger2019_table3(printed: Published) -> Table:
    """H19's Table 3 from the counts behind it, and what they say of the readers.

    Args:
        printed: H19's printed values.
    """
    cells: dict[tuple[str, str], Mapping[str, float] | pd.Series] = {}
    above, d_primes = [], []
    for reader, own in reader_answers(printed).groupby("reader", sort=False):
        counts = own.set_index("set")[["right", "n"]]
        real_right, n_real = map(int, counts.loc["real"])
        for name in (*counts.index, "all"):
            right, n = map(int, counts.sum() if name == "all" else counts.loc[name])
            measured = share_right(right, n)
            if name != "real":
                fakes = (right - real_right, n - n_real) if name == "all" else (right, n)
                measured = pd.concat([measured, measure_answers(real_right, n_real, *fakes).drop(index=measured.index)])
            column = f"{reader}, {name}"
            cells |= {(ANSWER_ROWS[str(measure)][0], column): row for measure, row in measured.iterrows() if measure in ANSWER_ROWS}
            cells |= {(ANSWER_ROWS["right"][0], column): {"value": right}, (ANSWER_ROWS["n"][0], column): {"value": n}}
            above.append(float(measured["low"]["accuracy"]) > CHANCE)
        d_primes.append(f"{number(measured['value']['d_prime'], 2)} ({reader})")
    return Table(
        frame=_frame([name for name, _ in ANSWER_ROWS.values()], list(dict.fromkeys(column for _, column in cells)), cells),
        decimals=dict(ANSWER_ROWS.values()),
        caption="H19's readers, from the counts behind its Table 3. No measurement of this run: nobody read its images.",
        notes=(
            "Counts: the only ones that round to the printed shares. Share right of a generator: its fakes alone; of all: real and fake. 95 % interval: exact (Clopper-Pearson); P: two-sided exact binomial.",
            "Balanced share, d′ and c of a generator: its fakes against all real patches. d′: z of the fakes called fake plus z of the reals called real, from (count + 1/2) / (n + 1), delta method; 0 "
            "is no difference to the reader. c below 0: a leaning to call patches fake.",
            f"H19 concludes that readers do not easily tell real from fake. Its counts say otherwise: {sum(above)} of {len(above)} intervals of the share right lie above 0.5, and d′ over all patches is "
            f"{' and '.join(d_primes)}.",
            "One reader of each kind: the intervals are over patches, and say nothing of other readers.",
        ),
        bounds=frozenset({ANSWER_ROWS["p"][0]}),
    )


def write(table: Table, output_stem: Path, *, label: str) -> None:
    """Write `<stem>.csv` (full precision), `.tex` (booktabs), `.html` (a fragment) and `.md`.

    Args:
        table: the table.
        output_stem: path without suffix.
        label: one line that says what kind of data stand behind the table; in every file, in the CSV as a comment line that starts with `#`.
    """
    rows = display(table)
    notes = [*([label] if label else []), *table.notes]
    texts = {
        "html": html(table, label=label),
        "csv": (f"# {label}\n" if label else "") + table.frame.to_csv(lineterminator="\n"),
        "tex": _latex(rows, list(table.frame.columns), table.caption, notes),
        "md": _markdown(rows, list(table.frame.columns), table.caption, notes),
    }
    for suffix, text in texts.items():
        with atomic(output_stem.with_name(f"{output_stem.name}.{suffix}")) as path:
            path.write_text(text, encoding="utf-8")


def html(table: Table, *, label: str) -> str:
    """The table as an HTML fragment; `label` as for `write`."""
    return _html(display(table), list(table.frame.columns), table.caption, [*([label] if label else []), *table.notes])


def display(table: Table) -> list[tuple[str, str, list[str]]]:
    """The table as it is printed: (row, one of LINES, cells); a line without any number is left out."""
    lines = []
    for row in table.frame.index.get_level_values(0).unique():
        part, decimals = table.frame.loc[row].reindex(STATISTICS), table.decimals[row]
        values = zip(part.loc["value"], part.loc["low"], strict=True)
        bounded = row in table.bounds
        cells = [
            upper_bound(value, decimals) if bounded and (low == 0 or 0 < value < 10**-decimals) else number(value, decimals) for value, low in values
        ]
        lines.append((row, "value", cells))
        lines.append((row, "interval", [interval(*ends, decimals) for ends in zip(part.loc["low"], part.loc["high"], strict=True)]))
        for name in ("matched", "ceiling"):
            triples = zip(part.loc[name], part.loc[f"{name}_low"], part.loc[f"{name}_high"], strict=True)
            lines.append((row, name, [" ".join(filter(None, (number(at, decimals), interval(low, high, decimals)))) for at, low, high in triples]))
    return [line for line in lines if line[1] == "value" or any(line[2])]


def number(value: float, decimals: int) -> str:
    """`0.123`, with a true minus sign, or "" for NaN."""
    if value is None or math.isnan(value):
        return ""
    text = f"{value:.{decimals}f}"
    # no minus in front of what rounds to zero
    return text.lstrip("-") if float(text) == 0 else text.replace("-", "−")


def upper_bound(value: float, decimals: int) -> str:
    """`≤ 0.001`, rounded up so that it stays true."""
    # less a rounding error, lest 0.05 become 0.051; and no bound of 0
    return f"≤ {number(max(math.ceil(value * 10**decimals - 1e-9), 1) / 10**decimals, decimals)}"


def interval(low: float, high: float, decimals: int) -> str:
    """`[0.100, 0.150]`, or "" where an end is NaN."""
    ends = number(low, decimals), number(high, decimals)
    return f"[{ends[0]}, {ends[1]}]" if all(ends) else ""


def _one(rows: pd.DataFrame, **where: str) -> pd.Series:
    for column, value in where.items():
        rows = rows[rows[column] == value]
    if len(rows) != 1:
        raise LookalikeError(
            f"A table needs exactly one row for {' '.join(where.values())}, but there are {len(rows)}",
            "measures table",
            "Run the measure again; if it stays so, the measures table was made by another version.",
        )
    return rows.iloc[0]


def _frame(names: Sequence[str], columns: Sequence[str], cells: Mapping[tuple[str, str], Mapping[str, float] | pd.Series]) -> pd.DataFrame:
    index = pd.MultiIndex.from_product([names, STATISTICS], names=["row", "statistic"])
    frame = pd.DataFrame(math.nan, index=index, columns=list(columns))
    for (name, column), row in cells.items():
        for statistic in STATISTICS:
            frame.loc[(name, statistic), column] = float(row.get(statistic, math.nan))
    return frame


_LATEX = {"&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
          "\\": r"\textbackslash{}", "−": "$-$", "`": "", "×": r"$\times$", "≤": r"$\leq$"}  # fmt: skip


def _tex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)


def _latex(lines: Sequence[tuple[str, str, list[str]]], columns: list[str], caption: str, notes: Sequence[str]) -> str:
    body: list[str] = []
    for row, what, cells in lines:
        head = _tex(row) if what == "value" else rf"\quad {_tex(LINES[what])}"
        if what == "value" and body:
            body.append(r"\addlinespace")
        # braces keep a cell that opens with a bracket from being read as the optional argument of the line break before it
        body.append(" & ".join([head, *(f"{{{_tex(cell)}}}" for cell in cells)]) + r" \\")
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering\footnotesize",
            rf"\caption{{{_tex(caption)}}}",
            rf"\begin{{tabular}}{{l{'r' * len(columns)}}}",
            r"\toprule",
            " & ".join(["", *map(_tex, columns)]) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            r"\par\smallskip",
            *(rf"{{\footnotesize {_tex(note)}\par}}" for note in notes),
            r"\end{table}",
            "",
        ]
    )


def _html(lines: Sequence[tuple[str, str, list[str]]], columns: list[str], caption: str, notes: Sequence[str]) -> str:
    head = Markup("").join(Markup('<th scope="col">{}</th>').format(column) for column in columns)
    body: list[Markup] = []
    for row, what, cells in lines:
        name = Markup('<th scope="row">{}</th>').format(row if what == "value" else LINES[what])
        body.append(Markup('<tr class="{}">{}{}</tr>\n').format(what, name, Markup("").join(Markup("<td>{}</td>").format(cell) for cell in cells)))
    return str(
        Markup('<table class="paper">\n<caption>{}</caption>\n<thead><tr><td></td>{}</tr></thead>\n<tbody>\n{}</tbody>\n</table>\n{}').format(
            caption, head, Markup("").join(body), Markup("").join(Markup('<p class="note">{}</p>\n').format(note) for note in notes)
        )
    )


def _markdown(lines: Sequence[tuple[str, str, list[str]]], columns: list[str], caption: str, notes: Sequence[str]) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(str(escape(cell)).replace("|", r"\|") for cell in cells) + " |"

    table = [line(["", *columns]), "|:--|" + "--:|" * len(columns)]
    table += [line([row if what == "value" else f"  {LINES[what]}", *cells]) for row, what, cells in lines]
    return "\n".join([f"**{caption}**", "", *table, "", *(f"{note}  " for note in notes), ""])
