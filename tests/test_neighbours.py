"""Nearest neighbours against brute force, and within their memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import REPOSITORY
from scipy.spatial.distance import cdist

from lookalike.utility import neighbours
from lookalike.utility.neighbours import nearest_neighbours


@pytest.mark.parametrize("block", [50, 8192])
def test_equal_brute_force(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "_BLOCK", block)
    generator = np.random.default_rng(1)
    gallery, queries = generator.normal(3, 1, (333, 20)).astype(np.float32), generator.normal(3, 1, (40, 20)).astype(np.float32)
    rows, distances = nearest_neighbours(queries, gallery, k=70)
    every = cdist(queries.astype(np.float64), gallery.astype(np.float64), metric="cosine")
    np.testing.assert_array_equal(rows, np.argsort(every, axis=1)[:, :70])
    np.testing.assert_allclose(distances, np.sort(every, axis=1)[:, :70], atol=1e-12)


@pytest.mark.parametrize("block", [7, 8192])
def test_copies_are_at_0_and_the_first_of_equals_comes_first(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "_BLOCK", block)
    images = np.random.default_rng(2).normal(size=(10, 300)).astype(np.float32)
    rows, distances = nearest_neighbours(5 * images, np.tile(images, (30, 1)), k=31)
    np.testing.assert_array_equal(rows[:, :30], np.arange(10)[:, None] + 10 * np.arange(30))
    assert (distances[:, :30] == 0).all() and (distances[:, 30] > 0.5).all()


def test_odd_vectors() -> None:
    gallery = np.array([[0.0, 0.0], [-1.0, 0.0], [0.0, 2.0]])
    rows, distances = nearest_neighbours(np.array([[3.0, 0.0]]), gallery, k=3)
    assert rows.tolist() == [[0, 2, 1]] and distances.tolist() == [[1, 1, 2]]
    with pytest.raises(ValueError, match="not finite"):
        nearest_neighbours(gallery, np.full((3, 2), np.nan), k=1)
    with pytest.raises(ValueError, match="4 neighbours asked for among 3"):
        nearest_neighbours(gallery, gallery, k=4)


def test_the_papers_training_set_needs_less_than_2_gb(tmp_path: Path) -> None:
    """117,168 images of 1024 features, of which 100 are sought; the gallery is a memory map, whose pages count as long as they are in use."""
    program = """
import re, sys
from pathlib import Path
import numpy as np
from lookalike.utility.neighbours import nearest_neighbours
gallery = np.lib.format.open_memmap(sys.argv[1], "w+", dtype=np.float32, shape=(117_168, 1024))
for start in range(0, len(gallery), 8192):
    block = gallery[start : start + 8192]
    block[:] = np.random.default_rng(start).random(block.shape, dtype=np.float32)
sought = np.linspace(0, len(gallery) - 1, 100).astype(int)
rows, distances = nearest_neighbours(gallery[sought], gallery, k=5)
assert (rows[:, 0] == sought).all() and (distances[:, 0] == 0).all() and (distances[:, 1] > 0.1).all()
print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])  # getrusage would tell the parent's, if that is more
"""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "scripts")}
    run = subprocess.run([sys.executable, "-c", program, tmp_path / "gallery.npy"], env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) * 1024 < 2e9
