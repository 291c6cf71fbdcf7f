"""From files to the store and to the index, against what decoding and reading alone take. The files are phantoms of a mammogram's size, one a file, cached."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
from numpy.typing import NDArray

from benchmarks.timing import Options, Row, race
from lookalike.cohort.header import TAGS
from lookalike.cohort.index import build_index
from lookalike.config import Pixels
from lookalike.phantoms import dicom, mammography
from lookalike.pixels import prepare, store

SHAPE = (2294, 1914)  # of the commonest full-field detectors
PERSON = dicom.Person("PHANTOM", "PHANTOM^B", "19600101", 60, "20200101", "120000", "1234567", "NOWHERE", "NOBODY^N")
UID = "1.2.826.0.1.3680043.10.43.1{:09d}"  # of one length, so that a file gets another by copying


def run(options: Options) -> Iterator[Row]:
    """Stores, with one worker and with two; the header index."""
    shape, count, rounds = ((320, 256), 6, 1) if options.quick else (SHAPE, 24, 5)
    pixels = Pixels(levels=6) if options.quick else Pixels()
    compressed, plain = (_files(options.scratch / kind, kind == "compressed", shape=shape, count=count) for kind in ("compressed", "plain"))
    cost = f"the store's own work (levels, digest, compression) is {1e3 * _storing(options.scratch, pixels):.0f} ms of an image"
    holds = f"{count} mammograms of {shape[0]} x {shape[1]}, 12 to 14 bit; all kept; {cost}"
    for kind, paths, reach in (("JPEG lossless and JPEG 2000", compressed, 1 / 1.3), ("uncompressed", plain, None)):
        yield race(
            f"DICOM to store, {kind}, one worker",
            "pydicom, decode alone",
            lambda paths=paths: _store(options.scratch, paths, pixels, processes=1),
            lambda paths=paths: _decode(paths),
            reach=reach,
            rounds=rounds,
            holds=holds,
        )
    yield race(
        "DICOM to store, JPEG lossless and JPEG 2000, two workers",
        "one worker",
        lambda: _store(options.scratch, compressed, pixels, processes=2),
        lambda: _store(options.scratch, compressed, pixels, processes=1),
        reach=1.8,
        rounds=rounds,
        holds=f"on {len(os.sched_getaffinity(0))} cores; beside the workers, the writer runs; what the machine can give is in the next line",
    )
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as pool:
        yield race(
            "decode alone, JPEG lossless and JPEG 2000, two processes",
            "one process",
            lambda: list(pool.map(_decode, (compressed[::2], compressed[1::2]))),
            lambda: _decode(compressed),
            reach=None,
            rounds=rounds,
            holds="the pictures stay where they are decoded",
        )
    yield _index(options)


def _files(folder: Path, compressed: bool, *, shape: tuple[int, int], count: int) -> list[Path]:
    """Mammograms of the phantom vendors that compress, or of those that do not, in turn."""
    folder.mkdir()
    vendors = [
        vendor
        for vendor in dicom.VENDORS
        if vendor.bits > 8 and (vendor.syntax not in (dicom.ImplicitVRLittleEndian, dicom.ExplicitVRLittleEndian)) == compressed
    ]
    paths = []
    for number in range(count):
        side = "LR"[number % 2]
        image = mammography.render(mammography.draw(number, density="ABCD"[number % 4]), view="CC", laterality=side, shape=shape)
        vendor = vendors[number % len(vendors)]
        paths.append(folder / f"{number}.dcm")
        dicom.write(paths[-1], dicom.dataset(_shot(vendor, number, side), dicom.stored_values(image, vendor)))
    return paths


def _shot(vendor: dicom.Vendor, number: int, side: str) -> dicom.Shot:
    return dicom.Shot(vendor, PERSON, "CC", side, 1, 0.1, UID.format(1), UID.format(2), UID.format(number + 3))


def _store(scratch: Path, paths: list[Path], pixels: Pixels, *, processes: int) -> None:
    candidates = pd.DataFrame({"row_id": range(len(paths)), "path": [path.name for path in paths]})
    output = scratch / "part-000.zarr"
    table = prepare.prepare_part(candidates, root=paths[0].parent, part=0, pixels=pixels, kind="mammography", output=output, processes=processes)
    if (table["row"] < 0).any():
        raise RuntimeError(f"not all phantoms were stored: {table['problem'].unique()}")


def _decode(paths: list[Path]) -> None:
    for path in paths:
        _ = pydicom.dcmread(path).pixel_array


def _storing(scratch: Path, pixels: Pixels) -> float:
    """Seconds an image that writing alone takes, of phantoms at the store's size."""
    images = [
        mammography.render(mammography.draw(seed, density="B"), view="CC", laterality="L", shape=store.level_shape(pixels.base, pixels.levels - 1))
        for seed in range(8)
    ]
    started = time.perf_counter()
    store.write_part(scratch / "part-000.zarr", images, n=len(images), base=pixels.base, levels=pixels.levels, bits=pixels.bits)
    return (time.perf_counter() - started) / len(images)


def tree(folder: Path, count: int, pixels: NDArray[np.uint16], *, hollow: bool) -> list[Path]:
    """Files of one header and one picture, with UIDs of their own; hollow: their pixels are a hole, so that a folder of many fits on a disk."""
    folder.mkdir()
    vendor = next(vendor for vendor in dicom.VENDORS if vendor.syntax == dicom.ExplicitVRLittleEndian)
    dicom.write(folder / "first", dicom.dataset(_shot(vendor, 0, "L"), pixels))
    whole = (folder / "first").read_bytes()
    (folder / "first").unlink()
    paths = [folder / f"{number:05d}.dcm" for number in range(count)]
    for number, path in enumerate(paths):
        own = whole[: len(whole) - pixels.nbytes if hollow else None].replace(UID.format(3).encode(), UID.format(number + 3).encode())
        path.write_bytes(own)
        os.truncate(path, len(whole))
    return paths


def _index(options: Options) -> Row:
    count, part = (200, 200) if options.quick else (20_000, 1_000)
    root = options.scratch / "index"
    paths = tree(root, count, np.zeros(SHAPE, dtype=np.uint16), hollow=True)

    def ours() -> pd.DataFrame:
        return build_index(root, adapter="dicom", table=None, key=b"0" * 32, processes=2, maximum_quarantined=0.0)

    if ours()["sop_uid"].tolist()[:part] != [values[TAGS.index("SOPInstanceUID")] for values in map(_whole, paths[:part])]:
        raise RuntimeError("the index and pydicom read other headers")
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as pool:
        return race(
            f"header index of {count:,} files",
            "pydicom.dcmread, pixels too",
            ours,
            lambda: list(pool.map(_whole, paths[:part], chunksize=part // 20)),
            reach=5.0,
            rounds=1 if options.quick else 3,
            share=part / count,
            holds=f"the peer's first {part:,} files; the same UIDs; two processes each, as the rule has; of {SHAPE[0]} x {SHAPE[1]}, their pixels holes in the file",
        )


def _whole(path: Path) -> list[str]:
    dataset = pydicom.dcmread(path)
    return [str(dataset.get(name)) for name in TAGS]
