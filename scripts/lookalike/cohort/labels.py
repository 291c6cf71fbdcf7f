"""Labels of images: from findings to label vectors and classes (D21, Methods), and the choice of a setting's images (D21, Table 1).

A table with labels has, besides a cohort's columns, `class` (the present labels joined by "+") and a column `is_<label>` for each label: 1 = present,
0 = absent, -1 = unknown. Labels reach networks and classifiers through these columns only, be the images real or synthetic.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lookalike.errors import LookalikeError

PREFIX = "is_"
UNCERTAIN = "?"
SPLITS: tuple[Literal["train", "validation", "test"], ...] = ("train", "validation", "test")


def label_matrix(table: pd.DataFrame) -> tuple[list[str], NDArray[np.int8]]:
    """Names of the labels, and the label vectors [n, l] of a table: 1, 0, or -1 (unknown)."""
    columns = [name for name in table.columns if name.startswith(PREFIX)]
    return [name.removeprefix(PREFIX) for name in columns], table[columns].to_numpy(dtype=np.int8)


def label_cohort(
    cohort: pd.DataFrame,
    *,
    names: Sequence[str],
    uncertain: Literal["positive", "negative", "ignore"],
    minimum: int,
    undersample: Mapping[str, int],
    seed: int,
) -> pd.DataFrame:
    """The images of a cohort that have labels, as a table with labels.

    Args:
        cohort: cohort table. An image's findings are `findings`, its density (`density_a` ...) and its label (`benign` ...).
        names: findings that are labels, in the order of the label vector.
        uncertain: what an uncertain finding counts as; ignore = unknown, and no part of the class.
        minimum: classes of no more images leave.
        undersample: at most so many images of a class, drawn at random.
        seed: of what is drawn.

    Raises:
        LookalikeError: no image has any of the labels, a name is that of no finding of the cohort, no class is frequent enough, or one to
            undersample is no class of the cohort.
    """
    findings = _findings(cohort)
    found = {finding.removesuffix(UNCERTAIN) for image in findings for finding in image}
    unknown = [name for name in names if name not in found]
    if unknown:
        raise LookalikeError(
            f"No image of the cohort has the finding `{unknown[0]}`; there are {', '.join(sorted(found)) or 'none'}",
            "cohorts.*.labels.names",
            "Name findings that the cohort's table has, or do without: set the cohort's `labels` to null and its generators' `labels` to false.",
        )
    value = {"positive": 1, "negative": 0, "ignore": -1}[uncertain]
    labels = np.array([[1 if name in image else value if name + UNCERTAIN in image else 0 for name in names] for image in findings], dtype=np.int8)
    table = cohort.assign(**{PREFIX + name: labels[:, column] for column, name in enumerate(names)})
    table["class"] = ["+".join(np.array(names)[row == 1]) for row in labels]
    table = table[table["class"] != ""]
    classes = {"+".join(sorted(name.split("+"))): name for name in table["class"].unique()}
    table = table[table.groupby("class")["image"].transform("size") > minimum]
    if table.empty:
        raise LookalikeError(f"No class has more than {minimum} images", "cohorts.*.labels.minimum", "Lower it, or name fewer labels.")
    for name, most in undersample.items():
        if name not in classes.values():
            closest = difflib.get_close_matches("+".join(sorted(name.split("+"))), classes, n=1, cutoff=0)[0]
            raise LookalikeError(
                f"No image of the cohort has the class `{name}`; the closest class is `{classes[closest]}`",
                "cohorts.*.labels.undersample",
                "Name a class: its labels joined by +, in the order of labels.names.",
            )
        rows = np.flatnonzero(table["class"] == name)
        left_out = np.random.default_rng([seed, 0]).permutation(rows)[most:]
        table = table.drop(table.index[left_out])
    return table.reset_index(drop=True)


def _findings(cohort: pd.DataFrame) -> list[set[str]]:
    density = ("density_" + cohort["density"].str.lower()).where(cohort["density"] != "", "")
    columns = (cohort["findings"].str.split("|"), density, cohort["label"])
    return [{name for name in (*findings, *others) if name} for findings, *others in zip(*columns, strict=True)]


def class_counts(table: pd.DataFrame) -> pd.DataFrame:
    """Images of each class by split, most frequent class (in training, then by name) first: columns class, train, validation, test."""
    counts = pd.crosstab(table["class"], table["split"]).reindex(columns=list(SPLITS), fill_value=0)
    return counts.reset_index().sort_values(["train", "class"], ascending=[False, True], ignore_index=True).rename_axis(columns=None)


def select_setting(
    table: pd.DataFrame, *, classes: int | None, samples: int | None, validation: int, test: int, seed: int, setting: str
) -> pd.DataFrame:
    """The images of a setting of D21's Table 1; labels that none of them has are left out.

    The images of a class are in one random order, of which a setting takes the first: those of fewer samples are a part of those of more.

    Args:
        table: with labels, of a whole cohort.
        classes: the so many most frequent classes of the training split; None = all.
        samples: training images a class; None = all, and `validation` and `test` are then numbers of images of all classes together, in the shares that
            the classes have in their split.
        validation, test: images a class.
        seed: of the order.
        setting: name, for errors.

    Raises:
        LookalikeError: too few classes, or a class has too few images.
    """
    counts = class_counts(table)
    if classes is not None and classes > len(counts):
        raise LookalikeError(
            f"{setting} wants {classes} classes, but the cohort has {len(counts)}", f"dumont2021, setting {setting}", "Lower `classes`."
        )
    chosen = list(counts["class"][:classes])
    order = np.random.default_rng([seed, 1]).permutation(len(table))
    kept = []
    for split, wanted in zip(SPLITS, (samples, validation, test), strict=True):
        rows = table.iloc[order]
        rows = rows[(rows["split"] == split) & rows["class"].isin(chosen)]
        available = rows["class"].value_counts().reindex(chosen, fill_value=0)
        if samples is None:
            share = len(rows) if wanted is None else wanted
            quota = _in_proportion(available, share, setting=setting, split=split)
        else:
            quota = pd.Series(wanted, index=chosen)
        short = available.index[available < quota]
        if len(short):
            raise LookalikeError(
                f"{setting} wants {quota[short[0]]} {split} images of the class {short[0]}, but there are {available[short[0]]}",
                f"dumont2021, setting {setting}",
                "Lower its numbers or its `classes`, or give the cohort more images.",
            )
        kept.append(rows[rows.groupby("class").cumcount() < rows["class"].map(quota)])
    result = pd.concat(kept).sort_index().reset_index(drop=True)
    names, labels = label_matrix(result)
    return result.drop(columns=[PREFIX + name for name, column in zip(names, labels.T, strict=True) if not (column == 1).any()])


def _in_proportion(available: pd.Series, total: int, *, setting: str, split: str) -> pd.Series:
    """So many images, shared among the classes as they are available (largest remainders)."""
    if total > available.sum():
        raise LookalikeError(
            f"{setting} wants {total} {split} images, but there are {available.sum()}",
            f"dumont2021, setting {setting}",
            "Lower its numbers, or give the cohort more images.",
        )
    exact = available * (total / max(available.sum(), 1))
    quota = np.floor(exact).astype(int)
    largest = (exact - quota).sort_values(ascending=False, kind="stable").index[: total - quota.sum()]
    quota[largest] += 1
    return quota


def synthetic_table(real: pd.DataFrame, *, name: str, images: int | None, seed: int, balanced: bool = False) -> pd.DataFrame:
    """Rows of a synthetic set whose images have the labels, classes and splits of real ones: each real image's once, in random order, over and over.

    Args:
        real: table with labels.
        name: of the set, for the images' names.
        images: how many; None = as many as there are real ones.
        seed: of the order.
        balanced: take a real image of each class (by name) in turn, whatever the shares of the classes.
    """
    count = len(real) if images is None else images
    order = np.random.default_rng([seed, 2]).permutation(len(real))
    chosen = np.resize(order, count)
    if balanced:
        groups = real["class"].to_numpy()[order]
        classes = sorted(set(groups))
        for number, label in enumerate(classes):
            places = chosen[number :: len(classes)]
            places[:] = np.resize(order[groups == label], len(places))
    rows = real.iloc[chosen].reset_index(drop=True)
    names = [f"{name}-{index:07d}" for index in range(count)]
    return rows.assign(image=names, patient=names, study="", age=float("nan"), manufacturer="lookalike")
