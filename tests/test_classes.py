"""Comparisons of classes: made sets whose measures are known, and which images are drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lookalike.measures.classes import ImageSet, at_most, compare_classes, select_summary
from lookalike.measures.frechet import frechet_distance
from lookalike.measures.one_nn import one_nn


def images(seed: int, patients: int = 0, **counts: int) -> ImageSet:
    """Images of one law; pixels are another view of the features."""
    n = sum(counts.values())
    features = np.random.default_rng(seed).normal(size=(n, 12)).astype(np.float32)
    pixels = np.rint(1000 * (features[:, :, None, None] + 8)).astype(np.uint16).repeat(2, axis=3)
    return ImageSet(features, pixels, np.repeat(list(counts), list(counts.values())), patients + np.arange(n) // 2)


def compared(training: ImageSet, held_out: ImageSet, synthetic: ImageSet, *, compared: int = 100, draws: int = 8, seed: int = 1) -> pd.DataFrame:
    return compare_classes(training, held_out, synthetic, features="x", compared=compared, draws=draws, seed=seed)


TRAINING = images(1, malignant=60, benign=300)
HELD_OUT = images(2, 1000, benign=150, malignant=40)
FRESH = images(3, 5000, benign=300, malignant=60)


def test_at_most_so_many_of_each_class() -> None:
    table = pd.DataFrame({"class": ["a"] * 30 + ["b"] * 3 + ["c"] * 10, "number": range(43)}, index=range(100, 143))
    some, again, other = (at_most(table, 5, seed=seed) for seed in (1, 1, 2))
    assert some["class"].value_counts().to_dict() == {"a": 5, "c": 5, "b": 3} and some["number"].is_monotonic_increasing
    assert some.equals(again) and not some.equals(other) and some.index.tolist() == list(range(13))
    assert at_most(table, 99, seed=1).equals(table.reset_index(drop=True))


def test_fakes_of_the_same_law_are_like_other_patients_and_memorised_ones_are_not() -> None:
    memorised = replace(FRESH, **{key: np.roll(getattr(TRAINING, key), -60, axis=0) for key in ("features", "pixels")})
    fresh, copied = (compared(TRAINING, HELD_OUT, fakes, compared=300).set_index(["class", "measure", "features"]) for fakes in (FRESH, memorised))
    assert fresh.index.tolist() == [
        (name, *row)
        for name in ("benign", "malignant")
        for row in (("frechet", "x"), ("nn_real", "x"), ("nn_fake", "x"), ("nn_real", "pixels"), ("nn_fake", "pixels"))
    ]
    assert fresh["name"].tolist()[:3] == ["Frechet distance (x)", "1-NN accuracy, real", "1-NN accuracy, fake"]
    accuracies = fresh.loc["benign"].iloc[1:]
    assert (abs(accuracies[["value", "control", "matched"]] - 0.5) < 0.08).all(axis=None)
    assert copied.loc["benign"]["value"].tolist() == pytest.approx([0.0] * 5, abs=1e-9)
    np.testing.assert_array_equal(copied["control"], fresh["control"])
    # of copies and originals that are drawn independently, few meet
    assert (compared(TRAINING, HELD_OUT, memorised).query("measure != 'frechet' and `class` == 'benign'")["value"] > 0.2).all()
    # the distance falls with the number of images, so that only `matched` stands beside the control
    distance = fresh.loc[("benign", "frechet", "x")]
    assert distance[["n_real", "n_synthetic", "n_control"]].tolist() == [300, 300, 150]
    assert distance["value"] < 0.75 * distance["control"] and distance["matched"] == pytest.approx(distance["control"], rel=0.3)


def test_where_all_images_are_needed_every_draw_is_of_all() -> None:
    table = compared(TRAINING, HELD_OUT, FRESH).set_index(["class", "measure", "features"])
    of = [each.classes == "malignant" for each in (TRAINING, FRESH)]
    row = table.loc[("malignant", "frechet", "x")]
    assert row["value"] == row["low"] == row["high"] == pytest.approx(frechet_distance(TRAINING.features[of[0]], FRESH.features[of[1]]))
    assert row["sd"] == pytest.approx(0, abs=1e-12) and row["control_low"] < row["control_high"]
    pixels = table.loc["malignant"].xs("pixels", level="features")["value"]
    assert pixels.tolist() == pytest.approx(one_nn(TRAINING.pixels[of[0]], FRESH.pixels[of[1]]))
    assert row["note"] == "all 60 training images in every draw, all 60 synthetic images in every draw, all 40 held-out images in every draw"
    drawn = table.loc[("benign", "frechet", "x")]
    assert drawn["sd"] > 0 and drawn["low"] < drawn["value"] < drawn["high"] and drawn["n_control"] == 100
    assert drawn["matched"] == drawn["value"] and drawn["note"].startswith("of 300 training images, of 300 synthetic")


def test_draws_hang_on_seed_class_and_draw_alone() -> None:
    alone = [replace(each, **{key: getattr(each, key)[each.classes == "benign"] for key in vars(each)}) for each in (TRAINING, HELD_OUT, FRESH)]
    both = compared(TRAINING, HELD_OUT, FRESH)
    pd.testing.assert_frame_equal(compared(*alone), both[both["class"] == "benign"])
    assert compared(*alone, seed=2)["value"][0] != both["value"][0]
    # the first two of three draws are those of two
    two, three = (compared(*alone, draws=draws).iloc[0] for draws in (2, 3))
    first = two["value"] + two["sd"] / np.sqrt(2) * np.array([-1, 1])
    third = 3 * three["value"] - 2 * two["value"]
    assert two["sd"] > 0 and three["sd"] == pytest.approx(np.std([*first, third], ddof=1))


def test_classes_without_fakes_or_held_out_images() -> None:
    table = compared(TRAINING, images(2, 1000, benign=50), images(3, 5000, malignant=50), draws=2).groupby("class")
    assert table.get_group("benign")[["value", "sd", "low", "control", "matched"]].isna().all(axis=None)
    malignant = table.get_group("malignant")
    assert malignant["value"].notna().all() and malignant[["control", "control_high", "matched"]].isna().all(axis=None)
    with pytest.raises(ValueError, match="held-out images of patients that were trained on"):
        compared(TRAINING, images(2, benign=50), FRESH)


def test_the_optimism_of_choosing_the_best_epoch() -> None:
    epochs = [{"nimg": 1000 * (k + 1), "distance": distance} for k, distance in enumerate([9.0, 5.0, 2.0, 4.0, 3.0, 6.0, 4.0, 8.0])]
    about = {
        "dcgan": {"evaluations": epochs, "nimg": 3000, "second_draw": 2.5},
        "wgan": {"evaluations": epochs[:1], "nimg": 1000, "second_draw": 9.5},
        "unjudged": {"evaluations": [], "nimg": 8000},
    }
    table = select_summary(about, name="FID")
    assert table.columns.tolist() == ["generator", "epochs", "best_kimg", "best", "median_last", "second_draw", "name"]
    assert table.iloc[0].tolist() == ["dcgan", 8, 3.0, 2.0, 6.0, 2.5, "FID"]
    assert table.iloc[1].tolist() == ["wgan", 1, 1.0, 9.0, 9.0, 9.5, "FID"]
    assert table.iloc[2, 2:6].isna().all() and table["epochs"][2] == 0
