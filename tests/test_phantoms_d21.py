"""Simulated chest X-rays and head CTs: the trees are what the data sets look like, the truth is what was planted, and the labels can be learnt."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lookalike.cohort.adapters.table import snake_case
from lookalike.cohort.exclude import apply_header_rules, apply_pixel_rules
from lookalike.cohort.identity import PHANTOM_KEY
from lookalike.cohort.index import build_index
from lookalike.cohort.labels import label_cohort
from lookalike.cohort.ledger import cohort_table, reconcile
from lookalike.cohort.split import split_patients
from lookalike.config import Cohort, Kind
from lookalike.errors import LookalikeError
from lookalike.phantoms import chest_xray, head_ct
from lookalike.pixels.prepare import prepare_part
from lookalike.pixels.store import ImageStore

SEED = 4
CHEST = (96, 96)
HEAD = (128, 128)
Tree = tuple[Path, pd.DataFrame]


@pytest.fixture(scope="module")
def chest(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    root = tmp_path_factory.mktemp("chest")
    return root, chest_xray.write_tree(root, patients=40, shape=CHEST, seed=SEED)


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    root = tmp_path_factory.mktemp("head")
    return root, head_ct.write_tree(root, patients=16, shape=HEAD, seed=SEED)


def hounsfield(ds: pydicom.Dataset) -> np.ndarray:
    """HU by the tags, with the mend that public code makes for unsigned 12 bits whose intercept is not about -1000."""
    x, intercept = ds.pixel_array.astype(int), float(ds.RescaleIntercept)
    if ds.BitsStored == 12 and ds.PixelRepresentation == 0 and intercept > -100:
        x = x + 1000
        x[x >= 4096] -= 4096
        intercept = -1000
    return x * float(ds.RescaleSlope) + intercept


@pytest.mark.parametrize("module", [chest_xray, head_ct])
def test_bytes_depend_on_the_seed_alone(module: object, tmp_path: Path) -> None:
    write: Callable[..., pd.DataFrame] = module.write_tree  # type: ignore[attr-defined]

    def digests(name: str, seed: int, processes: int) -> dict[str, str]:
        write(tmp_path / name, patients=3, shape=(64, 64), seed=seed, processes=processes)
        files = [path for path in (tmp_path / name).rglob("*") if path.is_file()]
        return {str(path.relative_to(tmp_path / name)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    one, two, other = digests("one", 2, 1), digests("two", 2, 2), digests("other", 3, 1)
    assert one == two and len(one) > 4
    assert not {one[name] for name in one} & set(other.values())


def test_patients_do_not_depend_on_how_many_there_are() -> None:
    few, many = chest_xray.truth(patients=3, seed=1), chest_xray.truth(patients=9, seed=1)
    columns = ["number", "study", "sex", "age", *chest_xray.LABELS]
    studies = [table[columns].drop_duplicates() for table in (few, many)]
    pd.testing.assert_frame_equal(studies[0], studies[1][studies[1]["number"] < 3], check_like=True)


@pytest.mark.parametrize("module", [chest_xray, head_ct])
def test_small_requests(module: object, tmp_path: Path) -> None:
    write: Callable[..., pd.DataFrame] = module.write_tree  # type: ignore[attr-defined]
    with pytest.raises(LookalikeError, match="cannot be simulated"):
        write(tmp_path, patients=0, shape=(64, 64), seed=0)
    with pytest.raises(LookalikeError, match="show nothing"):
        write(tmp_path, patients=1, shape=(20, 64), seed=0)


# --- through the house -------------------------------------------------------------------------------------------------------------------------


def cohort_of(root: Path, adapter: str, kind: Kind, output: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Private index with the final decisions, and the cohort's table."""
    cohort = Cohort.model_validate({"kind": kind, "pixels": {"levels": 4}})
    index = build_index(root, adapter=adapter, table=None, key=PHANTOM_KEY, processes=2, maximum_quarantined=0.05)
    header = apply_header_rules(index, cohort.exclude)
    waiting = index[header["decision"] == "candidate"]
    features = prepare_part(waiting, root=root, part=0, pixels=cohort.pixels, kind=kind, output=output / "part-000.zarr", processes=2)
    decisions = apply_pixel_rules(header, features, cohort.exclude)
    reconcile(index, decisions)
    splits = split_patients(list(index["patient"]), train=0.6, validation=0.2, seed=1)
    return index.assign(rule=decisions["rule"]), cohort_table(index, decisions, features, splits)


def test_chest_phantoms_become_a_cohort(chest: Tree, tmp_path: Path) -> None:
    root, truth = chest
    index, table = cohort_of(root, "chexpert", "chest_xray", tmp_path)
    assert list(index["path"]) == list(truth["path"])
    lateral = truth["path"].str.endswith("lateral.jpg")
    assert (index["rule"] == np.where(lateral, "view_not_wanted", "")).all() and set(table["view"]) == {"frontal"}
    hedged = [set(filter(None, names.split("|"))) for names in truth["uncertain"]]
    for row, findings, unsure in zip(truth.to_dict("records"), index["findings"], hedged, strict=True):
        present = {snake_case(name) for name in chest_xray.FINDINGS if row[name] and name not in unsure and row["planted"] != "unlabelled"}
        assert set(filter(None, findings.split("|"))) - {"no_finding"} == present | {snake_case(name) + "?" for name in unsure}
    assert index["patient"].nunique() == 40 and (index.groupby(truth["number"])["patient"].nunique() == 1).all()
    labelled = label_cohort(table, names=["cardiomegaly", "support_devices", "no_finding"], uncertain="positive", minimum=2, undersample={}, seed=1)
    assert labelled["class"].nunique() >= 4 and (labelled.groupby("class").size() > 2).all()
    stored = ImageStore(table, [tmp_path / "part-000.zarr"]).level(3).load()
    assert stored.shape == (len(table), 32, 32) and stored.std(axis=(1, 2)).min() > 10


def test_head_phantoms_become_a_cohort(head: Tree, tmp_path: Path) -> None:
    root, truth = head
    index, table = cohort_of(root, "rsna_ich", "head_ct", tmp_path)
    facts = index[["path", "rule", "findings"]].merge(truth, on="path")
    assert (facts["rule"] == facts["planted"].map({"truncated": "unreadable", "constant": "constant"}).fillna("")).all()
    for row in facts.to_dict("records"):
        assert row["findings"] == ("|".join(kind for kind in head_ct.KINDS if row[kind]) or "no_finding")
    assert index["patient"].nunique() == 16 and (table["findings"] != "").all()
    # In the brain window, of whatever scanner: black air, white bone, and brain between.
    stored = ImageStore(table, [tmp_path / "part-000.zarr"]).level(3).load()
    dark, bright = (stored < 40).mean(axis=(1, 2)), (stored > 215).mean(axis=(1, 2))
    assert dark.min() > 0.2 and bright.max() < 0.5 and (stored[:, 14:18, 14:18].mean(axis=(1, 2)) > 30).mean() > 0.9


# --- chest X-rays ------------------------------------------------------------------------------------------------------------------------------


def test_chexpert_layout(chest: Tree) -> None:
    root, truth = chest
    table = pd.read_csv(root / chest_xray.FOLDER / "train.csv")
    assert list(table.columns) == ["Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", *chest_xray.LABELS]
    assert table["Path"].str.fullmatch(r"CheXpert-v1\.0-small/train/patient\d{5}/study\d+/view\d_(frontal|lateral)\.jpg").all()
    assert sorted(path.relative_to(root).as_posix() for path in root.rglob("*.jpg")) == table["Path"].tolist() == truth["path"].tolist()
    assert (table["Frontal/Lateral"].str.lower() == table["Path"].str.extract(r"_(\w+)\.jpg")[0]).all()
    assert (table["AP/PA"].isna() == (table["Frontal/Lateral"] == "Lateral")).all()
    for path in table["Path"]:
        with Image.open(root / path) as image:
            assert (image.format, image.mode, image.size) == ("JPEG", "L", CHEST[::-1])


def test_chexpert_labels_are_the_truth_but_for_what_was_planted(chest: Tree) -> None:
    root, truth = chest
    table = pd.read_csv(root / chest_xray.FOLDER / "train.csv")
    blank = truth["planted"] == "unlabelled"
    assert table.loc[blank, list(chest_xray.LABELS)].isna().all(axis=None)
    for name in chest_xray.FINDINGS:
        hedged = truth["uncertain"].str.split("|").map(lambda names, name=name: name in names)
        assert ((table[name] == -1) == hedged).all()
        assert ((table[name] == 1) == (truth[name] == 1) & ~hedged).all()
    diseases = [name for name in chest_xray.FINDINGS if name != "Support Devices"]
    assert set(table["No Finding"].dropna()) == {1.0}
    assert ((table["No Finding"] == 1) == (~table[diseases].isin([1, -1]).any(axis=1) & ~blank)).all()
    children = truth[list(chest_xray.OPACITIES)].any(axis=1)
    assert (truth.loc[children, "Lung Opacity"] == 1).all()
    assert (table.groupby(table["Path"].str.rsplit("/", n=1).str[0])[list(chest_xray.LABELS)].nunique(dropna=False) == 1).all(axis=None)


@pytest.mark.parametrize("patients", [40, 1500])
def test_chexpert_quirks_are_planted_at_their_rates(patients: int) -> None:
    truth = chest_xray.truth(patients=patients, seed=SEED)
    studies = truth.drop_duplicates(["number", "study"])
    for quirk, rate in chest_xray.QUIRKS.items():
        assert (studies["planted"] == quirk).sum() == max(1, round(rate * len(studies)))
    for name, finding in chest_xray.FINDINGS.items():
        hedged = studies["uncertain"].str.split("|").map(lambda names, name=name: name in names)
        if patients == 1500:
            possible = 2 * studies[name].sum() * 0.9  # hedging needs as many present as absent
            assert hedged.sum() == round(finding.uncertain * len(studies)) or hedged.sum() > possible
            assert studies[name].mean() == pytest.approx(finding.share, abs=0.03) or name == "Lung Opacity"
        assert hedged.sum() >= 1
    named = truth["path"].str.extract(r"view(\d)_(\w+)\.jpg")
    first_lateral = (named[0] == "1") & (named[1] == "lateral")
    assert (first_lateral == (truth["planted"] == "view1_lateral") & truth["lateral"]).all() and first_lateral.any()
    wrong = (named[1] == "frontal") & truth["lateral"]
    assert (wrong == (truth["planted"] == "lateral_as_frontal")).all() and set(truth.loc[wrong, "projection"]) <= {"LL", "RL"}


def test_findings_change_the_picture_where_they_should() -> None:
    """The same patient and exposure with one finding and without; the changed pixels lie where the finding does."""
    rows = {"Pleural Effusion": (0.5, 0.9), "Cardiomegaly": (0.35, 0.9), "Pneumothorax": (0.1, 0.75), "Atelectasis": (0.4, 0.95)}
    patient = chest_xray.draw(SEED, 1)
    draw = partial(chest_xray.render, patient, study=1, view=1, projection="PA", shape=CHEST)
    without = draw({})
    for name, (top, bottom) in rows.items():
        change = np.abs(draw({name: 0.9}) - without)
        assert change.max() > 0.15, name
        assert change[int(top * CHEST[0]) : int(bottom * CHEST[0])].sum() > 0.75 * change.sum(), name


def frontal(seed: int, number: int) -> tuple[np.ndarray, list[bool]]:
    patient = chest_xray.draw(seed, number)
    found = chest_xray.findings(patient, 1)
    image = chest_xray.render(patient, found, study=1, view=1, projection="AP" if number % 2 else "PA", shape=CHEST)
    return image, [name in found for name in chest_xray.FINDINGS]


def aucs(images: np.ndarray, features: np.ndarray, labels: np.ndarray, names: list[str]) -> dict[str, float]:
    """AUC of a logistic regression a label, fitted to the first two thirds, on the last."""
    n = 2 * len(images) // 3
    found = {}
    for column, name in enumerate(names):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=1e-3, max_iter=300, class_weight="balanced"))
        model.fit(features[:n], labels[:n, column])
        found[name] = float(roc_auc_score(labels[n:, column], model.decision_function(features[n:])))
    return found


def pooled(images: np.ndarray, k: int) -> np.ndarray:
    n, rows, columns = images.shape
    return images.reshape(n, rows // k, k, columns // k, k).mean(axis=(2, 4)).reshape(n, -1)


@pytest.mark.slow
def test_chest_labels_can_be_learnt_but_not_trivially() -> None:
    """Small pictures and a map of fine detail into a logistic regression.

    Findings with a place of their own reach about .8 to .95, opacities and devices, which may be anywhere, about .7 to .8; thickenings and fractures
    are little above chance: those take a network and more images.
    """
    with ProcessPoolExecutor(2) as pool:
        drawn = list(pool.map(partial(frontal, 7), range(1500), chunksize=25))
    images, labels = np.stack([image for image, _ in drawn]), np.array([label for _, label in drawn])
    images = (images - images.mean(axis=(1, 2), keepdims=True)) / images.std(axis=(1, 2), keepdims=True)
    detail = np.abs(images - gaussian_filter(images, (0, 1.2, 1.2)))
    found = aucs(images, np.hstack([pooled(images, 4), pooled(detail, 6)]), labels, list(chest_xray.FINDINGS))
    print(found)
    for name in ("Cardiomegaly", "Enlarged Cardiomediastinum", "Edema", "Pneumothorax", "Pleural Effusion"):
        assert 0.75 < found[name] < 0.975, (name, found)
    for name in ("Lung Opacity", "Support Devices", "Consolidation"):
        assert 0.65 < found[name] < 0.95, (name, found)
    assert 0.72 < np.mean(list(found.values())) < 0.9, found


# --- head CT -----------------------------------------------------------------------------------------------------------------------------------


def test_rsna_layout(head: Tree) -> None:
    root, truth = head
    table = pd.read_csv(root / "stage_2_train.csv")
    parts = table["ID"].str.extract(r"^(ID_[0-9a-f]{9})_(\w+)$")
    wide = table.drop_duplicates().assign(id=parts[0], kind=parts[1]).pivot(index="id", columns="kind", values="Label")
    kinds = [*head_ct.KINDS, "any"]
    assert (wide[kinds] == truth.set_index("id").loc[wide.index, kinds]).all(axis=None)
    repeated = set(parts.loc[table.duplicated(), 0])
    assert repeated == set(truth.loc[truth["planted"] == "duplicate_rows", "id"]) and len(table) == 6 * (len(truth) + len(repeated))
    assert sorted(path.name for path in (root / head_ct.FOLDER).iterdir()) == sorted(truth["id"] + ".dcm")
    for row in truth.itertuples():
        ds = pydicom.dcmread(root / row.path)
        assert (str(ds.SOPInstanceUID), ds.PatientID) == (row.id, row.patient)
        assert (np.size(ds.WindowCenter), np.size(ds.WindowWidth)) == (row.windows, row.windows)
        assert (ds.BitsStored, ds.PixelRepresentation, int(ds.RescaleIntercept)) == {
            "plain": (12, 0, -1024),
            "padded": (16, 1, -1024),
            "wrapped": (12, 0, 0),
        }[row.scanner]
    heights = [float(pydicom.dcmread(root / path).ImagePositionPatient[2]) for path in truth.loc[truth["number"] == 0, "path"]]
    assert np.all(np.diff(heights) > 0)


def test_rsna_quirks(head: Tree) -> None:
    root, truth = head
    for quirk, rate in head_ct.QUIRKS.items():
        assert (truth["planted"] == quirk).sum() == max(1, round(rate * len(truth)))
    for scanner, rate in head_ct.SCANNERS.items():
        assert truth.loc[truth["scanner"] == scanner, "number"].nunique() == max(1, round(rate * 16))
    assert truth.loc[truth["windows"] == 2, "number"].nunique() == round(head_ct.SEVERAL_WINDOWS * 16)
    for row in truth[truth["planted"] != ""].itertuples():
        ds = pydicom.dcmread(root / row.path)
        if row.planted == "truncated":
            with pytest.raises(ValueError, match="pixel data"):
                _ = ds.pixel_array
            continue
        assert (np.ptp(ds.pixel_array) == 0) == (row.planted == "constant")
        assert (ds.Rows != ds.Columns) == (row.planted == "not_square")
    padded = truth[(truth["scanner"] == "padded") & (truth["planted"] == "")].iloc[0]
    assert pydicom.dcmread(root / padded["path"]).pixel_array[0, 0] == -2000


def test_tissues_have_their_hounsfield_units(head: Tree) -> None:
    """Through the file, the rescale and the mend, for every kind of scanner; without the mend, a wrapped file is wrong."""
    root, truth = head
    whole = truth[truth["planted"] == ""]
    bloody = 0
    for row in pd.concat([whole[whole["any"] == 1], whole[whole["any"] == 0].iloc[::6]]).itertuples():
        ds = pydicom.dcmread(root / row.path)
        hu, tissue = hounsfield(ds), head_ct.render(head_ct.draw(SEED, row.number), row.slice, shape=HEAD).tissue
        inside = np.hypot(*np.meshgrid(*(np.arange(n) - n / 2 + 0.5 for n in HEAD))) < HEAD[0] / 2 - 1
        assert np.median(hu[(tissue == head_ct.AIR) & inside]) == pytest.approx(-1000, abs=25)
        assert np.median(hu[tissue == head_ct.BONE]) > 500
        for kind in (head_ct.GREY, head_ct.WHITE):
            assert (tissue == kind).sum() < 30 or 20 <= np.median(hu[tissue == kind]) <= 45
        blood = tissue == head_ct.BLOOD
        assert blood.any() == row.any, (row.number, row.slice)
        if blood.sum() > 30:
            bloody += 1
            assert 50 <= np.median(hu[blood]) <= 90, (row.number, row.slice)
        raw = ds.pixel_array * float(ds.RescaleSlope) + float(ds.RescaleIntercept)
        assert (np.abs(np.where(inside, raw, -1000)).max() > 3050) == (row.scanner == "wrapped")
    assert bloody > 10


def test_grey_matter_is_brighter_than_white() -> None:
    for number in range(4):
        image = head_ct.render(head_ct.draw(SEED, number), 6, shape=HEAD)
        assert np.median(image.hu[image.tissue == head_ct.GREY]) > np.median(image.hu[image.tissue == head_ct.WHITE]) + 3


def cut(seed: int, number: int) -> tuple[np.ndarray, list[bool]]:
    patient = head_ct.draw(seed, number)
    slice_ = number % (patient.slices - 5) + 3
    return head_ct.render(patient, slice_, shape=HEAD).hu, list(head_ct.labels(patient, slice_).values())


@pytest.mark.slow
def test_head_labels_can_be_learnt_but_not_trivially() -> None:
    """Blood in the brain window, by place, into a logistic regression."""
    with ProcessPoolExecutor(2) as pool:
        drawn = list(pool.map(partial(cut, 7), range(1500), chunksize=25))
    images, labels = np.stack([image for image, _ in drawn]), np.array([label for _, label in drawn])
    window = np.clip(gaussian_filter(images, (0, 0.7, 0.7)) / 80, 0, 1)
    blood = ((window > 0.62) & (window < 0.98)).astype(float)
    found = aucs(images, np.hstack([pooled(window, 8), pooled(blood, 8)]), labels, list(head_ct.KINDS))
    print(found)
    assert all(0.65 < auc < 0.98 for auc in found.values()), found
    assert 0.75 < np.mean(list(found.values())) < 0.95, found
