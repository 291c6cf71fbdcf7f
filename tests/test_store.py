"""The image store: round trips against brute force, order, errors, threads and forks."""

from __future__ import annotations

import multiprocessing
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import zarr

from lookalike.errors import LookalikeError
from lookalike.pixels import store
from lookalike.pixels.store import ImageStore, PartWriter, write_part

BASE, LEVELS, TOP = (5, 4), 4, (40, 32)


def pictures(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((n, *TOP), dtype=np.float32)


def part(folder: Path, number: int, images: np.ndarray, bits: int = 8) -> Path:
    path = folder / f"part-{number:03d}.zarr"
    write_part(path, images, n=len(images), base=BASE, levels=LEVELS, bits=bits)
    return path


def table(*places: tuple[int, int]) -> pd.DataFrame:
    return pd.DataFrame(places, columns=["part", "row"])


def brute_force(image: np.ndarray, level: int, bits: int) -> np.ndarray:
    size = 2 ** (LEVELS - 1 - level)
    means = image.astype(np.float64).reshape(TOP[0] // size, size, TOP[1] // size, size).mean(axis=(1, 3))
    return np.rint(means * (2**bits - 1))


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards and chunks so small that a handful of images needs several."""
    monkeypatch.setattr(store, "SHARD_BYTES", 6 * TOP[0] * TOP[1])
    monkeypatch.setattr(store, "CHUNK_BYTES", 2 * TOP[0] * TOP[1])


@pytest.mark.parametrize("bits", [8, 16])
def test_every_level_is_the_rounded_mean_of_the_top(tmp_path: Path, small_shards: None, bits: int) -> None:
    images = pictures(23)
    images[0], images[1] = 0, 1
    images[2] = images[2] * 4 - 2  # clipped
    path = part(tmp_path, 0, images, bits)
    found = ImageStore(table(*[(0, row) for row in range(23)]), [path])
    assert (found.base, found.levels, found.bits, len(found)) == (BASE, LEVELS, bits, 23)
    for level in range(LEVELS):
        stored = found.level(level)
        assert stored.shape == (23, BASE[0] << level, BASE[1] << level)
        loaded = stored.load()
        assert loaded.dtype == stored.dtype == (np.uint8 if bits == 8 else np.uint16)
        expected = np.stack([brute_force(image, level, bits) for image in images])
        if level == LEVELS - 1:
            expected = expected.clip(0, 2**bits - 1)
        inside = np.arange(23) != 2 if level < LEVELS - 1 else slice(None)
        # float32 against float64 means: a tie may fall the other way
        assert np.abs(loaded[inside].astype(int) - expected[inside]).max() <= (0 if bits == 8 else 1)
        np.testing.assert_array_equal(np.asarray(stored), loaded)
    low = images[2].astype(np.float64).reshape(5, 8, 4, 8).mean(axis=(1, 3)).clip(0, 1)
    assert np.abs(found.level(0)[2] - low * (2**bits - 1)).max() <= 0.51  # the cascade is kept in floating point and clipped at the end


def test_table_order_across_parts_with_every_kind_of_index(tmp_path: Path, small_shards: None) -> None:
    first, second = pictures(11, 1), pictures(17, 2)
    parts = [part(tmp_path, 7, second), part(tmp_path, 2, first)]
    places = [(7, 16), (2, 0), (7, 3), (7, 3), (2, 10), (2, 5), (7, 0), (2, 4)]
    expected = np.stack([brute_force({2: first, 7: second}[number][row], 3, 8) for number, row in places])
    level = ImageStore(table(*places), parts).level(3)
    np.testing.assert_array_equal(level.load(), expected)
    np.testing.assert_array_equal(level[-1], expected[-1])
    assert level[2].shape == TOP
    mask = np.arange(8) % 3 == 0
    for index in (slice(1, 7, 2), slice(None, None, -1), [5, 0, 0, 3], np.array([7, 1]), mask, np.array([], dtype=int)):
        np.testing.assert_array_equal(level[index], expected[index])
    with pytest.raises(IndexError):
        level[8]
    for _ in range(20):
        chosen = np.random.default_rng(_).integers(0, 8, 5)
        np.testing.assert_array_equal(level[chosen], expected[chosen])


def test_images_of_several_channels(tmp_path: Path, small_shards: None) -> None:
    images = np.random.default_rng(1).random((11, 3, *TOP), dtype=np.float32)
    path = tmp_path / "part-000.zarr"
    write_part(path, images, n=11, base=BASE, levels=LEVELS, bits=16, channels=3)
    found = ImageStore(table(*[(0, row) for row in range(11)]), [path])
    assert found.channels == 3
    for number in range(LEVELS):
        level = found.level(number)
        assert level.shape == (11, 3, BASE[0] << number, BASE[1] << number)
        expected = np.stack([[brute_force(channel, number, 16) for channel in image] for image in images])
        assert np.abs(level.load().astype(int) - expected).max() <= 1
        np.testing.assert_array_equal(level[[9, 2]], level.load()[[9, 2]])
    with pytest.raises(LookalikeError, match="shape"):
        write_part(path, images[:, 0], n=11, base=BASE, levels=LEVELS, bits=16, channels=3)
    grey = part(tmp_path, 1, images[:, 0], bits=16)
    with pytest.raises(LookalikeError, match=r"channels or bits differ.*part-001"):
        ImageStore(table((0, 0), (1, 0)), [path, grey])
    del zarr.open_group(grey, mode="a").attrs["channels"]  # as stores were before
    assert ImageStore(table((1, 0)), [grey]).level(3).shape == (1, *TOP)


def test_sparse_picks_from_large_shards(tmp_path: Path) -> None:
    images = pictures(300)
    level = ImageStore(table(*[(0, row) for row in range(300)]), [part(tmp_path, 0, images)]).level(3)
    chosen = np.array([299, 4, 150, 4])
    np.testing.assert_array_equal(level[chosen], np.stack([brute_force(images[row], 3, 8) for row in chosen]))


def test_a_part_is_whole_or_absent(tmp_path: Path) -> None:
    path = tmp_path / "part-000.zarr"

    def breaking() -> Iterator[np.ndarray]:
        yield from pictures(3)
        raise RuntimeError("the disk is on fire")

    with pytest.raises(RuntimeError):
        write_part(path, breaking(), n=5, base=BASE, levels=LEVELS, bits=8)
    assert list(tmp_path.iterdir()) == []
    write_part(path, pictures(4), n=4, base=BASE, levels=LEVELS, bits=8)
    with pytest.raises(LookalikeError, match="announced"):
        write_part(path, pictures(3), n=5, base=BASE, levels=LEVELS, bits=8)
    with pytest.raises(LookalikeError, match="shape"):
        write_part(path, [np.zeros((8, 8), dtype=np.float32)], n=1, base=BASE, levels=LEVELS, bits=8)
    # the part that was there before is still there
    assert zarr.open_group(path, mode="r")["level_0"].shape == (4, 5, 4)
    assert [item.name for item in tmp_path.iterdir()] == ["part-000.zarr"]


def test_a_part_may_hold_fewer_images_than_its_capacity(tmp_path: Path, small_shards: None) -> None:
    images = pictures(4)
    with PartWriter(tmp_path / "part-000.zarr", capacity=20, base=BASE, levels=LEVELS, bits=8) as writer:
        assert [writer.append(image) for image in images] == [0, 1, 2, 3]
    found = ImageStore(table(*[(0, row) for row in range(4)]), [tmp_path / "part-000.zarr"])
    np.testing.assert_array_equal(found.level(3).load(), np.stack([brute_force(image, 3, 8) for image in images]))
    with PartWriter(tmp_path / "part-001.zarr", capacity=5, base=BASE, levels=LEVELS, bits=8):
        pass
    both = ImageStore(table((0, 1)), [tmp_path / "part-000.zarr", tmp_path / "part-001.zarr"])
    assert both.level(0).load().shape == (1, 5, 4)


def test_the_digest_is_that_of_the_pixels(tmp_path: Path) -> None:
    images = pictures(3)
    digests = []
    for name, changed in (("a", 0.0), ("again", 0.0), ("other", 0.5)):
        images[2, 7, 7] = changed
        digests.append(ImageStore(table((0, 0)), [part(tmp_path / name, 0, images)]).sha256)
    assert digests[0] == digests[1] != digests[2]


def test_errors_name_the_part(tmp_path: Path) -> None:
    good, other = part(tmp_path, 0, pictures(3)), part(tmp_path, 1, pictures(3), bits=16)
    with pytest.raises(LookalikeError, match=r"bits differ.*part-001"):
        ImageStore(table((0, 0), (1, 0)), [good, other])
    with pytest.raises(LookalikeError, match="part 4"):
        ImageStore(table((0, 0), (4, 0)), [good])
    with pytest.raises(LookalikeError, match=r"rows 0 to 3.*holds 3 images.*part-000"):
        ImageStore(table((0, 0), (0, 3)), [good])
    with pytest.raises(LookalikeError, match=r"missing.*part-009"):
        ImageStore(table((9, 0)), [tmp_path / "part-009.zarr"])
    shutil.rmtree(good / "level_2")
    with pytest.raises(LookalikeError, match=r"level 2 is missing.*part-000"):
        ImageStore(table((0, 0)), [good])
    with pytest.raises(LookalikeError, match="must be part-"):
        ImageStore(table((0, 0)), [tmp_path / "other.zarr"])


def test_reading_from_threads_and_after_a_fork(tmp_path: Path, small_shards: None) -> None:
    images = pictures(30)
    level = ImageStore(table(*[(0, row) for row in range(30)]), [part(tmp_path, 0, images)]).level(3)
    expected = level.load()  # the parent's store is in use before the fork
    with ThreadPoolExecutor(4) as threads:
        for number, image in enumerate(threads.map(level.__getitem__, range(30))):
            np.testing.assert_array_equal(image, expected[number])
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    child = context.Process(target=lambda: results.put(level.load()))  # inherited, not pickled
    child.start()
    child.join(60)
    assert child.exitcode == 0
    np.testing.assert_array_equal(results.get(), expected)
