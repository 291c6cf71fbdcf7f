"""Breast MR: files to exams, lesions and the cohort of patches."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import lookalike_trees as trees
import numpy as np
import pandas as pd
import pydicom
import pytest

from lookalike.cohort.adapters import breast_mr, duke_breast_mri
from lookalike.cohort.exams import PATCH_COLUMNS, group_exams, quarantine_uncut, select_patches
from lookalike.cohort.header import EMPTY, parse_header, seconds
from lookalike.cohort.identity import hash_identity
from lookalike.cohort.index import build_index
from lookalike.cohort.ledger import flow_counts, public_ledger, reconcile
from lookalike.cohort.split import split_patients
from lookalike.config import Exclude
from lookalike.errors import LookalikeError
from lookalike.phantoms import breast_mr as phantoms

KEY = b"a key of sixteen bytes or more"
RULES = ("not_mr", "no_phase")
EXCLUDE = Exclude(header_rules=RULES, pixel_rules=())
ALL = ["t2", "pre", "post_1", "post_2", "post_3", "post_4"]
Grouped = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame]


def group(root: Path, adapter: str = "breast_mr", table: Path | None = None, t2_from: Literal["t2", "t1"] = "t2") -> Grouped:
    """Index, and what `group_exams` gives; every file has its decision."""
    index = build_index(root, adapter=adapter, table=table, key=KEY, processes=1, maximum_quarantined=1.0)
    decisions, exams, lesions = group_exams(index, EXCLUDE, root=root, adapter=adapter, table=table, key=KEY, t2_from=t2_from)
    kept = reconcile(index, decisions)["kept"]
    assert sorted(exams["row_id"]) == sorted(decisions.loc[decisions["decision"] == "kept", "row_id"]) and kept == len(exams)
    flow = flow_counts(decisions, RULES)
    assert flow["remaining"].iloc[-1] == kept and "incomplete_exam" in set(flow["rule"])
    return index, decisions, exams, lesions


def details(index: pd.DataFrame, decisions: pd.DataFrame, patient: str) -> set[tuple[str, str]]:
    """Rules and details of a patient's files."""
    rows = decisions[(index["patient"] == hash_identity(KEY, "patient", patient)).to_numpy()]
    return set(zip(rows["rule"], rows["detail"], strict=True))


@pytest.mark.parametrize("mapping", ["", "csv", "xlsx"])
def test_duke(tmp_path: Path, mapping: str) -> None:
    trees.duke_breast_mri(tmp_path, mapping=mapping)
    index, decisions, exams, lesions = group(tmp_path, "duke_breast_mri")
    unused = ("no_phase", "t1 is not used"), ("no_phase", "a segmentation that no lesion names")
    for number in (1, 2, 4):
        assert details(index, decisions, f"Breast_MRI_{number:03d}") == {("", ""), *unused}
    assert details(index, decisions, "Breast_MRI_003") == {("incomplete_exam", "no post_4"), *unused}
    assert details(index, decisions, "Breast_MRI_005") == {("incomplete_exam", "no row in the lesion table"), *unused}
    assert exams.groupby("exam")["phase"].unique().map(sorted).tolist() == [sorted(ALL)] * 3 and len(exams) == 3 * 36
    # The second and third file of each, whichever way they run; rows and columns as they are stored.
    pre = exams[exams["phase"] == "pre"].merge(lesions, on="exam")
    inside = pre[(pre["slice"] >= pre["start_slice"]) & (pre["slice"] <= pre["end_slice"])]
    assert sorted(inside["path"].str[-9:]) == ["1-002.dcm"] * 3 + ["1-003.dcm"] * 3
    assert set(inside.loc[inside["path"].str.contains("_002/"), "slice"]) == {3, 4} and set(inside["slice"]) == {1, 2, 3, 4}
    assert lesions[["start_row", "end_row", "start_column", "end_column"]].drop_duplicates().to_numpy().tolist() == [[10, 19, 4, 29]]
    assert set(lesions["label"]) == {"malignant"} and (lesions["mask"] == "").all()
    heights = exams.merge(index[["row_id", "position"]], on="row_id").sort_values(["exam", "phase", "slice"])
    assert (heights["position"].str.split("\\").str[2].astype(float) == 2 * heights["slice"]).all()
    # The set as it is published has no T2.
    for path in tmp_path.rglob("*-ax t2 fs-*"):
        shutil.rmtree(path)
    with pytest.raises(LookalikeError, match="no t2"):
        group(tmp_path, "duke_breast_mri")
    _, _, exams, _ = group(tmp_path, "duke_breast_mri", t2_from="t1")
    instead = exams[exams["phase"] == "t2"]
    assert exams["exam"].nunique() == 3 and len(instead) == 18 and instead["path"].str.contains(r"/2[45]\.000000-(?:ax t1|series 25)-").all()


def test_a_mapping_that_fits_no_file(tmp_path: Path) -> None:
    trees.duke_breast_mri(tmp_path, mapping="csv")
    table = tmp_path / "Breast-Cancer-MRI-filepath_filename-mapping.csv"
    table.write_text(table.read_text().replace("Breast_MRI_0", "Breast_MRI_9").replace("BreastMRI0", "BreastMRI9"))
    with pytest.raises(LookalikeError, match="fits any of the 209 files"):
        group(tmp_path, "duke_breast_mri")


def test_the_real_boxes(real_data: Path) -> None:
    told = duke_breast_mri.lesions(root=real_data, table=real_data / "tables/Annotation_Boxes_thum.xlsx")
    assert len(told) == 919 and told["patient"].is_unique and told["patient"].str.fullmatch(r"Breast_MRI_\d{3}").all()
    assert told.iloc[0][list(breast_mr.BOX[:2])].tolist() == [234, 271] and told["start_slice"].min() == 1 and told["end_slice"].max() == 196
    lengths = told["end_slice"] - told["start_slice"] + 1
    assert (lengths > 0).all() and abs(lengths.median() - 20) <= 2


def test_generic(tmp_path: Path) -> None:
    trees.breast_mr(tmp_path)
    index, decisions, exams, lesions = group(tmp_path)
    facts = dict(zip(index["path"], zip(index["phase"], decisions["decision"], decisions["rule"], strict=True), strict=True))
    for patient in "abcd":
        assert facts[f"{patient}/t2/1-004.dcm"][:2] == ("t2", "kept")
        for number, phase in enumerate(ALL[1:]):
            first = 6 * number if patient in "bc" else 0
            assert (
                facts[f"{patient}/dyn{number}/1-{first + 1:03d}.dcm"] == (phase, "kept", "")
                and facts[f"{patient}/dyn{number}/1-{first + 6:03d}.dcm"][0] == phase
            )
    assert facts["b/seg/1-001.dcm"] == ("mask", "kept", "") and facts["b/other/1-001.dcm"] == ("", "excluded", "no_phase")
    assert facts["d/sub/1-001.dcm"] == facts["d/loc/1-001.dcm"] == ("", "excluded", "no_phase") and facts["d/ct/1-001.dcm"][2] == "not_mr"
    exam_of = {patient: hash_identity(KEY, "study", trees.generate_uid(entropy_srcs=[patient, "1"])) for patient in "abcd"}
    rows = lesions.set_index(["exam", "lesion"])[["label", "mask", "mask_value", "start_row", "end_slice"]]
    assert rows.loc[(exam_of["a"], 0)].tolist() == ["benign", "", 0, 0, 2]
    assert rows.loc[(exam_of["b"], 1)].tolist() == ["benign", "b/seg/1-001.dcm", 2, -1, -1]
    assert rows.loc[(exam_of["c"], 0)].tolist() == ["malignant", "c.nii.gz", 0, -1, -1] and len(rows) == 4
    assert set(exams["exam"]) == set(exam_of.values()) and exams[exams["phase"] == "mask"]["slice"].tolist() == [-1]


def series(*descriptions: str, contrast: str = "", **columns: list[Any]) -> list[str]:
    """Phases of a study's series, one file each, a minute apart in this order; `contrast`: y for those whose header names an agent."""
    count = len(descriptions)
    values = {"acquired": [60.0 * place for place in range(count)], "contrast": [mark == "y" for mark in contrast.ljust(count)], **columns}
    facts = {"modality": "MR", "study_uid": "s", "series_description": list(descriptions), "series_uid": [f"u{k}" for k in range(count)], **values}
    return breast_mr.phases(pd.DataFrame({**EMPTY, **facts})).tolist()


def test_phases_from_descriptions_and_times() -> None:
    posts = ALL[2:]
    assert series("ax dyn pre", *(f"ax dyn {n} pass" for n in ("1st", "2nd", "3rd", "4th")), "ax t1", "AX T2 FS") == ["pre", *posts, "", "t2"]
    # The number counts, not the time: a phase that is missing stays missing.
    assert series("dyn pre", "dyn post 1", "dyn post 3", "dyn_post-4") == ["pre", "post_1", "post_3", "post_4"]
    assert series("ax dyn pre", *(f"Ph{n}/ax dyn" for n in range(1, 5))) == ["pre", *posts]
    assert series("ax dyn", *(f"Ph{n}/ax dyn" for n in range(1, 5))) == ["pre", *posts]
    assert series(*(f"Ph{n}/ax dyn" for n in range(1, 6))) == ["pre", *posts]
    assert series(*(f"dyn_{n}" for n in range(5))) == ["pre", *posts]
    assert series("ax dyn 1st pass", "ax dyn 2nd pass") == posts[:2]
    assert series(*["T1W_dyn"] * 6) == ["pre", *posts, "post_5"]
    assert series(*["t1_vibe"] * 3, acquired=[9.0, 1.0, 5.0]) == ["post_2", "pre", "post_1"]
    assert series(*["t1 dyn 3D"] * 3, acquired=[np.nan, 1.0, 5.0], series_number=[7, 9, 8]) == ["pre", "post_2", "post_1"]
    assert series("t1 pre", "t1 post 70s", "t1 post 2 min", "t1 post SUB", "MIP post") == ["pre", "post_1", "post_2", "", ""]
    # Two series without contrast: neither is chosen.
    assert series(*["T1W_dyn"] * 4, contrast="  yy") == ["pre", "pre", "post_1", "post_2"]
    assert series("dyn", "dyn", contrast="yy") == ["pre", "post_1"]
    axial, sagittal = r"1\0\0\0\1\0", r"0\1\0\0\0\-1"
    assert series("t2 tra", "t2 sag", "dyn pre", orientation=[axial, sagittal, axial]) == ["t2", "", "pre"]
    assert series("t2 tse", "t2_tirm", "dyn pre") == ["t2", "", "pre"]
    # One T1 series too many, of another sequence: nothing tells which is the one before contrast.
    assert series("t1_tse_tra", *["t1_fl3d_tra"] * 5) == [""] * 6 and series("t1 tse pre", *(f"t1 fl3d dyn_{n}" for n in range(1, 6))) == [""] * 6
    assert series("t1 tse pre", *["t1 fl3d dyn"] * 4) == ["pre", *posts]
    assert series("ax dyn pre", *(f"ax dyn {n}th pass" for n in range(1, 6))) == ["pre", *posts, "post_5"]
    assert series("dyn pre", "dyn pre", "localizer", "DWI", sop_uid=["1", "1", "2", "3"]) == ["pre", "", "", ""]


def shorter(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def edit(**tags: Any) -> Callable[[Path], None]:
    """Change the headers of all files below a path."""

    def change(place: Path) -> None:
        for path in [place] if place.is_file() else sorted(place.glob("*.dcm")):
            dataset = pydicom.dcmread(path)
            for name, value in tags.items():
                setattr(dataset, name, value(dataset[name].value) if callable(value) else value)
            trees.write(path, dataset)

    return change


def other(uid: str) -> str:
    return str(trees.generate_uid(entropy_srcs=[uid]))


def moved(**steps: float) -> Callable[[Path], None]:
    x, y = steps.get("x", 0), steps.get("y", 0)
    return edit(ImagePositionPatient=lambda place: [place[0] + x, place[1] + y, place[2]])


def again(**tags: Any) -> Callable[[Path], None]:
    """A second copy of a series beside it, with UIDs of its own."""

    def copy(folder: Path) -> None:
        shutil.copytree(folder, folder.with_name("again"))
        edit(SeriesInstanceUID="1.2.99", SOPInstanceUID=other, **tags)(folder.with_name("again"))

    return copy


def two_missing(folder: Path) -> None:
    (folder / "1-002.dcm").unlink()
    (folder / "1-004.dcm").unlink()


@pytest.mark.parametrize(
    ("place", "change", "detail"),
    [
        ("dyn3", shutil.rmtree, "no post_3"),
        ("t2", shutil.rmtree, "no t2"),
        ("dyn2/1-003.dcm", shorter, "a file of post_2 is unreadable"),
        ("dyn2", two_missing, "slices of post_2 are not evenly spaced: 2 of 6 missing"),
        ("t2/1-002.dcm", Path.unlink, "slices of t2 are not evenly spaced: 1 of 4 missing"),
        ("dyn4/1-006.dcm", Path.unlink, "different number of slices: 6 of pre, 5 of post_4"),
        ("dyn1", moved(x=1), "post_1 is not where pre is"),
        ("dyn1/1-003.dcm", moved(y=1), "slices of post_1 are not in one line"),
        ("dyn1/1-003.dcm", edit(Rows=50), "files of post_1 differ in size"),
        ("dyn1/1-003.dcm", edit(ImageOrientationPatient=[-1, 0, 0, 0, -1, 0]), "files of post_1 differ in orientation"),
        ("dyn1/1-003.dcm", edit(ImagePositionPatient=[-24, -30, 2]), "files of post_1 are at the same place"),
        ("dyn1/1-003.dcm", edit(ImagePositionPatient=None), "files of post_1 have no position or orientation"),
        ("dyn2", edit(Rows=44), "different matrix: pre is 48 x 36, post_2 44 x 36"),
        ("dyn2", edit(PixelSpacing=[1.1, 1.1]), "different pixel spacing of pre and post_2"),
        ("dyn2", edit(ImageOrientationPatient=[-1, 0, 0, 0, -1, 0]), "different orientation of pre and post_2"),
        ("t2", edit(ImageOrientationPatient=[0, 1, 0, -1, 0, 0]), "different orientation of pre and t2"),
        ("dyn0", again(AcquisitionTime="093000"), "2 series of pre that differ in time"),
        ("t2", again(), "2 series of t2"),
        ("dyn3", edit(AcquisitionTime="095900"), "post_3 is earlier than post_2"),
        ("dyn0", edit(InstanceNumber=1), "files of pre are not numbered in the order of their slices"),
        ("dyn3/1-001.dcm", edit(PatientID="z"), "files of several patients"),
    ],
)
def test_incomplete_exams(tmp_path: Path, place: str, change: Callable[[Path], None], detail: str) -> None:
    """Whatever is wrong, all files of the exam are quarantined with the reason, and no other exam is."""
    trees.breast_mr(tmp_path)
    change(tmp_path / "a" / place)
    index, decisions, exams, _ = group(tmp_path)
    mine = index["path"].str.startswith("a/").to_numpy()
    assert set(decisions.loc[mine & index["readable"].to_numpy(), "detail"]) == {detail}
    assert set(decisions.loc[mine, "decision"]) == {"quarantined"} and not decisions.loc[~mine, "decision"].eq("quarantined").any()
    assert exams["patient"].nunique() == 3


@pytest.mark.parametrize(
    ("old", "new", "detail"),
    [
        ("a,,L1,benign,,,1,10,2,20,3,3\n", "", "no row in the lesion table"),
        ("2,20,3,3", "2,37,3,3", "the box of a lesion ends at column 37 of 36"),
        ("2,20,3,3", "2,20,3,7", "the box of a lesion ends at slice 7 of 6"),
    ],
)
def test_exams_that_the_table_does_not_fit(tmp_path: Path, old: str, new: str, detail: str) -> None:
    trees.breast_mr(tmp_path)
    table = tmp_path / "lesions.csv"
    table.write_text(table.read_text().replace(old, new))
    index, decisions, _, _ = group(tmp_path)
    assert details(index, decisions, "a") == {("incomplete_exam", detail)}


def test_masks_share_the_fate_of_their_exam(tmp_path: Path) -> None:
    trees.breast_mr(tmp_path)
    (tmp_path / "b/t2/1-002.dcm").unlink()
    index, decisions, _, _ = group(tmp_path)
    assert decisions.loc[index["path"] == "b/seg/1-001.dcm", "detail"].tolist() == ["slices of t2 are not evenly spaced: 1 of 4 missing"]
    trees.breast_mr(tmp_path)
    shorter(tmp_path / "b/seg/1-001.dcm")
    index, decisions, _, _ = group(tmp_path)
    assert ("incomplete_exam", "a mask is unreadable") in details(index, decisions, "b")


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("lesion,", "finding,", "lacks the column `lesion`"),
        ("benign,,", "odd,,", "label `odd` is not understood .*line 2"),
        ("L2", "L1", "lesion is there twice .*line 4"),
        ("c.nii.gz", "gone.nii", "mask does not exist .*line 5"),
        ("c.nii.gz", "../c.nii.gz", "out of the folder of raw images .*line 5"),
        ("c.nii.gz", "/etc/hostname", "out of the folder of raw images .*line 5"),
        ("c.nii.gz", "a/t2/1-001.dcm", "neither a DICOM Segmentation nor NIfTI .*line 5"),
        ("c.nii.gz,", "c.nii.gz,first", "mask value `first`"),
        ("2,20,3,3", "2,20,4,3", "box is none.*line 2"),
        ("2,20,3,3", "2,20,0,3", "box is none.*line 2"),
        ("2,20,3,3", "2,20,3,", "box is none.*line 2"),
        ("c.nii.gz", "", "neither mask nor box, or both .*line 5"),
        ("x,M,", ",M,", "lesion has no name .*line 5"),
        ("d,,,", ",,,", "names no patient .*line 6"),
        ("\na,,L1", "\na,,", "lesion has no name .*line 2"),
    ],
)
def test_bad_lesion_tables_get_a_sentence(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    trees.breast_mr(tmp_path)
    table = tmp_path / "lesions.csv"
    table.write_text(table.read_text().replace(old, new))
    with pytest.raises(LookalikeError, match=complaint) as error:
        group(tmp_path)
    assert str(error.value).count(". ") == 1


def test_patients_of_several_studies(tmp_path: Path) -> None:
    """The row must name the study; a study that no row names has no lesion table."""
    trees.breast_mr(tmp_path)
    for folder in sorted((tmp_path / "a").glob("*")):
        shutil.copytree(folder, tmp_path / "e" / folder.name)
        edit(StudyInstanceUID="1.2.77", SeriesInstanceUID=other, SOPInstanceUID=other)(tmp_path / "e" / folder.name)
    with pytest.raises(LookalikeError, match=r"2 studies, and the row names none .*line 2"):
        group(tmp_path)
    table = tmp_path / "lesions.csv"
    table.write_text(table.read_text().replace("a,,L1", "a,1.2.77,L1"))
    index, decisions, exams, _ = group(tmp_path)
    assert details(index, decisions, "a") == {("", ""), ("incomplete_exam", "no row in the lesion table")}
    assert hash_identity(KEY, "study", "1.2.77") in set(exams["exam"]) and exams["exam"].nunique() == 4


def test_no_exam_is_complete(tmp_path: Path) -> None:
    trees.breast_mr(tmp_path)
    for patient in "abcd":
        shutil.rmtree(tmp_path / patient / "t2")
    with pytest.raises(LookalikeError, match="None of 4 exams is complete; most often: no t2"):
        group(tmp_path)
    with pytest.raises(LookalikeError, match="without the rule `no_phase`"):
        group_exams(pd.DataFrame(), Exclude(header_rules=("not_mr",)), root=tmp_path, adapter="breast_mr", table=None, key=KEY)
    with pytest.raises(LookalikeError, match="adapter `dicom` tells no lesions"):
        group_exams(pd.DataFrame(), EXCLUDE, root=tmp_path, adapter="dicom", table=None, key=KEY)


def test_patches_of_the_cohort_hold_no_identity(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Names, paths and UIDs stay in the private tables, also of an exam that cannot be read after all."""
    tree = tmp_path / "tree"
    trees.breast_mr(tree)
    for path in sorted(tree.rglob("*.dcm")):
        edit(PatientID=lambda name: f"CANARY_{name}", SeriesDescription=lambda text: f"{text} CANARY", Manufacturer="SIEMENS")(path)
    table = tree / "lesions.csv"
    table.write_text(
        table.read_text().replace("\na", "\nCANARY_a").replace("\nb", "\nCANARY_b").replace("\nc", "\nCANARY_c").replace("\nd", "\nCANARY_d")
    )
    shorter(tree / "d/dyn1/1-002.dcm")
    with caplog.at_level(logging.DEBUG):
        index, decisions, exams, lesions = group(tree)
        names = sorted(exams["exam"].unique())
        patches = [(names[0], "malignant", 0, ""), (names[0], "normal", -1, ""), (names[1], "benign", 0, ""), (names[1], "benign", 1, "no voxel")]
        features = pd.DataFrame([*patches, (names[2], "", -1, "pixels cannot be decoded")], columns=["exam", "label", "lesion", "problem"])
        places = {"patch": [f"{k:016x}" for k in range(5)], "slice": 3, "row_centre": 9, "column_centre": 9, "flagged_border": [True, *[False] * 4]}
        features = features.assign(**places, part=0, row=[0, 1, 2, -1, -1])
        final = quarantine_uncut(decisions, exams, features)
        splits = split_patients(list(exams["patient"]), train=0.5, validation=0, seed=1)
        cohort = select_patches(index, final, exams, features, splits)
    counts = reconcile(index, final)
    unread = final[final["rule"] == "undecodable"]
    assert set(unread["row_id"]) == set(exams.loc[exams["exam"] == names[2], "row_id"]) and counts["kept"] == len(exams) - len(unread)
    with pytest.raises(LookalikeError, match=r"allowed are 5\.0%; most often: pixels cannot be decoded"):
        quarantine_uncut(decisions, exams, features, maximum_quarantined=0.05)
    assert list(cohort.columns) == list(PATCH_COLUMNS) and {name: str(dtype) for name, dtype in cohort.dtypes.items()}["lesion"] == "int64"
    assert cohort["findings"].tolist() == ["malignant", "no_finding", "benign"] and cohort["label"].tolist() == ["malignant", "normal", "benign"]
    assert cohort["bordered"].tolist() == [True, False, False] and set(cohort["manufacturer"]) == {"Siemens"} and set(cohort["rows"]) == {48}
    assert (cohort["split"] == cohort["patient"].map(splits)).all() and cohort["row"].tolist() == [0, 1, 2]
    assert "1 lesions have no patch, most often: 1 x no voxel" in caplog.text
    written = "".join(part.to_csv() for part in (public_ledger(final), flow_counts(final, RULES), cohort)) + caplog.text
    assert not [secret for secret in ("CANARY", "1-00", "dyn", ".dcm", "1.2.826", "1.2.840") if secret.lower() in written.lower()]
    rest = index.drop(columns=["path", "sop_uid", "series_description", "sop_class", "transfer_syntax"])
    assert "CANARY" not in rest.to_csv() and "1.2.826" not in rest.to_csv() and rest["series"].str.fullmatch("[0-9a-f]{16}").all()
    assert lesions["mask"].ne("").sum() == 3


@pytest.mark.slow
def test_phantoms_are_grouped_and_their_boxes_lie_on_their_lesions(tmp_path: Path) -> None:
    """Written by other hands, read back: incomplete exams are those that were planted so, and nothing is lost."""
    truth = phantoms.write_tree(tmp_path, patients=24, shape=(64, 64), seed=5, processes=2)
    index, decisions, exams, lesions = group(tmp_path)
    names = {hash_identity(KEY, "patient", name): name for name in truth["patient"]}
    planted = truth.drop_duplicates("patient").set_index("patient")["planted"]
    quarantined = index["patient"][(decisions["decision"] == "quarantined").to_numpy()].map(names)
    assert set(quarantined) == set(planted.index[planted.isin(["missing_phase", "truncated"])]) and len(set(quarantined)) >= 2
    assert exams["patient"].nunique() == len(planted) - len(set(quarantined))
    of = exams.drop_duplicates("exam").set_index("exam")["patient"].map(names)
    boxes = lesions[lesions["mask"] == ""]
    assert len(boxes) > 3
    files = exams[exams["phase"] == "pre"].merge(index[["row_id", "position", "orientation"]], on="row_id").set_index(["exam", "slice"])
    for box in boxes.itertuples():
        known = truth[truth["patient"] == of[box.exam]].iloc[box.lesion]
        first, last = (np.array(files.at[(box.exam, slice_), "position"].split("\\"), dtype=float) for slice_ in (box.start_slice, box.end_slice))
        plane = np.array(files.at[(box.exam, box.start_slice), "orientation"].split("\\"), dtype=float)
        header = pydicom.dcmread(tmp_path / files.at[(box.exam, box.start_slice), "path"], stop_before_pixels=True)
        along = (
            plane[:3] * header.PixelSpacing[1] * (box.start_column + box.end_column) / 2
            + plane[3:] * header.PixelSpacing[0] * (box.start_row + box.end_row) / 2
        )
        off = (first + last) / 2 + along - known[["x", "y", "z"]].to_numpy(dtype=float)
        assert (np.abs(off) < [float(header.PixelSpacing[1]), float(header.PixelSpacing[0]), 16]).all() and known["label"] == box.label
        assert first[2] - 8 < known["z"] < last[2] + 8 or last[2] - 8 < known["z"] < first[2] + 8


def test_times() -> None:
    before, after = (pydicom.Dataset() for _ in range(2))
    before.AcquisitionDate, before.AcquisitionTime = "20200131", "235930"
    after.AcquisitionDate, after.AcquisitionTime = "20200201", "000040"
    assert parse_header(after)["acquired"] - parse_header(before)["acquired"] == 70
    del before.AcquisitionDate
    assert parse_header(before)["acquired"] == 86370
    assert seconds("100102.25") == 36062.25 and seconds("10:01:02") == 36062 and seconds("1001") == 36060
    assert all(np.isnan(seconds(text)) for text in ("", "25", "250000", "10-01", "1001021"))
