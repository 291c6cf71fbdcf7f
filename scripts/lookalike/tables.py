"""Tables of the papers: full precision in CSV, the same numbers with units and rounding in LaTeX, HTML and Markdown.

A printed number never stands alone: below each value stand its 95 % interval, the ceiling (the same measure between patient-disjoint halves of the real
images) and the measure at the ceiling's number of images, which alone can be held against it. Rounding happens here; no rounded number is read back.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup, escape

from lookalike.errors import LookalikeError
from lookalike.files import atomic
from lookalike.measures.moments import MOMENTS
from lookalike.published import Published, reader_answers
from lookalike.readers.analysis import ALL, FIRST, REPEATS, verdicts, widest
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
    column_decimals: Mapping[str, int] = field(default_factory=dict)
    """Printed decimals of columns that do not follow their rows."""
    bounds: frozenset[str] = frozenset()
    """Rows or columns of P values, printed as upper bounds where `low` is 0 (no permutation reached them) or where rounding would make them 0."""


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


ANSWER_COLUMNS = {
    "right": ("right answers", 0),
    "n": ("images", 0),
    "accuracy": ("share right", 3),
    "p": ("P against 0.5", 4),
    "balanced_accuracy": ("balanced share right", 3),
    "d_prime": ("d′", 2),
    "criterion": ("criterion c", 2),
}
"""Measure of the readers to printed name and decimals."""


def haarburger2019_table3(printed: Published, study: pd.DataFrame | None = None) -> Table:
    """H19's Table 3 from the counts behind it, and what they say of the readers; above it those of a study, if there is one.

    Args:
        printed: H19's printed values.
        study: a reader study of single images, as `readers.analysis.tabulate_readers` gives it; first attempts that are complete count.
    """
    theirs = reader_answers(printed)
    cells: dict[tuple[str, str], Mapping[str, float] | pd.Series] = {}
    if study is not None:
        first = study[(study["complete"] == 1) & (study["attempt"] == study.groupby("reader")["attempt"].transform("min")) & (study["set"] != ALL)]
        short = {name: _short(name) for name in first["set"]}
        for number_, own in first.groupby("number"):
            if own["set"].eq("real").all():
                continue  # the truth of the others is not known
            said = own["group_radiologist"].iloc[0] if "group_radiologist" in own else ""
            title = f"this run, reader {number_}" + {"yes": " (radiologist)", "no": " (layperson)"}.get(said, "")
            # sets whose names end alike keep their whole names
            named = own["set"] if len(set(short.values())) < len(short) else own["set"].map(short)
            cells |= _answers_of(title, own.assign(set=named)[["set", "right", "n"]])[0]
    above, d_primes = [], []
    for reader, own in theirs.groupby("reader", sort=False):
        rows, d_prime = _answers_of(str(reader), own)
        cells |= rows
        above += [row["low"] > CHANCE for (_, column), row in rows.items() if column == ANSWER_COLUMNS["accuracy"][0]]
        d_primes.append(f"{number(d_prime, 2)} ({reader})")
    names = list(dict.fromkeys(row for row, _ in cells))
    return Table(
        frame=_frame(names, [name for name, _ in ANSWER_COLUMNS.values()], cells),
        decimals=dict.fromkeys(names, 0),
        column_decimals=dict(ANSWER_COLUMNS.values()),
        caption="H19's readers, from the counts behind its Table 3. "
        + ("No measurement of this run: nobody read its images." if study is None else "Above them the readers of this run's images."),
        notes=(
            "Counts of H19's: the only ones that round to the printed shares. Share right of a generator: its fakes alone; of all: real and fake. 95 % interval: exact (Clopper-Pearson); P: two-sided exact "
            "binomial.",
            "Balanced share, d′ and c of a generator: its fakes against all real patches. d′: z of the fakes called fake plus z of the reals called real, from (count + 1/2) / (n + 1), delta method; 0 "
            "is no difference to the reader. c below 0: a leaning to call patches fake.",
            f"H19 concludes that readers do not easily tell real from fake. Its counts say otherwise: {sum(above)} of {len(above)} intervals of the share right lie above 0.5, and d′ over all patches is "
            f"{' and '.join(d_primes)}.",
            "One reader of each kind in H19. The intervals of a reader are over patches, and say nothing of other readers.",
        ),
        bounds=frozenset({ANSWER_COLUMNS["p"][0]}),
    )


def _answers_of(reader: str, sets: pd.DataFrame) -> tuple[dict[tuple[str, str], Mapping[str, float] | pd.Series], float]:
    """Cells of one reader from right and n of `real` and each generator, and d' over all."""
    counts = sets.set_index("set")[["right", "n"]].astype(int)
    real_right, n_real = map(int, counts.loc["real"])
    cells: dict[tuple[str, str], Mapping[str, float] | pd.Series] = {}
    for name in (*counts.index, "all"):
        right, n = map(int, counts.sum() if name == "all" else counts.loc[name])
        measured = share_right(right, n)
        if name != "real":
            fakes = (right - real_right, n - n_real) if name == "all" else (right, n)
            measured = pd.concat([measured, measure_answers(real_right, n_real, *fakes).drop(index=measured.index)])
        row = f"{reader}, {name}"
        cells |= {(row, ANSWER_COLUMNS[key][0]): {"value": count} for key, count in (("right", right), ("n", n))}
        cells |= {(row, ANSWER_COLUMNS[str(measure)][0]): found for measure, found in measured.iterrows() if measure in ANSWER_COLUMNS}
    return cells, float(measured["value"]["d_prime"])


def _short(name: str) -> str:
    """Last part of a synthetic set's name: `haarburger2019/dcgan` is dcgan."""
    return name.rpartition("/")[2]


def _spaced(group: str) -> str:
    return group.replace("_", " ")


def korkinof2021_table3(conover: pd.DataFrame) -> Table:
    """P values between questions: above the diagonal unadjusted as in K21's Table 3, below it adjusted.

    Args:
        conover: as `readers.analysis.compare_questions` gives it.
    """
    questions = sorted({*conover["first"], *conover["second"]})
    cells: dict[tuple[str, str], Mapping[str, float]] = {}
    for row in conover.to_dict("records"):
        cells[str(row["first"]), str(row["second"])] = {"value": row["p"]}
        cells[str(row["second"]), str(row["first"])] = {"value": row["p_holm"]}
    # without any comparison a table still says so
    names = [str(question) for question in questions] or ["1"]
    few = "" if cells else " None could be tested: all answers are equal, or there is one question."
    return Table(
        frame=_frame(names, names, cells),
        decimals=dict.fromkeys(names, 3),
        caption=f"P values of Conover's test between questions (rows and columns) over {conover['n'].max() if cells else 0} attempts, in the layout of K21, Table 3.{few}",
        notes=(
            "Above the diagonal: unadjusted, as K21 prints them. Below it: adjusted for their number (Holm).",
            "Conover's test takes the answers of a reader as independent; Cochran's Q, which does not, and the slope of learning are in the summary.",
        ),
        bounds=frozenset(names),
    )


def korkinof2021_table4(results: pd.DataFrame) -> Table:
    """Share of right answers by group of readers, in K21's layout, with what K21's Table 4 leaves out.

    Args:
        results: as `readers.analysis.analyse` gives them.
    """
    margins = _margins(results)
    # column: measure, definition, the result's column, decimals
    columns = {
        "attempts": ("attempts", "complete", "value", 0),
        "right answers": ("right", "", "value", 0),
        "share right": ("accuracy", "bootstrap", "value", 3),
        "SD": ("accuracy_sd", "attempts", "value", 3),
        "mean of readers": ("accuracy", "readers", "value", 3),
        "P v others": ("kruskal_groups", "attempts", "p", 4),
        "P v others, Holm": ("kruskal_groups", "attempts", "p_holm", 4),
        "P v 0.5": ("accuracy", "readers", "p", 4),
        "P v 0.5, Holm": ("accuracy", "readers", "p_holm", 4),
        **{f"P within {100 * float(margin):g} points": ("equivalence", f"readers {margin}", "p", 4) for margin in margins},
    }
    rows = _keyed(results)
    groups = [group for measure, definition, group in rows if (measure, definition) == ("attempts", "complete") and group != ALL]
    order = [ALL, *(group for group in groups if group not in (REPEATS, FIRST)), *(group for group in (REPEATS, FIRST) if group in groups)]
    cells: dict[tuple[str, str], Mapping[str, float]] = {}
    for group in order:
        for column, (measure, definition, key, _) in columns.items():
            if row := rows.get((measure, definition, group)):
                ends = {"low": row["low"], "high": row["high"]} if column == "mean of readers" else {}
                cells[_spaced(group), column] = {"value": row[key], **ends}
    return Table(
        frame=_frame([_spaced(group) for group in order], list(columns), cells),
        decimals=dict.fromkeys(map(_spaced, order), 0),
        column_decimals={column: places for column, (*_, places) in columns.items()},
        caption="Share of right answers by group of readers, in the layout of K21, Table 4.",
        notes=(
            "Attempts: complete ones, repeats included where not said otherwise; groups after the first are among who says yes to the first. Share right and SD: over attempts, as in K21; mean of readers: "
            "each reader's share once, with its 95 % t interval, which P v 0.5 and P within so many points go with.",
            "P v others: Kruskal-Wallis over attempts, of the group and of who is not in it, as in K21. Holm: adjusted over groups and who is not in them; first attempts and repeats are not adjusted.",
            *_EQUIVALENCE_NOTE,
        ),
        bounds=frozenset(column for column, (*_, places) in columns.items() if places == 4),
    )


_EQUIVALENCE_NOTE = ("P within so many points: two one-sided t tests of the readers' shares (where all saw the same images, over readers and images if that is less certain); small where it is proved that the share right lies so near one half. No other P here proves guessing.",)  # fmt: skip


def _keyed(results: pd.DataFrame) -> dict[tuple[str, str, str], dict[str, Any]]:
    """Rows of the results by measure, definition and group."""
    rows = [{str(column): value for column, value in row.items()} for row in results.to_dict("records")]
    return {(row["measure"], row["definition"], row["group"]): row for row in rows}


def _ends(row: Mapping[Any, Any]) -> dict[str, float]:
    return {key: row[key] for key in ("value", "low", "high")}


def _margins(results: pd.DataFrame) -> list[str]:
    """Margins of the equivalence tests, as they are named."""
    definitions = results.loc[(results["measure"] == "equivalence") & (results["group"] == ALL), "definition"]
    return [name.removeprefix("exact ") for name in definitions if name.startswith("exact ")]


def artefacts(results: pd.DataFrame) -> Table:
    """Share of synthetic images in which readers saw an obvious artefact, by view and synthetic set, and by kind (K21's casual inspection).

    Args:
        results: as `readers.analysis.analyse` gives them of the protocol artefacts.
    """
    rows = _keyed(results)
    groups = list(dict.fromkeys(results["group"]))
    kinds = list(dict.fromkeys(results.loc[results["measure"] == "artefact_kind", "definition"]))
    columns = {"answers": 0, "artefacts": 0, "share": 3, "P v others": 4, "P v others, Holm": 4, **dict.fromkeys(kinds, 3)}
    cells: dict[tuple[str, str], Mapping[str, float]] = {}
    for group in groups:
        share, name = rows.get(("artefact_share", "readers", group), rows["artefact_share", "exact", group]), _group_name(group)
        cells |= {
            (name, "answers"): {"value": rows["artefact_share", "exact", group]["n"]},
            (name, "artefacts"): {"value": rows["artefact_count", "", group]["value"]},
        }
        cells |= {
            (name, "share"): _ends(share),
            (name, "P v others"): {"value": share["p"]},
            (name, "P v others, Holm"): {"value": share["p_holm"]},
        }
        cells |= {(name, kind): _ends(rows["artefact_kind", kind, group]) for kind in kinds}
    readers = int(results["readers"].max())
    return Table(
        frame=_frame([_group_name(group) for group in groups], list(columns), cells),
        decimals=dict.fromkeys(map(_group_name, groups), 3),
        column_decimals=columns,
        caption=f"Synthetic images in which {readers} reader{'s' * (readers > 1)} saw an obvious artefact (K21, Results), and of which kind.",
        notes=(
            "95 % interval and P v others: "
            + ("exact (Clopper-Pearson, Fisher), answers taken as independent" if readers == 1 else "t over readers, who all saw the same images")
            + "; a set is held against others in the views that both have. Holm: adjusted over views, and over sets; two of them are one test.",
            "Kinds: share of all answers of the row, with exact intervals.",
        ),
        bounds=frozenset({"P v others", "P v others, Holm"}),
    )


def _group_name(group: str) -> str:
    column, _, name = group.partition(" ")
    return f"{column} {_short(name)}" if column == "set" else group


def dumont2021_readers(studies: Mapping[str, tuple[pd.DataFrame, pd.DataFrame]]) -> Table:
    """Readers of single images, a row a study and reader, with D21's test in both directions and equivalence (D21, Results).

    Args:
        studies: by name, the results and the readers, as `readers.analysis.analyse` and `tabulate_readers` give them.
    """
    margins = list(dict.fromkeys(margin for results, _ in studies.values() for margin in _margins(results)))
    within = {margin: f"P within {100 * float(margin):g} points" for margin in margins}
    columns = {
        **dict.fromkeys(("TR", "FR", "TS", "FS", "n"), 0),
        "share right": 3,
        "d′": 2,
        "P below": 4,
        "P above": 4,
        **dict.fromkeys(within.values(), 4),
    }
    cells: dict[tuple[str, str], Mapping[str, float]] = {}
    for name, (results, readers) in studies.items():
        own = readers[(readers["set"] == ALL) & (readers["complete"] == 1)]
        for row in own.to_dict("records"):
            title = f"{name}, reader {row['number']}" + (f", attempt {row['attempt']}" if row["attempt"] > 1 else "")
            cells |= {(title, count): {"value": row[count]} for count in ("TR", "FR", "TS", "FS", "n")}
            cells |= {
                (title, "share right"): {"value": row["accuracy"], "low": row["low"], "high": row["high"]},
                (title, "d′"): {"value": row["d_prime"]},
            }
        rows = _keyed(results)
        everyone = f"{name}, all ({own['number'].nunique()} readers)"
        cells |= {(everyone, count): {"value": own[count].sum(min_count=1)} for count in ("TR", "FR", "TS", "FS", "n")}
        # one reader has no row over readers, and what is exact of it stands in its own row
        by = widest(results) if own["number"].nunique() > 1 else "readers"
        places = {"share right": ("accuracy", by), "d′": ("d_prime", "readers")}
        cells |= {(everyone, column): _ends(rows[*place, ALL]) for column, place in places.items() if (*place, ALL) in rows}
        tests = {
            "P below": ("wilcoxon", "less"),
            "P above": ("wilcoxon", "greater"),
            **{within[margin]: ("equivalence", f"{by} {margin}") for margin in _margins(results)},
        }
        cells |= {(everyone, column): {"value": rows[*place, ALL]["p"]} for column, place in tests.items()}
        cells[f"{name}, SD", "share right"] = {"value": rows["accuracy_sd", "attempts", ALL]["value"]}
    names = list(dict.fromkeys(row for row, _ in cells))
    return Table(
        frame=_frame(names, list(columns), cells),
        decimals=dict.fromkeys(names, 0),
        column_decimals=columns,
        caption="Readers of single images, half of them real (D21, Results).",
        notes=(
            "TR, FS: real images called real, and synthetic; TS, FR: synthetic images called synthetic, and real. d′: z of the synthetic images called synthetic plus z of the reals called real; 0 is no "
            "difference to the reader. 95 % interval: exact of a reader; of all, over readers, or readers and images, whichever is wider.",
            "P below and above: exact one-sided Wilcoxon signed-rank tests that readers' shares right lie below, and above, 0.5. D21 calls readers no better than chance where the first is small: that "
            "proves that they tell the images apart, and name them the wrong way round.",
            *_EQUIVALENCE_NOTE,
        ),
        bounds=frozenset(column for column, places in columns.items() if places == 4),
    )


_BY = {
    "exact": "answers as independent",
    "bootstrap": "resampled",
    "readers": "by readers",
    "readers and images": "by readers and images",
    "mixed": "mixed model",
    "pooled": "all as one reader",
    "Obuchowski-Rockette": "Obuchowski-Rockette",
    "with incomplete attempts": "with incomplete attempts",
}
_BINS = {"raw": "a bin a number (K21)", "pooled": "rare numbers pooled", "exact": "simulated"}
SUMMARY_MEASURES = {
    "accuracy": ("Share right", 3),
    "sensitivity": ("Synthetic called synthetic", 3),
    "specificity": ("Real called real", 3),
    "balanced_accuracy": ("Balanced share right", 3),
    "d_prime": ("d′", 2),
    "criterion": ("Criterion c", 2),
    "auc": ("AUC", 3),
    "reader_sd": ("Spread of readers (log-odds)", 2),
    "dispersion": ("Dispersion of readers (1 = chance)", 2),
    "learning": ("Learning, a question (log-odds)", 4),
    "best_attempt": ("Best attempt, right answers", 0),
    "high_attempts": ("Attempts with {} or more", 0),
    "high_by_chance": ("Attempts with {} or more, by chance", 2),
    "high_any_by_chance": ("Chance of any attempt with {} or more", 3),
    "power": ("Power to prove ±{}", 3),
    "sample_size": ("Answers for a power of 0.8 to prove ±{}", 0),
    "artefact_share": ("Images with an artefact", 3),
    "artefact_kind": ("Kind: {}", 3),
}
SUMMARY_TESTS = {
    "equivalence": "Equivalence, {}",
    "wilcoxon": "Wilcoxon, shares {} than 0.5",
    "chi_square": "Chi-square against guessing, {}",
    "kruskal_questions": "Questions differ, Kruskal-Wallis",
    "cochran_questions": "Questions differ, Cochran's Q",
}
"""Measure of the results to its printed name (and decimals), in which {} is the definition."""


def summary(results: pd.DataFrame) -> Table:
    """What the answers of all readers prove, and everything that it rests on.

    Args:
        results: as `readers.analysis.analyse` gives them.
    """
    rows = results[(results["group"] == ALL) & results["measure"].isin({*SUMMARY_MEASURES, *SUMMARY_TESTS})]
    cells: dict[tuple[str, str], Mapping[str, float]] = {}
    decimals: dict[str, int] = {}
    for measure in (*SUMMARY_MEASURES, *SUMMARY_TESTS):
        own = rows[rows["measure"] == measure].to_dict("records")
        for row in own:
            if measure in SUMMARY_TESTS:
                name, places = SUMMARY_TESTS[measure].format(_definition_name(measure, row["definition"])), 0
            else:
                title, places = SUMMARY_MEASURES[measure]
                name = title.format(_definition_name(measure, row["definition"])) + (
                    f", {_BY[row['definition']]}" if "{}" not in title and len(own) > 1 else ""
                )
                cells[name, "value"] = _ends(row)
            decimals[name] = places
            cells |= {(name, "P"): {"value": row["p"]}, (name, "answers"): {"value": row["n"]}, (name, "readers"): {"value": row["readers"]}}
    return Table(
        frame=_frame(list(decimals), ["value", "P", "answers", "readers"], cells),
        decimals=decimals,
        column_decimals={"P": 4, "answers": 0, "readers": 0},
        caption="What the answers prove.",
        notes=(
            *verdicts(results),
            "Answers: of counts of attempts and tests by readers, attempts or readers. P of shares: that they are 0.5; of d′, c and learning: that they are 0; of AUC: 0.5; of a spread: that there is none. "
            "Groups, sets, classes and adjusted P values: results.csv.",
        ),
        bounds=frozenset({"P"}),
    )


def _definition_name(measure: str, definition: str) -> str:
    if measure == "sample_size":
        return f"{100 * float(definition):g} points"
    if measure in ("equivalence", "power"):
        by, _, margin = definition.rpartition(" ")
        return f"{'within ' * (measure == 'equivalence')}{100 * float(margin):g} points, {_BY[by]}"
    return _BINS.get(definition, definition)


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
        part = table.frame.loc[row].reindex(STATISTICS)
        decimals = [table.column_decimals.get(column, table.decimals[row]) for column in part.columns]
        values = zip(part.columns, part.loc["value"], part.loc["low"], decimals, strict=True)
        cells = [
            upper_bound(value, places) if {row, column} & table.bounds and (low == 0 or 0 <= value < 10**-places) else number(value, places)
            for column, value, low, places in values
        ]
        lines.append((row, "value", cells))
        lines.append((row, "interval", [interval(*ends) for ends in zip(part.loc["low"], part.loc["high"], decimals, strict=True)]))
        for name in ("matched", "ceiling"):
            parts = zip(part.loc[name], part.loc[f"{name}_low"], part.loc[f"{name}_high"], decimals, strict=True)
            lines.append((row, name, [" ".join(filter(None, (number(at, places), interval(low, high, places)))) for at, low, high, places in parts]))
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
          "\\": r"\textbackslash{}", "−": "$-$", "`": "", "×": r"$\times$", "≤": r"$\leq$", "′": "$'$", "½": r"$\frac{1}{2}$", "<": "$<$", ">": "$>$", "|": r"\textbar{}",
          "±": r"$\pm$", "é": r"\'e", "ü": r'\"u'}  # fmt: skip


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
