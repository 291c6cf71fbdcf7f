"""How the benchmarks measure: ours and the peer in turns, in one process, so that a busy machine slows both; ratios with their spread, never times alone."""

from __future__ import annotations

import logging
import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t as student


@dataclass(frozen=True)
class Options:
    """What the command line asks for. scratch: an empty folder on a disk; zoo: a checkout of pytorch_GAN_zoo, None without one; device: of the trainings."""

    scratch: Path
    zoo: Path | None = None
    device: str = "cpu"
    quick: bool = False


@dataclass(frozen=True)
class Row:
    """One line of the table.

    ours, peer: median seconds; ratio: median over rounds of peer / ours, so above 1 we are faster; low, high: its quartiles; reach: the ratio that is aimed at;
    holds: what had to be equal or bounded for the row to count, in words and figures.
    """

    job: str
    against: str
    ours: float
    peer: float
    ratio: float
    low: float
    high: float
    reach: float | None
    holds: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the ratio reaches its aim; None without one."""
        return None if self.reach is None else self.ratio >= self.reach

    def as_dict(self) -> dict[str, Any]:
        """For the JSON file."""
        return {**asdict(self), "met": self.met}


def race(
    job: str,
    against: str,
    ours: Callable[[], Any],
    peer: Callable[[], Any],
    *,
    reach: float | None,
    rounds: int = 7,
    share: float = 1.0,
    holds: str = "",
) -> Row:
    """Time both in turns after one warm-up of each.

    Args:
        job, against, reach, holds: as in `Row`.
        ours, peer: one whole job each.
        rounds: turns that count.
        share: part of the job that the peer does, where all of it would take hours; its time is divided by it.
    """
    ours(), peer()
    times = [(seconds(ours), seconds(peer) / share) for _ in range(rounds)]
    ratios = [slow / fast for fast, slow in times]
    low, ratio, high = statistics.quantiles(ratios, n=4, method="inclusive") if rounds > 1 else ratios * 3
    return Row(
        job, against, statistics.median(fast for fast, _ in times), statistics.median(slow for _, slow in times), ratio, low, high, reach, holds
    )


def seconds(work: Callable[[], Any]) -> float:
    """Wall time of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def in_child(work: Callable[..., Any], *arguments: Any) -> tuple[float, float]:
    """Seconds and peak resident memory in bytes above what was there before, of `work(*arguments)` in a fresh process.

    work: a function at the top of a module. Where it returns a function, that one is measured, and `work` made what it needs; where the result is a number,
    it stands for the wall time. Processes that it starts count by the largest of them.
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:  # its workers may have workers, those of a Pool may not
        return pool.submit(_measured, work, arguments).result()


def _measured(work: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[float, float]:
    logging.disable(logging.WARNING)
    before, started = _peak(), time.perf_counter()
    result = work(*arguments)
    if callable(result):
        before, started = _peak(), time.perf_counter()
        result()
    taken = time.perf_counter() - started
    return result if isinstance(result, float) else taken, _peak() - before


def _peak() -> float:
    """Bytes. Of this process since it was started (`ru_maxrss` would tell its parent's), or of its largest child, where that is more."""
    lines = Path("/proc/self/status").read_text().splitlines()
    own = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    return 1024.0 * max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)


@dataclass(frozen=True)
class Growth:
    """How a stage's cost grows with its size.

    unit: what the sizes count; seconds, memory: at each size, and memory in bytes, above what the process and its input take; slopes: of their logarithms on
    that of the size, with their 95 % intervals: 0 flat, 1 linear, 2 quadratic. Memory below `FLOOR` counts as that; note: why a slope is no 1, or no 0.
    """

    stage: str
    unit: str
    sizes: tuple[int, ...]
    seconds: tuple[float, ...]
    memory: tuple[float, ...]
    time_slope: float
    time_low: float
    time_high: float
    memory_slope: float
    memory_low: float
    memory_high: float
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For the JSON file."""
        return asdict(self)


FLOOR = 2.0**24  # bytes: below, an allocator's habits are measured


def grow(stage: str, unit: str, sizes: Sequence[int], measure: Callable[[int], tuple[float, float]], *, rounds: int, note: str = "") -> Growth:
    """Measure each size so many times, in turns; slopes are of all measurements, seconds and memory of the table their medians."""
    found: dict[int, list[tuple[float, float]]] = {size: [] for size in sizes}
    for _ in range(rounds):
        for size in sizes:
            found[size].append(measure(size))
    places = [size for size in sizes for _ in range(rounds)]
    times, memory = zip(*(pair for size in sizes for pair in found[size]), strict=True)
    middle = [[statistics.median(pair[k] for pair in found[size]) for size in sizes] for k in (0, 1)]
    slopes = (*_slope(places, times), *_slope(places, [max(value, FLOOR) for value in memory]))
    return Growth(stage, unit, tuple(sizes), tuple(middle[0]), tuple(middle[1]), *slopes, note)


def _slope(sizes: Sequence[int], values: Sequence[float]) -> tuple[float, float, float]:
    """Of log value on log size by least squares, and its 95 % interval."""
    x, y = (np.log(column) - np.log(column).mean() for column in (sizes, values))
    slope = float(x @ y / (x @ x))
    error = np.sqrt(((y - slope * x) ** 2).sum() / (len(x) - 2) / (x @ x))
    half = float(student.ppf(0.975, len(x) - 2) * error)
    return slope, slope - half, slope + half
