"""The benchmarks run, and hold what they compare to be equal; how fast they are is no matter of a test."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY

from benchmarks import scaling


@pytest.mark.slow
def test_every_benchmark_runs(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "measures", "data", "training", "--quick", "--output", tmp_path / "bench.json"]
    run = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    rows = [row for rows in json.loads((tmp_path / "bench.json").read_text())["rows"].values() for row in rows]
    assert len(rows) >= 15 and len({(row["job"], row["against"]) for row in rows}) == len(rows)
    assert all(row["reach"] is None and row["ratio"] > 0 for row in rows)


@pytest.mark.slow
def test_every_stage_runs_whose_growth_is_shown(tmp_path: Path) -> None:
    sizes = {stage.name: [stage.smallest // 8] for stage in scaling.STAGES}
    scaling.make_inputs(tmp_path, sizes)
    for stage in scaling.STAGES:
        stage.prepare(tmp_path, *sizes[stage.name])()


@pytest.mark.parametrize("module", ["benchmarks", "benchmarks.mutate", "benchmarks.kill"])
def test_where_no_figures_can_be_written_nothing_runs(tmp_path: Path, module: str) -> None:
    (tmp_path / "file").touch()
    for output in (tmp_path, tmp_path / "file" / "bench.json"):
        run = subprocess.run([sys.executable, "-m", module, "--output", output], cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
        assert run.returncode == 2 and "name a file in a folder that you may write to" in run.stderr and not run.stdout


def test_a_folder_without_the_peer_is_told(tmp_path: Path) -> None:
    run = subprocess.run([sys.executable, "-m", "benchmarks", "training", "--zoo", tmp_path], cwd=REPOSITORY, capture_output=True, text=True)
    assert run.returncode == 2 and "is no checkout of pytorch_GAN_zoo" in run.stderr
