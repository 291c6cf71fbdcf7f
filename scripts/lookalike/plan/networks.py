"""What networks cost: operations and bytes, counted on the networks themselves with tensors that have shapes and no values."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from lookalike import config
from lookalike.generators import progan
from lookalike.pixels.store import level_shape
from lookalike.training.losses import auxiliary_discriminator_loss, auxiliary_generator_loss, discriminator_loss, generator_loss
from lookalike.training.step import build_networks
from lookalike.utility.classifier import Classifier

META = torch.device("meta")
ADAM_BYTES = 28  # a parameter a step: it and two moments read and written, its gradient read
GROUP = 4  # images that are counted at once; a multiple of no group is one group, whose cost an image is the same


@dataclass(frozen=True)
class Work:
    """What a device has to do. flops: multiplications and additions of convolutions and matrix products; bytes: read and written by every operation, in float32;
    calls: operations that are started."""

    flops: float = 0.0
    bytes: float = 0.0
    calls: float = 0.0

    def __add__(self, other: Work) -> Work:
        return Work(self.flops + other.flops, self.bytes + other.bytes, self.calls + other.calls)

    def __mul__(self, times: float) -> Work:
        return Work(self.flops * times, self.bytes * times, self.calls * times)


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves it untyped
    """Counts while it is entered, the backward pass and that of a gradient's norm included (torch's own FlopCounterMode fails on the latter)."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # as above
        self.work = Work()

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if not func.is_view:
            moved = sum(leaf.numel() * leaf.element_size() for leaf in tree_leaves((args, kwargs, result)) if isinstance(leaf, Tensor))
            count = flop_registry.get(func.overloadpacket)
            self.work += Work(count(*args, **kwargs, out_val=result) if count else 0, moved, 1)
        return result


def counted(work: Callable[[], Any]) -> Work:
    """What a call does with tensors, those on the meta device included."""
    with _Counter() as counter:
        work()
    return counter.work


@dataclass(frozen=True)
class Training:
    """Costs of a stage: a step of each network for one batch, a forward pass of the generator an image, and its parameters."""

    generator_step: Work
    discriminator_step: Work
    sample: Work
    generator_parameters: int
    discriminator_parameters: int


def training(settings: config.Generator, stage: int, base: tuple[int, int], labels: int, image_channels: int) -> Training:
    """Count a stage's steps, the new layers fully in."""
    alike = settings.model_copy(update={"cohort": "any", "seed": 0, "stopping": None})  # D21's repetitions have the same networks
    return _training(alike.model_dump_json(), stage, base, labels if settings.labels else 0, image_channels)


@functools.cache
def _training(plain: str, stage: int, base: tuple[int, int], labels: int, image_channels: int) -> Training:
    settings = config.Generator.model_validate_json(plain)
    with META:
        generator, discriminator, _ = build_networks(settings, stage=stage, base=base, labels=labels, previous=None, image_channels=image_channels)
        batch = settings.stages[stage].batch
        few = min(batch, max(GROUP, settings.minibatch_std_group))
        height, width = level_shape(base, settings.level(stage))
        real, latents, mix = torch.empty(few, image_channels, height, width), torch.empty(few, settings.latent), torch.empty(few)
        known = torch.empty(few, labels)
    grows, given = settings.family == "progan", known if labels else None
    auxiliary = grows and labels
    weights = {network: list(network.parameters()) for network in (generator, discriminator)}
    sizes = {network: sum(parameter.numel() for parameter in parameters) for network, parameters in weights.items()}

    def generate() -> Tensor:
        return generator(latents, 1.0, given) if grows else generator(latents, given)

    def criticise(images: Tensor) -> Tensor:
        return discriminator(images, 1.0) if grows else discriminator(images, given)

    def classify(images: Tensor) -> tuple[Tensor, Tensor]:
        assert isinstance(discriminator, progan.Discriminator)
        return discriminator.scores_and_logits(images, 1.0)

    # The losses of training/step.py, without its values, optimisers and orthogonal regularisation.
    def step_discriminator() -> None:
        with torch.no_grad():
            fake = generate()
        if auxiliary:
            terms = auxiliary_discriminator_loss(classify, real, fake, known, mix, loss=settings.loss)
        else:
            terms = discriminator_loss(criticise, real, fake, mix, loss=settings.loss)
        torch.autograd.backward(terms.total, inputs=weights[discriminator])

    def step_generator() -> None:
        if auxiliary:
            loss = auxiliary_generator_loss(classify, real, generate(), known, loss=settings.loss)
        else:
            loss = generator_loss(criticise, real, generate(), loss=settings.loss)
        torch.autograd.backward(loss, inputs=weights[generator])

    discriminator_step = counted(step_discriminator)
    discriminator.requires_grad_(False)  # as in training
    generator_step = counted(step_generator)
    with torch.no_grad():
        sample = counted(generate)

    def of_batch(done: Work, parameters: int) -> Work:
        return Work(done.flops * batch / few, done.bytes * batch / few + ADAM_BYTES * parameters, done.calls)

    return Training(
        of_batch(generator_step, sizes[generator]),
        of_batch(discriminator_step, sizes[discriminator]),
        sample * (1 / few),
        sizes[generator],
        sizes[discriminator],
    )


@dataclass(frozen=True)
class Judging:
    """Costs of the classifier: an image in training, an image seen, and its parameters."""

    learn: Work
    see: Work
    parameters: int


def judging(settings: config.Classifier, labels: int) -> Judging:
    """Count the classifier."""
    with META:
        network = Classifier(
            labels, seed=0, size=settings.size, init_features=settings.init_features, growth_rate=settings.growth_rate, block_config=settings.block_config
        )  # fmt: skip
        images = torch.empty(settings.batch, 3, settings.size, settings.size)
    network.train()
    learn = counted(lambda: network(images).sum().backward())
    network.eval()
    with torch.no_grad():
        see = counted(lambda: network(images))
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return Judging((learn + Work(bytes=ADAM_BYTES * parameters)) * (1 / settings.batch), see * (1 / settings.batch), parameters)
