"""One scatter part of a cohort: every file decoded, shown, measured and stored.

Files are decoded in worker processes, even when there is only one: a decoder that crashes or hangs on a broken file then costs one row (one exam of `patches`).
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lookalike.config import Kind, Pixels
from lookalike.pixels.detect import find_foreign_bodies, text_score, working
from lookalike.pixels.display import UndecodableError, display, pixel_hash, read_stored
from lookalike.pixels.geometry import breast_mask, chest_wall_side, frame, normalise
from lookalike.pixels.store import PartWriter, level_shape
from lookalike.workers import start_workers

LOG = logging.getLogger("lookalike")
PROGRESS_SECONDS = 5.0
# A decoder that has not come back after this time hangs: the largest JPEG 2000 mammograms take seconds.
DECODE_SECONDS = 300.0
# A code stream of a few hundred bytes can unfold to any size: what a worker may take above what it starts with, in bytes. The largest picture that
# is let in needs 0.9 GB.
MEMORY = 2 * 2**30
# Images in flight a worker: enough that none waits, few enough that memory stays flat.
IN_FLIGHT = 3

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Features:
    """What is measured on one file; a row of the features table, but for `row_id`, `part` and `row`.

    Breast, foreign bodies, text and chest wall are looked for on mammograms alone.

    Attributes:
        problem: why it could not be decoded, "" where it could; nothing else is known then.
        constant: all pixels (but padding) have one value.
        breast_fraction: share of the picture that is breast.
        foreign_body_score, foreign_body_kind, text_score: of `detect`; 1 is the operating point.
        pixel_hash: of `display.pixel_hash`.
        rows, columns: size of the decoded picture.
        chest_wall: side on which it was found, "left" or "right", before any flip.
        window: what scaled it, of `DisplayImage`.
    """

    problem: str = ""
    constant: bool = False
    breast_fraction: float = float("nan")
    foreign_body_score: float = float("nan")
    foreign_body_kind: str = ""
    text_score: float = float("nan")
    pixel_hash: str = ""
    rows: int = 0
    columns: int = 0
    chest_wall: str = ""
    window: str = ""


Prepared = tuple[Features, NDArray[np.float32] | None]


def prepare_image(path: Path, *, pixels: Pixels, kind: Kind) -> Prepared:
    """Features and top-level picture ([base * 2^(levels-1)] float32 in [0, 1]) of one file; None in place of an undecodable one."""
    try:
        return _prepared(path, pixels, kind)
    except UndecodableError as error:
        return Features(problem=str(error)), None
    except MemoryError:
        return Features(problem="the image takes more memory than any mammogram"), None


def _prepared(path: Path, pixels: Pixels, kind: Kind) -> Prepared:
    stored = read_stored(path)
    image = display(stored, window=pixels.window, kind=kind)
    upright = np.ascontiguousarray(np.rot90(image.pixels, pixels.rotate // 90))
    shape = level_shape(pixels.base, pixels.levels - 1)
    image_values = stored.values[~stored.padding] if stored.padding.any() else stored.values
    features = Features(
        constant=image_values.size == 0 or bool(image_values.min() == image_values.max()),
        pixel_hash=pixel_hash(stored),
        rows=image.pixels.shape[0],
        columns=image.pixels.shape[1],
        window=image.window,
    )
    if kind != "mammography":
        return features, frame(upright, shape=shape, side="middle", fit=pixels.fit)
    mask = breast_mask(upright)
    reduced = working(upright, mask)
    body = find_foreign_bodies(reduced)
    features = replace(
        features,
        breast_fraction=float(np.count_nonzero(mask) / mask.size),
        foreign_body_score=body.score,
        foreign_body_kind=body.kind,
        # text outside the breast never reaches the store where the background is zeroed
        text_score=0.0 if pixels.background == "zero" else text_score(reduced),
        chest_wall=chest_wall_side(mask),
    )
    return features, normalise(upright, mask=mask, shape=shape, chest_wall=pixels.chest_wall, background=pixels.background, fit=pixels.fit)


def prepare_part(candidates: pd.DataFrame, *, root: Path, part: int, pixels: Pixels, kind: Kind, output: Path, processes: int) -> pd.DataFrame:
    """Decode a part's files into a store part, in order, with memory that does not grow with their number.

    Args:
        candidates: columns `row_id` and `path` (relative to root), a row a file.
        root: folder of the raw images.
        part: number of the part, for the table.
        pixels: the config section.
        kind: what the images show.
        output: folder `part-<number>.zarr` to write.
        processes: files decoded at once.

    Returns:
        A row a candidate, in order: `row_id`, the fields of `Features`, `part` and `row` (place in the store part; -1 where undecodable).
    """
    paths = [root / path for path in candidates["path"]]
    records = []
    clock = Progress(len(paths), f"part {part}", "images")
    with PartWriter(output, capacity=len(paths), base=pixels.base, levels=pixels.levels, bits=pixels.bits) as writer:
        prepare = partial(prepare_image, pixels=pixels, kind=kind)
        done = in_order(paths, prepare, failed=_failed, processes=processes, in_flight=IN_FLIGHT, seconds=DECODE_SECONDS, memory=MEMORY)
        for features, picture in done:
            row = -1 if picture is None else writer.append(picture)
            records.append(asdict(features) | {"part": part, "row": row})
            clock.tick()
    columns = [*asdict(Features()), "part", "row"]
    table = pd.DataFrame.from_records(records, columns=columns)
    table.insert(0, "row_id", candidates["row_id"].to_numpy())
    return table


def in_order(
    items: Sequence[Item],
    work: Callable[[Item], Result],
    *,
    failed: Callable[[str], Result],
    processes: int,
    in_flight: int,
    seconds: float,
    memory: int,
) -> Iterator[Result]:
    """Results of worker processes, in order. After a crash or a hang, the items that were in flight are tried again, each in a process of its own.

    Args:
        items: what `work` is called with.
        work: picklable; an error that it raises is raised here.
        failed: what stands for the result of an item that takes its process down or hangs, from a sentence.
        processes: workers.
        in_flight: items a worker that are begun, or done and not yet taken.
        seconds: an item that is waited for longer hangs.
        memory: bytes that a worker may take, as of `start_workers`.
    """
    done = 0
    while done < len(items):
        flight: deque[Future[Result]] = deque()
        pool = start_workers(processes, memory=memory)
        try:
            while done < len(items):
                while len(flight) < in_flight * processes and done + len(flight) < len(items):
                    flight.append(pool.submit(work, items[done + len(flight)]))
                result = flight[0].result(timeout=seconds)
                flight.popleft()
                done += 1
                yield result
        except (BrokenProcessPool, TimeoutError):
            LOG.warning("a decoder crashed or hangs; the %d in flight are decoded one by one", len(flight))
        finally:
            _end(pool)
        for _ in flight:
            result = _alone(items[done], work, failed, seconds, memory)
            done += 1
            yield result


def _failed(problem: str) -> Prepared:
    return Features(problem=problem), None


def _alone(item: Item, work: Callable[[Item], Result], failed: Callable[[str], Result], seconds: float, memory: int) -> Result:
    """One item in a process of its own, which it may take down."""
    pool = start_workers(1, memory=memory)
    try:
        return pool.submit(work, item).result(timeout=seconds)
    except BrokenProcessPool:
        return failed("the decoder crashed")
    except TimeoutError:
        return failed(f"the decoder took more than {seconds:.0f} s")
    finally:
        _end(pool)


def _end(pool: ProcessPoolExecutor) -> None:
    """Stop a pool at once, hanging workers included."""
    workers = list((pool._processes or {}).values())  # the public API cannot stop a running worker before Python 3.14
    pool.shutdown(wait=False, cancel_futures=True)
    for worker in workers:
        worker.kill()


class Progress:
    """A line in the log every few seconds."""

    def __init__(self, total: int, name: str, things: str) -> None:
        self.total, self.name, self.things, self.done = total, name, things, 0
        self.start = self.last = time.monotonic()

    def tick(self) -> None:
        self.done += 1
        now = time.monotonic()
        if now - self.last >= PROGRESS_SECONDS or self.done == self.total:
            self.last = now
            rate = self.done / max(now - self.start, 1e-9)
            left = (self.total - self.done) / rate
            LOG.info("%s: %d of %d %s, %.1f a second, %.0f s left", self.name, self.done, self.total, self.things, rate, left)
