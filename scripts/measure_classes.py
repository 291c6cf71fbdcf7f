"""Generated patches of a class against real ones: Frechet distance and 1-NN accuracy over random sets, beside what held-out real patches give (H19, Table 2)."""

from pathlib import Path

import pandas as pd

from _job import job, origin
from lookalike.config import Inception
from lookalike.files import atomic
from lookalike.measures.classes import ImageSet, at_most, compare_classes
from lookalike.pixels.store import ImageStore, image_table
from lookalike.training.device import choose_device
from lookalike.utility.encoder import load_encoder

with job(snakemake) as task:
    device, level, seed = choose_device(task["device"], threads=snakemake.threads), task["level"], task["seed"]
    inception = Inception.model_validate(task["inception"]) if task["inception"] else None
    encoder = load_encoder(Path(snakemake.input.encoder), inception, device=device)

    def image_set(table: pd.DataFrame, parts: list[str]) -> ImageSet:
        """So many of each class as all draws together can use."""
        chosen = at_most(table, task["compared"] * task["draws"], seed=seed)
        images = ImageStore(chosen, [Path(path) for path in parts]).level(level)
        return ImageSet(encoder.features(images), images, chosen["class"].to_numpy(), chosen["patient"].to_numpy())

    real, synthetic = image_table(snakemake.input.real_table), image_table(snakemake.input.synthetic_table)
    classes = compare_classes(
        image_set(real[real["split"] == "train"], snakemake.input.real_store),
        image_set(real[real["split"] == "test"], snakemake.input.real_store),
        image_set(synthetic, snakemake.input.synthetic_store),
        features=encoder.name,
        compared=task["compared"],
        draws=task["draws"],
        seed=seed,
    )
    classes.insert(0, "generator", Path(snakemake.wildcards.synthetic).name)
    with atomic(snakemake.output.table) as path:
        classes.assign(data=origin(task["simulated"])).to_csv(path, index=False)
