"""Training beside pytorch_GAN_zoo and StyleGAN2, and occlusion maps.

The zoo's progressive GAN comes from the user's own checkout. Its discriminator differs from the reference's in two respects, and is made equal before it runs, in
memory alone: it takes the means after the activation (the reference's fused form: before), and the minibatch standard deviation of a sample, over neighbours.
Neither change makes it slower. Today's torch refuses its Adam's integer betas; they become floats.
"""

from __future__ import annotations

import importlib
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.timing import Options, Row, race, seconds
from lookalike import config
from lookalike.generators.layers import minibatch_std
from lookalike.plan.costs import GPUS
from lookalike.plan.networks import counted
from lookalike.training.schedule import schedule_of
from lookalike.training.step import Step, build_networks
from lookalike.utility.classifier import Classifier, label_loss
from lookalike.utility.importance import FLOOR, occlusion_map

THREADS = 2
SIZES = {32: (16, (64, 64, 64, 32)), 64: (8, (128, 128, 128, 128, 64)), 128: (8, (128, 128, 128, 128, 64, 32))}  # side: batch, channels
STYLEGAN2 = 11.0  # images a second at 1024x1024 on one A100, its authors' figure


def run(options: Options) -> Iterator[Row]:
    """Iterations at small sizes beside a checkout of the zoo, at K21's full size on a GPU, and occlusion maps."""
    torch.set_num_threads(THREADS)
    if options.zoo is not None and options.device == "cpu":
        for side, (batch, channels) in SIZES.items():
            small = (4, tuple(count // 8 for count in channels))
            yield _beside_zoo(options, side, *(small if options.quick else (batch, channels)))
    if options.device == "cuda" or options.quick:
        yield _full_size(options, compiled=False)
        if options.device == "cuda":
            yield _full_size(options, compiled=True)
    yield _occlusion(options)


def _beside_zoo(options: Options, side: int, batch: int, channels: tuple[int, ...]) -> Row:
    stages = [{"channels": count, "fade_kimg": 0, "batch": batch} for count in channels]
    settings = config.Generator.model_validate({"cohort": "none", "latent": 128, "stages": stages})
    stage = len(channels) - 1
    networks = build_networks(settings, stage=stage, base=(4, 4), labels=0, previous=None)
    step = Step(networks, settings, schedule_of(settings, stage), torch.device("cpu"))
    peer = _zoo(options, settings.latent, channels)
    furthest = _share_weights(step, peer, batch, side)
    if furthest > 1e-5:
        raise RuntimeError(f"with the same weights the networks' outputs differ by {furthest:.1g} of the largest")
    pixels = np.random.default_rng(1).integers(0, 256, (batch, side, side), dtype=np.uint8)
    real = torch.from_numpy(pixels)[:, None].float() / 127.5 - 1
    return race(
        f"training iteration, {side} px, batch {batch}",
        "pytorch_GAN_zoo PGAN",
        lambda: step(pixels, np.arange(batch), 0),
        lambda: peer.optimizeParameters(real),
        reach=1.5,
        rounds=1 if options.quick else 15,
        holds=f"outputs with the same weights within {furthest:.1g} of the largest, in float64; WGAN-GP, drift, Adam, averaged generator; {THREADS} threads",
    )


def _zoo(options: Options, latent: int, channels: tuple[int, ...]) -> Any:
    """The checkout's model of as many stages, none of them fading."""
    if str(options.zoo) not in sys.path:
        sys.path.insert(0, str(options.zoo))
    model: Any = importlib.import_module("models.progressive_gan")
    networks: Any = importlib.import_module("models.networks.progressive_conv_net")
    model.optim = SimpleNamespace(Adam=lambda parameters, betas, lr: torch.optim.Adam(parameters, lr, (float(betas[0]), float(betas[1]))))
    networks.nn, networks.miniBatchStdDev = nn, lambda x: minibatch_std(x, 4)
    peer = model.ProgressiveGAN(latent, depthScale0=channels[0], miniBatchStdDev=True, dimOutput=1, useGPU=False, lambdaGP=10.0, epsilonD=0.001)
    for count in channels[1:]:
        peer.addScale(count)
    for block in peer.netD.scaleLayers:
        block.append(nn.AvgPool2d(2))
        block[1] = nn.Sequential(block[1], block.pop(2))
    networks.nn = SimpleNamespace(AvgPool2d=lambda size: nn.Identity())  # the one name that its forward passes look up: the means are taken above
    return peer


@torch.no_grad()
def _share_weights(step: Step, peer: Any, batch: int, side: int) -> float:
    """Give ours random biases and the peer all of our weights; returns how far the outputs then are apart, as a share of the largest."""
    numbers = torch.Generator().manual_seed(1)
    g, d, stage = step.generator, step.discriminator, step.generator.stage
    for network in (g, d):
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(std=0.1, generator=numbers)
    first, last = g.blocks["0"], d.blocks["0"]
    pairs = [(first.dense, peer.netG.formatLayer), (first.conv, peer.netG.groupScale0[0]), (g.to_rgb[str(stage)], peer.netG.toRGBLayers[-1])]
    pairs += [(d.from_rgb[str(stage)], peer.netD.fromRGBLayers[-1]), (last.conv, peer.netD.groupScaleZero[0])]
    pairs += [(last.dense, peer.netD.groupScaleZero[1]), (last.score, peer.netD.decisionLayer)]
    for level, (up, down) in enumerate(zip(peer.netG.scaleLayers, peer.netD.scaleLayers, strict=True), 1):
        pairs += zip((g.blocks[str(level)].up, g.blocks[str(level)].conv), up, strict=True)
        pairs += [(d.blocks[str(level)].conv, down[0]), (d.blocks[str(level)].down, down[1][0])]
    for ours, theirs in pairs:  # they multiply by their scale after the bias was added
        theirs.module.weight.copy_(ours.weight * (ours.scale / theirs.weight))
        bias = first.bias.expand(-1, 4, 4).flatten() if ours is first.dense else ours.bias
        theirs.module.bias.copy_(bias / theirs.weight)
    latents, images = torch.randn(batch, step.settings.latent, generator=numbers), torch.randn(batch, 1, side, side, generator=numbers)
    networks = (g, d, peer.netG, peer.netD)
    for network in networks:  # in float32, rounding adds up to 1e-5 where scores come out small
        network.double()
    outputs = ((g(latents.double()), peer.netG(latents.double())), (d(images.double()), peer.netD(images.double())[:, 0]))
    for network in networks:
        network.float()
    return max(float((ours - theirs).abs().max() / ours.abs().max()) for ours, theirs in outputs)


def _full_size(options: Options, *, compiled: bool) -> Row:
    """K21's last stage as config/paper.yaml has it; under --quick one of the first."""
    paper = yaml.safe_load(Path("config/paper.yaml").read_text())["generators"]["progan"]
    settings = config.Generator.model_validate({**paper, "cohort": "none", "device": options.device})
    stage = 2 if options.quick else len(settings.stages) - 1
    if options.quick:
        settings = settings.model_copy(
            update={"stages": tuple(one.model_copy(update={"channels": 8, "batch": 4}) for one in settings.stages[: stage + 1])}
        )
    device, schedule = torch.device(options.device), schedule_of(settings, stage)
    step = Step(build_networks(settings, stage=stage, base=(5, 4), labels=0, previous=None), settings, schedule, device)
    if compiled:
        step.compile()
    height, width = 5 << stage, 4 << stage
    pixels = np.random.default_rng(1).integers(0, 65536, (schedule.batch, height, width), dtype=np.uint16)
    rounds, iterations = (1, 1) if options.quick else (5, 10)

    def iterate(count: int) -> None:
        for _ in range(count):
            step(pixels, np.arange(schedule.batch), schedule.total)
        if device.type == "cuda":
            torch.cuda.synchronize()

    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    iterate(iterations)  # compiles, chooses algorithms
    times = [seconds(lambda: iterate(iterations)) / (iterations * schedule.batch) for _ in range(rounds)]
    held = [f"{'bfloat16' if device.type == 'cuda' else 'float32'}, batch {schedule.batch}, without reading"]
    if not compiled:
        flops = counted(lambda: iterate(1)).flops / schedule.batch
        held.append(f"{flops / 1e9:.3g} GFLOP an image")
    if device.type == "cuda":
        held.append(f"{torch.cuda.max_memory_allocated() / 2**30:.1f} GB at most")
        name = torch.cuda.get_device_name()
        peak = next((device.flops for gpu, device in GPUS.items() if gpu.upper() in name), None)
        if peak and not compiled:
            held.append(f"{flops / statistics.median(times) / peak:.1%} of {name}'s peak")
    ratios = sorted(1 / (STYLEGAN2 * taken) for taken in times)
    kind = "compiled" if compiled else "eager"
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive") if rounds > 1 else ratios * 3
    aim = (150 if compiled else 90) / STYLEGAN2
    return Row(
        f"training at {height}x{width} on {options.device}, {kind}, an image",
        "StyleGAN2 on an A100, published",
        statistics.median(times),
        1 / STYLEGAN2,
        middle,
        low,
        high,
        None if options.quick else aim,
        "; ".join(held),
    )


def _occlusion(options: Options) -> Row:
    """The demo's classifier at the demo's size."""
    demo = config.load(yaml.safe_load(Path("config/config.yaml").read_text())).utility.classifier
    shape: dict[str, Any] = {
        "size": demo.size,
        "init_features": demo.init_features,
        "growth_rate": demo.growth_rate,
        "block_config": demo.block_config,
    }
    network, labels = Classifier(4, seed=1, **shape).eval(), np.array([1, 0, 0, 1])
    image = network.prepare(np.random.default_rng(1).integers(0, 256, (1, demo.size, demo.size), dtype=np.uint8))[0]
    torch.set_num_threads(demo.threads)
    furthest = float(np.abs(occlusion_map(network, image, labels, normalise=False) - _one_by_one(network, image, labels)).max())
    if furthest > 1e-5:
        raise RuntimeError(f"the occlusion maps differ by {furthest:.1g}")
    return race(
        f"occlusion map, {demo.size} px, patches of 2",
        "one mask a forward pass",
        lambda: occlusion_map(network, image, labels, normalise=False),
        lambda: _one_by_one(network, image, labels),
        reach=3,
        rounds=1 if options.quick else 7,
        holds=f"maps within {furthest:.1g}; the demo's DenseNet, {demo.threads} thread",
    )


@torch.inference_mode()
def _one_by_one(network: Classifier, image: Tensor, labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """The definition."""
    truth = torch.from_numpy(labels)[None].double()

    def loss(seen: Tensor) -> float:
        return float(label_loss(network(seen[None]).double(), truth))

    importance = np.empty((image.shape[1] // 2, image.shape[2] // 2))
    plain = loss(image)
    for i, j in np.ndindex(*importance.shape):
        masked = image.clone()
        masked[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2] = 0
        importance[i, j] = max(loss(masked) - plain, FLOOR)
    return importance
