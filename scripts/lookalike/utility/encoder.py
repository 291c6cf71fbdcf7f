"""Features in which image sets are compared: the Inception network's, where the user supplies it, else the real-trained classifier's (D21, Methods)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from lookalike.config import Inception
from lookalike.errors import LookalikeError
from lookalike.files import sha256
from lookalike.measures.frechet import INCEPTION
from lookalike.training.data import Images
from lookalike.utility.classifier import BATCH, colours, extract_features, load_classifier

CLASSIFIER = "real-trained classifier"


@dataclass(frozen=True)
class Encoder:
    """From images to feature vectors."""

    name: str
    """Of the features; `frechet_name` makes the distance's name of it."""
    features: Callable[[Images], NDArray[np.float32]]
    """Stored images, uint8 or uint16 [n, H, W] or [n, C, H, W] (see `colours`), to [n, d]."""


def load_encoder(classifier: Path | None, inception: Inception | None, *, device: torch.device) -> Encoder:
    """The Inception network where it is given, else the classifier's 1024 features.

    Args:
        classifier: weights of `save_classifier`.
        inception: TorchScript file and its SHA-256.
        device: where the network runs.

    Raises:
        LookalikeError: a file cannot be read, or is not what it should be.
        ValueError: neither is given.
    """
    if inception is not None:
        return Encoder(INCEPTION, _inception(Path(inception.path), inception.sha256, device))
    if classifier is None:
        raise ValueError("neither an Inception network nor a classifier")
    network = load_classifier(classifier)[0].to(device)
    return Encoder(CLASSIFIER, lambda images: extract_features(network, images))


def _inception(path: Path, digest: str, device: torch.device) -> Callable[[Images], NDArray[np.float32]]:
    try:
        found = sha256(path)
    except OSError as error:
        raise LookalikeError(
            f"The Inception network cannot be read: {error.strerror}", str(path), "Correct utility.inception.path, or set utility.inception to null."
        ) from error
    if found != digest.lower():
        raise LookalikeError(f"The Inception network has the SHA-256 {found}, not {digest}", str(path), "Get the right file, or correct the SHA-256.")
    noise = np.random.default_rng(1).integers(0, 256, (2, 3, 32, 32), dtype=np.uint8)
    try:
        network = torch.jit.load(str(path), map_location=device).eval()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        with torch.inference_mode():
            made = network(torch.from_numpy(noise).to(device), return_features=True)
        if made.shape != (2, 2048):
            raise RuntimeError(f"it makes {list(made.shape)} of two images")
        if not made.isfinite().all():
            raise RuntimeError("its features of two random images are not all finite")
    except (RuntimeError, AttributeError) as error:
        raise LookalikeError(
            f"The Inception network cannot be used: {' '.join(str(error).split())[:200]}",
            str(path),
            "Give a TorchScript file whose network(images, return_features=True) makes finite [n, 2048] of uint8 [n, 3, H, W].",
        ) from error

    @torch.inference_mode()
    def features(images: Images) -> NDArray[np.float32]:
        found = []
        for start in range(0, len(images), BATCH):
            pixels = colours(images[np.arange(start, min(start + BATCH, len(images)))])
            shown = torch.from_numpy(pixels if pixels.dtype == np.uint8 else np.rint(pixels / 257).astype(np.uint8)).to(device)
            found.append(network(shown.expand(-1, 3, -1, -1), return_features=True).float().cpu().numpy())
        return np.concatenate(found)

    return features
