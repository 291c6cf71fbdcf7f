"""The progressive GAN (Karras et al. 2018) on a rectangular base: 5x4 doubles eight times to 1280x1024 (K21).

A network is built for one stage: it has the blocks of stages 0 to k, and toRGB or fromRGB of stages k and k - 1. `grow` gives it the weights of
the stage before. `alpha` is the share of the newest block: at 0 a generator gives the former stage's images, upsampled; at 1 the former
stage's toRGB or fromRGB is out of the network. "RGB" is the literature's word; mammograms have one channel.

With labels it is the AC-GAN of D21: the generator takes [latents; labels], and the discriminator, which sees images alone, also gives label logits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from lookalike.generators.layers import (
    SQRT2,
    DiscriminatorBase,
    EqualisedConv,
    EqualisedDense,
    ShapedNetwork,
    at_least_float32,
    downsample,
    initialise,
    leaky_relu,
    pixel_norm,
    upsample,
)


class GeneratorBase(nn.Module):
    """Latents to the features of stage 0: PixelNorm, dense, then one convolution."""

    def __init__(self, latent: int, channels: int, base: tuple[int, int]) -> None:
        super().__init__()
        self.shape = (channels, *base)
        # The gain sqrt(2)/4 is the reference's: its dense layer would otherwise learn at another pace than the convolutions.
        self.dense = EqualisedDense(latent, channels * base[0] * base[1], gain=SQRT2 / 4, bias=False)
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))  # one a feature map, not one a pixel
        self.conv = EqualisedConv(channels, channels, kernel=3)

    def forward(self, latents: Tensor) -> Tensor:
        """[N, latent] to [N, channels, *base]."""
        x = self.dense(pixel_norm(latents)).reshape(-1, *self.shape) + self.bias
        x = pixel_norm(leaky_relu(x)).contiguous(memory_format=torch.channels_last)
        return pixel_norm(leaky_relu(self.conv(x)))


class GeneratorBlock(nn.Module):
    """Features of stage k - 1 to those of stage k, twice as high and wide."""

    def __init__(self, inputs: int, channels: int, *, fused: bool) -> None:
        super().__init__()
        self.up = EqualisedConv(inputs, channels, kernel=3, resample="up", fused=fused)
        self.conv = EqualisedConv(channels, channels, kernel=3)

    def forward(self, x: Tensor) -> Tensor:
        """[N, inputs, H, W] to [N, channels, 2H, 2W]."""
        return pixel_norm(leaky_relu(self.conv(pixel_norm(leaky_relu(self.up(x))))))


class DiscriminatorBlock(nn.Module):
    """Features of stage k to those of stage k - 1, half as high and wide."""

    def __init__(self, channels: int, outputs: int, *, fused: bool) -> None:
        super().__init__()
        self.conv = EqualisedConv(channels, channels, kernel=3)
        self.down = EqualisedConv(channels, outputs, kernel=3, resample="down", fused=fused)

    def forward(self, x: Tensor) -> Tensor:
        """[N, channels, H, W] to [N, outputs, H/2, W/2]."""
        return leaky_relu(self.down(leaky_relu(self.conv(x))))


class Generator(ShapedNetwork):
    """Latents to images.

    Args:
        base: rows and columns of stage 0.
        channels: feature maps of stages 0 to k; its length makes the network one of stage k.
        latent: latent dimension.
        seed: seed of the weights.
        labels: length of the label vector.
        image_channels: channels of an image.
        fused: resample inside the convolutions; False is the reference form (see `EqualisedConv`).
    """

    def __init__(
        self,
        *,
        base: tuple[int, int],
        channels: Sequence[int],
        latent: int,
        seed: int,
        labels: int = 0,
        image_channels: int = 1,
        fused: bool = True,
    ) -> None:
        super().__init__()
        self.stage = len(channels) - 1
        self.input_shape = (latent,)
        self.label_inputs = labels
        self.blocks = nn.ModuleDict({"0": GeneratorBase(latent + labels, channels[0], base)})
        for level in range(1, self.stage + 1):
            self.blocks[str(level)] = GeneratorBlock(channels[level - 1], channels[level], fused=fused)
        self.to_rgb = nn.ModuleDict()
        for level in range(max(self.stage - 1, 0), self.stage + 1):
            self.to_rgb[str(level)] = EqualisedConv(channels[level], image_channels, kernel=1, gain=1.0)
        initialise(self, seed)

    def forward(self, latents: Tensor, alpha: float = 1.0, labels: Tensor | None = None) -> Tensor:
        """[N, latent] from N(0, 1), and multi-hot [N, labels] where there are any, to [N, C, H, W], about [-1, 1] (linear: not clipped)."""
        if labels is not None:
            latents = torch.cat([latents, labels], dim=1)
        below = x = self.blocks["0"](latents)
        for level in range(1, self.stage + 1):
            below, x = x, self.blocks[str(level)](x)
        images = at_least_float32(self.to_rgb[str(self.stage)](x))
        if self.stage == 0 or alpha >= 1:
            return images
        return torch.lerp(upsample(at_least_float32(self.to_rgb[str(self.stage - 1)](below))), images, alpha)


class Discriminator(ShapedNetwork):
    """Images to scores, high for real, and to label logits. No normalisation layers, no sigmoid.

    Args:
        base, channels, seed, labels, image_channels, fused: as for `Generator`.
        group: group size of the minibatch standard deviation.
    """

    def __init__(
        self,
        *,
        base: tuple[int, int],
        channels: Sequence[int],
        group: int,
        seed: int,
        labels: int = 0,
        image_channels: int = 1,
        fused: bool = True,
    ) -> None:
        super().__init__()
        self.stage = len(channels) - 1
        self.input_shape = (image_channels, base[0] << self.stage, base[1] << self.stage)
        self.from_rgb = nn.ModuleDict()
        for level in range(self.stage, max(self.stage - 1, 0) - 1, -1):
            self.from_rgb[str(level)] = EqualisedConv(image_channels, channels[level], kernel=1)
        self.blocks = nn.ModuleDict()
        for level in range(self.stage, 0, -1):
            self.blocks[str(level)] = DiscriminatorBlock(channels[level], channels[level - 1], fused=fused)
        self.blocks["0"] = DiscriminatorBase(channels[0], base, group=group, outputs=1 + labels)
        initialise(self, seed)

    def forward(self, images: Tensor, alpha: float = 1.0) -> Tensor:
        """[N, C, H, W] in [-1, 1] to scores [N], whatever the labels. Features are faded, not scores."""
        return self.scores_and_logits(images, alpha)[0]

    def scores_and_logits(self, images: Tensor, alpha: float = 1.0) -> tuple[Tensor, Tensor]:
        """Scores [N] and label logits [N, labels] in one pass."""
        x = self._features(images, self.stage)
        for level in range(self.stage, -1, -1):
            if level == self.stage - 1 and alpha < 1:
                x = torch.lerp(self._features(downsample(images), level), x, alpha)
            x = self.blocks[str(level)](x)
        return x[:, 0], x[:, 1:]

    def _features(self, images: Tensor, level: int) -> Tensor:
        return leaky_relu(self.from_rgb[str(level)](images)).contiguous(memory_format=torch.channels_last)


def grow(network: ShapedNetwork, previous: Mapping[str, Tensor]) -> None:
    """Give a network of stage k the weights of stage k - 1 for everything that both have; the new layers keep their fresh weights.

    Args:
        network: changed in place.
        previous: state dict of the same kind of network at stage k - 1.

    Raises:
        ValueError: `previous` is no stage before this one: a weight is missing or has another shape.
    """
    newest = {f"{part}.{network.stage}" for part in ("blocks", "to_rgb", "from_rgb")}
    for name, parameter in network.named_parameters():
        if ".".join(name.split(".")[:2]) in newest:
            continue
        if name not in previous or previous[name].shape != parameter.shape:
            found = f"has shape {tuple(previous[name].shape)}" if name in previous else "is missing"
            raise ValueError(f"{name} {found}; {tuple(parameter.shape)} is needed")
        with torch.no_grad():
            parameter.copy_(previous[name])
