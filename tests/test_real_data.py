"""Real files through the workflow. Skipped where LOOKALIKE_REAL_DATA is unset."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
import pytest
import yaml
from conftest import copy_repository, snakemake
from PIL import Image
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from lookalike.cohort.exclude import apply_header_rules, apply_pixel_rules
from lookalike.cohort.identity import PHANTOM_KEY
from lookalike.cohort.index import build_index
from lookalike.cohort.ledger import cohort_table
from lookalike.config import Cohort, Pixels
from lookalike.pixels.prepare import prepare_image, prepare_part
from lookalike.pixels.store import ImageStore

pytestmark = pytest.mark.slow


def mias_table(folder: Path) -> pd.DataFrame:
    """The table that the `images` adapter needs for mini-MIAS: all views MLO, two breasts a patient, even numbers left, one row an image."""
    labels = pd.read_csv(folder / "labels.csv", keep_default_na=False).drop_duplicates("Name")
    number = labels["Name"].str[3:].astype(int)
    return pd.DataFrame(
        {
            "path": labels["Name"],
            "patient": [f"p{(k + 1) // 2:03d}" for k in number],
            "view": "MLO",
            "laterality": np.where(number % 2 == 0, "L", "R"),
            "label": labels["Type"].map({"B": "benign", "M": "malignant"}).fillna("normal"),
        }
    )


def wrap_as_dicom(image: Path, row: pd.Series, target: Path) -> None:
    """One raster as a For Presentation mammogram, 8 bit, without a window."""
    pixels = np.asarray(Image.open(image).convert("L"))
    header = pydicom.Dataset()
    header.file_meta = pydicom.dataset.FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1.2"
    header.SOPInstanceUID = generate_uid(entropy_srcs=[image.stem])
    header.StudyInstanceUID = generate_uid(entropy_srcs=[row["patient"]])
    header.Modality, header.PresentationIntentType, header.ImageType = "MG", "FOR PRESENTATION", ["DERIVED", "PRIMARY"]
    header.PatientID, header.ViewPosition, header.ImageLaterality = row["patient"], row["view"], row["laterality"]
    header.PhotometricInterpretation, header.SamplesPerPixel, header.PixelRepresentation = "MONOCHROME2", 1, 0
    header.Rows, header.Columns = pixels.shape
    header.BitsAllocated = header.BitsStored = 8
    header.HighBit = 7
    header.PixelData = pixels.tobytes()
    header["PixelData"].VR = "OB"
    header.save_as(target, enforce_file_format=True)


def run_cohort(folder: Path, overlay: dict) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Run the workflow up to the cohort; returns ledger and private index."""
    (folder / "overlay.yaml").write_text(yaml.safe_dump(overlay))
    run = snakemake(folder, "--cores", "2", "--configfile", "overlay.yaml", "--", "results/cohorts/mammography/flow.png")
    assert run.returncode == 0, run.stdout[-4000:]
    cohort = folder / "results/cohorts/mammography"
    return pd.read_csv(cohort / "exclusions.csv", keep_default_na=False), pd.read_parquet(cohort / "private/index.parquet")


def test_real_dicom_decisions(real_data: Path, tmp_path: Path) -> None:
    folder = copy_repository(tmp_path / "clone")
    source = {"root": str(real_data / "mg-dicom"), "maximum_quarantined": 0.9}
    ledger, index = run_cohort(folder, {"cohorts": {"mammography": {"source": source, "parts": 1}}})
    decisions = dict(zip(index["path"], zip(ledger["decision"], ledger["rule"], strict=True), strict=True))
    assert decisions == {
        "GH133.dcm": ("kept", ""),
        "OutOfBoundsOverlay.dcm": ("excluded", "stereotactic"),
        "GH1376.dcm": ("quarantined", "unreadable"),
        "MG_Explicit_Little.dcm": ("excluded", "spot_or_magnification"),
        "MG1_J2KI.dcm": ("excluded", "not_mammography"),
        "MG1_JPLY.dcm": ("excluded", "not_mammography"),
    }


def test_real_film_is_readable_or_quarantined_when_let_in(real_data: Path, tmp_path: Path) -> None:
    folder = copy_repository(tmp_path / "clone")
    source = {"root": str(real_data / "mg-dicom"), "maximum_quarantined": 0.9}
    cohort = {"source": source, "parts": 1, "exclude": {"header_rules": ["stereotactic"], "pixel_rules": []}}
    ledger, index = run_cohort(folder, {"cohorts": {"mammography": cohort}})
    decisions = dict(zip(index["path"], ledger["decision"], strict=True))
    assert decisions["MG1_J2KI.dcm"] == "kept" and decisions["MG1_JPLY.dcm"] == "quarantined" and decisions["GH1376.dcm"] == "quarantined"


def test_mini_mias_gives_the_same_pixels_as_raster_and_as_dicom(real_data: Path, tmp_path: Path) -> None:
    mias = real_data / "mini-mias"
    table = mias_table(mias).head(16)
    rasters, dicoms = tmp_path / "rasters", tmp_path / "dicoms"
    rasters.mkdir()
    dicoms.mkdir()
    for _, row in table.iterrows():
        source = next((mias / "images").glob(f"{row['path']}.*"))
        (rasters / source.name).write_bytes(source.read_bytes())
        wrap_as_dicom(source, row, dicoms / f"{row['path']}.dcm")
    table.to_csv(tmp_path / "table.csv", index=False)
    levels = []
    for adapter, root in (("images", rasters), ("dicom", dicoms)):
        folder = copy_repository(tmp_path / adapter)
        source = {"root": str(root), "adapter": adapter, "table": str(tmp_path / "table.csv") if adapter == "images" else None}
        cohort = {"source": source, "pixels": {"background": "zero"}, "parts": 1, "exclude": {"pixel_rules": []}}
        ledger, _ = run_cohort(folder, {"cohorts": {"mammography": cohort}})
        assert (ledger["decision"] == "kept").all(), ledger
        kept = pd.read_parquet(folder / "results/cohorts/mammography/cohort.parquet")
        assert list(kept["label" if adapter == "images" else "view"]) == list(table["label" if adapter == "images" else "view"])
        levels.append(ImageStore(kept, [folder / "results/stores/mammography/part-000.zarr"]).level(4)[:])
    np.testing.assert_array_equal(levels[0], levels[1])
    assert levels[0].mean() > 10


def test_a_quarter_turn_puts_the_chest_wall_on_the_left(real_data: Path) -> None:
    """The published in-silico set lies on its side, chest wall at the top."""
    pixels = Pixels(levels=5, rotate=90)
    for path in sorted((real_data / "m-synth").glob("*.jpg"))[:5]:
        features, frame = prepare_image(path, pixels=pixels, kind="mammography")
        assert frame is not None and (features.rows, features.columns) == (1500, 2000)
        assert frame[:, 0].mean() > 0.1 > frame[:, -1].mean()


def kept_of(index: pd.DataFrame, cohort: Cohort, root: Path, output: Path) -> tuple[pd.DataFrame, np.ndarray]:
    """A cohort's table without splits, and its images at the top level."""
    header = apply_header_rules(index, cohort.exclude)
    waiting = index[header["decision"] == "candidate"]
    features = prepare_part(waiting, root=root, part=0, pixels=cohort.pixels, kind=cohort.kind, output=output / "part-000.zarr", processes=2)
    decisions = apply_pixel_rules(header, features, cohort.exclude)
    table = cohort_table(index, decisions, features, dict.fromkeys(index["patient"], "train"))
    return table, ImageStore(table, [output / "part-000.zarr"]).level(cohort.pixels.levels - 1).load()


def test_nih_chest_x_rays_become_a_cohort(real_data: Path, tmp_path: Path) -> None:
    """All 420 are kept, six RGBA files among them, and each label is as frequent as in the table."""
    root = real_data / "nih-cxr14"
    cohort = Cohort.model_validate({"kind": "chest_xray", "pixels": {"levels": 5}})
    index = build_index(root, adapter="nih_cxr14", table=None, key=PHANTOM_KEY, processes=2, maximum_quarantined=0.0)
    assert (index["photometric"] == "RGBA").sum() == 6 and index["table_row"].all() and index["patient"].nunique() == 420
    table, images = kept_of(index, cohort, root, tmp_path)
    assert len(table) == 420 and images.shape == (420, 64, 64) and images.std(axis=(1, 2)).min() > 10
    labels = pd.read_csv(root / "labels.csv").drop(columns=["Image Index", "Patient ID", "list"])
    expected = labels.sum().rename(str.lower).to_dict() | {"no_finding": int((labels.sum(axis=1) == 0).sum())}
    assert table["findings"].str.split("|").explode().value_counts().to_dict() == expected
    colour = (index["photometric"] == "RGBA").to_numpy()
    assert abs(images[colour].mean() - images[~colour].mean()) < 30


def test_bhsd_slices_become_a_head_ct_cohort(real_data: Path, tmp_path: Path) -> None:
    """Slices as rasters, already in a window; findings are the colours of the masks, a scan's first three digits are the patient."""
    root = real_data / "bhsd-ct"
    colours = {(255, 0, 0): "red", (0, 255, 0): "green", (0, 0, 255): "blue", (255, 255, 0): "yellow", (0, 255, 255): "cyan"}
    rows = []
    for path in sorted((root / "masks").iterdir()):
        there = {tuple(map(int, colour)) for colour in np.unique(np.asarray(Image.open(path)).reshape(-1, 3), axis=0)} & set(colours)
        rows.append((path.stem, path.stem[:3], "|".join(f"bleed_{colours[colour]}" for colour in sorted(there)) or "no_finding"))
    pd.DataFrame(rows, columns=["path", "patient", "findings"]).to_csv(tmp_path / "table.csv", index=False)
    cohort = Cohort.model_validate({"kind": "head_ct", "pixels": {"levels": 5}})
    index = build_index(root / "images", adapter="images", table=tmp_path / "table.csv", key=PHANTOM_KEY, processes=2, maximum_quarantined=0.0)
    table, images = kept_of(index, cohort, root / "images", tmp_path)
    assert len(table) == 36 and images.shape == (36, 64, 64) and images.std(axis=(1, 2)).min() > 10
    assert [set(text.split("|")) for text in table["findings"]] == [set(text.split("|")) for *_, text in rows]
    assert table["patient"].nunique() == len({patient for _, patient, _ in rows})


def test_nih_chest_x_rays_through_the_whole_study(real_data: Path, tmp_path: Path) -> None:
    """Real chest X-rays through D21's workflow with tiny networks: every item is made, and none of the identities leaves the private table."""
    folder = copy_repository(tmp_path / "clone")
    source = {
        "root": str(real_data / "nih-cxr14/images"),
        "table": str(real_data / "nih-cxr14/labels.csv"),
        "adapter": "nih_cxr14",
        "identity_key": "key",
    }
    (folder / "key").write_text("a key of sixteen bytes or more")  # which decides the split
    labels = {"names": ["no_finding", "effusion", "cardiomegaly"], "minimum": 0}
    settings = {
        **dict.fromkeys(("classes_2", "samples_30")),
        "resolution_16": {"dimension": "resolution", "resolution": 16, "validation": 20, "test": 20, "seeds": 1},
    }
    overlay = {
        "cohorts": {"mammography": None, "brain": None, "breast": None, "chest": {"source": source, "labels": labels}},
        "generators": {"progan": None},
        "synthetic": {"progan": None},
        "korkinof2021": None,
        "haarburger2019": None,
        "dumont2021": {"status": "study", "benchmarks": {"brain": None, "chest": {"settings": settings}}},
    }
    (folder / "nih.yaml").write_text(yaml.safe_dump(overlay))
    run = snakemake(folder, "--cores", "2", "--configfile", "tests/config/tiny.yaml", "nih.yaml")
    assert run.returncode == 0, run.stdout[-3000:]
    runs = pd.read_csv(folder / "results/dumont2021/runs.csv")
    assert (
        set(runs["generator"]) == {"cpdgan", "progan"} and runs["gap"].notna().all() and set(runs["data"]) == {"Images from outside, not simulated"}
    )
    for name in ("table1.html", "summary.html", *(f"figure{number}.png" for number in range(1, 8))):
        assert (folder / "results/dumont2021" / name).stat().st_size > 100, name
    comparison = pd.read_csv(folder / "results/comparison.csv", comment="#")
    assert set(comparison["paper"]) == {"DuMont Schütte et al. 2021"}
    names = pd.read_csv(real_data / "nih-cxr14/labels.csv", dtype=str)["Image Index"].str.removesuffix(".png").str.encode("utf-8")
    public = [path for path in (folder / "results").rglob("*") if path.is_file() and "private" not in path.parts]
    assert public and not [path for path in public if any(name in path.read_bytes() for name in names)]
