"""Breast MR exams to patches: one of every lesion in every slice that it is cut by, and some without findings (H19, Methods).

A patch has the channels `CHANNELS`. Its centre is the pixel number side // 2 of either axis, as that of the square that must be clear of findings.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from lookalike.config import Patches, Pixels
from lookalike.pixels.display import UndecodableError
from lookalike.pixels.geometry import otsu
from lookalike.pixels.prepare import Progress, in_order
from lookalike.pixels.store import PartWriter, level_shape
from lookalike.pixels.volume import Grid, Volume, read_mask, read_series, resample, standard_grid

LOG = logging.getLogger("lookalike")
CHANNELS = ("t2", "pre", "post_1", "post_2", "post_3", "post_4", "subtraction")
PHASES = CHANNELS[:6]
# Intensities are 0 to TOP, subtractions -TOP to TOP; a store holds either as 0 to 1.
TOP = 1023.0
# An exam that has not come back after this time hangs: the largest have a thousand files.
EXAM_SECONDS = 1800.0
# What a worker may take, in bytes: the six volumes of the largest exams have 1.5 GB.
EXAM_MEMORY = 6 * 2**30
# Exams in flight a worker: the patches of one take a hundred MB.
IN_FLIGHT = 2
# The two breasts may hang together by the chest wall or not: parts of the mask count from this share of the largest one.
PART = 0.1
# Share of the columns, in the middle, where the breastbone is looked for.
MIDLINE = 0.25


@dataclass(frozen=True)
class Place:
    """Where a patch is on its exam's grid; a row of the features table, but for `exam`, `patch`, `part` and `row`.

    Attributes:
        label: benign, malignant or normal.
        lesion: number in the exam, -1 of a patch without findings.
        slice, row_centre, column_centre: 0-based, -1 where there is no patch.
        flagged_border: it reaches beyond the image.
        problem: why there is no patch of this lesion or, with no label, of this exam; "" of a patch.
    """

    label: str = ""
    lesion: int = -1
    slice: int = -1
    row_centre: int = -1
    column_centre: int = -1
    flagged_border: bool = False
    problem: str = ""


class Lesion(NamedTuple):
    """A row of the lesion table of `cut_exams`."""

    lesion: int
    label: str
    mask: str
    mask_value: int
    start_row: int
    end_row: int
    start_column: int
    end_column: int
    start_slice: int
    end_slice: int


class Exam(NamedTuple):
    """What is cut at once: name, files (rows of the table of `cut_exams`) and lesions."""

    name: str
    files: pd.DataFrame
    lesions: list[Lesion]


Cut = tuple[list[Place], NDArray[np.float32]]


def cut_exams(
    exams: pd.DataFrame, lesions: pd.DataFrame, *, root: Path, part: int, pixels: Pixels, patches: Patches, output: Path, processes: int
) -> pd.DataFrame:
    """Cut a part's exams into a store part, with memory that does not grow with their number.

    Args:
        exams: a row a file of a complete exam: `exam` (16 hex digits), `path` (relative to root), `phase` (of `PHASES`; others are ignored), `slice`.
        lesions: a row a lesion: `exam`, `lesion`, `label`, `mask`, `mask_value`, and the box `start_row` to `end_slice`, 0-based and inclusive, in stored
            pixels and `slice` numbers of the series before contrast; lesions of other exams are ignored.
        root: folder of the raw images.
        part: number of the part, for the table.
        pixels, patches: the config sections; a patch has the shape of the store's highest level.
        output: folder `part-<number>.zarr` to write.
        processes: exams cut at once; neither it nor how exams are dealt to parts changes a patch.

    Returns:
        `exam`, `patch` (16 hex digits of exam and place; "" without patch), the fields of `Place`, `part` and `row` (place in the store part, -1 without patch):
        a row a patch, exams in order of name; and one for each lesion or exam without, with its problem.
    """
    fewer = (exams[exams["phase"] == "pre"].groupby("exam").size() < patches.grid[2]).sum()
    if fewer:
        LOG.warning(
            "%d exams have fewer slices than the grid's %d, so that neighbouring patches of a lesion are much alike: lower it", fewer, patches.grid[2]
        )
    items = [
        Exam(str(name), files, [Lesion(*row) for row in lesions.loc[lesions["exam"] == name, list(Lesion._fields)].itertuples(index=False)])
        for name, files in exams.groupby("exam")
    ]
    cut = partial(cut_exam, root=root, pixels=pixels, patches=patches)
    capacity = sum(patches.normal + len(exam.lesions) * patches.grid[2] for exam in items)  # at most
    records = []
    clock = Progress(len(items), f"part {part}", "exams")
    with PartWriter(output, capacity=capacity, base=pixels.base, levels=pixels.levels, bits=pixels.bits, channels=len(CHANNELS)) as writer:
        results = in_order(items, cut, failed=_failed, processes=processes, in_flight=IN_FLIGHT, seconds=EXAM_SECONDS, memory=EXAM_MEMORY)
        for exam, (places, pictures) in zip(items, results, strict=True):
            waiting = iter(pictures)
            for place in places:
                row, name = (-1, "") if place.problem else (writer.append(next(waiting)), _patch_name(exam.name, place))
                records.append({"exam": exam.name, "patch": name} | asdict(place) | {"part": part, "row": row})
            normal = sum(place.label == "normal" for place in places)
            if normal < patches.normal and not any(place.problem and not place.label for place in places):
                LOG.info(
                    "exam %s: %d patches without findings, not %d: no more places, or a lesion's mask is unread", exam.name, normal, patches.normal
                )
            clock.tick()
    return pd.DataFrame.from_records(records, columns=["exam", "patch", *asdict(Place()), "part", "row"])


def cut_exam(exam: Exam, *, root: Path, pixels: Pixels, patches: Patches) -> Cut:
    """Places of an exam, and the pictures ([n, 7, side, side] float32 in [0, 1]) of those without a problem, in order."""
    try:
        return _cut_exam(exam, root, pixels, patches)
    except MemoryError:
        return _failed("the exam takes more memory than any")


def _cut_exam(exam: Exam, root: Path, pixels: Pixels, patches: Patches) -> Cut:
    try:
        before = _series(exam, "pre", root)
        rows, columns, slices = patches.grid
        grid = standard_grid(before, (slices, rows, columns))
        volumes = np.empty((len(PHASES), *grid.shape), dtype=np.float32)
        for number, phase in enumerate(PHASES):
            volumes[number] = resample(before if phase == "pre" else _series(exam, phase, root), grid)
        _scale(volumes[:1], patches.intensity)
        _scale(volumes[1:], patches.intensity)
    except UndecodableError as error:
        return _failed(str(error))
    shape = level_shape(pixels.base, pixels.levels - 1)
    places, findings, known = [], np.zeros(grid.shape, dtype=bool), True
    for lesion in exam.lesions:
        try:
            mask = resample(_lesion_mask(lesion, before, root), grid)
        except UndecodableError as error:
            places.append(Place(label=lesion.label, lesion=lesion.lesion, problem=str(error)))
            known = False  # it may be anywhere, so no place is without findings
            continue
        known &= bool(mask.any())
        found = [_place(lesion.label, lesion.lesion, *centre, shape=shape, grid=grid) for centre in lesion_centres(mask)]
        places += found or [Place(label=lesion.label, lesion=lesion.lesion, problem="no voxel of the lesion is on the grid")]
        findings |= mask
    if known and patches.normal:
        breast = breast_mask(volumes[1]) if patches.breast == "otsu" else np.ones(grid.shape, dtype=bool)
        places += [_place("normal", -1, *centre, shape=shape, grid=grid) for centre in normal_centres(breast, findings, exam.name, patches)]
    cut = [_cut(volumes, place, shape, patches.border) for place in places if not place.problem]
    return places, np.stack(cut) if cut else np.empty((0, len(CHANNELS), *shape), dtype=np.float32)


def lesion_centres(mask: NDArray[np.bool_]) -> Iterator[tuple[int, int, int]]:
    """Slice, row and column of a mask's centre of mass in each slice that it is in, rounded half up; mask: [slices, rows, columns]."""
    for number in np.flatnonzero(mask.any(axis=(1, 2))):
        row, column = ((2 * int(place.sum()) + place.size) // (2 * place.size) for place in np.nonzero(mask[number]))
        yield int(number), row, column


def normal_centres(breast: NDArray[np.bool_], findings: NDArray[np.bool_], exam: str, patches: Patches) -> list[tuple[int, int, int]]:
    """Slice, row and column of `patches.normal` different voxels, all equally likely, in random order; of all there are where these are fewer.

    Args:
        breast: [slices, rows, columns], where a centre may be.
        findings: of the same shape; in its slice and the next ones, which interpolation mixes, none is in the square of side `patches.clear` around a centre.
        exam: 16 hex digits, which alone with `patches.seed` decide what is drawn.
        patches: the config section.
    """
    allowed = breast & ~ndimage.maximum_filter(findings, size=(3, patches.clear, patches.clear), mode="constant")
    if patches.other_breast:
        middle = findings.shape[2] // 2
        for half in (slice(None, middle), slice(middle, None)):
            allowed[:, :, half] &= not findings[:, :, half].any()
    voxels = np.flatnonzero(allowed)
    drawn = np.random.default_rng([patches.seed, int(exam, 16)]).choice(voxels, min(patches.normal, voxels.size), replace=False)
    return list(zip(*(axis.tolist() for axis in np.unravel_index(drawn, allowed.shape)), strict=True))


def breast_mask(before: NDArray[np.float32]) -> NDArray[np.bool_]:
    """The body in front of the breastbone: what is above Otsu's threshold, holes of its slices filled, in connected parts that are not small.

    The skin over the breastbone is the hindmost one near the midline, by the median slice; all of the body counts where nothing is in front of it.

    Args:
        before: [slices, rows, columns] before contrast, in [0, TOP], on a `Grid`.
    """
    root = ndimage.gaussian_filter(np.sqrt(before / np.float32(TOP)), (0, 1, 1))  # air and tissue differ by ratios, not by differences
    labels, count = ndimage.label(np.stack([ndimage.binary_fill_holes(image) for image in root > otsu(root)]))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = 0
    body = np.asarray((sizes >= max(1.0, PART * sizes.max()))[labels])
    _, rows, columns = body.shape
    side = round(columns * (1 - MIDLINE) / 2)
    middle = body[:, :, side : columns - side]
    skin = np.where(middle.any(axis=1), middle.argmax(axis=1), rows)
    front = body & (np.arange(rows) < np.median(skin.max(axis=1)))[:, None]
    return front if front.any() else body


def _failed(problem: str) -> Cut:
    return [Place(problem=problem)], np.empty(0, dtype=np.float32)


def _patch_name(exam: str, place: Place) -> str:
    return hashlib.sha256(f"{exam}:{place.lesion}:{place.slice}:{place.row_centre}:{place.column_centre}".encode()).hexdigest()[:16]


def _series(exam: Exam, phase: str, root: Path) -> Volume:
    files = exam.files[exam.files["phase"] == phase].sort_values("slice")
    return read_series([root / path for path in files["path"]])


def _scale(volumes: NDArray[np.float32], intensity: str | tuple[float, float]) -> None:
    """The range that is given, or else that of these volumes together, to [0, TOP], in place."""
    low, high = (float(volumes.min()), float(volumes.max())) if isinstance(intensity, str) else intensity
    if not high > low:
        raise UndecodableError("all pixels have one value")
    volumes -= np.float32(low)
    volumes *= np.float32(TOP / (high - low))
    np.clip(volumes, 0, np.float32(TOP), out=volumes)


def _lesion_mask(lesion: Lesion, before: Volume, root: Path) -> Volume:
    """The lesion's own volume, or its box on that before contrast."""
    if lesion.mask:
        return read_mask(root / lesion.mask, lesion.mask_value)
    values = np.zeros(before.values.shape, dtype=bool)
    values[lesion.start_slice : lesion.end_slice + 1, lesion.start_row : lesion.end_row + 1, lesion.start_column : lesion.end_column + 1] = True
    return Volume(values, before.affine)


def _place(label: str, lesion: int, number: int, row: int, column: int, *, shape: tuple[int, int], grid: Grid) -> Place:
    starts = row - shape[0] // 2, column - shape[1] // 2
    beyond = any(start < 0 or start + size > full for start, size, full in zip(starts, shape, grid.shape[1:], strict=True))
    return Place(label, lesion, number, row, column, beyond)


def _cut(volumes: NDArray[np.float32], place: Place, shape: tuple[int, int], border: str) -> NDArray[np.float32]:
    """[7, *shape] in [0, 1] of volumes [6, slices, rows, columns] in [0, TOP]."""
    image = volumes[:, place.slice]
    rows, columns = (centre - size // 2 + np.arange(size) for centre, size in zip((place.row_centre, place.column_centre), shape, strict=True))
    patch = image[:, _reflected(rows, image.shape[1])[:, None], _reflected(columns, image.shape[2])] / np.float32(TOP)
    if border == "zero":
        patch *= ((rows >= 0) & (rows < image.shape[1]))[:, None] & ((columns >= 0) & (columns < image.shape[2]))
    subtraction = patch[CHANNELS.index("post_1")] - patch[CHANNELS.index("pre")]
    return np.concatenate([patch, (subtraction[None] + 1) / 2])


def _reflected(index: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Places on an axis, of which those beyond its ends are mirrored at the outermost one, however far they are."""
    period = max(1, 2 * (size - 1))
    index = index % period
    return np.minimum(index, period - index)
