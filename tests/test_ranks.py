"""Several ranks train as one: shares against brute force, and, with real processes that are really killed, the promise that neither their number nor
interruptions change the training."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
import torch
import yaml
from conftest import REPOSITORY
from safetensors.torch import load_file

from lookalike import config
from lookalike.errors import LookalikeError
from lookalike.generators.layers import minibatch_std
from lookalike.generators.progan import Discriminator
from lookalike.pixels.store import write_part
from lookalike.training import data
from lookalike.training.data import image_order, real_batches
from lookalike.training.losses import discriminator_loss, generator_loss
from lookalike.training.ranks import Ranks

BATCH, GROUP = 16, 4  # four groups: two for each of two ranks
# scripts/train_stage.py as Snakemake runs it: without a main guard, and given an object with these attributes.
SCRIPT = """
import json, runpy, sys
from types import SimpleNamespace
given = json.loads(sys.argv[1])
class Files(list):
    def __init__(self, files):
        super().__init__(path for paths in files.values() for path in paths)
        self.__dict__.update({key: paths if key in ("table", "store", "previous", "encoder", "first") else paths[0] for key, paths in files.items()})
names = {key: SimpleNamespace(**given[key]) for key in ("wildcards", "resources", "params")}
files = {key: Files(given[key]) for key in ("input", "output", "log")}
runpy.run_path(given["script"], {"snakemake": SimpleNamespace(rule="train_stage", threads=given["threads"], **names, **files)})
"""


def start(
    folder: Path, *, ranks: int, stage: int = 1, kimg: float = 1.6, rate: float = 0.001, log: str = "log", **changes: Any
) -> subprocess.Popen[str]:
    """Start to train a stage in a folder: at stage 1, of 32x32, 25 steps of fade and, with 1.6 kimg, 75 after it. The state is saved all the time."""
    settings = {"channels": 4, "batch": BATCH, "fade_kimg": 0.4, "stable_kimg": kimg - 0.4, "learning_rate": rate}
    task = {"latent": 6, "minibatch_std_group": GROUP, "mirror": True, "device": "cpu", "seed": 3, "loss": {"kind": "wgan_gp"}, "base": [16, 16]}
    previous = ["stage0.safetensors"] if stage else []
    given = {
        "script": str(REPOSITORY / "scripts/train_stage.py"),
        "input": {"table": ["cohort.parquet"], "store": ["part-000.zarr"], "previous": previous, "encoder": [], "first": []},
        "output": {"weights": [f"stage{stage}.safetensors"], "statistics": [f"stage{stage}.jsonl"]},
        "log": {"log": [log]},
        "params": {"task": task | {f"stage_{level}": settings for level in range(stage + 1)} | changes},
        "wildcards": {"generator": "g", "stage": stage},
        "resources": {"ranks": ranks, "save_seconds": 0.03},
        "threads": ranks,
    }
    (folder / log).unlink(missing_ok=True)
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "scripts"), "TMPDIR": str(folder)}
    with open(folder / "screen", "w") as screen:
        return subprocess.Popen([sys.executable, "-c", SCRIPT, json.dumps(given)], cwd=folder, env=environment, stderr=screen, text=True)


def end(process: subprocess.Popen[str], folder: Path, code: int = 0, *, log: str = "log") -> str:
    """Wait for a training to end with a code. Returns its log."""
    assert process.wait(timeout=120) == code, (folder / log).read_text()
    return (folder / log).read_text()


def copy(folder: Path, place: Path) -> Path:
    shutil.copytree(folder, place, dirs_exist_ok=True)
    return place


def statistics(folder: Path) -> pd.DataFrame:
    columns = ["nimg", "loss_discriminator", "loss_generator", "penalty", "real_score", "fake_score"]
    return pd.read_json(folder / "stage1.jsonl", lines=True)[columns]


@pytest.fixture(scope="module")
def first_stage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of 40 images at 16x16 and 32x32, of which 30 are for training, and a first stage."""
    folder = tmp_path_factory.mktemp("first_stage")
    images = np.random.default_rng(5).random((40, 32, 32), dtype=np.float32)
    write_part(folder / "part-000.zarr", images, n=40, base=(16, 16), levels=2, bits=8)
    pd.DataFrame({"part": 0, "row": range(40), "split": ["train"] * 30 + ["test"] * 10}).to_parquet(folder / "cohort.parquet")
    end(start(folder, stage=0, ranks=1, kimg=0.6), folder)
    return folder


@pytest.fixture(scope="module")
def undisturbed(first_stage: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The second stage, trained by two ranks without interruption."""
    folder = copy(first_stage, tmp_path_factory.mktemp("undisturbed"))
    end(start(folder, ranks=2), folder)
    return folder


# Shares


@pytest.mark.parametrize(("batch", "group", "size"), [(16, 4, 2), (16, 4, 4), (24, 4, 3), (6, 1, 3), (12, 3, 2), (8, 16, 1)])
def test_shares_are_whole_groups(batch: int, group: int, size: int) -> None:
    images = torch.randn(batch, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    whole = minibatch_std(images, group)
    shares = [np.arange(batch)[Ranks(rank, size).share(batch, group)] for rank in range(size)]
    assert sorted(np.concatenate(shares)) == list(range(batch))
    for share in shares:
        assert len(share) == batch // size
        assert torch.equal(minibatch_std(images[share], group), whole[share])


@pytest.mark.parametrize("kind", ["wgan_gp", "relativistic"])
def test_losses_and_gradients_are_means_over_the_ranks(kind: Any) -> None:
    loss = config.Loss(kind=kind)
    critic = Discriminator(base=(3, 2), channels=(5, 4), group=GROUP, seed=2).double()
    real, fake = torch.randn(2, BATCH, 1, 6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    mix = torch.linspace(0, 1, BATCH, dtype=torch.float64)

    def computed(share: slice | np.ndarray) -> list[torch.Tensor]:
        terms = discriminator_loss(lambda images: critic(images, 0.6), real[share], fake[share], mix[share], loss=loss)
        of_generator = generator_loss(lambda images: critic(images, 0.6), real[share], fake[share], loss=loss)
        return [*terms, of_generator, *torch.autograd.grad(terms.total, list(critic.parameters()))]

    shares = [computed(Ranks(rank, 2).share(BATCH, GROUP)) for rank in range(2)]
    torch.testing.assert_close([(first + second) / 2 for first, second in zip(*shares, strict=True)], computed(slice(None)), rtol=1e-10, atol=1e-12)


def test_groups_that_cannot_be_shared_are_an_error() -> None:
    with pytest.raises(ValueError):
        Ranks(0, 2).share(12, 4)


@pytest.mark.parametrize("limit", [0, data.MEMORY_LIMIT])
def test_a_rank_reads_its_share_of_the_same_batches(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    class Recorded(np.ndarray):
        def __getitem__(self, index: Any) -> Any:
            asked.append(index)
            return np.asarray(self)[index]

    monkeypatch.setattr(data, "MEMORY_LIMIT", limit)
    images = np.random.default_rng(1).integers(0, 256, (50, 6, 4), dtype=np.uint8)
    wanted: dict[str, Any] = {"start": 32, "total": 160, "batch": BATCH, "seed": 1, "stage": 1, "mirror": True}
    whole = list(real_batches(images, **wanted))
    for rank in range(2):
        asked: list[Any] = []
        share = Ranks(rank, 2).share(BATCH, GROUP)
        for own, batch in zip(real_batches(images.view(Recorded), **wanted, share=share), whole, strict=True):
            for part, of_all in zip(own, batch, strict=True):
                np.testing.assert_array_equal(part, of_all[share])
        if limit == 0:
            wished = [image_order(50, nimg=nimg, batch=BATCH, seed=1, stage=1)[share] for nimg in range(32, 160, BATCH)]
            assert sorted(map(list, asked[1:])) == sorted(map(list, wished))  # the first look is at the dtype


# Training


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["wgan_gp", "relativistic"])
def test_two_ranks_train_as_one_does(first_stage: Path, tmp_path: Path, kind: str) -> None:
    one, two = copy(first_stage, tmp_path / "one"), copy(first_stage, tmp_path / "two")
    for folder, ranks in ((one, 1), (two, 2)):
        # At usual rates, rounding grows a thousandfold in 50 steps, in one process too: the penalties jump where a leaky ReLU's input changes sign.
        log = end(start(folder, ranks=ranks, kimg=0.8, rate=2e-5, loss={"kind": kind}), folder)
        assert not any((folder / "state/g/stage_1").iterdir())
        assert log.count("DEVICE") == 1
    assert len(statistics(one)) == 25  # a row two steps
    assert statistics(one)["nimg"].iloc[-1] == 800
    pd.testing.assert_frame_equal(statistics(one), statistics(two), rtol=1e-5, atol=1e-5)
    first, second = load_file(one / "stage1.safetensors"), load_file(two / "stage1.safetensors")
    for name, weights in first.items():
        torch.testing.assert_close(second[name], weights, rtol=1e-3, atol=1e-3)


def _wait_for_save(folder: Path, process: subprocess.Popen[str]) -> None:
    """Wait until a training has saved its state, and then a random moment."""
    state = folder / "state/g/stage_1/state.pt"
    before = state.stat().st_mtime_ns if state.exists() else 0
    while not state.exists() or state.stat().st_mtime_ns == before:
        assert process.poll() is None, (folder / "log").read_text()
        time.sleep(0.005)
    time.sleep(random.uniform(0, 0.2))  # the moment is random on purpose


def _ranks_of(process: subprocess.Popen[str]) -> dict[int, psutil.Process]:
    return {int(child.environ()["RANK"]): child for child in psutil.Process(process.pid).children()}


@pytest.mark.slow
def test_killed_signalled_and_taken_over_runs_end_with_the_same_bytes(undisturbed: Path, first_stage: Path, tmp_path: Path) -> None:
    folder = copy(first_stage, tmp_path / "two")

    # A rank is killed.
    process = start(folder, ranks=2)
    _wait_for_save(folder, process)
    ranks = _ranks_of(process)
    killed = time.monotonic()
    ranks[1].kill()
    log = end(process, folder, 1)
    assert time.monotonic() - killed < 60
    device, error = (line for line in log.splitlines() if "images/s" not in line)
    assert "=== DEVICE: CPU, 2 x 1 threads (as asked) ===" in device
    assert "ERROR in train_stage: Process 1 of the 2 that train this stage was ended by SIGKILL" in error
    assert (folder / "screen").read_text() == log
    assert psutil.wait_procs(ranks.values(), timeout=10)[1] == []

    # One rank is told to stop.
    process = start(folder, ranks=2)
    _wait_for_save(folder, process)
    _ranks_of(process)[1].send_signal(signal.SIGURG)
    log = end(process, folder, 75)
    assert "goes on at" in log
    assert "SIGURG: state saved at" in log

    # The job is killed: no rank outlives it.
    process = start(folder, ranks=2)
    _wait_for_save(folder, process)
    ranks = _ranks_of(process)
    process.kill()
    assert psutil.wait_procs(ranks.values(), timeout=20)[1] == []

    # A job is suspended; the stage is started again and told to stop; the first job wakes up.
    former = start(folder, ranks=2, log="former.log")
    _wait_for_save(folder, former)
    ranks = _ranks_of(former)
    for rank in ranks.values():
        rank.suspend()
    process = start(folder, ranks=2)
    _wait_for_save(folder, process)
    process.terminate()
    log = end(process, folder, 75)
    saved = int(log.rsplit("state saved at ", 1)[1].split()[0])
    state = (folder / "state/g/stage_1/state.pt").read_bytes()
    for rank in ranks.values():
        rank.resume()
    assert "Another job has taken this stage over; this one stops" in end(former, folder, 75, log="former.log")
    assert (folder / "state/g/stage_1/state.pt").read_bytes() == state

    # One process goes on alone, or two as before.
    alone = copy(folder, tmp_path / "alone")
    assert f"goes on at {saved} of" in end(start(alone, ranks=1), alone)
    assert f"goes on at {saved} of" in end(start(folder, ranks=2), folder)
    assert (folder / "stage1.safetensors").read_bytes() == (undisturbed / "stage1.safetensors").read_bytes()
    assert len(statistics(alone)) == len(statistics(undisturbed))
    near = [rows[rows["nimg"] < saved + 100] for rows in (statistics(alone), statistics(undisturbed))]
    pd.testing.assert_frame_equal(*near, rtol=0.01, atol=0.01)


def test_what_is_wrong_in_a_rank_is_told_as_by_one_process(first_stage: Path, tmp_path: Path) -> None:
    folder = copy(first_stage, tmp_path)
    stage = {"channels": 4, "batch": BATCH, "stable_kimg": 1, "learning_rate": 1e30}
    logs = [end(start(folder, ranks=ranks, stage_1=stage), folder, 1) for ranks in (1, 2)]
    one, two = (log.splitlines()[-1].partition(" ")[2] for log in logs)
    assert one == two
    assert one.startswith("ERROR in train_stage: A loss is no longer a finite number (stage 1 32x32, image ")
    assert "Traceback" not in logs[1]


# Config


def test_gpus_of_a_stage() -> None:
    demo = yaml.safe_load((REPOSITORY / "config/config.yaml").read_text())
    demo["cohorts"]["mammography"]["pixels"]["base"] = [10, 8]
    stages = demo["generators"]["progan"]["stages"]
    for stage in stages:
        stage |= {"batch": 16, "gpu": 2}
    loaded = config.load(demo)
    assert [loaded.generators["progan"].ranks(stage) for stage in range(4)] == [1, 1, 1, 2]
    assert "gpu" not in loaded.model_dump()["generators"]["progan"]["stages"][3]
    stages[0] |= {"batch": 4}  # trained by one all the same
    config.load(demo)
    stages[3] |= {"batch": 4}
    with pytest.raises(
        LookalikeError, match=r"progan`: stages\.3: 2 GPUs cannot share a batch of 4 in whole groups of 4 .* make the batch a multiple of 8"
    ):
        config.load(demo)
