"""Real and synthetic images as a network sees them: Frechet and kernel distance, nearest real neighbours, and whether training images were copied (D21)."""

from pathlib import Path

import numpy as np
import pandas as pd

from _job import job, origin
from lookalike.config import Inception
from lookalike.files import atomic
from lookalike.measures.frechet import compare_features
from lookalike.training.device import choose_device
from lookalike.utility.classifier import load_fold
from lookalike.utility.copying import tabulate_copying
from lookalike.utility.encoder import load_encoder
from lookalike.utility.neighbours import nearest_neighbours

RANKS = 5  # neighbours of an image
HELD_OUT = 1000  # unseen real images at most: ten of them make up the quantile that counts

with job(snakemake) as task:
    device, level, seed = choose_device(task["device"], threads=snakemake.threads), task["level"], task["seed"]
    sets = {side: [[Path(path) for path in snakemake.input[f"{side}_{part}"]] for part in ("table", "store")] for side in ("real", "synthetic")}
    training, fold = load_fold(*sets["real"], "train", level=level)
    unseen, unseen_fold = load_fold(*sets["real"], "test", level=level)
    sampled, sampled_fold = load_fold(*sets["synthetic"], "train", level=level)
    asked, asked_fold = load_fold(*sets["synthetic"], "test", level=level)
    classifier = load_encoder(Path(snakemake.input.encoder), None, device=device)
    gallery = classifier.features(fold.images)

    # The training images are what the generator was to imitate; the sampled ones have the labels of the training split too.
    def chosen(count, stream):
        return np.sort(np.random.default_rng([seed, stream]).permutation(count)[: task["frechet_images"]])

    reals, samples = chosen(len(training), 0), chosen(len(sampled), 1)
    if task["inception"]:
        encoder = load_encoder(None, Inception.model_validate(task["inception"]), device=device)
        first = encoder.features(fold.images[reals])
    else:
        encoder, first = classifier, gallery[reals]
    frechet = compare_features(
        first,
        training["patient"].iloc[reals],
        encoder.features(sampled_fold.images[samples]),
        features=encoder.name,
        splits=task["splits"],
        bootstrap=task["bootstrap"],
        seed=seed,
    )
    with atomic(snakemake.output.frechet) as path:
        frechet.assign(data=origin(task["simulated"])).to_csv(path, index=False)

    asked = asked.iloc[: task["queries"]]
    queries = classifier.features(asked_fold.images[np.arange(len(asked))])
    rows, distances = nearest_neighbours(queries, gallery, k=min(RANKS, len(gallery)))
    ranks = rows.shape[1]
    neighbours = pd.DataFrame(
        {
            "query": asked["image"].repeat(ranks).to_numpy(),
            "query_row": asked.index.repeat(ranks),
            "rank": np.tile(np.arange(ranks), len(asked)),
            "neighbour": training["image"].to_numpy()[rows.ravel()],
            "neighbour_row": training.index.to_numpy()[rows.ravel()],
            "distance": distances.ravel(),
        }
    )
    with atomic(snakemake.output.neighbours) as path:
        neighbours.to_parquet(path, index=False)

    order = np.random.default_rng([seed, 2]).permutation(len(unseen))
    once = np.sort(order[~unseen["patient"].iloc[order].duplicated().to_numpy()][:HELD_OUT])  # one image a patient
    copying = tabulate_copying(queries, classifier.features(unseen_fold.images[once]), gallery)
    with atomic(snakemake.output.copying) as path:
        copying.assign(data=origin(task["simulated"])).to_csv(path, index=False)
