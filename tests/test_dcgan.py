"""DCGAN: parameter counts by hand, what labels and norms change, and the steps of its two trainings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from test_conditional import NAMES, patches, run, settings
from torch import nn

from lookalike.errors import LookalikeError
from lookalike.generators.dcgan import Discriminator, Generator
from lookalike.generators.families import describe
from lookalike.training.data import Labels
from lookalike.training.schedule import schedule_of
from lookalike.training.step import Step, build_networks

PAPER: dict[str, Any] = {"base": (4, 4), "channels": [1024, 512, 256, 128, 64], "labels": 3, "seed": 1, "image_channels": 7}
SMALL: dict[str, Any] = {"base": (3, 2), "channels": [8, 6, 4], "labels": 2, "seed": 1, "image_channels": 3}


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.fixture(scope="module")
def generator() -> Generator:
    return Generator(**PAPER, latent=100)


@pytest.fixture(scope="module")
def discriminator() -> Discriminator:
    return Discriminator(**PAPER)


def test_parameters_are_those_counted_by_hand(generator: Generator, discriminator: Discriminator) -> None:
    norms = 2 * (1024 + 512 + 256 + 128)
    assert count(generator) == 103 * 1024 * 16 + 9 * (1024 * 512 + 512 * 256 + 256 * 128 + 128 * 7) + 7 + norms == 7_892_615
    deep, score = 16 * (64 * 128 + 128 * 256 + 256 * 512), 512 * 16 + 1
    assert count(discriminator) == (10 * 64 * 16 + 64) + deep + 2 * (128 + 256 + 512) + score == 2_772_801
    assert count(Discriminator(**PAPER, norm="all")) == 10 * 64 * 16 + deep + 2 * (64 + 128 + 256 + 512) + score
    assert count(Discriminator(**PAPER, norm="none")) == 10 * 64 * 16 + deep + (64 + 128 + 256 + 512) + score
    assert count(Discriminator(**PAPER, condition="none")) == count(discriminator) - 3 * 64 * 16


def test_every_convolution_and_dense_layer_is_described(generator: Generator, discriminator: Discriminator) -> None:
    rows = describe(generator)
    assert [(row["stage"], row["kind"], row["channels"], row["height"]) for row in rows] == [
        (0, "dense", 16384, 1),
        *((level, "conv 3x3 up", maps, 4 << level) for level, maps in enumerate((512, 256, 128, 7), start=1)),
    ]
    rows = describe(discriminator)
    assert [(row["stage"], row["kind"], row["channels"], row["height"]) for row in rows] == [
        *((level, "conv 4x4 down", maps, 2 << level) for level, maps in ((4, 64), (3, 128), (2, 256), (1, 512))),
        (0, "dense", 1, 1),
    ]


def test_weights_are_drawn_from_the_seed_as_radford_draws_them(generator: Generator) -> None:
    for name, parameter in generator.named_parameters():
        mean = float("norm" in name and name.endswith("weight"))
        if name.endswith("bias"):
            assert not parameter.any(), name
        else:
            assert parameter.mean().item() == pytest.approx(mean, abs=0.1 / parameter.numel() ** 0.5), name
            assert parameter.std().item() == pytest.approx(0.02, rel=3 / parameter.numel() ** 0.5), name
    one, again, other = (Discriminator(**{**SMALL, "seed": seed}).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not torch.equal(one["score.weight"], other["score.weight"])


def test_both_are_the_layers_that_the_paper_lists() -> None:
    images, labels = torch.randn(4, 3, 12, 8, generator=torch.Generator().manual_seed(1)), torch.eye(2)[[0, 1, 1, 0]]
    up = lambda inputs, outputs, bias: (nn.Upsample(scale_factor=2), nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias))  # noqa: E731
    first = (nn.Linear(5 + 2, 48, bias=False), nn.Unflatten(1, (8, 3, 2)), nn.BatchNorm2d(8), nn.ReLU())
    plain = nn.Sequential(*first, *up(8, 6, False), nn.BatchNorm2d(6), nn.ReLU(), *up(6, 3, True), nn.Tanh())
    network = Generator(**SMALL, latent=5)
    plain.load_state_dict(dict(zip(plain.state_dict(), network.state_dict().values(), strict=True)))
    latents = torch.randn(4, 5, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(network(latents, labels), plain(torch.cat([latents, labels], 1)))
    conv = lambda inputs, outputs, bias: nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=bias)  # noqa: E731
    second = (conv(4, 6, False), nn.BatchNorm2d(6), nn.LeakyReLU(0.2))
    plain = nn.Sequential(conv(3 + 2, 4, True), nn.LeakyReLU(0.2), *second, nn.Flatten(), nn.Linear(36, 1), nn.Flatten(0))
    critic = Discriminator(**SMALL)
    plain.load_state_dict(dict(zip(plain.state_dict(), critic.state_dict().values(), strict=True)))
    maps = labels[:, :, None, None].expand(4, 2, 12, 8)
    torch.testing.assert_close(critic(images, labels), plain(torch.cat([images, maps], 1)))


def test_a_discriminator_sees_labels_as_constant_maps_or_not_at_all() -> None:
    images, labels = torch.randn(2, 3, 12, 8, generator=torch.Generator().manual_seed(1)), torch.eye(2)
    network = Discriminator(**SMALL)
    maps = labels[:, :, None, None].expand(2, 2, 12, 8)
    plain = Discriminator(**{**SMALL, "image_channels": 5}, condition="none")
    plain.load_state_dict(network.state_dict())
    assert torch.equal(network(images, labels), plain(torch.cat([images, maps], 1)))
    assert network(images, labels).shape == (2,)
    assert not torch.equal(network(images, labels), network(images, labels.flip(0)))
    assert torch.equal(plain(torch.cat([images, maps], 1), labels), plain(torch.cat([images, maps], 1), labels.flip(0)))


def step_of(family: str, vectors: np.ndarray, **changes: Any) -> Step:
    chosen = settings(family, stages=[{"channels": [8, 8, 6], "batch": 8, "learning_rate": 0.05}], **changes)
    networks = build_networks(chosen, stage=0, base=(2, 2), labels=2, previous=None, image_channels=3)
    return Step(networks, chosen, schedule_of(chosen, 0), torch.device("cpu"), labels=Labels(NAMES, vectors))


def test_all_parameters_of_a_clipped_discriminator_stay_within_bounds_and_the_generators_do_not() -> None:
    images, vectors = patches(16)
    step = step_of("wgan", vectors, loss={"kind": "wgan", "clip": 0.03})
    for nimg in range(0, 80, 8):
        step(images[:8], np.arange(8), nimg)
        largest = {name: parameter.abs().max().item() for name, parameter in step.discriminator.named_parameters()}
        assert max(largest.values()) == pytest.approx(0.03)
        assert largest["blocks.1.norm.weight"] <= 0.030001
    assert max(parameter.abs().max().item() for parameter in step.generator.parameters()) > 0.1


@pytest.mark.parametrize("family", ["dcgan", "wgan"])
def test_without_a_half_life_the_average_is_the_generator(family: str) -> None:
    images, vectors = patches(16)
    step = step_of(family, vectors)
    before = {name: value.clone() for name, value in step.average.state_dict().items()}
    for nimg in range(0, 80, 8):
        step(images[:8], np.arange(8), nimg)
        if step.schedule.moves_generator(nimg):
            now = step.generator.state_dict()
            assert all(torch.equal(value, now[name]) for name, value in step.average.state_dict().items())
    assert all(not torch.equal(value, before[name]) for name, value in step.average.state_dict().items())


@pytest.mark.parametrize("sampler", ["balanced", "natural"])
def test_a_balanced_generator_learns_classes_equally_often(sampler: str) -> None:
    images, vectors = patches(16)
    rare = vectors.copy()
    rare[8:] = np.eye(2)[1]  # of images that the step does not show; both classes are still there
    assert 0 < rare[:8, 0].sum() < vectors[:, 0].sum()
    learnt = []
    for labels in (vectors, rare):
        step = step_of("dcgan", labels, sampler=sampler)
        step(images[:8], np.arange(8), 0)
        learnt.append(step.generator.state_dict())
    assert all(torch.equal(learnt[0][name], learnt[1][name]) for name in learnt[0]) == (sampler == "balanced")


def test_what_cannot_be_built_is_told_in_a_sentence(tmp_path: Any) -> None:
    with pytest.raises(LookalikeError, match="progan makes images of one channel, but the cohort's have 3"):
        run(tmp_path, settings("progan", stopping=None), images=patches()[0])
    with pytest.raises(LookalikeError, match="a DCGAN needs two stages or more"):
        run(tmp_path, settings("dcgan", stopping=None, stages=[{"channels": 8, "batch": 8}]), base=(8, 8))
