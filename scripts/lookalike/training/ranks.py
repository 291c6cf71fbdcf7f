"""Processes that train as one: each computes with its share of every batch, and what they compute is averaged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor


class LostRankError(RuntimeError):
    """Another rank is gone, or cannot be reached: a consequence, never the cause."""


@dataclass(frozen=True)
class Ranks:
    """This process among those that train a stage; more than one need a process group (see launch.py).

    Attributes:
        rank: 0 to size - 1; the first one saves states and writes results.
        size: number of processes.
    """

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the rank that writes."""
        return self.rank == 0

    def share(self, batch: int, group: int) -> slice | np.ndarray:
        """Positions in a global batch that are this rank's [batch / size], such that the groups of `minibatch_std` there are groups of the whole batch.

        Of M groups, group m holds images m, m + M, m + 2M, ...; a rank takes M / size neighbouring groups and keeps their images in that order.

        Raises:
            ValueError: the groups cannot be shared evenly.
        """
        if self.size == 1:
            return slice(None)
        return np.arange(batch).reshape(min(group, batch), self.size, -1)[:, self.rank].ravel()

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors, all of one dtype and device, by their means over the ranks, in place: one buffer, one all-reduce."""
        if self.size == 1:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        _all_reduce(flat, dist.ReduceOp.SUM)
        flat /= self.size
        means = torch.split(flat, [tensor.numel() for tensor in tensors])
        torch._foreach_copy_(list(tensors), [mean.view_as(tensor) for mean, tensor in zip(means, tensors, strict=True)])

    def maximum(self, value: int) -> int:
        """The largest of the ranks' values, which all of them learn (on the CPU: no rank waits for its device)."""
        if self.size == 1:
            return value
        shared = torch.tensor(value)
        _all_reduce(shared, dist.ReduceOp.MAX)
        return int(shared)

    def wait(self) -> None:
        """Go on when all ranks are here."""
        self.maximum(0)


ALONE = Ranks()


def _all_reduce(tensor: Tensor, operation: dist.ReduceOp.RedOpType) -> None:
    try:
        dist.all_reduce(tensor, operation)
    except RuntimeError as error:
        raise LostRankError(str(error)) from error
