"""`python -m lookalike.plan`: what a config will run, and what that takes, as tables."""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lookalike.config import Config, load
from lookalike.errors import LookalikeError
from lookalike.plan.costs import BANDWIDTH_SHARE, GPUS, MFU, Cost, Costs
from lookalike.plan.counts import Counts
from lookalike.plan.jobs import Job, jobs_of, merged
from lookalike.plan.schedule import Task, makespan


@dataclass(frozen=True)
class Plan:
    """Every job of a config with its cost, and what the numbers of images were taken to be."""

    config: Config
    counts: Counts
    jobs: tuple[tuple[Job, Cost], ...]
    costs: Costs


def plan(files: Sequence[Path], images: Mapping[str, int], *, cores: int, gpus: int = 0, gpu: str = "a100") -> Plan:
    """Plan a config.

    Args:
        files: overlays, merged on config/config.yaml in their order.
        images: images of a cohort by its name; of breast MR, exams.
        cores, gpus: what there is; without GPUs networks run on cores.
        gpu: which, of GPUS.

    Raises:
        LookalikeError: a mistake in the config, a cohort that does not exist, or one of which nobody knows the number of images, or a job for more GPUs than there are.
    """
    raw = merged(files)
    config = load(raw).with_runs()
    counts = Counts.of(config, images)
    costs = Costs(config, counts, gpu if gpus else None)
    jobs = jobs_of(raw, files, cores=cores)
    if gpus and (widest := max((job.gpus for job in jobs), default=0)) > gpus:
        raise LookalikeError(f"A job asks for {widest} GPUs, but there are {gpus}", "generators.*.stages.*.gpu", "Lower it, or raise --gpus.")
    return Plan(config, counts, tuple((job, costs.of(job)) for job in jobs), costs)


def wall_seconds(planned: Plan, *, cores: int, gpus: int) -> float:
    """Seconds until all is done on one machine or cluster of so many cores and GPUs."""
    made = {output: number for number, (job, _) in enumerate(planned.jobs) for output in job.outputs}
    tasks = [Task(cost.seconds, job.threads, cost.gpus, tuple({made[path] for path in job.inputs if path in made})) for job, cost in planned.jobs]
    return makespan(tasks, cores=cores, gpus=gpus)


def report(planned: Plan, *, cores: int, gpus: int, gpu: str) -> list[str]:
    """The plan as lines of text."""
    lines = [f"{'rule':24} {'jobs':>6} {'CPU-hours':>11} {'GPU-hours':>11} {'memory a job':>13} {'asked for':>10}"]
    rules: dict[str, list[tuple[Job, Cost]]] = {}
    for job, cost in planned.jobs:
        rules.setdefault(job.rule, []).append((job, cost))
    short = []
    for rule, jobs in sorted(rules.items(), key=lambda item: -sum(cost.seconds for _, cost in item[1])):
        asked, needed = max(job.memory for job, _ in jobs), max(cost.memory for _, cost in jobs)
        lines.append(f"{rule:24} {len(jobs):6,} {_hours(_cpu(jobs)):>11} {_hours(_gpu(jobs)):>11} {_size(needed * 1e6):>13} {_size(asked * 1e6):>10}")
        if needed > asked:
            short.append(
                f"{rule} asks for {_size(asked * 1e6)} but may need {_size(needed * 1e6)}: --set-resources {rule}:mem_mb={int(needed * 1.2)}"
            )
    everything = list(planned.jobs)
    lines.append(f"{'total':24} {len(everything):6,} {_hours(_cpu(everything)):>11} {_hours(_gpu(everything)):>11}")
    lines += ["", *storage(planned), ""]
    where = f"{gpus} {gpu.upper()} and {cores} cores" if gpus else f"{cores} cores, no GPU"
    lines.append(f"wall time on {where}: {_duration(wall_seconds(planned, cores=cores, gpus=gpus))}")
    lines += notes(planned, everything, gpus=gpus)
    return [*lines, *short]


def notes(planned: Plan, jobs: Sequence[tuple[Job, Cost]], *, gpus: int) -> list[str]:
    """What the figures rest on."""
    config, done = planned.config, sum(job.done for job, _ in jobs)
    lines = [f"{done:,} of these jobs are done already: their files are here."] if done else []
    told = {name: f"{planned.counts.images(name):,.0f} {name}" for name in config.cohorts}
    lines.append(f"Images: {', '.join(told.values())}.")
    least = sum(cost.least for _, cost in jobs) / 3600
    if least < 0.95 * sum(cost.seconds for _, cost in jobs) / 3600:
        lines.append(
            f"Trainings that stop by themselves are counted to their last allowed image; if all stop at once, jobs take {_hours(least * 3600)} hours together instead."
        )
    if gpus:
        lines.append(
            f"Every GPU figure is an estimate: operations counted on the networks, at {MFU:.0%} of the GPU's peak or {BANDWIDTH_SHARE:.0%} of its memory's bandwidth, whichever is slower."
        )
    lines.append("CPU-hours are cores that a job holds, times hours, measured on two cores at the demo's size and scaled; expect a factor of two.")
    lines.append(
        "Memory is the host's; a training on cores holds its activations there too, which are not counted. Snakemake counts one job more: its target."
    )
    return lines


def storage(planned: Plan) -> list[str]:
    """A table of what lies on the disk, by level of detail."""
    config, counts = planned.config, planned.counts
    runs = Counter(name.split("/")[0] if "/" in name else name for name in config.synthetic if config.synthetic[name].generator is not None)
    sets = [*config.cohorts, *runs]
    stores: dict[str, list[list[float]]] = {name: [counts.store(name)] for name in config.cohorts}
    for name, synthetic in config.synthetic.items():
        if synthetic.generator is not None:
            stores.setdefault(name.split("/")[0], []).append(counts.store(name))
    lines = [f"{'storage':24} " + " ".join(f"{name[:14]:>14}" for name in sets)]
    lines.append(f"{'raw files':24} " + " ".join(f"{_size(counts.raw(name)) if name in config.cohorts else '':>14}" for name in sets))
    total = 0.0
    for level in range(max(len(levels) for group in stores.values() for levels in group)):
        held = [sum(levels[level] for levels in stores[name] if level < len(levels)) for name in sets]
        total += sum(held)
        lines.append(f"{f'level {level}':24} " + " ".join(f"{_size(size) if size else '':>14}" for size in held))
    weights, state = _weights(planned)
    pictures = sum(count * pixels * 2 for count, pixels in map(planned.costs.pictures, config.reader_studies.values()))
    phantoms = sum(counts.raw(name) for name, cohort in config.cohorts.items() if cohort.source.simulated)
    lines.append(f"{'weights of all networks':24} {_size(weights):>14}")
    lines.append(f"{'state of a training':24} {_size(state):>14} (the largest; it goes when its stage is done)")
    lines.append(f"{'pictures for readers':24} {_size(pictures):>14}")
    lines.append(f"{'total made by the run':24} {_size(total + weights + pictures + phantoms):>14}")
    return lines


def _weights(planned: Plan) -> tuple[float, float]:
    """Bytes of all weights files, and of the largest state: three networks, and both optimisers' two moments, in float32."""
    weights, state = 0.0, 0.0
    for job, _ in planned.jobs:
        if job.rule == "train_stage":
            networks = planned.costs.training(job.wildcards["generator"], int(job.wildcards["stage"]))
            generator, discriminator = networks.generator_parameters, networks.discriminator_parameters
            weights += 4 * (2 * generator + discriminator)
            state = max(state, 4.0 * (4 * generator + 3 * discriminator))
        if job.rule == "train_classifier":
            weights += 4 * planned.costs.judge(planned.counts.origin(job.wildcards["images"])).parameters
    return weights, state


def _cpu(jobs: Sequence[tuple[Job, Cost]]) -> float:
    return sum(cost.seconds * job.threads for job, cost in jobs)


def _gpu(jobs: Sequence[tuple[Job, Cost]]) -> float:
    return sum(cost.seconds * cost.gpus for _, cost in jobs)


def _hours(seconds: float) -> str:
    hours = seconds / 3600
    return "" if not hours else f"{hours:,.0f}" if hours >= 10 else f"{hours:.2g}"


def _duration(seconds: float) -> str:
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {unit}" if seconds >= 10 * size else f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} seconds"


def _size(size: float) -> str:
    for unit, each in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= each:
            return f"{size / each:.3g} {unit}"
    return f"{size:.0f} bytes"


def _count(text: str) -> tuple[str, int]:
    name, _, number = text.partition("=")
    try:
        images = float(number)
    except ValueError:
        images = math.nan
    if not name or not 1 <= images <= 1e12 or images % 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not COHORT=NUMBER, such as mammography=1000000")
    return name, int(images)


def main() -> None:
    """Print the plan of the config that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m lookalike.plan", description=__doc__)
    parser.add_argument(
        "--config", nargs="+", type=Path, default=[], metavar="FILE", help="overlays on config/config.yaml, as snakemake's --configfile"
    )
    parser.add_argument("--images", nargs="+", type=_count, default=[], metavar="COHORT=N", help="images (breast MR: exams) of a cohort")
    parser.add_argument("--gpus", type=int, default=0, help="GPUs; 0 = networks run on cores")
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1, help="of all nodes together, for the wall time; without: this machine's")
    parser.add_argument("--gpu", choices=GPUS, default="a100", help="kind of GPU; without: %(default)s")
    asked = parser.parse_args()
    if asked.gpus < 0 or asked.cores < 1:
        parser.error("--gpus must be 0 or more, and --cores 1 or more")
    if twice := [name for name, count in Counter(name for name, _ in asked.images).items() if count > 1]:
        parser.error(f"--images names {twice[0]} twice")
    try:
        planned = plan(asked.config, dict(asked.images), cores=asked.cores, gpus=asked.gpus, gpu=asked.gpu)
        print("\n".join(report(planned, cores=asked.cores, gpus=asked.gpus, gpu=asked.gpu)))
    except LookalikeError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
