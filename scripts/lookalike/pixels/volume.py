"""MR volumes and masks in the patient's space (DICOM's: mm to left, posterior and superior), and their resampling onto one grid."""

from __future__ import annotations

import itertools
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from lookalike.pixels.display import UndecodableError, read_stored

if TYPE_CHECKING:
    from pydicom import Dataset

# Positions are written with few decimals: slices may lie so far from where they belong, as a share of their distance (masks: of the pixel's side).
UNEVEN = 0.1
# Decimals of a step in voxels: an image on its own grid stays what it is, and what lies half way between two voxels goes to one side everywhere.
DECIMALS = 9
# The largest breast MR volumes have 2^26 voxels: more than this is a broken header or an attack.
MAXIMUM_VOXELS = 2**28


@dataclass(frozen=True)
class Volume:
    """Voxels and where they are.

    Attributes:
        values: [slices, rows, columns], float32, of a mask bool.
        affine: [4, 4] float64, from (column, row, slice, 1) of a voxel's centre to (left, posterior, superior, 1) in mm.

    Raises:
        UndecodableError: the geometry cannot be inverted.
    """

    values: NDArray[Any]
    affine: NDArray[np.float64]

    def __post_init__(self) -> None:
        if not (np.isfinite(self.affine).all() and abs(np.linalg.det(self.affine)) > 0):
            raise UndecodableError("position, orientation and spacing do not make a volume")


@dataclass(frozen=True)
class Grid:
    """The voxels of an exam, whatever series they come from: columns run to the patient's left, rows to posterior, slices to superior.

    Attributes:
        shape: slices, rows and columns.
        affine: as of `Volume`.
    """

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]


def read_series(paths: list[Path]) -> Volume:
    """A series of single-slice DICOM files, in order along their normal (either way), with slope and intercept applied and padding 0.

    Raises:
        UndecodableError: a file is broken, or the slices make no volume: sizes, orientations or spacings differ, or positions are uneven.
    """
    images, positions, planes = zip(*(_read_slice(path) for path in paths), strict=True)
    if len({image.shape for image in images}) > 1 or {len(plane) for plane in planes} != {8} or np.ptp(planes, axis=0).max() > 1e-3:
        raise UndecodableError("slices of one series differ in size, orientation or spacing")
    place = np.array(positions)
    step = (place[-1] - place[0]) / (len(place) - 1) if len(place) > 1 else _normal(planes[0])
    if np.abs(place - place[0] - np.outer(np.arange(len(place)), step)).max() > UNEVEN * np.linalg.norm(step):
        raise UndecodableError("the slices of a series are not evenly spaced")
    return Volume(np.stack(images), _affine(place[0], planes[0], step))


def read_mask(path: Path, value: int) -> Volume:
    """A mask, bool: of a NIfTI file the voxels of that value (rounded), of a DICOM Segmentation the segment of that number; 0: all above 0.

    Raises:
        UndecodableError: the file is broken, or has no such segment or voxel.
    """
    try:
        return _read_nifti(path, value) if path.name.endswith((".nii", ".nii.gz")) else _read_segmentation(path, value)
    except UndecodableError:
        raise
    except FileNotFoundError:
        raise UndecodableError("the mask does not exist") from None
    except Exception as error:  # a broken file may raise anything, and its text may quote the header
        raise UndecodableError(f"the mask cannot be read ({type(error).__name__})") from None


def standard_grid(volume: Volume, shape: tuple[int, int, int]) -> Grid:
    """The field of a volume in `shape` voxels (slices, rows, columns): its edges stay where they are, its axes are turned to the nearest of `Grid`'s."""
    axes = volume.affine[:3, :3]
    towards = np.abs(axes / np.linalg.norm(axes, axis=0))
    order = list(max(itertools.permutations(range(3)), key=lambda order: sum(towards[range(3), order])))
    field = axes[:, order] * np.array(volume.values.shape[::-1])[order]
    corner = volume.affine[:3, 3] - axes.sum(axis=1) / 2
    backwards = np.diag(field) < 0
    corner = corner + field[:, backwards].sum(axis=1)
    steps = np.where(backwards, -field, field) / shape[::-1]
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = steps, corner + steps.sum(axis=1) / 2
    return Grid(shape, affine)


def resample(volume: Volume, grid: Grid) -> NDArray[Any]:
    """A volume on a grid: [slices, rows, columns] of its own type.

    Images are interpolated linearly; beyond the outermost centres they keep their value for one voxel, further out they are 0 (a T2 series may have the smaller
    field). Masks take their nearest voxel and end at their field's edge.
    """
    step = np.round(np.linalg.inv(volume.affine) @ grid.affine, DECIMALS)
    matrix, offset = step[2::-1, 2::-1], step[2::-1, 3]  # arrays count slices, rows, columns
    if volume.values.dtype == bool:
        near = ndimage.affine_transform(volume.values.astype(np.uint8), matrix, offset, grid.shape, order=0, mode="grid-constant")
        return near.astype(bool)
    return ndimage.affine_transform(np.pad(volume.values, 1, mode="edge"), matrix, offset + 1, grid.shape, order=1, mode="constant")


def _read_slice(path: Path) -> tuple[NDArray[np.float32], list[float], list[float]]:
    """Values, position, and plane as of `_affine`."""
    stored = read_stored(path)
    if stored.header is None:
        raise UndecodableError("a slice is in colour")
    slope, intercept = stored.header.get("RescaleSlope"), stored.header.get("RescaleIntercept")
    values = stored.values * (1.0 if slope is None else float(slope)) + (0.0 if intercept is None else float(intercept))
    try:
        position = [float(value) for value in stored.header.ImagePositionPatient]
        plane = [float(value) for value in (*stored.header.ImageOrientationPatient, *stored.header.PixelSpacing)]
    except (AttributeError, TypeError, ValueError):
        raise UndecodableError("a slice lacks its position, orientation or spacing") from None
    return np.where(stored.padding, 0, values).astype(np.float32), position, plane


def _normal(plane: ArrayLike) -> NDArray[np.float64]:
    """Unit normal of a plane (six direction cosines, then anything)."""
    cosines = np.asarray(plane, dtype=np.float64)
    return np.cross(cosines[:3], cosines[3:6])


def _affine(origin: ArrayLike, plane: ArrayLike, step: ArrayLike) -> NDArray[np.float64]:
    """From the first voxel's position, the plane (six direction cosines, distance of rows, distance of columns) and the step from slice to slice."""
    plane = np.asarray(plane, dtype=np.float64)
    affine = np.eye(4)
    affine[:3] = np.stack([plane[:3] * plane[7], plane[3:6] * plane[6], np.asarray(step), np.asarray(origin)], axis=1)
    return affine


def _read_nifti(path: Path, value: int) -> Volume:
    import nibabel

    image: Any = nibabel.load(path)
    if np.prod(image.shape, dtype=np.float64) > MAXIMUM_VOXELS:
        raise UndecodableError("the mask claims more voxels than any exam has")
    data = np.asanyarray(image.dataobj)
    data = data.reshape(data.shape[:3])
    chosen = data > 0 if value == 0 else np.rint(data) == value
    if not chosen.any():
        raise UndecodableError(f"the mask has no voxel {f'of value {value}' if value else 'above 0'}")
    return Volume(np.ascontiguousarray(chosen.T), np.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine)  # NIfTI: right, anterior


def _read_segmentation(path: Path, value: int) -> Volume:
    """Frames may be in any order, and slices without the segment absent."""
    import pydicom

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom quotes values of the header, which may identify
        header = pydicom.dcmread(path)
        pixels = header.pixel_array.reshape(-1, header.Rows, header.Columns) > 0
    shared = header.get("SharedFunctionalGroupsSequence") or [pydicom.Dataset()]

    def group(frame: Dataset, name: str) -> Dataset:
        return (frame.get(name) or shared[0][name].value)[0]

    frames = [
        (number, frame)
        for number, frame in enumerate(header.PerFrameFunctionalGroupsSequence)
        if value == 0 or group(frame, "SegmentIdentificationSequence").ReferencedSegmentNumber == value
    ]
    if not frames:
        raise UndecodableError(f"the mask has no segment {value}")
    measures = [group(frame, "PixelMeasuresSequence") for _, frame in frames]
    planes = [
        [float(number) for number in (*group(frame, "PlaneOrientationSequence").ImageOrientationPatient, *measure.PixelSpacing)]
        for (_, frame), measure in zip(frames, measures, strict=True)
    ]
    place = np.array([[float(number) for number in group(frame, "PlanePositionSequence").ImagePositionPatient] for _, frame in frames])
    normal = _normal(planes[0])
    height = place @ normal
    gaps = np.diff(np.unique(np.round(height, 3)))
    distance = float(measures[0].get("SpacingBetweenSlices") or (gaps.min() if gaps.size else measures[0].SliceThickness))
    first = place[height.argmin()]
    slices = np.rint((height - height.min()) / distance).astype(np.int64)
    uneven = np.abs(place - first - np.outer(slices, distance * normal)).max() > UNEVEN * min(distance, *planes[0][6:])
    if uneven or np.ptp(planes, axis=0).max() > 1e-3:
        raise UndecodableError("the frames of the mask are no slices of one volume")
    values = np.zeros((slices.max() + 1, *pixels.shape[1:]), dtype=bool)
    for (number, _), place_of in zip(frames, slices, strict=True):
        values[place_of] |= pixels[number]
    return Volume(values, _affine(first, planes[0], distance * normal))
