"""Every adapter on a tree that has its data set's quirks, and on real tables where there are some."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import lookalike_trees as trees
import pandas as pd
import pytest

from lookalike.cohort.adapters import cmmd
from lookalike.cohort.adapters.table import birads_label, normal_density, read_table
from lookalike.cohort.exclude import apply_header_rules, apply_pixel_rules
from lookalike.cohort.header import EMPTY, parse_header
from lookalike.cohort.identity import hash_identity
from lookalike.cohort.index import build_index
from lookalike.cohort.ledger import cohort_table, public_ledger
from lookalike.cohort.split import split_patients
from lookalike.config import Cohort, Exclude
from lookalike.errors import LookalikeError
from lookalike.pixels.prepare import prepare_part

KEY = b"a key of sixteen bytes or more"
CHEST, HEAD = (Cohort.model_validate({"kind": kind, "pixels": {"levels": 3}}) for kind in ("chest_xray", "head_ct"))


def index_of(root: Path, adapter: str, table: Path | None = None) -> pd.DataFrame:
    return build_index(root, adapter=adapter, table=table, key=KEY, processes=1, maximum_quarantined=0.0)


def indexed(build: Callable[[Path], None], tmp_path: Path, adapter: str) -> tuple[pd.DataFrame, pd.Series]:
    """Index by file name, and the rule that excludes each file ("" = candidate)."""
    build(tmp_path)
    index = index_of(tmp_path, adapter)
    decisions = apply_header_rules(index, Exclude())
    return index.set_index("path"), decisions["rule"].set_axis(index["path"])


def is_patient(index: pd.DataFrame, path: str, name: str) -> bool:
    return index.loc[path, "patient"] == hash_identity(KEY, "patient", name)


def test_cbis_ddsm(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="lookalike"):
        index, rule = indexed(trees.cbis_ddsm, tmp_path, "cbis_ddsm")
    kept = index[rule == ""]
    facts = {tuple(row) for row in kept[["view", "laterality", "label", "density"]].to_numpy()}
    # The worst of two abnormalities; the patient in both sets; the renamed one by its series UID.
    assert facts == {("CC", "L", "malignant", "C"), ("MLO", "R", "benign", "B"), ("MLO", "L", "malignant", "D")}
    assert sorted(kept["patient"]) == sorted(hash_identity(KEY, "patient", f"P_0000{k}") for k in (1, 2, 3))
    regions = index[index["image_type"].str.contains("CROP|MASK")]
    assert sorted(regions["image_type"]) == [r"ORIGINAL\PRIMARY\CROP"] * 2 + [r"ORIGINAL\PRIMARY\MASK"] * 2
    assert (regions["rows"] == regions["image_type"].str.endswith("MASK").map({True: 400, False: 60})).all()
    assert set(rule[regions.index]) == {"derived"}
    assert "CBIS-DDSM: 1 table rows have no file, 0 of 7 files have no table row" in caplog.text


def test_inbreast(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="lookalike"):
        index, rule = indexed(trees.inbreast, tmp_path, "inbreast")
    assert list(index["view"]) == ["CC", "MLO", "MLO"] and list(index["laterality"]) == ["R", "L", "R"]
    assert list(index["label"]) == ["malignant", "normal", ""] and list(index["density"]) == ["D", "", "B"]
    assert is_patient(index, index.index[0], "6c613a14b80a8591") and index["patient"].nunique() == 2
    assert (rule == "").all() and index["age"].isna().all()
    assert "1 table rows have no file" in caplog.text


def test_vindr_mammo(tmp_path: Path) -> None:
    index, rule = indexed(trees.vindr_mammo, tmp_path, "vindr_mammo")
    assert list(index["view"]) == ["CC", "MLO", "MLO", ""] and list(index["laterality"]) == ["L", "L", "R", ""]
    assert list(index["label"]) == ["benign", "malignant", "", ""] and list(index["density"]) == ["C", "C", "C", ""]
    assert is_patient(index, "images/s1/aa11.dicom", "s1") and index["patient"].nunique() == 3
    assert index["age"].iloc[0] == 51 and index["age"].iloc[1:].isna().all()
    assert list(index["table_row"]) == [True, True, True, False] and list(rule) == ["", "", "", "view_missing"]


def test_rsna2022(tmp_path: Path) -> None:
    index, rule = indexed(trees.rsna2022, tmp_path, "rsna2022")
    facts = index.reset_index()[["path", "view", "label", "implant", "density"]].to_numpy().tolist()
    assert facts == [
        ["train_images/10006/1459541791.dcm", "MLO", "malignant", "NO", "B"],
        ["train_images/10006/462822612.dcm", "CC", "normal", "NO", "B"],
        ["train_images/10011/541722628.dcm", "AT", "benign", "NO", ""],
        ["train_images/10025/562340703.dcm", "CC", "normal", "YES", "C"],
    ]
    assert list(rule) == ["", "", "view_not_wanted", "implant"] and list(index["age"]) == [61, 61, 55, 75]
    # The images' folder itself as root, the table beside it.
    assert list(index_of(tmp_path / "train_images", "rsna2022")["label"]) == list(index["label"])


def test_cmmd(tmp_path: Path) -> None:
    index, rule = indexed(trees.cmmd, tmp_path, "cmmd")
    assert list(index["view"]) == ["CC", "MLO"] * 3 and (rule == "").all()
    assert list(index["label"]) == ["benign", "benign", "malignant", "malignant", "", ""]
    assert list(index["table_row"]) == [True] * 4 + [False] * 2
    assert list(index["age"]) == [44, 44, 50, 50, 50, 50] and index["patient"].nunique() == 2
    assert set(index["implant"]) == {""}


def test_cmmd_at_full_size(real_data: Path) -> None:
    """The real clinical table against headers of 5,202 images made as CMMD writes them: nothing is lost to a rule."""
    clinical = pd.read_csv(real_data / "tables/cmmd_raw_label.csv")
    both = clinical.groupby("ID1")["LeftRight"].agg(lambda sides: "".join(sorted(sides)))
    # 1,775 patients, 826 of them with both breasts imaged: those with two clinical rows, and 729 of the others.
    single = both.index[both.str.len() == 1]
    imaged = both.copy()
    imaged[single[:729]] = "LR"
    headers = []
    for patient, sides in imaged.items():
        for number, (side, view) in enumerate((side, view) for side in sides for view in ("CC", "MLO")):
            values = parse_header(trees.cmmd_header(str(patient), number, side, view), transfer_syntax="1.2.840.10008.1.2.1")
            headers.append({**EMPTY, **values, "path": f"CMMD/{patient}/1-{number}.dcm"})
    frame = pd.DataFrame(headers)
    found = cmmd.values(frame, root=real_data, table=real_data / "tables/cmmd_raw_label.csv")
    index = frame.assign(row_id=range(len(frame)), image=frame["sop_uid"], label=found["label"], patient=found["patient"])
    decisions = apply_header_rules(index, Exclude())
    assert len(index) == 5202 and (decisions["decision"] == "candidate").all()
    assert index["view"].value_counts().to_dict() == {"CC": 2601, "MLO": 2601}
    assert index["patient"].nunique() == 1775 and (index["label"] == "").sum() == 1458
    assert found["table_row"].sum() == 2 * len(clinical) and found["age"].notna().all()


@pytest.mark.parametrize(("prefix", "underscores"), [("CheXpert-v1.0-small", False), ("CheXpert-v1.0", False), ("CheXpert-v1.0-small", True)])
def test_chexpert(tmp_path: Path, caplog: pytest.LogCaptureFixture, prefix: str, underscores: bool) -> None:
    trees.chexpert(tmp_path, prefix=prefix, underscores=underscores)
    with caplog.at_level(logging.WARNING, logger="lookalike"):
        index = index_of(tmp_path, "chexpert").set_index("path")
    assert list(index["view"]) == ["frontal", "lateral", "frontal", "frontal", "frontal"]
    assert list(index["findings"]) == ["no_finding|support_devices", "cardiomegaly|edema?", "cardiomegaly|edema?", "", "pleural_other"]
    assert index["age"].fillna(-1).tolist() == [68, -1, -1, 90, 73] and index["study"].nunique() == 4
    assert is_patient(index, f"{prefix}/train/patient00002/study2/view1_frontal.jpg", "patient00002") and index["patient"].nunique() == 3
    assert "1 table rows have no file, 0 of 5 files have no table row" in caplog.text
    # The edition's own folder as root, and a table of somebody else's with absolute paths.
    table = tmp_path / "theirs.csv"
    table.write_text((tmp_path / prefix / "train.csv").read_text().replace(f"{prefix}/train", "/data/elsewhere/CheXpert/train"))
    other = index_of(tmp_path / prefix, "chexpert", table)
    assert list(other["findings"]) == [*index["findings"][:4], ""] and list(other["table_row"]) == [True] * 4 + [False]
    rule = apply_header_rules(index.reset_index(), CHEST.exclude)["rule"]
    assert list(rule) == ["", "view_not_wanted", "", "", ""]


def test_chexpert_tables_that_are_not_understood(tmp_path: Path) -> None:
    trees.chexpert(tmp_path)
    table = tmp_path / "CheXpert-v1.0-small/train.csv"
    text = table.read_text()
    table.write_text(text.replace("-1.0", "-2.0", 1))
    with pytest.raises(LookalikeError, match=r"The label `-2\.0` is not understood.*line 3"):
        index_of(tmp_path, "chexpert")
    table.write_text(text.partition("\n")[0] + "\n")
    with pytest.raises(LookalikeError, match=r"a header and no rows.*train\.csv"):
        index_of(tmp_path, "chexpert")
    table.write_text(text.replace("Pleural Other", "Pleura"))
    with pytest.raises(LookalikeError, match="lacks the column `pleural_other`"):
        index_of(tmp_path, "chexpert")


def test_nih_cxr14(tmp_path: Path) -> None:
    trees.nih_cxr14(tmp_path)
    index = index_of(tmp_path, "nih_cxr14").set_index("path")
    assert list(index["findings"]) == ["cardiomegaly|emphysema", "pleural_thickening", "no_finding"]
    assert set(index["view"]) == {"frontal"} and index["age"].fillna(-1).tolist() == [57, 58, -1] and index["study"].nunique() == 3
    assert is_patient(index, "images_001/images/00000001_001.png", "1") and list(index["photometric"]) == ["MONOCHROME2", "RGBA", "MONOCHROME2"]
    one_hot = tmp_path / "one_hot.csv"
    head = (
        "Image Index,Patient ID,list,Atelectasis,Cardiomegaly,Effusion,Infiltration,Mass,Nodule,Pneumonia,Pneumothorax,Consolidation,Edema,Emphysema"
    )
    one_hot.write_text(
        f"{head},Fibrosis,Pleural_Thickening,Hernia\n00000001_000.png,1,test_list.txt,0,1,0,0,0,0,0,0,0,0,1,0,0,0\n"
        "00000001_001.png,1,test_list.txt,0,0,0,0,0,0,0,0,0,0,0,0,1,0\n00000002_000.png,2,test_list.txt" + 14 * ",0" + "\n"
    )
    other = index_of(tmp_path, "nih_cxr14", one_hot)
    assert list(other["findings"]) == list(index["findings"]) and set(other["view"]) == {""}
    assert (apply_header_rules(other, CHEST.exclude)["decision"] == "candidate").all()
    text = one_hot.read_text()
    one_hot.write_text(text.replace(14 * ",0", 14 * ",").replace("txt,0,1", "txt,,1.0"))
    assert list(index_of(tmp_path, "nih_cxr14", one_hot)["findings"]) == [*index["findings"][:2], ""]
    one_hot.write_text(text.replace("0,1,0\n", "0,2,0\n"))
    with pytest.raises(LookalikeError, match=r"`2` is not understood \(.*one_hot\.csv, line 3, column Pleural_Thickening\)\. Write 1, 0 or nothing"):
        index_of(tmp_path, "nih_cxr14", one_hot)


def test_rsna_ich(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    trees.rsna_ich(tmp_path)
    with caplog.at_level(logging.WARNING, logger="lookalike"):
        index = build_index(tmp_path, adapter="rsna_ich", table=None, key=KEY, processes=1, maximum_quarantined=0.2).set_index("path")
    index = index.set_axis(index.index.str[14:-4])
    assert index["findings"].to_dict() == {
        "ID_000012eaf": "epidural|subdural",
        "ID_000039fa0": "no_finding",
        "ID_00005679d": "intraventricular",
        "ID_00ffffff0": "",
        "ID_6431af929": "subdural",
        "ID_e20bf3f8a": "no_finding",
    }
    assert "0 table rows have no file, 1 of 6 files have no table row" in caplog.text
    assert is_patient(index, "ID_6431af929", "ID_p2") and index["patient"].nunique() == index["study"].nunique() == 3
    decisions = apply_header_rules(index.reset_index(), HEAD.exclude).set_axis(index.index)
    assert decisions["rule"].to_dict() == {name: "unreadable" if name == "ID_6431af929" else "" for name in index.index}
    # The images' folder itself as root, the table beside it.
    beside = build_index(tmp_path / "stage_2_train", adapter="rsna_ich", table=None, key=KEY, processes=1, maximum_quarantined=0.2)
    assert list(beside["findings"]) == list(index["findings"])
    table = tmp_path / "stage_2_train.csv"
    text = table.read_text()
    for old, new, complaint in (
        ("ID_00005679d_epidural", "ID_00005679d_extradural", r"`ID_00005679d_extradural` has no subtype at its end.*line 32"),
        ("ID_00005679d_epidural,0", "ID_00005679d_epidural,-1", r"The label `-1` is neither 0 nor 1 .*line 32"),
        ("ID_00005679d_epidural,0", "ID_00005679d_epidural,", r"The label `` is neither 0 nor 1 .*line 32"),
    ):
        table.write_text(text.replace(old, new))
        with pytest.raises(LookalikeError, match=complaint):
            build_index(tmp_path, adapter="rsna_ich", table=None, key=KEY, processes=1, maximum_quarantined=0.2)


@pytest.mark.parametrize(
    ("changes", "findings"),
    [
        ({}, "no_finding"),
        ({"any": None}, "no_finding"),
        ({"any": 1}, ""),
        ({"subdural": None}, ""),
        ({"subdural": None, "any": 1}, ""),
        ({"subdural": None, "epidural": 1}, "epidural"),
        ({"subdural": 1}, "subdural"),
        (dict.fromkeys(trees.RSNA_KINDS), ""),
    ],
)
def test_rsna_ich_images_are_healthy_only_where_every_row_says_so(tmp_path: Path, changes: dict[str, int | None], findings: str) -> None:
    trees.rsna_ich(tmp_path)
    table, name = tmp_path / "stage_2_train.csv", "ID_e20bf3f8a"
    others = [line for line in table.read_text().splitlines() if name not in line]
    labels = dict.fromkeys((*trees.RSNA_KINDS, "any"), 0) | changes
    table.write_text("\n".join([*others, *(f"{name}_{kind},{label}" for kind, label in labels.items() if label is not None)]) + "\n")
    index = build_index(tmp_path, adapter="rsna_ich", table=None, key=KEY, processes=1, maximum_quarantined=0.2).set_index("path")
    assert index.loc[f"stage_2_train/{name}.dcm", "findings"] == findings


def test_findings_of_a_users_table(tmp_path: Path) -> None:
    """Names become snake case; of several rows an image has the findings of all, and what one row is sure of is certain."""
    for name in ("x.png", "y.png"):
        trees.raster(tmp_path / name)
    (tmp_path / "table.csv").write_text("path,findings\nx,Pleural Effusion? | mass\nx,pleural_effusion\nx,Nodule?\ny,\n")
    assert list(index_of(tmp_path, "images", tmp_path / "table.csv")["findings"]) == ["pleural_effusion|mass|nodule?", ""]


@pytest.mark.parametrize(("build", "adapter"), [(trees.chexpert, "chexpert"), (trees.nih_cxr14, "nih_cxr14"), (trees.rsna_ich, "rsna_ich")])
def test_no_path_patient_or_uid_leaves_the_private_index(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, build: Callable[[Path], None], adapter: str
) -> None:
    cohort = HEAD if adapter == "rsna_ich" else CHEST
    tree = tmp_path / "tree"
    build(tree)
    with caplog.at_level(logging.DEBUG):
        index = build_index(tree, adapter=adapter, table=None, key=KEY, processes=1, maximum_quarantined=1.0)
        header = apply_header_rules(index, cohort.exclude)
        waiting = index[header["decision"] == "candidate"]
        features = prepare_part(waiting, root=tree, part=0, pixels=cohort.pixels, kind=cohort.kind, output=tmp_path / "part-000.zarr", processes=1)
        decisions = apply_pixel_rules(header, features, cohort.exclude)
        table = cohort_table(index, decisions, features, split_patients(list(index["patient"]), train=0.5, validation=0.2, seed=1))
    written = "".join(part.to_csv() for part in (header, features, public_ledger(decisions), table)) + caplog.text
    stems = {path.stem for path in tree.rglob("*.*")} - {"train", "valid", "Data_Entry_2017_v2020", "stage_2_train", "view1_frontal"}
    secrets = {*stems, "patient00", "study1", "view1_", "images_00", "ID_p", "ID_s", "study of", "train/"}
    assert not [secret for secret in secrets if secret.lower() in written.lower()]
    assert len(stems) > 2 and not [secret for secret in secrets if secret in index.drop(columns=["path", "sop_uid"]).to_csv()]
    assert len(table) > 1 and set(table["findings"]) == set(index.loc[decisions["decision"] == "kept", "findings"])


def test_images_with_several_rows_an_image(tmp_path: Path) -> None:
    for name in ("a/x.png", "a/y.jpg", "b/x.tif", "b/z.pgm", "b/.hidden.png", "b/notes.txt"):
        if name.endswith("txt"):
            (tmp_path / name).write_text("no image")
        else:
            trees.raster(tmp_path / name)
    table = tmp_path / "labels.csv"
    table.write_text(
        "Path,patient,View,laterality,label,density,implant,age,extra\n"
        "a/x.png,p1,MLO,L,,b,,50,7\n"
        "a\\x.png,,,,M,,1,,7\n"
        "y,p1,lcc,RIGHT,NORM,NA,no,051Y,7\n"
        "b/x,p2,cranio-caudal,,benign,4,0,nan,7\n"
        "gone,p9,CC,,,,,,7\n"
    )
    index = index_of(tmp_path, "images", table)
    assert list(index["path"]) == ["a/x.png", "a/y.jpg", "b/x.tif", "b/z.pgm"]
    assert list(index["view"]) == ["MLO", "CC", "CC", ""] and list(index["laterality"]) == ["L", "R", "", ""]
    assert list(index["label"]) == ["malignant", "normal", "benign", ""] and list(index["density"]) == ["B", "", "D", ""]
    assert list(index["implant"]) == ["YES", "NO", "NO", ""] and list(index["table_row"]) == [True, True, True, False]
    assert index["age"].tolist()[:2] == [50, 51] and index["patient"].nunique() == 3
    assert (index["modality"] == "").all() and (index["rows"] == 300).all() and (index["columns"] == 256).all()


def test_images_without_a_table_are_their_own_patients(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("one.png", "two.png"):
        trees.raster(tmp_path / name, mode="RGB")
    with caplog.at_level(logging.WARNING, logger="lookalike"):
        index = index_of(tmp_path, "images")
    assert index["patient"].nunique() == 2 and set(index["view"]) == {""} and "view_missing" in caplog.text
    assert set(index["photometric"]) == {"RGB"} and set(index["bits_stored"]) == {8}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("name,view\nx,CC\n", "neither a column `path` nor `sop_instance_uid`"),
        ("path,label\nx,dubious\n", "line 2"),
        ("path,laterality\na/x.png,L\nb/x.png,both\n", "line 3"),
        ("path,label,label \nx,,\n", "`label` is there twice"),
        ("path,view\nfar/away.png,CC\n", "None of the 1 rows of the table"),
        ("path,view\nx,CC\n", "1 rows of the table fit several files by name"),
    ],
)
def test_bad_tables_get_a_sentence(tmp_path: Path, text: str, complaint: str) -> None:
    trees.raster(tmp_path / "a/x.png")
    trees.raster(tmp_path / "b/x.png")
    (tmp_path / "table.csv").write_text(text)
    with pytest.raises(LookalikeError, match=complaint):
        index_of(tmp_path, "images", tmp_path / "table.csv")


def test_a_table_wins_over_dicom_headers_by_uid(tmp_path: Path) -> None:
    header = trees.mammogram("a", ViewPosition="ML", BreastImplantPresent="NO")
    trees.write(tmp_path / "tree/a.dcm", header)
    trees.write(tmp_path / "tree/copy.dcm", header)
    trees.write(tmp_path / "tree/b.dcm", trees.mammogram("b", PatientAge="060Y"))
    table = tmp_path / "table.csv"
    table.write_text(f"sop_instance_uid;patient;view;laterality;implant\n{header.SOPInstanceUID};p7;MLO;L;YES\n1.2.3;p8;CC;L;NO\n")
    index = index_of(tmp_path / "tree", "dicom", table).set_index("path")
    for name in ("a.dcm", "copy.dcm"):
        assert index.loc[name, ["view", "laterality", "implant"]].tolist() == ["MLO", "L", "YES"] and is_patient(index, name, "p7")
    assert index.loc["b.dcm", ["view", "laterality", "table_row"]].tolist() == ["CC", "R", False] and is_patient(index, "b.dcm", "id-b")
    assert index.loc["b.dcm", "age"] == 60


def test_a_named_data_set_without_its_table_says_what_it_looked_for(tmp_path: Path) -> None:
    trees.write(tmp_path / "tree/a.dcm", trees.mammogram("a"))
    for adapter, wanted in (
        ("cbis_ddsm", "case_description"),
        ("inbreast", "INbreast.csv"),
        ("vindr_mammo", "breast-level"),
        ("rsna2022", "train.csv"),
        ("cmmd", "clinical"),
        ("rsna_ich", "stage_2_train.csv"),
    ):
        with pytest.raises(LookalikeError, match=wanted):
            index_of(tmp_path / "tree", adapter)
    (tmp_path / "tree/train.csv").write_text("patient_id,image_id\n1,2\n")
    with pytest.raises(LookalikeError, match="lacks the columns `laterality`, `view`, `age`, `implant`"):
        index_of(tmp_path / "tree", "rsna2022")


def test_words_of_tables() -> None:
    assert [birads_label(word) for word in ("BI-RADS 3", "4a", "4", "1", "6", "2.0", "0", "")] == [
        "",
        "",
        "",
        "normal",
        "malignant",
        "benign",
        "",
        "",
    ]
    assert [normal_density(word) for word in ("DENSITY C", "1", "d", "3.0", "5", "0", "")] == ["C", "A", "D", "C", "", "", ""]


def test_mini_mias_through_images(real_data: Path, tmp_path: Path) -> None:
    """The table that mini-MIAS needs: one line an abnormality, stems as paths, two images a patient."""
    labels = pd.read_csv(real_data / "mini-mias/labels.csv", keep_default_na=False)
    number = labels["Name"].str[3:].astype(int)
    table = pd.DataFrame(
        {
            "path": labels["Name"],
            "patient": ((number + 1) // 2).astype(str),
            "view": "MLO",
            "laterality": (number % 2).map({0: "L", 1: "R"}),
            "label": labels["Type"].where(labels["Abnormality"] != "NORM", "normal"),
        }
    )
    table.to_csv(tmp_path / "table.csv", index=False)
    index = index_of(real_data / "mini-mias", "images", tmp_path / "table.csv")
    assert len(index) == 200 and index["patient"].nunique() == 100 and index["table_row"].all()
    worst = labels.assign(bad=labels["Type"].map({"": 0, "B": 1, "M": 2})).groupby("Name")["bad"].max()
    assert list(index["label"]) == [["normal", "benign", "malignant"][bad] for bad in worst]
    assert (apply_header_rules(index, Exclude())["decision"] == "candidate").all()


def test_m_synth_through_images(real_data: Path, tmp_path: Path) -> None:
    """The table that M-SYNTH needs, from its file names P<phantom>_D<density>_L<lesion>_X<dose>.jpg."""
    names = pd.Series(sorted(path.name for path in (real_data / "m-synth").glob("*.jpg")))
    table = pd.DataFrame(
        {
            "path": names,
            "patient": names.str.extract(r"^(P\d+)_", expand=False),
            "view": "CC",
            "density": names.str.extract(r"_D([a-z]+)", expand=False).map({"fatty": "A", "scattered": "B", "hetero": "C", "dense": "D"}),
        }
    )
    table.to_csv(tmp_path / "table.csv", index=False)
    index = index_of(real_data / "m-synth", "images", tmp_path / "table.csv")
    assert len(index) == 100 and index["table_row"].all() and (index["density"] != "").all()
    assert set(map(tuple, index[["rows", "columns"]].to_numpy())) == {(1500, 2000)}
    assert (apply_header_rules(index, Exclude())["decision"] == "candidate").all()


def test_read_table_knows_delimiters_and_blanks(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("\ufeffFile Name ;Value\nä;NaN\nb; removed \n".encode())
    frame = read_table(tmp_path / "t.csv")
    assert list(frame.columns) == ["file name", "value"] and frame.to_numpy().tolist() == [["ä", ""], ["b", ""]]
