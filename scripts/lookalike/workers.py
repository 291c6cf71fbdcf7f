"""Worker processes that read what others wrote: bounded in memory, and gone with the job that started them."""

from __future__ import annotations

import ctypes
import multiprocessing
import resource
import signal
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)


def start_workers(processes: int, *, memory: int) -> ProcessPoolExecutor:
    """A pool of forked processes; an allocation beyond `memory` bytes above what a process starts with is a MemoryError. (Only Linux counts what is mapped, and tells of a
    parent's death; elsewhere neither holds.)"""
    # spawned workers would run the calling script again
    return ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("fork"), initializer=_begin, initargs=(memory,))


def end_with_parent(number: signal.Signals) -> None:
    """Have the system send this process a signal when its parent is gone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, number)


def _begin(memory: int) -> None:
    end_with_parent(signal.SIGKILL)
    if sys.platform == "linux":
        data = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_DATA, (data + memory, resource.getrlimit(resource.RLIMIT_DATA)[1]))
