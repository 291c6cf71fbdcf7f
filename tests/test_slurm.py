"""`snakemake --profile slurm` on a real Slurm (cluster.py): the local run's tables, what Slurm itself recorded, six faults with equal bytes, four refusals."""

from __future__ import annotations

import contextlib
import getpass
import itertools
import random
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import yaml
from cluster import Cluster, wait_for
from conftest import ASKED, TINY, Made, copy_repository, snakemake
from test_workflow import dry_run, wrongly_rerun

from lookalike.files import sha256

pytestmark = pytest.mark.slow
SLURM = ("--profile", "slurm", "--slurm-init-seconds-before-status-checks", "2", "--latency-wait", "10")
ON_GPUS = {"train_stage", "sample_images", "train_classifier", "measure_features", "measure_importance", "measure_classes"}
PLANTED = """
from pathlib import Path
if not Path("failed_once").exists():
    Path("failed_once").touch()
    raise SystemExit("planted failure")
"""
STAGE = "results/generators/progan/stage_2/weights.safetensors"
LONG_KIMG = 12.8  # about half a minute


def on_cluster(cluster: Cluster, folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """As a user would, but asking the scheduler more often."""
    return snakemake(folder, *SLURM, *arguments, environment={**cluster.environment, **environment})


def rule_of(job: dict[str, str]) -> str:
    """The rule of a job, from the comment that the plugin gives it."""
    return re.sub(r"^rule_|_wildcards_.*$", "", job["comment"])


@pytest.fixture(scope="session")
def cluster_run(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, str]]]:
    """A clone in which what is asked of the tiny config has run on the cluster, one job having failed at first; and Slurm's record of all jobs."""
    folder = copy_repository(tmp_path_factory.mktemp("cluster") / "with späce")
    script = folder / "scripts/index_cohort.py"
    script.write_text(PLANTED + script.read_text())
    before = len(cluster.jobs())
    run = on_cluster(cluster, folder, *ASKED, "--configfile", TINY)
    assert run.returncode == 0, run.stdout[-6000:]
    return folder, cluster.jobs()[before:]


def test_tables_are_those_of_the_local_run(cluster_run: tuple[Path, list[dict[str, str]]], finished_run: Path) -> None:
    def tables(folder: Path) -> dict[str, str]:
        suffixes = ("csv", "tex", "md", "parquet", "npz", "safetensors")
        files = [path for suffix in suffixes for path in folder.glob(f"results/**/*.{suffix}")]
        return {path.relative_to(folder).as_posix(): sha256(path) for path in files}

    here, there = tables(finished_run), tables(cluster_run[0])
    assert len(there) > 100
    assert {name for name in there if here.get(name) != there[name]} == set()


def test_slurm_ran_gpu_rules_and_only_them_on_the_gpu_node(cluster_run: tuple[Path, list[dict[str, str]]]) -> None:
    ran = {(rule_of(job), job["nodelist"], job["partition"], job["tres-per-job"]) for job in cluster_run[1]}
    assert {job for job in ran if job[0] in ON_GPUS} == {(rule, "g1", "gpu", "gres:gpu:1") for rule in ON_GPUS}
    assert {job[1:] for job in ran if job[0] not in ON_GPUS} <= {("c1", "cpu", "N/A"), ("c2", "cpu", "N/A")}
    assert {rule for rule, *_ in ran} > {"make_phantoms", "prepare_images", "measure_coverage"} | ON_GPUS
    assert not {rule for rule, *_ in ran} & {"compare_published", "tabulate_pair_mi"}  # cheap rules are local


def test_memory_and_time_grow_with_the_attempt(cluster_run: tuple[Path, list[dict[str, str]]]) -> None:
    attempts: dict[str, list[tuple[str, str, str]]] = {}
    for job in cluster_run[1]:
        if rule_of(job) == "index_cohort":
            attempts.setdefault(job["comment"], []).append((job["state"], job["minmemory"], job["timelimit"]))
    first, second = ("4000M", "4:00:00"), ("8000M", "8:00:00")
    untouched = [("COMPLETED", *first)]
    assert sorted(attempts.values(), key=len) == [*[untouched] * 2, [("FAILED", *first), ("COMPLETED", *second)]]


def test_a_second_run_does_nothing_and_a_changed_key_runs_what_reads_it(cluster: Cluster, cluster_run: tuple[Path, list[dict[str, str]]]) -> None:
    folder, before = cluster_run
    run = on_cluster(cluster, folder, *ASKED, "--configfile", TINY)
    assert run.returncode == 0 and "Nothing to be done" in run.stdout, run.stdout
    copy = shutil.copytree(folder, folder.parent / "changed", symlinks=True)
    (copy / "changed.yaml").write_text(yaml.safe_dump({"measures": {"coverage": {"grid": 64}}}))
    before = cluster.jobs()
    run = on_cluster(cluster, copy, *ASKED, "--configfile", TINY, "changed.yaml")
    assert run.returncode == 0, run.stdout[-3000:]
    assert {rule_of(job) for job in cluster.jobs()[len(before) :]} == {"measure_coverage"}


def test_rerun_matrix_under_the_profile(cluster: Cluster, cluster_run: tuple[Path, list[dict[str, str]]], made: dict[str, Made]) -> None:
    folder, how = cluster_run[0], (*ASKED, *SLURM)
    assert dry_run(folder, how=how, environment=cluster.environment) == {}
    there = {file: origin for file, origin in made.items() if (folder / file).exists()}
    wrong = wrongly_rerun(folder, there, how, cluster.environment, every=7)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(("spelling", "expected"), [("gres", ("g1", "N/A", "gres:gpu:1")), ("none", ("c1", "N/A", "N/A"))])
def test_other_ways_of_asking_for_a_gpu(
    cluster: Cluster, cluster_run: tuple[Path, list[dict[str, str]]], tmp_path: Path, spelling: str, expected: tuple[str, ...]
) -> None:
    copy = shutil.copytree(cluster_run[0], tmp_path / "clone", symlinks=True)
    target = STAGE.replace("stage_2", "stage_0")
    run = on_cluster(cluster, copy, "--configfile", TINY, "--forcerun", "train_stage", "--", target, LOOKALIKE_GPU=spelling)
    assert run.returncode == 0, run.stdout[-3000:]
    job = cluster.jobs()[-1]
    assert (job["nodelist"], job["tres-per-job"], job["tres-per-node"]) == expected


# Faults: each ends in the bytes of an undisturbed run.


@pytest.fixture(scope="session")
def long_stage(cluster_run: tuple[Path, list[dict[str, str]]]) -> tuple[Path, str]:
    """A folder where only a longer stage 2 is left to train, and the digest of its weights when nothing disturbs."""
    folder = shutil.copytree(cluster_run[0], cluster_run[0].parent / "long", symlinks=True)
    stages = yaml.safe_load((folder / TINY).read_text())["generators"]["progan"]["stages"]
    stages[2] |= {"stable_kimg": LONG_KIMG}
    (folder / "long.yaml").write_text(yaml.safe_dump({"generators": {"progan": {"stages": stages}}}))
    undisturbed = shutil.copytree(folder, folder.parent / "undisturbed", symlinks=True)
    run = snakemake(undisturbed, "--cores", "2", "--configfile", TINY, "long.yaml", "--", STAGE)
    assert run.returncode == 0, run.stdout[-3000:]
    return folder, sha256(undisturbed / STAGE)


class Run:
    """A run of the long stage on the cluster, in a folder of its own, as a process of its own."""

    def __init__(self, cluster: Cluster, folder: Path, *arguments: str, overlay: str = "long.yaml") -> None:
        self.cluster, self.folder = cluster, folder
        self.command = (sys.executable, "-m", "snakemake", *SLURM, *arguments, "--configfile", TINY, overlay, "--", STAGE)
        self.start()

    def start(self) -> None:
        """Start Snakemake (again)."""
        with open(self.folder / "run.log", "a") as log:
            self.process = subprocess.Popen(self.command, cwd=self.folder, env=self.cluster.environment, stdout=log, stderr=log)

    def wait_for_state(self) -> str:
        """Wait until the training has saved a state, and a random moment more. Returns the job's id."""
        wait_for((self.folder / "state/progan/stage_2/state.pt").exists, 90, f"no state was saved: {self.folder}/run.log")
        time.sleep(random.uniform(0, 1.5))
        return self.jobs()[-1]["jobid"]

    def jobs(self) -> list[dict[str, str]]:
        """Slurm's record of this folder's jobs."""
        return [job for job in self.cluster.jobs() if job["workdir"] == str(self.folder)]

    def slurm_logs(self) -> str:
        """What all jobs of the stage wrote; the rule's own log is of the last attempt."""
        return "".join(path.read_text() for path in self.folder.glob("logs/slurm/rule_train_stage/progan_2/*.log"))

    def finish(self, digest: str) -> None:
        """Wait for the end, which must be good, resumed, and of these bytes."""
        assert self.process.wait(timeout=400) == 0, (self.folder / "run.log").read_text()[-4000:]
        assert "goes on at" in self.slurm_logs()
        assert sha256(self.folder / STAGE) == digest


@pytest.fixture
def training(cluster: Cluster, long_stage: tuple[Path, str], tmp_path: Path) -> Iterator[Callable[..., Run]]:
    """Starts a run of the long stage; whatever a failed test leaves on the cluster is cancelled."""
    numbers = itertools.count()
    yield lambda *arguments: Run(cluster, shutil.copytree(long_stage[0], tmp_path / f"run{next(numbers)}", symlinks=True), *arguments)
    cluster.run("scancel", "--user", getpass.getuser())


def test_time_limit_and_requeue(training: Callable[..., Run], long_stage: tuple[Path, str]) -> None:
    # Slurm looks at time limits every half minute, and warns that much too early: of a minute's limit, 15 to 45 seconds after the start.
    limits = ("train_stage:runtime=1", "train_stage:slurm_extra=--signal=23@15", "train_stage:slurm_partition=gpu")
    limited, requeued = training("--retries", "4", "--set-resources", *limits), training()
    limited.wait_for_state()
    (process,) = (
        each for each in limited.cluster.processes() if each.cwd() == str(limited.folder) and ".snakemake/scripts" in " ".join(each.cmdline())
    )
    process.suspend()  # a fast machine would be done before the warning
    requeued.cluster.run("scontrol", "requeue", requeued.wait_for_state())
    time.sleep(max(0.0, process.create_time() + 46 - time.time()))
    with contextlib.suppress(psutil.NoSuchProcess):  # Slurm may have woken it to tell it
        process.resume()
    for run in (limited, requeued):
        run.finish(long_stage[1])
    assert "SIGURG: state saved" in limited.slurm_logs()
    assert len(requeued.jobs()) == 1


def test_scancel_by_hand(training: Callable[..., Run], long_stage: tuple[Path, str]) -> None:
    run = training()
    run.cluster.run("scancel", run.wait_for_state())
    run.finish(long_stage[1])
    assert len(run.jobs()) == 2


def test_login_node_kills_snakemake(training: Callable[..., Run], long_stage: tuple[Path, str]) -> None:
    run = training()
    run.wait_for_state()
    run.process.kill()
    run.process.wait()
    unlock = on_cluster(run.cluster, run.folder, "--unlock", "--configfile", TINY, "long.yaml")
    assert unlock.returncode == 0, unlock.stdout
    run.start()  # while the first job still trains
    run.finish(long_stage[1])
    assert "Another job has taken this stage over" in run.slurm_logs()


def test_preemption(training: Callable[..., Run], long_stage: tuple[Path, str]) -> None:
    run = training()
    run.wait_for_state()
    urgent = run.cluster.run("sbatch", "--parsable", "-p", "urgent", "--gpus=2", "-o", "/dev/null", "--wrap", "sleep 2").strip()
    run.finish(long_stage[1])
    assert [job["state"] for job in run.cluster.jobs() if job["jobid"] == urgent] == ["COMPLETED"]


def test_a_node_dies(training: Callable[..., Run], long_stage: tuple[Path, str]) -> None:
    run = training()
    run.wait_for_state()
    run.cluster.kill_node("g1")
    wait_for(lambda: "down" in run.cluster.run("sinfo", "-h", "-n", "g1", "-o", "%T"), 90, "Slurm did not notice that a node is gone")
    run.cluster.start_node("g1")
    run.finish(long_stage[1])
    assert len(run.jobs()) == 1  # requeued by Slurm, not submitted anew


def test_two_gpus_and_the_death_of_one_rank(cluster: Cluster, cluster_run: tuple[Path, list[dict[str, str]]], tmp_path: Path) -> None:
    folder = shutil.copytree(cluster_run[0], tmp_path / "run", symlinks=True)
    stages = yaml.safe_load((folder / TINY).read_text())["generators"]["progan"]["stages"]
    stages[0] |= {"channels": [8, 8]}  # makes stage 2 one of level 3, 40x32: lower ones use one GPU
    stages[2] |= {"stable_kimg": 3.2, "gpu": 2}
    levels = {"cohorts": {"mammography": {"pixels": {"levels": 4}}}}
    (folder / "two.yaml").write_text(yaml.safe_dump({**levels, "generators": {"progan": {"stages": stages}}}))
    below = snakemake(folder, "--cores", "2", "--configfile", TINY, "two.yaml", "--", STAGE.replace("stage_2", "stage_1"))
    assert below.returncode == 0, below.stdout[-3000:]
    undisturbed = shutil.copytree(folder, tmp_path / "undisturbed", symlinks=True)
    assert snakemake(undisturbed, "--cores", "2", "--configfile", TINY, "two.yaml", "--", STAGE).returncode == 0

    run = Run(cluster, folder, overlay="two.yaml")
    job = run.wait_for_state()
    assert cluster.jobs()[-1]["tres-per-job"] == "gres:gpu:2"
    ranks = {process.environ()["RANK"]: process for process in cluster.processes() if "RANK" in process.environ()}
    assert ranks.keys() == {"0", "1"} and {process.environ()["CUDA_VISIBLE_DEVICES"] for process in ranks.values()} == {"0,1"}
    ranks["1"].kill()
    wait_for(lambda: [each["state"] for each in cluster.jobs() if each["jobid"] == job] == ["FAILED"], 60, "the job outlived its rank")
    run.finish(sha256(undisturbed / STAGE))
    assert "Process 1 of the 2 that train this stage was ended by SIGKILL" in run.slurm_logs()


# Refusals: an end with a sentence within two minutes.


@pytest.mark.parametrize(
    ("arguments", "environment", "sentence"),
    [
        (("--set-resources", "make_phantoms:mem_mb=10000000"), {}, "Memory specification can not be satisfied"),
        ((), {"LOOKALIKE_PARTITION": "nowhere"}, "invalid partition specified: nowhere"),
        ((), {"LOOKALIKE_PARTITION": "billed"}, "Invalid account or account/partition combination"),
    ],
)
def test_refused_jobs_end_with_a_sentence(
    cluster: Cluster, tmp_path: Path, arguments: tuple[str, ...], environment: dict[str, str], sentence: str
) -> None:
    folder = copy_repository(tmp_path / "clone")
    started = time.monotonic()
    run = on_cluster(cluster, folder, *arguments, "--configfile", TINY, **environment)
    assert run.returncode == 1 and time.monotonic() - started < 120
    last = run.stdout[run.stdout.index("Stopped. Failed jobs") :]
    assert re.search(rf"  make_phantoms: Slurm refused it: .*{sentence}", last), last
    assert "  snakemake --profile slurm " in last


def test_a_full_disk_ends_with_a_sentence(cluster: Cluster, tmp_path: Path) -> None:
    folder = copy_repository(tmp_path / "clone")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder / "results")], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no small file system to fill: {mounted.stderr.strip()}")
    try:
        started = time.monotonic()
        run = on_cluster(cluster, folder, "--configfile", TINY, "--retries", "0", "--", "results/phantoms/mammography/truth.csv")
        assert run.returncode == 1 and time.monotonic() - started < 60
    finally:
        subprocess.run(["umount", "-l", str(folder / "results")], check=True)
    story = r"  make_phantoms: .*ERROR in make_phantoms: No space left on device.*\n    logs/make_phantoms/mammography.log, logs/slurm/rule_make_phantoms/"
    assert re.search(story, run.stdout), run.stdout[-1500:]
