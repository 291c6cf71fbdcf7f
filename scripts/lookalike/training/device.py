"""Where networks run."""

from __future__ import annotations

import logging
from typing import Literal

import torch

from lookalike.errors import LookalikeError
from lookalike.training.ranks import ALONE, Ranks

logger = logging.getLogger(__name__)


def choose_device(wish: Literal["auto", "cpu", "cuda"], *, threads: int, ranks: Ranks = ALONE) -> torch.device:
    """The device to run on, with a line in the log that nobody overlooks: a run on the wrong one takes a hundred times longer.

    Args:
        wish: auto = CUDA where there is one.
        threads: CPU threads that torch may use.
        ranks: each takes a CUDA device of its own.

    Raises:
        LookalikeError: CUDA was asked for and there is none, or there are fewer devices than ranks.
    """
    torch.set_num_threads(threads)
    available = torch.cuda.is_available()
    times = f"{ranks.size} x " if ranks.size > 1 else ""
    if wish == "cuda" and not available:
        raise LookalikeError(
            "CUDA was asked for, but torch finds no CUDA device", "device: cuda", "Use device: auto, or start the job where a GPU is."
        )
    if wish != "cpu" and available:
        if torch.cuda.device_count() < ranks.size:
            raise LookalikeError(
                f"This stage asks for {ranks.size} GPUs, but the job sees {torch.cuda.device_count()}",
                "gpu of the stage",
                "Have the scheduler give all of them to one task (README, On your cluster), or lower gpu.",
            )
        torch.backends.cudnn.benchmark = True  # shapes are constant within a stage
        logger.warning("=== DEVICE: CUDA, %s%s ===", times, torch.cuda.get_device_name())
        torch.cuda.set_device(ranks.rank)
        return torch.device("cuda", ranks.rank)
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # unread here; filling it is slow
    logger.warning("=== DEVICE: CPU, %s%d threads (%s) ===", times, torch.get_num_threads(), "as asked" if wish == "cpu" else "no CUDA device found")
    return torch.device("cpu")
