"""Images from a trained generator."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from lookalike.training.device import choose_device
from lookalike.training.state import load_networks


def latents_of(indices: range, *, seed: int, latent: int) -> np.ndarray:
    """Latents [len(indices), latent] float32 from N(0, 1). Those of image i are a function of (seed, i) alone: parts and batches do not change them."""
    return np.stack([np.random.default_rng([seed, index]).standard_normal(latent, dtype=np.float32) for index in indices])


def sample(
    weights: Path,
    *,
    indices: range,
    seed: int,
    batch: int,
    device: Literal["auto", "cpu", "cuda"],
    threads: int,
    network: Literal["averaged", "last"] = "averaged",
) -> Iterator[np.ndarray]:
    """Draw images from a trained generator.

    An image's latents do not depend on the batch or the part that it is drawn in; its pixels can, in the last bits, because convolutions of other
    sizes add up in another order.

    Args:
        weights: a stage's weights file.
        indices: which images.
        seed: of the latents.
        batch: images a forward pass.
        threads: CPU threads.
        network: the generator averaged over training, or the last one.

    Yields:
        [b, H, W] float32 in [0, 1], b being `batch` but for the last.

    Raises:
        LookalikeError: the weights cannot be read, or there is no such device.
    """
    chosen = choose_device(device, threads=threads)
    generator = load_networks(weights, "ema" if network == "averaged" else "generator").to(chosen)
    for start in range(0, len(indices), batch):
        latents = torch.from_numpy(latents_of(indices[start : start + batch], seed=seed, latent=generator.input_shape[0])).to(chosen)
        with torch.inference_mode():
            images = ((generator(latents)[:, 0] + 1) / 2).clamp(0, 1)
        yield images.float().cpu().numpy()
