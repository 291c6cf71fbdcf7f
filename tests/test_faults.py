"""Whole runs under abuse, beside what test_training.py, test_slurm.py and test_reader_server.py do to their parts: same bytes, or an end with a sentence."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
import yaml
from conftest import TINY, copy_repository, snakemake

from benchmarks.kill import Run, differences, jobs_of, killed

pytestmark = pytest.mark.slow

# Root may write anywhere: as root, what must not be writable is tried without that right.
MORTAL = ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if os.geteuid() == 0 else ()
ARGUMENTS = ("--cores", "2", "--configfile", TINY)


def last_words(folder: Path, *arguments: str) -> str:
    """What a run that must fail says at its end."""
    run = snakemake(folder, *arguments)
    assert run.returncode == 1, run.stdout
    last = run.stdout[run.stdout.index("\nStopped. Failed jobs and their logs:\n") :]
    assert "Traceback" not in run.stdout and "finished work is kept" in last, run.stdout
    return last


def read_only(tree: Path) -> None:
    """Take the right to write from a folder and all below it."""
    for path in (tree, *tree.rglob("*")):
        path.chmod(path.stat().st_mode & ~0o222)


def test_a_killed_run_elsewhere_ends_in_the_same_bytes(finished_run: Path, tmp_path: Path) -> None:
    folder = copy_repository(tmp_path / "ein zweites Mål")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as memory:
        assert os.stat(memory).st_dev != tmp_path.stat().st_dev
        private = {"umask": 0o077, "env": {**os.environ, "TMPDIR": memory, "XDG_CACHE_HOME": str(folder / ".cache")}}
        run = Run(folder, ARGUMENTS, before=MORTAL, process=private)
        run.finish("--until", "make_phantoms")
        for tree in folder.glob("results/phantoms/*/dicom"):
            read_only(tree)
        todo = snakemake(folder, *ARGUMENTS, "-n", "--quiet", "host").stdout
        hits = killed(run, [job for job in jobs_of(finished_run) if f": {job.message}\n" in todo], times=5, seed=1)
    assert len(hits) == 5
    assert len(list((folder / "results").rglob("*.csv"))) > 60
    assert differences(finished_run / "results", folder / "results") == []
    assert all(path.stat().st_mode & 0o077 == 0 for path in (folder / "results").rglob("*.csv") if "phantoms" not in path.parts)


@pytest.mark.parametrize(
    ("overlay", "target", "story"),
    [
        (
            {"generators": {"progan": {"stages": {1: {"learning_rate": 1e30}}}}},
            "results/generators/progan/stage_1/weights.safetensors",
            r"train_stage: .*ERROR in train_stage: A loss is no longer a finite number \(stage 1 10x8, image \d+ of 256\)\. Lower this stage's learning_rate",
        ),
        (
            {"cohorts": {"mammography": {"labels": {"names": ["density_b", "nodule"]}}}},
            "results/cohorts/mammography/labelled.parquet",
            r"label_cohort: .*ERROR in label_cohort: No image of the cohort has the finding `nodule`; there are .*density_b.* \(cohorts\.\*\.labels\.names\)\. ",
        ),
        (
            {"cohorts": {"mammography": {"labels": {"minimum": 1000}}}},
            "results/cohorts/mammography/labelled.parquet",
            r"label_cohort: .*ERROR in label_cohort: No class has more than 1000 images \(cohorts\.\*\.labels\.minimum\)\. Lower it",
        ),
    ],
    ids=["loss", "class", "classes"],
)
def test_what_cannot_be_done_ends_with_a_sentence(finished_run: Path, tmp_path: Path, overlay: dict, target: str, story: str) -> None:
    folder = shutil.copytree(finished_run, tmp_path / "clone", symlinks=True)
    if "generators" in overlay:
        stages = yaml.safe_load((folder / TINY).read_text())["generators"]["progan"]["stages"]
        for stage, settings in overlay["generators"]["progan"]["stages"].items():
            stages[stage] |= settings
        overlay = {"generators": {"progan": {"stages": stages}}}
    (folder / "fault.yaml").write_text(yaml.safe_dump(overlay))
    assert re.search(story, words := last_words(folder, *ARGUMENTS, "fault.yaml", "--", target)), words


def test_truncated_weights_below_a_stage_end_with_a_sentence(finished_run: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(finished_run, tmp_path / "clone", symlinks=True)
    weights = folder / "results/generators/progan/stage_0/weights.safetensors"
    os.truncate(weights, weights.stat().st_size // 2)
    words = last_words(folder, *ARGUMENTS, "--", "results/generators/progan/stage_1/weights.safetensors")
    assert re.search(
        r"ERROR in train_stage: A generator's weights cannot be read: .* \(results/.*\)\. Delete the file and run the workflow again\.", words
    )


@pytest.mark.parametrize("images", [1, 4])
def test_one_patient_is_too_few(finished_run: Path, tmp_path: Path, images: int) -> None:
    folder = copy_repository(tmp_path / "clone")
    dicom = finished_run / "results/phantoms/mammography/dicom"
    patient = next(folder for folder in sorted(path.parent for path in dicom.rglob("*.dcm")) if len(list(folder.iterdir())) >= images)
    (tmp_path / "raw").mkdir()
    for path in sorted(patient.iterdir())[:images]:
        shutil.copy(path, tmp_path / "raw")
    cohort = {"source": {"root": str(tmp_path / "raw")}, "pixels": {"levels": 1}, "parts": 1}
    own = {
        "synthetic": {"progan": None, "outside": {"cohort": "mammography", "real": "mammography"}},
        "korkinof2021": None,
        "generators": {"progan": None},
    }
    overlay = {"cohorts": {"mammography": cohort}, "reader_studies": {"mammograms": None, "artefacts": None}, **own}
    (folder / "one.yaml").write_text(yaml.safe_dump(overlay))
    words = last_words(folder, "--cores", "2", "--configfile", "config/mammography.yaml", "one.yaml", "--", "results/measures/outside/pair_mi.csv")
    assert re.search(r"ERROR in measure_pair_mi: 1 patients with \d real images are too few .* Give it real images of at least 4 patients", words), (
        words
    )


@pytest.mark.parametrize(
    ("locked", "story"),
    [
        ("results", r"The folder \S+/results cannot be written\. Mend its permissions"),
        ("results/phantoms/chest", r"make_phantoms: .*ERROR in make_phantoms: Permission denied \(.*results/phantoms/chest/.*\)\. Mend that"),
    ],
)
def test_no_permission_ends_with_a_sentence(tmp_path: Path, locked: str, story: str) -> None:
    folder = copy_repository(tmp_path / "clone")
    (folder / locked).mkdir(parents=True, exist_ok=True)
    read_only(folder / locked)
    run = Run(folder, (*ARGUMENTS, "--", "results/phantoms/chest/dicom"), before=MORTAL).start()
    text = run.communicate()[0]
    assert run.returncode == 1 and "Traceback" not in text and re.search(story, text), text


def test_a_full_disk_ends_with_a_sentence(tmp_path: Path) -> None:
    folder = copy_repository(tmp_path / "clone")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder / "results")], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no small file system to fill: {mounted.stderr.strip()}")
    try:
        words = last_words(folder, *ARGUMENTS, "--", "results/phantoms/mammography/dicom")
    finally:
        subprocess.run(["umount", "-l", str(folder / "results")], check=True)
    assert re.search(r"make_phantoms: .*ERROR in make_phantoms: No space left on device .*Mend that and run the same command again", words), words
