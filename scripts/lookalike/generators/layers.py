"""Layers of progressive growing (Karras et al. 2018): equalised learning rate, PixelNorm, minibatch standard deviation, fused resampling.

Images are [N, C, H, W]. Every layer works in float32, in float64 and under bfloat16 autocast; the normalisations compute in at least float32.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

SQRT2 = math.sqrt(2.0)
Resample = Literal["none", "up", "down"]


class ShapedNetwork(nn.Module):
    """A network that says what it takes.

    Attributes:
        stage: level of detail of its images.
        input_shape: of one latent vector or one image.
        label_inputs: length of the label vector that `forward` takes as `labels`; 0 if it takes none.
    """

    stage: int
    input_shape: tuple[int, ...]
    label_inputs: int = 0


def leaky_relu(x: Tensor) -> Tensor:
    """Leaky ReLU with slope 0.2."""
    return functional.leaky_relu(x, 0.2)


def upsample(images: Tensor) -> Tensor:
    """Nearest-neighbour doubling of [N, C, H, W]."""
    return functional.interpolate(images, scale_factor=2, mode="nearest")


def downsample(images: Tensor) -> Tensor:
    """2x2 means of [N, C, H, W]."""
    return functional.avg_pool2d(images, 2)


def at_least_float32(x: Tensor) -> Tensor:
    """The tensor in float32, or in float64 where it is that already: bfloat16 squares and means would lose most of their bits."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def pixel_norm(x: Tensor) -> Tensor:
    """Scale every pixel's feature vector (dimension 1) to unit root mean square: x / sqrt(mean(x^2) + 1e-8)."""
    wide = at_least_float32(x)
    return (wide * torch.rsqrt(wide.square().mean(dim=1, keepdim=True) + 1e-8)).to(x.dtype)


def minibatch_std(x: Tensor, group: int) -> Tensor:
    """Append one map: the mean, over features and pixels, of the standard deviation over each group of images.

    Groups are strided (with M groups, group m holds images m, m + M, m + 2M, ...) and the variance is the population one, as in the
    reference implementation of progressive growing.

    Args:
        x: [N, C, H, W].
        group: images a group; a smaller batch is one group.

    Returns:
        [N, C + 1, H, W].

    Raises:
        ValueError: the batch is no multiple of the group.
    """
    n, _, height, width = x.shape
    group = min(group, n)
    if n % group:
        raise ValueError(f"a batch of {n} cannot be cut into groups of {group}")
    wide = at_least_float32(x)
    grouped = wide.reshape(group, n // group, *x.shape[1:])  # [G, M, C, H, W]
    deviation = (grouped.var(dim=0, correction=0) + 1e-8).sqrt()  # [M, C, H, W]
    statistic = deviation.mean(dim=(1, 2, 3)).repeat(group)  # [N]; repeat, not repeat_interleave: the groups are strided
    return torch.cat([x, statistic.to(x.dtype)[:, None, None, None].expand(n, 1, height, width)], dim=1)


class MinibatchStd(nn.Module):
    """`minibatch_std` as a layer without weights."""

    def __init__(self, group: int) -> None:
        super().__init__()
        self.group = group

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] to [N, C + 1, H, W]."""
        return minibatch_std(x, self.group)


class EqualisedDense(nn.Module):
    """Dense layer whose weights are N(0, 1) and are scaled by gain / sqrt(fan-in) at run time, so that Adam's step is relative to it."""

    def __init__(self, inputs: int, outputs: int, *, gain: float = SQRT2, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.scale = gain / math.sqrt(inputs)

    def forward(self, x: Tensor) -> Tensor:
        """[N, inputs] to [N, outputs]."""
        return functional.linear(x, self.weight * self.scale, self.bias)


class EqualisedConv(nn.Module):
    """Convolution with equalised learning rate, zero padding, and optional doubling before or halving after it.

    `fused` does resampling and convolution in one pass with a kernel of four shifted copies summed: a transposed convolution for `up`, a strided
    one for `down` (where the bias, and whatever activation follows, comes after the mean, as in the reference). It equals the plain form, which
    resizes in a pass of its own, to rounding; the flip in `up` is there because a transposed convolution turns its kernel round.
    The weights are scaled, not the activations: those are larger.
    """

    def __init__(
        self, inputs: int, outputs: int, *, kernel: int, gain: float = SQRT2, bias: bool = True, resample: Resample = "none", fused: bool = True
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.scale = gain / math.sqrt(inputs * kernel * kernel)
        self.resample = resample
        self.fused = fused

    def forward(self, x: Tensor) -> Tensor:
        """[N, inputs, H, W] to [N, outputs, H', W'], H' being H, 2H (up) or H/2 (down)."""
        weight = self.weight * self.scale
        padding = weight.shape[-1] // 2
        if self.resample == "none":
            return functional.conv2d(x, weight, self.bias, padding=padding)
        if not self.fused:
            if self.resample == "up":
                return functional.conv2d(upsample(x), weight, self.bias, padding=padding)
            return downsample(functional.conv2d(x, weight, self.bias, padding=padding))
        if self.resample == "up":
            kernel = _four_taps(weight.flip(2, 3)).transpose(0, 1)
            return functional.conv_transpose2d(x, kernel, self.bias, stride=2, padding=padding)
        return functional.conv2d(x, _four_taps(weight) / 4, self.bias, stride=2, padding=padding)


class DiscriminatorBase(nn.Module):
    """Features of stage 0 to so many numbers an image; `gain` is that of the hidden layers."""

    def __init__(self, channels: int, base: tuple[int, int], *, group: int, outputs: int, gain: float = SQRT2) -> None:
        super().__init__()
        self.minibatch_std = MinibatchStd(group)
        self.conv = EqualisedConv(channels + 1, channels, kernel=3, gain=gain)
        self.dense = EqualisedDense(channels * base[0] * base[1], channels, gain=gain)
        self.score = EqualisedDense(channels, outputs, gain=1.0)

    def forward(self, x: Tensor) -> Tensor:
        """[N, channels, *base] to [N, outputs], at least float32."""
        x = leaky_relu(self.conv(self.minibatch_std(x)))
        return at_least_float32(self.score(leaky_relu(self.dense(x.flatten(1)))))


def _four_taps(weight: Tensor) -> Tensor:
    """Sum of a kernel's four shifts by 0 or 1 pixel: [..., K, K] to [..., K + 1, K + 1]."""
    padded = functional.pad(weight, (1, 1, 1, 1))
    return padded[..., 1:, 1:] + padded[..., :-1, 1:] + padded[..., 1:, :-1] + padded[..., :-1, :-1]


def initialise(network: nn.Module, seed: int) -> None:
    """Draw every weight from N(0, 1) with a generator of its own; biases stay zero. The same seed gives the same network."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("weight"):
                parameter.normal_(generator=generator)
