"""Is the judge of synthetic images sound? Generators of known worth go through the scripts, from image sets to gaps, distances, copies and maps."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import REPOSITORY
from scipy import stats
from scipy.spatial.distance import cdist
from snakemake.iocontainers import InputFiles, OutputFiles

from lookalike.config import Generator, Inception
from lookalike.errors import LookalikeError
from lookalike.files import sha256
from lookalike.launch import Job, _judge
from lookalike.pixels.store import ImageStore, write_part
from lookalike.utility.classifier import Classifier, extract_features, load_classifier, predict, save_classifier
from lookalike.utility.copying import tabulate_copying
from lookalike.utility.encoder import load_encoder
from lookalike.utility.gap import predictions, tabulate_gap
from lookalike.utility.importance import as_seen, enlarge, occlusion_map

TINY: dict[str, Any] = {"size": 32, "init_features": 8, "growth_rate": 4, "block_config": [2, 2]}
CLASSIFIER = {**TINY, "weights": None, "mirror": False, "images": 5000, "batch": 24, "learning_rate": 5e-3, "patience": 2, "stop": 6, "epochs": 20}
LEVEL = 2
NAMES = ["bar", "roof", "spot"]
Draw = Callable[[np.random.Generator, np.ndarray], np.ndarray]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Small networks gain nothing from more, and wait for them where the machine has other work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def picture(generator: np.random.Generator, labels: np.ndarray) -> np.ndarray:
    """Noise about the mean grey with a bar on the left, one at the top, or a spot, each of any brightness from none on."""
    images = generator.normal(115, 20, (len(labels), 16, 16))
    brightness = 60 * generator.random(labels.shape) * labels
    images[:, :, :3] += brightness[:, 0, None, None]
    images[:, :3, :] += brightness[:, 1, None, None]
    images[:, 8:12, 8:12] += brightness[:, 2, None, None]
    return images.clip(0, 255)


@dataclass(frozen=True)
class Set:
    """An image set on disk."""

    table: Path
    store: Path

    def inputs(self, prefix: str = "") -> dict[str, list[str]]:
        return {f"{prefix}table": [str(self.table)], f"{prefix}store": [str(self.store)]}

    def images(self) -> np.ndarray:
        return ImageStore(pd.read_parquet(self.table), [self.store]).level(LEVEL).load()


def write(folder: Path, images: np.ndarray, labels: np.ndarray, patients: np.ndarray, splits: np.ndarray) -> Set:
    made = Set(folder / "table.parquet", folder / "part-000.zarr")
    folder.mkdir()
    write_part(made.store, (image.astype(np.float32) / 255 for image in images), n=len(images), base=(4, 4), levels=LEVEL + 1, bits=8)
    columns = {f"is_{name}": labels[:, k].astype(np.int8) for k, name in enumerate(NAMES)}
    rows = np.arange(len(images))
    table = pd.DataFrame({"image": [f"{folder.name}-{row}" for row in rows], "patient": patients, "split": splits, "part": 0, "row": rows, **columns})
    table.to_parquet(made.table, index=False)
    return made


@dataclass(frozen=True)
class World:
    """A real image set, and what the scripts make of synthetic ones."""

    folder: Path
    real: Set

    def run(self, script: str, inputs: dict[str, Any], outputs: dict[str, str], task: dict[str, Any]) -> Path:
        folder = self.folder / "results" / f"{script}-{len(list(self.folder.glob('results/*')))}"
        snakemake = SimpleNamespace(
            rule=script,
            threads=1,
            input=InputFiles(fromdict=inputs),
            output=OutputFiles(fromdict={name: str(folder / file) for name, file in outputs.items()}),
            log=[str(folder / "log")],
            params=SimpleNamespace(task={"simulated": True, "seed": 1, "level": LEVEL, **task}),
        )
        runpy.run_path(str(REPOSITORY / "scripts" / f"{script}.py"), {"snakemake": snakemake})
        return folder

    def classifier(self, images: Set, seed: int) -> Path:
        files = {"weights": "weights.safetensors", "history": "history.csv", "predictions": "predictions.parquet"}
        test = {} if images is self.real else self.real.inputs("test_")
        settings = {**CLASSIFIER, "device": "cpu"}
        return self.run("train_classifier", {**images.inputs(), **test}, files, {"classifier": settings, "seed": seed})

    def gap(self, classifiers: list[Path]) -> pd.DataFrame:
        inputs = {name: str(path / "predictions.parquet") for name, path in zip(("real", "synthetic", "ceiling"), classifiers, strict=True)}
        folder = self.run("measure_auc_gap", inputs, {"table": "auc_gap.csv"}, {"bootstrap": 200, "flip": False})
        return pd.read_csv(folder / "auc_gap.csv").set_index("label")

    def features(self, synthetic: Set, encoder: Path) -> tuple[pd.DataFrame, pd.DataFrame, pd.Series]:
        files = {"frechet": "frechet.csv", "neighbours": "neighbours.parquet", "copying": "copying.csv"}
        inputs = {"encoder": str(encoder / "weights.safetensors"), **self.real.inputs("real_"), **synthetic.inputs("synthetic_")}
        task = {"inception": None, "frechet_images": 10_000, "queries": 100, "splits": 10, "bootstrap": 50, "device": "cpu"}
        folder = self.run("measure_features", inputs, files, task)
        frechet = pd.read_csv(folder / "frechet.csv").set_index("measure")
        return frechet, pd.read_parquet(folder / "neighbours.parquet"), pd.read_csv(folder / "copying.csv").iloc[0]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder, generator = tmp_path_factory.mktemp("utility"), np.random.default_rng(1)
    patients = np.repeat([f"patient-{number}" for number in range(500)], 2)
    labels = generator.integers(0, 2, (1000, 3))
    splits = np.repeat(["validation", "train", "test"], [150, 600, 250])
    return World(folder, write(folder / "real", picture(generator, labels), labels, patients, splits))


@pytest.fixture(scope="module")
def trained(world: World) -> list[Path]:
    """The real-trained classifier, and another one."""
    return [world.classifier(world.real, seed) for seed in (1, 2)]


def synthetic(world: World, name: str, images: np.ndarray, labels: np.ndarray) -> Set:
    splits = pd.read_parquet(world.real.table)["split"].to_numpy()
    return write(world.folder / name, images, labels, np.array([f"{name}-{row}" for row in range(len(images))]), splits)


def real_labels(world: World) -> np.ndarray:
    return pd.read_parquet(world.real.table)[[f"is_{name}" for name in NAMES]].to_numpy()


def test_training_images_as_synthetic_ones_have_no_gap_are_their_own_neighbours_and_are_called_copies(world: World, trained: list[Path]) -> None:
    generator = np.random.default_rng(2)
    source = 150 + np.concatenate([generator.integers(0, 600, 150), generator.permutation(600), generator.integers(0, 600, 250)])
    copies = synthetic(world, "copies", world.real.images()[source], real_labels(world)[source])
    gap = world.gap([trained[0], world.classifier(copies, 1), trained[1]])
    mean = gap.loc["mean"]
    assert 0.8 < mean["auc_real"] < 0.95
    assert mean["gap_low"] <= 0 <= mean["gap_high"] and mean["gap_high"] - mean["gap_low"] < 0.1
    assert mean["ceiling_low"] <= 0 <= mean["ceiling_high"]
    assert mean["n_test"] == 250 and mean["n_patients"] == 125 and mean["backbone"] == "random" and list(gap.index) == ["mean", *NAMES]
    assert mean["gap"] == pytest.approx(gap.loc[NAMES, "gap"].mean()) and np.isnan(mean["delong_p"])
    assert ((gap["delong_low"] < gap["gap"]) & (gap["gap"] < gap["delong_high"]))[NAMES].all()
    assert mean["delta_synthetic_low"] > 0.02  # it has seen its own test images
    frechet, neighbours, copying = world.features(copies, trained[0])
    nearest = neighbours[neighbours["rank"] == 0]
    assert (nearest["neighbour_row"].to_numpy() == source[nearest["query_row"]]).all() and (nearest["distance"] == 0).all() and len(nearest) == 100
    assert copying["verdict"] == "copies training images" and copying["share_identical"] == 1 and copying["p"] < 1e-6
    assert frechet.loc["frechet", "value"] == pytest.approx(0, abs=1e-9)


def test_new_images_of_the_same_kind_are_no_copies_and_as_far_away_as_real_ones(world: World, trained: list[Path]) -> None:
    labels = real_labels(world)
    fresh = synthetic(world, "fresh", picture(np.random.default_rng(5), labels), labels)
    mean = world.gap([trained[0], world.classifier(fresh, 1), trained[1]]).loc["mean"]
    assert abs(mean["gap"]) < 0.06 and mean["delta_synthetic_low"] <= 0 <= mean["delta_synthetic_high"]
    frechet, neighbours, copying = world.features(fresh, trained[0])
    assert copying["verdict"] == "no nearer than unseen real images" and copying["share_identical"] == 0 and copying["share_nearer"] < 0.1
    assert copying["median_synthetic"] == pytest.approx(copying["median_real"], rel=0.3)
    assert 0.5 < frechet.loc["frechet", "matched"] / frechet.loc["frechet", "ceiling"] < 2
    assert frechet.loc["kernel", "low"] < 0.1
    assert frechet.loc["frechet", "name"] == "Frechet distance (real-trained classifier)"
    real = pd.read_parquet(world.real.table)
    assert (neighbours["neighbour"].to_numpy() == real["image"].to_numpy()[neighbours["neighbour_row"]]).all()
    assert (real["split"].to_numpy()[neighbours["neighbour_row"]] == "train").all()


def gaps(world: World, trained: list[Path], sets: list[Set]) -> pd.DataFrame:
    """A row a set, of the mean over labels. A network that learnt nonsense answers to something all the same, and that may be a finding, or its absence:
    only on average is its AUC 0.5."""
    return pd.DataFrame([world.gap([trained[0], world.classifier(images, 1), trained[1]]).loc["mean"] for images in sets])


@pytest.mark.slow
def test_noise_teaches_nothing(world: World, trained: list[Path]) -> None:
    labels = real_labels(world)
    sets = [synthetic(world, f"noise{seed}", np.random.default_rng(seed).integers(0, 256, (1000, 16, 16)), labels) for seed in range(6)]
    found = gaps(world, trained, sets)
    assert found["auc_synthetic"].mean() == pytest.approx(0.5, abs=0.15) and found["auc_own"].mean() == pytest.approx(0.5, abs=0.05)
    frechet, _, copying = world.features(sets[0], trained[0])
    assert (frechet["value"] > 5 * frechet["ceiling_high"].abs()).all() and copying["verdict"] == "no nearer than unseen real images"


def test_verdicts_on_copies() -> None:
    """Features of training images: themselves, somewhat changed, and others; with duplicates in the data, unseen real images are copies too."""
    generator = np.random.default_rng(1)
    training, unseen, other = (generator.normal(size=(n, 30)) for n in (400, 120, 100))
    nearer, apart = training[:100] + 0.3 * generator.normal(size=(100, 30)), np.concatenate([training[:5], unseen[5:]])
    found = {name: tabulate_copying(queries, unseen, training).iloc[0] for name, queries in (("near", nearer), ("new", other), ("some", apart))}
    assert found["near"]["verdict"] == "nearer to training images than unseen real ones" and found["near"]["share_nearer"] > 0.95
    assert found["new"]["verdict"] == "no nearer than unseen real images" and found["new"]["p"] > 0.05 and found["new"]["share_nearer"] < 0.06
    assert found["some"]["verdict"] == "copies training images" and found["some"]["share_identical"] == 5 / 120
    assert tabulate_copying(apart, apart, training)["verdict"][0] == "no nearer than unseen real images"
    exact = stats.mannwhitneyu(nearest(unseen[:20], training), nearest(nearer[:10], training), alternative="greater", method="exact").pvalue
    assert tabulate_copying(nearer[:10], unseen[:20], training)["p"][0] == pytest.approx(exact)


def nearest(features: np.ndarray, training: np.ndarray) -> np.ndarray:
    return cdist(features, training, metric="cosine").min(axis=1)


@pytest.mark.slow
def test_shuffled_labels_cost_all_that_there_is_to_learn(world: World, trained: list[Path]) -> None:
    labels = real_labels(world)
    images = picture(np.random.default_rng(7), labels)
    found = gaps(world, trained, [synthetic(world, f"shuffled{seed}", images, np.random.default_rng(seed).permutation(labels)) for seed in range(6)])
    assert found["gap"].mean() == pytest.approx(found["auc_real"].mean() - 0.5, abs=0.15) and (found["gap_low"] > 0.1).all()
    assert found["auc_own"].mean() == pytest.approx(0.5, abs=0.05)


def test_maps_are_those_of_the_images_and_classifiers_that_are_named(world: World, trained: list[Path]) -> None:
    inputs = {
        **world.real.inputs("real_"),
        **{name: str(path / "weights.safetensors") for name, path in zip(("real", "other"), trained, strict=True)},
    }
    folder = world.run("measure_importance", inputs, {"maps": "maps.npz"}, {"patch": 4, "normalise": True, "device": "cpu", "generators": ["other"]})
    maps, table = np.load(folder / "maps.npz"), pd.read_parquet(world.real.table).set_index("image")
    labels, names = json.loads(str(maps["labels"])), list(maps["names"])
    assert maps["images"].shape == maps["map_real"].shape == maps["map_other"].shape == (3, 32, 32) and len(set(names)) == 3
    shown = table.loc[names]
    assert (shown["split"] == "test").all() and labels == [[name for name in NAMES if row[f"is_{name}"]] for _, row in shown.iterrows()]
    row = int(names[1].removeprefix("real-"))
    pixels, truth = world.real.images()[row : row + 1], real_labels(world)[row]
    for name, path in zip(("real", "other"), trained, strict=True):
        classifier = load_classifier(path / "weights.safetensors")[0]
        expected = occlusion_map(classifier, classifier.prepare(pixels)[0], truth, patch=4)
        np.testing.assert_allclose(maps[f"map_{name}"][1], enlarge(expected, 4), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(maps["images"][1], as_seen(pixels, 32)[0])


def test_a_classifier_comes_back_as_it_was_saved(world: World, trained: list[Path], tmp_path: Path) -> None:
    path = trained[0] / "weights.safetensors"
    classifier, about = load_classifier(path)
    table = pd.read_parquet(trained[0] / "predictions.parquet")
    own = table[table["of"] == "own"]
    assert table["of"].tolist() == ["real"] * 250 + ["own"] * 250
    np.testing.assert_array_equal(predict(classifier, world.real.images()[750:]), own[[f"score_{name}" for name in NAMES]])
    history = pd.read_csv(trained[0] / "history.csv", float_precision="round_trip")
    assert about["labels"] == NAMES and about["history"] == history["auc_validation"].tolist() and classifier.backbone == "random"
    save_classifier(tmp_path / "weights.safetensors", classifier, **{key: about[key] for key in ("labels", "seed", "history")})
    assert (tmp_path / "weights.safetensors").read_bytes() == path.read_bytes()
    assert (tmp_path / "weights.json").read_text() == path.with_suffix(".json").read_text()
    (tmp_path / "weights.safetensors").write_bytes(path.read_bytes()[:-100])
    with pytest.raises(LookalikeError, match="cannot be read"):
        load_classifier(tmp_path / "weights.safetensors")


class Network(torch.nn.Module):
    """With the interface of the Inception network that StyleGAN's metrics use: the means of the quarters of each channel, again and again; brought to a power."""

    def __init__(self, features: int = 2048, power: float = 1) -> None:
        super().__init__()
        self.features, self.power = features, power

    def forward(self, images: torch.Tensor, return_features: bool = False) -> torch.Tensor:
        assert images.dtype == torch.uint8 and images.shape[1] == 3
        pooled = torch.nn.functional.adaptive_avg_pool2d(images.float(), 2).flatten(1)
        return pooled.pow(self.power).repeat(1, 171)[:, : self.features] if return_features else pooled[:, :1]


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_inception_from_a_file(tmp_path: Path) -> None:
    path, cpu = tmp_path / "inception.pt", torch.device("cpu")
    torch.jit.script(Network()).save(str(path))
    encoder = load_encoder(None, Inception(path=str(path), sha256=sha256(path).upper()), device=cpu)
    images = np.random.default_rng(1).integers(0, 256, (70, 8, 8)).astype(np.uint8)
    features = encoder.features(images)
    assert encoder.name == "Inception" and features.shape == (70, 2048) and features.dtype == np.float32
    np.testing.assert_allclose(features[3, :12], np.tile(images[3].reshape(2, 4, 2, 4).mean(axis=(1, 3)).ravel(), 3), rtol=1e-6)
    np.testing.assert_array_equal(encoder.features(images.astype(np.uint16) * 257), features)
    patches = encoder.features(np.stack([images[:30], images[30:60], images[40:70], images[:30]], axis=1))
    np.testing.assert_array_equal(patches[:, :12], np.concatenate([features[:30, :4], features[30:60, :4], features[40:70, :4]], axis=1))


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_unusable_inception_files_get_a_sentence(tmp_path: Path) -> None:
    path, cpu = tmp_path / "inception.pt", torch.device("cpu")
    with pytest.raises(LookalikeError, match="cannot be read"):
        load_encoder(None, Inception(path=str(path), sha256="0" * 64), device=cpu)
    torch.jit.script(torch.nn.Linear(3, 4)).save(str(path))
    with pytest.raises(LookalikeError, match="has the SHA-256"):
        load_encoder(None, Inception(path=str(path), sha256="0" * 64), device=cpu)
    with pytest.raises(LookalikeError, match="cannot be used"):
        load_encoder(None, Inception(path=str(path), sha256=sha256(path)), device=cpu)
    for network, complaint in ((Network(features=1000), r"makes \[2, 1000\] of two images"), (Network(power=1000.0), "not all finite")):
        torch.jit.script(network).save(str(path))
        with pytest.raises(LookalikeError, match=f"cannot be used: .*{complaint}"):
            load_encoder(None, Inception(path=str(path), sha256=sha256(path)), device=cpu)
    path.write_bytes(b"no archive")
    with pytest.raises(LookalikeError, match="cannot be used"):
        load_encoder(None, Inception(path=str(path), sha256=sha256(path)), device=cpu)


def test_without_inception_the_features_are_the_classifiers(tmp_path: Path) -> None:
    classifier = Classifier(3, seed=1, **TINY).eval()
    save_classifier(tmp_path / "weights.safetensors", classifier, labels=NAMES)
    encoder = load_encoder(tmp_path / "weights.safetensors", None, device=torch.device("cpu"))
    images = np.random.default_rng(1).integers(0, 256, (60, 16, 16)).astype(np.uint8)
    assert encoder.name == "real-trained classifier"
    np.testing.assert_array_equal(encoder.features(images), extract_features(classifier, images))


def test_the_judge_says_once_which_distance_it_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save_classifier(tmp_path / "weights.safetensors", Classifier(3, seed=1, **TINY), labels=NAMES)
    stages = [{"channels": [8, 8, 8], "batch": 8}]
    generator = Generator(cohort="chest", labels=True, stages=stages, stopping={"maximum_kimg": 1, "images": 8}, device="cpu")
    images = np.random.default_rng(1).integers(0, 256, (8, 16, 16)).astype(np.uint8)
    judge = _judge(Job.model_construct(generator=generator, stage=0, encoder=tmp_path / "weights.safetensors", inception=None), images)
    with caplog.at_level("INFO"):
        assert caplog.messages == []
        assert judge(images, np.arange(8)) == pytest.approx(judge(images[::-1], np.arange(8)), abs=1e-6)
    assert caplog.messages == ["the distance that judges is the Frechet distance (real-trained classifier)"]


def test_a_gap_between_other_images_or_labels_is_refused_and_flipping_hides_a_reversed_classifier() -> None:
    generator = np.random.default_rng(1)
    truth = generator.integers(0, 2, 80)
    table = pd.DataFrame({"image": np.arange(80), "patient": np.arange(80) // 2, "is_bar": truth})
    good = predictions(table, (truth + generator.normal(size=80))[:, None], of="real", backbone="random")
    reversed_ = pd.concat([good.assign(score_bar=-good["score_bar"] + generator.normal(0, 0.1, 80), of=of) for of in ("real", "own")])
    plain, flipped = (tabulate_gap(good, reversed_, good, draws=50, seed=1, flip=flip).set_index("label").loc["bar"] for flip in (False, True))
    assert plain["auc_synthetic"] < 0.4 and plain["gap"] > 0.3 and abs(flipped["gap"]) < 0.05
    assert plain["delong_low"] < plain["gap"] < plain["delong_high"] and flipped["delong_low"] < flipped["gap"] < flipped["delong_high"]
    for other in (good.iloc[::-1], good.rename(columns={"is_bar": "is_roof", "score_bar": "score_roof"})):
        with pytest.raises(LookalikeError, match="same real images and labels"):
            tabulate_gap(other, reversed_, good, draws=5, seed=1, flip=False)
