"""Adversarial losses, as pure functions of a critic and images: WGAN-GP with drift, the relativistic loss with R1 and R2, the hinge loss, those of the first
GAN and of the first WGAN, and the auxiliary classifier's term. A critic that takes labels is closed over them: reals, fakes and their mixtures then have the labels of the batch.

wgan_gp: Gulrajani et al. 2017 with the drift term of Karras et al. 2018. relativistic: RpGAN + R1 + R2 of Huang et al. 2024 (R3GAN), with both
penalties at every step. Hinge: Miyato et al. 2018. gan: Goodfellow et al. 2014. wgan: Arjovsky et al. 2017, whose clipping is the step's. All terms are means over the batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, relu, softplus

from lookalike.config import Loss

Critic = Callable[[Tensor], Tensor]  # images [N, C, H, W] to scores [N]
Classifier = Callable[[Tensor], tuple[Tensor, Tensor]]  # images [N, C, H, W] to scores [N] and label logits [N, labels]


class DiscriminatorLoss(NamedTuple):
    """Scalars: what is minimised, the penalty inside it before its weight, and the mean scores."""

    total: Tensor
    penalty: Tensor
    real_score: Tensor
    fake_score: Tensor


def input_gradient(critic: Critic, images: Tensor) -> tuple[Tensor, Tensor]:
    """Scores [N], and the gradient of their sum by the images, itself differentiable by the critic's weights (shape of the images)."""
    if torch.compiler.is_compiling():  # autograd.grad's result cannot be compiled and differentiated again; run as it is, this form is the slower one

        def total(shown: Tensor) -> tuple[Tensor, Tensor]:
            scores = critic(shown)
            return scores.sum(), scores

        gradient, scores = torch.func.grad(total, has_aux=True)(images)
        return scores, gradient
    images = images.detach().requires_grad_(True)
    scores = critic(images)
    (gradient,) = torch.autograd.grad(scores.sum(), images, create_graph=True)
    return scores, gradient


def discriminator_loss(critic: Critic, real: Tensor, fake: Tensor, mix: Tensor, *, loss: Loss) -> DiscriminatorLoss:
    """What the discriminator minimises.

    wgan_gp: mean D(fake) - mean D(real) + gradient_penalty * mean (|grad D(x)| - 1)^2 + drift * mean D(real)^2, x = real + mix (fake - real).
    relativistic: mean softplus(D(fake) - D(real)) + gamma / 2 * mean |grad D(real)|^2 + gamma / 2 * mean |grad D(fake)|^2; images are paired by position.
    hinge: mean max(0, 1 - D(real)) + mean max(0, 1 + D(fake)), without a penalty.
    gan: mean softplus(-D(real)) + mean softplus(D(fake)), the binary cross-entropy of scores that are logits, without a penalty.
    wgan: mean D(fake) - mean D(real), without a penalty.

    Args:
        critic: the discriminator at its present alpha.
        real, fake: [N, C, H, W], detached from the generator.
        mix: [N] in [0, 1], used by wgan_gp only.
        loss: kind and weights.
    """
    if loss.kind == "wgan_gp":
        real_scores, fake_scores = critic(real), critic(fake)
        _, gradient = input_gradient(critic, torch.lerp(real, fake, mix[:, None, None, None]))
        penalty = (torch.linalg.vector_norm(gradient.flatten(1), dim=1) - 1).square().mean()
        objective = (fake_scores - real_scores).mean() + loss.drift * real_scores.square().mean()
        total = objective + loss.gradient_penalty * penalty
    elif loss.kind == "relativistic":
        real_scores, real_gradient = input_gradient(critic, real)
        fake_scores, fake_gradient = input_gradient(critic, fake)
        penalty = (real_gradient.flatten(1).square().sum(1) + fake_gradient.flatten(1).square().sum(1)).mean()
        total = softplus(fake_scores - real_scores).mean() + loss.gamma / 2 * penalty
    else:
        real_scores, fake_scores = critic(real), critic(fake)
        if loss.kind == "hinge":
            total = relu(1 - real_scores).mean() + relu(1 + fake_scores).mean()
        elif loss.kind == "gan":
            total = softplus(-real_scores).mean() + softplus(fake_scores).mean()
        else:
            total = fake_scores.mean() - real_scores.mean()
        penalty = torch.zeros_like(total)
    return DiscriminatorLoss(total, penalty, real_scores.mean(), fake_scores.mean())


def generator_loss(critic: Critic, real: Tensor, fake: Tensor, *, loss: Loss) -> Tensor:
    """What the generator minimises: -mean D(fake) (wgan_gp, hinge, wgan), mean softplus(-D(fake)) (gan), or mean softplus(D(real) - D(fake)) (relativistic)."""
    if loss.kind == "gan":
        return softplus(-critic(fake)).mean()
    if loss.kind != "relativistic":
        return -critic(fake).mean()
    with torch.no_grad():  # the reals pass no gradient to the generator
        real_scores = critic(real)
    return softplus(real_scores - critic(fake)).mean()


def label_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean softmax cross-entropy of logits with labels that are scaled to sum 1 (AC-GAN as in D21); an image without labels adds 0.

    Args:
        logits: [N, labels].
        labels: multi-hot [N, labels].
    """
    return cross_entropy(logits, labels / labels.sum(dim=1, keepdim=True).clamp(min=1))


def auxiliary_discriminator_loss(classifier: Classifier, real: Tensor, fake: Tensor, labels: Tensor, mix: Tensor, *, loss: Loss) -> DiscriminatorLoss:
    """`discriminator_loss`, and in its total the `label_loss` of reals and that of fakes, which were made with the reals' labels [N, labels]."""
    critic, logits = _remembering(classifier)
    terms = discriminator_loss(critic, real, fake, mix, loss=loss)
    real_logits, fake_logits, *_ = logits  # the order in which `discriminator_loss` shows images, mixtures last
    return terms._replace(total=terms.total + label_loss(real_logits, labels) + label_loss(fake_logits, labels))


def auxiliary_generator_loss(classifier: Classifier, real: Tensor, fake: Tensor, labels: Tensor, *, loss: Loss) -> Tensor:
    """`generator_loss` and the `label_loss` of fakes with the labels [N, labels] that they were made with."""
    critic, logits = _remembering(classifier)
    total = generator_loss(critic, real, fake, loss=loss)
    return total + label_loss(logits[-1], labels)


def _remembering(classifier: Classifier) -> tuple[Critic, list[Tensor]]:
    """The critic in a classifier, and the list that will hold the logits of what the critic is shown: one pass gives both."""
    logits: list[Tensor] = []

    def critic(images: Tensor) -> Tensor:
        scores, found = classifier(images)
        logits.append(found)
        return scores

    return critic, logits
