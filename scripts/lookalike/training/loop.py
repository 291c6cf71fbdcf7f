"""Train one stage of a GAN, from the weights of the stage before (networks that do not grow have none) to its own, whatever interrupts it on the way.

A stage can be killed at any moment: it goes on from the state saved last, and on a CPU ends with the very weights of an undisturbed run, bit for bit.
SIGTERM and SIGURG save the state first, then end the process with code 75 (temporary failure), so that a scheduler starts it again. Ask Slurm for SIGURG:
USR1 would kill the workflow engine between it and us. What is said of a process holds for all ranks that train a stage together.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch

from lookalike import config
from lookalike.errors import LookalikeError
from lookalike.training.data import Classes, Images, Labels, evaluated_images, real_batches
from lookalike.training.device import choose_device
from lookalike.training.ranks import ALONE, Ranks
from lookalike.training.schedule import Schedule, schedule_of
from lookalike.training.state import Owner, load_state, read_weights, save_networks, save_state, writing
from lookalike.training.step import STATISTICS, Networks, Step, build_networks
from lookalike.training.stopping import Judge, Search, generate

logger = logging.getLogger(__name__)
TICK_SECONDS = 10.0  # at most this long between ticks,
TICKS = 32  # and at least this many ticks a stage
OWNER_SECONDS = 1.0  # between looks whether the stage is still this job's
PICTURED = 64  # label vectors that are kept beside the weights, so that pictures can be drawn without a table


def train_stage(
    *,
    generator: config.Generator,  # networks, stages, loss, optimiser, seed, device; its stopping is that of the last stage
    stage: int,  # which stage
    base: tuple[int, int],  # rows and columns of level 0
    images: Images,  # level `generator.level(stage)` of the store
    previous: Path | None,  # weights of stage - 1; None at stage 0
    output: Path,  # weights to write: *.safetensors, with a *.json beside it
    digest: str,  # of the job: a saved state with another one is set aside
    state_folder: Path,  # where the state is kept while training, and stays
    statistics: Path,  # JSONL to write: a row a tick
    threads: int,  # CPU threads
    ranks: Ranks = ALONE,  # this process among those that train together; the first of them writes
    labels: Labels | None = None,  # of the images, where the generator has labels
    judge: Judge | None = None,  # needed where the generator has stopping; only the first rank asks it
    follow: int | None = None,  # images to show, whatever the config says: what the judge of another seed's training found best
) -> None:
    """Train one stage and write its weights and statistics. Several ranks do so together, each with its share of every batch: for any number of them the result
    is the same but for the order in which floating-point numbers are added (BigGAN and DCGAN: and for batch norm, which is of a share), and a state saved with one
    number is good for another.

    With stopping, the averaged generator is judged after the stage's images and at intervals from then on; when patience is at its end, or the maximum is
    reached, the networks of the smallest distance are written. As the smallest of several is too small, they are judged once more, on other images.

    Raises:
        LookalikeError: the images, the labels or the former stage do not fit, a loss is no longer finite, or a file cannot be written.
        SystemExit: with code 75, after SIGTERM or SIGURG to any rank, when the state has been saved; or because another job has taken the stage over.
    """
    schedule = schedule_of(generator, stage, follow=follow)
    level = generator.level(stage)
    shape = (base[0] << level, base[1] << level)
    _check_images(images, labels, shape, generator, schedule, ranks)
    device = choose_device(generator.device, threads=threads, ranks=ranks)
    image_channels = images.shape[1] if len(images.shape) == 4 else 1
    step = Step(_networks(generator, stage, base, labels, previous, image_channels), generator, schedule, device, ranks, labels)
    classes = labels.classes() if labels and generator.sampler == "balanced" else None
    record = Record(statistics, schedule, f"stage {stage} {shape[0]}x{shape[1]}", device)
    search = Search(generator.stopping.patience if generator.stopping else 0)

    # Go on where an earlier process stopped. The first rank looks before the others do: it sets aside what cannot be used.
    nimg = 0
    owner = Owner(state_folder) if ranks.first else None
    if owner is None:
        ranks.wait()
    if (state := load_state(state_folder, digest)) is not None:
        nimg = state["nimg"]
        step.load_state_dict(state["step"])
        record.load_state_dict(state["record"])
        search.load_state_dict(state["search"])
        logger.info("stage %d goes on at %d of %d images", stage, nimg, schedule.limit)
    if owner is not None:
        ranks.wait()
        record.write()
    if ranks.maximum(nimg) != -ranks.maximum(-nimg):
        raise LookalikeError("The ranks loaded different states: another job wrote meanwhile", str(state_folder), "Run the same command again.")

    # Train. All random numbers and the order of the images follow from nimg (see data.py).
    stream = real_batches(
        images,
        start=nimg,
        total=schedule.limit,
        batch=schedule.batch,
        seed=generator.seed,
        stage=stage,
        mirror=generator.mirror,
        share=step.share,
        classes=classes,
    )
    saved = time.monotonic()
    with closing(stream), _caught(signal.SIGTERM, signal.SIGURG) as caught:
        for pixels, order in stream:
            if schedule.resets_optimisers(nimg):
                step.reset_optimisers()
            record.add(step(pixels, order, nimg))
            nimg += schedule.batch
            if schedule.judges(nimg):
                if owner is not None:
                    record.check(nimg)
                    search.add(nimg, _distance(step, judge, generator, stage, images, classes), step.networks())
                if ranks.maximum(search.over):
                    break
            stop = ranks.maximum(caught[0] if caught else 0)  # whichever rank was told, all leave after the same step
            if owner is not None:
                owner.check(OWNER_SECONDS)
                if record.due(nimg):
                    with owner.writes():
                        record.tick(nimg)
                if stop or time.monotonic() - saved > generator.save_minutes * 60:
                    record.check(nimg)  # losses that are not finite must not be kept
                    content = {"nimg": nimg, "step": step.state_dict(), "record": record.state_dict(), "search": search.state_dict()}
                    with owner.writes():
                        save_state(state_folder, digest, content)
                    saved = time.monotonic()
            if stop:
                ranks.wait()  # one that left before the state is saved would end the others
                name = signal.Signals(stop).name
                logger.warning("%s: state saved at %d of %d images; exit code %d asks for a restart", name, nimg, schedule.limit, os.EX_TEMPFAIL)
                sys.exit(os.EX_TEMPFAIL)

    # Write what was learnt.
    if owner is None:
        return
    if follow is not None:
        stopped = "followed"
    elif not search.evaluations:
        stopped = "schedule"
    else:
        stopped = f"no improvement in {search.patience} evaluations" if search.over else "maximum"
    if search.best:
        for which, network in step.networks().items():
            network.load_state_dict(search.best[which])
    about = {
        "family": generator.family,
        "base": list(base),
        "channels": generator.channels(stage),
        "latent": generator.latent,
        "group": generator.minibatch_std_group,
        "stage": stage,
        "level": level,
        "image_channels": image_channels,
        **({"condition": generator.condition, "discriminator_norm": generator.discriminator_norm} if generator.family == "dcgan" else {}),
        "labels": labels.names if labels else [],
        "label_vectors": labels.most_frequent(PICTURED).astype(int).tolist() if labels else [],
        "nimg": search.minimum["nimg"] if search.evaluations else nimg,
        "evaluations": search.evaluations,
        "second_draw": _distance(step, judge, generator, stage, images, classes, draw=1) if search.evaluations else None,
        "stopped": stopped,
        "loss": generator.loss.model_dump(),
        "digest": digest,
    }
    logger.info("stage %d ends at %.1f kimg (%s); kept: the networks at %.1f kimg", stage, nimg / 1000, stopped, about["nimg"] / 1000)
    with owner.writes():
        if record.steps:
            record.tick(nimg)
        save_networks(output, step.networks(), about)


def _distance(
    step: Step, judge: Judge | None, generator: config.Generator, stage: int, images: Images, classes: Classes | None, draw: int = 0
) -> float:
    """Distance of images of the averaged generator, made with the labels of the reals that the judge holds them against."""
    assert judge is not None
    assert generator.stopping is not None
    count, labels = generator.stopping.images, step.labels
    reals = evaluated_images(len(images), count, seed=generator.seed, stage=stage, classes=classes, draw=draw)
    made = generate(
        step.average,
        count=count,
        latent=generator.latent,
        labels=None if labels is None else labels[reals],
        batch=step.schedule.batch,
        seed=generator.seed,
        stage=stage,
        device=step.device,
        bits=8 if images.dtype == np.uint8 else 16,
        draw=draw,
    )
    return judge(made, reals)


def _check_images(
    images: Images, labels: Labels | None, shape: tuple[int, int], generator: config.Generator, schedule: Schedule, ranks: Ranks
) -> None:
    if len(images.shape) == 4 and generator.family != "dcgan":
        raise LookalikeError(
            f"{generator.family} makes images of one channel, but the cohort's have {images.shape[1]}", "generators.*.family", "Use the family dcgan."
        )
    if len(images) == 0 or tuple(images.shape[-2:]) != shape:
        found = f"{len(images)} images of {' x '.join(map(str, images.shape[1:]))}"
        raise LookalikeError(
            f"A stage of {shape[0]} x {shape[1]} was given {found}", "the cohort's image store", "Check pixels.base, pixels.levels and the split."
        )
    if generator.labels != (labels is not None) or (labels is not None and (not labels.names or len(labels.vectors) != len(images))):
        found = f"{len(labels.vectors)} vectors of {len(labels.names)} labels" if labels else "none"
        raise LookalikeError(
            f"The labels of {len(images)} images {'are needed' if generator.labels else 'are not'}; given were {found}",
            "the table with labels",
            "Check generators.*.labels and the rule's input.",
        )
    if schedule.batch % (ranks.size * min(generator.minibatch_std_group, schedule.batch)):
        raise LookalikeError(
            f"A batch of {schedule.batch} cannot be cut into groups of {generator.minibatch_std_group} and shared by {ranks.size}",
            "generators.*.minibatch_std_group, gpu of the stage",
            "Make every stage's batch a multiple of their product.",
        )


def _networks(
    generator: config.Generator, stage: int, base: tuple[int, int], labels: Labels | None, previous: Path | None, image_channels: int
) -> Networks:
    if (previous is None) != (stage == 0):
        raise LookalikeError(f"Stage {stage} {'needs' if stage else 'takes no'} weights of a former stage", str(previous), "Check the rule's input.")
    former = read_weights(previous)[0] if previous else None
    count = len(labels.names) if labels else 0
    try:
        return build_networks(generator, stage=stage, base=base, labels=count, previous=former, image_channels=image_channels)
    except ValueError as error:
        if previous is None:
            raise LookalikeError(f"The networks cannot be built: {error}", "generators.*.latent and channels", "Choose others.") from error
        raise LookalikeError(
            f"The former stage does not fit stage {stage}: {error}", str(previous), "Delete it and run the workflow again."
        ) from error


@contextmanager
def _caught(*signals: signal.Signals) -> Iterator[list[signal.Signals]]:
    """A list that signals are added to, instead of their usual effect."""
    caught: list[signal.Signals] = []

    def note(number: int, frame: FrameType | None) -> None:
        caught.append(signal.Signals(number))

    former = {number: signal.signal(number, note) for number in signals}
    try:
        yield caught
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


class Record:
    """Losses summed on the device, read at ticks only; a log line and a JSONL row a tick.

    The rows are part of the training state: a resumed run writes the file anew from them, so it holds no row of work that was lost and done again.
    """

    def __init__(self, path: Path, schedule: Schedule, label: str, device: torch.device) -> None:
        self.path, self.schedule, self.label, self.device = path, schedule, label, device
        self.sums = torch.zeros(len(STATISTICS), device=device)
        self.steps = 0  # since the last tick
        self.seconds = 0.0  # of training, in all processes
        self.rows: list[dict[str, float]] = []
        self.clock = time.monotonic()  # when self.seconds was brought up to date
        self.since = 0.0  # self.seconds at the last tick

    def add(self, values: torch.Tensor) -> None:
        """Add one step's statistics."""
        self.sums += values
        self.steps += 1

    def due(self, nimg: int) -> bool:
        """Whether it is time for a tick: by the clock, or, so that short stages have curves too, by the share of the stage done. A tick ends with a step of the
        generator."""
        self._count_time()
        if not self.schedule.moves_generator(nimg - self.schedule.batch):
            return False
        return self.seconds - self.since >= TICK_SECONDS or self.steps * self.schedule.batch * TICKS >= self.schedule.limit

    def check(self, nimg: int) -> None:
        """Raise when any loss since the last tick was not finite."""
        if not bool(torch.isfinite(self.sums).all()):
            raise LookalikeError(
                "A loss is no longer a finite number",
                f"{self.label}, image {nimg} of {self.schedule.limit}",
                "Lower this stage's learning_rate, or raise the penalty's weight (loss.gradient_penalty or loss.gamma); the seed matters too.",
            )

    def tick(self, nimg: int) -> None:
        """Log and write the means since the last tick."""
        self.check(nimg)  # waits for the device
        self._count_time()
        speed = self.steps * self.schedule.batch / max(self.seconds - self.since, 1e-9)
        means = dict(zip(STATISTICS, (self.sums / self.steps).tolist(), strict=True))
        row = {"nimg": nimg, "alpha": self.schedule.alpha(nimg), **means}
        row |= {"images_per_second": speed, "seconds": self.seconds, "memory_mb": self._memory_mb()}
        self.rows.append(row)
        self.write()
        left = timedelta(seconds=round((self.schedule.limit - nimg) / speed))
        logger.info(
            "%s | %.1f of %.1f kimg | alpha %.2f | %.0f images/s | %s left | D %.3f G %.3f penalty %.4f | %.0f MB",
            *(self.label, nimg / 1000, self.schedule.limit / 1000, row["alpha"], speed, left),
            *(row["loss_discriminator"], row["loss_generator"], row["penalty"], row["memory_mb"]),
        )
        self.sums.zero_()
        self.steps, self.since = 0, self.seconds

    def write(self) -> None:
        """Write all rows."""
        with writing(self.path) as temporary:
            temporary.write_text("".join(json.dumps(row) + "\n" for row in self.rows))

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs to go on with the same rows."""
        self._count_time()
        return {"sums": self.sums.cpu(), "steps": self.steps, "seconds": self.seconds, "since": self.since, "rows": self.rows}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The reverse of `state_dict`."""
        self.sums = state["sums"].to(self.device)
        self.steps, self.seconds, self.since, self.rows = state["steps"], state["seconds"], state["since"], state["rows"]

    def _count_time(self) -> None:
        now = time.monotonic()
        self.seconds += now - self.clock
        self.clock = now

    def _memory_mb(self) -> float:
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated() / 2**20
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
