"""Labels of a cohort, classes, the choice of a setting's images and the tables of synthetic sets, each against brute force on small tables."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lookalike.cohort.labels import class_counts, label_cohort, label_matrix, select_setting, synthetic_table
from lookalike.errors import LookalikeError

NAMES = ["no_finding", "edema", "fracture", "density_b", "malignant"]
VALUE = {"positive": 1, "negative": 0, "ignore": -1}


def cohort(seed: int, images: int = 300) -> pd.DataFrame:
    rng = np.random.default_rng(seed)

    def finding(name: str) -> np.ndarray:
        return rng.choice(["", "", name, f"{name}?"], images)

    some = ["|".join(filter(None, names)) for names in zip(finding("edema"), finding("fracture"), finding("mass"), strict=True)]
    return pd.DataFrame(
        {
            "image": [f"i{number:04d}" for number in range(images)],
            "patient": [f"p{number // 3}" for number in range(images)],
            "study": "s",
            "findings": [text or rng.choice(["", "no_finding"]) for text in some],
            "density": rng.choice(["", "A", "B"], images),
            "label": rng.choice(["", "", "benign", "malignant"], images),
            "age": 50.0,
            "manufacturer": "GE",
            "part": 0,
            "row": range(images),
            "split": [("train", "train", "train", "validation", "test")[number // 3 % 5] for number in range(images)],
        }
    )


def labelled(table: pd.DataFrame, **changes: Any) -> pd.DataFrame:
    return label_cohort(table, **{"names": NAMES, "uncertain": "positive", "minimum": 0, "undersample": {}, "seed": 1, **changes})


@pytest.mark.parametrize("uncertain", ["positive", "negative", "ignore"])
@pytest.mark.parametrize("seed", range(3))
def test_label_vectors_and_classes(seed: int, uncertain: str) -> None:
    table = cohort(seed)
    expected = []
    for row in table.to_dict("records"):
        found = [*row["findings"].split("|"), f"density_{row['density'].lower()}", row["label"]]
        vector = [1 if name in found else VALUE[uncertain] if f"{name}?" in found else 0 for name in NAMES]
        if 1 in vector:
            expected.append((row["image"], "+".join(name for name, value in zip(NAMES, vector, strict=True) if value == 1), *vector))
    result = labelled(table, uncertain=uncertain)
    assert list(result[["image", "class", *(f"is_{name}" for name in NAMES)]].itertuples(index=False, name=None)) == expected
    names, matrix = label_matrix(result)
    assert names == NAMES and matrix.dtype == np.int8 and [tuple(row) for row in matrix] == [row[2:] for row in expected]
    assert 0 < len(result) < len(table) and (-1 in matrix) == (uncertain == "ignore")


def test_rare_classes_leave_and_frequent_ones_are_thinned() -> None:
    table = cohort(0, images=900)
    whole = labelled(table)
    counts = Counter(whole["class"])
    middle = sorted(counts.values())[len(counts) // 2]
    kept = labelled(table, minimum=middle)
    assert set(kept["class"]) == {name for name, count in counts.items() if count > middle} and len(set(kept["class"])) < len(counts)
    name, most = counts.most_common(1)[0]
    thinned = labelled(table, undersample={name: most // 2})
    assert Counter(thinned["class"]) == {**counts, name: most // 2}
    others = whole[whole["class"] != name]
    assert list(thinned.loc[thinned["class"] != name, "image"]) == list(others["image"])
    assert list(thinned["image"]) == [image for image in whole["image"] if image in set(thinned["image"])]
    assert not thinned.equals(labelled(table, undersample={name: most // 2}, seed=2))
    # A class that is thinned is counted before.
    assert Counter(labelled(table, minimum=most - 1, undersample={name: 3})["class"]) == {name: 3}


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"names": ["edema", "hernia"]}, "finding `hernia`; there are benign, density_a, density_b, edema, fracture, malignant, mass, no_finding"),
        ({"minimum": 1000}, "No class has more than 1000 images"),
        ({"undersample": {"no_findings": 1}}, "the class `no_findings`; the closest class is `no_finding`"),
        ({"undersample": {"malignant+edema": 1}}, r"the class `malignant\+edema`; the closest class is `edema\+malignant`"),
        ({"undersample": {"": 1}}, "the class ``; the closest class is `"),
    ],
)
def test_labels_that_no_image_has(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(LookalikeError, match=complaint):
        labelled(cohort(0), **changes)


def test_class_counts() -> None:
    table = labelled(cohort(0))
    counts = class_counts(table)
    assert list(counts.columns) == ["class", "train", "validation", "test"]
    ranking = list(counts[["train", "class"]].itertuples(index=False, name=None))
    assert ranking == sorted(ranking, key=lambda row: (-row[0], row[1]))
    for row in counts.itertuples(index=False):
        mine = table[table["class"] == row[0]]
        assert list(row[1:]) == [(mine["split"] == split).sum() for split in ("train", "validation", "test")]


BIG = {"images": 3000}


def chosen(table: pd.DataFrame, **changes: Any) -> pd.DataFrame:
    return select_setting(table, **{"classes": 3, "samples": 20, "validation": 4, "test": 5, "seed": 1, "setting": "it", **changes})


def test_a_setting_has_its_classes_and_numbers() -> None:
    table = labelled(cohort(0, **BIG))
    counts = class_counts(table)
    for classes in (2, 3, 5):
        result = chosen(table, classes=classes)
        names = counts["class"][:classes]
        expected = {(name, split): number for name in names for split, number in (("train", 20), ("validation", 4), ("test", 5))}
        assert Counter(zip(result["class"], result["split"], strict=True)) == expected
        assert result["image"].is_unique and result["image"].is_monotonic_increasing
        # Labels that none of its images has are no labels of the setting.
        assert label_matrix(result)[0] == [name for name in NAMES if any(name in one.split("+") for one in names)]


def test_fewer_samples_are_a_part_of_more() -> None:
    table = labelled(cohort(0, **BIG))
    settings = [chosen(table, samples=samples) for samples in (1, 7, 20, 21)]
    for fewer, more in pairwise(settings):
        assert set(fewer["image"]) < set(more["image"])
        assert set(fewer.loc[fewer["split"] != "train", "image"]) == set(more.loc[more["split"] != "train", "image"])
    other = chosen(table, seed=2)
    assert set(other["image"]) != set(settings[2]["image"])


def test_all_samples_and_shares_of_validation_and_test() -> None:
    table = labelled(cohort(0, **BIG))
    result = chosen(table, classes=None, samples=None, validation=101, test=50)
    assert list(result.loc[result["split"] == "train", "image"]) == list(table.loc[table["split"] == "train", "image"])
    for split, total in (("validation", 101), ("test", 50)):
        there, taken = (frame[frame["split"] == split]["class"].value_counts() for frame in (table, result))
        assert taken.sum() == total
        assert (taken.reindex(there.index, fill_value=0) - there * total / there.sum()).abs().max() < 1


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"classes": 1000}, "wants 1000 classes, but the cohort has"),
        ({"samples": 10000}, "wants 10000 train images of the class"),
        ({"test": 10000}, "wants 10000 test images of the class"),
        ({"samples": None, "validation": 10000}, "wants 10000 validation images, but there are"),
    ],
)
def test_settings_that_the_cohort_cannot_fill(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(LookalikeError, match=f"it {complaint}"):
        chosen(labelled(cohort(0, **BIG)), **changes)


@pytest.mark.parametrize("images", [None, 7, 700])
def test_synthetic_images_have_the_labels_of_real_ones(images: int | None) -> None:
    real = labelled(cohort(0))
    table = synthetic_table(real, name="set", images=images, seed=1)
    count = images or len(real)
    assert list(table.columns) == list(real.columns) and len(table) == count
    assert list(table["image"]) == list(table["patient"]) == [f"set-{number:07d}" for number in range(count)]
    columns = ["class", "split", *(f"is_{name}" for name in NAMES)]
    facts, mine = (Counter(frame[columns].itertuples(index=False, name=None)) for frame in (real, table))
    whole, rest = divmod(count, len(real))
    assert all(whole * facts[fact] <= mine[fact] <= (whole + (rest > 0)) * facts[fact] for fact in facts) and set(mine) <= set(facts)
    assert table["age"].isna().all() and set(table["study"]) == {""}
    pd.testing.assert_frame_equal(table, synthetic_table(real, name="set", images=images, seed=1))
    # Fewer images are the first of more, so that a set can be sampled in parts or enlarged.
    pd.testing.assert_frame_equal(table.head(5), synthetic_table(real, name="set", images=5, seed=1))


def test_a_balanced_set_has_as_many_images_of_each_class_in_turn() -> None:
    real = labelled(cohort(0))
    classes = sorted(set(real["class"]))
    table = synthetic_table(real, name="set", images=4 * len(real), seed=1, balanced=True)
    assert list(table["class"]) == [classes[index % len(classes)] for index in range(4 * len(real))]
    for label, group in table.groupby("class"):
        own = set(real["row"][real["class"] == label])
        made = list(group["row"].head(len(own)))
        assert len(set(made)) == len(made) and set(made) <= own  # no real image's again before all others'
    pd.testing.assert_frame_equal(table.head(5), synthetic_table(real, name="set", images=5, seed=1, balanced=True))
