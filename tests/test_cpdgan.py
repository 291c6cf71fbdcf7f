"""cpD-GAN: sizes against the paper's formulas, forward passes against the formulas written out, the projection, and derivatives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from lookalike import config
from lookalike.generators.cpdgan import ConditionalPixelNorm, Discriminator, Generator
from lookalike.generators.families import describe
from lookalike.generators.layers import initialise
from lookalike.training.losses import discriminator_loss

BASE = (3, 2)
CHANNELS = (12, 8, 6)
LABELS = 3


def generator(*, seed: int = 1, fused: bool = True) -> Generator:
    return Generator(base=BASE, channels=CHANNELS, latent=16, labels=LABELS, seed=seed, fused=fused).double()


def discriminator(*, seed: int = 1, fused: bool = True) -> Discriminator:
    return Discriminator(base=BASE, channels=CHANNELS, labels=LABELS, group=4, seed=seed, fused=fused).double()


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def multi_hot(n: int) -> Tensor:
    return torch.tensor([[1, 0, 0], [0, 1, 1], [1, 1, 1], [0, 0, 1]], dtype=torch.float64)[torch.arange(n) % 4]


@pytest.mark.parametrize("side", [32, 64, 128, 256, 512])
def test_layers_and_parameter_counts_are_the_papers(side: int) -> None:
    labels, stages = 14, int(np.log2(side)) - 1
    maps = [int(np.clip(16384 // 2 ** (level + 1), 1, 512)) for level in range(stages)]
    assert maps[-1] == {32: 512, 64: 512, 128: 256, 256: 128, 512: 64}[side]

    def conv(kernel: int, inputs: int, outputs: int) -> int:
        return kernel * kernel * inputs * outputs + outputs

    def norm(name: str, outputs: int) -> list[tuple[str, int, int, int]]:
        return [(f"{name}.{part}", outputs, 1, (512 + labels) * outputs + outputs) for part in ("gamma", "beta")]

    made = [("dense", 512 * 16, 1, (512 + labels) * 512 * 16), *norm("norm_dense", 512), ("conv", 512, 4, conv(3, 512, 512)), *norm("norm_conv", 512)]
    made += [("to_rgb", 1, 4, 513)]
    seen = [("from_rgb", maps[-1], side, conv(1, 1, maps[-1]))]
    for level in range(1, stages):
        inputs, outputs, size = maps[level - 1], maps[level], 4 << level
        made += [("up", outputs, size, conv(3, inputs, outputs)), *norm("norm_up", outputs)]
        made += [("conv", outputs, size, conv(3, outputs, outputs)), *norm("norm_conv", outputs), ("to_rgb", 1, size, conv(1, outputs, 1))]
    for level in range(stages - 1, 0, -1):
        inputs, outputs, size = maps[level], maps[level - 1], 4 << level
        seen += [("conv", inputs, size, conv(3, inputs, inputs)), ("down", outputs, size // 2, conv(3, inputs, outputs))]
        seen += [("skip", outputs, size // 2, inputs * outputs)]
    seen += [
        ("minibatch_std", 513, 4, 0),
        ("conv", 512, 4, conv(3, 513, 512)),
        ("dense", 512, 1, 512 * 16 * 512 + 512),
        ("score", labels, 1, 513 * labels),
    ]
    with torch.device("meta"):
        g = Generator(base=(4, 4), channels=maps, latent=512, labels=labels, seed=1)
        d = Discriminator(base=(4, 4), channels=maps, labels=labels, group=4, seed=1)
    for network, layers, others in ((g, made, 512), (d, seen, 0)):  # the others are the bias after the first dense layer
        rows = describe(network)
        assert [(row["layer"], row["channels"], row["height"], row["parameters"]) for row in rows] == layers
        assert all(row["width"] == row["height"] for row in rows)
        assert sum(parameter.numel() for parameter in network.parameters()) == sum(size for *_, size in layers) + others


def test_the_generator_is_the_papers_formula() -> None:
    network = generator()
    weights = {name: value + 0.1 * normal(*value.shape) for name, value in network.state_dict().items()}  # biases too, which begin at 0
    network.load_state_dict(weights)
    latents, labels = normal(5, 16), multi_hot(5)
    combo = torch.cat([latents, labels], 1)

    def unit(x: Tensor) -> Tensor:
        return x / (x.square().mean(1, keepdim=True) + 1e-8).sqrt()

    def conv(name: str, x: Tensor, gain: float) -> Tensor:
        weight = weights[f"{name}.weight"]
        return functional.conv2d(x, weight * gain / np.sqrt(weight[0].numel()), weights[f"{name}.bias"], padding=weight.shape[-1] // 2)

    def norm(name: str, x: Tensor) -> Tensor:
        gamma, beta = (combo @ weights[f"{name}.{part}.weight"].T / np.sqrt(19) + weights[f"{name}.{part}.bias"] for part in ("gamma", "beta"))
        return unit(torch.where(x > 0, x, 0.2 * x)) * gamma[:, :, None, None] + beta[:, :, None, None]

    x = (unit(combo) @ weights["blocks.0.dense.weight"].T / np.sqrt(19)).reshape(5, 12, 3, 2) + weights["blocks.0.bias"]
    x = norm("blocks.0.norm_dense", x)
    x = norm("blocks.0.norm_conv", conv("blocks.0.conv", x, 1))
    images = conv("to_rgb.0", x, 1)
    for level in (1, 2):
        x = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
        x = norm(f"blocks.{level}.norm_up", conv(f"blocks.{level}.up", x, np.sqrt(2)))
        x = norm(f"blocks.{level}.norm_conv", conv(f"blocks.{level}.conv", x, 1))
        images = images.repeat_interleave(2, 2).repeat_interleave(2, 3) + conv(f"to_rgb.{level}", x, 1)
    assert images.shape == (5, 1, 12, 8)
    torch.testing.assert_close(network(latents, labels), images, atol=1e-10, rtol=1e-10)


def test_the_discriminator_is_the_papers_formula() -> None:
    network = discriminator()
    weights = {name: value + 0.1 * normal(*value.shape) for name, value in network.state_dict().items()}
    network.load_state_dict(weights)
    images, labels = normal(4, 1, 12, 8), multi_hot(4)

    def lrelu(x: Tensor) -> Tensor:
        return torch.where(x > 0, x, 0.2 * x)

    def conv(name: str, x: Tensor, gain: float) -> Tensor:
        weight = weights[f"{name}.weight"]
        return functional.conv2d(x, weight * gain / np.sqrt(weight[0].numel()), weights.get(f"{name}.bias"), padding=weight.shape[-1] // 2)

    def dense(name: str, x: Tensor) -> Tensor:
        return x @ weights[f"{name}.weight"].T / np.sqrt(x.shape[1]) + weights[f"{name}.bias"]

    x = lrelu(conv("from_rgb.2", images, 1))
    for level in (2, 1):
        y = lrelu(conv(f"blocks.{level}.conv", x, 1))
        y = lrelu(functional.avg_pool2d(conv(f"blocks.{level}.down", y, np.sqrt(2)), 2))
        x = (y + functional.avg_pool2d(conv(f"blocks.{level}.skip", x, np.sqrt(2)), 2)) / np.sqrt(2)
    deviation = (x.var(0, correction=0) + 1e-8).sqrt().mean()
    x = torch.cat([x, deviation.expand(4, 1, 3, 2)], 1)
    x = lrelu(dense("blocks.0.dense", lrelu(conv("blocks.0.conv", x, 1)).flatten(1)))
    expected = (dense("blocks.0.score", x) * labels).sum(1)
    torch.testing.assert_close(network(images, labels), expected, atol=1e-10, rtol=1e-10)


def test_fused_networks_equal_plain_ones() -> None:
    latents, images, labels = normal(4, 16), normal(4, 1, 12, 8), multi_hot(4)
    torch.testing.assert_close(generator()(latents, labels), generator(fused=False)(latents, labels), atol=1e-12, rtol=1e-12)
    torch.testing.assert_close(discriminator()(images, labels), discriminator(fused=False)(images, labels), atol=1e-12, rtol=1e-12)


def test_the_score_is_linear_in_labels_and_zero_without_them() -> None:
    network, images = discriminator(), normal(4, 1, 12, 8)
    torch.nn.init.normal_(network.blocks["0"].score.bias, generator=torch.Generator().manual_seed(3))
    one, other = normal(4, LABELS, seed=1), normal(4, LABELS, seed=2)
    assert (network(images, torch.zeros(4, LABELS)) == 0).all()
    torch.testing.assert_close(network(images, 2 * one - 3 * other), 2 * network(images, one) - 3 * network(images, other))
    assert network(images, one).abs().min() > 1e-3


def test_gamma_begins_centred_on_0_and_its_condition_is_not_normalised() -> None:
    layer = ConditionalPixelNorm(20, 4000)
    initialise(layer, 1)
    condition = 3 * torch.randn(2, 20, generator=torch.Generator().manual_seed(2))
    for part in (layer.gamma, layer.beta):
        values = part(condition)
        spread = condition.square().mean(1).sqrt()  # of N(0, 1) weights over the root of 20 inputs
        assert (values.mean(1).abs() < 4 * spread / np.sqrt(4000)).all()
        torch.testing.assert_close(values.std(1), spread, rtol=0.05, atol=0)
        assert (part.bias == 0).all()
    x = torch.randn(2, 4000, 1, 1, generator=torch.Generator().manual_seed(3))
    shift = layer.beta(condition)[:, :, None, None]
    torch.testing.assert_close(layer(5 * x, condition) - shift, layer(x, condition) - shift)  # pixel norm comes first
    torch.testing.assert_close(layer(x, torch.zeros(2, 20)), torch.zeros_like(x))


def test_derivatives_of_the_penalty_equal_finite_differences() -> None:
    network = Discriminator(base=BASE, channels=CHANNELS[:2], labels=LABELS, group=4, seed=2).double()
    labels = multi_hot(4)
    real, fake = normal(2, 4, 1, 6, 4)
    mix = torch.linspace(0, 1, 4, dtype=torch.float64)

    def penalty() -> Tensor:
        return discriminator_loss(lambda images: network(images, labels), real, fake, mix, loss=config.Loss(kind="wgan_gp")).penalty

    # The penalty itself, from scores alone.
    mixed, step = torch.lerp(real, fake, mix[:, None, None, None]), 1e-6
    slopes = torch.zeros(4, 24, dtype=torch.float64)
    with torch.no_grad():
        for image in range(4):
            for pixel in range(24):
                ends = []
                for sign in (1, -1):
                    moved = mixed.clone().flatten(1)
                    moved[image, pixel] += sign * step
                    ends.append(network(moved.reshape(4, 1, 6, 4), labels).sum())  # minibatch_std joins the images of a group
                slopes[image, pixel] = (ends[0] - ends[1]) / (2 * step)
    assert penalty().item() == pytest.approx((slopes.norm(dim=1) - 1).square().mean().item(), rel=1e-6)

    # Its derivatives by the weights.
    parameters = dict(network.named_parameters())
    gradients = torch.autograd.grad(penalty(), list(parameters.values()), allow_unused=True)  # a bias of the last layer has none
    rng = np.random.default_rng(1)
    for (name, parameter), gradient in zip(parameters.items(), gradients, strict=True):
        index = tuple(int(rng.integers(size)) for size in parameter.shape)
        values = []
        for move in (step, -2 * step):
            with torch.no_grad():
                parameter[index] += move
            values.append(penalty().item())
        with torch.no_grad():
            parameter[index] += step
        expected = (values[0] - values[1]) / (2 * step)
        assert (0.0 if gradient is None else gradient[index].item()) == pytest.approx(expected, rel=1e-4, abs=1e-6), name


def test_the_seed_makes_the_network() -> None:
    latents, labels = normal(2, 16), multi_hot(2)
    assert torch.equal(generator(seed=3)(latents, labels), generator(seed=3)(latents, labels))
    assert not torch.equal(generator(seed=3)(latents, labels), generator(seed=4)(latents, labels))
