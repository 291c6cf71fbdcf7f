"""Series and masks in the patient's space: closed forms on linear ramps, one field in many orientations, one lesion in three formats."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
from pydicom import Dataset
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.pixels import pack_bits
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from lookalike.pixels.display import UndecodableError
from lookalike.pixels.volume import Grid, Volume, read_mask, read_series, resample, standard_grid


def header_of(path: Path, modality: str, values: np.ndarray) -> FileDataset:
    header = FileDataset(path, {}, file_meta=FileMetaDataset(), preamble=b"\0" * 128)
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID = f"1.2.840.10008.5.1.4.1.1.{'4' if modality == 'MR' else '66.4'}"
    header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID = generate_uid()
    header.Modality, header.PhotometricInterpretation, header.SamplesPerPixel, header.PixelRepresentation = modality, "MONOCHROME2", 1, 0
    header.Rows, header.Columns = values.shape[-2:]
    return header


def plane_of(affine: np.ndarray) -> tuple[list[float], list[float]]:
    """ImageOrientationPatient and PixelSpacing."""
    column, row = (np.linalg.norm(affine[:3, axis]) for axis in (0, 1))
    return [*(affine[:3, 0] / column).round(9), *(affine[:3, 1] / row).round(9)], [round(row, 6), round(column, 6)]


def write_series(folder: Path, values: np.ndarray, affine: np.ndarray, **tags: object) -> list[Path]:
    """A file a slice, uint16, of [slices, rows, columns] and the affine from (column, row, slice)."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, image in enumerate(values.astype(np.uint16)):
        paths.append(folder / f"{number:03}.dcm")
        header = header_of(paths[-1], "MR", image)
        header.BitsAllocated, header.BitsStored, header.HighBit = 16, 16, 15
        header.ImageOrientationPatient, header.PixelSpacing = plane_of(affine)
        header.ImagePositionPatient = list((affine @ [0, 0, number, 1])[:3].round(6))
        header.PixelData = image.tobytes()
        for name, value in tags.items():
            setattr(header, name, value)
        header.save_as(paths[-1])
    return paths


def write_segmentation(path: Path, segments: dict[int, np.ndarray], affine: np.ndarray) -> Path:
    """Frames of the slices that hold something, last first; orientation and spacing are shared, positions are not."""
    planes = [(number, place) for number, mask in segments.items() for place in np.flatnonzero(mask.any(axis=(1, 2)))[::-1]]
    frames = np.stack([segments[number][place] for number, place in planes])
    header = header_of(path, "SEG", frames)
    header.SegmentationType, header.NumberOfFrames, header.BitsAllocated, header.BitsStored, header.HighBit = "BINARY", len(frames), 1, 1, 0
    header.PixelData = pack_bits(frames.astype(np.uint8))
    shared, measures, orientation = Dataset(), Dataset(), Dataset()
    orientation.ImageOrientationPatient, measures.PixelSpacing = plane_of(affine)
    measures.SpacingBetweenSlices = measures.SliceThickness = round(float(np.linalg.norm(affine[:3, 2])), 6)
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = Sequence([measures]), Sequence([orientation])
    header.SharedFunctionalGroupsSequence = Sequence([shared])
    groups = []
    for number, place in planes:
        group, position, segment = Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient = list((affine @ [0, 0, place, 1])[:3].round(6))
        segment.ReferencedSegmentNumber = number
        group.PlanePositionSequence, group.SegmentIdentificationSequence = Sequence([position]), Sequence([segment])
        groups.append(group)
    header.PerFrameFunctionalGroupsSequence = Sequence(groups)
    header.save_as(path)
    return path


def affine_of(spacing: tuple[float, float, float], origin: tuple[float, float, float]) -> np.ndarray:
    """Standard orientation; spacing of columns, rows and slices."""
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = origin
    return affine


def centre_mm(mask: np.ndarray, affine: np.ndarray) -> np.ndarray:
    return (affine @ [*np.argwhere(mask).mean(axis=0)[::-1], 1])[:3]


AFFINE = affine_of((0.7031, 0.7031, 2.4), (-87.31, -120.07, -33.3))


def test_a_ramp_is_resampled_to_its_closed_form() -> None:
    """Linear in mm, so linear interpolation is exact at any point inside: here on an oblique grid of other spacings."""
    gradient, turn = np.array([0.3, -0.7, 1.9]), 0.3
    slices, rows, columns = np.mgrid[:20, :60, :50]
    positions = np.stack([columns, rows, slices], axis=-1) @ AFFINE[:3, :3].T + AFFINE[:3, 3]
    volume = Volume((positions @ gradient).astype(np.float32), AFFINE)
    oblique = affine_of((0.5, 0.9, 1.7), (0, 0, 0))
    oblique[:2, :2] = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ oblique[:2, :2]
    oblique[:3, 3] = AFFINE[:3, 3] + [12, 2, 3]
    shape = (20, 25, 30)
    slices, rows, columns = np.mgrid[: shape[0], : shape[1], : shape[2]]
    expected = (np.stack([columns, rows, slices], axis=-1) @ oblique[:3, :3].T + oblique[:3, 3]) @ gradient
    np.testing.assert_allclose(resample(volume, Grid(shape, oblique)), expected, atol=1e-4)


def test_a_series_on_its_own_grid_stays_what_it_is(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 4000, (7, 24, 20))
    volume = read_series(write_series(tmp_path, values, AFFINE, RescaleSlope=0.25, RescaleIntercept=-3))
    np.testing.assert_array_equal(volume.values, (0.25 * values - 3).astype(np.float32))
    np.testing.assert_allclose(volume.affine, AFFINE, atol=1e-5)
    grid = standard_grid(volume, (7, 24, 20))
    np.testing.assert_allclose(grid.affine, volume.affine, atol=1e-9)
    np.testing.assert_array_equal(resample(volume, grid), volume.values)


@pytest.mark.parametrize(
    ("order", "flipped"),
    [((0, 1, 2), (0,)), ((0, 1, 2), (1, 2)), ((0, 1, 2), (0, 1, 2)), ((0, 2, 1), ()), ((0, 2, 1), (1,)), ((2, 0, 1), (1,)), ((1, 0, 2), (0, 2))],
)
def test_a_field_has_one_grid_however_it_is_stored(tmp_path: Path, order: tuple[int, int, int], flipped: tuple[int, ...]) -> None:
    """Slices the other way round, turned by 180 degrees in the plane, transposed, and as sagittal and coronal slices."""
    values = np.random.default_rng(1).integers(0, 4000, (7, 24, 20))
    affine = AFFINE.copy()
    affine[:3, :3] = affine[:3, [2 - axis for axis in order[::-1]]]
    stored = values.transpose(order)
    for axis in flipped:  # of the array; the affine counts the other way
        affine[:3, 3] += affine[:3, 2 - axis] * (stored.shape[axis] - 1)
        affine[:3, 2 - axis] *= -1
        stored = np.flip(stored, axis)
    volume = read_series(write_series(tmp_path, stored, affine))
    assert not np.array_equal(volume.values, values)
    grid = standard_grid(volume, (7, 24, 20))
    np.testing.assert_allclose(grid.affine, AFFINE, atol=1e-5)
    np.testing.assert_array_equal(resample(volume, grid), values)


def test_the_edges_of_the_field_stay_in_place() -> None:
    volume = Volume(np.ones((6, 24, 20), dtype=np.float32), AFFINE)
    grid = standard_grid(volume, (11, 48, 10))
    for corner in ([-0.5, -0.5, -0.5, 1], [19.5, 23.5, 5.5, 1]):
        scaled = (np.array(corner[:3]) + 0.5) * [10 / 20, 2, 11 / 6] - 0.5
        np.testing.assert_allclose(grid.affine @ [*scaled, 1], AFFINE @ corner)
    np.testing.assert_array_equal(resample(volume, grid), np.ones((11, 48, 10)))  # also in the half voxels beyond the outermost centres
    mask = Volume(np.random.default_rng(2).random((6, 24, 20)) < 0.5, AFFINE)
    np.testing.assert_array_equal(resample(mask, standard_grid(mask, (12, 48, 40))), mask.values.repeat(2, 0).repeat(2, 1).repeat(2, 2))
    smaller = Volume(volume.values[:, 6:18, 5:15], AFFINE @ affine_of((1, 1, 1), (5, 6, 0)))
    seen = resample(smaller, standard_grid(volume, (6, 24, 20)))
    assert seen[:, 6:18, 5:15].min() == 1 and seen[:, :4].max() == seen[:, 20:].max() == seen[:, :, 18:].max() == 0


def test_a_lesion_is_in_one_place_whatever_its_mask(tmp_path: Path) -> None:
    """A box of the series, a segmentation of it stored upside down, and a NIfTI of finer voxels, all on a coarser grid."""
    series = Volume(np.zeros((20, 60, 50), dtype=np.float32), AFFINE)
    box = np.zeros(series.values.shape, dtype=bool)
    box[5:12, 20:31, 8:17] = True
    other = np.zeros_like(box)
    other[2:4, 50:55, 40:45] = True
    grid = standard_grid(series, (16, 48, 40))
    turned = AFFINE @ np.array([[1, 0, 0, 0], [0, -1, 0, 59], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    segments = {1: other[:, ::-1], 2: box[:, ::-1]}
    path = write_segmentation(tmp_path / "seg.dcm", segments, turned)
    fine = AFFINE @ np.diag([0.5, 0.5, 0.5, 1.0])
    fine[:3, 3] = (AFFINE @ [-0.25, -0.25, -0.25, 1])[:3]
    labels = (box * 3).repeat(2, 0).repeat(2, 1).repeat(2, 2).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(labels.T, np.diag([-1, -1, 1, 1]) @ fine), tmp_path / "mask.nii.gz")
    true = centre_mm(box, AFFINE)
    half = np.diag(grid.affine)[:3] / 2
    for mask in (Volume(box, AFFINE), read_mask(path, 2), read_mask(tmp_path / "mask.nii.gz", 3), read_mask(tmp_path / "mask.nii.gz", 0)):
        on_grid = resample(mask, grid)
        assert on_grid.dtype == bool and 0.7 < on_grid.sum() * np.prod(2 * half) / (box.sum() * np.linalg.det(AFFINE)) < 1.4
        np.testing.assert_array_less(np.abs(centre_mm(on_grid, grid.affine) - true), half)
    np.testing.assert_allclose(centre_mm(*astuple(read_mask(path, 2))), true, atol=1e-4)
    np.testing.assert_allclose(centre_mm(*astuple(read_mask(tmp_path / "mask.nii.gz", 3))), true, atol=1e-3)
    assert read_mask(path, 0).values.sum() == box.sum() + other.sum()


def test_half_way_between_two_voxels_a_mask_goes_to_one_side() -> None:
    draw = np.random.default_rng(3)
    mask = draw.random((8, 64, 64)) < 0.5
    for _ in range(20):
        volume = Volume(mask, affine_of(tuple(draw.uniform(0.3, 3, 3)), tuple(draw.uniform(-200, 200, 3))))
        np.testing.assert_array_equal(resample(volume, standard_grid(volume, (4, 32, 32))), mask[1::2, 1::2, 1::2])


def astuple(volume: Volume) -> tuple[np.ndarray, np.ndarray]:
    return volume.values, volume.affine


def test_what_makes_no_volume_is_refused_in_a_sentence(tmp_path: Path) -> None:
    values = np.ones((5, 8, 6))
    paths = write_series(tmp_path / "a", values, AFFINE)
    with pytest.raises(UndecodableError, match="evenly"):
        read_series(paths[:2] + paths[3:])
    with pytest.raises(UndecodableError, match="differ in size"):
        read_series([*paths, *write_series(tmp_path / "b", values[:, :4], AFFINE)])
    with pytest.raises(UndecodableError, match="do not make a volume"):
        read_series(write_series(tmp_path / "c", values, AFFINE, PixelSpacing=[0, 0.7]))
    with pytest.raises(UndecodableError, match="lacks its position"):
        read_series(write_series(tmp_path / "d", values, AFFINE, ImagePositionPatient=None))
    (tmp_path / "seg.dcm").write_bytes(b"SECRET")
    (tmp_path / "mask.nii").write_bytes(b"SECRET")
    for name, words in [("seg.dcm", "cannot be read"), ("mask.nii", "cannot be read"), ("absent.nii", "does not exist")]:
        with pytest.raises(UndecodableError, match=words) as caught:
            read_mask(tmp_path / name, 0)
        assert "SECRET" not in str(caught.value) and str(tmp_path) not in str(caught.value)
    full = np.ones(values.shape, dtype=bool)
    with pytest.raises(UndecodableError, match="no segment 3"):
        read_mask(write_segmentation(tmp_path / "seg.dcm", {1: full}, AFFINE), 3)
