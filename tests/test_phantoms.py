"""Phantoms: the files are what they claim to be, the pictures have the physics asked for, and the planted truth is complete."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
import pytest
from pydicom import config as pydicom_config
from pydicom.uid import ExplicitVRLittleEndian

from lookalike.cohort.exclude import apply_header_rules, apply_pixel_rules
from lookalike.cohort.index import build_index
from lookalike.config import Exclude, Pixels
from lookalike.errors import LookalikeError
from lookalike.phantoms import collection, dicom, mammography
from lookalike.phantoms.collection import KINDS, QUARANTINE, write_collection
from lookalike.phantoms.dicom import VENDORS, Vendor
from lookalike.phantoms.mammography import Patient
from lookalike.pixels.prepare import prepare_image

SHAPE = (160, 128)
PATIENTS = 24
SEED = 5
# DICOM PS3.3 A.26: type 1 and 2 attributes of the modules of Digital Mammography X-Ray Images (For Presentation).
MANDATORY = re.findall(
    r"\w+",
    """
    PatientName PatientID PatientBirthDate PatientSex StudyInstanceUID StudyDate StudyTime ReferringPhysicianName StudyID AccessionNumber Modality
    SeriesInstanceUID SeriesNumber PresentationIntentType Manufacturer InstanceNumber ImageType PatientOrientation ImageLaterality
    AnatomicRegionSequence SamplesPerPixel PhotometricInterpretation Rows Columns BitsAllocated BitsStored HighBit PixelRepresentation
    PixelIntensityRelationship PixelIntensityRelationshipSign RescaleIntercept RescaleSlope RescaleType PresentationLUTShape LossyImageCompression
    DetectorType ImagerPixelSpacing PositionerType OrganExposed ViewCodeSequence AcquisitionContextSequence SOPClassUID SOPInstanceUID
    """,
)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pd.DataFrame]:
    root = tmp_path_factory.mktemp("phantoms")
    before = pydicom_config.settings.writing_validation_mode
    pydicom_config.settings.writing_validation_mode = pydicom_config.RAISE
    try:
        return root, write_collection(root, patients=PATIENTS, shape=SHAPE, seed=SEED)
    finally:
        pydicom_config.settings.writing_validation_mode = before


def patient(seed: int = 11, **changes: object) -> Patient:
    return dataclasses.replace(mammography.draw(seed, density="B"), **changes)


def shown(ds: pydicom.Dataset, pixels: np.ndarray) -> np.ndarray:
    """The default display of a file in [0, 1], written from the standard (C.11.2) and not from the code under test."""
    values = pixels.astype(float) * float(ds.RescaleSlope) + float(ds.RescaleIntercept)
    if "WindowCenter" in ds:
        centre, width = (float(np.atleast_1d(ds[name].value)[0]) for name in ("WindowCenter", "WindowWidth"))
        sigmoid = ds.get("VOILUTFunction") == "SIGMOID"
        y = 1 / (1 + np.exp(-4 * (values - centre) / width)) if sigmoid else (values - (centre - 0.5)) / (width - 1) + 0.5
    else:
        item = ds.VOILUTSequence[0]
        size, first, bits = item.LUTDescriptor
        table = np.frombuffer(item.LUTData, "<u2") / (2**bits - 1)
        y = table[np.clip(values - first, 0, size - 1).astype(int)]
    y = np.clip(y, 0, 1)
    y = 1 - y if ds.PhotometricInterpretation == "MONOCHROME1" else y
    if "PixelPaddingValue" in ds:
        low, high = sorted((int(ds.PixelPaddingValue), int(ds.PixelPaddingRangeLimit)))
        y[(pixels >= low) & (pixels <= high)] = 0
    return y


def test_tree_and_truth_are_the_same_files(tree: tuple[Path, pd.DataFrame]) -> None:
    root, truth = tree
    assert list(truth.columns) == list(collection.COLUMNS)
    assert sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()) == truth["path"].tolist()
    assert (truth["implant"] == "").all() and truth["path"].is_unique
    for row in truth.itertuples():
        if row.expected_decision == "quarantined":
            continue
        ds = pydicom.dcmread(root / row.path)
        assert (ds.SOPInstanceUID, ds.PatientID) == (row.sop_instance_uid, row.patient)
        assert ds.pixel_array.shape[-2:] == (ds.Rows, ds.Columns)
        if row.planted == "none":
            codes = ds.ViewCodeSequence[0]
            assert codes.CodeMeaning == {"CC": "cranio-caudal", "MLO": "medio-lateral oblique"}[row.view]
            assert ds.get("ViewPosition", row.view) == row.view and ds.ImageLaterality == row.laterality
            assert ds.PatientAge == f"{int(row.age):03d}Y"


def test_broken_files_are_broken(tree: tuple[Path, pd.DataFrame]) -> None:
    root, truth = tree
    broken = truth[truth["expected_decision"] == "quarantined"]
    assert set(broken["planted"]) == {"truncated", "garbage"}
    for path in broken["path"]:
        with pytest.raises((pydicom.errors.InvalidDicomError, ValueError, EOFError, RuntimeError, AttributeError)):
            _ = pydicom.dcmread(root / path).pixel_array


def test_duplicates_come_after_what_they_repeat(tree: tuple[Path, pd.DataFrame]) -> None:
    root, truth = tree
    for row in truth[truth["planted"] == "duplicate_uid"].itertuples():
        first = truth[truth["sop_instance_uid"] == row.sop_instance_uid].iloc[0]
        assert first["planted"] == "none" and first["path"] < row.path
        assert (root / first["path"]).read_bytes() == (root / row.path).read_bytes()
    for row in truth[truth["planted"] == "duplicate_pixels"].itertuples():
        same = truth[(truth["patient"] == row.patient) & (truth["view"] == row.view) & (truth["laterality"] == row.laterality)]
        first = same[same["planted"] == "none"].iloc[0]
        assert first["path"] < row.path and first["sop_instance_uid"] != row.sop_instance_uid
        assert np.array_equal(pydicom.dcmread(root / first["path"]).pixel_array, pydicom.dcmread(root / row.path).pixel_array)


def test_duplicates_are_excluded_as_what_was_planted(tree: tuple[Path, pd.DataFrame]) -> None:
    """A file copied byte for byte also has the same pixels, and still says duplicate_uid."""
    root, truth = tree
    index = build_index(root, adapter="dicom", table=None, key=b"a key of sixteen bytes or more", processes=1, maximum_quarantined=1.0)
    header = apply_header_rules(index, Exclude())
    planted = index[["path"]].merge(truth, on="path", how="left")
    copies = planted[planted["planted"].str.startswith("duplicate_")]
    repeated = planted[["patient", "view", "laterality"]].apply(tuple, axis=1).isin(copies[["patient", "view", "laterality"]].apply(tuple, axis=1))
    waiting = (header["decision"] == "candidate") & repeated & planted["planted"].isin(["none", *copies["planted"]])
    found = {row: prepare_image(root / index.loc[row, "path"], pixels=Pixels(levels=3), kind="mammography")[0] for row in index.index[waiting]}
    features = pd.DataFrame([dataclasses.asdict(feature) for feature in found.values()]).assign(row_id=index.loc[waiting, "row_id"].to_list())
    final = apply_pixel_rules(header[waiting], features, Exclude())
    assert {"duplicate_uid", "duplicate_pixels"} <= set(copies["planted"])
    assert final["rule"].tolist() == planted.loc[waiting, "expected_rule"].tolist()


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.syntax.name.split(",")[0])
def test_encoding_is_lossless_and_the_default_display_shows_the_rendering(vendor: Vendor, tmp_path: Path) -> None:
    subject = collection.plan(patients=1, seed=3).subjects[0]
    subject = dataclasses.replace(subject, vendor=vendor)
    file = collection.plan(patients=1, seed=3).files[0]
    file = dataclasses.replace(file, planted="none")
    shot, stored = collection.render(subject, file, shape=SHAPE, seed=3)
    dicom.write(tmp_path / "coded.dcm", dicom.dataset(shot, stored))
    plain = dataclasses.replace(shot, vendor=dataclasses.replace(vendor, syntax=ExplicitVRLittleEndian))
    dicom.write(tmp_path / "plain.dcm", dicom.dataset(plain, stored))
    coded, uncompressed = pydicom.dcmread(tmp_path / "coded.dcm"), pydicom.dcmread(tmp_path / "plain.dcm")
    assert coded.file_meta.TransferSyntaxUID == vendor.syntax
    assert np.array_equal(coded.pixel_array, stored) and np.array_equal(uncompressed.pixel_array, stored)
    assert stored.max() < 2**vendor.bits
    image = mammography.render(subject.breasts, view=file.view, laterality=file.laterality, shape=SHAPE)
    assert np.abs(shown(coded, stored) - image).max() < (0.006 if vendor.bits <= 8 or vendor.sigmoid else 0.001)


def test_headers_conform(tree: tuple[Path, pd.DataFrame]) -> None:
    """Every value is valid for its VR, and everything mandatory in a mammogram for presentation is there."""
    root, truth = tree
    before = pydicom_config.settings.reading_validation_mode
    pydicom_config.settings.reading_validation_mode = pydicom_config.RAISE
    try:
        for row in truth[truth["expected_decision"] != "quarantined"].itertuples():
            ds = pydicom.dcmread(root / row.path, stop_before_pixels=True)
            for element in ds.iterall():
                _ = element.value
            if ds.SOPClassUID == dicom.FOR_PRESENTATION:
                missing = [name for name in MANDATORY if name not in ds]
                assert not missing and ("WindowCenter" in ds or "VOILUTSequence" in ds)
                assert {"MONOCHROME1": "INVERSE", "MONOCHROME2": "IDENTITY"}[ds.PhotometricInterpretation] == ds.PresentationLUTShape
    finally:
        pydicom_config.settings.reading_validation_mode = before


def test_vendors_habits_are_all_met(tree: tuple[Path, pd.DataFrame]) -> None:
    root, truth = tree
    headers = [pydicom.dcmread(root / path, stop_before_pixels=True) for path in truth.loc[truth["planted"] == "none", "path"]]
    assert {ds.file_meta.TransferSyntaxUID for ds in headers} == {vendor.syntax for vendor in VENDORS} and len(VENDORS) == 5
    assert {ds.PhotometricInterpretation for ds in headers} == {"MONOCHROME1", "MONOCHROME2"}
    assert {ds.BitsStored for ds in headers} == {8, 12, 14}
    for name in (
        "ViewPosition",
        "WindowCenter",
        "VOILUTFunction",
        "VOILUTSequence",
        "PixelPaddingValue",
        "BreastImplantPresent",
        "BurnedInAnnotation",
    ):
        assert {name in ds for ds in headers} == {True, False}, name
    assert {np.size(ds.get("WindowCenter")) > 1 for ds in headers if "WindowCenter" in ds} == {True, False}
    assert {float(ds.RescaleSlope) for ds in headers} == {1.0, 2.0}


@pytest.mark.parametrize("patients", [24, 400])
def test_every_kind_is_planned(patients: int) -> None:
    for seed in range(3):
        truth = collection.truth(collection.plan(patients=patients, seed=seed))
        counts = truth["planted"].value_counts()
        assert set(counts.index) == {"none", *KINDS}
        assert (truth["planted"] == "none").sum() > 0.6 * len(truth)
        assert set(truth["expected_rule"]) <= {"", *Exclude().header_rules, *Exclude().pixel_rules, *QUARANTINE}
        assert set(Exclude().header_rules) | set(Exclude().pixel_rules) <= set(truth["expected_rule"])
        assert (truth["expected_decision"] == "quarantined").mean() < 0.05
        if patients == 400:
            shares = truth.drop_duplicates("patient").loc[lambda t: t["patient"] != ""]
            assert len(shares) == 400 and shares["age"].mean() == pytest.approx(56, abs=2)
            assert (truth.groupby("patient")["label"].agg(set) == {"normal"}).sum() == pytest.approx(280, abs=4)
            assert counts.drop("none").min() >= 2


def test_bytes_do_not_depend_on_processes(tmp_path: Path) -> None:
    def digests(processes: int) -> dict[str, str]:
        root = tmp_path / str(processes)
        write_collection(root, patients=5, shape=(128, 96), seed=2, processes=processes)
        return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in root.rglob("*.dcm")}

    one, two = digests(1), digests(2)
    assert one == two and len(one) > 20


def test_small_requests(tmp_path: Path) -> None:
    assert len(collection.plan(patients=1, seed=0).files) >= 4
    with pytest.raises(LookalikeError, match="patients"):
        collection.plan(patients=0, seed=0)
    with pytest.raises(LookalikeError, match="show nothing"):
        write_collection(tmp_path, patients=1, shape=(20, 20), seed=0)


@pytest.mark.parametrize("view", ["CC", "MLO", "ML", "XCCL"])
def test_chest_wall_is_left_on_left_breasts_and_right_on_right_ones(view: mammography.View) -> None:
    for side, near, far in (("L", 0, -1), ("R", -1, 0)):
        image = mammography.render(patient(), view=view, laterality=side, shape=SHAPE)
        assert (image[:, near] > 0).mean() > 0.25 and (image[:, far] == 0).all()
        assert image.min() == 0 and image.max() <= mammography.TISSUE_CEILING


def radial_slope(region: np.ndarray) -> float:
    """Slope of the log radial power spectrum over the middle frequencies, by a straight-line fit; Hann window against edge leakage."""
    n = region.shape[0]
    window = np.hanning(n)[:, None] * np.hanning(n)[None, :]
    power = np.abs(np.fft.fft2((region - region.mean()) * window)) ** 2
    frequency = np.hypot(np.fft.fftfreq(n)[:, None], np.fft.fftfreq(n)[None, :]) * n
    bins = np.arange(5, n // 5)
    radial = [power[(frequency >= k - 0.5) & (frequency < k + 0.5)].mean() for k in bins]
    return float(np.polyfit(np.log(bins), np.log(radial), 1)[0])


def test_interior_has_the_power_spectrum_asked_for() -> None:
    """The slope follows beta; strands and vessels, which have none of their own, pull it towards 2.7. Real mammograms: about 2.8."""
    slopes = []
    asked = (2.6, 2.9, 3.2)
    for beta in asked:
        women = [patient(seed, beta=beta, depth=13.0, height=26.0, field=30.0, centre=0.5, fat=0.35, dense=0.7) for seed in range(4)]
        images = [mammography.render(woman, view="CC", laterality="L", shape=(640, 512)) for woman in women]
        slopes.append(-np.mean([radial_slope(image[240:400, 50:210]) for image in images]))
    assert slopes == pytest.approx(asked, abs=0.35)
    assert np.all(np.diff(slopes) > 0.05)


def test_power_law_field_has_unit_variance_and_its_slope() -> None:
    field = mammography.power_law(np.random.default_rng(0), shape=(512, 512), pixel=0.05, beta=3.0)
    assert field.dtype == np.float32 and -radial_slope(field) > 0
    n = 512
    power = np.abs(np.fft.fft2(field)) ** 2
    frequency = np.hypot(np.fft.fftfreq(n)[:, None], np.fft.fftfreq(n)[None, :]) * n
    bins = np.arange(60, 200)  # well above 1/TEXTURE_SCALE, where the spectrum bends
    radial = [power[(frequency >= k - 0.5) & (frequency < k + 0.5)].mean() for k in bins]
    assert np.polyfit(np.log(bins), np.log(radial), 1)[0] == pytest.approx(-3, abs=0.05)
    stack = [mammography.power_law(np.random.default_rng(k), shape=(128, 128), pixel=0.2, beta=3.0).var() for k in range(30)]
    assert np.mean(stack) == pytest.approx(1, abs=0.15)


def test_breasts_of_one_patient_are_alike() -> None:
    """Coarse pictures correlate more between a patient's own breasts than between patients of one size and density."""

    def coarse(subject: Patient, side: mammography.Side) -> np.ndarray:
        image = mammography.render(subject, view="CC", laterality=side, shape=SHAPE)
        image = image[:, ::-1] if side == "R" else image
        return image[40:120, :48].reshape(16, 5, 16, 3).mean(axis=(1, 3)).ravel()

    same = {"depth": 10.0, "height": 20.0, "roundness": 2.1, "centre": 0.5, "field": 30.0, "fat": 0.35, "dense": 0.8}
    women = [patient(seed, **same) for seed in range(12)]
    left, right = (np.array([coarse(woman, side) for woman in women]) for side in ("L", "R"))
    left, right = left - left.mean(axis=0), right - right.mean(axis=0)  # less what all breasts have in common
    correlation = np.corrcoef(left, right)[:12, 12:]
    assert np.diag(correlation).mean() > correlation[~np.eye(12, dtype=bool)].mean() + 0.15


def test_denser_breasts_are_brighter() -> None:
    def mean_grey(density: mammography.Density) -> float:
        women = [patient(seed, density=density, fat=0.3, dense=0.8, depth=10.0, height=20.0, field=30.0) for seed in range(6)]
        images = [mammography.render(woman, view="CC", laterality="L", shape=SHAPE) for woman in women]
        return float(np.mean([image[image > 0].mean() for image in images]))

    greys = [mean_grey(density) for density in ("A", "B", "C", "D")]
    assert np.all(np.diff(greys) > 0.01), greys


@pytest.mark.parametrize("foreign", ["clip", "pacemaker", "skin_marker"])
def test_metal_alone_saturates(foreign: mammography.Foreign) -> None:
    calcified = patient(lesion="benign_calcifications", lesion_side="L")
    assert mammography.render(calcified, view="MLO", laterality="L", shape=(320, 256)).max() <= mammography.TISSUE_CEILING
    for seed in range(5):
        image = mammography.render(patient(seed), view="MLO", laterality="L", shape=(320, 256), foreign=foreign)
        saturated = image >= 0.98
        assert saturated.any()
        assert (saturated.sum() > 500) == (foreign == "pacemaker")
