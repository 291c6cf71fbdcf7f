"""DenseNet-121 with a sigmoid for each label, trained as D21 trains it (Huang et al. 2017; D21, Methods, and its public code).

Labels are [n, l]: 1 = present, 0 = absent; any other value is unknown and counts neither in the loss nor in an AUC.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.nn import functional

from lookalike.cohort.labels import label_matrix
from lookalike.errors import LookalikeError
from lookalike.files import atomic
from lookalike.pixels.store import ImageStore, image_table
from lookalike.training.data import Images, real_batches
from lookalike.utility.auc import label_aucs, mean_auc

logger = logging.getLogger(__name__)
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# Keras' batch normalisation; its momentum is 1 - torch's. Torch's own values would be 0.1 and 1e-5.
BN_MOMENTUM, BN_EPSILON = 0.01, 1.001e-5
ADAM_EPSILON = 1e-7  # Keras'
BATCH = 50
"""Images a forward pass outside training."""
# torchvision's names of a layer inside a dense block, older (norm.1) and newer (norm1), against MONAI's (layers.norm1)
_LAYER = re.compile(r"(denselayer\d+)\.(?:layers\.)?(norm|conv)\.?([12])\.")


class Classifier(nn.Module):
    """DenseNet: prepared images [b, 3, size, size] to logits [b, labels].

    The defaults are DenseNet-121: 6,953,856 weights before the last layer, 1024 features.

    Args:
        labels: how many.
        seed: of the random weights.
        weights: safetensors file of a DenseNet's state dict, with torchvision's or MONAI's names, whose last layer is left aside; None = random weights.
        size: side to which images are resized.
        init_features, growth_rate, block_config: width and depth, as in MONAI.

    Attributes:
        architecture: size, init_features, growth_rate and block_config.
        backbone: "random", or the weights file's name and SHA-256: results of a random backbone are not to be taken for the paper's.

    Raises:
        LookalikeError: the file cannot be read, is not of this network, or has a weight that is not finite.
    """

    def __init__(
        self,
        labels: int,
        *,
        seed: int,
        weights: Path | None = None,
        size: int = 224,
        init_features: int = 64,
        growth_rate: int = 32,
        block_config: Sequence[int] = (6, 12, 24, 16),
    ) -> None:
        from monai.networks.nets.densenet import DenseNet  # takes seconds, so only where it is needed

        super().__init__()
        self.size = size
        self.architecture = {"size": size, "init_features": init_features, "growth_rate": growth_rate, "block_config": tuple(block_config)}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = DenseNet(2, 3, labels, init_features=init_features, growth_rate=growth_rate, block_config=tuple(block_config))
        self.trunk, self.head = network.features, network.class_layers[-1]
        for module in self.trunk.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum, module.eps = BN_MOMENTUM, BN_EPSILON
        self.backbone = "random" if weights is None else self._load(weights)

    def _load(self, path: Path) -> str:
        try:
            tensors = {_LAYER.sub(r"\1.layers.\2\3.", name): tensor for name, tensor in _tensors(path).items()}
            self.trunk.load_state_dict({name.removeprefix("features."): tensor for name, tensor in tensors.items() if name.startswith("features.")})
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            raise LookalikeError(
                f"The classifier's weights cannot be used: {' '.join(str(error).split())[:200]}",
                str(path),
                "Give a safetensors file of a DenseNet-121 with torchvision's names, or none for random weights.",
            ) from error
        return f"{path.name} sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"

    def prepare(self, pixels: NDArray) -> Tensor:
        """Stored images, uint8 or uint16, as the network takes them, on its device: `colours` in [0, 1], bilinear to its size, grey as RGB, ImageNet's mean
        and spread.

        The corners of the images stay in place, whereas TensorFlow 1 shifts them by up to half a pixel.
        """
        device = next(self.parameters()).device
        images = torch.from_numpy(np.ascontiguousarray(colours(pixels))).to(device).to(torch.float32) / float(np.iinfo(pixels.dtype).max)
        images = functional.interpolate(images, size=(self.size, self.size), mode="bilinear", align_corners=False)
        mean, std = (torch.tensor(values, device=device)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))
        return (images - mean) / std

    def features(self, images: Tensor) -> Tensor:
        """Prepared images to what the last layer sees, [b, 1024]: averages over space."""
        return functional.relu(self.trunk(images)).mean(dim=(2, 3))

    def forward(self, images: Tensor) -> Tensor:
        """Prepared images to logits [b, labels]; the sigmoid is left to the loss and to `predict`."""
        return self.head(self.features(images))


def colours(pixels: NDArray) -> NDArray:
    """Stored images as networks of colour pictures see them: [b, H, W] as grey [b, 1, H, W], and of [b, C, H, W] the first three channels as red, green, blue
    (H19: T2, T1 before contrast and the first after it).

    Raises:
        LookalikeError: they have two channels.
    """
    if pixels.ndim == 3:
        return pixels[:, None]
    if pixels.shape[1] < 3:
        raise LookalikeError(
            f"Images of {pixels.shape[1]} channels are neither grey nor red, green and blue",
            "the image store",
            "Give images of one channel, or of three or more.",
        )
    return pixels[:, :3]


def save_classifier(path: Path, classifier: Classifier, *, labels: Sequence[str], **about: Any) -> None:
    """Write a classifier's weights as safetensors and, beside them, what it is as JSON.

    Args:
        path: `<name>.safetensors`; the JSON is `<name>.json`.
        classifier: it.
        labels: names, in the order of its outputs.
        about: what else is worth knowing (JSON).
    """
    description = {"labels": list(labels), **classifier.architecture, "backbone": classifier.backbone, **about}
    with atomic(path.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(description, indent=2) + "\n")
    with atomic(path) as temporary:
        temporary.write_bytes(save({name: tensor.cpu().contiguous() for name, tensor in classifier.state_dict().items()}))


def load_classifier(path: Path) -> tuple[Classifier, dict[str, Any]]:
    """A saved classifier, on the CPU and in evaluation mode, and its description.

    Raises:
        LookalikeError: either file is missing or damaged, they do not fit, or a weight is not finite.
    """
    try:
        about = json.loads(path.with_suffix(".json").read_text())
        architecture = {name: about[name] for name in ("size", "init_features", "growth_rate", "block_config")}
        classifier = Classifier(len(about["labels"]), seed=0, **architecture)
        classifier.load_state_dict(_tensors(path))
        classifier.backbone = about["backbone"]
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise LookalikeError(
            f"A classifier's weights cannot be read: {' '.join(str(error).split())[:200]}", str(path), "Delete the file and run the workflow again."
        ) from error
    return classifier.eval(), about


def _tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a weights file; ValueError where one is not finite."""
    tensors = load_file(path)
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise ValueError(f"{name} is not finite")
    return tensors


def label_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Binary cross-entropy of each image, the mean over its known labels: [n, l] and [n, l] to [n]."""
    known = ((labels == 0) | (labels == 1)).to(logits.dtype)
    losses = functional.binary_cross_entropy_with_logits(logits, (labels == 1).to(logits.dtype), weight=known, reduction="none")
    return losses.sum(dim=1) / known.sum(dim=1).clamp(min=1)


@dataclass(frozen=True)
class Progress:
    """Where a training stands after some epochs."""

    learning_rate: float
    """Of the next epoch."""
    best: int
    """The epoch (from 0) whose weights are kept; -1 before the first."""
    done: bool


@dataclass(frozen=True)
class Schedule:
    """D21's schedule, as a pure function of the mean validation AUC after each epoch."""

    images: int = 5000
    """Images an epoch, at most; whole batches."""
    batch: int = 48
    learning_rate: float = 1e-4
    factor: float = 0.1
    """The learning rate is multiplied by it ..."""
    patience: int = 2
    """... after so many epochs without a new best, counted anew after each cut ..."""
    minimum: float = 1e-8
    """... but not below this."""
    stop: int = 3
    """Training ends after so many epochs without a new best ..."""
    epochs: int = 100
    """... or after so many epochs."""

    def steps(self, images: int) -> int:
        """Batches an epoch with so many images to train on."""
        return max(min(self.images, images) // self.batch, 1)

    def progress(self, aucs: Sequence[float]) -> Progress:
        """Where a training with these AUCs of its epochs stands. An AUC as good as the best is no new best."""
        rate, best, waited = self.learning_rate, -1, 0
        for epoch, auc in enumerate(aucs):
            if best < 0 or auc > aucs[best]:
                best, waited = epoch, 0
                continue
            waited += 1
            if waited == self.patience:
                rate, waited = max(rate * self.factor, self.minimum), 0
        return Progress(rate, best, len(aucs) >= self.epochs or len(aucs) - 1 - best >= self.stop)


@dataclass(frozen=True)
class Fold:
    """Images to train or validate on."""

    images: Images
    """uint8 or uint16 [n, H, W] or [n, C, H, W]."""
    labels: NDArray
    """[n, l]."""


def load_fold(
    tables: Sequence[Path], parts: Sequence[Path], split: Literal["train", "validation", "test"], *, level: int
) -> tuple[pd.DataFrame, Fold]:
    """A split of an image set with labels: its rows of the set's table (whose index they keep), and its images at a level of detail.

    Raises:
        LookalikeError: the split is empty, or the store does not hold the images.
    """
    table = image_table(tables)
    table = table[table["split"] == split]
    if table.empty:
        raise LookalikeError(f"The split `{split}` has no image", str(tables[0]), "Give the set more images, or that split a larger share of them.")
    return table, Fold(ImageStore(table, parts).level(level), label_matrix(table)[1])


def fit(classifier: Classifier, train: Fold, validation: Fold, *, schedule: Schedule, seed: int, mirror: bool = True) -> list[float]:
    """Train a classifier, in place, and leave it with the weights of the best epoch, in evaluation mode.

    On one machine's CPU, with as many threads, the same seed gives the same weights.

    Args:
        classifier: on the device to train on.
        train, validation: of the same labels.
        schedule: when to cut, when to stop.
        seed: of the order and of the mirroring.
        mirror: flip half of the training images left to right, as D21's code does.

    Returns:
        Mean validation AUC after each epoch.

    Raises:
        LookalikeError: no label of the validation images has both present and absent, or the weights are no longer finite.
    """
    optimiser = torch.optim.Adam(classifier.parameters(), lr=schedule.learning_rate, eps=ADAM_EPSILON)
    device = next(classifier.parameters()).device
    steps = schedule.steps(len(train.images))
    batches = real_batches(
        train.images, start=0, total=schedule.epochs * steps * schedule.batch, batch=schedule.batch, seed=seed, stage=0, mirror=mirror
    )
    aucs: list[float] = []
    kept: dict[str, Tensor] = {}
    while not (progress := schedule.progress(aucs)).done:
        classifier.train()
        for group in optimiser.param_groups:
            group["lr"] = progress.learning_rate
        total = torch.zeros((), device=device)
        for _ in range(steps):
            pixels, order = next(batches)
            loss = label_loss(classifier(classifier.prepare(pixels)), torch.from_numpy(train.labels[order]).to(device)).mean()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            optimiser.step()
            total += loss.detach()
        aucs.append(float(mean_auc(label_aucs(validation.labels, predict(classifier, validation.images)))[0]))
        if np.isnan(aucs[-1]):
            raise LookalikeError(
                "No label has both present and absent among the validation images, so no epoch can be called the best",
                "labels of the validation fold",
                "Give the fold more images, or leave out labels that never vary.",
            )
        if schedule.progress(aucs).best == len(aucs) - 1:
            kept = {name: tensor.detach().clone() for name, tensor in classifier.state_dict().items()}
        logger.info("epoch %d: loss %.4f, validation AUC %.4f, learning rate %g", len(aucs), float(total) / steps, aucs[-1], progress.learning_rate)
    classifier.load_state_dict(kept)
    classifier.eval()
    return aucs


@torch.inference_mode()
def predict(classifier: Classifier, images: Images) -> NDArray[np.float32]:
    """Probability of each label, [n, l]. The classifier is left in evaluation mode."""
    return np.concatenate([torch.sigmoid(classifier(batch)).cpu().numpy() for batch in _prepared(classifier, images)])


@torch.inference_mode()
def extract_features(classifier: Classifier, images: Images) -> NDArray[np.float32]:
    """What the last layer sees of each image, [n, 1024]. The classifier is left in evaluation mode."""
    return np.concatenate([classifier.features(batch).cpu().numpy() for batch in _prepared(classifier, images)])


def _prepared(classifier: Classifier, images: Images) -> Iterator[Tensor]:
    """The images, some at a time, for a network in evaluation mode."""
    classifier.eval()
    for start in range(0, len(images), BATCH):
        yield classifier.prepare(images[np.arange(start, min(start + BATCH, len(images)))])
