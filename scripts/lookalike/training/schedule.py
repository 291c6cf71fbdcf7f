"""What happens when, as pure functions of nimg, the number of real images that a stage has shown.

A stage fades its new layers in (stage 0 has none to fade), then trains with them fully in. Batch size and step size are constant within a stage.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from lookalike import config


@dataclass(frozen=True)
class Schedule:
    """One stage's schedule. All numbers of images but `batch` and `fade` are multiples of batch x critic_steps.

    Attributes:
        fade: images shown while alpha rises from 0 to 1.
        total: images shown in the whole stage; where the stage is judged, before it is judged first.
        limit: images after which it ends in any case; `total` where it is not judged.
        every: images between judgements; 0 = none.
        batch: images a step.
        critic_steps: steps of the discriminator a step of the generator.
        learning_rate, learning_rate_discriminator: the optimisers' step sizes.
        ema_decay: weight that the averaged generator keeps at a step; 0 = it is the generator itself.
    """

    fade: float
    total: int
    limit: int
    every: int
    batch: int
    critic_steps: int
    learning_rate: float
    learning_rate_discriminator: float
    ema_decay: float

    def alpha(self, nimg: int) -> float:
        """Share of the new layers for the step that starts at nimg: 0 = former stage upsampled, 1 = the new layers fully in."""
        return min(nimg / self.fade, 1.0) if self.fade else 1.0

    def resets_optimisers(self, nimg: int) -> bool:
        """Whether Adam's moments start anew before the step at nimg: when the fade has just ended (the reference resets whenever the floor
        or ceiling of its level of detail changes; the other such moment is the start of a stage, where the optimisers are new anyway)."""
        return nimg > 0 and self.alpha(nimg - self.batch) < 1 <= self.alpha(nimg)

    def moves_generator(self, nimg: int) -> bool:
        """Whether the step at nimg, the last of its critic_steps, is one of the generator too."""
        return (nimg // self.batch + 1) % self.critic_steps == 0

    def judges(self, nimg: int) -> bool:
        """Whether the networks are judged when nimg images have been shown."""
        return self.every > 0 and nimg >= self.total and ((nimg - self.total) % self.every == 0 or nimg == self.limit)


def schedule_of(generator: config.Generator, stage: int, *, follow: int | None = None) -> Schedule:
    """The schedule of a stage; its length is rounded up to whole steps of the generator.

    Args:
        generator: its `stopping` holds for the last stage.
        stage: which.
        follow: images that the stage shows, whatever the config says.
    """
    settings = generator.stages[stage]
    fade = settings.fade_kimg * 1000 if stage else 0.0
    cycle = settings.batch * generator.critic_steps

    def whole(images: float) -> int:
        return math.ceil(images / cycle) * cycle

    total = whole(fade + settings.stable_kimg * 1000 if follow is None else follow)
    limit, every = total, 0
    if generator.stopping is not None and follow is None and stage == len(generator.stages) - 1:
        former = sum(schedule_of(generator, below).total for below in range(stage))
        limit = max(total, whole(generator.stopping.maximum_kimg * 1000 - former))
        every = whole(generator.stopping.every_kimg * 1000)
    # A half-life in images makes the average independent of the batch size; 0.999 a step is the reference's.
    decay = 0.999
    if generator.ema_kimg is not None:
        decay = 0.5 ** (cycle / (generator.ema_kimg * 1000)) if generator.ema_kimg else 0.0
    return Schedule(
        fade=fade,
        total=total,
        limit=limit,
        every=every,
        batch=settings.batch,
        critic_steps=generator.critic_steps,
        learning_rate=settings.learning_rate,
        learning_rate_discriminator=settings.learning_rate_discriminator or settings.learning_rate,
        ema_decay=decay,
    )
