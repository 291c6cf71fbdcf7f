"""What classifiers that learnt from real and from synthetic images look at: occlusion maps of some real test images (D21, Figures 6 and 7)."""

import json
from pathlib import Path

import numpy as np

from _job import job
from lookalike.cohort.labels import label_matrix
from lookalike.files import atomic
from lookalike.training.device import choose_device
from lookalike.utility.classifier import load_classifier, load_fold, predict
from lookalike.utility.importance import as_seen, choose_images, enlarge, occlusion_map

IMAGES = 4
# A GPU takes many masks at once. On a CPU a pass gains from more images only until it no longer fits into the cache: 5 of 224 x 224.
MASKS, PIXELS = 64, 2**18

with job(snakemake) as task:
    device, patch = choose_device(task["device"], threads=snakemake.threads), task["patch"]
    table, fold = load_fold(
        [Path(path) for path in snakemake.input.real_table], [Path(path) for path in snakemake.input.real_store], "test", level=task["level"]
    )
    names, _ = label_matrix(table)
    weights = {name: Path(snakemake.input[name]) for name in ("real", *task["generators"])}
    classifiers = {name: load_classifier(path)[0].to(device) for name, path in weights.items()}
    rows = choose_images(fold.labels, predict(classifiers["real"], fold.images), count=IMAGES)
    pixels, truth = fold.images[rows], fold.labels[rows]
    batch = MASKS if device.type == "cuda" else min(MASKS, max(1, PIXELS // classifiers["real"].size ** 2))
    maps = {}
    for name, classifier in classifiers.items():
        found = [
            occlusion_map(classifier, image, labels, patch=patch, batch=batch, normalise=task["normalise"])
            for image, labels in zip(classifier.prepare(pixels), truth, strict=True)
        ]
        maps[f"map_{name}"] = np.stack([enlarge(importance, patch) for importance in found])
    with atomic(snakemake.output.maps) as path, open(path, "wb") as handle:
        np.savez_compressed(
            handle,
            images=as_seen(pixels, classifiers["real"].size),
            labels=json.dumps([[name for name, value in zip(names, row, strict=True) if value == 1] for row in truth]),
            names=np.array(table["image"].iloc[rows], dtype=str),
            **maps,
        )
