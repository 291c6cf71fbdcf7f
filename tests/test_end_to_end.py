"""One finished tiny run, looked at from outside: is everything there, does it add up, does it leak, does it survive a kill."""

from __future__ import annotations

import gzip
import json
import random
import re
import shutil
import subprocess
import sys
import time
import zipfile
from contextlib import suppress
from pathlib import Path

import pandas as pd
import psutil
import pydicom
import pytest
import yaml
from conftest import TINY, snakemake

from lookalike.cohort.identity import PHANTOM_KEY
from lookalike.files import sha256
from lookalike.plan.__main__ import plan
from lookalike.readers.browser import find_browser

COHORT = "results/cohorts/mammography"
ITEMS = ("table1", "table2", "figure1", "figure2", "figure3", "figure5", "figure6", "spectrum")
STUDIES = ("mammograms", "artefacts", "chest", "patches")

pytestmark = pytest.mark.slow


def test_every_item_is_there_with_its_provenance(finished_run: Path) -> None:
    folder = finished_run / "results/korkinof2021/progan"
    for item in ITEMS:
        suffixes = ("csv", "tex", "html", "md") if item.startswith("table") else ("png", "pdf", "source.csv")
        for suffix in suffixes:
            assert (folder / f"{item}.{suffix}").stat().st_size > 100, f"{item}.{suffix}"
    for item in ("table1", "summary", *(f"figure{number}" for number in range(1, 8))):
        suffixes = ("png", "pdf", "source.csv") if item.startswith("figure") else ("csv", "tex", "html", "md")
        for suffix in suffixes:
            assert (finished_run / "results/dumont2021" / f"{item}.{suffix}").stat().st_size > 100, f"{item}.{suffix}"
    for item in ("table1", "table2", "table3", *(f"figure{number}" for number in range(1, 6)), "enhancement"):
        suffixes = ("csv", "tex", "html", "md") if item.startswith("table") else ("png", "pdf", "source.csv")
        for suffix in suffixes:
            assert (finished_run / "results/haarburger2019" / f"{item}.{suffix}").stat().st_size > 100, f"{item}.{suffix}"
    readers = finished_run / "results/readers"
    tables = [*(readers / study / "summary" for study in STUDIES), *(readers / "mammograms" / name for name in ("table3", "table4"))]
    for stem in (*tables, readers / "artefacts/artefacts", finished_run / "results/dumont2021/readers"):
        assert all(stem.with_suffix(f".{suffix}").stat().st_size > 100 for suffix in ("csv", "tex", "html", "md")), stem
    assert all((readers / f"mammograms/figure7.{suffix}").stat().st_size > 100 for suffix in ("png", "pdf", "source.csv"))
    assert (readers / "mammograms/page.png").is_file() == bool(find_browser())
    page = (finished_run / "results/index.html").read_text()
    assert "http://" not in page.replace("http://www.w3.org", "") and "<script" not in page
    record = json.loads((folder / "table1.html.provenance.json").read_text())
    assert record["rule"] == "tabulate_pair_mi" and record["task"]["definition"] == "density_nmi" and "simulated" in record["note"]


def test_demo_values_are_labelled_and_never_comparable(finished_run: Path) -> None:
    comparison = pd.read_csv(finished_run / "results/comparison.csv", comment="#")
    assert set(comparison.loc[comparison["item"] != "checks", "status"]) == {"not comparable"}
    study = [*(finished_run / "results/dumont2021").glob("*.csv"), *(finished_run / "results/measures").rglob("*.csv")]
    for path in [*(finished_run / "results/korkinof2021/progan").glob("*.csv"), *study]:
        assert "imulated" in path.read_text(), path.name
    for path in (finished_run / "results/haarburger2019").glob("*.csv"):
        assert "imulated" in path.read_text(), path.name
    for path in (finished_run / "results/readers").glob("*/*.*"):
        if path.name not in ("key.csv", "power.csv") and path.suffix in (".csv", ".md", ".tex", ".html"):  # these hold no results
            assert "imulated" in path.read_text(), path


def test_readers_answered_what_was_shown_and_the_truth_stayed_out_of_the_page(finished_run: Path) -> None:
    for study in STUDIES:
        folder = finished_run / "results/readers" / study
        answers = pd.read_csv(folder / "answers.csv", comment="#", keep_default_na=False)
        key = pd.read_csv(folder / "key.csv", keep_default_na=False).set_index("image")
        shown = pd.concat([answers["first"], answers["second"]])
        assert set(shown[shown != ""]) <= set(key.index) == {path.stem for path in (folder / "web/images").iterdir()}
        assert not answers.duplicated(["reader", "attempt", "question"]).any()
        told = "".join(path.read_text() for path in (folder / "web/sequences").iterdir())
        assert ("synthetic" in told) == (study == "patches"), study  # a warm-up's truth alone
        assert not any(set(key["source"]) & set(re.findall(r"[\w-]+", path.read_text())) for path in (folder / "web").glob("*.json"))


def test_generators_of_the_study_stop_by_the_rule_and_repetitions_follow(finished_run: Path) -> None:
    first, second = (
        json.loads((finished_run / f"results/generators/dumont2021/chest/classes_2/cpdgan/seed_{seed}/stage_0/weights.json").read_text())
        for seed in (1, 2)
    )
    assert first["evaluations"] and first["nimg"] == min(first["evaluations"], key=lambda found: found["distance"])["nimg"]
    assert first["stopped"] in ("no improvement in 2 evaluations", "maximum")
    assert second["stopped"] == "followed" and second["nimg"] == first["nimg"] and not second["evaluations"]
    log = (finished_run / "logs/train_stage/dumont2021/chest/classes_2/cpdgan/seed_1_0.log").read_text()
    assert "the best is" in log and "kept: the networks at" in log
    runs = pd.read_csv(finished_run / "results/dumont2021/runs.csv")
    run = runs[(runs["setting"] == "classes_2") & (runs["benchmark"] == "chest") & (runs["generator"] == "cpdgan")].set_index("seed")
    assert (run["stopped_nimg"] == first["nimg"]).all() and set(runs["frechet_name"]) == {"Frechet distance (real-trained classifier)"}


def test_ledger_reconciles_with_planted_truth(finished_run: Path) -> None:
    ledger = pd.read_csv(finished_run / COHORT / "exclusions.csv", keep_default_na=False)
    truth = pd.read_csv(finished_run / "results/phantoms/mammography/truth.csv", keep_default_na=False)
    cohort = pd.read_parquet(finished_run / COHORT / "cohort.parquet")
    counts = ledger["decision"].value_counts()
    assert len(ledger) == len(truth) == counts.sum() and set(counts.index) == {"kept", "excluded", "quarantined"}
    assert counts["kept"] == len(cohort)
    assert (ledger.loc[ledger["decision"] != "kept", ["rule", "detail"]] != "").all(axis=None)
    # Decisions that need no judgement on pixels must equal the planted ones.
    index = pd.read_parquet(finished_run / COHORT / "private/index.parquet")
    both = index[["path"]].assign(decision=ledger["decision"], rule=ledger["rule"]).merge(truth, on="path")
    headers = both[~both["expected_rule"].isin(["foreign_body", "burned_in_pixels", ""])]
    wrong = headers[(headers["decision"] != headers["expected_decision"]) | (headers["rule"] != headers["expected_rule"])]
    assert wrong.empty, wrong[["planted", "decision", "rule", "expected_rule"]]
    assert cohort.groupby("patient")["split"].nunique().max() == 1


def test_exams_reconcile_with_planted_truth(finished_run: Path) -> None:
    folder = finished_run / "results/cohorts/breast"
    ledger = pd.read_csv(folder / "exclusions.csv", keep_default_na=False)
    files = [path for path in (finished_run / "results/phantoms/breast/dicom").rglob("*.dcm")]
    assert len(ledger) == len(files) and set(ledger["rule"]) == {"", "no_phase", "incomplete_exam", "unreadable"}
    assert (ledger.loc[ledger["decision"] != "kept", ["rule", "detail"]] != "").all(axis=None)
    # Every exam without a planted hole, and each of its lesions, is in the cohort, but for lesions between two slices of the grid.
    truth = pd.read_csv(finished_run / "results/phantoms/breast/truth.csv", keep_default_na=False)
    whole = truth[~truth["planted"].isin(["missing_phase", "truncated"])]
    cohort = pd.read_parquet(folder / "cohort.parquet")
    lesions = cohort[cohort["lesion"] >= 0].drop_duplicates(["exam", "lesion"])
    assert 0 < whole["patient"].nunique() < truth["patient"].nunique() and cohort["exam"].nunique() == whole["patient"].nunique()
    planted = (whole["lesion"].astype(str) != "").sum()
    assert 0.7 * planted < len(lesions) <= planted
    assert cohort.groupby("patient")["split"].nunique().max() == 1


PLACES = ("results", "logs", "benchmarks/runs", "state", ".snakemake/log")
IDENTIFYING = (
    *("PatientName", "PatientID", "PatientBirthDate", "AccessionNumber", "InstitutionName", "ReferringPhysicianName"),
    *("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"),
)
COMMON = re.compile(r"CheXpert|stage_|study\d|view\d")  # names that every tree of its kind has


def _everything_written(folder: Path, report: Path) -> dict[str, bytes]:
    """All that is written anywhere, tables and archives unpacked too, by path; without the phantoms, their making and the private tables."""
    found = {}
    for path in [report, *(path for place in PLACES for path in (folder / place).rglob("*"))]:
        relative = path.name if path == report else path.relative_to(folder).as_posix()
        if not path.is_file() or "/private/" in relative or relative.startswith(("results/phantoms/", "logs/make_phantoms/")):
            continue
        found[relative] = relative.encode() + b"\n" + path.read_bytes()
        if path.suffix == ".parquet":
            found[relative] += pd.read_parquet(path).to_csv().encode()
        elif path.suffix == ".gz":
            found[relative] += gzip.decompress(path.read_bytes())
        elif zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                found[relative] += b"".join(archive.read(name) for name in archive.namelist())
    return found


def _canaries(folder: Path) -> set[str]:
    """Words of some phantoms of every cohort that identify somebody: names, numbers, dates and UIDs of headers, and the files' names and folders."""
    words: set[str] = set()
    for root in (folder / "results/phantoms").glob("*/dicom"):
        files = sorted(path for path in root.rglob("*") if path.suffix in (".dcm", ".jpg"))
        for path in files[:: len(files) // 10]:
            words |= {Path(part).stem for part in path.relative_to(root).parts if not COMMON.match(part)}
            if path.suffix == ".dcm":
                with suppress(Exception):  # some are broken on purpose
                    header = pydicom.dcmread(path, stop_before_pixels=True)
                    words |= {str(header.get(word, "")) for word in IDENTIFYING}
    return {word for word in words if len(word) >= 6}


def test_no_identity_leaves_the_private_table(finished_run: Path, tmp_path: Path) -> None:
    run = snakemake(finished_run, "--configfile", TINY, "--report", str(tmp_path / "report.zip"))
    assert run.returncode == 0, run.stdout
    written = _everything_written(finished_run, tmp_path / "report.zip")
    assert all(any(name.startswith(place) for name in written) for place in ("report.zip", *PLACES))
    canaries = _canaries(finished_run)
    assert len(canaries) > 150
    # Digits inside a longer number are chance: a birth date is eight of them.
    words = {canary.encode(): rb"(?<![0-9.])%b(?![0-9])" % canary.encode() if canary.isdigit() else b"" for canary in canaries}
    words[PHANTOM_KEY] = b""
    leaks = {(word, place) for place, data in written.items() for word, apart in words.items() if word in data and re.search(apart, data)}
    assert not leaks, sorted(leaks)[:5]
    private = (finished_run / COHORT / "private/index.parquet").read_bytes()
    assert private  # the one place that may hold paths and UIDs


def test_training_killed_through_the_workflow_ends_in_the_same_bytes(finished_run: Path, tmp_path: Path) -> None:
    stages = yaml.safe_load((finished_run / TINY).read_text())["generators"]["progan"]["stages"]
    stages[2] |= {"stable_kimg": 6.4}
    overlay = {"generators": {"progan": {"stages": stages}}}
    target = "results/generators/progan/stage_2/weights.safetensors"
    digests = []
    for name, kill in (("undisturbed", False), ("killed", True)):
        folder = tmp_path / name
        shutil.copytree(finished_run, folder, symlinks=True)
        (folder / "long.yaml").write_text(yaml.safe_dump(overlay))
        arguments = ("--cores", "2", "--configfile", TINY, "long.yaml", "--", target)
        if kill:
            _kill_training_once(folder, arguments)
        run = snakemake(folder, *arguments)
        assert run.returncode == 0, run.stdout[-3000:]
        if kill:
            assert "goes on at" in (folder / "logs/train_stage/progan_2.log").read_text()
        digests.append(sha256(folder / target))
    assert digests[0] == digests[1]


def _kill_training_once(folder: Path, arguments: tuple[str, ...]) -> None:
    """Start the workflow, wait until the training has saved a state, and at a random moment after that kill -9 the workflow and the training."""
    workflow = subprocess.Popen([sys.executable, "-m", "snakemake", *arguments], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    state = folder / "state/progan/stage_2/state.pt"
    deadline = time.monotonic() + 120
    while not state.exists():
        assert workflow.poll() is None and time.monotonic() < deadline, "the training saved no state"
        time.sleep(0.02)
    time.sleep(random.uniform(0, 1.5))
    family = psutil.Process(workflow.pid).children(recursive=True)
    for process in (*family, workflow):
        process.kill()
    psutil.wait_procs(family, timeout=10)
    workflow.wait()
    assert not (folder / "results/generators/progan/stage_2/weights.json").exists() or state.exists()
    unlock = snakemake(folder, "--unlock", *arguments)
    assert unlock.returncode == 0, unlock.stdout


def test_plan_of_a_finished_run(finished_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(finished_run)
    planned = plan([Path(TINY)], {}, cores=2)
    assert len(planned.jobs) == len(list(Path("benchmarks/runs").rglob("*.tsv"))) and all(job.done for job, _ in planned.jobs)
