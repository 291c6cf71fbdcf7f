"""Real images, their labels, and random numbers for training, all as functions of the step.

Every draw of a step is a pure function of (seed, stage, purpose, nimg), and the order of the images one of (seed, stage, epoch). So a resumed run needs no
saved generator state and no data position: nimg alone says what comes next, whichever process computes it. Where several ranks train, each draws for the
whole batch and keeps its share.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lookalike.generators.layers import downsample, upsample

MEMORY_LIMIT = 2 << 30  # bytes; a larger level is read batch by batch
PREFETCHED = 4  # batches on their way while the networks work

Classes = Sequence[NDArray[np.int64]]  # indices of each class's images


class Images(Protocol):
    """One level of an image store: uint8 or uint16 [n, H, W] or [n, C, H, W], of which the dtype's maximum is white."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, H, W) or (n, C, H, W)."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """uint8 or uint16."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: np.ndarray) -> np.ndarray: ...


class Purpose(IntEnum):
    """What random numbers are for: uses share no stream. 0 is left to sampling."""

    WEIGHTS = 1
    ORDER = 2
    MIRROR = 3
    STEP = 4
    LABELS = 5
    EVALUATION = 6


@dataclass(frozen=True)
class Labels:
    """The labels that a conditional generator learns, image by image.

    Attributes:
        names: of the labels.
        vectors: multi-hot [n, labels] float32; unknown labels count as absent.
    """

    names: list[str]
    vectors: NDArray[np.float32]

    def most_frequent(self, count: int) -> NDArray[np.float32]:
        """Up to so many distinct vectors, the most frequent first."""
        distinct, counts = np.unique(self.vectors, axis=0, return_counts=True)
        return distinct[np.argsort(-counts, kind="stable")[:count]]

    def classes(self) -> list[NDArray[np.int64]]:
        """Indices of each class's images; a class is the images of one vector, and vectors are in lexical order."""
        distinct, of = np.unique(self.vectors, axis=0, return_inverse=True)
        return [np.flatnonzero(of.ravel() == number) for number in range(len(distinct))]


def multi_hot(labels: NDArray[np.integer]) -> NDArray[np.float32]:
    """Label vectors of 1, 0 or -1 (unknown) as networks take them: unknown labels count as absent."""
    return (labels == 1).astype(np.float32)


def random_numbers(seed: int, stage: int, purpose: Purpose, *index: int) -> np.random.Generator:
    """The random numbers of one purpose at one moment (index: nimg, or the epoch, and of what)."""
    return np.random.default_rng([seed, stage, purpose, *index])


def evaluated_images(images: int, count: int, *, seed: int, stage: int, classes: Classes | None = None, draw: int = 0) -> np.ndarray:
    """Indices [count] of the images that generated ones are judged against: as many different ones as there are, over and over.

    Args:
        classes: to take images of each in turn.
        draw: each has its own.
    """
    numbers = random_numbers(seed, stage, Purpose.EVALUATION, 2 * draw)
    if classes is None:
        return np.resize(numbers.permutation(images), count)
    chosen = np.empty(count, dtype=np.int64)
    for number, members in enumerate(classes):
        places = chosen[number :: len(classes)]
        places[:] = np.resize(numbers.permutation(members), len(places))
    return chosen


def image_order(images: int, *, nimg: int, batch: int, seed: int, stage: int, of: tuple[int, ...] = ()) -> np.ndarray:
    """Indices [batch] of the step at nimg: positions nimg, nimg + 1, ... of a sequence of epochs, each a permutation of all images; `of` tells sequences apart."""
    position = np.arange(nimg, nimg + batch)
    order = np.empty(batch, dtype=np.int64)
    for epoch in range(nimg // images, (nimg + batch - 1) // images + 1):
        here = position // images == epoch
        order[here] = _permutations(images, seed, stage, of)(epoch)[position[here] % images]
    return order


def balanced_order(classes: Classes, *, nimg: int, batch: int, seed: int, stage: int) -> np.ndarray:
    """Indices [batch] of the step at nimg, as many of each of K classes: position p is of class p mod K, and is the (p div K)-th of its own sequence."""
    order = np.empty(batch, dtype=np.int64)
    for number, members in enumerate(classes):
        first = (number - nimg) % len(classes)
        places = order[first :: len(classes)]
        turn = (nimg + first) // len(classes)
        places[:] = members[image_order(len(members), nimg=turn, batch=len(places), seed=seed, stage=stage, of=(number,))]
    return order


@lru_cache(maxsize=256)
def _permutations(images: int, seed: int, stage: int, of: tuple[int, ...]) -> Callable[[int], np.ndarray]:
    """A sequence's permutations by epoch. Kept are an epoch and the next, which one batch can touch both of: a million numbers take as long as a step."""
    return lru_cache(maxsize=2)(lambda epoch: random_numbers(seed, stage, Purpose.ORDER, epoch, *of).permutation(images))


def real_batches(
    images: Images,
    *,
    start: int,
    total: int,
    batch: int,
    seed: int,
    stage: int,
    mirror: bool,
    share: slice | np.ndarray = slice(None),
    classes: Classes | None = None,
) -> Generator[tuple[np.ndarray, np.ndarray], None, None]:
    """The batches of the steps at start, start + batch, ... below total, or a share of each (positions in the batch): uint8 or uint16 [share, H, W] (or
    [share, C, H, W]), and the images' indices [share]. With classes, as many of each.

    A level of up to 2 GB is held in memory; of a larger one, batches are read by two threads ahead of their use.
    """
    size = int(np.prod(images.shape)) * images[np.arange(1)].dtype.itemsize
    held = images[np.arange(len(images))] if size <= MEMORY_LIMIT else None
    source = images if held is None else held

    def read(nimg: int) -> tuple[np.ndarray, np.ndarray]:
        if classes is None:
            order = image_order(len(images), nimg=nimg, batch=batch, seed=seed, stage=stage)[share]
        else:
            order = balanced_order(classes, nimg=nimg, batch=batch, seed=seed, stage=stage)[share]
        pixels = source[order]
        if mirror:
            flip = (random_numbers(seed, stage, Purpose.MIRROR, nimg).random(batch) < 0.5)[share]
            pixels[flip] = pixels[flip][..., ::-1]
        return pixels, order

    steps = range(start, total, batch)
    if held is not None:
        yield from map(read, steps)
        return
    with ThreadPoolExecutor(2, thread_name_prefix="images") as readers:
        waiting: deque[Future[tuple[np.ndarray, np.ndarray]]] = deque()
        for nimg in steps:
            waiting.append(readers.submit(read, nimg))
            if len(waiting) > PREFETCHED:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def to_device(pixels: np.ndarray, device: torch.device) -> Tensor:
    """Stored pixels [N, H, W] or [N, C, H, W] to [N, C, H, W] float32 in [-1, 1]. They cross to the device as they are: a quarter or half of the bytes."""
    maximum = float(np.iinfo(pixels.dtype).max)
    tensor = torch.from_numpy(np.ascontiguousarray(pixels))
    if device.type == "cuda":
        tensor = tensor.pin_memory()
    tensor = tensor.to(device, non_blocking=True)
    return (tensor[:, None] if tensor.ndim == 3 else tensor).to(torch.float32) * (2 / maximum) - 1


def fade_reals(images: Tensor, alpha: float) -> Tensor:
    """Reals faded as the generator's images are: from their 2x2 means, doubled, to themselves (Karras et al. 2018)."""
    return images if alpha >= 1 else torch.lerp(upsample(downsample(images)), images, alpha)
