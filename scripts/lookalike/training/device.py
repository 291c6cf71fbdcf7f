"""Where networks run."""

from __future__ import annotations

import logging
from typing import Literal

import torch

from lookalike.errors import LookalikeError

logger = logging.getLogger(__name__)


def choose_device(wish: Literal["auto", "cpu", "cuda"], *, threads: int) -> torch.device:
    """The device to run on, with a line in the log that nobody overlooks: a run on the wrong one takes a hundred times longer.

    Args:
        wish: auto = CUDA where there is one.
        threads: CPU threads that torch may use.

    Raises:
        LookalikeError: CUDA was asked for and there is none.
    """
    torch.set_num_threads(threads)
    available = torch.cuda.is_available()
    if wish == "cuda" and not available:
        raise LookalikeError(
            "CUDA was asked for, but torch finds no CUDA device", "device: cuda", "Use device: auto, or start the job where a GPU is."
        )
    if wish != "cpu" and available:
        torch.backends.cudnn.benchmark = True  # shapes are constant within a stage
        logger.warning("=== DEVICE: CUDA, %s ===", torch.cuda.get_device_name())
        return torch.device("cuda")
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # unread here; filling it is slow
    logger.warning("=== DEVICE: CPU, %d threads (%s) ===", torch.get_num_threads(), "as asked" if wish == "cpu" else "no CUDA device found")
    return torch.device("cpu")
