"""Comparisons: what the ceilings, intervals and notes of contract 9 must say of sets whose truth is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lookalike.errors import LookalikeError
from lookalike.measures import compare
from lookalike.measures.compare import (
    COLUMNS,
    compare_coverage,
    compare_label_mi,
    compare_pair_mi,
    compare_spectrum,
    spectrum_curves,
)
from lookalike.measures.coverage import Coverage, coverage
from lookalike.measures.label_mi import equal_label_mi, label_mi
from lookalike.measures.moments import image_moments
from lookalike.measures.pair_mi import pair_agreement
from lookalike.statistics import cluster_bootstrap

FAST = {"splits": 8, "bootstrap": 20, "seed": 3}


def moments(n: int, *, seed: int, shift: float = 0.0) -> np.ndarray:
    """Like moments of mammograms: M2 goes with M1, M4 and M5 with M3."""
    a, b, c = np.random.default_rng(seed).normal(size=(3, n))
    a = a + shift
    m3 = 1.5 - 0.6 * a + 0.3 * c
    return np.stack([0.2 + 0.05 * a, 0.04 + 0.01 * a + 0.004 * b, m3, 1.1 * m3**2 + 0.5 * np.abs(b), m3**3 + 0.8 * m3], axis=1)


def patients(n: int, images: int = 2) -> np.ndarray:
    return np.char.add("p", (np.arange(n) // images).astype(str))


def pick(table: pd.DataFrame, definition: str, first: str, second: str = "") -> pd.Series:
    rows = table[(table["definition"] == definition) & (table["first"] == first) & (table["second"] == second)]
    assert len(rows) == 1
    return rows.iloc[0]


def check(table: pd.DataFrame, *, rows: int, n_real: int, n_synthetic: int, n_patients: int) -> None:
    assert tuple(table.columns) == COLUMNS and len(table) == rows
    assert (table[["n_real", "n_synthetic", "n_patients"]] == [n_real, n_synthetic, n_patients]).all(axis=None)
    numbers = table[table["definition"] != "p"]
    for low, middle, high in (("low", "value", "high"), ("ceiling_low", "ceiling", "ceiling_high"), ("matched_low", "matched", "matched_high")):
        assert (numbers[low] <= numbers[middle] + 1e-12).all() and (numbers[middle] <= numbers[high] + 1e-12).all()


def test_values_are_those_of_the_measures() -> None:
    real, synthetic = moments(120, seed=1), moments(90, seed=2, shift=0.3)
    table = compare_coverage(real, patients(120), synthetic, grid=64, **FAST)
    check(table, rows=33, n_real=120, n_synthetic=90, n_patients=60)
    assert table.drop_duplicates(["first", "second"])[["first", "second"]].to_numpy().tolist()[:5] == [["M1", f"M{k}"] for k in range(2, 6)] + [
        ["M2", "M3"]
    ]
    pairs = table[(table["measure"] == "coverage") & (table["definition"] == "hdr")]
    mean = pick(table, "hdr", "all pairs")
    assert mean["value"] == pytest.approx(pairs["value"].mean()) and mean["high"] - mean["low"] < (pairs["high"] - pairs["low"]).max()
    assert pick(table, "points", "M2", "M5")["value"] == pytest.approx(coverage(real[:, [1, 4]], synthetic[:, [1, 4]], grid=64)["points"])
    table = compare_pair_mi(real, patients(120), synthetic, grid=40, **FAST)
    check(table, rows=75, n_real=120, n_synthetic=90, n_patients=60)
    expected = pair_agreement(real, synthetic, grid=40, seed=FAST["seed"])
    for definition in ("density_nmi", "hist_nmi", "label_mi_complement"):
        assert pick(table, definition, "M3", "M3")["value"] == pytest.approx(expected[2, 2][definition])
        assert pick(table, definition, "M1", "M4")["value"] == pytest.approx(expected[0, 3][definition])
    table = compare_label_mi(real, patients(120), synthetic, permutations=19, **FAST)
    check(table, rows=25, n_real=120, n_synthetic=90, n_patients=60)
    ours = equal_label_mi(real[:, 0], synthetic[:, 0], seed=FAST["seed"]).estimate
    names = {
        "clipped": "mi",
        "unclipped": "mi_unclipped",
        "neighbours_digamma": "neighbours_digamma",
        "neighbours_arithmetic": "neighbours_arithmetic",
    }
    for definition, field in names.items():
        assert pick(table, definition, "M1")["value"] == getattr(ours, field)
    p = pick(table, "p", "M1")
    assert 1 / 20 <= p["value"] <= 1 and p["low"] < p["value"] <= p["high"]
    assert table["note"].str.startswith("equal classes of 90 images, median of 21 random subsamples of the larger set").all()


def test_label_mi_of_one_size_is_the_measure_of_all_images() -> None:
    real, synthetic = moments(80, seed=1), moments(80, seed=2, shift=0.3)
    table = compare_label_mi(real, patients(80), synthetic, permutations=19, **FAST)
    assert pick(table, "unclipped", "M2")["value"] == label_mi(real[:, 1], synthetic[:, 1]).mi_unclipped
    assert pick(table, "neighbours_arithmetic", "M2")["note"] == "equal classes of 80 images"


@pytest.mark.parametrize(("n", "m"), [(40, 240), (240, 40)])
def test_label_mi_of_sets_apart_is_ln_2_whatever_their_sizes(n: int, m: int) -> None:
    """As they are, 40 and 240 images cannot have more than .410 nats. Nothing clipped leaves [0, ln 2], no digamma mean falls below k."""
    real, synthetic = moments(n, seed=1), moments(m, seed=2, shift=1000.0)
    table = compare_label_mi(real, patients(n), synthetic, permutations=19, **FAST)
    assert (pick(table, "clipped", "M1")[["value", "low", "high", "matched"]] == np.log(2)).all()
    assert pick(table, "unclipped", "M1")["value"] > np.log(2)
    numbers = ["value", "low", "high", "ceiling", "ceiling_low", "ceiling_high", "matched", "matched_low", "matched_high"]
    clipped, neighbours = (table.loc[table["definition"] == name, numbers] for name in ("clipped", "neighbours_digamma"))
    assert (clipped >= 0).all(axis=None) and (clipped <= np.log(2)).all(axis=None) and (neighbours >= 3).all(axis=None)
    # no permutation reaches it: P is an upper bound
    assert pick(table, "p", "M1")[["value", "low"]].tolist() == [1 / 20, 0]
    pairs = compare_pair_mi(real, patients(n), synthetic, grid=20, **FAST)
    row = pick(pairs, "label_mi_complement", "M1", "M1")
    assert (row[["value", "low", "high", "matched"]] == 0).all() and row["ceiling"] > 0.8 and row["note"].startswith("equal classes of 40 images")


def test_label_mi_keeps_classes_equal_in_halves_and_splits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Patients of one to nine images: their halves are unlike in size until they are made alike."""
    sizes = []

    def spy(first: np.ndarray, second: np.ndarray, **settings: object) -> object:
        sizes.append((len(first), len(second)))
        return label_mi(first, second, **settings)  # type: ignore[arg-type]

    monkeypatch.setattr(compare, "label_mi", spy)
    owners = np.repeat(np.arange(20), 1 + np.arange(20) % 9)
    for synthetics in (25, 400):
        compare_label_mi(moments(len(owners), seed=1), owners, moments(synthetics, seed=2), permutations=1, **FAST)
    assert len(sizes) == 2 * 5 * (8 + 8 + 20 + 1) and all(first == second for first, second in sizes)
    assert len(set(sizes)) > 5


def test_label_mi_interval_holds_what_equal_classes_have() -> None:
    """40 times 100 real and 400 synthetic images of a known law: the interval holds the mean of the estimates about as often as it says."""
    tables = [
        compare_label_mi(
            moments(100, seed=seed), np.arange(100), moments(400, seed=1000 + seed, shift=1), permutations=0, splits=2, bootstrap=60, seed=1
        )
        for seed in range(40)
    ]
    rows = pd.DataFrame([pick(table, "unclipped", "M1") for table in tables])
    held = rows["value"].astype(float).mean()
    assert ((rows["low"] <= held) & (held <= rows["high"])).mean() > 0.9
    # not much wider than it must be: the subsamples' median varies less than a subsample
    assert 1 < (rows["high"] - rows["low"]).mean() / (3.92 * rows["value"].astype(float).std()) < 1.6


def test_same_law_reaches_the_ceiling_and_another_does_not() -> None:
    """Reals of one image a patient: synthetic images of the same law are as good as the other half of the reals."""
    real = moments(400, seed=3)
    same = compare_coverage(real, np.arange(400), moments(400, seed=4), grid=64, splits=30, bootstrap=20)
    other = compare_coverage(real, np.arange(400), moments(400, seed=4, shift=1.5), grid=64, splits=30, bootstrap=20)
    assert same["ratio"].between(0.9, 1.1).all()
    assert (
        pick(other, "hdr", "M1", "M2")["ratio"] < 0.75
        and pick(other, "hdr", "M1", "M2")["matched_high"] < pick(other, "hdr", "M1", "M2")["ceiling_low"]
    )
    mi = compare_label_mi(real, np.arange(400), moments(400, seed=4, shift=1.5), permutations=99, splits=30, bootstrap=40)
    row = pick(mi, "clipped", "M1")
    assert row["low"] > row["ceiling_high"] and np.isnan(row["ratio"]) and "floor" in row["note"] and pick(mi, "p", "M1")["value"] == 0.01


def test_matched_is_fair_in_the_number_of_images() -> None:
    """Ten times as many synthetic images as reals lift the value, not the matched one; a synthetic set smaller than a half shrinks that half too."""
    real = moments(100, seed=5)
    many = compare_pair_mi(real, np.arange(100), moments(3000, seed=6), grid=40, splits=10, bootstrap=10)
    few = compare_pair_mi(real, np.arange(100), moments(20, seed=6), grid=40, splits=10, bootstrap=10)
    pairs = many["definition"] == "jsd_complement"
    assert many.loc[pairs, "ratio"].between(0.97, 1.03).all() and (many.loc[pairs, "value"] > many.loc[pairs, "matched"]).mean() > 0.8
    assert (few.loc[pairs, "ceiling"] < many.loc[pairs, "ceiling"]).all()


def test_patients_not_images_are_resampled() -> None:
    """Ten near-copies of every patient: by image the ceiling would be near 1, and the interval a third as wide as it is."""
    generator = np.random.default_rng(7)
    real = np.repeat(moments(30, seed=8), 10, axis=0) * (1 + 1e-3 * generator.normal(size=(300, 5)))
    synthetic = moments(300, seed=9)
    clustered = compare_coverage(real, patients(300, 10), synthetic, grid=50, splits=20, bootstrap=60)
    loose = compare_coverage(real, np.arange(300), synthetic, grid=50, splits=20, bootstrap=60)
    row, wrong = (pick(table, "density_percentile", "M1", "M3") for table in (clustered, loose))
    assert row["n_patients"] == 30 and row["ceiling"] < wrong["ceiling"] - 0.05
    assert row["high"] - row["low"] > 1.5 * (wrong["high"] - wrong["low"])


def test_coarse_bootstrap_grid_has_the_fine_one_s_spread() -> None:
    real, synthetic = moments(300, seed=10)[:, [0, 2]], moments(300, seed=11)[:, [0, 2]]
    draws = cluster_bootstrap(np.arange(300), draws=100, seed=1), cluster_bootstrap(np.arange(300), draws=100, seed=2)
    fine, coarse = (Coverage(real, synthetic, grid=grid)(*draws, origin="synthetic") for grid in (200, 100))
    for definition in ("hdr", "density_percentile", "points"):
        assert np.corrcoef(fine[definition], coarse[definition])[0, 1] > 0.97
        assert np.std(coarse[definition]) == pytest.approx(np.std(fine[definition]), rel=0.1)


def test_same_seed_same_numbers() -> None:
    real, synthetic = moments(60, seed=12), moments(50, seed=13)
    first, again = (compare_coverage(real, patients(60), synthetic, grid=40, **FAST) for _ in range(2))
    pd.testing.assert_frame_equal(first, again, check_exact=True)
    other = compare_coverage(real, patients(60), synthetic, grid=40, **FAST | {"seed": 4})
    assert (first["value"] == other["value"]).all() and (first["ceiling"] != other["ceiling"]).any()


def test_images_without_moments_are_dropped_and_counted() -> None:
    real, synthetic = moments(62, seed=14), moments(51, seed=15)
    real[[3, 7], 2:] = np.nan
    synthetic[5] = np.nan
    table = compare_label_mi(real, patients(62), synthetic, permutations=9, **FAST)
    check(table, rows=25, n_real=60, n_synthetic=50, n_patients=31)
    assert table["note"].str.startswith("images without values dropped: 2 real, 1 synthetic").all()
    clean = compare_label_mi(
        np.delete(real, [3, 7], axis=0), np.delete(patients(62), [3, 7]), np.delete(synthetic, 5, axis=0), permutations=9, **FAST
    )
    pd.testing.assert_frame_equal(table.drop(columns="note"), clean.drop(columns="note"))


def test_collapsed_generator_says_why_there_is_no_number() -> None:
    real, collapsed = moments(60, seed=16), np.repeat(moments(1, seed=17), 40, axis=0)
    table = compare_coverage(real, patients(60), collapsed, grid=40, **FAST)
    assert (
        table["value"].isna().all()
        and table["ceiling"].notna().all()
        and (table.loc[table["measure"] == "coverage", "note"] == "synthetic: all values are the same").all()
    )
    table = compare_label_mi(real, patients(60), collapsed, permutations=19, **FAST)
    assert (table.loc[table["definition"] == "clipped", "value"] > 0.5).all() and (table.loc[table["definition"] == "p", "value"] == 1 / 20).all()


def test_too_few_patients_get_a_sentence() -> None:
    with pytest.raises(LookalikeError, match="3 patients with 60 real images are too few to be compared with 50 synthetic images"):
        compare_coverage(moments(60, seed=1), np.arange(60) % 3, moments(50, seed=2))
    with pytest.raises(ValueError, match="60 real images, but 59 patients"):
        compare_label_mi(moments(60, seed=1), np.arange(59), moments(50, seed=2))


def test_spectrum_finds_the_smooth_band() -> None:
    """Synthetic images with a tenth of the power above 16 cycles: about -1 in the band from 16 to 64, 0 below; the halves of the reals err around 0."""
    generator = np.random.default_rng(18)
    law = np.arange(1, 65.0) ** -2
    real, synthetic = (law * generator.gamma(20, 1 / 20, size=(n, 64)) for n in (80, 60))
    synthetic[:, 16:] /= 10
    table = compare_spectrum(real, patients(80), synthetic, splits=40, bootstrap=100)
    check(table, rows=3, n_real=80, n_synthetic=60, n_patients=40)
    assert table["first"].tolist() == ["low", "mid", "high"] and (table["definition"] == "log10_power_ratio").all()
    assert table["value"].to_numpy() == pytest.approx([0, 0, -48 / 49], abs=0.03)
    assert table["ceiling"].abs().max() < 0.01 and table["ceiling_low"].max() < 0 < table["ceiling_high"].min()
    assert table["ratio"].iloc[2] > 50 and table["ratio"].iloc[:2].max() < 5
    curves = spectrum_curves(real, patients(80), synthetic, splits=40)
    assert curves["frequency"].tolist() == list(range(1, 65))
    assert (curves["ceiling_low"] < curves["real"]).all() and (curves["real"] < curves["ceiling_high"]).all()
    np.testing.assert_allclose(curves["synthetic"], synthetic.mean(axis=0))


def test_halves_of_real_mammograms_cover_one_another(real_data: Path) -> None:
    """200 MIAS images, two a patient: halves cover .74 of one another over the ten pairs, far from 1, and single pairs hang on single images."""
    files = sorted((real_data / "mini-mias" / "images").glob("*.png"))
    values = np.concatenate([image_moments(np.asarray(Image.open(file).convert("L"))[None], bits=8) for file in files])
    assert np.isfinite(values).all() and len(values) == 200
    table = compare_coverage(values, np.arange(200) // 2, values, grid=100, splits=20, bootstrap=10)
    hdr = table[table["definition"] == "hdr"]
    assert 0.6 < hdr["ceiling"].mean() < 0.9 and hdr["value"].min() > 0.999
    assert table.loc[table["definition"] == "points", "ceiling"].between(0.9, 1).all()
