"""Simulated breast MR exams: DICOM series whose headers put the planted lesions where their masks are, and curves that overlap as planted."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pandas as pd
import pydicom
import pytest
from pydicom import config as pydicom_config
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from lookalike.errors import LookalikeError
from lookalike.phantoms import breast_mr

SEED = 1
SHAPE = (96, 96)
PATIENTS = 30
Tree = tuple[Path, pd.DataFrame]
# DICOM PS3.3 A.4 and A.51: type 1 and 2 attributes of the modules of MR Image and Segmentation (those that these files need).
OF_BOTH = """
    PatientName PatientID PatientBirthDate PatientSex StudyInstanceUID StudyDate StudyTime ReferringPhysicianName StudyID AccessionNumber Modality
    SeriesInstanceUID SeriesNumber FrameOfReferenceUID PositionReferenceIndicator Manufacturer InstanceNumber ImageType SamplesPerPixel
    PhotometricInterpretation Rows Columns BitsAllocated BitsStored HighBit PixelRepresentation PixelData SOPClassUID SOPInstanceUID
    """
OF_MR = """
    ImagePositionPatient ImageOrientationPatient PixelSpacing SliceThickness ScanningSequence SequenceVariant ScanOptions MRAcquisitionType EchoTime
    EchoTrainLength RepetitionTime AcquisitionTime PatientPosition
    """
OF_SEG = """
    ContentDate ContentTime ContentLabel ContentDescription ContentCreatorName LossyImageCompression SegmentationType SegmentSequence NumberOfFrames
    ManufacturerModelName DeviceSerialNumber SoftwareVersions DimensionOrganizationSequence DimensionIndexSequence ReferencedSeriesSequence
    SharedFunctionalGroupsSequence PerFrameFunctionalGroupsSequence
    """


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    root = tmp_path_factory.mktemp("breast_mr")
    before = pydicom_config.settings.writing_validation_mode
    pydicom_config.settings.writing_validation_mode = pydicom_config.RAISE
    try:
        return root, breast_mr.write_tree(root, patients=PATIENTS, shape=SHAPE, seed=SEED, processes=2)
    finally:
        pydicom_config.settings.writing_validation_mode = before


def series(root: Path, patient: str) -> dict[str, list[pydicom.Dataset]]:
    """Files of an exam's MR series by folder and AcquisitionTime, in the order of InstanceNumber."""
    found: dict[str, list[pydicom.Dataset]] = {}
    for path in sorted((root / patient).rglob("*.dcm")):
        ds = pydicom.dcmread(path)
        assert int(path.stem) == ds.InstanceNumber
        if ds.Modality == "MR":
            found.setdefault(f"{path.parent.name} {ds.AcquisitionTime}", []).append(ds)
    return found


def dynamic(root: Path, patient: str) -> list[list[pydicom.Dataset]]:
    """The T1 phases, by time of acquisition."""
    phases = [files for files in series(root, patient).values() if files[0].ScanningSequence == "GR" and files[0].MRAcquisitionType == "3D"]
    return sorted(phases, key=lambda files: files[0].AcquisitionTime)


def affine(orientation: Any, spacing: Any, position: Any, step: np.ndarray) -> np.ndarray:
    """[4, 4] from (column, row, slice, 1) to mm (PS3.3 C.7.6.2.1.1)."""
    across, down = (np.array(orientation[i : i + 3], dtype=float) for i in (0, 3))
    columns = [across * float(spacing[1]), down * float(spacing[0]), step, np.array(position, dtype=float)]
    return np.vstack([np.stack(columns, axis=1), (0, 0, 0, 1)])


def voxels(files: list[pydicom.Dataset]) -> np.ndarray:
    """The affine of a series, slices counted as in `files`; their steps are even."""
    positions = np.array([ds.ImagePositionPatient for ds in files], dtype=float)
    steps = np.diff(positions, axis=0)
    assert np.abs(steps - steps[0]).max() < 1e-3 and np.allclose(steps[0, :2], 0)
    return affine(files[0].ImageOrientationPatient, files[0].PixelSpacing, positions[0], steps[0])


def physical(files: list[pydicom.Dataset]) -> np.ndarray:
    return np.stack([ds.pixel_array * float(ds.get("RescaleSlope", 1)) + float(ds.get("RescaleIntercept", 0)) for ds in files])


def lesion_points(root: Path, cells: Any, kind: str, pre: list[pydicom.Dataset]) -> np.ndarray:
    """Middles of the voxels of a lesion's mask or box, [n, 3] in mm."""
    if kind == "box":
        pairs = [(int(cells[f"start_{axis}"]) - 1, int(cells[f"end_{axis}"])) for axis in ("column", "row", "slice")]
        indices = np.stack(np.meshgrid(*(np.arange(*pair) for pair in pairs)), axis=-1).reshape(-1, 3)
        return (np.c_[indices, np.ones(len(indices))] @ voxels(pre).T)[:, :3]
    value = int(cells["mask_value"] or 0)
    if kind == "nifti":
        image = nibabel.load(root / cells["mask"])
        data = np.asarray(image.dataobj)
        indices = np.argwhere(data == value if value else data > 0)
        return (np.c_[indices, np.ones(len(indices))] @ image.affine.T)[:, :3] * (-1, -1, 1)
    ds = pydicom.dcmread(root / cells["mask"])
    shared, found = ds.SharedFunctionalGroupsSequence[0], []
    for frame, group in zip(ds.pixel_array.reshape(-1, ds.Rows, ds.Columns), ds.PerFrameFunctionalGroupsSequence, strict=True):
        if value not in (0, group.SegmentIdentificationSequence[0].ReferencedSegmentNumber):
            continue
        position = group.PlanePositionSequence[0].ImagePositionPatient
        source = group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        assert [slice_.ImagePositionPatient for slice_ in pre if slice_.SOPInstanceUID == source] == [position]
        measures, plane = shared.PixelMeasuresSequence[0], shared.PlaneOrientationSequence[0]
        rows, columns = np.nonzero(frame)
        points = np.c_[columns, rows, 0 * rows, 1 + 0 * rows]
        found.append((points @ affine(plane.ImageOrientationPatient, measures.PixelSpacing, position, np.zeros(3)).T)[:, :3])
    return np.concatenate(found)


def test_bytes_depend_on_the_seed_alone(tmp_path: Path) -> None:
    def digests(name: str, seed: int, processes: int) -> dict[str, str]:
        breast_mr.write_tree(tmp_path / name, patients=5, shape=(64, 64), seed=seed, processes=processes)
        files = [path for path in (tmp_path / name).rglob("*") if path.is_file()]
        return {str(path.relative_to(tmp_path / name)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    one, two, other = digests("one", 2, 1), digests("two", 2, 2), digests("other", 3, 1)
    assert one == two and {Path(name).suffix for name in one} >= {".dcm", ".csv"} and any(name.startswith("masks/") for name in one)
    assert not {one[name] for name in one} & set(other.values())


def test_small_requests(tmp_path: Path) -> None:
    with pytest.raises(LookalikeError, match="cannot be simulated"):
        breast_mr.write_tree(tmp_path, patients=0, shape=(64, 64), seed=0)
    with pytest.raises(LookalikeError, match="show nothing"):
        breast_mr.write_tree(tmp_path, patients=1, shape=(63, 64), seed=0)


def test_headers(tree: Tree) -> None:
    """Every file has what the standard demands, with valid values; the series of an exam are told apart and share a frame of reference."""
    root, truth = tree
    uids: set[str] = set()
    before = pydicom_config.settings.reading_validation_mode
    pydicom_config.settings.reading_validation_mode = pydicom_config.RAISE
    try:
        for path in root.rglob("*.dcm"):
            ds = pydicom.dcmread(path)
            wanted = OF_BOTH + (OF_MR if ds.Modality == "MR" else OF_SEG)
            assert not [name for name in re.findall(r"\w+", wanted) if name not in ds], path
            _ = list(ds.iterall())
            assert ds.PatientID == path.relative_to(root).parts[0] and str(ds.PatientName) and ds.PatientBirthDate and ds.AccessionNumber
            uids.add(ds.SOPInstanceUID)
    finally:
        pydicom_config.settings.reading_validation_mode = before
    assert len(uids) == len(list(root.rglob("*.dcm")))
    for patient, rows in truth.groupby("patient"):
        found = series(root, patient)
        assert {ds.StudyInstanceUID for files in found.values() for ds in files} == set(rows["study"])
        assert len({ds.FrameOfReferenceUID for files in found.values() for ds in files}) == 1
        phases = dynamic(root, patient)
        quirk = rows["planted"].iloc[0]
        times = [3600 * int(t[:2]) + 60 * int(t[2:4]) + int(t[4:]) for t in (files[0].AcquisitionTime for files in phases)]
        assert list(np.diff(times)) == ([70, 70, 140] if quirk == "missing_phase" else [70] * 4)
        assert len(found) == len(phases) + 2  # a localiser and T2
        assert len({files[0].SeriesInstanceUID for files in phases}) == (1 if quirk == "single_series" else len(phases))
        assert len({(voxels(files).round(3).tobytes(), len(files)) for files in phases}) == 1
        [t2] = [files for files in found.values() if files[0].ScanningSequence == "SE"]
        assert len(t2) != len(phases[0]) and t2[0].Rows != phases[0][0].Rows and t2[0].SliceThickness != phases[0][0].SliceThickness
        [planes] = [files for files in found.values() if files[0].ScanningSequence == "GR" and files[0].MRAcquisitionType == "2D"]
        assert len({tuple(ds.ImageOrientationPatient) for ds in planes}) == 3


def test_planted_centres_lie_in_their_masks(tree: Tree) -> None:
    """Through the headers alone, for all three kinds of masks, flipped, reversed, not square or not; and the slices are those of the truth."""
    root, truth = tree
    table = pd.read_csv(root / "lesions.csv", dtype=str, keep_default_na=False)
    assert list(table["patient"]) == list(truth["patient"]) and list(table["label"]) == list(truth["label"])
    assert (table["study"] == truth["study"].where(truth["names"] != "pass", "")).all()
    marked = truth[truth["lesion"] != ""]
    assert set(marked["mask"]) == {"seg", "nifti", "box"} and (truth.loc[truth["lesion"] == "", "mask"] == "").all()
    for i, row in zip(marked.index, marked.itertuples(), strict=True):
        pre = dynamic(root, row.patient)[0]
        points = lesion_points(root, table.loc[i], row.mask, pre)
        to_pixels = np.linalg.inv(voxels(pre))
        inside = (np.c_[points, np.ones(len(points))] @ to_pixels.T)[:, :3]
        assert np.abs(inside - np.rint(inside)).max() < 0.01  # on the pixels of the series before contrast
        centre = (to_pixels @ [row.x, row.y, row.z, 1])[:3]
        tolerance = 0.7 if row.mask == "box" else 0.5  # a box ends on whole pixels
        assert np.abs(inside.mean(axis=0) - centre).max() < tolerance, (row.patient, row.lesion, row.mask, row.planted)
        assert sorted({pre[int(k)].InstanceNumber for k in np.rint(inside[:, 2])}) == [int(n) for n in row.slices.split("|")]
        extent = np.ptp(points[:, :2], axis=0) + np.array([pre[0].PixelSpacing[1], pre[0].PixelSpacing[0]], dtype=float)
        assert (np.abs(extent - row.diameter_mm) < 0.35 * row.diameter_mm + 2 * max(map(float, pre[0].PixelSpacing))).all()


def test_quirks(tree: Tree) -> None:
    root, truth = tree
    exams = truth.drop_duplicates("patient")
    for quirk, rate in breast_mr.QUIRKS.items():
        assert (exams["planted"] == quirk).sum() == max(1, round(rate * PATIENTS))
    assert set(exams["names"]) == set(breast_mr.NAMES)
    for row in exams.itertuples():
        phases, quirk = dynamic(root, row.patient), row.planted
        first = phases[0][0]
        assert (float(phases[0][1].ImagePositionPatient[2]) < float(first.ImagePositionPatient[2])) == (quirk == "reversed")
        assert (float(first.ImageOrientationPatient[0]) == -1) == (float(first.ImageOrientationPatient[4]) == -1) == (quirk == "flipped")
        assert ("RescaleSlope" in first) == (quirk == "slope")
        assert ((first.Rows, first.Columns) == SHAPE) == (first.PixelSpacing[0] == first.PixelSpacing[1]) == (quirk != "matrix")
        assert len(phases) == (4 if quirk == "missing_phase" else 5)
        if quirk == "single_series":
            assert [files[0].TemporalPositionIdentifier for files in phases] == [1, 2, 3, 4, 5]
            assert [ds.InstanceNumber for files in phases for ds in files] == list(range(1, 5 * len(phases[0]) + 1))
        short = [ds for files in phases for ds in files if len(ds.PixelData) < 2 * ds.Rows * ds.Columns]
        assert len(short) == (quirk == "truncated") and all(ds in phases[2] for ds in short)
        if short:
            with pytest.raises(ValueError, match="pixel data"):
                _ = short[0].pixel_array
            continue
        volumes = [physical(files) for files in phases]
        # The air of every series is alike, and so is the fat of the breasts, which hardly enhances: one scale, whatever the rescale.
        fat = [np.percentile(volume, 97) for volume in volumes]
        assert np.ptp(fat) < 0.12 * np.mean(fat), quirk
        if quirk == "slope":
            assert len({float(files[0].RescaleSlope) for files in phases}) == 5
        # The skin before contrast against that after it: they agree best where it was shifted to.
        edge = [
            np.abs(np.gradient((volume > 150).astype(float), axis=2)) + np.abs(np.gradient((volume > 150).astype(float), axis=1))
            for volume in volumes
        ]
        shifts = [(i, j) for i in range(-3, 4) for j in range(-3, 4)]
        best = max(shifts, key=lambda shift: float((np.roll(edge[0], shift, axis=(1, 2)) * edge[1])[:, 5:-5, 5:-5].sum()))
        assert best == (tuple(map(int, row.shift.split(","))) if quirk == "motion" else (0, 0)), (row.patient, quirk)


def test_curves_tell_the_labels_apart_but_not_quite(tree: Tree) -> None:
    """Planted over many patients; and in the files, where the curves of the masks are those planted but for partial volumes, neighbours and noise."""
    lesions = [lesion for number in range(800) for lesion in breast_mr.draw(SEED, number).lesions]
    assert 0.15 < np.mean([not breast_mr.draw(SEED, number).lesions for number in range(800)]) < 0.25
    planted = np.array([(lesion.initial_rise, lesion.washout) for lesion in lesions])
    labels = np.array([lesion.label == "malignant" for lesion in lesions])
    assert 0.4 < labels.mean() < 0.6
    model = LogisticRegression().fit(planted[::2], labels[::2])
    assert 0.85 < roc_auc_score(labels[1::2], model.decision_function(planted[1::2])) < 0.96
    for column in (0, 1):
        assert 0.2 < abs(roc_auc_score(labels, planted[:, column]) - 0.5) < 0.42

    root, truth = tree
    table = pd.read_csv(root / "lesions.csv", dtype=str, keep_default_na=False)
    measured = []
    usable = truth[(truth["lesion"] != "") & ~truth["planted"].isin(["missing_phase", "truncated", "motion"])]
    for i, row in zip(usable.index, usable.itertuples(), strict=True):
        phases = dynamic(root, row.patient)
        points = lesion_points(root, table.loc[i], row.mask, phases[0])
        at = np.rint((np.c_[points, np.ones(len(points))] @ np.linalg.inv(voxels(phases[0])).T)[:, :3]).astype(int)
        pre, one, *_, four = (physical(files)[at[:, 2], at[:, 1], at[:, 0]].mean() for files in phases)
        measured.append(((one - pre) / pre, (four - one) / one))
    rise, washout = np.array(measured).T
    assert np.corrcoef(rise, usable["initial_rise"])[0, 1] > 0.4 and np.corrcoef(washout, usable["washout"])[0, 1] > 0.6
    malignant = usable["label"] == "malignant"
    assert 0.75 < roc_auc_score(malignant, model.decision_function(np.array(measured))) <= 1
