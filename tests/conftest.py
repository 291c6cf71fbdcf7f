"""Shared fixtures: a copy of the repository as a fresh clone would hold it, and one finished tiny run of the whole workflow."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cluster import PACKAGES, Cluster, missing

REPOSITORY = Path(__file__).resolve().parent.parent
TINY = "tests/config/tiny.yaml"
# Of whole runs that are held against the finished one, what is asked for: two papers, and a copy search and a map of the third. More would prove nothing new.
ASKED = [
    *re.findall(r"^rule ((?:korkinof|haarburger)20\d\d_\w+):", "".join(path.read_text() for path in REPOSITORY.glob("workflow/rules/*.smk")), re.M),
    "results/measures/dumont2021/chest/classes_2/cpdgan/seed_1/copying.csv",
    "results/dumont2021/chest/importance.npz",
]


def copy_repository(target: Path) -> Path:
    """Tracked and new files only: no results, no state, no environment."""
    listing = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=REPOSITORY, check=True, capture_output=True, text=True)
    for name in filter(None, listing.stdout.split("\0")):
        source = REPOSITORY / name
        if source.is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name)
    return target


def snakemake(folder: Path, *arguments: str, timeout: float = 1800, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run Snakemake as a user would; standard error is merged into standard output."""
    return subprocess.run(
        [sys.executable, "-m", "snakemake", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        env={**(environment or os.environ), "XDG_CACHE_HOME": str(folder / ".cache")},
    )


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository in which the tiny config has run to its end. The path holds a space and an accent on purpose.

    The processes of `make test` share one, in the folder that LOOKALIKE_FINISHED_RUN names: who comes first makes it.
    """
    place = Path(os.environ.get("LOOKALIKE_FINISHED_RUN") or tmp_path_factory.mktemp("clone"))
    folder, done = place / "with späce", place / "done"
    with open(place / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            run = snakemake(copy_repository(folder), "--cores", "2", "--configfile", TINY)
            assert run.returncode == 0, run.stdout[-6000:]
            done.touch()
    return folder


@dataclass(frozen=True)
class Made:
    """An output file of a finished run."""

    rule: str
    inputs: frozenset[str]


@pytest.fixture(scope="session")
def made(finished_run: Path) -> dict[str, Made]:
    """Every output file, as Snakemake recorded it."""
    lines = snakemake(finished_run, "--detailed-summary", "--configfile", TINY).stdout.splitlines()
    rows = [line.split("\t") for line in lines if line.startswith("results/")]
    return {file: Made(rule, frozenset(inputs.split(","))) for file, _, rule, _, inputs, *_ in rows}


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A running Slurm."""
    if absent := missing():
        pytest.skip(f"no Slurm to test on; missing: {absent} (Debian: {PACKAGES})")
    cluster = Cluster(tmp_path_factory.mktemp("slurm"))
    yield cluster
    cluster.stop()


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real files, from the environment."""
    place = os.environ.get("LOOKALIKE_REAL_DATA")
    if not place:
        pytest.skip("LOOKALIKE_REAL_DATA is unset: no real files to test on")
    return Path(place)
