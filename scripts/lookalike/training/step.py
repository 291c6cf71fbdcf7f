"""One step of adversarial training: the discriminator, the averaged generator, then the generator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lookalike import config
from lookalike.generators.progan import Discriminator, Generator, grow
from lookalike.training.data import Purpose, fade_reals, random_numbers, to_device
from lookalike.training.losses import discriminator_loss, generator_loss
from lookalike.training.ranks import ALONE, Ranks
from lookalike.training.schedule import Schedule
from lookalike.training.state import Network

STATISTICS = ("loss_discriminator", "loss_generator", "penalty", "real_score", "fake_score")
Networks = tuple[Generator, Discriminator, Generator]  # the last one is the averaged generator


def build_networks(
    settings: config.Generator, *, stage: int, base: tuple[int, int], previous: Mapping[Network, Mapping[str, Tensor]] | None
) -> Networks:
    """Generator, discriminator and averaged generator of a stage: fresh from the seed, then with the former stage's weights where both have a layer.

    Raises:
        ValueError: `previous` is not the stage before this one.
    """
    seeds = random_numbers(settings.seed, stage, Purpose.WEIGHTS, 0).integers(2**63, size=2).tolist()
    channels = [settings.stages[level].channels for level in range(stage + 1)]
    generator = Generator(base=base, channels=channels, latent=settings.latent, seed=seeds[0])
    discriminator = Discriminator(base=base, channels=channels, group=settings.minibatch_std_group, seed=seeds[1])
    average = Generator(base=base, channels=channels, latent=settings.latent, seed=seeds[0])  # begins as the generator itself
    if previous is not None:
        grow(generator, previous["generator"])
        grow(discriminator, previous["discriminator"])
        grow(average, previous["ema"])
    return generator, discriminator, average.requires_grad_(False)


class Step:
    """Networks, optimisers, and the one thing that is done with them."""

    def __init__(self, networks: Networks, settings: config.Generator, schedule: Schedule, device: torch.device, ranks: Ranks = ALONE) -> None:
        self.generator, self.discriminator, self.average = (
            network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch types no memory_format here
            for network in networks
        )
        self.settings, self.schedule, self.device, self.ranks = settings, schedule, device, ranks
        self.share = ranks.share(schedule.batch, settings.minibatch_std_group)
        self.autocast = torch.autocast(device.type, torch.bfloat16, enabled=settings.precision == "bf16" and device.type == "cuda")
        self.reset_optimisers()

    def reset_optimisers(self) -> None:
        """Forget Adam's moments. Its betas must both be floats: torch refuses the integer 0."""
        betas = (float(self.settings.adam_beta1), float(self.settings.adam_beta2))
        self.adam_g, self.adam_d = (
            torch.optim.Adam(network.parameters(), lr=self.schedule.learning_rate, betas=betas, eps=self.settings.adam_epsilon, fused=True)
            for network in (self.generator, self.discriminator)
        )

    def __call__(self, pixels: np.ndarray, nimg: int) -> Tensor:
        """Train on stored pixels [N, H, W] at nimg, this rank's share of the batch. Returns the five STATISTICS of the whole batch, on the device: reading
        them here would make it wait."""
        alpha, batch = self.schedule.alpha(nimg), self.schedule.batch
        numbers = random_numbers(self.settings.seed, self.generator.stage, Purpose.STEP, nimg)
        latents = torch.from_numpy(numbers.standard_normal((2, batch, self.settings.latent), dtype=np.float32)[:, self.share]).to(self.device)
        mix = torch.from_numpy(numbers.random(batch, dtype=np.float32)[self.share]).to(self.device)
        real = fade_reals(to_device(pixels, self.device), alpha)
        critic = lambda images: self.discriminator(images, alpha)  # noqa: E731

        with self.autocast:
            with torch.no_grad():
                fake = self.generator(latents[0], alpha)
            losses = discriminator_loss(critic, real, fake, mix, loss=self.settings.loss)
        loss_d, *others = self._descend(self.adam_d, *losses)

        with torch.no_grad():  # else the average would keep the graph of every step
            torch._foreach_lerp_(list(self.average.parameters()), list(self.generator.parameters()), 1 - self.schedule.ema_decay)

        self.discriminator.requires_grad_(False)  # its own gradients would be computed and thrown away
        with self.autocast:
            loss = generator_loss(critic, real, self.generator(latents[1], alpha), loss=self.settings.loss)
        (loss_g,) = self._descend(self.adam_g, loss)
        self.discriminator.requires_grad_(True)
        return torch.stack([loss_d, loss_g, *others])

    def _descend(self, optimiser: torch.optim.Adam, loss: Tensor, *statistics: Tensor) -> list[Tensor]:
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
        return dict(self.networks().items(), adam_g=self.adam_g, adam_d=self.adam_d)
