"""Enhancement curves and consistency of made patches with closed forms; the classifier's AUC against that of two Gaussians."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lookalike.measures.enhancement import Patches, measure_enhancement, tabulate_enhancement


def store(channels: np.ndarray, bits: int = 16) -> np.ndarray:
    """[n, 6, H, W] of T2, pre and posts in 0 to 1023, as a store keeps them with their subtraction [n, 7, H, W]."""
    shares = np.concatenate([channels / 1023, ((channels[:, 2:3] - channels[:, 1:2]) / 1023 + 1) / 2], axis=1)
    return np.rint(shares * (2**bits - 1)).astype(f"u{bits // 8}")


def flat(curves: np.ndarray, side: int = 8) -> np.ndarray:
    """Stored patches of one signal all over, with curves [n, 5]."""
    return store(np.repeat(np.insert(curves, 0, 500.0, axis=1)[:, :, None, None], side, axis=2).repeat(side, axis=3))


def test_curves_are_those_of_the_middle() -> None:
    rows, columns = np.mgrid[:64, :64] - 32
    inside = np.hypot(rows, columns) <= 8
    wanted = np.array([[100, 200, 220, 180, 150.0], [0, 102.3, 0, 0, 204.6]])
    channels = np.full((2, 6, 64, 64), 900.0)
    channels[:, 1:, inside] = wanted[:, :, None]
    found = measure_enhancement(store(channels))
    np.testing.assert_allclose(found.curves, wanted, atol=0.01)
    # of a signal of 0, the rise is in hundredths of the range
    np.testing.assert_allclose(found.kinetics, [[1.0, -0.25], [10.0, 1.0]], atol=1e-3)
    # a ring around the disc would show
    channels[:, 1:, ~inside & (np.hypot(rows, columns) <= 9)] = 0
    np.testing.assert_array_equal(measure_enhancement(store(channels)).curves, found.curves)
    channels[:, 1:, inside & (np.hypot(rows, columns) > 7)] = 0
    assert (measure_enhancement(store(channels)).curves[0] < 0.9 * wanted[0]).all()


@pytest.mark.parametrize(("bits", "rounding"), [(16, 0.02), (8, 4.0)])
def test_a_shift_of_one_pixel_is_detected(bits: int, rounding: float) -> None:
    """Posts that rise by 12 a column, moved by one column after the subtraction was made: it is 12 off everywhere. 300 patches: more than are read at once."""
    generator = np.random.default_rng(1)
    channels = generator.uniform(0, 200, (300, 6, 16, 16))
    channels[:, 2:] = 12.0 * np.arange(17)[1:] + generator.uniform(0, 400, (300, 1, 1, 1))
    channels[:, 3:] += 50
    stored = store(channels, bits)
    still = measure_enhancement(stored).consistency
    assert still.shape == (300,) and (still > 0).all() and (still < rounding).all()
    moved = store(np.concatenate([channels[:, :2], channels[:, 2:] - 12], axis=1), bits)
    moved[:, 6] = stored[:, 6]
    np.testing.assert_allclose(measure_enhancement(moved).consistency, 12, atol=rounding)
    one = moved[:1].copy()
    one[0, :6] = stored[0, :6]
    assert measure_enhancement(one).consistency < rounding  # it was the shift alone


def patches(seed: int, n: int, *, separation: float = 1.0, first: int = 0) -> Patches:
    """Lesions whose rise and washout are Gaussian, those of malignant ones `separation` standard deviations away in either, and normal patches that are flat."""
    generator = np.random.default_rng(seed)
    malignant = np.arange(n) % 2
    rise = 1 + 0.1 * (separation * malignant + generator.normal(size=n))
    washout = 0.05 * (-separation * malignant + generator.normal(size=n))
    post = 200 * (1 + rise)
    curves = np.stack([np.full(n, 200.0), post, post, post, post * (1 + washout)], axis=1)
    images = flat(np.concatenate([curves, np.full((n // 4, 5), 200.0)]))
    classes = np.concatenate([np.where(malignant == 1, "malignant", "benign"), np.full(n // 4, "normal")])
    return Patches(images, classes, first + np.arange(len(classes)))


def table_of(synthetic: dict[str, Patches], *, held_out: Patches | None = None, draws: int = 200) -> tuple[pd.DataFrame, pd.DataFrame]:
    return tabulate_enhancement(patches(1, 4000), held_out or patches(2, 3000, first=10_000), synthetic, draws=draws, seed=1)


def test_the_classifiers_auc_is_that_of_two_gaussians() -> None:
    """Two independent features one standard deviation apart: together sqrt(2) apart, which the best classifier's AUC is Phi(sqrt(2) / sqrt(2)) of."""
    deaf = patches(4, 3000)
    deaf = Patches(deaf.images, np.random.default_rng(1).permutation(deaf.classes), deaf.patients)
    table, _ = table_of({"good": patches(3, 3000), "deaf": deaf}, draws=600)
    aucs = table[table["measure"] == "auc"].set_index(["generator", "set"])
    assert aucs.index.tolist() == [("", "real_test"), ("good", "synthetic"), ("deaf", "synthetic")]
    assert aucs["value"].iloc[:2].tolist() == pytest.approx([stats.norm.cdf(1)] * 2, abs=0.02)
    assert aucs["value"].iloc[2] == pytest.approx(0.5, abs=0.03)
    assert ((aucs["low"] < aucs["value"]) & (aucs["value"] < aucs["high"])).all()
    # Hanley and McNeil's standard error of an AUC of 0.84 of 1,500 against 1,500
    assert (aucs["high"] - aucs["low"]).iloc[0] / 3.92 == pytest.approx(0.0073, rel=0.12)
    assert (aucs["control"] == aucs["value"].iloc[0]).all() and (aucs["n"].iloc[:2] == 3000).all()


def test_means_by_class_and_their_intervals() -> None:
    table, curves = table_of({"good": patches(3, 3000)})
    rows = table.set_index(["set", "class", "measure"])
    for name in ("real_train", "real_test", "synthetic"):
        assert rows.loc[(name, "malignant", "initial_rise"), "value"] == pytest.approx(1.1, abs=0.01)
        assert rows.loc[(name, "malignant", "washout"), "value"] == pytest.approx(-0.05, abs=0.005)
        assert rows.loc[(name, "normal", "initial_rise"), "value"] == pytest.approx(0, abs=1e-3)
        assert rows.loc[(name, "benign", "consistency"), "value"] < 0.02
    one = rows.loc[("real_test", "benign", "initial_rise")]
    assert (one["high"] - one["low"]) / 3.92 == pytest.approx(0.1 / np.sqrt(1500), rel=0.2)
    assert one["patients"] == one["n"] == 1500 and one["control"] == one["value"] and one["unit"] == "share of pre"
    assert np.isnan(rows.loc[("synthetic", "benign", "washout"), "patients"])
    assert len(curves) == 3 * 3 * 5
    benign = curves[(curves["set"] == "synthetic") & (curves["class"] == "benign")]
    assert benign["time"].tolist() == [0, 1, 2, 3, 4] and benign["generator"].unique() == ["good"]
    assert benign["mean"].tolist() == pytest.approx([200, 400, 400, 400, 400], abs=2)
    after = benign.iloc[1:]
    assert ((after["low"] < after["mean"]) & (after["mean"] < after["high"])).all()


def test_patches_of_a_patient_are_drawn_together() -> None:
    """Every patch four times over tells nothing new."""
    once = patches(2, 400, first=10_000)
    often = Patches(*(np.repeat(each, 4, axis=0) for each in (once.images, once.classes, once.patients)))
    tables = [table_of({}, held_out=each)[0].query("set == 'real_test'") for each in (once, often)]
    np.testing.assert_allclose(*(each[["value", "low", "high", "patients"]].to_numpy(dtype=float) for each in tables), rtol=1e-9)


def test_classes_that_are_not_there() -> None:
    benign = patches(3, 200)
    only = benign.classes == "benign"
    few = Patches(benign.images[only], benign.classes[only], benign.patients[only])
    table, curves = table_of({"few": few}, draws=20)
    lacking = table[(table["generator"] == "few") & (table["class"] != "benign")]
    assert lacking["value"].isna().all() and lacking.set_index("class")["n"].to_dict() == {"malignant": 0, "normal": 0, "": 100}
    assert curves[(curves["generator"] == "few") & (curves["class"] == "normal")]["mean"].isna().all()
    assert "auc" not in set(tabulate_enhancement(few, few, {}, draws=2, seed=1)[0]["measure"])  # nothing to learn from
