"""A DenseNet that learns from one image set, real or synthetic, and its predictions of the real test images."""

from pathlib import Path

import pandas as pd

from _job import job, origin
from lookalike.cohort.labels import label_matrix
from lookalike.files import atomic
from lookalike.training.device import choose_device
from lookalike.utility.classifier import Classifier, Schedule, fit, load_fold, predict, save_classifier
from lookalike.utility.gap import predictions

with job(snakemake) as task:
    settings, seed, level = task["classifier"], task["seed"], task["level"]
    device = choose_device(settings["device"], threads=snakemake.threads)
    own = [[Path(path) for path in paths] for paths in (snakemake.input.table, snakemake.input.store)]
    real = [[Path(path) for path in snakemake.input.get(name, [])] for name in ("test_table", "test_store")]
    folds = {split: load_fold(*own, split, level=level) for split in ("train", "validation", "test")}
    names, _ = label_matrix(folds["train"][0])
    classifier = Classifier(
        len(names),
        seed=seed,
        weights=Path(settings["weights"]) if settings["weights"] else None,
        **{key: settings[key] for key in ("size", "init_features", "growth_rate", "block_config")},
    ).to(device)
    schedule = Schedule(**{key: settings[key] for key in ("images", "batch", "learning_rate", "patience", "stop", "epochs")})
    # no state is kept: an epoch takes minutes at most, and what is lost with a killed job is one short training
    history = fit(classifier, folds["train"][1], folds["validation"][1], schedule=schedule, seed=seed, mirror=settings["mirror"])
    # a set that is real itself is both
    tests = {"real": load_fold(*real, "test", level=level) if real[0] else folds["test"], "own": folds["test"]}
    tables = [predictions(table, predict(classifier, fold.images), of=of, backbone=classifier.backbone) for of, (table, fold) in tests.items()]
    rates = [schedule.progress(history[:epoch]).learning_rate for epoch in range(len(history))]
    epochs = pd.DataFrame({"epoch": range(1, len(history) + 1), "auc_validation": history, "learning_rate": rates})
    with atomic(snakemake.output.history) as path:
        epochs.assign(data=origin(task["simulated"])).to_csv(path, index=False)
    with atomic(snakemake.output.predictions) as path:
        pd.concat(tables, ignore_index=True).to_parquet(path, index=False)
    save_classifier(Path(snakemake.output.weights), classifier, labels=names, seed=seed, history=history)
