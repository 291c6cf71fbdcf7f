"""DCGAN (Radford et al. 2016) as Haarburger et al. 2019 use it: conditional, of images of several channels, its generator doubling before it convolves.

Stage k is 2^k times the base. Labels enter the generator beside the latents and, with `condition` maps, the discriminator as constant maps beside the image
(Mirza and Osindero 2014); H19 does not say that they do, but a discriminator that cannot see labels gives no reason to obey them. The discriminator's scores
are logits: the sigmoid is the loss's. Training updates the batch norms' buffers at every pass; sample in `eval` mode.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from lookalike.generators.layers import ShapedNetwork, at_least_float32, leaky_relu, upsample

Condition = Literal["maps", "none"]
Norm = Literal["hidden", "all", "none"]


class Conv(nn.Conv2d):
    """A 3x3 convolution of doubled maps (up; Odena et al. 2016), or a 4x4 one that halves them (down). Zero padding."""

    def __init__(self, inputs: int, outputs: int, *, resample: Literal["up", "down"], bias: bool) -> None:
        kernel, stride = (3, 1) if resample == "up" else (4, 2)
        super().__init__(inputs, outputs, kernel, stride=stride, padding=1, bias=bias)
        self.resample = resample

    def forward(self, x: Tensor) -> Tensor:
        """[N, inputs, H, W] to [N, outputs, H', W'], H' being 2H (up) or H/2 (down)."""
        return super().forward(upsample(x) if self.resample == "up" else x)


class Block(nn.Module):
    """A convolution and, where wanted, batch norm, which makes the convolution's bias idle."""

    def __init__(self, inputs: int, outputs: int, *, resample: Literal["up", "down"], norm: bool) -> None:
        super().__init__()
        self.conv = Conv(inputs, outputs, resample=resample, bias=not norm)
        self.norm = nn.BatchNorm2d(outputs) if norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """As `Conv`."""
        return self.norm(self.conv(x))


class Generator(ShapedNetwork):
    """Latents and labels to images.

    Args:
        base: rows and columns of stage 0.
        channels: feature maps of stage 0 to the last but one; the entry of the last is the discriminator's alone.
        latent: latent dimension.
        labels: length of the label vector.
        seed: seed of the weights.
        image_channels: channels of an image.

    Raises:
        ValueError: there is one stage only.
    """

    def __init__(self, *, base: tuple[int, int], channels: Sequence[int], latent: int, labels: int, seed: int, image_channels: int = 1) -> None:
        super().__init__()
        self.stage = len(channels) - 1
        if not self.stage:
            raise ValueError("a DCGAN needs two stages or more")
        self.input_shape = (latent,)
        self.label_inputs = labels
        self.shape = (channels[0], *base)
        self.dense = nn.Linear(latent + labels, channels[0] * base[0] * base[1], bias=False)
        self.norm = nn.BatchNorm2d(channels[0])
        self.blocks = nn.ModuleDict(
            {str(level): Block(channels[level - 1], channels[level], resample="up", norm=True) for level in range(1, self.stage)}
        )
        self.to_rgb = Conv(channels[-2], image_channels, resample="up", bias=True)
        initialise(self, seed)

    def forward(self, latents: Tensor, labels: Tensor) -> Tensor:
        """[N, latent] from N(0, 1) and multi-hot [N, labels] to [N, C, H, W] in (-1, 1)."""
        x = self.dense(torch.cat([latents, labels], dim=1)).reshape(-1, *self.shape).contiguous(memory_format=torch.channels_last)
        x = relu(self.norm(x))
        for level in range(1, self.stage):
            x = relu(self.blocks[str(level)](x))
        return torch.tanh(at_least_float32(self.to_rgb(x)))


class Discriminator(ShapedNetwork):
    """Images and labels to scores, high for real.

    Args:
        base, labels, seed, image_channels: as for `Generator`.
        channels: feature maps, as many as stages: those of stage k are the entry k + 1, and the first entry is the generator's alone.
        condition: whether it sees the labels, as maps.
        norm: batch norm after all convolutions but the first (hidden; Radford et al.), after all (as H19 prints), or after none.

    Raises:
        ValueError: there is one stage only.
    """

    def __init__(
        self,
        *,
        base: tuple[int, int],
        channels: Sequence[int],
        labels: int,
        seed: int,
        image_channels: int = 1,
        condition: Condition = "maps",
        norm: Norm = "hidden",
    ) -> None:
        super().__init__()
        self.stage = len(channels) - 1
        if not self.stage:
            raise ValueError("a DCGAN needs two stages or more")
        self.input_shape = (image_channels, base[0] << self.stage, base[1] << self.stage)
        self.label_inputs = labels if condition == "maps" else 0
        inputs = [*channels[2:], image_channels + self.label_inputs]
        self.blocks = nn.ModuleDict()
        for level in range(self.stage, 0, -1):
            normed = norm == "all" or (norm == "hidden" and level < self.stage)
            self.blocks[str(level)] = Block(inputs[level - 1], channels[level], resample="down", norm=normed)
        self.score = nn.Linear(channels[1] * base[0] * base[1], 1)
        initialise(self, seed)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """[N, C, H, W] in [-1, 1] and multi-hot [N, labels] to scores [N]; with `condition` none, whatever the labels."""
        x = images
        if self.label_inputs:
            assert labels is not None
            x = torch.cat([x, labels[:, :, None, None].expand(-1, -1, *x.shape[2:])], dim=1)
        x = x.contiguous(memory_format=torch.channels_last)
        for level in range(self.stage, 0, -1):
            x = leaky_relu(self.blocks[str(level)](x))
        return at_least_float32(self.score(x.flatten(1))).squeeze(1)


def initialise(network: nn.Module, seed: int) -> None:
    """Draw every weight from N(0, 0.02), batch norms' from N(1, 0.02), with a generator of its own; biases are zero (Radford et al. 2016)."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear | nn.BatchNorm2d):
                layer.weight.normal_(float(isinstance(layer, nn.BatchNorm2d)), 0.02, generator=generator)
                if layer.bias is not None:
                    layer.bias.zero_()
