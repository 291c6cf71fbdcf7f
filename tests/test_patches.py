"""Patches of tiny exams, written as DICOM and cut, against the arrays that they were written from."""

from __future__ import annotations

import logging
import os
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_volume import AFFINE, affine_of, write_segmentation, write_series

from lookalike.config import Patches, Pixels
from lookalike.pixels import patches as patches_module
from lookalike.pixels.patches import CHANNELS, PHASES, breast_mask, cut_exams, lesion_centres, normal_centres
from lookalike.pixels.store import ImageStore
from lookalike.pixels.volume import Volume, read_series

SHAPE = (6, 40, 48)
PIXELS = Pixels(base=(2, 2), levels=4, bits=16, chest_wall="keep")
PATCHES = Patches(grid=(40, 48, 6), normal=25, clear=8)
SIDE = 16
TABLE = ["exam", "lesion", "label", "mask", "mask_value", "start_row", "end_row", "start_column", "end_column", "start_slice", "end_slice"]
Box = tuple[int, int, int, int, int, int]


def body(seed: int) -> dict[str, np.ndarray]:
    """The six series: two bright breasts of many values on dark air."""
    draw = np.random.default_rng(seed)
    slices, rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    breast = np.minimum(np.hypot(rows - 20, columns - 12), np.hypot(rows - 20, columns - 35)) < 10.5
    return {
        phase: np.where(breast, draw.integers(600, 900, SHAPE) + 100 * number + slices, draw.integers(0, 40, SHAPE))
        for number, phase in enumerate(PHASES)
    }


def write_exam(root: Path, number: int, boxes: list[tuple[str, Box]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    name = f"{number:016x}"
    files = [
        {"exam": name, "path": str(path.relative_to(root)), "phase": phase, "slice": place}
        for phase, values in body(number).items()
        for place, path in enumerate(write_series(root / name / phase, values, AFFINE))
    ]
    lesions = [[name, place, label, "", 0, *box] for place, (label, box) in enumerate(boxes)]
    return pd.DataFrame(files).sample(frac=1, random_state=0), pd.DataFrame(lesions, columns=TABLE)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pd.DataFrame, pd.DataFrame]:
    """Three exams: two lesions of which one is at the border, one lesion, none."""
    root = tmp_path_factory.mktemp("exams")
    boxes = [[("malignant", (17, 21, 8, 14, 1, 3)), ("benign", (2, 5, 40, 45, 4, 4))], [("benign", (18, 25, 30, 34, 0, 1))], []]
    written = [write_exam(root, number + 1, boxes[number]) for number in range(3)]
    return root, pd.concat([files for files, _ in written]), pd.concat([lesions for _, lesions in written])


def cut(
    tree: tuple[Path, pd.DataFrame, pd.DataFrame], output: Path, *, processes: int = 1, part: int = 3, patches: Patches = PATCHES
) -> tuple[pd.DataFrame, np.ndarray]:
    root, exams, lesions = tree
    path = output / f"part-{part:03}.zarr"
    table = cut_exams(exams, lesions, root=root, part=part, pixels=PIXELS, patches=patches, output=path, processes=processes)
    return table, ImageStore(table[table["row"] >= 0], [path]).level(PIXELS.levels - 1).load()


def crop(image: np.ndarray, row: int, column: int, mode: str) -> np.ndarray:
    padded = np.pad(image, SIDE, mode="reflect" if mode == "reflect" else "constant")
    top, left = row - SIDE // 2 + SIDE, column - SIDE // 2 + SIDE
    return padded[top : top + SIDE, left : left + SIDE]


@pytest.mark.parametrize("border", ["reflect", "zero"])
def test_patches_are_crops_of_the_scaled_series(tree: tuple[Path, pd.DataFrame, pd.DataFrame], tmp_path: Path, border: str) -> None:
    """T2 by its own range, T1 by one range for all five; centres are those of the boxes."""
    table, stored = cut(tree, tmp_path, patches=PATCHES.model_copy(update={"border": border}))
    assert (table["problem"] == "").all() and table["row"].tolist() == list(range(len(table))) and (table["part"] == 3).all()
    assert table["patch"].is_unique and table["patch"].str.fullmatch("[0-9a-f]{16}").all()
    found = table[table["lesion"] >= 0]
    # box 17 to 21 x 8 to 14: (19, 11); 2 to 5 x 40 to 45: (3.5, 42.5), half up
    expected = [("malignant", 0, number, 19, 11, False) for number in (1, 2, 3)] + [("benign", 1, 4, 4, 43, True)]
    expected += [("benign", 0, number, 22, 32, False) for number in (0, 1)]
    assert list(found[["label", "lesion", "slice", "row_centre", "column_centre", "flagged_border"]].itertuples(index=False, name=None)) == expected
    flags = 0
    for exam, group in table.groupby("exam"):
        series = body(int(str(exam), 16))
        low, high = min(series[phase].min() for phase in PHASES[1:]), max(series[phase].max() for phase in PHASES[1:])
        scaled = {phase: (values - low) / (high - low) for phase, values in series.items()}
        scaled["t2"] = (series["t2"] - series["t2"].min()) / np.ptp(series["t2"])
        for place in group.itertuples():
            crops = [crop(scaled[phase][place.slice], place.row_centre, place.column_centre, border) for phase in PHASES]
            np.testing.assert_allclose(stored[place.row, :6] / 65535, crops, atol=1e-5)
            inside = np.pad(np.ones(SHAPE[1:], dtype=bool), SIDE)
            top, left = place.row_centre - SIDE // 2 + SIDE, place.column_centre - SIDE // 2 + SIDE
            assert place.flagged_border == (not inside[top : top + SIDE, left : left + SIDE].all())
            flags += place.flagged_border
    assert 2 < flags < len(table) / 2
    values = stored / 65535
    difference = values[:, CHANNELS.index("post_1")] - values[:, CHANNELS.index("pre")]
    assert np.abs(2 * values[:, 6] - 1 - difference).max() <= 2.01 / 65535


def test_a_fixed_range_and_a_grid_of_another_shape(tree: tuple[Path, pd.DataFrame, pd.DataFrame], tmp_path: Path) -> None:
    """Twice the rows and columns and half the slices: the centre of the box moves with the field's edges."""
    table, stored = cut(tree, tmp_path, patches=PATCHES.model_copy(update={"intensity": (700.0, 900.0), "grid": (80, 96, 3), "normal": 0}))
    malignant = table[table["label"] == "malignant"]
    # pixels 17 to 21 have their middle 19.5 from the edge: 39 new ones, so between the centres of rows 38 and 39, of which the upper is taken; columns likewise
    assert set(malignant["row_centre"]) == {39} and set(malignant["column_centre"]) == {23}
    assert 1 in set(malignant["slice"]) and malignant["slice"].isin([0, 1]).all()  # slice 0 is half in
    assert stored[:, :6].min() == 0 and stored[:, :6].max() == 65535


def test_one_pixel_matters(tree: tuple[Path, pd.DataFrame, pd.DataFrame], tmp_path: Path) -> None:
    """A box, and a segmentation, one pixel further right move the patch one pixel to the right."""
    root, exams, lesions = tree
    masks = np.zeros((2, *SHAPE), dtype=bool)
    for shift in (0, 1):
        masks[shift, 2, 17:22, 8 + shift : 15 + shift] = True
        write_segmentation(root / f"{shift}.dcm", {4: masks[shift]}, AFFINE)
    box = lesions[lesions["exam"] == f"{1:016x}"].head(1)
    lesions = pd.concat(
        [box, box.assign(lesion=1, start_column=9, end_column=15)]
        + [box.assign(lesion=2 + shift, mask=f"{shift}.dcm", mask_value=4) for shift in (0, 1)]
    )
    table, stored = cut((root, exams, lesions), tmp_path)
    found = table[(table["lesion"] >= 0) & (table["slice"] == 2)]
    assert found["column_centre"].tolist() == [11, 12, 11, 12]
    a, b, c, d = stored[found["row"]]
    np.testing.assert_array_equal(a[:, :, 1:], b[:, :, :-1])
    assert np.array_equal(a, c) and np.array_equal(b, d) and not np.array_equal(a, b)


def test_centres_are_rounded_half_up() -> None:
    mask = np.zeros((4, 9, 9), dtype=bool)
    mask[1, 2:4, 5] = mask[2, 3, 3:6] = mask[2, 7, 8] = True
    assert list(lesion_centres(mask)) == [(1, 3, 5), (2, 4, 5)]  # (2.5, 5); (4, 5)


@pytest.mark.parametrize("other_breast", [False, True])
def test_no_finding_is_near_a_patch_without_findings(other_breast: bool) -> None:
    draw = np.random.default_rng(4)
    breast, findings = draw.random((5, 40, 48)) < 0.7, np.zeros((5, 40, 48), dtype=bool)
    findings[1, 5:9, 40:45] = findings[3, 30, 30] = True
    settings = Patches(normal=10**6, clear=8, other_breast=other_breast)
    every = normal_centres(breast, findings, "ab" * 8, settings)
    expected = {
        (number, row, column)
        for number, row, column in np.argwhere(breast).tolist()
        if not findings[max(0, number - 1) : number + 2, max(0, row - 4) : row + 4, max(0, column - 4) : column + 4].any()
        and not (other_breast and column >= 24)
    }
    assert len(every) == len(expected) and set(every) == expected
    some = [normal_centres(breast, findings, exam, settings.model_copy(update={"normal": 300})) for exam in ("ab" * 8, "ab" * 8, "cd" * 8)]
    assert len(set(some[0])) == 300 and some[0] == some[1] != some[2] and set(some[0]) < expected
    both = findings.copy()
    both[0, 0, 0] = True
    assert bool(normal_centres(breast, both, "ab" * 8, settings)) != other_breast


def test_both_breasts_are_found_and_neither_air_nor_chest() -> None:
    values = body(1)["pre"]
    breast = values > 100
    for chest in (40, 25):
        values[:, chest:] = 700
        breast[:, chest:] = False
        mask = breast_mask((1023 * values / values.max()).astype(np.float32))
        assert (mask & breast).sum() > 0.95 * breast.sum() and (mask & ~breast).sum() < 0.1 * breast.sum(), chest
    values[:] = np.arange(48)  # bright on one side, from front to back: nothing is in front of it
    assert 0.3 < breast_mask((20 * values).astype(np.float32)).mean() < 0.9


def test_a_patch_is_the_same_whatever_the_parts_and_processes(tree: tuple[Path, pd.DataFrame, pd.DataFrame], tmp_path: Path) -> None:
    root, exams, lesions = tree
    whole, stored = cut(tree, tmp_path / "whole", processes=2)
    apart = [
        cut((root, exams[exams["exam"].isin(names)], lesions), tmp_path / "apart", part=part)
        for part, names in enumerate([[f"{3:016x}"], [f"{2:016x}", f"{1:016x}"]])
    ]
    pictures = {name: picture for table, part in apart for name, picture in zip(table["patch"], part, strict=True)}
    np.testing.assert_array_equal([pictures[name] for name in whole["patch"]], stored)
    joined = pd.concat([table for table, _ in apart]).sort_values("exam", kind="stable", ignore_index=True)
    pd.testing.assert_frame_equal(joined.drop(columns=["part", "row"]), whole.drop(columns=["part", "row"]))
    other, _ = cut(tree, tmp_path / "other", patches=PATCHES.model_copy(update={"seed": 2}))
    normal = whole["label"] == "normal"
    assert normal.sum() == 75 and (other["label"] == whole["label"]).all() and (other["patch"] == whole["patch"])[~normal].all()
    assert (other["patch"] == whole["patch"])[normal].mean() < 0.1


def test_lesions_that_cannot_be_cut_are_told(tree: tuple[Path, pd.DataFrame, pd.DataFrame], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A box outside the image, and a mask that does not exist: those lesions may be anywhere, so nothing counts as without findings."""
    root, exams, lesions = tree
    one = lesions[lesions["exam"] == f"{1:016x}"]
    lesions = pd.concat(
        [one.head(1), one.head(1).assign(lesion=1, start_row=400, end_row=410), lesions[lesions["exam"] == f"{2:016x}"].assign(mask="absent.nii")]
    )
    with caplog.at_level(logging.INFO, "lookalike"):
        table, stored = cut((root, exams, lesions), tmp_path)
    problems = table[table["problem"] != ""]
    assert problems["problem"].tolist() == ["no voxel of the lesion is on the grid", "the mask does not exist"]
    assert (problems["row"] == -1).all() and (problems["patch"] == "").all() and problems["label"].tolist() == ["malignant", "benign"]
    assert table.loc[table["label"] == "normal", "exam"].tolist() == [f"{3:016x}"] * 25 and len(stored) == 28
    assert (
        f"exam {1:016x}: 0" in caplog.text and f"exam {2:016x}: 0 patches without findings, not 25" in caplog.text and "3 of 3 exams" in caplog.text
    )


def crash_on_one(paths: list[Path]) -> Volume:
    if paths[0].parent.parts[-2:] == (f"{2:016x}", "post_2"):
        os.kill(os.getpid(), signal.SIGKILL)
    return read_series(paths)


def test_a_crash_and_a_broken_file_cost_an_exam_each(
    tree: tuple[Path, pd.DataFrame, pd.DataFrame], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, exams, lesions = tree
    (tmp_path / "broken.dcm").write_bytes(b"no image")
    last = (exams["exam"] == f"{3:016x}") & (exams["phase"] == "t2") & (exams["slice"] == 0)
    exams = exams.assign(path=exams["path"].where(~last, str(tmp_path / "broken.dcm")))
    monkeypatch.setattr(patches_module, "read_series", crash_on_one)  # workers are forked, so they have it too
    table, stored = cut((root, exams, lesions), tmp_path / "out", processes=2)
    problems = table[table["problem"] != ""]
    assert problems["problem"].tolist() == ["the decoder crashed", "the file holds no image"]
    assert problems["exam"].tolist() == [f"{2:016x}", f"{3:016x}"] and (problems["label"] == "").all()
    assert set(table.loc[table["problem"] == "", "exam"]) == {f"{1:016x}"} and len(stored) == 29


def test_t2_is_placed_by_its_own_geometry(tree: tuple[Path, pd.DataFrame, pd.DataFrame], tmp_path: Path) -> None:
    """A T2 series of half the pixels and turned by 180 degrees shows the marked point in the middle of the lesion's patch."""
    root, exams, lesions = tree
    name = f"{1:016x}"
    values = np.zeros((6, 20, 24))
    values[2, 9, 5] = 1000  # of the T1 series' pixels 18 and 19 x 10 and 11
    coarse = AFFINE @ affine_of((2, 2, 1), (0.5, 0.5, 0))
    turned = coarse @ np.array([[-1, 0, 0, 23], [0, -1, 0, 19], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    paths = write_series(root / "turned", values[:, ::-1, ::-1], turned)
    files = pd.DataFrame({"exam": name, "path": [str(path.relative_to(root)) for path in paths], "phase": "t2", "slice": range(6)})
    one = exams[(exams["exam"] == name) & (exams["phase"] != "t2")]
    table, stored = cut((root, pd.concat([one, files]), lesions), tmp_path)
    place = table[(table["label"] == "malignant") & (table["slice"] == 2)].iloc[0]
    rows, columns = np.nonzero(stored[place["row"], 0] == stored[:, 0].max())
    np.testing.assert_array_equal(rows + place["row_centre"] - 8, [18, 18, 19, 19])
    np.testing.assert_array_equal(columns + place["column_centre"] - 8, [10, 11, 10, 11])
