"""BigGAN: spectral norm against singular values, orthogonal regularisation and attention against their closed forms, conditions and projection."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from lookalike.generators.biggan import (
    ConditionalBatchNorm,
    Discriminator,
    DiscriminatorAttentionBlock,
    Generator,
    GeneratorAttentionBlock,
    SelfAttention,
    SpectralDense,
    SpectralLayer,
    initialise,
    orthogonal_regularisation,
)

BASE = (3, 2)
CHANNELS = (16, 12, 10, 8)
LABELS = 3


def generator(*, seed: int = 1) -> Generator:
    return Generator(base=BASE, channels=CHANNELS, latent=12, labels=LABELS, seed=seed).double()


def discriminator(*, seed: int = 1) -> Discriminator:
    return Discriminator(base=BASE, channels=CHANNELS, labels=LABELS, seed=seed).double()


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def spectral_layers(network: torch.nn.Module) -> list[SpectralLayer]:
    return [layer for layer in network.modules() if isinstance(layer, SpectralLayer)]


@pytest.mark.parametrize("network", [generator, discriminator])
def test_every_weight_has_spectral_norm_1(network: type) -> None:
    built = network()
    held = {id(layer.weight) for layer in spectral_layers(built)}
    assert all(id(parameter) in held for parameter in built.parameters() if parameter.dim() > 1)  # no weight goes without
    for layer in spectral_layers(built):
        assert torch.linalg.svdvals(layer.normalised().flatten(1))[0].item() == pytest.approx(1, abs=1e-6)  # from the first pass
        with torch.no_grad():
            layer.weight += 3 * normal(*layer.weight.shape, seed=4)
        for _ in range(2000):
            layer.normalised()
        assert torch.linalg.svdvals(layer.normalised().flatten(1))[0].item() == pytest.approx(1, abs=1e-6)


def test_singular_vectors_move_in_training_only_and_pass_no_gradient() -> None:
    layer = SpectralDense(6, 5).double()
    initialise(layer, 1)
    with torch.no_grad():
        layer.weight += normal(5, 6)
    layer.eval()
    before = layer.left.clone()
    assert torch.equal(layer.normalised(), layer.normalised())
    assert torch.equal(layer.left, before)
    layer.train()
    for _ in range(500):
        layer.normalised()
    assert not torch.equal(layer.left, before)
    first, second = layer(normal(2, 6)).square().sum(), layer(normal(2, 6)).square().sum()
    (first + second).backward()  # the second pass has not spoilt the graph of the first
    assert layer.weight.grad is not None
    step = 1e-6
    with torch.no_grad():
        for index in ((0, 0), (3, 5)):
            values = []
            for move in (step, -2 * step):
                layer.weight[index] += move
                norm = torch.linalg.svdvals(layer.weight)[0]
                values.append(2 * (normal(2, 6) @ layer.weight.T / norm).square().sum())
            layer.weight[index] += step
            assert layer.weight.grad[index].item() == pytest.approx(((values[0] - values[1]) / (2 * step)).item(), rel=1e-5)


def test_orthogonal_regularisation_has_its_closed_form() -> None:
    network = discriminator()
    square = orthogonal_regularisation(Generator(base=(4, 4), channels=(4,), latent=60, labels=4, seed=1))  # 64 x 64: its rows are orthogonal
    assert square.item() == pytest.approx(0, abs=1e-9)
    with torch.no_grad():
        for layer in spectral_layers(network):
            layer.weight += normal(*layer.weight.shape)
    expected = 0.0
    for layer in spectral_layers(network):
        rows = layer.weight.detach().flatten(1).numpy()
        expected += sum(float(a @ b) ** 2 for i, a in enumerate(rows) for j, b in enumerate(rows) if i != j)
    assert orthogonal_regularisation(network).item() == pytest.approx(expected, rel=1e-10)
    layer = SpectralDense(6, 5).double()
    torch.nn.init.normal_(layer.weight, generator=torch.Generator().manual_seed(1))
    (gradient,) = torch.autograd.grad(orthogonal_regularisation(layer), layer.weight)
    product = layer.weight @ layer.weight.T
    torch.testing.assert_close(gradient, 4 * (product - torch.diag(product.diag())) @ layer.weight)


def test_batch_norm_is_scaled_and_shifted_by_the_condition() -> None:
    layer = ConditionalBatchNorm(5, 4).double()
    initialise(layer, 1)
    x, condition = 3 + 7 * normal(6, 4, 3, 2), normal(6, 5)
    unit = (x - x.mean((0, 2, 3), keepdim=True)) / (x.var((0, 2, 3), correction=0, keepdim=True) + 1e-5).sqrt()
    scale, shift = (condition @ part.normalised().T for part in (layer.scale, layer.shift))
    torch.testing.assert_close(layer(x, condition), unit * (1 + scale)[:, :, None, None] + shift[:, :, None, None])
    torch.testing.assert_close(layer(x, torch.zeros(6, 5, dtype=torch.float64)), unit)  # the scale is centred on 1


def test_attention_is_a_weighted_mean_over_pooled_pixels() -> None:
    layer = SelfAttention(16).double()
    initialise(layer, 1)
    x = normal(2, 16, 4, 6)
    assert torch.equal(layer(x), x)
    torch.nn.init.constant_(layer.gain, 0.7)
    query, key, value, output = (part.normalised().flatten(1) for part in (layer.query, layer.key, layer.value, layer.output))
    assert (query.shape, key.shape, value.shape) == ((2, 16), (2, 16), (8, 16))
    for image, result in zip(x, layer(x), strict=True):
        keys, values = (
            torch.einsum("oc,chw->ohw", part, image).reshape(len(part), 2, 2, 3, 2).amax((2, 4)).flatten(1) for part in (key, value)
        )  # [C, 6]: the maxima of 2x2 pixels
        share = torch.softmax(torch.einsum("oc,chw->ohw", query, image).flatten(1).T @ keys, dim=1)  # [24, 6]
        torch.testing.assert_close(result, image + 0.7 * (output @ (values @ share.T)).reshape(16, 4, 6))


def test_attention_replaces_the_block_of_the_second_highest_stage() -> None:
    g, d = generator(), discriminator()
    assert [level for level, block in g.blocks.items() if isinstance(block, GeneratorAttentionBlock)] == ["2"]
    assert [level for level, block in d.blocks.items() if isinstance(block, DiscriminatorAttentionBlock)] == ["2"]
    shapes: dict[int, tuple[int, ...]] = {}
    for network in (g, d):
        network.blocks["2"].attention.register_forward_hook(lambda layer, _, output: shapes.update({id(layer): output.shape[1:]}))
    labels = torch.eye(3, dtype=torch.float64)
    images = g(normal(3, 12), labels)
    assert images.shape == (3, 1, 24, 16)
    assert images.abs().max() < 1
    assert d(images, labels).shape == (3,)
    assert list(shapes.values()) == [(10, 12, 8)] * 2


@pytest.mark.parametrize("stage", range(6))
def test_every_stage_doubles_the_base_and_uses_every_latent(stage: int) -> None:
    channels = (8, 8, 8, 6, 4, 4)[: stage + 1]
    g = Generator(base=(4, 4), channels=channels, latent=120, labels=2, seed=1, image_channels=2).double().eval()
    latents, labels = normal(2, 120).requires_grad_(), torch.eye(2, dtype=torch.float64)
    images = g(latents, labels)
    assert images.shape == (2, 2, 4 << stage, 4 << stage)
    (gradient,) = torch.autograd.grad((images * normal(*images.shape)).sum(), latents)
    assert (gradient != 0).all()  # 120 is cut into chunks, none of which is idle
    assert not torch.equal(g(latents, labels), g(latents, labels.flip(0)))
    assert Discriminator(base=(4, 4), channels=channels, labels=2, seed=1, image_channels=2).double()(images, labels).shape == (2,)


def test_latents_that_cannot_be_cut_are_refused() -> None:
    with pytest.raises(ValueError, match="cut into 3 chunks"):
        Generator(base=BASE, channels=CHANNELS, latent=10, labels=LABELS, seed=1)


def test_the_score_is_an_image_term_and_a_projection_of_summed_features() -> None:
    network, images = discriminator().eval(), normal(4, 1, 24, 16)
    torch.nn.init.constant_(network.score.bias, 0.3)
    one, other, none = normal(4, LABELS, seed=1), normal(4, LABELS, seed=2), torch.zeros(4, LABELS, dtype=torch.float64)
    alone = network(images, none)
    torch.testing.assert_close(
        network(images, 2 * one - 3 * other) - alone, 2 * (network(images, one) - alone) - 3 * (network(images, other) - alone)
    )
    features: list[Tensor] = []
    network.blocks["1"].register_forward_hook(lambda layer, _, output: features.append(output))
    scores = network(images, one)
    pooled = torch.relu(features[0]).sum((2, 3))
    expected = pooled @ network.score.normalised()[0] + 0.3 + ((pooled @ network.projection.normalised().T) * one).sum(1)
    torch.testing.assert_close(scores, expected)


def test_the_seed_makes_the_network() -> None:
    states = [generator(seed=seed).state_dict() for seed in (3, 3, 4)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])  # buffers too
    assert not np.array_equal(states[0]["dense.weight"], states[2]["dense.weight"])
