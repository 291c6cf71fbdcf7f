"""The cpD-GAN of DuMont Schütte et al. 2021: conditional pixel norm in a skip generator, against a residual projection discriminator.

The whole network is trained at once, without growth. Stage k is 2^k times the base; the paper's base is 4x4. Labels are multi-hot and not normalised.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lookalike.generators.layers import (
    SQRT2,
    DiscriminatorBase,
    EqualisedConv,
    EqualisedDense,
    ShapedNetwork,
    at_least_float32,
    initialise,
    leaky_relu,
    pixel_norm,
    upsample,
)


class ConditionalPixelNorm(nn.Module):
    """`pixel_norm`, then a scale and a shift of each feature map that are dense layers of the condition.

    At first both are centred on 0: the scale too, not on 1.
    """

    def __init__(self, condition: int, channels: int) -> None:
        super().__init__()
        self.gamma = EqualisedDense(condition, channels, gain=1.0)
        self.beta = EqualisedDense(condition, channels, gain=1.0)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """[N, channels, H, W] and [N, condition] to [N, channels, H, W]."""
        gamma, beta = (layer(condition)[:, :, None, None] for layer in (self.gamma, self.beta))
        return (pixel_norm(at_least_float32(x)) * gamma + beta).to(x.dtype)


class GeneratorBase(nn.Module):
    """The condition to the features of stage 0."""

    def __init__(self, condition: int, channels: int, base: tuple[int, int]) -> None:
        super().__init__()
        self.shape = (channels, *base)
        self.dense = EqualisedDense(condition, channels * base[0] * base[1], gain=1.0, bias=False)
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))  # one a feature map, not one a pixel
        self.norm_dense = ConditionalPixelNorm(condition, channels)
        self.conv = EqualisedConv(channels, channels, kernel=3, gain=1.0)
        self.norm_conv = ConditionalPixelNorm(condition, channels)

    def forward(self, condition: Tensor) -> Tensor:
        """[N, condition] to [N, channels, *base]. Only the dense layer sees the condition normalised."""
        x = self.dense(pixel_norm(condition)).reshape(-1, *self.shape) + self.bias
        x = self.norm_dense(leaky_relu(x), condition).contiguous(memory_format=torch.channels_last)
        return self.norm_conv(leaky_relu(self.conv(x)), condition)


class GeneratorBlock(nn.Module):
    """Features of stage k - 1 to those of stage k, twice as high and wide."""

    def __init__(self, condition: int, inputs: int, channels: int, *, fused: bool) -> None:
        super().__init__()
        self.up = EqualisedConv(inputs, channels, kernel=3, resample="up", fused=fused)
        self.norm_up = ConditionalPixelNorm(condition, channels)
        self.conv = EqualisedConv(channels, channels, kernel=3, gain=1.0)
        self.norm_conv = ConditionalPixelNorm(condition, channels)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """[N, inputs, H, W] and [N, condition] to [N, channels, 2H, 2W]."""
        x = self.norm_up(leaky_relu(self.up(x)), condition)
        return self.norm_conv(leaky_relu(self.conv(x)), condition)


class DiscriminatorBlock(nn.Module):
    """Features of stage k to those of stage k - 1, half as high and wide, with a linear skip."""

    def __init__(self, channels: int, outputs: int, *, fused: bool) -> None:
        super().__init__()
        self.conv = EqualisedConv(channels, channels, kernel=3, gain=1.0)
        self.down = EqualisedConv(channels, outputs, kernel=3, resample="down", fused=fused)
        self.skip = EqualisedConv(channels, outputs, kernel=1, bias=False, resample="down", fused=fused)

    def forward(self, x: Tensor) -> Tensor:
        """[N, channels, H, W] to [N, outputs, H/2, W/2]."""
        return (leaky_relu(self.down(leaky_relu(self.conv(x)))) + self.skip(x)) / SQRT2


class Generator(ShapedNetwork):
    """Latents and labels to images: the sum of every stage's toRGB, each upsampled to the last.

    Args:
        base: rows and columns of stage 0.
        channels: feature maps of stages 0 to the last.
        latent: latent dimension.
        labels: length of the label vector.
        seed: seed of the weights.
        image_channels: channels of an image.
        fused: resample inside the convolutions; False is the reference form (see `EqualisedConv`).
    """

    def __init__(
        self, *, base: tuple[int, int], channels: Sequence[int], latent: int, labels: int, seed: int, image_channels: int = 1, fused: bool = True
    ) -> None:
        super().__init__()
        self.stage = len(channels) - 1
        self.input_shape = (latent,)
        self.label_inputs = labels
        condition = latent + labels
        self.blocks = nn.ModuleDict({"0": GeneratorBase(condition, channels[0], base)})
        for level in range(1, self.stage + 1):
            self.blocks[str(level)] = GeneratorBlock(condition, channels[level - 1], channels[level], fused=fused)
        self.to_rgb = nn.ModuleDict({str(level): EqualisedConv(maps, image_channels, kernel=1, gain=1.0) for level, maps in enumerate(channels)})
        initialise(self, seed)

    def forward(self, latents: Tensor, labels: Tensor) -> Tensor:
        """[N, latent] from N(0, 1) and multi-hot [N, labels] to [N, C, H, W], about [-1, 1] (linear: not clipped)."""
        condition = torch.cat([latents, labels], dim=1)
        x = self.blocks["0"](condition)
        images = at_least_float32(self.to_rgb["0"](x))
        for level in range(1, self.stage + 1):
            x = self.blocks[str(level)](x, condition)
            images = upsample(images) + at_least_float32(self.to_rgb[str(level)](x))
        return images


class Discriminator(ShapedNetwork):
    """Images and labels to scores, high for real: a pure projection, linear in the labels and without a term of its own for the image.

    Args:
        base, channels, labels, seed, image_channels, fused: as for `Generator`.
        group: group size of the minibatch standard deviation.
    """

    def __init__(
        self, *, base: tuple[int, int], channels: Sequence[int], labels: int, group: int, seed: int, image_channels: int = 1, fused: bool = True
    ) -> None:
        super().__init__()
        self.stage = len(channels) - 1
        self.input_shape = (image_channels, base[0] << self.stage, base[1] << self.stage)
        self.label_inputs = labels
        self.from_rgb = nn.ModuleDict({str(self.stage): EqualisedConv(image_channels, channels[-1], kernel=1, gain=1.0)})
        self.blocks = nn.ModuleDict()
        for level in range(self.stage, 0, -1):
            self.blocks[str(level)] = DiscriminatorBlock(channels[level], channels[level - 1], fused=fused)
        self.blocks["0"] = DiscriminatorBase(channels[0], base, group=group, outputs=labels, gain=1.0)
        initialise(self, seed)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """[N, C, H, W] in [-1, 1] and multi-hot [N, labels] to scores [N]; an image without labels scores 0."""
        x = leaky_relu(self.from_rgb[str(self.stage)](images)).contiguous(memory_format=torch.channels_last)
        for level in range(self.stage, -1, -1):
            x = self.blocks[str(level)](x)
        return (x * labels).sum(dim=1)
