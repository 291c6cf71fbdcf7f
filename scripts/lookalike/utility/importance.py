"""What a classifier looks at: occlusion maps (D21, Methods; CXPlain, Schwab and Karlen 2019)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from lookalike.utility.classifier import label_loss

FLOOR = 1e-7
"""Least importance of a patch: hiding it may even help."""


def occlusion_map(
    model: Callable[[Tensor], Tensor], image: Tensor, labels: NDArray, *, patch: int = 2, batch: int = 64, normalise: bool = True
) -> NDArray[np.float64]:
    """How much the classifier's loss grows when a patch is hidden, for each patch of the image.

    The patch is set to 0 in the normalised image, which is the data set's mean grey. Importance = max(loss with the patch hidden - loss, 1e-7).

    Args:
        model: prepared images [b, C, H, W], which it must not write to, to logits [b, l]; a network in evaluation mode.
        image: prepared image [C, H, W], on the model's device.
        labels: [l] of the image, as in `label_loss`.
        patch: side of the square patches, pixels: 2 in the paper, 4 in its code. 2 on 224 x 224 makes 12,544.
        batch: patches a forward pass.
        normalise: divide by the sum, as the paper does and its code does not.

    Returns:
        [H / patch, W / patch]; `enlarge` makes an image of it.

    Raises:
        ValueError: the image does not divide into such patches.
    """
    height, width = (side // patch for side in image.shape[1:])
    if (height * patch, width * patch) != tuple(image.shape[1:]):
        raise ValueError(f"an image of {tuple(image.shape[1:])} does not divide into patches of {patch}")
    truth = torch.from_numpy(np.asarray(labels, dtype=np.float64)).to(image.device)
    windows = [np.s_[:, top : top + patch, left : left + patch] for top in range(0, height * patch, patch) for left in range(0, width * patch, patch)]
    importance = np.empty(len(windows))
    # the last image stays whole: it goes through the same pass, because the size of a batch changes the last bits
    images = image.repeat(min(batch, len(windows)) + 1, 1, 1, 1)
    for start in range(0, len(windows), batch):
        hidden = windows[start : start + batch]
        images = images[-len(hidden) - 1 :]
        for masked, window in zip(images, hidden, strict=False):
            masked[window] = 0
        with torch.inference_mode():
            losses = label_loss(model(images).double(), truth.expand(len(images), -1))
        importance[start : start + len(hidden)] = (losses[:-1] - losses[-1]).clamp(min=FLOOR).cpu().numpy()
        for masked, window in zip(images, hidden, strict=False):
            masked[window] = image[window]
    return (importance / importance.sum() if normalise else importance).reshape(height, width)


def enlarge(importance: NDArray[np.float64], patch: int) -> NDArray[np.float64]:
    """A map [h, w] by patch as an image [h * patch, w * patch]: each pixel has its patch's value."""
    return importance.repeat(patch, axis=0).repeat(patch, axis=1)


def choose_images(labels: NDArray, scores: NDArray, *, count: int) -> NDArray[np.int64]:
    """Rows of the images to show: for each of the most frequent labels, the present one that scores highest and was not taken yet.

    Args:
        labels: [n, l], 1 = present.
        scores: [n, l] of the classifier.
        count: labels, at most.
    """
    present = labels == 1
    rows: list[int] = []
    for label in np.argsort(-present.sum(axis=0), kind="stable"):
        free = np.setdiff1d(np.flatnonzero(present[:, label]), rows)
        if free.size and len(rows) < count:
            rows.append(int(free[np.argmax(scores[free, label])]))
    return np.array(rows, dtype=np.int64)


def as_seen(pixels: NDArray, size: int) -> NDArray[np.uint8]:
    """Stored images [n, H, W], uint8 or uint16, at the size at which a classifier sees them: [n, size, size]."""
    images = torch.from_numpy(np.asarray(pixels, dtype=np.float32) * np.float32(255 / np.iinfo(pixels.dtype).max))
    images = functional.interpolate(images[:, None], size=(size, size), mode="bilinear", align_corners=False)[:, 0]
    return images.round().clamp(0, 255).to(torch.uint8).numpy()
