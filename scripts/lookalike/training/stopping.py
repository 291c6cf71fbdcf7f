"""When to stop by the distance of generated images from real ones, and which networks to keep (D21, Methods)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lookalike.errors import LookalikeError
from lookalike.pixels.store import Stored, quantise
from lookalike.training.data import Purpose, random_numbers
from lookalike.training.state import Network

logger = logging.getLogger(__name__)
Judge = Callable[[Stored, NDArray[np.int64]], float]
"""Distance of generated images, [n, H, W] or [n, C, H, W], from the training images of these indices [n]."""


class Search:
    """Judgements so far, and the networks of the smallest distance.

    Args:
        patience: judgements without a new minimum after which the search is over.
    """

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.evaluations: list[dict[str, float]] = []  # nimg and distance
        self.best: dict[Network, dict[str, Tensor]] = {}

    @property
    def minimum(self) -> dict[str, float]:
        """The evaluation of the smallest distance, the first of equals."""
        return min(self.evaluations, key=lambda evaluation: evaluation["distance"])

    @property
    def over(self) -> bool:
        """Whether patience is at its end."""
        return bool(self.evaluations) and len(self.evaluations) - 1 - self.evaluations.index(self.minimum) >= self.patience

    def add(self, nimg: int, distance: float, networks: Mapping[Network, nn.Module]) -> None:
        """Add a judgement of the networks after nimg images; they are kept if they are the best.

        Raises:
            LookalikeError: the distance is not a number.
        """
        if not np.isfinite(distance):
            raise LookalikeError(
                "The Frechet distance of the generated images is not a finite number", f"image {nimg}", "Lower the last stage's learning_rate."
            )
        self.evaluations.append({"nimg": nimg, "distance": distance})
        if self.minimum["nimg"] == nimg:
            self.best = {which: {name: tensor.cpu().clone() for name, tensor in network.state_dict().items()} for which, network in networks.items()}
        logger.info(
            "%.1f kimg: distance %.4f; the best is %.4f at %.1f kimg", nimg / 1000, distance, self.minimum["distance"], self.minimum["nimg"] / 1000
        )

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs to go on."""
        return {"evaluations": self.evaluations, "best": self.best}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The reverse of `state_dict`."""
        self.evaluations, self.best = state["evaluations"], state["best"]


@torch.inference_mode()
def generate(
    generator: nn.Module,
    *,
    count: int,
    latent: int,
    labels: NDArray[np.float32] | None,
    batch: int,
    seed: int,
    stage: int,
    device: torch.device,
    bits: Literal[8, 16],
    draw: int,
) -> Stored:
    """Images to judge, [count, H, W] or [count, C, H, W], rounded as a store rounds them; a draw's latents are the same whenever they are judged.

    Args:
        generator: in evaluation mode.
        latent: latent dimension.
        labels: multi-hot [count, labels]; None = the generator has none.
        bits: of the store.
        draw: as of `evaluated_images`.
    """
    latents = random_numbers(seed, stage, Purpose.EVALUATION, 2 * draw + 1).standard_normal((count, latent), dtype=np.float32)
    made = []
    for start in range(0, count, batch):
        own, shown = (None if part is None else torch.from_numpy(part[start : start + batch]).to(device) for part in (labels, latents))
        images = (generator(shown, labels=own).squeeze(1) + 1) / 2
        made.append(quantise(images.float().cpu().numpy(), bits))
    return np.concatenate(made)  # type: ignore[return-value]  # all of one dtype
