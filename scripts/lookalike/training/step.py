"""One step of adversarial training: the discriminator, the averaged generator, then the generator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lookalike import config
from lookalike.generators.biggan import orthogonal_regularisation
from lookalike.generators.families import Discriminator, Generator, build_discriminator, build_generator
from lookalike.generators.progan import grow
from lookalike.training.data import Labels, Purpose, fade_reals, random_numbers, to_device
from lookalike.training.losses import (
    Classifier,
    Critic,
    auxiliary_discriminator_loss,
    auxiliary_generator_loss,
    discriminator_loss,
    generator_loss,
)
from lookalike.training.ranks import ALONE, Ranks
from lookalike.training.schedule import Schedule
from lookalike.training.state import Network

STATISTICS = ("loss_discriminator", "loss_generator", "penalty", "real_score", "fake_score")
Networks = tuple[Generator, Discriminator, Generator]  # the last one is the averaged generator


def build_networks(
    settings: config.Generator,
    *,
    stage: int,
    base: tuple[int, int],
    labels: int,
    previous: Mapping[Network, Mapping[str, Tensor]] | None,
    image_channels: int = 1,
) -> Networks:
    """Generator, discriminator and averaged generator of a stage: fresh from the seed, then with the former stage's weights where both have a layer.

    Args:
        labels: length of the label vector.

    Raises:
        ValueError: `previous` is not the stage before this one, or the family cannot have that latent dimension or so few stages.
    """
    seeds = random_numbers(settings.seed, stage, Purpose.WEIGHTS, 0).integers(2**63, size=2).tolist()
    shape: dict[str, Any] = {"base": base, "channels": settings.channels(stage), "labels": labels, "image_channels": image_channels}
    generator = build_generator(settings.family, **shape, latent=settings.latent, seed=seeds[0])
    own: dict[str, Any] = {"group": settings.minibatch_std_group, "condition": settings.condition, "norm": settings.discriminator_norm}
    discriminator = build_discriminator(settings.family, **shape, **own, seed=seeds[1])
    average = build_generator(settings.family, **shape, latent=settings.latent, seed=seeds[0])  # begins as the generator itself
    if previous is not None:
        grow(generator, previous["generator"])
        grow(discriminator, previous["discriminator"])
        grow(average, previous["ema"])
    return generator, discriminator, average.requires_grad_(False).eval()


class Step:
    """Networks, optimisers, and the one thing that is done with them: a step of the discriminator, and at each critic_steps-th one of the averaged generator
    and the generator."""

    def __init__(
        self,
        networks: Networks,
        settings: config.Generator,
        schedule: Schedule,
        device: torch.device,
        ranks: Ranks = ALONE,
        labels: Labels | None = None,
    ) -> None:
        self.generator, self.discriminator, self.average = (
            network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch types no memory_format here
            for network in networks
        )
        self.settings, self.schedule, self.device, self.ranks = settings, schedule, device, ranks
        self.labels = None if labels is None else labels.vectors
        # What the generator's labels are drawn from: the images', or, of a balanced sampler, the classes'.
        balanced = labels is not None and settings.sampler == "balanced"
        self.drawn_from = np.unique(labels.vectors, axis=0) if balanced and labels is not None else self.labels
        self.share = ranks.share(schedule.batch, settings.minibatch_std_group)
        self.autocast = torch.autocast(device.type, torch.bfloat16, enabled=settings.precision == "bf16" and device.type == "cuda")
        self.compiled: tuple[Callable[..., Any], ...] | None = None
        if settings.compile and device.type == "cuda":
            self.compile()
        self.reset_optimisers()

    def compile(self, backend: str = "inductor") -> None:
        """Have torch compile both losses, the penalty's gradient with them, and the generator, for the steps whose new layers are fully in: while those fade in,
        every step would be compiled anew for its alpha."""
        parts = (self._generate, self._discriminator_loss, self._generator_loss)
        self.compiled = tuple(torch.compile(part, fullgraph=True, backend=backend) for part in parts)

    def reset_optimisers(self) -> None:
        """Forget the gradients' moments."""
        self.optimiser_g = self._optimiser(self.generator, self.schedule.learning_rate)
        self.optimiser_d = self._optimiser(self.discriminator, self.schedule.learning_rate_discriminator)

    def _optimiser(self, network: torch.nn.Module, rate: float) -> torch.optim.Optimizer:
        if self.settings.optimiser == "rmsprop":
            return torch.optim.RMSprop(network.parameters(), lr=rate)
        betas = (float(self.settings.adam_beta1), float(self.settings.adam_beta2))  # both floats: torch refuses the integer 0
        return torch.optim.Adam(network.parameters(), lr=rate, betas=betas, eps=self.settings.adam_epsilon, fused=True)

    def __call__(self, pixels: np.ndarray, order: np.ndarray, nimg: int) -> Tensor:
        """Train at nimg on stored pixels [N, H, W] or [N, C, H, W], this rank's share of the batch, and the labels of the images order [N]. Returns the five STATISTICS of the
        whole batch, on the device: reading them here would make it wait. The generator's loss counts critic_steps times where it moves, and is 0 where not."""
        alpha, batch = self.schedule.alpha(nimg), self.schedule.batch
        numbers = random_numbers(self.settings.seed, self.generator.stage, Purpose.STEP, nimg)
        latents = torch.from_numpy(numbers.standard_normal((2, batch, self.settings.latent), dtype=np.float32)[:, self.share]).to(self.device)
        mix = torch.from_numpy(numbers.random(batch, dtype=np.float32)[self.share]).to(self.device)
        real = fade_reals(to_device(pixels, self.device), alpha)
        labels = None if self.labels is None else torch.from_numpy(self.labels[order]).to(self.device)
        eager = (self._generate, self._discriminator_loss, self._generator_loss)
        generate, criticise, please = self.compiled if self.compiled and alpha >= 1 else eager

        with self.autocast:
            with torch.no_grad():
                fake = generate(latents[0], labels, alpha)
            losses = criticise(real, fake, labels, mix, alpha)
        loss_d, *others = self._descend(self.optimiser_d, *losses)
        if self.settings.loss.kind == "wgan":
            with torch.no_grad():  # all parameters, batch norm's too, as the public code of Arjovsky et al. does
                torch._foreach_clamp_max_(list(self.discriminator.parameters()), self.settings.loss.clip)
                torch._foreach_clamp_min_(list(self.discriminator.parameters()), -self.settings.loss.clip)
        if not self.schedule.moves_generator(nimg):
            return torch.stack([loss_d, torch.zeros_like(loss_d), *others])

        if self.schedule.ema_decay:
            self._update_average()

        # The relativistic loss pairs a fake with a real one, of the same labels; the others take labels as they come.
        if self.drawn_from is not None and self.settings.loss.kind != "relativistic":
            drawn = random_numbers(self.settings.seed, self.generator.stage, Purpose.LABELS, nimg).integers(len(self.drawn_from), size=batch)
            labels = torch.from_numpy(self.drawn_from[drawn[self.share]]).to(self.device)
        self.discriminator.requires_grad_(False)  # its own gradients would be computed and thrown away
        with self.autocast:
            loss = please(real, latents[1], labels, alpha)
        (loss_g,) = self._descend(self.optimiser_g, loss)
        self.discriminator.requires_grad_(True)
        if not self.schedule.ema_decay:  # the generator as it is now, not as the step before left it
            self._update_average()
        return torch.stack([loss_d, loss_g * self.schedule.critic_steps, *others])

    @torch.no_grad()  # else the average would keep the graph of every step
    def _update_average(self) -> None:
        torch._foreach_lerp_(list(self.average.parameters()), list(self.generator.parameters()), 1 - self.schedule.ema_decay)
        for buffer, now in zip(self.average.buffers(), self.generator.buffers(), strict=True):
            buffer.copy_(now)

    def _generate(self, latents: Tensor, labels: Tensor | None, alpha: float) -> Tensor:
        return self.generator(latents, alpha, labels) if self.settings.family == "progan" else self.generator(latents, labels)

    def _discriminator_loss(self, real: Tensor, fake: Tensor, labels: Tensor | None, mix: Tensor, alpha: float) -> tuple[Tensor, ...]:
        if self.settings.family == "progan" and labels is not None:
            return auxiliary_discriminator_loss(self._classifier(alpha), real, fake, labels, mix, loss=self.settings.loss)
        terms = discriminator_loss(self._critic(labels, alpha), real, fake, mix, loss=self.settings.loss)
        return terms._replace(total=self._regularised(terms.total, self.discriminator))

    def _generator_loss(self, real: Tensor, latents: Tensor, labels: Tensor | None, alpha: float) -> Tensor:
        fake = self._generate(latents, labels, alpha)
        if self.settings.family == "progan" and labels is not None:
            return auxiliary_generator_loss(self._classifier(alpha), real, fake, labels, loss=self.settings.loss)
        return self._regularised(generator_loss(self._critic(labels, alpha), real, fake, loss=self.settings.loss), self.generator)

    def _critic(self, labels: Tensor | None, alpha: float) -> Critic:
        if self.settings.family == "progan":
            return lambda images: self.discriminator(images, alpha)
        return lambda images: self.discriminator(images, labels)

    def _classifier(self, alpha: float) -> Classifier:
        return lambda images: self.discriminator.scores_and_logits(images, alpha)

    def _regularised(self, loss: Tensor, network: torch.nn.Module) -> Tensor:
        if self.settings.family != "biggan":
            return loss
        return loss + self.settings.loss.orthogonal * orthogonal_regularisation(network)

    def _descend(self, optimiser: torch.optim.Optimizer, loss: Tensor, *statistics: Tensor) -> list[Tensor]:
        """Make one step down the loss of the whole batch. Returns that loss and the whole batch's statistics."""
        parameters = optimiser.param_groups[0]["params"]
        optimiser.zero_grad(set_to_none=True)
        loss.backward(inputs=parameters)  # type: ignore[no-untyped-call]  # torch leaves it untyped
        means = [value.detach() for value in (loss, *statistics)]
        # At alpha = 1 the former stage's toRGB and fromRGB are not in the network and have no gradient, on any rank.
        self.ranks.average([parameter.grad for parameter in parameters if parameter.grad is not None] + means)
        optimiser.step()
        return means

    def networks(self) -> dict[Network, torch.nn.Module]:
        """The three networks by name."""
        return {"generator": self.generator, "discriminator": self.discriminator, "ema": self.average}

    def state_dict(self) -> dict[str, Any]:
        """All that a step changes."""
        return {name: part.state_dict() for name, part in self._parts().items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The reverse of `state_dict`."""
        for name, part in self._parts().items():
            part.load_state_dict(state[name])

    def _parts(self) -> dict[str, Any]:
        return dict(self.networks().items(), optimiser_g=self.optimiser_g, optimiser_d=self.optimiser_d)
