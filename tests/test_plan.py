"""What a config will cost: the counts of networks against published figures, the schedule against hand-made ones, and the whole plan against a finished run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import REPOSITORY, TINY

from lookalike import config
from lookalike.errors import LookalikeError
from lookalike.plan.__main__ import Plan, plan, report, wall_seconds
from lookalike.plan.costs import GPUS, Costs
from lookalike.plan.counts import Counts
from lookalike.plan.jobs import Job, jobs_of, merged
from lookalike.plan.networks import training
from lookalike.plan.schedule import Task, makespan


def command(*arguments: str, folder: Path = REPOSITORY) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "lookalike.plan", *arguments], cwd=folder, capture_output=True, text=True)


def test_iteration_of_the_papers_networks() -> None:
    """Counted by hand for 1280x1024, fused resampling: 1235 GFLOP and, in bfloat16, 19.7 GB an image; a plain G step is five passes, a D step seven and the penalty's six."""
    paper = yaml.safe_load((REPOSITORY / "config/paper.yaml").read_text())["generators"]["progan"]
    settings = config.Generator.model_validate({**paper, "cohort": "any"})
    stage = training(settings, 8, (5, 4), 0, 1)
    both = (stage.generator_step + stage.discriminator_step) * (1 / settings.stages[8].batch)
    assert both.flops == pytest.approx(1235e9, rel=0.01)
    assert both.bytes / 2 == pytest.approx(19.7e9, rel=0.04)
    assert (both.flops / stage.sample.flops) == pytest.approx(18, rel=0.1)
    assert stage.generator_parameters == pytest.approx(24.13e6, rel=0.01)


@pytest.mark.parametrize(("gpu", "least", "most"), [("a100", 50, 104), ("h100", 60, 170), ("h200", 90, 244)])
def test_images_a_second_stay_below_the_bounds(monkeypatch: pytest.MonkeyPatch, gpu: str, least: float, most: float) -> None:
    """At 1280x1024; the upper end is what the memory's bandwidth alone allows."""
    monkeypatch.chdir(REPOSITORY)
    settings = config.load(merged([Path("config/paper.yaml")])).with_runs()
    costs = Costs(settings, Counts(settings, {}), gpu)
    job = Job("train_stage", {"generator": "progan", "stage": "8"}, 8, 16000, 1, (), ())
    assert least < 3_000_000 / costs.of(job).seconds < most


@pytest.mark.parametrize(
    ("tasks", "cores", "gpus", "expected"),
    [
        ([Task(3, 1, 0, ()), Task(2, 1, 0, (0,)), Task(4, 1, 0, ())], 2, 0, 5),  # a chain beside a longer one
        ([Task(1, 1, 0, ())] * 5, 2, 0, 3),
        ([Task(2, 1, 1, ()), Task(2, 1, 1, ()), Task(3, 1, 0, ())], 8, 1, 4),  # one GPU, one after the other
        ([Task(1, 1, 0, ()), Task(1, 1, 0, ()), Task(1, 1, 0, ()), Task(3, 1, 0, (2,))], 2, 0, 4),  # the head of a chain first
    ],
)
def test_wall_time_of_hand_made_jobs(tasks: list[Task], cores: int, gpus: int, expected: float) -> None:
    assert makespan(tasks, cores=cores, gpus=gpus) == expected


def test_jobs_that_can_never_run_are_refused() -> None:
    with pytest.raises(ValueError, match="more cores"):
        makespan([Task(1, 4, 0, ())], cores=2, gpus=0)
    with pytest.raises(ValueError, match="circle"):
        makespan([Task(1, 1, 0, (1,)), Task(1, 1, 0, (0,))], cores=2, gpus=0)


def test_overlays_merge_as_snakemake_merges_them(monkeypatch: pytest.MonkeyPatch) -> None:
    from snakemake.utils import update_config

    monkeypatch.chdir(REPOSITORY)
    files = [Path("config/paper.yaml"), Path(TINY), Path("config/mammography.yaml")]
    expected = yaml.safe_load(Path("config/config.yaml").read_text())
    for file in files:
        update_config(expected, yaml.safe_load(file.read_text()))
    assert merged(files) == expected


def test_counts_follow_the_config(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    settings = config.load(merged([Path("config/paper.yaml")])).with_runs()
    counts = Counts.of(settings, {"mammography": 1_000_000, "breast": 408})
    assert counts.images("dumont2021/chest/classes_20") == 20 * (1450 + 190 + 190)
    assert counts.images("dumont2021/chest/classes_20/cpdgan/seed_3") == 20 * (1450 + 190 + 190)
    assert counts.images("chest") == 191_027 and counts.labelled("brain") == 215_298
    assert counts.store("mammography")[8] / counts.store("mammography")[7] == 4
    with pytest.raises(LookalikeError, match="--images breast=1000"):
        Counts.of(settings, {"mammography": 1_000_000})
    with pytest.raises(LookalikeError, match="did you mean `mammography`"):
        Counts.of(settings, {"mamography": 5})


def test_mistakes_end_in_a_sentence(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("generatorz: {}\n")
    for arguments, sentence in [
        (("--config", str(wrong)), "did you mean `generators`"),
        (("--config", str(tmp_path / "none.yaml")), "cannot be read"),
        (("--images", "nobody=5"), "There is no cohort `nobody`"),
        (("--images", "chest=many"), "COHORT=NUMBER"),
    ]:
        told = command(*arguments)
        assert told.returncode and sentence in told.stderr and "Traceback" not in told.stderr, told.stderr


@pytest.fixture(scope="module")
def paper() -> Plan:
    """The papers, whose data are not here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(REPOSITORY)
        return plan([Path("config/paper.yaml")], {"mammography": 1_000_000, "breast": 408}, cores=64, gpus=8)


@pytest.mark.slow
def test_plan_of_the_papers(paper: Plan) -> None:
    rules = {job.rule for job, _ in paper.jobs}
    assert len(paper.jobs) > 3000 and {"train_stage", "train_classifier", "measure_features"} <= rules
    hours = {gpus: wall_seconds(paper, cores=64, gpus=gpus) / 3600 for gpus in (8, 16)}
    used = sum(cost.seconds * cost.gpus for _, cost in paper.jobs) / 3600
    assert used / 8 <= hours[8] and hours[16] < hours[8]
    text = "\n".join(report(paper, cores=64, gpus=8, gpu="a100"))
    assert "GPU-hours" in text and "level 8" in text and "wall time on 8 A100" in text and "estimate" in text
    assert set(GPUS) == {"a100", "h100", "h200"}


def test_jobs_know_what_they_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    jobs = jobs_of(merged([Path(TINY)]), [Path(TINY)], cores=2)
    (second,) = (job for job in jobs if job.rule == "train_stage" and job.wildcards == {"generator": "progan", "stage": "1"})
    assert "results/generators/progan/stage_0/weights.safetensors" in second.inputs and second.gpus == 1 and second.memory == 16000
