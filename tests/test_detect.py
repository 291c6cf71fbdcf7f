"""Detectors on planted truth: sensitivity and specificity on phantoms, the rules one by one on drawings, and real films."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from lookalike.phantoms.mammography import annotate, draw, render
from lookalike.pixels.detect import find_foreign_bodies, text_score, working
from lookalike.pixels.display import read_display
from lookalike.pixels.geometry import breast_mask

REAL = os.environ.get("LOOKALIKE_REAL_DATA")
needs_real = pytest.mark.skipif(REAL is None, reason="LOOKALIKE_REAL_DATA is not set: no real files to test on")
SHAPE = (640, 512)


def phantom(seed: int, foreign: str = "none") -> np.ndarray:
    patient = draw(seed, density="ABCD"[seed % 4], lesion=("none", "benign_mass", "benign_calcifications", "malignant_calcifications")[seed // 4 % 4])
    return render(patient, view=("CC", "MLO")[seed % 2], laterality="LR"[seed // 2 % 2], shape=SHAPE, foreign=foreign)


@pytest.mark.parametrize(("foreign", "kind"), [("implant", "implant"), ("clip", "clip"), ("pacemaker", "device"), ("skin_marker", "clip")])
def test_planted_bodies_are_found_and_named(foreign: str, kind: str) -> None:
    found = []
    for seed in range(700, 708):
        picture = phantom(seed, foreign)
        found.append(find_foreign_bodies(working(picture, breast_mask(picture))))
    assert sum(body.score >= 1 for body in found) >= 7
    assert sum(body.kind == kind for body in found if body.score >= 1) >= 6


def test_plain_breasts_are_left_alone_and_text_is_found_on_them() -> None:
    for seed in range(720, 736):
        picture = phantom(seed)
        mask = breast_mask(picture)
        assert find_foreign_bodies(working(picture, mask)).score < 1, seed
        assert text_score(working(picture, mask)) < 1, seed
        side = "LR"[seed // 2 % 2]
        written = annotate(picture, [f"{side} CC"], laterality=side)
        assert text_score(working(written, breast_mask(written))) >= 1, seed


def breast() -> tuple[np.ndarray, np.ndarray]:
    """A smooth breast on the left edge, 0.3 at the skin to 0.6 inside."""
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    distance = np.hypot((rows - 320) / 250, columns / 330)
    picture = np.where(distance < 1, 0.3 + 0.3 * np.sqrt(np.maximum(1 - distance, 0)), 0).astype(np.float32)
    return picture, distance < 1


def planted(part: tuple[slice, slice], value: float = 1.0) -> float:
    picture, mask = breast()
    picture[part] = value
    return find_foreign_bodies(working(picture, mask)).score


def test_what_tells_metal_from_calcium_and_from_faults() -> None:
    assert planted((slice(300, 303), slice(100, 108))) > 1
    assert planted((slice(300, 303), slice(100, 108)), 0.9) < 1  # bright, but not saturated
    assert planted((slice(300, 302), slice(100, 102))) < 1  # saturated, but a speck
    assert planted((slice(300, 301), slice(50, 200))) < 1  # a scratch
    assert planted((slice(0, 3), slice(0, 200))) < 1  # the bright border of a film scan
    assert planted((slice(250, 350), slice(50, 150))) > 1  # a device
    picture, mask = breast()
    blob = np.zeros(SHAPE, dtype=np.float32)
    blob[250:390, 50:190] = 1
    dense = np.maximum(picture, ndimage.gaussian_filter(blob, 25) * 1.2).clip(0, 1)
    assert dense.max() == 1
    assert find_foreign_bodies(working(dense, mask)).score < 1  # dense tissue saturates, without an edge


def test_a_clip_survives_the_reduction_of_large_pictures() -> None:
    picture, mask = breast()
    large, large_mask = picture.repeat(5, axis=0).repeat(5, axis=1), mask.repeat(5, axis=0).repeat(5, axis=1)
    large[1600:1612, 500:535] = 1
    assert find_foreign_bodies(working(large, large_mask)).score > 1


@pytest.mark.parametrize("shape", [(1280, 1024), (1283, 1031), (641, 37), (1300, 2), (641, 1), (3, 10_000)])
def test_the_working_picture_holds_means_and_maxima_of_blocks(shape: tuple[int, int]) -> None:
    picture, mask = np.random.default_rng(1).random(shape, dtype=np.float32), np.random.default_rng(2).random(shape) < 0.5
    found, factor = working(picture, mask), -(-max(shape) // 640)
    high, wide = min(factor, shape[0]), min(factor, shape[1])
    blocks = [[picture[i : i + high, j : j + wide] for j in range(0, shape[1] - wide + 1, wide)] for i in range(0, shape[0] - high + 1, high)]
    np.testing.assert_allclose(found.mean, [[block.mean() for block in row] for row in blocks], rtol=1e-6)
    np.testing.assert_array_equal(found.peak, [[block.max() for block in row] for row in blocks])
    assert found.breast.shape == found.mean.shape


def test_a_straight_bright_muscle_is_no_implant_and_a_round_body_is() -> None:
    picture, mask = breast()
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    muscle = np.where(mask & (columns < 200 - rows / 2), 0.85, picture).astype(np.float32)
    assert find_foreign_bodies(working(muscle, mask)).score < 1
    implant = np.where(np.hypot(rows - 320, columns) < 170, 0.9, picture).astype(np.float32)
    body = find_foreign_bodies(working(implant, mask))
    assert body.score > 1
    assert body.kind == "implant"


def test_film_labels_count_as_text_and_tape_does_not() -> None:
    picture, mask = breast()
    assert text_score(working(picture, mask)) == 0
    label, tape = picture.copy(), picture.copy()
    label[30:60, 450:480] = 0.9
    tape[:, 490:510] = 1
    assert text_score(working(label, mask)) >= 1
    assert text_score(working(tape, mask)) < 1


def test_pictures_without_a_breast_or_tiny_ones_do_not_fail() -> None:
    for shape in ((640, 512), (20, 16), (3, 2)):
        blank = np.zeros(shape, dtype=np.float32)
        assert find_foreign_bodies(working(blank, blank > 0)).score == 0
        assert text_score(working(blank, blank > 0)) == 0
        assert find_foreign_bodies(working(blank + 1, blank == 0)).score < 1


@needs_real
def test_real_films_without_metal_are_kept() -> None:
    flagged = 0
    for number in range(1, 201, 5):
        picture = read_display(Path(REAL or ".") / "mini-mias" / "images" / f"mdb{number:03d}.png", window=0).pixels
        flagged += find_foreign_bodies(working(picture, breast_mask(picture))).score >= 1
    assert flagged <= 2  # of 40
