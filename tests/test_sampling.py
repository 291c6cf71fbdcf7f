"""Sampling: latents belong to images, whatever part or batch they are drawn in; the averaged generator is the one that samples."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch

from lookalike.errors import LookalikeError
from lookalike.generators.progan import Discriminator, Generator
from lookalike.sampling import latents_of, sample
from lookalike.training.state import load_networks, save_networks


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    about = {"family": "progan", "base": [5, 4], "channels": [8, 6], "latent": 12, "group": 4, "labels": [], "label_vectors": []}
    shape = {"base": (5, 4), "channels": (8, 6)}
    path = tmp_path / "weights.safetensors"
    networks = {
        "generator": Generator(**shape, latent=12, seed=1),
        "discriminator": Discriminator(**shape, group=4, seed=2),
        "ema": Generator(**shape, latent=12, seed=3),
    }
    save_networks(path, networks, about)
    return path


def test_latents_do_not_depend_on_the_part() -> None:
    whole = latents_of(range(100), seed=5, latent=12)
    np.testing.assert_array_equal(np.concatenate([latents_of(range(0, 37), seed=5, latent=12), latents_of(range(37, 100), seed=5, latent=12)]), whole)
    assert len(np.unique(whole)) == whole.size
    assert not np.isin(latents_of(range(100), seed=6, latent=12), whole).any()
    many = latents_of(range(2000), seed=1, latent=12)
    assert abs(many.mean()) < 4 / np.sqrt(many.size)
    assert abs(many.std() - 1) < 4 / np.sqrt(2 * many.size)


@pytest.mark.parametrize(("which", "made_with"), [("averaged", 3), ("last", 1)])
def test_images_come_from_the_generator_asked_for(weights: Path, which: Literal["averaged", "last"], made_with: int) -> None:
    batches = list(sample(weights, indices=range(3, 13), seed=5, batch=4, device="cpu", threads=1, network=which))
    assert [batch.shape for batch in batches] == [(4, 10, 8), (4, 10, 8), (2, 10, 8)]
    images = np.concatenate(batches)
    assert images.dtype == np.float32
    assert images.min() == 0
    assert images.max() == 1  # fresh weights overshoot [-1, 1]: both ends are clipped
    network = Generator(base=(5, 4), channels=(8, 6), latent=12, seed=made_with)
    latents = np.stack([np.random.default_rng([5, i]).standard_normal(12, dtype=np.float32) for i in range(3, 13)])
    with torch.no_grad():
        expected = (network(torch.from_numpy(latents))[:, 0].numpy() / 2 + 0.5).clip(0, 1)
    np.testing.assert_allclose(images, expected, atol=1e-5)


def test_networks_load_by_name(weights: Path) -> None:
    assert torch.equal(
        load_networks(weights, "generator").blocks["1"].up.weight, Generator(base=(5, 4), channels=(8, 6), latent=12, seed=1).blocks["1"].up.weight
    )
    assert load_networks(weights, "discriminator")(torch.zeros(4, 1, 10, 8)).shape == (4,)


def test_damaged_weights_are_told_in_a_sentence(weights: Path) -> None:
    weights.with_suffix(".json").write_text('{"family": "progan", "base": [5, 4], "channels": [8, 7], "latent": 12, "group": 4, "labels": []}')
    with pytest.raises(LookalikeError, match="do not fit"):
        load_networks(weights)
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(LookalikeError, match="cannot be read"):
        load_networks(weights)
