"""Network families by the name that the config and a weights file give them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lookalike.generators import biggan, cpdgan, dcgan, progan
from lookalike.generators.layers import EqualisedConv, EqualisedDense, MinibatchStd, ShapedNetwork

Generator = progan.Generator | cpdgan.Generator | biggan.Generator | dcgan.Generator
Discriminator = progan.Discriminator | cpdgan.Discriminator | biggan.Discriminator | dcgan.Discriminator

Dense = EqualisedDense | biggan.SpectralDense | nn.Linear
Convolution = EqualisedConv | biggan.SpectralConv | dcgan.Conv
Layer = Dense | Convolution | MinibatchStd


def build_generator(
    family: str, *, base: tuple[int, int], channels: Sequence[int], latent: int, labels: int, seed: int, image_channels: int = 1
) -> Generator:
    """A family's generator with fresh weights; see there for what it takes.

    Raises:
        KeyError: no such family.
        ValueError: the family cannot have that latent dimension, or so few stages.
    """
    families = {"progan": progan.Generator, "cpdgan": cpdgan.Generator, "biggan": biggan.Generator, "dcgan": dcgan.Generator}
    return families[family](base=base, channels=channels, latent=latent, labels=labels, seed=seed, image_channels=image_channels)


def build_discriminator(
    family: str,
    *,
    base: tuple[int, int],
    channels: Sequence[int],
    group: int,
    labels: int,
    seed: int,
    image_channels: int = 1,
    condition: dcgan.Condition = "maps",
    norm: dcgan.Norm = "hidden",
) -> Discriminator:
    """A family's discriminator with fresh weights. The minibatch standard deviation, hence the group, is progan's and cpD-GAN's; condition and norm are DCGAN's.

    Raises:
        KeyError: no such family.
        ValueError: the family cannot have so few stages.
    """
    shape: dict[str, Any] = {"base": base, "channels": channels, "labels": labels, "seed": seed, "image_channels": image_channels}
    if family == "dcgan":
        return dcgan.Discriminator(**shape, condition=condition, norm=norm)
    if family == "biggan":
        return biggan.Discriminator(**shape)
    families: dict[str, type[progan.Discriminator | cpdgan.Discriminator]] = {"progan": progan.Discriminator, "cpdgan": cpdgan.Discriminator}
    return families[family](**shape, group=group)


def describe(network: ShapedNetwork) -> list[dict[str, int | str]]:
    """The layers that run at alpha = 1, in the order in which they run: what an architecture figure shows.

    Shapes come from a forward pass, names and sizes from the layers themselves; a name without a stage (`score`) is of stage 0, or of the last one where
    it is an image's.

    Returns:
        Rows with stage, block, layer, kind, channels, height, width (of the output; 1 x 1 for dense layers) and parameters.
    """
    rows: list[dict[str, int | str]] = []

    def note(name: str, layer: Layer, output: Tensor) -> None:
        block, *rest = name.split(".")
        stage = rest.pop(0) if rest else network.stage if block.endswith("_rgb") else 0
        dense = isinstance(layer, Dense)
        channels, height, width = (output.shape[1], 1, 1) if dense else output.shape[1:]
        if isinstance(layer, Convolution):
            side = layer.weight.shape[-1]
            kind = f"conv {side}x{side}" + ("" if isinstance(layer, biggan.SpectralConv) or layer.resample == "none" else f" {layer.resample}")
        else:
            kind = "dense" if dense else "minibatch std"
        size = sum(parameter.numel() for parameter in layer.parameters())
        rows.append(
            {
                "stage": int(stage),
                "block": block,
                "layer": ".".join(rest) or block,
                "kind": kind,
                "channels": channels,
                "height": height,
                "width": width,
                "parameters": size,
            }
        )

    hooks = [
        layer.register_forward_hook(lambda layer, _, output, name=name: note(name, layer, output))
        for name, layer in network.named_modules()
        if isinstance(layer, Layer)
    ]
    training = network.training
    network.eval()  # batch norms and singular vectors take no notice then
    try:
        with torch.no_grad():
            example = next(network.parameters())
            labels = {"labels": example.new_zeros(1, network.label_inputs)} if network.label_inputs else {}
            network(example.new_zeros(1, *network.input_shape), **labels)
    finally:
        network.train(training)
        for hook in hooks:
            hook.remove()
    return rows
