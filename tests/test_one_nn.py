"""1-NN accuracies against scikit-learn's classifier, the control cases whose values are known, and within their memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

from lookalike.measures import one_nn as module
from lookalike.measures.one_nn import one_nn

N, D = 1000, 64


def normal(*shape: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


REAL, FRESH, NOISE = (normal(N, D, seed=seed) for seed in (1, 2, 3))
MODES = np.random.default_rng(4).integers(0, 20, N)
CASES = {
    "same law": (REAL, FRESH, (0.50, 0.50)),
    "memorised": (REAL, REAL + 0.001 * NOISE, (0.0, 0.0)),
    "memorised to the bit": (REAL, REAL[::-1], (0.0, 0.0)),
    "half memorised": (REAL, np.concatenate([REAL[:500] + 0.001 * NOISE[:500], FRESH[500:]]), (0.24, 0.25)),
    "half memorised to the bit": (REAL, np.concatenate([FRESH[500:], REAL[:500]]), (0.24, 0.25)),
    "shifted": (REAL, FRESH + 0.3, (0.71, 0.70)),
    "collapsed to 20 modes": (REAL, REAL[MODES] + 0.3 * NOISE, (0.88, 0.003)),
    "smaller variance": (REAL, 0.7 * FRESH, (0.02, 1.0)),
    "larger variance": (REAL, 1.3 * FRESH, (0.98, 0.04)),
    "reals in near-duplicate pairs": (np.repeat(REAL[:500], 2, axis=0) + 0.01 * NOISE, FRESH, (1.0, 0.65)),
}


@pytest.mark.parametrize("case", CASES)
def test_control_cases(case: str) -> None:
    """What 1,000 against 1,000 images give by simulation; shares of 1,000 images that are alike vary by 0.02."""
    real, fake, expected = CASES[case]
    exact = expected == (0.0, 0.0)
    assert one_nn(real, fake) == (expected if exact else pytest.approx(expected, abs=0.05))


@pytest.mark.parametrize(("block", "images"), [(3, 1024), (2048, 1024), (3, 7), (2048, 1), (2048, 139)])
def test_equals_leaving_one_out_of_scikit_learns_classifier(block: int, images: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCK", block)
    monkeypatch.setattr(module, "_ROWS", images)
    # far from 0 and spread unlike: products of vectors that are not centred would have lost the distances
    real, fake = (1e6 + normal(n, 2, 2, 5, seed=seed) * np.linspace(1, 30, 5) for n, seed in ((80, 1), (60, 2)))
    rows, kind = np.concatenate([real, fake]).reshape(140, -1), np.arange(140) < 80
    found = cross_val_predict(KNeighborsClassifier(1, algorithm="kd_tree"), rows, kind, cv=LeaveOneOut())
    right = found == kind
    assert one_nn(real, fake) == (right[:80].mean(), right[80:].mean())


@pytest.mark.parametrize("images", [1, 2, 4, 1024])
def test_copies_share_the_vote_in_whatever_order(images: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Six images in two places: by hand."""
    monkeypatch.setattr(module, "_ROWS", images)
    real = np.array([[0, 0], [0, 0], [9, 9]], dtype=np.uint16)
    fake = np.array([[0, 0], [9, 9], [9, 9]], dtype=np.uint16)
    assert one_nn(real, fake) == pytest.approx(((1 / 2 + 1 / 2 + 0) / 3, (0 + 1 / 2 + 1 / 2) / 3))
    assert one_nn(real[::-1], fake[::-1]) == one_nn(real, fake)
    constant = np.ones((4, 5))
    assert one_nn(constant, constant) == pytest.approx((3 / 7, 3 / 7))


def test_sets_without_accuracies() -> None:
    x = normal(5, 3, seed=1)
    for pair in ((x, x[:1]), (x[:0], x), (x, np.where(np.eye(5, 3, dtype=bool), np.nan, x))):
        assert np.isnan(one_nn(*pair)).all()
    with pytest.raises(ValueError, match="of 3 values and fake ones of 2"):
        one_nn(x, x[:, :2])


def test_the_papers_patches_take_less_than_1_gb() -> None:
    real, fake = (np.random.default_rng(seed).integers(0, 65536, (1000, 7, 64, 64), dtype=np.uint16) for seed in (1, 2))
    tracemalloc.start()
    one_nn(real, fake)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 5e7 < peak < 2e8


def all_distances(real: np.ndarray, fake: np.ndarray) -> tuple[float, float]:
    """The slow form: every distance from the differences themselves, exact for whole numbers."""
    rows = np.concatenate([real, fake]).astype(np.int64)
    distances = np.square(rows[:, None] - rows[None]).sum(axis=2).astype(np.float64)
    np.fill_diagonal(distances, np.inf)
    near = distances == distances.min(axis=1, keepdims=True)
    own = near[:, : len(real)].sum(axis=1) / near.sum(axis=1)
    return own[: len(real)].mean(), 1 - own[len(real) :].mean()


@pytest.mark.parametrize("images", [1, 17, 64, 1024])
def test_blocks_equal_all_distances_with_many_ties(images: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ROWS", images)
    real, fake = (np.random.default_rng(seed).integers(0, 4, (n, 5)) for seed, n in ((1, 90), (2, 70)))
    assert one_nn(real, fake) == pytest.approx(all_distances(real, fake), rel=1e-12)
