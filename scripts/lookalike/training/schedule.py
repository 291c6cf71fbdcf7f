"""What happens when, as pure functions of nimg, the number of real images that a stage has shown.

A stage fades its new layers in (stage 0 has none to fade), then trains with them fully in. Batch size and step size are constant within a stage.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from lookalike import config


@dataclass(frozen=True)
class Schedule:
    """One stage's schedule.

    Attributes:
        fade: images shown while alpha rises from 0 to 1.
        total: images shown in the whole stage, a multiple of the batch.
        batch: images a step.
        learning_rate: Adam's step size.
        ema_decay: weight that the averaged generator keeps at a step.
    """

    fade: float
    total: int
    batch: int
    learning_rate: float
    ema_decay: float

    def alpha(self, nimg: int) -> float:
        """Share of the new layers for the step that starts at nimg: 0 = former stage upsampled, 1 = the new layers fully in."""
        return min(nimg / self.fade, 1.0) if self.fade else 1.0

    def resets_optimisers(self, nimg: int) -> bool:
        """Whether Adam's moments start anew before the step at nimg: when the fade has just ended (the reference resets whenever the floor
        or ceiling of its level of detail changes; the other such moment is the start of a stage, where the optimisers are new anyway)."""
        return nimg > 0 and self.alpha(nimg - self.batch) < 1 <= self.alpha(nimg)


def schedule_of(generator: config.Generator, stage: int) -> Schedule:
    """The schedule of a stage; its length is rounded up to whole steps."""
    settings = generator.stages[stage]
    fade = settings.fade_kimg * 1000 if stage else 0.0
    steps = math.ceil((fade + settings.stable_kimg * 1000) / settings.batch)
    # A half-life in images makes the average independent of the batch size; 0.999 a step is the reference's.
    decay = 0.999 if generator.ema_kimg is None else 0.5 ** (settings.batch / (generator.ema_kimg * 1000))
    return Schedule(fade=fade, total=steps * settings.batch, batch=settings.batch, learning_rate=settings.learning_rate, ema_decay=decay)
