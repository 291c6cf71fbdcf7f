"""K21, Figure 1: the two networks, read off the trained modules."""

from pathlib import Path

from _job import job, label
from lookalike.figures import networks
from lookalike.generators.families import describe
from lookalike.training.state import load_networks

with job(snakemake) as task:
    weights = Path(snakemake.input.weights)
    generator, discriminator = (describe(load_networks(weights, which)) for which in ("ema", "discriminator"))
    networks.draw(generator, discriminator, Path(snakemake.output.png).with_suffix(""), label=label(task["simulated"]))
