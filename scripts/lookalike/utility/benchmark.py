"""D21's settings and runs in numbers: mean AUC gaps, their tests, and what else the paper prints of them, in the long form in which measures are compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lookalike.cohort.labels import SPLITS, label_matrix
from lookalike.statistics import cluster_bootstrap, percentile_interval
from lookalike.utility.auc import mann_whitney_p

COLUMNS = ("measure", "definition", "first", "second", "value", "low", "high", "matched", "ceiling", "ceiling_low", "ceiling_high", "ratio")
COUNTS = ("labels", "classes", "train", "validation", "test", "smallest", "largest")
"""Counts of a setting."""
MEANS = {
    "mean_gap": "gap",
    "mean_auc_real": "auc_real",
    "mean_auc_synthetic": "auc_synthetic",
    "mean_delta_synthetic": "delta_synthetic",
}
"""Measure to the column of the runs that it is the mean of."""
DISTANCES = ("frechet", "frechet_extrapolated", "kernel")
"""Measures of a setting, means of its runs' columns of that name; those of different settings are of different networks or images, so they have no mean."""
HIGHEST = 128
"""Settings above this resolution take no part in the means, as in the paper."""
DIMENSIONS = ("classes", "samples", "resolution")
SEVERAL = 5
"""Settings from which drawing them with replacement says how far their mean can be off."""
ENOUGH = 1500
"""Training images a class from which the paper counts a setting as one of many."""
GAP = ("auc_real", "auc_synthetic", "gap", "gap_low", "gap_high", "ceiling", "ceiling_low", "ceiling_high", "auc_own", "delta_synthetic", "backbone")
"""Columns of a run that are those of its mean gap."""


def beginning(backbones: Iterable[str]) -> str:
    """The sentence that classifiers did not begin as D21's, or ""; `backbones` of the runs."""
    return "Classifiers began from random weights (D21: ImageNet's)." if "random" in set(backbones) else ""


def foot(label: str, backbones: Iterable[str]) -> str:
    """The line at the foot of a figure of classifiers: what data stand behind it (`label`, or ""), and how the classifiers began."""
    return ". ".join(filter(None, (label, beginning(backbones))))


def setting_row(table: pd.DataFrame) -> dict[str, int]:
    """Counts of a setting's images: labels, classes, train, validation, test, and the images of its smallest and largest class in training."""
    sizes = table.loc[table["split"] == "train", "class"].value_counts()
    counts: dict[str, int] = {split: int((table["split"] == split).sum()) for split in SPLITS}
    return {
        "labels": len(label_matrix(table)[0]),
        "classes": table["class"].nunique(),
        **counts,
        "smallest": int(sizes.min()),
        "largest": int(sizes.max()),
    }


def run_row(gap: pd.DataFrame, distances: pd.DataFrame, copying: pd.DataFrame, stages: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Results of a run: the mean AUCs, their gap, distances, whether it copies, and the images after which training stopped.

    Args:
        gap: auc_gap.csv, whose row `mean` counts.
        distances: frechet.csv.
        copying: copying.csv.
        stages: descriptions of the weights after each stage.
    """
    mean = gap[gap["label"] == "mean"].iloc[0]
    frechet, kernel = (distances[distances["measure"] == measure].iloc[0] for measure in ("frechet", "kernel"))
    beside = ("low", "high", "matched", "ceiling", "ceiling_low", "ceiling_high")
    return {
        **{name: mean[name] for name in GAP},
        "frechet": frechet["value"],
        **{f"frechet_{name}": frechet[name] for name in beside},
        **{f"frechet_{name}": frechet[name] for name in ("extrapolated", "extrapolated_low", "extrapolated_high")},
        "frechet_name": frechet["name"],
        "kernel": kernel["value"],
        **{f"kernel_{name}": kernel[name] for name in beside},
        "kernel_name": kernel["name"],
        "copying": copying["verdict"].iloc[0],
        "stopped_nimg": sum(about["nimg"] for about in stages),
    }


def study_measures(settings: pd.DataFrame, runs: pd.DataFrame, *, draws: int, seed: int) -> pd.DataFrame:
    """What D21 prints of its settings and runs: columns COLUMNS, NaN where a number has no meaning.

    - `setting_<count>`: first = benchmark, second = setting.
    - MEANS over the settings up to HIGHEST of the means of their runs; `sd_gap`, the standard deviation of the gap over settings; `settings` and `runs`, how
      many there are: first = benchmark, second = generator. Intervals: settings drawn with replacement; of fewer than SEVERAL, the mean of their runs' own
      intervals. The ceiling of the gap is the mean absolute one, for those of many runs would cancel.
    - DISTANCES, definition = setting and name of the distance, with `; ` between: first = benchmark, second = generator; means over the setting's runs.
    - `gap_p`, definition = dimension: one-sided exact P that the gaps of the runs with the most classes (or images a class) exceed those with the fewest.
    - `convergence`, definition lowest, highest or mean, in millions of images: first = classes, samples_many, samples_few or resolution_<side>.

    Args:
        settings: a row a setting: benchmark, setting and COUNTS.
        runs: a row a run.
        draws, seed: of the bootstrap.
    """
    rows: list[dict[str, object]] = []
    for row in settings.to_dict("records"):
        rows += [{"measure": f"setting_{count}", "first": row["benchmark"], "second": row["setting"], "value": row[count]} for count in COUNTS]
    for (benchmark, generator), own in runs.groupby(["benchmark", "generator"], sort=False):
        place = {"first": benchmark, "second": generator}
        counted = own[own["resolution"] <= HIGHEST]
        rows += [{**row, **place} for row in (*_means(counted, draws=draws, seed=seed), *_tests(own), *_distances(own))]
    rows += _convergence(runs)
    return pd.DataFrame(rows, columns=list(COLUMNS)).fillna({"definition": "", "second": ""})


def pool_measures(labelled: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Images and patients of each split of the benchmarks' cohorts, in the form of `study_measures`.

    Args:
        labelled: by benchmark, the table with labels; columns patient and split.
    """
    rows = [
        {"measure": measure, "first": benchmark, "second": split, "value": count}
        for benchmark, table in labelled.items()
        for split, part in table.groupby("split")
        for measure, count in (("pool_images", len(part)), ("pool_patients", part["patient"].nunique()))
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS)).fillna({"definition": ""})


def study_counts(settings: pd.DataFrame, runs: pd.DataFrame, labelled: Mapping[str, pd.DataFrame], flows: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """How much went through each step of the study, from the files found to the gaps: columns benchmark, step, name and count.

    Args:
        settings, runs: as of `study_measures`.
        labelled: as of `pool_measures`, with columns `class` and `is_<label>`.
        flows: by benchmark, its cohort's flow (`cohort.ledger.flow_counts`).
    """
    pools = pool_measures(labelled)
    rows: list[tuple[str, str, Any, Any]] = []
    for benchmark, table in labelled.items():
        own, ran = settings[settings["benchmark"] == benchmark], runs[runs["benchmark"] == benchmark]
        remaining = flows[benchmark]["remaining"]
        rows += [(benchmark, "files", "files", remaining.iloc[0]), (benchmark, "kept", "images", remaining.iloc[-1])]
        counts = {
            "images": len(table),
            "patients": table["patient"].nunique(),
            "labels": len(label_matrix(table)[0]),
            "classes": table["class"].nunique(),
        }
        rows += [(benchmark, "labelled", name, count) for name, count in counts.items()]
        pool = pools[pools["first"] == benchmark]
        rows += [
            (benchmark, split, measure.removeprefix("pool_"), value)
            for split in SPLITS
            for measure, value in pool.loc[pool["second"] == split, ["measure", "value"]].itertuples(index=False)
        ]
        rows += [(benchmark, "settings", dimension, int((own["dimension"] == dimension).sum())) for dimension in DIMENSIONS]
        # a setting of one repetition trains a second classifier for the ceiling
        rows.append((benchmark, "real classifiers", "classifiers", ran.groupby("setting")["seed"].nunique().clip(lower=2).sum()))
        rows += [(benchmark, "generators", generator, len(part)) for generator, part in ran.groupby("generator", sort=False)]
        sizes = own.set_index("setting")[list(SPLITS)].sum(axis=1)
        rows.append((benchmark, "synthetic images", "images", sizes[ran["setting"]].sum()))
        rows += [(benchmark, step, name, len(ran)) for step, name in (("synthetic classifiers", "classifiers"), ("gaps", "gaps"))]
    return pd.DataFrame(rows, columns=["benchmark", "step", "name", "count"]).astype({"count": "int64"})


def extreme_settings(runs: pd.DataFrame, dimension: str) -> tuple[pd.DataFrame, pd.DataFrame] | None:
    """Runs of a dimension with the most and with the fewest of what varies in it; None where all have as many."""
    rows = runs[runs["dimension"] == dimension]
    most, fewest = rows[dimension].max(), rows[dimension].min()
    return (rows[rows[dimension] == most], rows[rows[dimension] == fewest]) if most > fewest else None


def _means(runs: pd.DataFrame, *, draws: int, seed: int) -> list[dict[str, object]]:
    if runs.empty:
        return []
    ends = runs[["ceiling_low", "ceiling_high"]]
    nearest = ends.abs().min(axis=1).where(ends.prod(axis=1, skipna=False) > 0, 0).where(ends.notna().all(axis=1))
    runs = runs.assign(ceiling=runs["ceiling"].abs(), ceiling_low=nearest, ceiling_high=ends.abs().max(axis=1))
    settings = runs.groupby("setting", sort=False).mean(numeric_only=True)
    counts: dict[str, object] = {"sd_gap": settings["gap"].std(), "settings": len(settings), "runs": len(runs)}
    rows = []
    for measure, column in MEANS.items():
        low, high = _interval(settings, column, draws=draws, seed=seed)
        row = {"measure": measure, "value": settings[column].mean(), "low": low, "high": high}
        if measure == "mean_gap":
            low, high = _interval(settings, "ceiling", draws=draws, seed=seed)
            row |= {"ceiling": settings["ceiling"].mean(), "ceiling_low": low, "ceiling_high": high}
        rows.append(row)
    return rows + [{"measure": measure, "value": value} for measure, value in counts.items()]


def _interval(settings: pd.DataFrame, column: str, *, draws: int, seed: int) -> tuple[float, float]:
    values = settings[column].dropna().to_numpy()
    if len(values) >= SEVERAL:
        weights = cluster_bootstrap(np.arange(len(values)), draws=draws, seed=seed)
        return percentile_interval(weights @ values / len(values))
    ends = [f"{column}_{end}" for end in ("low", "high")]
    return (float(settings[ends[0]].mean()), float(settings[ends[1]].mean())) if set(ends) <= set(settings) else (float("nan"), float("nan"))


def _distances(runs: pd.DataFrame) -> Iterable[dict[str, object]]:
    for setting, own in runs.groupby("setting", sort=False):
        means = own.mean(numeric_only=True)
        for measure in DISTANCES:
            name = own["kernel_name" if measure == "kernel" else "frechet_name"].iloc[0]
            row = {column: means.get(f"{measure}_{column}") for column in ("low", "high", "matched", "ceiling", "ceiling_low", "ceiling_high")}
            yield {"measure": measure, "definition": f"{setting}; {name}", "value": means[measure], **row}


def _tests(runs: pd.DataFrame) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for dimension in ("classes", "samples"):
        extremes = extreme_settings(runs, dimension)
        if extremes is not None:
            most, fewest = (part["gap"].to_numpy() for part in extremes)
            rows.append({"measure": "gap_p", "definition": dimension, "value": mann_whitney_p(most, fewest)})
    return rows


def _convergence(runs: pd.DataFrame) -> Iterable[dict[str, object]]:
    samples = np.where(runs["samples"] >= ENOUGH, "samples_many", "samples_few")
    group = np.select(
        [runs["dimension"] == "classes", runs["dimension"] == "samples"], ["classes", samples], "resolution_" + runs["resolution"].astype(str)
    )
    for name, millions in (runs["stopped_nimg"] / 1e6).dropna().groupby(group):
        for definition, value in (("lowest", millions.min()), ("highest", millions.max()), ("mean", millions.mean())):
            yield {"measure": "convergence", "definition": definition, "first": name, "value": value}


def moment_outliers(
    queries: NDArray[np.float64], real: NDArray[np.float64], *, k: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """The k queries that lie farthest from the real images in any one moment, farthest first.

    Args:
        queries: moments [q, 5]; an undefined one (NaN: all pixels alike) counts as farthest.
        real: moments [n, 5], n > 1.
        k: how many, at most.

    Returns:
        Their numbers [k], the moment [k] in which each lies farthest, and its deviation [k] in standard deviations of the real images.
    """
    spread = np.nanstd(real, axis=0, ddof=1)
    deviations = np.nan_to_num((queries - np.nanmean(real, axis=0)) / np.where(spread > 0, spread, 1), nan=np.inf)
    moments = np.abs(deviations).argmax(axis=1)
    farthest = deviations[np.arange(len(queries)), moments]
    order = np.argsort(-np.abs(farthest), kind="stable")[:k]
    return order, moments[order], farthest[order]
