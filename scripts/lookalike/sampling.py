"""Images from a trained generator."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from lookalike.errors import LookalikeError
from lookalike.training.data import multi_hot
from lookalike.training.device import choose_device
from lookalike.training.state import load_networks, read_weights


def latents_of(indices: range, *, seed: int, latent: int) -> np.ndarray:
    """Latents [len(indices), latent] float32 from N(0, 1). Those of image i are a function of (seed, i) alone: parts and batches do not change them."""
    return np.stack([np.random.default_rng([seed, index]).standard_normal(latent, dtype=np.float32) for index in indices])


def example_labels(weights: Path, count: int) -> NDArray[np.int8] | None:
    """Label vectors [count, labels] for pictures: those of the training images, the most frequent first, over and over. None where there are no labels.

    Raises:
        LookalikeError: the weights cannot be read.
    """
    vectors = np.array(read_weights(weights)[1]["label_vectors"], dtype=np.int8)
    return vectors[np.resize(np.arange(len(vectors)), count)] if len(vectors) else None


def sample(
    weights: Path,
    *,
    indices: range,
    seed: int,
    batch: int,
    device: Literal["auto", "cpu", "cuda"],
    threads: int,
    network: Literal["averaged", "last"] = "averaged",
    labels: NDArray[np.integer] | None = None,
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
        labels: vectors [len(indices), labels] of 1, 0 or -1 (unknown); None = the generator has no labels.

    Yields:
        [b, H, W], of several channels [b, C, H, W], float32 in [0, 1], b being `batch` but for the last.

    Raises:
        LookalikeError: the weights cannot be read, there is no such device, or the generator has other labels.
    """
    chosen = choose_device(device, threads=threads)
    generator = load_networks(weights, "ema" if network == "averaged" else "generator").to(chosen)
    given = 0 if labels is None else labels.shape[1]
    if given != generator.label_inputs:
        raise LookalikeError(
            f"A generator of {generator.label_inputs} labels was asked for images with {given}", str(weights), "Give it the labels that it learnt."
        )
    for start in range(0, len(indices), batch):
        wanted = None if labels is None else torch.from_numpy(multi_hot(labels[start : start + batch])).to(chosen)
        latents = torch.from_numpy(latents_of(indices[start : start + batch], seed=seed, latent=generator.input_shape[0])).to(chosen)
        with torch.inference_mode():
            images = ((generator(latents, labels=wanted).squeeze(1) + 1) / 2).clamp(0, 1)
        yield images.float().cpu().numpy()
