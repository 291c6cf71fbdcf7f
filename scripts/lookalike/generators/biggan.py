"""BigGAN (Brock et al. 2019) at the size of DuMont Schütte et al. 2021: class-conditional batch norm, self-attention, spectral norm, projection.

Stage k is 2^k times the base. The block of the second-highest stage is an attention block: the skip of a residual block, and self-attention in
place of its convolutions. It takes no condition, so the latent vector is cut into one chunk for stage 0 and one for every residual block.
Labels are multi-hot. Training updates buffers at every pass (batch statistics, singular vectors); sample in `eval` mode.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.functional import relu

from lookalike.generators.layers import ShapedNetwork, at_least_float32, downsample, upsample


class SpectralLayer(nn.Module):
    """A weight that is divided by its largest singular value (Miyato et al. 2018), which one power iteration a pass estimates.

    The weight is a matrix of its first dimension by all others.
    """

    left: Tensor

    def __init__(self, *shape: int, bias: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(*shape))
        self.bias = nn.Parameter(torch.zeros(shape[0])) if bias else None
        self.register_buffer("left", torch.zeros(shape[0]))  # singular vector, as the last pass in training left it

    def normalised(self) -> Tensor:
        """The weight of singular value 1."""
        with torch.autocast(self.weight.device.type, enabled=False):  # else the products would be of bfloat16
            matrix = self.weight.flatten(1)
            with torch.no_grad():
                right = functional.normalize(matrix.T @ self.left, dim=0)
                left = functional.normalize(matrix @ right, dim=0)
                if self.training:
                    self.left.copy_(left)
            return self.weight / (left @ matrix @ right)


class SpectralDense(SpectralLayer):
    """Dense layer with spectral norm."""

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True) -> None:
        super().__init__(outputs, inputs, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """[N, inputs] to [N, outputs]."""
        return functional.linear(x, self.normalised(), self.bias)


class SpectralConv(SpectralLayer):
    """Convolution with spectral norm and zero padding."""

    def __init__(self, inputs: int, outputs: int, *, kernel: int, bias: bool = True) -> None:
        super().__init__(outputs, inputs, kernel, kernel, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """[N, inputs, H, W] to [N, outputs, H, W]."""
        weight = self.normalised()
        return functional.conv2d(x, weight, self.bias, padding=weight.shape[-1] // 2)


class ConditionalBatchNorm(nn.Module):
    """Batch norm whose scale, 1 + a dense layer, and shift, another one, are of the condition."""

    def __init__(self, condition: int, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.scale = SpectralDense(condition, channels, bias=False)
        self.shift = SpectralDense(condition, channels, bias=False)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """[N, channels, H, W] and [N, condition] to [N, channels, H, W]."""
        scale, shift = (layer(condition)[:, :, None, None] for layer in (self.scale, self.shift))
        return self.norm(x) * (1 + scale) + shift


class SelfAttention(nn.Module):
    """Every pixel takes from all others (Zhang et al. 2019), whose keys and values are pooled 2x2; the gain begins at 0, so that at first nothing is added."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow, middle = max(channels // 8, 1), max(channels // 2, 1)
        self.query = SpectralConv(channels, narrow, kernel=1, bias=False)
        self.key = SpectralConv(channels, narrow, kernel=1, bias=False)
        self.value = SpectralConv(channels, middle, kernel=1, bias=False)
        self.output = SpectralConv(middle, channels, kernel=1, bias=False)
        self.gain = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """[N, channels, H, W], H and W even, to the same."""
        maps = self.query(x), functional.max_pool2d(self.key(x), 2), functional.max_pool2d(self.value(x), 2)
        query, key, value = (y.flatten(2).transpose(1, 2) for y in maps)
        found = functional.scaled_dot_product_attention(query, key, value, scale=1.0)  # [N, HW, middle]
        return x + self.gain * self.output(found.transpose(1, 2).reshape(len(x), -1, *x.shape[2:]))


class GeneratorBlock(nn.Module):
    """Residual block: features of stage k - 1 to those of stage k, twice as high and wide. Its first convolution changes the number of features."""

    def __init__(self, condition: int, inputs: int, channels: int) -> None:
        super().__init__()
        self.norm_up = ConditionalBatchNorm(condition, inputs)
        self.up = SpectralConv(inputs, channels, kernel=3)
        self.norm_conv = ConditionalBatchNorm(condition, channels)
        self.conv = SpectralConv(channels, channels, kernel=3)
        self.skip = SpectralConv(inputs, channels, kernel=1)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """[N, inputs, H, W] and [N, condition] to [N, channels, 2H, 2W]."""
        y = self.up(upsample(relu(self.norm_up(x, condition))))
        return self.conv(relu(self.norm_conv(y, condition))) + upsample(self.skip(x))


class GeneratorAttentionBlock(nn.Module):
    """Attention block: features of stage k - 1 to those of stage k, twice as high and wide."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.skip = SpectralConv(inputs, channels, kernel=1)
        self.attention = SelfAttention(channels)

    def forward(self, x: Tensor) -> Tensor:
        """[N, inputs, H, W] to [N, channels, 2H, 2W]."""
        return self.attention(upsample(self.skip(x)))


class DiscriminatorBlock(nn.Module):
    """Residual block, the generator's in reverse: features of stage k to those of stage k - 1, half as high and wide."""

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        self.conv = SpectralConv(channels, channels, kernel=3)
        self.down = SpectralConv(channels, outputs, kernel=3)
        self.skip = SpectralConv(channels, outputs, kernel=1)

    def forward(self, x: Tensor) -> Tensor:
        """[N, channels, H, W] to [N, outputs, H/2, W/2]."""
        return downsample(self.down(relu(self.conv(relu(x))))) + self.skip(downsample(x))


class DiscriminatorAttentionBlock(nn.Module):
    """Attention block: features of stage k to those of stage k - 1, half as high and wide."""

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        self.attention = SelfAttention(channels)
        self.skip = SpectralConv(channels, outputs, kernel=1)

    def forward(self, x: Tensor) -> Tensor:
        """[N, channels, H, W] to [N, outputs, H/2, W/2]."""
        return self.skip(downsample(self.attention(x)))


class Generator(ShapedNetwork):
    """Latents and labels to images.

    Args:
        base: rows and columns of stage 0.
        channels: feature maps of stages 0 to the last.
        latent: latent dimension.
        labels: length of the label vector.
        seed: seed of the weights.
        image_channels: channels of an image.

    Raises:
        ValueError: the latent vector cannot be cut evenly.
    """

    def __init__(self, *, base: tuple[int, int], channels: Sequence[int], latent: int, labels: int, seed: int, image_channels: int = 1) -> None:
        super().__init__()
        self.stage = len(channels) - 1
        self.input_shape = (latent,)
        self.label_inputs = labels
        self.shape = (channels[0], *base)
        self.chunks = self.stage if self.stage > 1 else self.stage + 1  # below three stages there is no attention block
        if latent % self.chunks:
            raise ValueError(f"a latent vector of {latent} cannot be cut into {self.chunks} chunks")
        condition = latent // self.chunks + labels
        self.dense = SpectralDense(condition, channels[0] * base[0] * base[1])
        self.blocks = nn.ModuleDict()
        for level in range(1, self.stage + 1):
            inputs, outputs = channels[level - 1], channels[level]
            attends = level == self.stage - 1
            self.blocks[str(level)] = GeneratorAttentionBlock(inputs, outputs) if attends else GeneratorBlock(condition, inputs, outputs)
        self.norm = nn.BatchNorm2d(channels[-1])
        self.to_rgb = SpectralConv(channels[-1], image_channels, kernel=3)
        initialise(self, seed)

    def forward(self, latents: Tensor, labels: Tensor) -> Tensor:
        """[N, latent] from N(0, 1) and multi-hot [N, labels] to [N, C, H, W] in (-1, 1)."""
        first, *others = (torch.cat([chunk, labels], dim=1) for chunk in latents.chunk(self.chunks, dim=1))
        conditions = iter(others)
        x = self.dense(first).reshape(-1, *self.shape).contiguous(memory_format=torch.channels_last)
        for level in range(1, self.stage + 1):
            block = self.blocks[str(level)]
            x = block(x, next(conditions)) if isinstance(block, GeneratorBlock) else block(x)
        return torch.tanh(at_least_float32(self.to_rgb(relu(self.norm(x)))))


class Discriminator(ShapedNetwork):
    """Images and labels to scores, high for real: a term of the image and a projection on the labels, both of features summed over all pixels.

    Args:
        base, channels, labels, seed, image_channels: as for `Generator`.
    """

    def __init__(self, *, base: tuple[int, int], channels: Sequence[int], labels: int, seed: int, image_channels: int = 1) -> None:
        super().__init__()
        self.stage = len(channels) - 1
        self.input_shape = (image_channels, base[0] << self.stage, base[1] << self.stage)
        self.label_inputs = labels
        self.from_rgb = SpectralConv(image_channels, channels[-1], kernel=3)
        self.blocks = nn.ModuleDict()
        for level in range(self.stage, 0, -1):
            block = DiscriminatorAttentionBlock if level == self.stage - 1 else DiscriminatorBlock
            self.blocks[str(level)] = block(channels[level], channels[level - 1])
        self.score = SpectralDense(channels[0], 1)
        self.projection = SpectralDense(channels[0], labels, bias=False)
        initialise(self, seed)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """[N, C, H, W] in [-1, 1] and multi-hot [N, labels] to scores [N]."""
        x = self.from_rgb(images).contiguous(memory_format=torch.channels_last)
        for level in range(self.stage, 0, -1):
            x = self.blocks[str(level)](x)
        features = relu(x).sum(dim=(2, 3))
        return at_least_float32(self.score(features)).squeeze(1) + (at_least_float32(self.projection(features)) * labels).sum(dim=1)


def orthogonal_regularisation(network: nn.Module) -> Tensor:
    """Sum over all weights of |W W^T * (1 - I)|^2, W being a weight as stored, one row an output: 0 when all outputs' rows are orthogonal."""
    weights = (layer.weight.flatten(1) for layer in network.modules() if isinstance(layer, SpectralLayer))
    products = (weight @ weight.T for weight in weights)
    return torch.stack([(product - product.diag().diag()).square().sum() for product in products]).sum()


def initialise(network: nn.Module, seed: int) -> None:
    """Draw an orthogonal matrix for every weight, and its singular vector's estimate, with a generator of its own; biases stay zero."""
    generator = torch.Generator().manual_seed(seed)
    for layer in network.modules():
        if isinstance(layer, SpectralLayer):
            nn.init.orthogonal_(layer.weight, generator=generator)
            nn.init.normal_(layer.left, generator=generator)
