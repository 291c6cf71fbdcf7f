"""Conditional generators of every family: interruptions change nothing, labels are obeyed, the distance decides when to stop, repetitions follow."""

from __future__ import annotations

import json
import logging
import os
import runpy
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import REPOSITORY
from numpy.typing import NDArray

import lookalike
from lookalike import config
from lookalike.cohort.labels import label_matrix, synthetic_table
from lookalike.errors import LookalikeError
from lookalike.generators.families import build_generator, describe
from lookalike.launch import Job, train
from lookalike.pixels.store import ImageStore, Stored, write_part
from lookalike.sampling import example_labels, sample
from lookalike.training.data import Labels, Purpose, evaluated_images, multi_hot, random_numbers
from lookalike.training.loop import train_stage
from lookalike.training.ranks import Ranks
from lookalike.training.schedule import schedule_of
from lookalike.training.state import load_networks, load_state
from lookalike.training.step import Step, build_networks
from lookalike.training.stopping import Judge, Search
from lookalike.utility.classifier import Classifier, save_classifier

NAMES = ["left", "right"]
SECOND = 5.5
FAMILIES: dict[str, dict[str, Any]] = {
    "progan": {},
    "cpdgan": {},
    "biggan": {"loss": {"kind": "hinge", "orthogonal": 1e-4}, "critic_steps": 2, "adam_beta2": 0.999},
}
# H19's two, of patches of three channels and 16 bits
PATCHES: dict[str, dict[str, Any]] = {
    "dcgan": {"family": "dcgan", "loss": {"kind": "gan"}, "adam_beta1": 0.5, "adam_beta2": 0.999, "sampler": "balanced", "ema_kimg": 0},
    "wgan": {"family": "dcgan", "loss": {"kind": "wgan"}, "optimiser": "rmsprop", "critic_steps": 5, "sampler": "balanced", "ema_kimg": 0},
}
ALL = {**FAMILIES, **PATCHES}


def toy(n: int = 500) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Images [n, 8, 8] whose left or right half is bright, and which, as vectors of two labels."""
    rng = np.random.default_rng(1)
    right = rng.integers(2, size=n)
    images = rng.uniform(0, 0.25, (n, 8, 8))
    bright = rng.uniform(0.4, 0.7, (n, 1, 1))
    images[right == 0, :, :4] += bright[right == 0]
    images[right == 1, :, 4:] += bright[right == 1]
    return (images * 255).astype(np.uint8), np.eye(2, dtype=np.float32)[right]


def patches(n: int = 500) -> tuple[NDArray[np.uint16], NDArray[np.float32]]:
    """`toy` images [n, 3, 8, 8]: as they are, inverted, and without what the label says."""
    images, vectors = toy(n)
    return np.stack([images, 255 - images, np.broadcast_to(images.mean((1, 2), keepdims=True), images.shape)], axis=1).astype(
        np.uint16
    ) * 257, vectors


def settings(family: str, **changes: Any) -> config.Generator:
    """One stage from 4x4 straight to 8x8, for a second or so; judged after 0.32 kimg and every 0.16 kimg from then on."""
    values: dict[str, Any] = {"cohort": "c", "family": family, "labels": True, "latent": 8, "device": "cpu", "seed": 3, "ema_kimg": 0.1}
    stage = {"channels": [8, 8], "stable_kimg": 0.32, "batch": 8, "learning_rate": 0.01}
    stopping = {"every_kimg": 0.16, "maximum_kimg": 1.6, "images": 50}
    return config.Generator(**{**values, "stages": [stage], "stopping": stopping, **ALL[family], **changes})


def run(folder: Path, generator: config.Generator, *, judge: Judge | None = None, **changes: Any) -> Path:
    """Train the (first) stage into a folder."""
    images, vectors = patches() if generator.family == "dcgan" else toy()
    values: dict[str, Any] = {"stage": 0, "base": (4, 4), "images": images, "labels": Labels(NAMES, vectors), "previous": None, "digest": "d" * 16}
    where = {"output": folder / "w.safetensors", "state_folder": folder / "state", "statistics": folder / "s.jsonl"}
    train_stage(**{**values, **where, "generator": generator, "judge": judge, "threads": 1, **changes})
    return folder / "w.safetensors"


def about(weights: Path) -> dict[str, Any]:
    return json.loads(weights.with_suffix(".json").read_text())


def scripted(distances: Sequence[float]) -> Judge:
    """A judge who says these, whatever the images, and, of the second draw, SECOND."""
    said = iter(distances)
    return lambda images, reals: next(said, SECOND)


def brightness(images: Stored, reals: NDArray[np.int64]) -> float:
    """A judge who remembers nothing: it can be asked again by another process."""
    return float(abs(images.astype(float).mean() - 90))


# Interruptions

SCRIPT = """
import logging, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import test_conditional as test
logging.basicConfig(level=logging.INFO)
test.run(Path(sys.argv[2]), test.settings(sys.argv[3], save_minutes=0.0005), judge=test.brightness)
"""


@pytest.mark.slow
@pytest.mark.parametrize("family", ALL)
def test_a_killed_run_ends_with_the_same_bytes(tmp_path: Path, family: str) -> None:
    (tmp_path / "undisturbed").mkdir()
    undisturbed = run(tmp_path / "undisturbed", settings(family), judge=brightness)
    command = [sys.executable, "-c", SCRIPT, str(Path(__file__).parent), str(tmp_path), family]
    environment = {"PYTHONPATH": str(Path(lookalike.__file__).parent.parent), "PATH": "/usr/bin:/bin"}
    process = subprocess.Popen(command, env=environment)
    while process.poll() is None and shown(tmp_path / "s.jsonl") < 400:  # it has been judged once
        time.sleep(0.002)
    time.sleep(np.random.default_rng().random() * 0.3)  # the moment is random on purpose
    process.kill()
    assert process.wait(timeout=60) == -9, "the run ended before it was killed"
    reached = load_state(tmp_path / "state", "d" * 16)
    assert reached is not None
    log = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True, timeout=120, check=True).stderr
    assert f"goes on at {reached['nimg']} of 1600" in log
    for name in ("w.safetensors", "w.json"):
        assert (tmp_path / name).read_bytes() == (undisturbed.parent / name).read_bytes()
    assert len(about(undisturbed)["evaluations"]) >= 3
    assert set(about(undisturbed)["label_vectors"][0]) == {0, 1}


def shown(statistics: Path) -> int:
    """Images at the last tick."""
    lines = statistics.read_text().splitlines() if statistics.exists() else []
    return json.loads(lines[-1])["nimg"] if lines else 0


# Labels


@pytest.mark.slow
@pytest.mark.parametrize("family", ALL)
def test_a_generator_obeys_its_label(tmp_path: Path, family: str) -> None:
    images, vectors = patches() if family in PATCHES else toy()
    pixels = np.c_[images.reshape(500, -1) / np.iinfo(images.dtype).max, np.ones(500)]
    boundary = np.linalg.lstsq(pixels[:250], vectors[:250, 1] * 2 - 1, rcond=None)[0]
    assert (((pixels[250:] @ boundary) > 0) == vectors[250:, 1]).mean() > 0.99
    kimg, rate = {"dcgan": (10, 0.002), "wgan": (40, 0.002)}.get(family, (5, 0.01))
    stages = [{"channels": [16, 16], "stable_kimg": kimg, "batch": 16, "learning_rate": rate}]
    weights = run(tmp_path, settings(family, stages=stages, stopping=None, **({} if family in PATCHES else {"ema_kimg": 0.3})))
    asked = np.eye(2, dtype=np.int8)[np.arange(400) % 2]
    batches = sample(weights, indices=range(400), seed=1, batch=100, device="cpu", threads=1, labels=asked)
    made = np.concatenate(list(batches)).reshape(400, -1)
    assert (((np.c_[made, np.ones(400)] @ boundary) > 0) == asked[:, 1]).mean() > 0.95
    assert (example_labels(weights, 5) == about(weights)["label_vectors"] * 2 + about(weights)["label_vectors"][:1]).all()
    with pytest.raises(LookalikeError, match="2 labels was asked for images with 0"):
        next(sample(weights, indices=range(1), seed=1, batch=1, device="cpu", threads=1))


def test_growth_keeps_the_labels(tmp_path: Path) -> None:
    stages = [{"channels": [8, 8], "stable_kimg": 0.032, "batch": 8}, {"channels": 6, "fade_kimg": 0.032, "stable_kimg": 0.032, "batch": 8}]
    generator = settings("progan", stages=stages, stopping=None)
    first = run(tmp_path, generator)
    assert (about(first)["stage"], about(first)["level"], about(first)["channels"]) == (0, 1, [8, 8])
    large = np.kron(toy()[0], np.ones((1, 2, 2), dtype=np.uint8))
    (tmp_path / "second").mkdir()
    second = run(tmp_path / "second", generator, stage=1, images=large, previous=first)
    assert (about(second)["stage"], about(second)["level"], about(second)["channels"]) == (1, 2, [8, 8, 6])
    assert load_networks(second)(torch.zeros(1, 8), labels=torch.zeros(1, 2)).shape == (1, 1, 16, 16)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_generator_learns_labels_drawn_from_all_and_moves_at_every_nth_step(family: str) -> None:
    generator = settings(family)
    images, vectors = toy(16)
    others = vectors.copy()
    others[8:] = 1 - others[8:]  # the labels of images that the steps do not show
    results = []
    for labels in (vectors, others):
        networks = build_networks(generator, stage=0, base=(4, 4), labels=2, previous=None)
        step = Step(networks, generator, schedule_of(generator, 0), torch.device("cpu"), labels=Labels(NAMES, labels))
        weight = step.generator.get_parameter("dense.weight" if family == "biggan" else "blocks.0.conv.weight")
        buffers = {name: buffer.clone() for name, buffer in step.average.named_buffers()}
        seen = [weight.detach().clone()]
        for nimg in (0, 8):
            step(images[:8], np.arange(8), nimg)
            seen.append(weight.detach().clone())
            if nimg == 0:
                judged = [parameter.detach().clone() for parameter in step.discriminator.parameters()]
        assert [not torch.equal(before, after) for before, after in pairwise(seen)] == [generator.critic_steps == 1, True]
        for name, buffer in step.average.named_buffers():  # batch norm's and singular vectors: the average has no others
            assert not torch.equal(buffer, buffers[name]), name
        results.append((judged, seen[-1]))
    assert all(map(torch.equal, results[0][0], results[1][0]))
    assert not torch.equal(results[0][1], results[1][1])


def test_unknown_labels_count_as_absent() -> None:
    assert multi_hot(np.array([[1, 0, -1]], dtype=np.int8)).tolist() == [[1, 0, 0]]
    vectors = np.array([[0, 1], [1, 1], [1, 1], [0, 1], [1, 1], [1, 0]], dtype=np.float32)
    assert Labels(NAMES, vectors).most_frequent(2).tolist() == [[1, 1], [0, 1]]


def test_bad_labels_are_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(LookalikeError, match="labels of 500 images are needed; given were none"):
        run(tmp_path, settings("progan", stopping=None), labels=None)
    with pytest.raises(LookalikeError, match="given were 3 vectors of 2 labels"):
        run(tmp_path, settings("progan", stopping=None), labels=Labels(NAMES, np.zeros((3, 2), dtype=np.float32)))
    with pytest.raises(LookalikeError, match="latent vector of 9 cannot be cut"):
        run(
            tmp_path,
            settings("biggan", stopping=None, latent=9, stages=[{"channels": [4] * 3, "batch": 8}]),
            images=np.zeros((500, 16, 16), np.uint8),
        )


def test_every_convolution_and_dense_layer_of_a_family_is_described() -> None:
    network = build_generator("biggan", base=(4, 4), channels=[8, 8, 4], latent=8, labels=2, seed=1)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    rows = describe(network)
    others = sum(p.numel() for name, p in network.named_parameters() if name.startswith("norm.") or name.endswith("gain"))
    assert sum(int(row["parameters"]) for row in rows) + others == sum(p.numel() for p in network.parameters())
    assert [(row["stage"], row["height"]) for row in rows if row["block"] in ("dense", "to_rgb")] == [(0, 1), (2, 16)]
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert network.training


# Stopping


def test_the_schedule_of_a_judged_stage() -> None:
    generator = settings("biggan", stages=[{"channels": [8, 8], "stable_kimg": 0.1, "batch": 8, "learning_rate_discriminator": 0.5}], latent=16)
    schedule = schedule_of(generator, 0)  # 16 images make a step of the generator
    assert (schedule.total, schedule.every, schedule.limit) == (112, 160, 1600)
    assert (schedule.learning_rate, schedule.learning_rate_discriminator) == (0.001, 0.5)
    assert [nimg for nimg in range(0, 1608, 8) if schedule.judges(nimg)] == [*range(112, 1600, 160), 1600]
    followed = schedule_of(generator, 0, follow=272)
    assert (followed.total, followed.limit) == (272, 272)
    assert not any(followed.judges(nimg) for nimg in range(0, 280, 8))
    stages = [{"channels": 8, "stable_kimg": 1, "batch": 8}, {"channels": 8, "fade_kimg": 0, "stable_kimg": 0.32, "batch": 8}]
    grown = settings("progan", stages=stages)
    assert schedule_of(grown, 0).every == 0
    assert (schedule_of(grown, 1).total, schedule_of(grown, 1).limit) == (320, 600)  # of all stages: 1.6 kimg


@pytest.mark.parametrize(
    ("distances", "kept", "stopped"),
    [
        ((9, 7, 8, 7), 480, "no improvement in 2 evaluations"),  # an equal distance is no new minimum
        ((9, 8, 9, 7, 8, 9), 800, "no improvement in 2 evaluations"),
        ((9, 8, 7, 6, 5, 4, 3, 2, 1), 1600, "maximum"),
        ((5, 6, 4, 5, 3, 4, 2, 3, 2.5), 1280, "no improvement in 2 evaluations"),
    ],
)
def test_training_stops_by_the_rule_and_the_best_networks_are_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, distances: Sequence[float], kept: int, stopped: str
) -> None:
    (tmp_path / "followed").mkdir()
    with caplog.at_level(logging.INFO):
        best = run(tmp_path, settings("cpdgan"), judge=scripted(distances))
    found = about(best)
    assert found["evaluations"] == [{"nimg": 320 + 160 * number, "distance": distance} for number, distance in enumerate(distances)]
    assert (found["nimg"], found["stopped"], found["second_draw"]) == (kept, stopped, SECOND)
    assert f"({stopped}); kept: the networks at {kept / 1000:.1f} kimg" in caplog.text
    followed = run(tmp_path / "followed", settings("cpdgan", stopping=None), follow=kept)
    assert followed.read_bytes() == best.read_bytes()
    assert (about(followed)["nimg"], about(followed)["stopped"], about(followed)["second_draw"]) == (kept, "followed", None)


def test_a_distance_that_is_no_number_ends_the_training(tmp_path: Path) -> None:
    with pytest.raises(LookalikeError, match="Frechet distance of the generated images is not a finite number"):
        run(tmp_path, settings("cpdgan"), judge=scripted([3, np.nan]))
    assert not Search(2).over


def test_the_judge_sees_images_of_the_labels_of_reals_and_in_the_end_others(tmp_path: Path) -> None:
    seen = []

    def judge(images: Stored, reals: NDArray[np.int64]) -> float:
        seen.append((images, reals))
        return 1.0

    weights = run(tmp_path, settings("biggan", stopping={"every_kimg": 0.16, "patience": 1, "maximum_kimg": 9, "images": 700}), judge=judge)
    chosen = evaluated_images(500, 700, seed=3, stage=0)
    assert sorted(chosen[:500]) == list(range(500))
    np.testing.assert_array_equal(chosen[500:], chosen[:200])
    assert len(seen) == 3
    network = load_networks(weights)
    for draw, (images, reals) in enumerate((seen[0], seen[-1])):  # the first of equals is kept
        np.testing.assert_array_equal(reals, evaluated_images(500, 700, seed=3, stage=0, draw=draw))
        latents = random_numbers(3, 0, Purpose.EVALUATION, 2 * draw + 1).standard_normal((700, 8), dtype=np.float32)
        with torch.no_grad():
            expected = network(torch.from_numpy(latents), torch.from_numpy(toy()[1][reals]))[:, 0].numpy()
        assert images.dtype == np.uint8
        assert np.abs(images - (expected + 1) * 127.5).max() <= 0.51
    np.testing.assert_array_equal(seen[0][1], chosen)
    assert not np.array_equal(seen[0][1], seen[-1][1])


def test_patches_are_judged_with_the_bits_of_their_store_and_as_many_of_each_class(tmp_path: Path) -> None:
    seen = []

    def judge(images: Stored, reals: NDArray[np.int64]) -> float:
        seen.append((images, reals))
        return float(len(seen))

    weights = run(tmp_path, settings("dcgan", stopping={"every_kimg": 0.16, "patience": 1, "maximum_kimg": 9, "images": 100}), judge=judge)
    labels = patches()[1]
    network, (images, reals) = load_networks(weights), seen[-1]
    assert labels[reals].sum(0).tolist() == [50, 50]
    latents = random_numbers(3, 0, Purpose.EVALUATION, 3).standard_normal((100, 8), dtype=np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(latents), torch.from_numpy(labels[reals])).numpy()
    assert images.dtype == np.uint16
    assert images.shape == (100, 3, 8, 8)
    assert np.abs(images - (expected + 1) * 32767.5).max() <= 0.52
    assert about(weights)["second_draw"] == 3


# From files, as the workflow does it


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of toy images at 4x4 and 8x8, their table with labels, and a small classifier that tells distances."""
    folder = tmp_path_factory.mktemp("labelled")
    images, vectors = toy(60)
    write_part(folder / "part-000.zarr", images.astype(np.float32) / 255, n=60, base=(4, 4), levels=2, bits=16)
    names = [f"image{number}" for number in range(60)]
    table = pd.DataFrame({"image": names, "patient": names, "study": "", "age": 50.0, "manufacturer": "GE", "part": 0, "row": range(60)})
    table["split"] = ["train"] * 40 + ["validation"] * 10 + ["test"] * 10
    table["class"] = np.array(NAMES)[vectors[:, 1].astype(int)]
    table[[f"is_{name}" for name in NAMES]] = vectors.astype(np.int8)
    table.to_parquet(folder / "images.parquet")
    network = Classifier(2, seed=1, size=32, init_features=4, growth_rate=4, block_config=(1, 1))
    save_classifier(folder / "classifier.safetensors", network, labels=NAMES)
    return folder


def job(labelled: Path, folder: Path, generator: config.Generator, **changes: Any) -> Job:
    folder.mkdir(exist_ok=True)
    values: dict[str, Any] = {"generator": generator, "stage": 0, "base": (4, 4), "previous": None, "digest": "d", "threads": 1, "inception": None}
    values |= {"tables": [labelled / "images.parquet"], "parts": [labelled / "part-000.zarr"], "encoder": labelled / "classifier.safetensors"}
    where = {"output": folder / "w.safetensors", "state_folder": folder / "state", "statistics": folder / "s.jsonl", "follow": None}
    return Job(**{**values, **where, **changes})


@pytest.mark.slow
def test_ranks_stop_together_by_the_real_judge_and_repetitions_follow(labelled: Path, tmp_path: Path) -> None:
    # At usual rates rounding would grow; the distances of one and of two ranks are to be compared.
    stages = [{"channels": [8, 8], "stable_kimg": 0.32, "batch": 8, "learning_rate": 1e-4}]
    generator = settings("cpdgan", stages=stages, minibatch_std_group=4, stopping={"every_kimg": 0.16, "maximum_kimg": 0.64, "images": 50})
    found = []
    for ranks in (1, 2):
        train(job(labelled, tmp_path / str(ranks), generator), ranks)
        found.append(about(tmp_path / str(ranks) / "w.safetensors"))
    one, two = ([evaluation["distance"] for evaluation in result["evaluations"]] for result in found)
    assert one == pytest.approx(two, rel=1e-3)
    assert found[0]["nimg"] == found[1]["nimg"]
    assert len(one) >= 2
    other = settings("cpdgan", stages=stages, seed=4, stopping=None)
    train(job(labelled, tmp_path / "other", other, encoder=None, follow=tmp_path / "1/w.json"), 1)
    assert about(tmp_path / "other/w.safetensors")["nimg"] == found[0]["nimg"]
    assert (tmp_path / "other/w.safetensors").read_bytes() != (tmp_path / "1/w.safetensors").read_bytes()


class Files(list):
    """Input or output files as Snakemake hands them to a script."""

    def __init__(self, **files: Any) -> None:
        super().__init__(path for paths in files.values() for path in ([paths] if isinstance(paths, str) else paths))
        self.__dict__.update(files)
        self.get = files.get


def sample_parts(labels: Path, **changes: Any) -> None:
    """Run sample_images.py for both parts of a set, with the weights in `trained`."""
    task = {"images": None, "parts": 2, "network": "averaged", "batch": 16, "device": "cpu", "seed": 1, "simulated": True, **changes}
    for part in (0, 1):
        given = SimpleNamespace(
            rule="sample_images",
            wildcards=SimpleNamespace(part=f"{part:03d}", synthetic="dumont2021/chest/classes_2/progan/seed_1"),
            input=Files(weights="trained/w.safetensors", labels=[str(labels)]),
            output=Files(store=f"part-{part:03d}.zarr", table=f"part-{part:03d}.parquet"),
            log=Files(log="log"),
            params=SimpleNamespace(task=task),
            threads=1,
        )
        runpy.run_path(str(REPOSITORY / "scripts/sample_images.py"), {"snakemake": given})


def test_parts_of_a_sampled_set_have_the_labels_of_the_real_images(labelled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stages = [{"channels": [8, 8], "stable_kimg": 0.032, "batch": 8}]
    train(job(labelled, tmp_path / "trained", settings("progan", stages=stages, stopping=None)), 1)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(REPOSITORY / "scripts"), *sys.path])
    sample_parts(labelled / "images.parquet", bits=8, balanced=False)
    table = pd.concat([pd.read_parquet(f"part-{part:03d}.parquet") for part in (0, 1)], ignore_index=True)
    real = pd.read_parquet(labelled / "images.parquet")
    wanted = synthetic_table(real, name="dumont2021-chest-classes_2-progan-seed_1", images=None, seed=1)
    assert list(table["part"]) == [0] * 30 + [1] * 30
    assert list(table["row"]) == [*range(30), *range(30)]
    assert {(8, 8)} == set(zip(table["rows"], table["columns"], strict=True))
    columns = ["image", "patient", "split", "class", "is_left", "is_right"]
    pd.testing.assert_frame_equal(table[columns], wanted[columns])
    stored = ImageStore(table, [tmp_path / "part-000.zarr", tmp_path / "part-001.zarr"]).level(1).load()
    labels = label_matrix(table)[1]
    weights = tmp_path / "trained/w.safetensors"
    images = np.concatenate(list(sample(weights, indices=range(60), seed=1, batch=60, device="cpu", threads=1, labels=labels)))
    assert np.abs(stored - images * 255).max() < 0.51


def test_patches_from_a_store_to_a_store(labelled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images, _ = patches(60)
    write_part(tmp_path / "part-000.zarr", images.astype(np.float32) / 65535, n=60, base=(4, 4), levels=2, bits=16, channels=3)
    stages = [{"channels": [8, 8], "stable_kimg": 0.032, "batch": 8}]
    generator = settings("dcgan", stages=stages, stopping={"every_kimg": 0.016, "maximum_kimg": 0.048, "images": 40}, discriminator_norm="all")
    train(job(labelled, tmp_path / "trained", generator, parts=[tmp_path / "part-000.zarr"]), 1)
    found = about(tmp_path / "trained/w.safetensors")
    assert (found["image_channels"], found["condition"], found["discriminator_norm"]) == (3, "maps", "all")
    assert found["second_draw"] > 0
    load_networks(tmp_path / "trained/w.safetensors", "discriminator")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(REPOSITORY / "scripts"), *sys.path])
    sample_parts(labelled / "images.parquet", bits=16, balanced=True, images=30)
    table = pd.concat([pd.read_parquet(f"part-{part:03d}.parquet") for part in (0, 1)], ignore_index=True)
    assert list(table["class"]) == NAMES * 15
    store = ImageStore(table, [tmp_path / "part-000.zarr", tmp_path / "part-001.zarr"])
    assert (store.channels, store.bits) == (3, 16)
    weights = tmp_path / "trained/w.safetensors"
    made = np.concatenate(list(sample(weights, indices=range(30), seed=1, batch=30, device="cpu", threads=1, labels=label_matrix(table)[1])))
    assert made.shape == (30, 3, 8, 8)
    assert np.abs(store.level(1).load() - made * 65535).max() < 0.6


def test_a_batch_that_ranks_cannot_share_is_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(LookalikeError, match="A batch of 8 cannot be cut into groups of 4 and shared by 3"):
        run(tmp_path, settings("progan", stopping=None), ranks=Ranks(0, 3))
    assert os.listdir(tmp_path) == []
