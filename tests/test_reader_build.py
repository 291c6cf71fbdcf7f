"""Reader studies built from tiny stores: what is drawn, what is served, what it tells, and programs that read it through the real server."""

from __future__ import annotations

import hashlib
import re
import shutil
import time
from http.client import HTTPConnection
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import image as png

from lookalike.config import ReaderStudy, SimulatedReaders
from lookalike.errors import LookalikeError
from lookalike.pixels.patches import CHANNELS
from lookalike.pixels.store import ImageStore, write_part
from lookalike.readers.blinding import auc_interval, audit, combing, treat
from lookalike.readers.browser import find_browser
from lookalike.readers.build import Source, build_study
from lookalike.readers.power import plan
from lookalike.readers.screenshot import take_screenshot
from lookalike.readers.simulate import enrol, serving, simulate
from lookalike.readers.study import Sequence, load_sequence, load_study
from lookalike.utility.auc import delong, label_aucs

KEY = b"a key of sixteen bytes or more"
CLASSES = ("benign", "malignant", "normal")
BASE, LEVELS = (5, 4), 5  # 80 x 64 pixels


def smooth_images(count: int, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Bright blobs on black, [count, *shape] in [0, 1]."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[-1 : 1 : shape[-2] * 1j, -1 : 1 : shape[-1] * 1j]
    centre, width = random.uniform(-0.3, 0.3, (2, count, 1, 1)), random.uniform(0.3, 0.5, (count, 1, 1))
    blobs = np.exp(-((rows - centre[0]) ** 2 + (columns - centre[1]) ** 2) / width**2)
    blobs = np.where(blobs > 0.05, 0.8 * blobs + 0.02 * random.standard_normal(blobs.shape), 0)
    return np.broadcast_to(blobs.reshape(count, *[1] * (len(shape) - 2), *shape[-2:]), (count, *shape)).clip(0, 1).astype(np.float32)


def make_set(folder: Path, name: str, images: np.ndarray, bits: int, base: tuple[int, int] = BASE) -> Source:
    """Two views, three classes, half of the images for training."""
    numbers = np.arange(len(images))
    write_part(
        folder / name / "part-000.zarr",
        images,
        n=len(images),
        base=base,
        levels=LEVELS,
        bits=bits,
        channels=images.shape[1] if images.ndim == 4 else 1,
    )
    table = pd.DataFrame({"image": [f"{name}-{number}" for number in numbers], "part": 0, "row": numbers})
    table = table.assign(
        **{
            "patient": [f"{name}-{number // 2}" for number in numbers],
            "class": np.array(CLASSES)[numbers % 3],
            "view": np.array(["CC", "MLO"])[numbers // 3 % 2],
            "split": np.array(["train", "test"])[numbers // 6 % 2],
        }
    )
    return table, ImageStore(table, [folder / name / "part-000.zarr"])


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Source]:
    """Reals of even grey values over a black of 0, as a detector's; two generators' smooth numbers over a black that is not quite black."""
    folder = tmp_path_factory.mktemp("sets")
    made = {"real": make_set(folder, "detector", np.rint(smooth_images(120, (80, 64), 0) * 127) * 2 / 255, 8)}
    for seed, name in enumerate(("gan_a", "gan_b"), start=1):
        noise = np.random.default_rng(seed).uniform(0, 3 / 255, (120, 80, 64)).astype(np.float32)
        made[name] = make_set(folder, name, np.maximum(smooth_images(120, (80, 64), seed), noise), 16)
    return made


def build(sets: dict[str, Source], output: Path, *, key: bytes = KEY, **settings: object) -> tuple[Path, pd.DataFrame]:
    study = ReaderStudy(**{"protocol": "pair2afc", "synthetic": ("gan_a", "gan_b"), "sequences": 6, "readers": 2, **settings})
    synthetic = {name: sets[name] for name in study.synthetic}
    build_study(
        name="trial",
        study=study,
        real=sets["real"],
        synthetic=synthetic,
        level=LEVELS - 1,
        key=key,
        simulated="Simulated.",
        output=output,
        archive=output.with_name("keys"),
    )
    return output / "web", pd.read_csv(output / "key.csv", keep_default_na=False)


def sequences(web: Path) -> list[Sequence]:
    return [load_sequence(web, number) for number in range(1, load_study(web).sequences + 1)]


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def single(sets: dict[str, Source], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pd.DataFrame]:
    return build(sets, tmp_path_factory.mktemp("single"), protocol="single", questions=200)


def test_grey_values_tell_all_before_and_nothing_after(sets: dict[str, Source], single: tuple[Path, pd.DataFrame]) -> None:
    web, key = single
    stored = {
        name: (table.set_index("image")["row"], store.level(LEVELS - 1), 257 if store.bits == 8 else 1) for name, (table, store) in sets.items()
    }
    noise = np.random.default_rng(1)
    before = [
        combing((stored[row.set][1][stored[row.set][0][row.source]] * np.uint16(stored[row.set][2])).astype(np.uint16), noise)
        for row in key.itertuples()
    ]
    synthetic = (key["truth"] == "synthetic").to_numpy().astype(int)
    assert label_aucs(synthetic[:, None], np.array(before)[:, None]) == 0  # every real image is combed more than every synthetic one
    after = audit(web, key, floor=4, dither=1, seed=1)
    assert list(after["feature"]) == ["file_size", "modified", "id", "combing", "position", "times", "all", "has_background", "background"]
    assert ((after["low"] <= 0.5) & (after["high"] >= 0.5)).all(), after
    assert (after["high"] - after["low"] < 0.35).all() and list(after["n_real"]) == [100] * 6 + [50, 100, 50]


def test_headers_and_time_to_serve_tell_nothing(single: tuple[Path, pd.DataFrame]) -> None:
    web, key = single
    headers, seconds = set(), {}
    with serving(web) as server:
        reader = enrol(server)
        session = reader.begin(dict.fromkeys((group.name for group in load_study(web).groups), None) | {"radiologist": False})
        connection = HTTPConnection(server.address)
        while session["stage"] != "done":
            began = time.perf_counter()
            connection.request("GET", f"/api/images/{session['images'][0]}", headers={"Authorization": f"Bearer {reader.token}"})
            response = connection.getresponse()
            body = response.read()
            seconds[session["images"][0]] = time.perf_counter() - began
            headers.add((len(body), *((name, value) for name, value in response.getheaders() if name != "date")))
            timing = {"ms": 1, "active_ms": 1, "hidden_ms": 0, "zoom": 1.0, "windowed": False, "screen": "1280x800@1"}
            answer = {"attempt": 1, "question": session["question"], "choice": "real", "confidence": None, "kind": None}
            session = reader.post("/api/answers", answer | timing)
    assert len(headers) == 1 and set(seconds) == set(key["image"])
    synthetic = (key["truth"] == "synthetic").to_numpy().astype(int)
    aucs, variances = delong(synthetic, key["image"].map(seconds).to_numpy()[:, None])
    assert abs(aucs[0] - 0.5) < 3.3 * np.sqrt(variances[0, 0])  # times are not the same again: an interval of 99.9 %


def test_the_audit_sees_what_gives_images_away(single: tuple[Path, pd.DataFrame], tmp_path: Path) -> None:
    web, key = tmp_path / "web", single[1]
    shutil.copytree(single[0], web)
    for row in key[key["truth"] == "real"].itertuples():
        path = web / "images" / f"{row.image}.bin"
        path.write_bytes((np.fromfile(path, "<u2") // 600 * 600).tobytes())
    found = audit(web, key, floor=4, dither=1, seed=1).set_index("feature")["auc"]
    assert found["modified"] == 0 and found["combing"] < 0.02 and found["all"] > 0.98 and found["file_size"] == 0.5


def test_both_kinds_get_one_floor_one_grid_and_one_noise() -> None:
    def served(values: list[float], bits: int) -> np.ndarray:
        image = np.tile(np.rint(np.array(values) * (2**bits - 1)).astype(np.uint16), (500, 1))
        return treat(image, bits=bits, common_bits=8, floor=4, dither=1, random=np.random.default_rng(3))

    detector, generator = served([0, 0.5, 1], 8), served([3.4 / 255, 128.3 / 255, 1], 16)
    assert (detector == generator).all()
    assert detector[:, 0].min() > 0 and detector[:, 2].max() < 65535  # nothing is clipped
    assert detector[:, 0].std() == pytest.approx(65535 / 259, rel=0.1)  # of 4 + 255 - 4 + 4 grey values, one


def test_same_key_same_bytes_other_key_other_names(sets: dict[str, Source], tmp_path: Path) -> None:
    settings = {"protocol": "warmup+single", "warmup": 12, "questions": 24}
    first, _, other, seeded = (
        build(sets, tmp_path / name, key=key, seed=seed, **settings)
        for name, key, seed in (("first", KEY, 1), ("again", KEY, 1), ("other", KEY + b"!", 1), ("seeded", KEY, 2))
    )
    assert contents(tmp_path / "first") == contents(tmp_path / "again")
    for changed in (other, seeded):
        assert not set(first[1]["image"]) & set(changed[1]["image"])
        assert set(first[1]["source"]) != set(changed[1]["source"])
        assert load_study(first[0]).digest != load_study(changed[0]).digest
    build(sets, tmp_path / "other", **settings)  # in the place of another study
    assert contents(tmp_path / "first") == contents(tmp_path / "other")


def test_truth_is_nowhere_in_the_served_folder(sets: dict[str, Source], single: tuple[Path, pd.DataFrame]) -> None:
    web, key = single
    assert all(re.fullmatch("[0-9a-f]{32}", image) for image in key["image"]) and list(key["image"]) == sorted(key["image"])
    assert {path.stem for path in (web / "images").iterdir()} == set(key["image"])
    assert len({(path.stat().st_size, path.stat().st_mtime) for path in (web / "images").iterdir()}) == 1
    told = b"\n".join(path.read_bytes() for path in (web / "study.json", *(web / "sequences").iterdir()))
    for word in ("gan_a", "detector", "malignant", "MLO", *key["source"]):
        assert word.encode() not in told
    assert all(question.truth is None for sequence in sequences(web) for question in sequence.questions)
    assert "half" not in " ".join(load_study(web).tutorial).lower()


def test_single_images_are_balanced_and_the_same_for_all_readers(sets: dict[str, Source], tmp_path: Path) -> None:
    web, key = build(sets, tmp_path, protocol="warmup+single", warmup=12, questions=48, balanced=True)
    counts = key.groupby(["warmup", "set", "class"]).size()
    assert len(counts) == 2 * 3 * 3
    assert dict(counts.groupby(["warmup", "set"]).sum()) == {
        (0, "gan_a"): 12, (0, "gan_b"): 12, (0, "real"): 24, (1, "gan_a"): 3, (1, "gan_b"): 3, (1, "real"): 6,
    }  # fmt: skip
    assert (counts == counts.groupby(["warmup", "set"]).transform("first")).all()
    truth = key.set_index("image")["truth"]
    orders = [[question.images[0] for question in sequence.questions] for sequence in sequences(web)]
    for sequence, order in zip(sequences(web), orders, strict=True):
        assert set(order[:12]) == set(key.loc[key["warmup"] == 1, "image"]) and set(order[12:]) == set(key.loc[key["warmup"] == 0, "image"])
        assert [question.truth for question in sequence.questions] == [*truth[order[:12]], *[None] * 48]
    assert len({tuple(order) for order in orders}) == 6
    assert audit(web, key, floor=4, dither=1, seed=1)["n_real"].max() == 24


def test_pairs_hold_one_of_each_kind_on_random_sides(sets: dict[str, Source], tmp_path: Path) -> None:
    web, key = build(sets, tmp_path, views=("MLO",), split="test", pool=20, sequences=60)
    files = contents(web / "images")
    assert len(files) == len(set(files.values())) == len(key) == 60 * 10 * 2  # nothing links two showings of an image
    assert [len({image for question in sequence.questions for image in question.images}) for sequence in sequences(web)] == [20] * 60
    truth = key.set_index("image")["truth"]
    left = np.array([[truth[question.images[0]] == "real" for question in sequence.questions] for sequence in sequences(web)])
    assert left.shape == (60, 10) and abs(left.mean() - 0.5) < 0.07 and len({tuple(row) for row in left}) > 50
    assert all({truth[image] for image in question.images} == {"real", "synthetic"} for sequence in sequences(web) for question in sequence.questions)
    assert set(key["view"]) == {"MLO"} and dict(key.groupby("set")["source"].nunique()) == {"real": 20, "gan_a": 10, "gan_b": 10}
    assert (sets["real"][0].set_index("image")["split"][key.loc[key["truth"] == "real", "source"]] == "test").all()
    audited = audit(web, key, floor=4, dither=1, seed=1).set_index("feature")
    assert audited.loc["id", ["n_real", "n_synthetic"]].tolist() == [20, 20]
    assert audited.loc["side", "low"] < 0.5 < audited.loc["side", "high"] and audited.loc["side", "n_real"] == 600


def test_artefacts_are_sought_in_synthetic_images_of_every_view(sets: dict[str, Source], tmp_path: Path) -> None:
    web, key = build(sets, tmp_path, protocol="artefacts", pool=10)
    assert dict(key.groupby(["view", "set"]).size()) == {(view, name): 5 for view in ("CC", "MLO") for name in ("gan_a", "gan_b")}
    study = load_study(web)
    assert (study.questions, study.warmup, len(study.kinds)) == (20, 0, 6) and study.tutorial[0].startswith("You will see 20 synthetic images")
    assert audit(web, key, floor=4, dither=1, seed=1)["auc"].isna().all()


def test_what_is_left_over_is_dealt_by_chance(sets: dict[str, Source], tmp_path: Path) -> None:
    dealt = set()
    for seed in range(8):
        key = build(sets, tmp_path, protocol="single", questions=10, balanced=True, seed=seed)[1]
        assert dict(key["truth"].value_counts()) == {"real": 5, "synthetic": 5}
        dealt.add((key["set"].value_counts()["gan_a"], *key.loc[key["truth"] == "real", "class"].value_counts().sort_index()))
    assert {first for first, *_ in dealt} == {2, 3} and len({tuple(classes) for _, *classes in dealt}) == 3


def test_classes_are_told_of_all_sets_or_of_none(sets: dict[str, Source], tmp_path: Path) -> None:
    assert set(build(sets, tmp_path)[1]["class"]) == set(CLASSES)
    unlabelled = {**sets, "gan_b": (sets["gan_b"][0].drop(columns="class"), sets["gan_b"][1])}
    assert set(build(unlabelled, tmp_path)[1]["class"]) == {""}


def test_every_key_is_kept(sets: dict[str, Source], tmp_path: Path) -> None:
    keys = [build(sets, tmp_path / "study", seed=seed)[1] for seed in (1, 2)]
    for key in keys:
        kept = pd.read_csv(tmp_path / "keys" / f"trial-{key['digest'][0][:12]}.key.csv", keep_default_na=False)
        pd.testing.assert_frame_equal(kept, key)
    assert len(list((tmp_path / "keys").iterdir())) == 2


def test_the_audit_sees_a_black_above_the_floor(sets: dict[str, Source], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for floor, told in ((0, True), (4, False)):
        web, key = build(sets, tmp_path, protocol="single", questions=100, noise_floor=floor)
        found = audit(web, key, floor=floor, dither=1, seed=1).set_index("feature")
        assert found.loc["background", "auc"] > 0.95 if told else found.loc["background", "low"] < 0.5 < found.loc["background", "high"]
        assert found.loc["all", "low"] < 0.5 < found.loc["all", "high"]
        assert ("trial: background tells" in caplog.text and "`noise_floor`" in caplog.text) is told
        caplog.clear()
    # a black so far above the floor that it is none is told by its absence
    grey = make_set(tmp_path, "gan_a", np.maximum(smooth_images(120, (80, 64), 1), 10 / 255), 16)
    web, key = build({**sets, "gan_a": grey}, tmp_path / "grey", protocol="single", questions=100, synthetic=("gan_a",))
    found = audit(web, key, floor=4, dither=1, seed=1).set_index("feature")
    assert found.loc["has_background", "auc"] < 0.1 and np.isnan(found.loc["background", "auc"])
    assert "trial: has_background tells" in caplog.text and "`noise_floor`" in caplog.text


def test_interval_of_an_auc() -> None:
    # at .5 it has the variance of the Mann-Whitney test; at 1 it has a width
    deviation = np.sqrt((30 + 20 + 1) / (12 * 30 * 20))
    assert (
        auc_interval(0.5 + 1.9601 * deviation, 30, 20, confidence=0.95)[0] > 0.5 > auc_interval(0.5 + 1.9599 * deviation, 30, 20, confidence=0.95)[0]
    )
    assert auc_interval(1, 4, 4, confidence=0.95) == pytest.approx((0.54, 1), abs=0.05)
    assert auc_interval(1, 4, 4, confidence=1 - 0.05 / 8)[0] < 0.5  # so few images never alarm
    low, high = auc_interval(0.2, 30, 20, confidence=0.95)
    assert auc_interval(0.8, 20, 30, confidence=0.95) == pytest.approx((1 - high, 1 - low))


def test_channels_are_kept_and_named(tmp_path: Path) -> None:
    patches = {name: make_set(tmp_path, name, smooth_images(12, (7, 80, 64), 5), 16) for name in ("real", "gan_a")}
    web, key = build(patches, tmp_path / "study", protocol="single", synthetic=("gan_a",), questions=8)
    study = load_study(web)
    assert study.images.shape == (7, 80, 64) and len(study.images.channels) == len(CHANNELS) and study.images.channels[2] == "post 1"
    row = key.iloc[0]
    table, store = patches[row["set"]]
    served = np.fromfile(web / "images" / f"{row['image']}.bin", "<u2").reshape(study.images.shape)
    stored = store.level(LEVELS - 1)[int(table.index[table["image"] == row["source"]][0])]
    assert np.corrcoef(served.ravel(), stored.ravel())[0, 1] > 0.99


def test_too_few_or_unequal_images_are_refused(sets: dict[str, Source], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(
        LookalikeError, match=r"few images for 50 of real, class benign \(there are 40\); 50 of real, class malignant .*reader_studies.trial"
    ):
        build(sets, tmp_path, protocol="single", questions=300, balanced=True)
    with pytest.raises(LookalikeError, match=r"1 of real \(there are 0\)"):
        build(sets, tmp_path, split="validation")
    assert "instead of" not in caplog.text
    square = make_set(tmp_path, "square", smooth_images(12, (64, 64), 9), 8, base=(4, 4))
    with pytest.raises(LookalikeError, match=r"different shapes: real \(1, 80, 64\), gan_a \(1, 80, 64\), square \(1, 64, 64\)"):
        build({**sets, "square": square}, tmp_path, synthetic=("gan_a", "square"))
    assert not (tmp_path / "web").exists() and not list(tmp_path.glob(".web*"))


def test_plan_gives_power_and_what_it_takes() -> None:
    rows = plan("pair2afc", questions=10, readers=133, margins=(0.05, 0.1)).set_index(["test", "margin", "correlation"])
    independent, alike = rows.loc[("equivalence", 0.05, 0.0)], rows.loc[("equivalence", 0.05, 0.02)]
    assert independent["power"] == pytest.approx(0.955, abs=5e-4) and independent["n"] == 1330 and independent["readers_needed"] == 89
    assert alike["design_effect"] == pytest.approx(1.18) and alike["n_effective"] == 1127 and alike["power"] < independent["power"]
    assert rows.loc[("difference", 0.05, 0.0), "true"] == 0.55
    assert plan("artefacts", questions=1000, readers=1, margins=())["margin"].item() == pytest.approx((0.1203 - 0.0821) / 2, abs=1e-4)


def test_simulated_readers_answer_through_the_server(sets: dict[str, Source], tmp_path: Path) -> None:
    web, key = build(sets, tmp_path, attempts=2, confidence=True, questions=5)
    readers = SimulatedReaders(readers=4, repeats=1, d_prime=9, shares={"radiologist": 0.5, "breast": 0.0})
    answers = simulate(web, key, readers, log=print)
    assert answers.groupby(["reader", "attempt"]).size().to_dict() == {("simulated-001", "1"): 5, ("simulated-001", "2"): 5} | {
        (f"simulated-00{number}", "1"): 5 for number in (2, 3, 4)
    }
    truth = key.set_index("image")["truth"]
    assert ((truth[answers["first"]].to_numpy() == "real") == (answers["choice"] == "left")).all()  # so far apart that nobody errs
    assert set(zip(answers["group_radiologist"], answers["group_breast"], strict=True)) == {
        ("yes", "no"),
        ("no", ""),
    }  # only who says yes is asked more
    assert set(answers["confidence"]) == {"5"}
    pd.testing.assert_frame_equal(answers, simulate(web, key, readers, log=print))
    with pytest.raises(LookalikeError, match="as many sequences, but the study has 6"):
        simulate(web, key, SimulatedReaders(readers=7), log=print)


@pytest.mark.skipif(not find_browser(), reason="no browser; Debian: chromium")
def test_picture_shows_both_images_of_the_first_pair(sets: dict[str, Source], tmp_path: Path) -> None:
    web, _ = build(sets, tmp_path)
    take_screenshot(web, tmp_path / "page.png", log=print)
    picture = png.imread(tmp_path / "page.png")[..., :3].mean(axis=2)
    assert picture.shape == (1600, 2560)
    assert all(half[200:1300].max() > 0.5 and np.median(half[200:1300]) < 0.2 for half in np.split(picture, 2, axis=1))


def test_no_browser_no_picture(single: tuple[Path, pd.DataFrame], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("LOOKALIKE_BROWSER", raising=False)
    with pytest.raises(LookalikeError, match="Debian's package chromium"):
        take_screenshot(single[0], tmp_path / "page.png", log=print)
