"""The image store: every level of detail of every image, one folder a scatter part, read as one array in table order.

A part is a Zarr v3 group with arrays `level_0` ([n, *base]) to `level_K` ([n, *(base * 2^K)]), of images of several channels [n, C, ...]. Lower levels are
2x2 means kept in floating point from the top, each rounded on its own (as the public code of progressive growing stores its levels). Shards keep the number
of files small.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import shutil
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, overload

import numpy as np
import pandas as pd
import zarr
from numpy.typing import ArrayLike, NDArray
from zarr.codecs import ZstdCodec

from lookalike.errors import LookalikeError

# A shard is one file and is written at once: large enough for few files, small enough that nine levels of them fit in memory.
SHARD_BYTES = 32 * 2**20
# A chunk is what reading one image decodes: the image itself where it is large, several where it is small.
CHUNK_BYTES = 64 * 2**10
COMPRESSION_LEVEL = 3
# Images of one chunk run that are read whole and then picked from, rather than asked for one by one, when at least this share is wanted.
DENSE = 0.25

Stored = NDArray[np.uint8] | NDArray[np.uint16]


def level_shape(base: tuple[int, int], level: int) -> tuple[int, int]:
    """Rows and columns of a level: base x 2^level."""
    return base[0] << level, base[1] << level


def image_shape(base: tuple[int, int], level: int, channels: int) -> tuple[int, ...]:
    """Shape of a level's images: [H, W], or [C, H, W] of several channels."""
    shape = level_shape(base, level)
    return shape if channels == 1 else (channels, *shape)


def halve(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means of 2x2 pixels of [..., H, W]; H and W even."""
    return np.asarray((images[..., ::2, ::2] + images[..., 1::2, ::2] + images[..., ::2, 1::2] + images[..., 1::2, 1::2]) / 4, dtype=np.float32)


def quantise(images: NDArray[np.float32], bits: Literal[8, 16]) -> Stored:
    """[0, 1] to 0 ... 2^bits - 1, rounded half to even and clipped."""
    top = 2**bits - 1
    return np.clip(np.rint(images * np.float32(top)), 0, top).astype(np.uint8 if bits == 8 else np.uint16)


def write_part(
    path: Path, images: Iterable[NDArray[np.float32]], *, n: int, base: tuple[int, int], levels: int, bits: Literal[8, 16], channels: int = 1
) -> None:
    """Write one part; it appears at `path` whole, or not at all.

    Args:
        path: folder `part-<number>.zarr`, replaced if there.
        images: top-level pictures, [base * 2^(levels-1)], of several channels [C, ...], float32 in [0, 1].
        n: how many there are.
        base: shape of level 0.
        levels: number of levels.
        bits: 8 or 16 a pixel.
        channels: channels of an image.

    Raises:
        LookalikeError: there are more or fewer than n images, or one has another shape.
    """
    with PartWriter(path, capacity=n, base=base, levels=levels, bits=bits, channels=channels) as writer:
        for image in images:
            writer.append(image)
        if writer.written != n:
            raise LookalikeError(f"{writer.written} images came where {n} were announced", path.name, "Pass n = the number of images.")


class PartWriter:
    """A part that is written image by image; use as a context manager. Without an error on leaving it is put in place.

    Args:
        path: as of `write_part`.
        capacity: most images that will come; fewer may.
        base, levels, bits, channels: as of `write_part`.
    """

    def __init__(self, path: Path, *, capacity: int, base: tuple[int, int], levels: int, bits: Literal[8, 16], channels: int = 1) -> None:
        self.path, self.capacity, self.levels, self.bits, self.channels = path, capacity, levels, bits, channels
        self.shape = image_shape(base, levels - 1, channels)
        self.written = 0
        self._base = base
        self._pixels = hashlib.sha256()
        self._temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")

    def __enter__(self) -> PartWriter:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        attributes = {"base": list(self._base), "levels": self.levels, "bits": self.bits, "channels": self.channels}
        self._group = group = zarr.create_group(self._temporary, attributes=attributes)
        dtype = np.dtype(f"u{self.bits // 8}")
        self._arrays: list[zarr.Array] = []
        for level in range(self.levels):
            shape = image_shape(self._base, level, self.channels)
            size = math.prod(shape) * dtype.itemsize
            chunk = max(1, min(CHUNK_BYTES // size, self.capacity))
            shard = chunk * max(1, min(SHARD_BYTES // (size * chunk), -(-self.capacity // chunk)))
            self._arrays.append(
                group.create_array(
                    f"level_{level}",
                    shape=(self.capacity, *shape),
                    chunks=(chunk, *shape),
                    shards=(shard, *shape),
                    dtype=dtype,
                    compressors=ZstdCodec(level=COMPRESSION_LEVEL),
                    fill_value=0,
                )
            )
        self._pending: list[list[Stored]] = [[] for _ in range(self.levels)]
        return self

    def append(self, image: NDArray[np.float32]) -> int:
        """Add a top-level picture, [H, W] or [C, H, W] in [0, 1]; returns its row."""
        if image.shape != self.shape or self.written == self.capacity:
            wrong = (
                f"image {self.written} has the shape {image.shape}, not {self.shape}"
                if image.shape != self.shape
                else "more images came than announced"
            )
            raise LookalikeError(wrong, self.path.name, "Pass pictures of the top level's shape, and at most as many as announced.")
        row, current = self.written, np.asarray(image, dtype=np.float32)
        self.written += 1
        for level in reversed(range(self.levels)):
            stored = quantise(current, self.bits)
            if level == self.levels - 1:  # the lower levels follow from it
                self._pixels.update(stored.tobytes())
            self._pending[level].append(stored)
            if len(self._pending[level]) == self._arrays[level].shards[0]:  # type: ignore[index]  # we gave it shards
                self._flush(level)
            if level:
                current = halve(current)
        return row

    def _flush(self, level: int) -> None:
        pending = self._pending[level]
        if pending:
            self._arrays[level][self.written - len(pending) : self.written] = np.stack(pending)
            pending.clear()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is None:
                for level, array in enumerate(self._arrays):
                    self._flush(level)
                    if self.written < self.capacity:
                        array.resize((self.written, *array.shape[1:]))
                self._group.attrs["sha256"] = self._pixels.hexdigest()
                _synchronise(self._temporary)
                if self.path.exists():
                    shutil.rmtree(self.path)
                os.replace(self._temporary, self.path)
        finally:
            shutil.rmtree(self._temporary, ignore_errors=True)


def _synchronise(folder: Path) -> None:
    """Have every file of a folder on disk, so that the rename never runs ahead of the data."""
    for file in folder.rglob("*"):
        if file.is_file():
            with open(file, "rb") as handle:
                os.fsync(handle.fileno())


def image_table(paths: Iterable[str | Path]) -> pd.DataFrame:
    """The rows of an image set, a row an image, from the tables of all its parts in order; numbered from 0."""
    return pd.concat([pd.read_parquet(path) for path in paths], ignore_index=True)


class ImageStore:
    """The images of a table, at every level, in the table's order.

    Args:
        table: columns `part` and `row`: where each image is.
        parts: folders `part-<number>.zarr` of `write_part`; found by their number, so their order does not matter.

    Raises:
        LookalikeError: a part is missing, incomplete, shorter than the table says, or of another shape than the rest.
    """

    def __init__(self, table: pd.DataFrame, parts: Sequence[Path]) -> None:
        numbers = {_number(Path(path)): Path(path) for path in parts}
        if not numbers:
            raise LookalikeError("no parts were given", "image store", "Pass the part-<number>.zarr folders of the cohort or sample.")
        self._part = table["part"].to_numpy(dtype=np.int64)
        self._row = table["row"].to_numpy(dtype=np.int64)
        rows = pd.Series(self._row).groupby(self._part).agg(["min", "max"])
        missing = sorted(set(rows.index) - set(numbers))
        if missing:
            raise LookalikeError(
                f"the table needs part {missing[0]}, which is not among the {len(numbers)} given", "image store", "Make that part, or pass all parts."
            )
        groups = {number: _open(path) for number, path in sorted(numbers.items())}
        first = _attributes(next(iter(groups.values())))
        self.base: tuple[int, int] = (first["base"][0], first["base"][1])
        self.levels: int = first["levels"]
        self.bits: Literal[8, 16] = first["bits"]
        self.channels: int = first["channels"]
        wanted = dict(zip(rows.index, rows.to_numpy().tolist(), strict=True))
        for number, group in groups.items():
            self._check(group, numbers[number], wanted.get(number, [0, -1]))
        self._groups = groups
        self.sha256: str = hashlib.sha256("".join(str(group.attrs["sha256"]) for group in groups.values()).encode()).hexdigest()
        """Of the pixels of all parts: two stores with the same table and other pixels differ here."""

    def _check(self, group: zarr.Group, path: Path, rows: list[int]) -> None:
        if _attributes(group) != {"base": list(self.base), "levels": self.levels, "bits": self.bits, "channels": self.channels}:
            raise LookalikeError(
                "base, levels, channels or bits differ from the other parts'", path.name, "Make all parts of a store with one config."
            )
        lengths = set()
        for level in range(self.levels):
            array = group.get(f"level_{level}")
            if not isinstance(array, zarr.Array) or array.shape[1:] != image_shape(self.base, level, self.channels):
                raise LookalikeError(f"level {level} is missing or has a wrong shape", path.name, "Delete the part and make it again.")
            lengths.add(array.shape[0])
        if len(lengths) != 1:
            raise LookalikeError("its levels hold different numbers of images", path.name, "Delete the part and make it again.")
        if rows[0] < 0 or rows[1] >= max(lengths):
            raise LookalikeError(
                f"the table asks for rows {rows[0]} to {rows[1]}, but it holds {max(lengths)} images", path.name, "Make table and part in one run."
            )

    def __len__(self) -> int:
        return len(self._part)

    def level(self, number: int) -> Level:
        """One level of all images."""
        if not 0 <= number < self.levels:
            raise LookalikeError(f"level {number} does not exist", "image store", f"Levels are 0 to {self.levels - 1}.")
        arrays = {part: group[f"level_{number}"] for part, group in self._groups.items()}
        return Level(arrays, self._part, self._row, image_shape(self.base, number, self.channels), self.bits)  # type: ignore[arg-type]  # arrays, checked in _check


class Level:
    """One level of a store as a read-only array, [n, H, W] or, of several channels, [n, C, H, W], of uint8 or uint16.

    May be read from several threads, and after a fork.
    """

    def __init__(
        self, arrays: dict[int, zarr.Array], part: NDArray[np.int64], row: NDArray[np.int64], shape: tuple[int, ...], bits: Literal[8, 16]
    ) -> None:
        self._arrays, self._part, self._row = arrays, part, row
        self.shape = (len(part), *shape)
        self.dtype = np.dtype(np.uint8 if bits == 8 else np.uint16)
        self.bits = bits

    def __len__(self) -> int:
        return self.shape[0]

    @overload
    def __getitem__(self, index: int) -> Stored: ...
    @overload
    def __getitem__(self, index: slice | ArrayLike) -> Stored: ...
    def __getitem__(self, index: int | slice | ArrayLike) -> Stored:
        """Images by number (giving one image), slice, index array or boolean mask (giving several), in the order asked for."""
        chosen = np.arange(len(self))[index]  # type: ignore[index]  # numpy knows every kind of index, and its errors are right
        if chosen.ndim == 0:
            return self._read(chosen[None])[0]
        return self._read(chosen)

    def load(self) -> Stored:
        """The whole level in memory."""
        return self._read(np.arange(len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self.load(), dtype=dtype)

    def _read(self, chosen: NDArray[np.int64]) -> Stored:
        result = np.empty((len(chosen), *self.shape[1:]), dtype=self.dtype)
        parts = self._part[chosen]
        for part in np.unique(parts):
            places = np.flatnonzero(parts == part)
            self._gather(self._arrays[int(part)], self._row[chosen[places]], result, places)
        return result

    def _gather(self, array: zarr.Array, rows: NDArray[np.int64], result: NDArray[Any], places: NDArray[np.int64]) -> None:
        """Rows of one part into their places, shard by shard: a whole level never lies in memory twice."""
        shard = array.shards[0] if array.shards else array.chunks[0]
        for number in np.unique(rows // shard):
            within = np.flatnonzero(rows // shard == number)
            wanted = rows[within]
            low, high = int(wanted.min()), int(wanted.max()) + 1
            if len(wanted) >= DENSE * (high - low):
                result[places[within]] = array[low:high][wanted - low]  # type: ignore[index]  # zarr's types are wider than arrays
            else:
                unique, back = np.unique(wanted, return_inverse=True)
                result[places[within]] = array.oindex[unique][back]  # type: ignore[index]  # as above


def _number(path: Path) -> int:
    found = re.fullmatch(r"part-(\d+)\.zarr", path.name)
    if found is None:
        raise LookalikeError("the name of a part must be part-<number>.zarr", path.name, "Pass the folders that the pipeline wrote.")
    return int(found.group(1))


def _attributes(group: zarr.Group) -> dict[str, Any]:
    return {**{name: group.attrs[name] for name in ("base", "levels", "bits")}, "channels": group.attrs.get("channels", 1)}  # older stores had one


def _open(path: Path) -> zarr.Group:
    try:
        group = zarr.open_group(path, mode="r")
    except (FileNotFoundError, ValueError, KeyError):
        raise LookalikeError("the part is missing or is no image store", path.name, "Make it again, or correct the path.") from None
    if any(name not in group.attrs for name in ("base", "levels", "bits", "sha256")):
        raise LookalikeError("the part lacks its attributes base, levels, bits and sha256", path.name, "Delete it and make it again.")
    return group
