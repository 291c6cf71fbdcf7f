"""Identity, index, exclusion rules, split and ledger."""

from __future__ import annotations

import hashlib
import hmac
import io
import logging
import os
import stat
from pathlib import Path
from typing import Any, get_args

import lookalike_trees as trees
import numpy as np
import pandas as pd
import pydicom
import pytest
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import RLELossless

from lookalike import config
from lookalike.cohort import exclude as rules
from lookalike.cohort.exclude import apply_header_rules, apply_pixel_rules
from lookalike.cohort.header import TAGS, _converted, _plain, normal_age, normal_manufacturer, normal_view, parse_header
from lookalike.cohort.identity import PHANTOM_KEY, hash_identity, load_key
from lookalike.cohort.index import INDEX_COLUMNS, _unlisted, build_index
from lookalike.cohort.ledger import cohort_table, flow_counts, public_ledger, reconcile
from lookalike.cohort.split import patient_strata, select_images, split_patients
from lookalike.config import Exclude, Pixels
from lookalike.errors import LookalikeError
from lookalike.pixels.prepare import prepare_image

KEY = b"a key of sixteen bytes or more"


def index_of(root: Path, *, adapter: str = "dicom", processes: int = 1, maximum_quarantined: float = 1.0) -> pd.DataFrame:
    return build_index(root, adapter=adapter, table=None, key=KEY, processes=processes, maximum_quarantined=maximum_quarantined)


def features_of(decisions: pd.DataFrame, **values: Any) -> pd.DataFrame:
    """Faultless pixel features of all candidates; lists in `values` replace columns."""
    ids = decisions.loc[decisions["decision"] == "candidate", "row_id"].to_list()
    columns = {
        "problem": "",
        "constant": False,
        "breast_fraction": 0.4,
        "foreign_body_score": 0.1,
        "foreign_body_kind": "",
        "text_score": 0.0,
        "pixel_hash": [f"h{number}" for number in ids],
        "part": 0,
        "row": list(range(len(ids))),
    }
    return pd.DataFrame({"row_id": ids, **columns, **values})


# --- identity


def test_hashes_are_keyed_and_of_a_kind() -> None:
    expected = hmac.new(KEY, b"patient:Jane", hashlib.sha256).hexdigest()[:16]
    assert hash_identity(KEY, "patient", "Jane") == expected
    assert len({hash_identity(key, kind, "Jane") for key in (KEY, PHANTOM_KEY) for kind in ("patient", "study", "image")}) == 6


def test_key_is_made_once_and_kept_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_key(None, phantoms=True) == PHANTOM_KEY and not (tmp_path / "private").exists()
    key = load_key(None, phantoms=False)
    path = tmp_path / "private/identity.key"
    assert len(key) >= 32 and load_key(None, phantoms=False) == key == path.read_bytes().strip()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and [p.name for p in path.parent.iterdir()] == ["identity.key"]


@pytest.mark.parametrize(("content", "complaint"), [(None, "does not exist"), (b"", "0 bytes"), (b"0123456789abcde\n", "15 bytes")])
def test_bad_keys(tmp_path: Path, content: bytes | None, complaint: str) -> None:
    if content is not None:
        (tmp_path / "key").write_bytes(content)
    with pytest.raises(LookalikeError, match=complaint):
        load_key(tmp_path / "key", phantoms=False)


# --- headers


def test_views_from_codes_meanings_and_positions() -> None:
    def view(**tags: Any) -> str:
        return parse_header(trees.mammogram("a", **tags))["view"]

    for value, scheme, expected in (("R-10226", "SRT", "MLO"), ("399162004", "SCT", "CC"), ("R-10244", "SNM3", "FB"), ("Y-X1770", "99X", "XCCL")):
        assert view(ViewPosition=None, ViewCodeSequence=Sequence([trees.code(value, "whatever", scheme)])) == expected
    assert view(ViewPosition="", ViewCodeSequence=Sequence([trees.code("99", "Medio-Lateral Oblique")])) == "MLO"
    assert view(ViewPosition="OTHER", ViewCodeSequence=Sequence([trees.code("R-10242", "x")])) == "CC"
    assert view(ViewPosition="MLO", ViewCodeSequence=Sequence([trees.code("R-10242", "x")])) == "MLO"
    assert view(ViewPosition=None) == ""
    assert view(ViewCodeSequence=Sequence([trees.code("R-10242", "cc", modifiers=[trees.code("R-102D2", "Cleavage")])])) == "CV"
    assert [normal_view(text) for text in ("LCC", "R-MLO", "LM", "RLM", "LAT", "latero-medial", "", "SPOT")] == [
        "CC",
        "MLO",
        "LM",
        "LM",
        "LAT",
        "LM",
        "",
        "SPOT",
    ]


def test_sides_modifiers_and_ages() -> None:
    def values(**tags: Any) -> dict[str, Any]:
        return parse_header(trees.mammogram("a", **tags))

    displaced = trees.code("R-102D5", "Implant Displaced")
    assert values(ViewModifierCodeSequence=Sequence([displaced]))["view_modifiers"] == "implant displaced"
    assert values(ViewCodeSequence=Sequence([trees.code("R-10242", "cc", modifiers=[displaced])]))["view_modifiers"] == "implant displaced"
    assert values(ViewPosition="LCCID", ImageLaterality=None)["view_modifiers"] == "implant displaced"
    assert (
        values(ViewPosition="LCCID", ImageLaterality=None)["laterality"] == "L"
        and values(ViewPosition="LM", ImageLaterality=None)["laterality"] == ""
    )
    assert values(ImageLaterality=None, Laterality="L")["laterality"] == "L" and values(ImageLaterality="B")["laterality"] == ""
    assert values(EstimatedRadiographicMagnificationFactor=1.08)["view_modifiers"] == ""
    assert values(EstimatedRadiographicMagnificationFactor=1.8)["view_modifiers"] == "magnification"
    assert values(BreastImplantPresent="YES ")["implant"] == "YES" and values()["implant"] == ""
    ages = [normal_age(text) for text in ("056Y", "018M", "61.5", "000Y", "999Y", "", "Y", "-3")]
    assert ages[:3] == [56, 1.5, 61.5] and np.isnan(ages[3:]).all()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("GE MEDICAL SYSTEMS", "GE"),
        ("GEMS", "GE"),
        ("General Electric", "GE"),
        ("ge_healthcare", "GE"),
        ("HOLOGIC, Inc.", "Hologic"),
        ("LORAD, A Hologic Company", "Lorad"),
        ("FUJI PHOTO FILM Co., ltd.", "Fujifilm"),
        ("I.M.S. S.r.l.", "IMS Giotto"),
        ("IMS GIOTTO S.p.A.", "IMS Giotto"),
        ("SIEMENS Healthineers", "Siemens"),
        ("Carestream Health", "Carestream"),
        ("EASTMAN KODAK", "Kodak"),
        ("Sectra Imtec AB", "Sectra"),
        ("Corvid Röntgen AG", "Corvid"),
        ("Dr. Georgette Images-Vims", "other"),
        ("", ""),
    ],
)
def test_manufacturers_have_short_names(text: str, name: str) -> None:
    assert normal_manufacturer(text) == name


# --- index


def test_index_types_order_and_workers(tmp_path: Path) -> None:
    for number in range(70):
        trees.write(tmp_path / f"p{number % 7}/{number}.dcm", trees.mammogram(str(number), PatientID=f"p{number % 7}"))
    one, three = index_of(tmp_path), index_of(tmp_path, processes=3)
    pd.testing.assert_frame_equal(one, three)
    assert list(one.columns) == list(INDEX_COLUMNS) and list(one["path"]) == sorted(one["path"]) and list(one["row_id"]) == list(range(70))
    buffer = io.BytesIO()
    one.to_parquet(buffer, index=False)
    pd.testing.assert_frame_equal(pd.read_parquet(buffer), one)
    assert one["patient"].nunique() == 7 and one["image"].is_unique and one["spacing_mm"].eq(4).all()


def test_every_kind_of_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    good = trees.write(tmp_path / "good.dcm", trees.mammogram("good"))
    data = good.read_bytes()
    for name in ("no_suffix", "1.2.840.113619.35", "upper.IMA", "magic.img"):
        trees.write(tmp_path / name, trees.mammogram(name))
    (tmp_path / "garbage.dcm").write_bytes(b"\x00\x01garbage" * 100)
    (tmp_path / "empty.dcm").write_bytes(b"")
    (tmp_path / "short.dcm").write_bytes(data[:-700])
    (tmp_path / "headless.dcm").write_bytes(data[: data.index(b"\xe0\x7f\x10\x00")])
    (tmp_path / "cut.dcm").write_bytes(data[:400])
    trees.write(tmp_path / "broken_tag.dcm", trees.mammogram("broken"))
    broken = (tmp_path / "broken_tag.dcm").read_bytes().replace(b"4.0\\4.0", b"4mm\\4mm")
    (tmp_path / "broken_tag.dcm").write_bytes(broken)
    for name in ("LICENSE", "DICOMDIR", "README.txt", "table.csv", ".hidden.dcm", "picture.png", ".git/object"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"side file")
    (tmp_path / os.fsdecode(b"latin\xe9.dcm")).write_bytes(data)
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    with caplog.at_level(logging.INFO, logger="lookalike"):
        index = index_of(tmp_path).set_index("path")
    assert "dicom: 12 image files, 6 other files skipped" in caplog.text
    assert index.loc[["good.dcm", "no_suffix", "1.2.840.113619.35", "upper.IMA", "magic.img", "broken_tag.dcm"], "readable"].all()
    assert np.isnan(index.loc["broken_tag.dcm", "spacing_mm"]) and index.loc["broken_tag.dcm", "rows"] == 48
    assert index.loc[~index["readable"], "problem"].to_dict() == {
        "cut.dcm": "no Rows or Columns in the header",
        "empty.dcm": "file is empty",
        "garbage.dcm": "not a DICOM file (no DICM at byte 128)",
        "headless.dcm": "no PixelData",
        "latin?.dcm": "file name is not valid UTF-8",
        "short.dcm": "PixelData truncated: 1,028 of 1,728 bytes",
    }
    assert index["image"].is_unique and (index["patient"] != "").all()


def test_a_pipe_is_a_row_and_a_hidden_folder_is_not_named(tmp_path: Path) -> None:
    for name in ("pipe.dcm", "1.2.3"):
        os.mkfifo(tmp_path / name)
    assert set(index_of(tmp_path)["problem"]) == {"no file but a pipe, socket or device"}
    with pytest.raises(LookalikeError, match=r"cannot be listed \(Permission denied\) \(below /data\)") as caught:
        _unlisted(Path("/data"), PermissionError(13, "Permission denied", "/data/DOE_JANE"))
    assert "JANE" not in str(caught.value)


def test_pixel_data_shorter_than_the_header_promises(tmp_path: Path) -> None:
    trees.write(tmp_path / "a.dcm", trees.mammogram("a"))
    lying = trees.write(tmp_path / "b.dcm", trees.mammogram("b"))
    data = lying.read_bytes()
    rows = b"\x28\x00\x10\x00US\x02\x00"
    assert data.count(rows) == 1
    lying.write_bytes(data.replace(rows + (48).to_bytes(2, "little"), rows + (480).to_bytes(2, "little")))
    assert list(index_of(tmp_path)["problem"]) == ["", "PixelData truncated: 1,728 of 17,280 bytes"]
    pixels = data.index(b"\xe0\x7f\x10\x00")
    lying.write_bytes(data[: pixels + 8] + b"\xff" * 4)  # a length without an end, and then the file's
    assert index_of(tmp_path)["problem"][1] == "PixelData truncated: 0 of 1,728 bytes (compressed pixels under an uncompressed transfer syntax)"


def test_same_uid_twice_gives_two_names(tmp_path: Path) -> None:
    header = trees.mammogram("a")
    for name in ("1.dcm", "2.dcm"):
        trees.write(tmp_path / name, header)
    index = index_of(tmp_path)
    assert index["image"].is_unique and index["image"][0] == hash_identity(KEY, "image", str(header.SOPInstanceUID))


def test_patients_without_a_name(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    trees.write(tmp_path / "a.dcm", trees.mammogram("a", PatientID=None, StudyInstanceUID="1.2.3"))
    trees.write(tmp_path / "b.dcm", trees.mammogram("b", PatientID="", StudyInstanceUID="1.2.3"))
    trees.write(tmp_path / "c.dcm", trees.mammogram("c", PatientID=None, StudyInstanceUID=None))
    index = index_of(tmp_path)
    assert index["patient"][0] == index["patient"][1] != index["patient"][2] and "3 files name no patient" in caplog.text
    caplog.clear()
    for name in "abc":
        trees.write(tmp_path / f"{name}.dcm", trees.mammogram(name, PatientID="ANONYMOUS"))
    index_of(tmp_path)
    assert "all 3 files of 3 studies name the same patient" in caplog.text


def test_bad_roots_and_too_many_broken_files(tmp_path: Path) -> None:
    with pytest.raises(LookalikeError, match="does not exist"):
        index_of(tmp_path / "nowhere")
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(
        LookalikeError, match=r"No image file was found \(1 other files\).*Set `source\.root` to the folder that holds the images.*reads DICOM now"
    ):
        index_of(tmp_path)
    trees.write(tmp_path / "a.dcm", trees.mammogram("a"))
    (tmp_path / "Jane Doe.dcm").write_bytes(b"garbage")
    assert len(index_of(tmp_path, maximum_quarantined=0.5)) == 2
    with pytest.raises(LookalikeError, match=r"1 of 2 files are unreadable, allowed are 49\.0%; most often: 1 x not a DICOM file") as caught:
        index_of(tmp_path, maximum_quarantined=0.49)
    assert "Jane" not in str(caught.value) and "private index" not in str(caught.value)


# --- exclusion


def test_rules_are_those_of_the_config() -> None:
    assert tuple(rules.HEADER_RULES) == get_args(config.HeaderRule) and tuple(rules.PIXEL_RULES) == config.PIXEL_RULES


TOMO = "1.2.840.10008.5.1.4.1.1.13.1.3"


@pytest.mark.parametrize(
    ("rule", "tags"),
    [
        ("", {}),
        ("", {"ImageType": ["DERIVED", "PRIMARY"]}),
        ("", {"ImageType": ["ORIGINAL", "PRIMARY", "", "LOW_ENERGY"], "PresentationIntentType": None, "BurnedInAnnotation": "NO"}),
        ("", {"EstimatedRadiographicMagnificationFactor": 1.07, "PaddleDescription": "18X24", "SeriesDescription": "R MLO image of the breast"}),
        ("not_mammography", {"Modality": "US", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.6.1"}),
        ("not_mammography", {"Modality": "SR", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.50", "Rows": None, "Columns": None}),
        ("not_mammography", {"QualityControlImage": "YES"}),
        ("not_for_presentation", {"PresentationIntentType": "FOR PROCESSING"}),
        ("not_for_presentation", {"PresentationIntentType": None, "SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.2.1"}),
        ("tomosynthesis", {"SOPClassUID": TOMO}),
        ("tomosynthesis", {"NumberOfFrames": 3}),
        ("tomosynthesis", {"ImageType": ["ORIGINAL", "PRIMARY", "TOMO_PROJ", "LEFT"]}),
        ("tomosynthesis", {"SeriesDescription": "R MLO Tomosynthesis Reconstruction"}),
        ("stereotactic", {"ImageType": ["DERIVED", "PRIMARY", "STEREO", "LEFT"]}),
        ("stereotactic", {"DetectorMode": "Stereo"}),
        ("stereotactic", {"PaddleDescription": "BIOPSY 5X5"}),
        ("spot_or_magnification", {"ViewCodeSequence": Sequence([trees.code("R-10242", "cc", modifiers=[trees.code("R-102D7", "Spot")])])}),
        ("spot_or_magnification", {"EstimatedRadiographicMagnificationFactor": 1.5}),
        ("spot_or_magnification", {"PaddleDescription": "10CM MAG"}),
        ("spot_or_magnification", {"ViewPosition": "SPOT"}),
        ("specimen", {"ViewPosition": None, "ViewCodeSequence": Sequence([trees.code("G-8310", "tissue specimen from breast")])}),
        ("specimen", {"SeriesDescription": "Specimen left"}),
        ("derived", {"ImageType": ["DERIVED", "PRIMARY", "TOMOSYNTHESIS", "GENERATED_2D"]}),
        ("derived", {"ImageType": ["DERIVED", "PRIMARY", "TOMOSYNTHESIS", "GENERATED_2D"], "SOPClassUID": TOMO}),
        ("derived", {"ImageType": ["DERIVED", "PRIMARY", "", "RECOMBINED"]}),
        ("derived", {"SeriesDescription": "L CC C-View"}),
        ("implant", {"BreastImplantPresent": "YES"}),
        ("implant_displaced", {"ViewPosition": "MLOID"}),
        ("burned_in_tag", {"BurnedInAnnotation": "YES"}),
        ("view_missing", {"ViewPosition": None}),
        ("view_not_wanted", {"ViewPosition": "ML"}),
        ("view_not_wanted", {"ViewPosition": "QUETZALFOLKZ"}),
        ("field_too_small", {"ImagerPixelSpacing": [2.0, 2.0]}),
        ("field_too_small", {"ImagerPixelSpacing": None}),
        ("", {"ImagerPixelSpacing": None, "PixelSpacing": [3.0, 3.0]}),
        ("", {"ImagerPixelSpacing": None, "Rows": 256, "Columns": 256}),
    ],
)
def test_header_rules_one_by_one(tmp_path: Path, rule: str, tags: dict[str, Any]) -> None:
    """Each made-up header is caught by its rule and by no other: with that rule off it stays."""
    trees.write(tmp_path / "a.dcm", trees.mammogram("a", **tags))
    index = index_of(tmp_path)
    decision = apply_header_rules(index, Exclude()).iloc[0]
    assert (decision["decision"], decision["rule"]) == (("excluded", rule) if rule else ("candidate", ""))
    assert bool(decision["detail"]) == bool(rule)
    if rule and "Rows" not in tags and tags.get("ViewPosition") != "SPOT" and rule != "specimen":
        others = Exclude(header_rules=tuple(name for name in Exclude().header_rules if name != rule))
        assert apply_header_rules(index, others)["decision"].tolist() == ["candidate"]


def test_settings_of_header_rules(tmp_path: Path) -> None:
    trees.write(tmp_path / "a.dcm", trees.mammogram("a", ViewPosition="XCCL", ImagerPixelSpacing=[2.0, 2.0]))
    index = index_of(tmp_path)
    assert apply_header_rules(index, Exclude(views=("XCCL",), minimum_field_mm=72.0))["decision"].tolist() == ["candidate"]
    decision = apply_header_rules(index, Exclude(views=("XCCL",), minimum_field_mm=72.1)).iloc[0]
    assert decision["detail"] == "field of view is 96 x 72 mm"
    # The first rule in the order listed gives the reason.
    assert apply_header_rules(index, Exclude(header_rules=("field_too_small", "view_not_wanted")))["rule"].tolist() == ["field_too_small"]


def test_a_duplicate_of_an_excluded_file_is_not_a_duplicate(tmp_path: Path) -> None:
    uid = "1.2.3.4"
    trees.write(tmp_path / "1.dcm", trees.mammogram("1", SOPInstanceUID=uid, PresentationIntentType="FOR PROCESSING"))
    good = trees.write(tmp_path / "2.dcm", trees.mammogram("2", SOPInstanceUID=uid))
    trees.write(tmp_path / "3.dcm", trees.mammogram("3", SOPInstanceUID=uid))
    (tmp_path / "0.dcm").write_bytes(good.read_bytes()[:-100])
    index = index_of(tmp_path)
    header = apply_header_rules(index, Exclude())
    assert header["decision"].tolist() == ["quarantined", "excluded", "candidate", "candidate"]
    decisions = apply_pixel_rules(header, features_of(header), Exclude())
    assert decisions["decision"].tolist() == ["quarantined", "excluded", "kept", "excluded"]
    assert decisions["rule"].tolist() == ["unreadable", "not_for_presentation", "", "duplicate_uid"]
    assert decisions["detail"][3] == f"same SOP Instance UID as image {index['image'][2]}"


def decoded(index: pd.DataFrame, header: pd.DataFrame, root: Path) -> pd.DataFrame:
    """Features of all candidates: problem and pixel hash as the decoder finds them, all else faultless."""
    paths = index.loc[header["decision"] == "candidate", "path"]
    found = [prepare_image(root / path, pixels=Pixels(levels=3), kind="mammography")[0] for path in paths]
    return features_of(header, problem=[item.problem for item in found], pixel_hash=[item.pixel_hash for item in found])


@pytest.mark.parametrize(("broken", "intact"), [("A.dcm", "B.dcm"), ("B.dcm", "A.dcm")])
def test_a_corrupt_copy_leaves_its_intact_twin(tmp_path: Path, broken: str, intact: str) -> None:
    """Compressed pixels that are cut off show only in decoding; whichever file comes first, the intact one stays."""
    tree = tmp_path / "tree"
    path = trees.write(tree / intact, trees.mammogram("twin", Rows=96, Columns=72))
    dataset = pydicom.dcmread(path)
    noise = np.random.default_rng(0).integers(0, 256, (96, 72), dtype=np.uint8)
    dataset.compress(RLELossless, noise, generate_instance_uid=False)
    dataset.save_as(path)
    whole = path.read_bytes()
    (tree / broken).write_bytes(whole[: int(0.6 * len(whole))])
    (tree / "C.dcm").write_bytes(whole)
    index = index_of(tree)
    header = apply_header_rules(index, Exclude())
    assert header["decision"].tolist() == ["candidate"] * 3 and header["uid_group"].tolist() == [0, 0, 0]
    decisions = apply_pixel_rules(header, decoded(index, header, tree), Exclude()).set_axis(index["path"])
    assert decisions["rule"].to_dict() == {broken: "undecodable", intact: "", "C.dcm": "duplicate_uid"}
    assert decisions.loc["C.dcm", "detail"] == f"same SOP Instance UID as image {decisions.loc[intact, 'image']}"
    assert list(public_ledger(decisions).columns) == ["image", "decision", "rule", "detail"]
    # Without the rule, the same pixels under the same UID still count once.
    rest = Exclude(pixel_rules=("duplicate_pixels",))
    assert apply_pixel_rules(header, decoded(index, header, tree), rest)["rule"].tolist()[2] == "duplicate_pixels"


def test_images_without_uid_are_no_duplicates(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        trees.raster(tmp_path / name)
    header = apply_header_rules(index_of(tmp_path, adapter="images"), Exclude(header_rules=()))
    assert header["uid_group"].tolist() == [-1, -1]
    assert apply_pixel_rules(header, features_of(header), Exclude())["decision"].tolist() == ["kept", "kept"]


def test_real_dicom_decisions(real_data: Path) -> None:
    index = index_of(real_data / "mg-dicom")

    def decide(exclude: Exclude) -> dict[str, tuple[str, str]]:
        decisions = apply_header_rules(index, exclude)
        return dict(zip(index["path"], zip(decisions["decision"], decisions["rule"], strict=True), strict=True))

    assert decide(Exclude()) == {
        "GH133.dcm": ("candidate", ""),
        "GH1376.dcm": ("quarantined", "unreadable"),
        "MG1_J2KI.dcm": ("excluded", "not_mammography"),
        "MG1_JPLY.dcm": ("excluded", "not_mammography"),
        "MG_Explicit_Little.dcm": ("excluded", "spot_or_magnification"),
        "OutOfBoundsOverlay.dcm": ("excluded", "stereotactic"),
    }
    assert "PixelData truncated: 1,340,284 of 9,287,460 bytes" in index["problem"][1]
    film = decide(Exclude(header_rules=tuple(name for name in Exclude().header_rules if name != "not_mammography")))
    assert film["MG1_J2KI.dcm"] == film["MG1_JPLY.dcm"] == ("candidate", "")
    assert index.loc[0, ["view", "laterality", "implant", "rows", "columns", "bits_stored"]].tolist() == ["MLO", "R", "NO", 3062, 2394, 12]
    assert np.isnan(index["age"][0])  # "000Y"


def candidates(number: int) -> pd.DataFrame:
    images = [f"i{k}" for k in range(number)]
    return pd.DataFrame({"row_id": range(number), "image": images, "uid_group": -1, "decision": "candidate", "rule": "", "detail": ""})


def test_pixel_rules() -> None:
    decisions = candidates(8)
    decisions.loc[1, ["decision", "rule", "detail"]] = ["excluded", "implant", "an implant is present"]
    features = features_of(
        decisions,
        problem=["", "no decoder for JPEG extended", "", "", "", "", ""],
        breast_fraction=[0.4, np.nan, 0.02, 0.4, 0.4, 0.4, 0.4],
        foreign_body_score=[0.0, np.nan, 3.0, 1.0, 0.99, 0.0, 0.0],
        foreign_body_kind=["", "", "clip", "clip", "clip", "", ""],
        text_score=[0.0, np.nan, 0.0, 0.0, 0.0, 1.0, 0.0],
        pixel_hash=["a", "", "a", "b", "b", "c", "a"],
    )
    final = apply_pixel_rules(decisions, features.sample(frac=1, random_state=0), Exclude())
    assert final["decision"].tolist() == ["kept", "excluded", "quarantined", "excluded", "excluded", "kept", "excluded", "excluded"]
    assert final["rule"].tolist() == ["", "implant", "undecodable", "blank", "foreign_body", "", "burned_in_pixels", "duplicate_pixels"]
    assert final["detail"].tolist()[2:5] == ["no decoder for JPEG extended", "2.0 % of the image is breast", "clip detected (score 1.0)"]
    assert final["detail"][7] == "same pixels as image i0"
    without = apply_pixel_rules(decisions, features, Exclude(pixel_rules=()))
    assert (without["decision"] == "kept").sum() == 6
    with pytest.raises(LookalikeError, match=r"1 of 8 files are unreadable or cannot be decoded, .*most often: 1 x no decoder for JPEG extended"):
        apply_pixel_rules(decisions, features, Exclude(), maximum_quarantined=0.1)
    nothing = apply_pixel_rules(decisions.iloc[1:2], pd.DataFrame(columns=rules.FEATURE_COLUMNS), Exclude())
    assert nothing["rule"].tolist() == ["implant"]
    with pytest.raises(LookalikeError, match="1 of the images missing"):
        apply_pixel_rules(decisions, features.iloc[1:], Exclude())
    with pytest.raises(LookalikeError, match="features have 8 rows"):
        apply_pixel_rules(decisions, pd.concat([features, features.iloc[:1]]), Exclude())


# --- ledger


def test_a_ledger_that_does_not_add_up() -> None:
    decisions = candidates(3).assign(decision="kept")
    index = decisions[["row_id", "image"]]
    assert reconcile(index, decisions) == {"indexed": 3, "kept": 3, "excluded": 0, "quarantined": 0}
    lost = decisions.iloc[:2]
    undecided = decisions.assign(decision=["kept", "candidate", "kept"])
    swapped = decisions.assign(image=["i1", "i0", "i2"])
    unexplained = decisions.assign(decision=["kept", "excluded", "kept"])
    for wrong in (lost, undecided, swapped, unexplained):
        with pytest.raises(LookalikeError, match=r"does not add up|no reason"):
            reconcile(index, wrong)
    with pytest.raises(LookalikeError, match="`implant`, which is not in force"):
        flow_counts(decisions.assign(decision="excluded", rule="implant"), ["blank"])


def test_an_empty_cohort_says_which_rule_to_switch_off(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        trees.raster(tmp_path / name)
    index = index_of(tmp_path, adapter="images")
    header = apply_header_rules(index, Exclude())
    decisions = apply_pixel_rules(header, features_of(header), Exclude())
    with pytest.raises(LookalikeError, match=r"`view_missing` removed 2 of 2.*`exclude\.header_rules` without `view_missing`, or give a table"):
        cohort_table(index, decisions, features_of(header), {})


@pytest.mark.parametrize(("patients", "warned"), [(3, True), (4, False)])
def test_a_cohort_too_small_to_compare_warns(tmp_path: Path, caplog: pytest.LogCaptureFixture, patients: int, warned: bool) -> None:
    for number in range(patients):
        trees.write(tmp_path / f"{number}.dcm", trees.mammogram(str(number)))
    index = index_of(tmp_path)
    header = apply_header_rules(index, Exclude())
    features = features_of(header)
    decisions = apply_pixel_rules(header, features, Exclude())
    assert len(cohort_table(index, decisions, features, dict.fromkeys(index["patient"], "train"))) == patients
    assert ("keeps 3 images of 3 patients, but comparisons need at least 4 patients" in caplog.text) == warned


# --- split


def test_split_hardly_moves_when_patients_are_added() -> None:
    patients = [f"p{k}" for k in range(1100)]
    few = split_patients(patients[:1000], train=0.8, validation=0.1, seed=1)
    many = split_patients(patients, train=0.8, validation=0.1, seed=1)
    assert sum(few[patient] != many[patient] for patient in few) < 50  # two cuts, each moved by a binomial fluctuation
    assert set(split_patients(patients, train=0.0, validation=0.0, seed=1).values()) == {"test"}
    assert set(split_patients(["p"], train=0.2, validation=0.2, seed=1).values()) == {"train"}


@pytest.mark.parametrize("seed", range(5))
def test_strata_are_split_alike_and_fractions_hold_over_small_ones_in_sum(seed: int) -> None:
    sizes = {"large": 500, "middle": 43, **{f"rare {k}": 1 + k % 3 for k in range(200)}}
    strata = {f"{name} {k}": name for name, size in sizes.items() for k in range(size)}
    splits = split_patients(list(strata), train=0.8, validation=0.1, seed=seed, strata=strata)
    counts = pd.crosstab(pd.Series(strata), pd.Series(splits))[["train", "validation", "test"]]
    assert list(counts.sum()) == [round(share * len(strata)) for share in (0.8, 0.1, 0.1)]
    assert (counts.loc[["large", "middle"]] - np.outer([500, 43], [0.8, 0.1, 0.1])).abs().max(axis=None) <= 1.5
    for size in (1, 2, 3):
        alike = counts[counts.sum(axis=1) == size]
        assert (alike.sum() - size * len(alike) * np.array([0.8, 0.1, 0.1])).abs().max() <= 2
    assert splits == split_patients(list(strata)[::-1], train=0.8, validation=0.1, seed=seed, strata=strata)
    whole = split_patients(list(strata), train=0.8, validation=0.1, seed=seed)
    assert whole != splits
    assert whole == split_patients(list(strata), train=0.8, validation=0.1, seed=seed, strata=dict.fromkeys(strata, "one"))


def test_a_stratum_is_what_any_image_of_the_patient_shows() -> None:
    images = pd.DataFrame(
        [("a", "edema|mass?", "B", ""), ("b", "", "", ""), ("a", "edema", "", "benign"), ("c", "mass?|edema", "B", "benign")],
        columns=["patient", "findings", "density", "label"],
    )
    assert patient_strata(images) == {"a": "B|benign|edema|mass?", "b": "", "c": "B|benign|edema|mass?"}


def test_select_images() -> None:
    table = pd.DataFrame({"image": list("abcdefgh"), "split": ["train"] * 5 + ["test"] * 3})
    assert select_images(table, split="test", maximum=None, seed=1)["image"].tolist() == ["f", "g", "h"]
    chosen = select_images(table, split="all", maximum=4, seed=1)
    assert len(chosen) == 4 and chosen["image"].is_monotonic_increasing and chosen.index.tolist() == [0, 1, 2, 3]
    assert chosen.equals(select_images(table, split="all", maximum=4, seed=1))
    with pytest.raises(LookalikeError, match="No real image is in the split `validation`"):
        select_images(table, split="validation", maximum=None, seed=1)


# --- identity leaves nothing behind

CANARY = "CANARY"
IDENTIFYING = {
    "PatientName": "CANARY^NAME",
    "PatientID": "CANARY-ID",
    "OtherPatientIDs": "CANARY-OTHER",
    "PatientBirthDate": "19330117",
    "PatientAddress": "CANARY street",
    "PatientTelephoneNumbers": "CANARY 01",
    "AccessionNumber": "CANARY-ACC",
    "InstitutionName": "CANARY hospital",
    "InstitutionAddress": "CANARY road",
    "ReferringPhysicianName": "CANARY^REF",
    "OperatorsName": "CANARY^OP",
    "PhysiciansOfRecord": "CANARY^REC",
    "StudyID": "CANARY-ST",
    "StudyDate": "19330118",
    "StudyDescription": "CANARY study",
    "StationName": "CANARY-STAT",
    "DeviceSerialNumber": "CANARY-DEV",
    "ImageComments": "CANARY comment",
    "RequestedProcedureDescription": "CANARY procedure",
}


# Fields that people may write anything into, one image each, with the rule that reads it.
FREE = "QUETZALFOLKZ"
FREE_TEXT: list[tuple[str, dict[str, Any]]] = [
    ("view_not_wanted", {"ViewPosition": FREE}),
    ("view_missing", {"ViewPosition": None, "ViewCodeSequence": Sequence([trees.code("99", FREE)])}),
    ("not_mammography", {"Modality": FREE, "SOPClassUID": "1.2.9"}),
    ("not_mammography", {"BodyPartExamined": f"{FREE[:8]} PHANTOM"}),
    ("not_for_presentation", {"PresentationIntentType": "FOR PROCESSING", "ImageType": ["ORIGINAL", "PRIMARY", FREE]}),
    ("tomosynthesis", {"ImageType": ["ORIGINAL", "PRIMARY", f"TOMO_{FREE[:10]}"]}),
    ("stereotactic", {"ImageType": ["ORIGINAL", "PRIMARY", f"STEREO{FREE[:10]}"]}),
    ("stereotactic", {"PaddleDescription": f"BIOPSY {FREE}"}),
    ("stereotactic", {"DetectorMode": f"STEREO {FREE[:8]}"}),
    ("spot_or_magnification", {"PaddleDescription": f"SPOT {FREE}"}),
    ("spot_or_magnification", {"ViewPosition": f"SPOT{FREE}"}),
    ("spot_or_magnification", {"ViewModifierCodeSequence": Sequence([trees.code("99", f"spot {FREE}")])}),
    ("specimen", {"BodyPartExamined": f"SPECIMEN{FREE[:8]}"}),
    ("derived", {"ImageType": ["DERIVED", "PRIMARY", FREE, "MASK"]}),
    ("implant_displaced", {"ViewModifierCodeSequence": Sequence([trees.code("99", f"implant displaced {FREE}")])}),
    ("", {"Manufacturer": f"{FREE} imaging", "ManufacturerModelName": FREE, "BodyPartExamined": FREE, "PaddleDescription": FREE}),
]


def test_free_text_of_headers_stays_in_the_private_index(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number, (_, tags) in enumerate(FREE_TEXT):
        trees.write(tmp_path / f"{number:02d}.dcm", trees.mammogram(str(number), **{"Manufacturer": FREE, "SeriesDescription": FREE, **tags}))
    with caplog.at_level(logging.DEBUG):
        index = index_of(tmp_path)
        header = apply_header_rules(index, Exclude())
        assert header["rule"].tolist() == [rule for rule, _ in FREE_TEXT]
        # Again with rules off, so that what they read reaches the cohort's table.
        lenient = apply_header_rules(index, Exclude(header_rules=()))
        public = [public_ledger(header)]
        for decided in (header, lenient):
            features = features_of(decided)
            decisions = apply_pixel_rules(decided, features, Exclude())
            splits = split_patients(list(index["patient"]), train=0.8, validation=0.1, seed=1)
            public += [public_ledger(decisions), cohort_table(index, decisions, features, splits), flow_counts(decisions, list(rules.HEADER_RULES))]
    written = "".join(table.to_csv() for table in [header, lenient, *public]) + caplog.text
    assert FREE[:8].lower() not in written.lower() and FREE in index.to_csv()
    assert header["detail"][0] == "view is not one of the known ones" and header["detail"][2] == "modality is not one of the known ones"
    everything = public[-2]
    assert set(everything["view"]) == {"CC", "other", ""} and set(everything["manufacturer"]) == {"other"}


def test_identity_stays_in_the_private_index(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = tmp_path / "tree"
    series = "CANARY tomosynthesis reconstruction"
    for number, tags in enumerate(
        [{}, {"SeriesDescription": "CANARY spot"}, {"SeriesDescription": series}, {"ViewPosition": None}, {"Modality": "CT", "SOPClassUID": "1.2.9"}]
    ):
        header = trees.mammogram(str(number), **IDENTIFYING, StudyInstanceUID=f"1.2.33331.{number}", SOPInstanceUID=f"1.2.33332.{number}", **tags)
        trees.write(root / "CANARY_Jane" / f"CANARY_{number}.dcm", header)
    good = (root / "CANARY_Jane/CANARY_0.dcm").read_bytes()
    (root / "CANARY_Jane/CANARY_copy.dcm").write_bytes(good)
    (root / "CANARY_Jane/CANARY_short.dcm").write_bytes(good[:-99])
    (root / "CANARY_Jane/CANARY_locked").symlink_to(tmp_path / "CANARY_gone.dcm")
    (root / "CANARY_Jane/CANARY_garbage.dcm").write_bytes(b"CANARY" * 99)
    with caplog.at_level(logging.DEBUG):
        index = index_of(root)
        header = apply_header_rules(index, Exclude())
        features = features_of(header)
        decisions = apply_pixel_rules(header, features, Exclude())
        splits = split_patients(list(index["patient"]), train=0.8, validation=0.1, seed=1)
        public = [public_ledger(decisions), cohort_table(index, decisions, features, splits)]
        public.append(flow_counts(decisions, [*rules.HEADER_RULES, *config.PIXEL_RULES]))
    reasons = ["", "spot_or_magnification", "tomosynthesis", "view_missing", "not_mammography", "duplicate_uid"]
    assert decisions["rule"].tolist() == [*reasons, "unreadable", "unreadable", "unreadable"]
    secrets = [CANARY, "1933", "33331", "33332", "Jane"]
    written = "".join(table.to_csv() for table in public) + caplog.text
    for table in public:
        buffer = io.BytesIO()
        table.to_parquet(buffer)
        written += buffer.getvalue().decode(errors="replace")
    assert not [secret for secret in secrets if secret.lower() in written.lower()]
    # Even the private table holds names and dates in no column; paths, UIDs and free text are what it is private for.
    rest = index.drop(columns=["path", "sop_uid", "series_description"]).to_csv()
    assert not [secret for secret in secrets if secret.lower() in rest.lower()]


@pytest.mark.parametrize("charset", ["ISO_IR 100", "ISO_IR 13", "\\ISO 2022 IR 87", "ISO_IR 192", "GB18030"])
def test_text_of_a_header_is_what_pydicom_makes_of_it(charset: str) -> None:
    """The short way from bytes to text, on random bytes of every representation."""
    rng = np.random.default_rng(7)
    alphabet = [bytes([code]) for code in (*b"0123456789+-.eE \\ABab~^", 0, 9, 0xC4, 0xFF)] + [b"\x1b$B"]
    plain = 0
    for keyword in (*TAGS, "CodeValue", "CodeMeaning"):
        tag = Tag(keyword)
        for _ in range(20):
            data = b"".join(alphabet[k] for k in rng.integers(len(alphabet) if rng.random() < 0.5 else 10, size=rng.integers(0, 9)))
            for representation in (None, dictionary_VR(tag), *rng.choice(["CS", "DS", "IS", "UI", "US", "LO", "TM", "SS", "UN", "Q?"], 2)):
                dataset = Dataset()
                dataset.SpecificCharacterSet = charset.split("\\")
                dataset[tag] = RawDataElement(tag, representation, len(data), data, 0, representation is None, True)
                short, long = _plain(dataset, keyword), _converted(dataset, keyword)
                assert short in (None, long), (keyword, representation, data)
                plain += short is not None
    assert plain > 1000
