"""Training: schedule against the reference's formula, penalties against closed forms and finite differences, data order, and, with real processes that are
really killed, the promise that interruptions change nothing."""

from __future__ import annotations

import json
import logging
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lookalike
from lookalike import config
from lookalike.errors import LookalikeError
from lookalike.generators.layers import downsample, upsample
from lookalike.generators.progan import Discriminator
from lookalike.training import data
from lookalike.training.data import Labels, balanced_order, evaluated_images, fade_reals, image_order, real_batches, to_device
from lookalike.training.loop import train_stage
from lookalike.training.losses import (
    auxiliary_discriminator_loss,
    auxiliary_generator_loss,
    discriminator_loss,
    generator_loss,
    label_loss,
)
from lookalike.training.schedule import schedule_of
from lookalike.training.state import Owner, drop_state, load_networks, load_state, save_state
from lookalike.training.step import Step, build_networks

BASE = (3, 2)


def settings(**changes: Any) -> config.Generator:
    """A generator that trains in seconds: two stages, 3x2 and 6x4."""
    stages = [{"channels": 8, "stable_kimg": 1.2, "batch": 8}, {"channels": 6, "fade_kimg": 0.8, "stable_kimg": 3.2, "batch": 8}]
    values: dict[str, Any] = {"cohort": "c", "latent": 6, "stages": stages, "device": "cpu", "seed": 3}
    return config.Generator(**{**values, **changes})


def pictures(stage: int, n: int = 50) -> np.ndarray:
    """Random uint8 images of a stage."""
    return np.random.default_rng(8).integers(0, 256, (n, BASE[0] << stage, BASE[1] << stage), dtype=np.uint8)


def train(folder: Path, *, stage: int = 0, digest: str = "d" * 16, **changes: Any) -> Path:
    """Train a stage into a folder; stage 1 starts from stage 0 of the same folder."""
    output = folder / f"stage{stage}.safetensors"
    train_stage(
        generator=settings(**changes),
        stage=stage,
        base=BASE,
        images=pictures(stage),
        previous=folder / "stage0.safetensors" if stage else None,
        output=output,
        digest=digest,
        state_folder=folder / f"state{stage}",
        statistics=folder / f"stage{stage}.jsonl",
        threads=1,
    )
    return output


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both stages, trained without interruption."""
    folder = tmp_path_factory.mktemp("undisturbed")
    for stage in (0, 1):
        train(folder, stage=stage)
    return folder


# Schedule


def test_alpha_follows_the_level_of_detail_of_the_reference() -> None:
    # PG's clock runs through all stages: 600 kimg stable, then 600 of fade to the next size, and so on; its lod falls from 8 to 0.
    batches = (128, 128, 128, 64, 32, 16, 8, 4, 4)
    generator = config.Generator(cohort="c", stages=[config.Stage(channels=16, batch=batch) for batch in batches])
    for stage in range(9):
        schedule = schedule_of(generator, stage)
        start = 0 if stage == 0 else 600_000 + 1_200_000 * (stage - 1)
        assert 0 <= schedule.total - (600_000 if stage == 0 else 1_200_000) < schedule.batch
        resets = []
        steps = range(0, schedule.total, schedule.batch)
        middle = 600_000 // schedule.batch
        for nimg in [*steps[:middle:100], *steps[middle - 10 : middle + 10], *steps[middle + 10 :: 100]]:
            kimg = (start + nimg) / 1000
            lod = max(8 - kimg // 1200 - max(kimg % 1200 - 600, 0) / 600, 0)
            assert schedule.alpha(nimg) == pytest.approx(1 - lod % 1 if nimg or stage == 0 else 0, abs=1e-9)
            if schedule.resets_optimisers(nimg):
                resets.append(nimg)
        assert len(resets) == (stage > 0)
        assert all(600_000 <= nimg < 600_000 + schedule.batch for nimg in resets)


def test_stages_last_whole_steps_and_averages_have_half_lives() -> None:
    generator = settings(
        ema_kimg=2.0,
        minibatch_std_group=1,
        stages=[config.Stage(channels=8, batch=7, stable_kimg=0.1, fade_kimg=5), config.Stage(channels=8, batch=50, fade_kimg=0)],
    )
    first, second = schedule_of(generator, 0), schedule_of(generator, 1)
    assert first.total == 105
    assert first.alpha(0) == second.alpha(0) == 1
    assert first.ema_decay ** (2000 / 7) == pytest.approx(0.5)
    assert second.ema_decay ** (2000 / 50) == pytest.approx(0.5)
    assert schedule_of(settings(), 0).ema_decay == 0.999
    assert schedule_of(settings(ema_kimg=0), 0).ema_decay == 0


# Losses


def test_losses_of_a_linear_critic_have_their_closed_forms() -> None:
    w = torch.randn(12, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)
    real, fake = torch.randn(2, 5, 1, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    mix = torch.rand(5, dtype=torch.float64, generator=torch.Generator().manual_seed(3))

    def critic(images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1) @ w

    v, r, f = w.detach(), real.flatten(1), fake.flatten(1)
    loss = config.Loss(kind="wgan_gp", gradient_penalty=7, drift=0.1)
    terms = discriminator_loss(critic, real, fake, mix, loss=loss)
    assert terms.penalty.item() == pytest.approx((v.norm().item() - 1) ** 2)
    assert terms.total.item() == pytest.approx(((f - r) @ v).mean().item() + 7 * (v.norm().item() - 1) ** 2 + 0.1 * (r @ v).square().mean().item())
    (gradient,) = torch.autograd.grad(terms.total, w)
    expected = (f - r).mean(0) + 14 * (v.norm() - 1) * v / v.norm() + 0.2 * (r.T @ (r @ v)) / 5
    torch.testing.assert_close(gradient, expected)
    assert generator_loss(critic, real, fake, loss=loss).item() == pytest.approx(-(f @ v).mean().item())

    loss = config.Loss(kind="relativistic", gamma=3)
    terms = discriminator_loss(critic, real, fake, mix, loss=loss)
    assert terms.penalty.item() == pytest.approx(2 * v.square().sum().item())
    pairing = torch.log1p(torch.exp((f - r) @ v)).mean().item()
    assert terms.total.item() == pytest.approx(pairing + 1.5 * terms.penalty.item())
    (gradient,) = torch.autograd.grad(terms.total, w)
    torch.testing.assert_close(gradient, (torch.sigmoid((f - r) @ v)[:, None] * (f - r)).mean(0) + 6 * v)
    assert generator_loss(critic, real, fake, loss=loss).item() == pytest.approx(torch.log1p(torch.exp((r - f) @ v)).mean().item())


def test_the_hinge_loss_has_its_closed_form() -> None:
    real, fake = torch.tensor([[-2.0, 0.0, 0.5, 1.5], [3.0, -0.5, -1.5, 0.0]]).requires_grad_()
    terms = discriminator_loss(lambda scores: scores, real, fake, torch.zeros(2), loss=config.Loss(kind="hinge"))
    assert terms.total.item() == pytest.approx((3 + 1 + 0.5 + 0) / 4 + (4 + 0.5 + 0 + 1) / 4)
    assert (terms.penalty.item(), terms.real_score.item(), terms.fake_score.item()) == (0, 0, 0.25)
    pushes = torch.autograd.grad(terms.total, (real, fake))
    assert [push.tolist() for push in pushes] == [[-0.25, -0.25, -0.25, 0], [0.25, 0.25, 0, 0.25]]


def test_the_losses_of_the_first_gans_have_their_closed_forms() -> None:
    real, fake = torch.tensor([[-2.0, 0.0, 30.0], [3.0, -0.5, -1.5]], dtype=torch.float64).requires_grad_()
    for kind in ("gan", "wgan"):
        loss = config.Loss(kind=kind)
        terms = discriminator_loss(lambda scores: scores, real, fake, torch.zeros(3), loss=loss)
        made = generator_loss(lambda scores: scores, real, fake, loss=loss)
        if kind == "gan":  # of probabilities p = 1 / (1 + exp(-score)): -log p of reals, -log(1 - p) of fakes, and the generator's -log p
            p, q = torch.sigmoid(real), torch.sigmoid(fake)
            assert terms.total.item() == pytest.approx((-p.log().mean() - (1 - q).log().mean()).item())
            assert made.item() == pytest.approx(-q.log().mean().item())
        else:
            assert terms.total.item() == pytest.approx((3 - 0.5 - 1.5 + 2 - 30) / 3)
            assert made.item() == pytest.approx(-(3 - 0.5 - 1.5) / 3)
        assert terms.penalty.item() == 0


def test_label_loss_is_the_cross_entropy_of_labels_of_sum_1() -> None:
    logits = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)
    labels = torch.tensor([[0, 1, 0], [1, 0, 1], [1, 1, 1], [0, 0, 0]], dtype=torch.float64)
    logs = logits - logits.exp().sum(1, keepdim=True).log()
    expected = -(logs[0, 1] + (logs[1, 0] + logs[1, 2]) / 2 + logs[2].sum() / 3) / 4
    assert label_loss(logits, labels).item() == pytest.approx(expected.item())
    (gradient,) = torch.autograd.grad(label_loss(logits, labels), logits)
    shares = torch.tensor([[0, 1, 0], [0.5, 0, 0.5], [1 / 3, 1 / 3, 1 / 3]], dtype=torch.float64)
    torch.testing.assert_close(gradient[:3], (logits.softmax(1)[:3] - shares) / 4)
    assert (gradient[3] == 0).all()


@pytest.mark.parametrize("kind", ["wgan_gp", "relativistic"])
def test_the_auxiliary_classifier_learns_from_reals_and_fakes_and_teaches_with_fakes(kind: Any) -> None:
    network = Discriminator(base=BASE, channels=(5, 4), group=4, labels=3, seed=2).double()
    real, fake = torch.randn(2, 8, 1, 6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    labels, mix, loss = (
        torch.eye(8, 3, dtype=torch.float64) + torch.eye(3, dtype=torch.float64)[2],
        torch.linspace(0, 1, 8).double(),
        config.Loss(kind=kind),
    )
    of_reals, of_fakes = (label_loss(network.scores_and_logits(images, 0.6)[1], labels) for images in (real, fake))
    plain = discriminator_loss(lambda images: network(images, 0.6), real, fake, mix, loss=loss)
    terms = auxiliary_discriminator_loss(lambda images: network.scores_and_logits(images, 0.6), real, fake, labels, mix, loss=loss)
    assert terms.total.item() == pytest.approx((plain.total + of_reals + of_fakes).item())
    assert [value.item() for value in terms[1:]] == [value.item() for value in plain[1:]]
    made = generator_loss(lambda images: network(images, 0.6), real, fake, loss=loss)
    total = auxiliary_generator_loss(lambda images: network.scores_and_logits(images, 0.6), real, fake, labels, loss=loss)
    assert total.item() == pytest.approx((made + of_fakes).item())


def test_a_critic_closed_over_labels_has_the_penalty_of_those_labels() -> None:
    # A critic that is linear in images and labels: the slope at image i is sum_c y_ic w_c.
    w = torch.randn(3, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    real, fake = torch.randn(2, 5, 1, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    labels = torch.tensor([[1, 0, 0], [0, 1, 1], [1, 1, 1], [0, 0, 1], [1, 0, 1]], dtype=torch.float64)
    critic = lambda images: (images.flatten(1) @ w.T * labels).sum(1)  # noqa: E731
    terms = discriminator_loss(critic, real, fake, torch.linspace(0, 1, 5).double(), loss=config.Loss(kind="wgan_gp", drift=0, gradient_penalty=2))
    penalty = ((labels @ w).norm(dim=1) - 1).square().mean()
    assert terms.penalty.item() == pytest.approx(penalty.item())
    assert terms.total.item() == pytest.approx((((fake - real).flatten(1) * (labels @ w)).sum(1).mean() + 2 * penalty).item())


@pytest.mark.parametrize("kind", ["wgan_gp", "relativistic"])
def test_gradients_of_the_losses_equal_finite_differences(kind: Any) -> None:
    network = Discriminator(base=BASE, channels=(5, 4), group=4, seed=2).double()
    real, fake = torch.randn(2, 8, 1, 6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    mix = torch.linspace(0, 1, 8, dtype=torch.float64)

    def total() -> torch.Tensor:
        return discriminator_loss(lambda x: network(x, 0.6), real, fake, mix, loss=config.Loss(kind=kind)).total

    total().backward()
    rng = np.random.default_rng(1)
    for name, parameter in network.named_parameters():
        index = tuple(int(rng.integers(size)) for size in parameter.shape)
        values = []
        for step in (1e-6, -2e-6):
            with torch.no_grad():
                parameter[index] += step
            values.append(total().item())
        with torch.no_grad():
            parameter[index] += 1e-6
        assert parameter.grad is not None
        assert parameter.grad[index].item() == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-4, abs=1e-6), name


@pytest.mark.parametrize("labels", [None, Labels(["a", "b"], np.eye(2, dtype=np.float32)[np.arange(50) % 2])])
def test_compiled_steps_equal_others(labels: Labels | None) -> None:
    """Traced as for a GPU, penalty and all, and then run by torch's own kernels; a fade before them stays as it is."""
    stages = [{"channels": 8, "batch": 8}, {"channels": 6, "fade_kimg": 0.016, "batch": 8}]
    generator = settings(stages=stages, labels=labels is not None)
    images, results = pictures(1), []
    for compiled in (False, True):
        networks = build_networks(generator, stage=1, base=BASE, labels=2 if labels else 0, previous=None)
        step = Step(networks, generator, schedule_of(generator, 1), torch.device("cpu"), labels=labels)
        if compiled:
            torch._dynamo.reset()
            step.compile("aot_eager")
        losses = [step(images[nimg : nimg + 8], np.arange(nimg, nimg + 8), nimg) for nimg in range(0, 40, 8)]
        results.append((torch.stack(losses), torch.cat([p.detach().flatten() for network in networks for p in network.parameters()])))
    assert sum(torch._dynamo.utils.counters["stats"].values())
    for expected, found in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["wgan_gp", "relativistic"])
def test_bfloat16_autocast_changes_losses_little(kind: Any) -> None:
    # On the CPU, where the test can run; training uses autocast on CUDA only.
    generator = settings(stages=[{"channels": 16, "batch": 8}, {"channels": 12, "batch": 8}], loss={"kind": kind})
    network, critic, _ = build_networks(generator, stage=1, base=BASE, labels=0, previous=None)
    real, latents = torch.randn(8, 1, 6, 4, generator=torch.Generator().manual_seed(1)), torch.randn(8, 6, generator=torch.Generator().manual_seed(2))
    results = []
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            fake = network(latents, 0.5)
            terms = discriminator_loss(lambda x: critic(x, 0.5), real, fake.detach(), torch.full((8,), 0.5), loss=generator.loss)
        gradient = torch.cat([g.flatten() for g in torch.autograd.grad(terms.total, list(critic.parameters()))])
        assert fake.dtype == terms.total.dtype == terms.penalty.dtype == torch.float32
        results.append((terms.total.item(), gradient))
    assert results[1][0] == pytest.approx(results[0][0], rel=0.05)
    assert torch.cosine_similarity(results[0][1], results[1][1], dim=0) > 0.99


# Data


def test_every_epoch_shows_every_image_once_however_it_is_cut() -> None:
    whole = image_order(10, nimg=0, batch=60, seed=1, stage=2)
    for epoch in range(6):
        assert sorted(whole[10 * epoch : 10 * epoch + 10]) == list(range(10))
    assert len({tuple(whole[10 * epoch : 10 * epoch + 10]) for epoch in range(6)}) == 6
    pieces = [image_order(10, nimg=nimg, batch=4, seed=1, stage=2) for nimg in range(0, 60, 4)]
    np.testing.assert_array_equal(np.concatenate(pieces), whole)
    assert not np.array_equal(image_order(10, nimg=0, batch=60, seed=1, stage=1), whole)


def test_a_balanced_sampler_shows_every_class_as_often_and_each_of_its_images_once_an_epoch() -> None:
    vectors = np.eye(3, dtype=np.float32)[[2] * 11 + [0] * 3 + [1] * 5 + [0] * 2]
    classes = Labels(["a", "b", "c"], vectors).classes()
    assert [list(np.unique(vectors[members].argmax(1))) for members in classes] == [[2], [1], [0]]  # (0, 0, 1), (0, 1, 0), (1, 0, 0)
    whole = balanced_order(classes, nimg=0, batch=330, seed=1, stage=0)
    for number, members in enumerate(classes):
        shown = whole[number::3]
        assert len(shown) == 110
        epochs = [tuple(shown[start : start + len(members)]) for start in range(0, 110, len(members))]
        assert all(sorted(epoch) == list(members) for epoch in epochs)
        assert len(set(epochs)) > 5
    assert (whole[1::3] - 14).tolist() != [list(classes[2]).index(image) for image in whole[2::3]]  # both have five images, each its own order
    for batch in (1, 2, 4, 7, 64):
        pieces = [balanced_order(classes, nimg=nimg, batch=batch, seed=1, stage=0) for nimg in range(0, 330, batch)]
        np.testing.assert_array_equal(np.concatenate(pieces)[:330], whole)
    images = np.arange(21, dtype=np.uint8)[:, None, None] * np.ones((1, 2, 2), dtype=np.uint8)
    for start in (0, 160):
        read = list(real_batches(images, start=start, total=320, batch=16, seed=1, stage=0, mirror=False, classes=classes))
        np.testing.assert_array_equal(np.concatenate([order for _, order in read]), whole[start:320])
        assert all((pixels[:, 0, 0] == order).all() for pixels, order in read)
    judged = [evaluated_images(21, 20, seed=1, stage=0, classes=classes, draw=draw) for draw in (0, 1)]
    assert all([np.isin(chosen, members).sum() for members in classes] == [7, 7, 6] for chosen in judged)
    assert len(set(judged[0][0::3])) == 7  # of eleven
    assert sorted(set(judged[0])) != sorted(set(judged[1]))


@pytest.mark.parametrize("mirror", [False, True])
def test_batches_read_ahead_are_those_held_in_memory(monkeypatch: pytest.MonkeyPatch, mirror: bool) -> None:
    images = pictures(1)
    wanted: dict[str, Any] = {"total": 160, "batch": 16, "seed": 1, "stage": 1, "mirror": mirror}
    held, order = map(np.array, zip(*real_batches(images, start=0, **wanted), strict=True))
    monkeypatch.setattr(data, "MEMORY_LIMIT", 0)
    for start in (0, 96):
        read = map(np.array, zip(*real_batches(images, start=start, **wanted), strict=True))
        for one, other in zip(read, (held, order), strict=True):
            np.testing.assert_array_equal(one, other[start // 16 :])
    np.testing.assert_array_equal(order, image_order(50, nimg=0, batch=160, seed=1, stage=1).reshape(10, 16))
    same = (held == images[order]).all((2, 3))
    flipped = (held == images[order][..., ::-1]).all((2, 3))
    assert (same | flipped).all()
    assert 50 < flipped.sum() < 110 if mirror else not flipped.any()
    np.testing.assert_array_equal(images, pictures(1))  # the store is not changed by mirroring


def test_reading_errors_reach_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        shape = (50, 6, 4)

        def __len__(self) -> int:
            return 50

        def __getitem__(self, index: np.ndarray) -> np.ndarray:
            if len(index) > 1:
                raise OSError("no such chunk")
            return pictures(1)[index]

    monkeypatch.setattr(data, "MEMORY_LIMIT", 0)
    with pytest.raises(OSError, match="no such chunk"):
        list(real_batches(Broken(), start=0, total=160, batch=16, seed=1, stage=1, mirror=False))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_stored_pixels_become_minus_one_to_one(dtype: type) -> None:
    maximum = np.iinfo(dtype).max
    pixels = to_device(np.array([[[0, maximum]]], dtype=dtype), torch.device("cpu"))
    assert pixels.shape == (1, 1, 1, 2)
    assert pixels.tolist() == [[[[-1, 1]]]]
    assert to_device(np.array([[[[0]], [[maximum]]]], dtype=dtype), torch.device("cpu")).tolist() == [[[[-1]], [[1]]]]


def test_reals_fade_from_blocks_to_themselves() -> None:
    images = torch.randn(2, 1, 6, 4)
    assert torch.equal(fade_reals(images, 1.0), images)
    assert torch.equal(fade_reals(images, 0.0), upsample(downsample(images)))
    torch.testing.assert_close(fade_reals(images, 0.25), 0.25 * images + 0.75 * upsample(downsample(images)))


# Step


RECORDED = {  # the statistics of the tenth step, as computed before labels came
    "wgan_gp": [7.847156524658203, 0.20496630668640137, 0.7937319278717041, -0.03210946172475815, -0.12227417528629303],
    "relativistic": [0.6581249237060547, 0.8016504645347595, 0.037398189306259155, -0.04453064501285553, -0.15635499358177185],
}


@pytest.mark.parametrize("kind", RECORDED)
def test_without_labels_training_is_that_of_before_there_were_any(kind: str) -> None:
    generator = settings(loss={"kind": kind})
    step = Step(build_networks(generator, stage=1, base=BASE, labels=0, previous=None), generator, schedule_of(generator, 1), torch.device("cpu"))
    for nimg in range(0, 80, 8):
        values = step(pictures(1)[:8], np.arange(8), nimg)
    assert values.tolist() == pytest.approx(RECORDED[kind], rel=1e-4)


def test_the_average_follows_the_generator_without_its_graph() -> None:
    generator = settings(ema_kimg=0.008)  # half-life: one step of 8 images
    step = Step(build_networks(generator, stage=0, base=BASE, labels=0, previous=None), generator, schedule_of(generator, 0), torch.device("cpu"))
    before = {name: p.clone() for name, p in step.generator.named_parameters()}
    assert all(torch.equal(p, before[name]) for name, p in step.average.named_parameters())
    step(pictures(0)[:8], np.arange(8), 0)
    middle = {name: p.detach().clone() for name, p in step.generator.named_parameters()}
    assert not torch.equal(middle["blocks.0.conv.weight"], before["blocks.0.conv.weight"])
    step(pictures(0)[8:16], np.arange(8, 16), 8)  # the average takes the generator as the step before left it, as the reference does
    for name, p in step.average.named_parameters():
        torch.testing.assert_close(p, (before[name] + middle[name]) / 2)
        assert p.grad_fn is None
        assert not p.requires_grad


@pytest.mark.parametrize("kind", ["wgan_gp", "relativistic"])
def test_a_generator_learns_one_image(tmp_path: Path, kind: str) -> None:
    target = np.array([[30, 220], [120, 60], [200, 10]], dtype=np.uint8)
    stage = {"channels": 16, "stable_kimg": 6, "batch": 8, "learning_rate": 0.003}
    generator = settings(stages=[stage], loss={"kind": kind}, ema_kimg=0.5)
    where: dict[str, Any] = {"output": tmp_path / "w.safetensors", "state_folder": tmp_path / "s", "statistics": tmp_path / "s.jsonl"}
    train_stage(generator=generator, stage=0, base=BASE, images=np.stack([target] * 8), previous=None, digest="d", threads=1, **where)
    network = load_networks(tmp_path / "w.safetensors")
    with torch.no_grad():
        made = (network(torch.randn(64, 6, generator=torch.Generator().manual_seed(1))).mean(0)[0].numpy() + 1) * 127.5
    assert np.abs(made - target).max() < 25


# Stages


def test_weights_say_what_they_are(undisturbed: Path) -> None:
    about = json.loads((undisturbed / "stage1.json").read_text())
    assert about["base"] == [3, 2]
    assert about["channels"] == [8, 6]
    assert (about["stage"], about["level"], about["nimg"], about["digest"], about["loss"]["kind"]) == (1, 1, 4000, "d" * 16, "wgan_gp")
    assert (about["family"], about["labels"], about["evaluations"], about["stopped"]) == ("progan", [], [], "schedule")
    assert load_networks(undisturbed / "stage1.safetensors")(torch.zeros(1, 6)).shape == (1, 1, 6, 4)
    rows = [json.loads(line) for line in (undisturbed / "stage1.jsonl").read_text().splitlines()]
    assert rows[-1]["nimg"] == 4000
    assert len(rows) >= 30


SCRIPT = """
import logging, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import test_training
logging.basicConfig(level=logging.INFO)
test_training.train(Path(sys.argv[2]), stage=1, save_minutes=0.0005)
"""


def start(folder: Path) -> subprocess.Popen[str]:
    """Start to train stage 1 in a process of its own."""
    command = [sys.executable, "-c", SCRIPT, str(Path(__file__).parent), str(folder)]
    environment = {"PYTHONPATH": str(Path(lookalike.__file__).parent.parent), "PATH": "/usr/bin:/bin"}
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def wait_for_save(folder: Path, process: subprocess.Popen[str]) -> None:
    """Wait until a process has saved its state, or ended."""
    state = folder / "state1" / "state.pt"
    before = state.stat().st_mtime_ns if state.exists() else 0
    while process.poll() is None and not (state.exists() and state.stat().st_mtime_ns > before):
        time.sleep(0.002)


def test_killed_and_signalled_runs_end_with_the_same_bytes(undisturbed: Path, tmp_path: Path) -> None:
    for name in ("stage0.safetensors", "stage0.json"):
        (tmp_path / name).write_bytes((undisturbed / name).read_bytes())
    rng = np.random.default_rng()  # the moment is random on purpose
    reached = 0
    for signal_sent, code in ((signal.SIGKILL, -9), (signal.SIGTERM, 75), (signal.SIGURG, 75), (None, 0)):
        process = start(tmp_path)
        if signal_sent:
            wait_for_save(tmp_path, process)
            time.sleep(rng.random() * 0.1)
            process.send_signal(signal_sent)
        log = process.communicate(timeout=60)[1]
        assert process.returncode == code, log
        if reached:
            assert f"goes on at {reached} of 4000" in log
        if signal_sent:
            saved = load_state(tmp_path / "state1", "d" * 16)
            assert saved is not None
            assert reached < saved["nimg"] < 4000, "the run ended before it was interrupted"
            reached = saved["nimg"]
    assert (tmp_path / "stage1.safetensors").read_bytes() == (undisturbed / "stage1.safetensors").read_bytes()
    assert (tmp_path / "stage1.json").read_bytes() == (undisturbed / "stage1.json").read_bytes()
    shown = [json.loads(line)["nimg"] for line in (tmp_path / "stage1.jsonl").read_text().splitlines()]
    assert len(shown) >= 30
    assert shown == sorted(set(shown))
    assert shown[-1] == 4000


def test_of_two_jobs_on_one_stage_the_first_stops(undisturbed: Path, tmp_path: Path) -> None:
    for name in ("stage0.safetensors", "stage0.json"):
        (tmp_path / name).write_bytes((undisturbed / name).read_bytes())
    first = start(tmp_path)
    wait_for_save(tmp_path, first)
    first.send_signal(signal.SIGSTOP)  # as if its node were lost
    second = start(tmp_path)
    wait_for_save(tmp_path, second)
    first.send_signal(signal.SIGCONT)
    log = first.communicate(timeout=60)[1]
    assert first.returncode == 75, log
    assert "Another job has taken this stage over; this one stops and writes nothing." in log
    log = second.communicate(timeout=60)[1]
    assert second.returncode == 0, log
    assert (tmp_path / "stage1.safetensors").read_bytes() == (undisturbed / "stage1.safetensors").read_bytes()


@pytest.mark.parametrize("state", ["of another", "gone"])
def test_a_job_that_wakes_up_when_another_is_done_writes_nothing(tmp_path: Path, state: str) -> None:
    owner = Owner(tmp_path)
    owner.check()
    save_state(tmp_path, "d", {"nimg": 8})
    if state == "gone":
        drop_state(tmp_path)
    else:
        Owner(tmp_path)
    owner.check(60)  # not looked up again so soon
    with pytest.raises(SystemExit, match="75"), owner.writes():
        raise AssertionError("it writes")


# State


@pytest.mark.parametrize("fault", ["other job", "truncated", "bit", "empty"])
def test_a_state_that_cannot_be_used_is_set_aside(undisturbed: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, fault: str) -> None:
    folder = tmp_path / "state0"
    save_state(folder, "0123456789abcdef" if fault == "other job" else "d" * 16, {"nimg": 8, "weights": torch.arange(5000)})
    saved = folder / "state.pt"
    content = bytearray(saved.read_bytes())
    if fault == "bit":
        content[len(content) // 2] ^= 4
    damaged = {"other job": content, "truncated": content[: len(content) // 2], "bit": content, "empty": b""}[fault]
    saved.write_bytes(damaged)
    with caplog.at_level(logging.WARNING):
        output = train(tmp_path)
    aside = folder / ("state.01234567.stale" if fault == "other job" else "state.damaged")
    assert aside.read_bytes() == damaged
    assert aside.name in caplog.text
    assert output.read_bytes() == (undisturbed / "stage0.safetensors").read_bytes()


def test_a_full_disk_is_one_sentence_and_the_former_state_stays(tmp_path: Path) -> None:
    save_state(tmp_path / "state0", "d" * 16, {"nimg": 0, "small": torch.ones(3)})
    former = (tmp_path / "state0" / "state.pt").read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))  # stands in for a full disk: writes beyond it fail with an OSError
    try:
        with pytest.raises(LookalikeError, match=r"could not write.*state\.pt.*Free disk space"):
            save_state(tmp_path / "state0", "d" * 16, {"nimg": 8, "large": torch.ones(30_000)})
        with pytest.raises(LookalikeError, match=r"could not write.*safetensors.*Free disk space"):
            train(tmp_path, digest="e" * 16, stages=[{"channels": 48, "stable_kimg": 0.01, "batch": 8}])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {path.name for path in (tmp_path / "state0").iterdir()} == {"owner", "state.dddddddd.stale"}  # no half-written file either
    assert (tmp_path / "state0" / "state.dddddddd.stale").read_bytes() == former
    assert not (tmp_path / "stage0.safetensors").exists()


# Bad input


def test_bad_input_is_told_in_a_sentence(undisturbed: Path, tmp_path: Path) -> None:
    with pytest.raises(LookalikeError, match="learning_rate"):
        train(tmp_path, stages=[{"channels": 8, "stable_kimg": 1, "batch": 8, "learning_rate": 1e30}])
    where: dict[str, Any] = {"output": tmp_path / "w.safetensors", "state_folder": tmp_path / "s", "statistics": tmp_path / "s.jsonl"}
    common: dict[str, Any] = {"generator": settings(), "base": BASE, "digest": "d", "threads": 1, **where}
    with pytest.raises(LookalikeError, match="6 x 4 was given 50 images of 3 x 2"):
        train_stage(stage=1, images=pictures(0), previous=undisturbed / "stage0.safetensors", **common)
    with pytest.raises(LookalikeError, match="needs weights"):
        train_stage(stage=1, images=pictures(1), previous=None, **common)
    with pytest.raises(LookalikeError, match="cannot be read"):
        train_stage(stage=1, images=pictures(1), previous=tmp_path / "none.safetensors", **common)
    with pytest.raises(LookalikeError, match="does not fit stage 1"):
        train_stage(stage=1, images=pictures(1), previous=undisturbed / "stage0.safetensors", **{**common, "generator": settings(latent=7)})


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_asked_for_and_absent_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LookalikeError, match="CUDA"):
        train(tmp_path, device="cuda")
