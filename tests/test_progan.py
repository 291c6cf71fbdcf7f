"""Networks: layers against closed forms and brute force, fused against plain resampling, growth and its end points."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from lookalike.generators.families import describe
from lookalike.generators.layers import EqualisedConv, EqualisedDense, downsample, minibatch_std, pixel_norm, upsample
from lookalike.generators.progan import Discriminator, Generator, grow

BASE = (5, 4)
CHANNELS = (12, 8, 6)


def generator(stage: int, *, seed: int = 1, fused: bool = True) -> Generator:
    return Generator(base=BASE, channels=CHANNELS[: stage + 1], latent=16, seed=seed, fused=fused).double()


def discriminator(stage: int, *, seed: int = 1, fused: bool = True) -> Discriminator:
    return Discriminator(base=BASE, channels=CHANNELS[: stage + 1], group=4, seed=seed, fused=fused).double()


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_pixel_norm_gives_unit_root_mean_square() -> None:
    x = normal(2, 7, 3, 5) * 40
    rms = pixel_norm(x).square().mean(1).sqrt()
    torch.testing.assert_close(rms, torch.ones_like(rms), atol=1e-9, rtol=0)
    tiny = torch.full((1, 4, 1, 1), 1e-4, dtype=torch.float64)
    torch.testing.assert_close(pixel_norm(tiny), tiny / np.sqrt(2e-8))  # the epsilon inside the root is 1e-8


@pytest.mark.parametrize(("n", "group"), [(8, 4), (12, 4), (6, 2), (3, 4), (4, 1)])
def test_minibatch_std_groups_are_strided(n: int, group: int) -> None:
    x = normal(n, 3, 2, 4).numpy()
    size = min(group, n)
    groups = n // size
    expected = np.empty(n)
    for image in range(n):
        members = [x[image % groups + j * groups] for j in range(size)]
        total = 0.0
        for index in np.ndindex(3, 2, 4):
            values = [member[index] for member in members]
            mean = sum(values) / size
            total += np.sqrt(sum((value - mean) ** 2 for value in values) / size + 1e-8)
        expected[image] = total / (3 * 2 * 4)
    result = minibatch_std(torch.from_numpy(x), group).numpy()
    assert result.shape == (n, 4, 2, 4)
    np.testing.assert_array_equal(result[:, :3], x)
    np.testing.assert_allclose(result[:, 3], np.broadcast_to(expected[:, None, None], (n, 2, 4)), rtol=1e-12)


def test_minibatch_std_refuses_a_batch_that_does_not_divide() -> None:
    with pytest.raises(ValueError, match="6"):
        minibatch_std(normal(6, 1, 1, 1), 4)


def test_equalised_layers_scale_weights_by_gain_and_fan_in() -> None:
    dense = EqualisedDense(64, 1, gain=1.0).double()
    torch.nn.init.ones_(dense.weight)
    assert dense(torch.ones(1, 64, dtype=torch.float64)).item() == pytest.approx(64 / np.sqrt(64))
    conv = EqualisedConv(7, 1, kernel=3).double()
    torch.nn.init.ones_(conv.weight)
    torch.nn.init.ones_(conv.bias)
    centre = conv(torch.ones(1, 7, 3, 3, dtype=torch.float64))[0, 0, 1, 1].item()
    assert centre == pytest.approx(63 * np.sqrt(2 / 63) + 1)  # the bias is not scaled


def test_weights_are_standard_normal_and_biases_zero() -> None:
    network = Generator(base=BASE, channels=(64, 48), latent=96, seed=3)
    weights = torch.cat([p.flatten() for name, p in network.named_parameters() if name.endswith("weight")])
    assert abs(weights.mean()) < 4 / np.sqrt(weights.numel())
    assert abs(weights.std() - 1) < 4 / np.sqrt(2 * weights.numel())
    assert all((p == 0).all() for name, p in network.named_parameters() if name.endswith("bias"))
    same, other = (Generator(base=BASE, channels=(64, 48), latent=96, seed=seed) for seed in (3, 4))
    assert torch.equal(same.blocks["1"].up.weight, network.blocks["1"].up.weight)
    assert not torch.equal(other.blocks["1"].up.weight, network.blocks["1"].up.weight)


@pytest.mark.parametrize("resample", ["up", "down"])
def test_fused_resampling_equals_plain_to_second_order(resample: str) -> None:
    fused = EqualisedConv(5, 3, kernel=3, resample=resample, fused=True).double()  # type: ignore[arg-type]
    plain = EqualisedConv(5, 3, kernel=3, resample=resample, fused=False).double()  # type: ignore[arg-type]
    torch.nn.init.normal_(fused.weight, generator=torch.Generator().manual_seed(5))
    torch.nn.init.normal_(fused.bias, generator=torch.Generator().manual_seed(6))
    plain.load_state_dict(fused.state_dict())
    results = []
    for layer in (fused, plain):
        x = normal(2, 5, 6, 8).requires_grad_()
        y = layer(x)
        (first,) = torch.autograd.grad(y.pow(3).sum(), x, create_graph=True)
        results.append([y, first, *torch.autograd.grad(first.square().sum(), [layer.weight, layer.bias, x])])
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, atol=1e-12, rtol=1e-12)


def test_fused_networks_equal_plain_ones() -> None:
    torch.testing.assert_close(generator(2)(normal(4, 16), 0.3), generator(2, fused=False)(normal(4, 16), 0.3), atol=1e-12, rtol=0)
    images = normal(4, 1, 20, 16)
    torch.testing.assert_close(discriminator(2)(images, 0.3), discriminator(2, fused=False)(images, 0.3), atol=1e-12, rtol=0)


@pytest.mark.parametrize("base", [(5, 4), (4, 4), (3, 7)])
def test_every_stage_doubles_a_base_of_any_shape(base: tuple[int, int]) -> None:
    for stage in range(4):
        channels = (8, 6, 4, 2)[: stage + 1]
        images = Generator(base=base, channels=channels, latent=5, seed=1, image_channels=2)(torch.zeros(4, 5))
        assert images.shape == (4, 2, base[0] * 2**stage, base[1] * 2**stage)
        assert Discriminator(base=base, channels=channels, group=4, seed=1, image_channels=2)(images).shape == (4,)


@pytest.mark.parametrize("stage", [1, 2])
def test_alpha_0_is_the_former_stage_and_alpha_1_is_without_it(stage: int) -> None:
    latents, images = normal(4, 16), normal(4, 1, 5 << stage, 4 << stage)
    old_g, new_g = generator(stage - 1, seed=7), generator(stage, seed=8)
    old_d, new_d = discriminator(stage - 1, seed=7), discriminator(stage, seed=8)
    grow(new_g, old_g.state_dict())
    grow(new_d, old_d.state_dict())
    assert torch.equal(new_g(latents, 0.0), upsample(old_g(latents)))
    assert torch.equal(new_d(images, 0.0), old_d(downsample(images)))
    middle = new_g(latents, 0.25)
    torch.testing.assert_close(middle, 0.75 * new_g(latents, 0.0) + 0.25 * new_g(latents, 1.0))
    plain_g, plain_d = new_g(latents, 1.0), new_d(images, 1.0)
    torch.nn.init.normal_(new_g.to_rgb[str(stage - 1)].weight)
    torch.nn.init.normal_(new_d.from_rgb[str(stage - 1)].weight)
    assert torch.equal(new_g(latents, 1.0), plain_g)
    assert torch.equal(new_d(images, 1.0), plain_d)
    assert not torch.equal(new_g(latents, 0.5), middle)


def test_growth_takes_shared_weights_and_keeps_fresh_ones() -> None:
    old, new, fresh = generator(1, seed=7), generator(2, seed=8), generator(2, seed=8)
    grow(new, old.state_dict())
    for name, parameter in new.named_parameters():
        expected = fresh if name.startswith(("blocks.2", "to_rgb.2")) else old
        assert torch.equal(parameter, expected.get_parameter(name)), name
    with pytest.raises(ValueError, match=r"blocks\.1.*missing"):
        grow(generator(2), generator(0).state_dict())
    with pytest.raises(ValueError, match="shape"):
        grow(generator(1), Generator(base=BASE, channels=(10,), latent=16, seed=1).state_dict())


def test_description_reads_shapes_off_the_network() -> None:
    rows = describe(generator(2))
    assert [(row["stage"], row["layer"], row["channels"], row["height"], row["width"]) for row in rows] == [
        (0, "dense", 240, 1, 1),
        (0, "conv", 12, 5, 4),
        (1, "up", 8, 10, 8),
        (1, "conv", 8, 10, 8),
        (2, "up", 6, 20, 16),
        (2, "conv", 6, 20, 16),
        (2, "to_rgb", 1, 20, 16),
    ]
    assert [row["kind"] for row in rows][:3] == ["dense", "conv 3x3", "conv 3x3 up"]
    network = discriminator(1)
    rows = describe(network)
    assert [row["layer"] for row in rows] == ["from_rgb", "conv", "down", "minibatch_std", "conv", "dense", "score"]
    unused = sum(p.numel() for p in network.from_rgb["0"].parameters())
    assert sum(int(row["parameters"]) for row in rows) == sum(p.numel() for p in network.parameters()) - unused


# The weights of a network without labels: names and shapes in the order in which they are drawn. Trained networks depend on it.
UNCONDITIONAL = {
    "generator": {
        "blocks.0.bias": (12, 1, 1),
        "blocks.0.dense.weight": (240, 16),
        "blocks.0.conv.weight": (12, 12, 3, 3),
        "blocks.0.conv.bias": (12,),
        "blocks.1.up.weight": (8, 12, 3, 3),
        "blocks.1.up.bias": (8,),
        "blocks.1.conv.weight": (8, 8, 3, 3),
        "blocks.1.conv.bias": (8,),
        "to_rgb.0.weight": (1, 12, 1, 1),
        "to_rgb.0.bias": (1,),
        "to_rgb.1.weight": (1, 8, 1, 1),
        "to_rgb.1.bias": (1,),
    },
    "discriminator": {
        "from_rgb.1.weight": (8, 1, 1, 1),
        "from_rgb.1.bias": (8,),
        "from_rgb.0.weight": (12, 1, 1, 1),
        "from_rgb.0.bias": (12,),
        "blocks.1.conv.weight": (8, 8, 3, 3),
        "blocks.1.conv.bias": (8,),
        "blocks.1.down.weight": (12, 8, 3, 3),
        "blocks.1.down.bias": (12,),
        "blocks.0.conv.weight": (12, 13, 3, 3),
        "blocks.0.conv.bias": (12,),
        "blocks.0.dense.weight": (12, 240),
        "blocks.0.dense.bias": (12,),
        "blocks.0.score.weight": (1, 12),
        "blocks.0.score.bias": (1,),
    },
}


def test_without_labels_networks_are_those_of_before_there_were_any() -> None:
    shape = {"base": BASE, "channels": CHANNELS[:2], "seed": 5}
    networks = {"generator": Generator(**shape, latent=16), "discriminator": Discriminator(**shape, group=4)}  # type: ignore[arg-type]
    for which, expected in UNCONDITIONAL.items():
        parameters = dict(networks[which].named_parameters())
        assert {name: tuple(parameter.shape) for name, parameter in parameters.items()} == expected
        assert list(parameters) == list(expected)
        drawing = torch.Generator().manual_seed(5)
        for name, size in expected.items():
            assert torch.equal(parameters[name], torch.empty(size).normal_(generator=drawing) if name.endswith("weight") else torch.zeros(size)), name
    # As computed before labels came.
    assert generator(2)(normal(4, 16), 0.3)[:, 0, 7, 5].tolist() == pytest.approx(
        [-0.3623915418789529, 0.6901674965976798, 0.1921153527909805, -1.1358114891499886], rel=1e-6
    )
    assert discriminator(2)(normal(4, 1, 20, 16), 0.3).tolist() == pytest.approx(
        [0.21283203402711107, 0.44343907403127014, 0.19323745368287845, 0.3466729399384334], rel=1e-6
    )


def test_labels_condition_the_generator_and_are_classified_beside_the_score() -> None:
    network = Generator(base=BASE, channels=CHANNELS, latent=16, labels=3, seed=1).double()
    plain = generator(2)
    weights = plain.state_dict()
    weights["blocks.0.dense.weight"] = network.blocks["0"].dense.weight
    wider = Generator(base=BASE, channels=CHANNELS, latent=19, seed=1).double()  # [latents; labels] are its latents, normalised together
    wider.load_state_dict(weights)
    network.load_state_dict(weights)
    latents, labels = normal(4, 16), torch.eye(4, 3, dtype=torch.float64)
    assert torch.equal(network(latents, 0.3, labels=labels), wider(torch.cat([latents, labels], 1), 0.3))
    assert not torch.equal(network(latents, labels=labels), network(latents, labels=labels.flip(1)))

    judge, alone = Discriminator(base=BASE, channels=CHANNELS, group=4, labels=3, seed=1).double(), discriminator(2)
    weights = judge.state_dict()
    images = normal(4, 1, 20, 16)
    scores, logits = judge.scores_and_logits(images, 0.3)
    assert (scores.shape, logits.shape) == ((4,), (4, 3))
    assert torch.equal(judge(images, 0.3), scores)
    for output, expected in enumerate([scores, *logits.T]):
        weights["blocks.0.score.weight"] = judge.blocks["0"].score.weight[output : output + 1]
        weights["blocks.0.score.bias"] = judge.blocks["0"].score.bias[output : output + 1]
        alone.load_state_dict(weights)
        torch.testing.assert_close(alone(images, 0.3), expected)
    grown = Discriminator(base=BASE, channels=CHANNELS, group=4, labels=3, seed=2)
    grow(grown, Discriminator(base=BASE, channels=CHANNELS[:2], group=4, labels=3, seed=1).state_dict())


@pytest.mark.parametrize("side", [32, 64, 128, 256, 512])
@pytest.mark.parametrize("labels", [0, 14])
def test_layers_and_parameter_counts_are_the_papers(side: int, labels: int) -> None:
    stages = int(np.log2(side)) - 1
    maps = [min(8192 // 2 ** (level + 1), 512) for level in range(stages)]  # D21: 512 up to 32, then 256, 128, 64, 32
    assert maps[-1] == {32: 512, 64: 256, 128: 128, 256: 64, 512: 32}[side]

    def conv(kernel: int, inputs: int, outputs: int) -> int:
        return kernel * kernel * inputs * outputs + outputs

    made = [("dense", 512 * 16, 1, (512 + labels) * 512 * 16), ("conv", 512, 4, conv(3, 512, 512))]
    seen = [("from_rgb", maps[-1], side, conv(1, 1, maps[-1]))]
    for level in range(1, stages):
        made += [
            ("up", maps[level], 4 << level, conv(3, maps[level - 1], maps[level])),
            ("conv", maps[level], 4 << level, conv(3, maps[level], maps[level])),
        ]
    made += [("to_rgb", 1, side, conv(1, maps[-1], 1))]
    for level in range(stages - 1, 0, -1):
        seen += [
            ("conv", maps[level], 4 << level, conv(3, maps[level], maps[level])),
            ("down", maps[level - 1], 2 << level, conv(3, maps[level], maps[level - 1])),
        ]
    seen += [
        ("minibatch_std", 513, 4, 0),
        ("conv", 512, 4, conv(3, 513, 512)),
        ("dense", 512, 1, 512 * 16 * 512 + 512),
        ("score", 1 + labels, 1, 513 * (1 + labels)),
    ]
    with torch.device("meta"):
        g = Generator(base=(4, 4), channels=maps, latent=512, labels=labels, seed=1)
        d = Discriminator(base=(4, 4), channels=maps, group=4, labels=labels, seed=1)
    for network, layers, others in (
        (g, made, 512 + conv(1, maps[-2], 1)),
        (d, seen, conv(1, 1, maps[-2])),
    ):  # others: a bias, and the former stage's RGB
        rows = describe(network)
        assert [(row["layer"], row["channels"], row["height"], row["parameters"]) for row in rows] == layers
        assert all(row["width"] == row["height"] for row in rows)
        assert sum(parameter.numel() for parameter in network.parameters()) == sum(size for *_, size in layers) + others
