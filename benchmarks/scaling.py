"""How each stage's cost grows with its size: at N, 2N, 4N and 8N, each in a process of its own. Memory is what a stage needs beyond its input."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from benchmarks.data import tree
from benchmarks.timing import Growth, Options, grow, in_child
from lookalike.phantoms import dicom, mammography
from lookalike.pixels.store import ImageStore, write_part

Job = Callable[[], Any]
# What a stage needs is imported where its input is made: a child shall not wait for torch to index files.
BASE, LEVELS, SHAPE = (5, 4), 7, (320, 256)
STORED = 1024  # images; larger sets repeat them
RESAMPLING = {"splits": 4, "bootstrap": 20, "seed": 1}


class Stage(NamedTuple):
    """What is measured: `prepare(scratch, n)`, in a child, reads the input and gives the job."""

    name: str
    unit: str
    smallest: int
    prepare: Callable[[Path, int], Job]
    note: str = ""


def run(options: Options) -> Iterator[Growth]:
    """Every stage of `STAGES`."""
    factors, rounds = ((1, 2, 4), 1) if options.quick else ((1, 2, 4, 8), 2)
    sizes = {stage.name: [(stage.smallest // 8 if options.quick else stage.smallest) * factor for factor in factors] for stage in STAGES}
    make_inputs(options.scratch, sizes)
    for stage in STAGES:
        yield grow(stage.name, stage.unit, sizes[stage.name], partial(_measure, stage.prepare, options.scratch), rounds=rounds, note=stage.note)


def make_inputs(scratch: Path, sizes: Mapping[str, Sequence[int]]) -> None:
    """What the stages read, at all of their sizes."""
    vendor = next(vendor for vendor in dicom.VENDORS if vendor.syntax == dicom.ExplicitVRLittleEndian)
    phantom = mammography.render(mammography.draw(1, density="B"), view="CC", laterality="L", shape=SHAPE)
    tree(scratch / "whole", max(sizes["prepare"]), dicom.stored_values(phantom, vendor), hollow=False)
    files = tree(scratch / "hollow", max(sizes["header index"]), dicom.stored_values(phantom, vendor), hollow=True)
    for count in sizes["header index"]:
        folder = scratch / f"index{count}"
        folder.mkdir()
        for path in files[:count]:
            os.link(path, folder / path.name)
    write_part(scratch / "part-000.zarr", _pictures(STORED), n=STORED, base=BASE, levels=LEVELS, bits=8)
    _write_exam(scratch / "exam")
    _train(scratch, 1)()


def _measure(prepare: Callable[[Path, int], Job], scratch: Path, size: int) -> tuple[float, float]:
    return in_child(prepare, scratch, size)


def _pictures(count: int) -> Iterator[np.ndarray]:
    random = np.random.default_rng(1)
    return (random.random(SHAPE, dtype=np.float32) for _ in range(count))


def _images(scratch: Path, count: int) -> tuple[pd.DataFrame, ImageStore]:
    numbers = np.arange(count)
    table = pd.DataFrame(
        {
            "image": numbers.astype(str),
            "patient": (numbers // 4).astype(str),
            "view": "CC",
            "class": "",
            "split": "train",
            "part": 0,
            "row": numbers % STORED,
        }
    )
    return table, ImageStore(table, [scratch / "part-000.zarr"])


def _normal(count: int, width: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, width))


def _index(scratch: Path, count: int) -> Job:
    from lookalike.cohort.index import build_index

    return partial(build_index, scratch / f"index{count}", adapter="dicom", table=None, key=b"0" * 32, processes=1, maximum_quarantined=0.0)


def _prepare(scratch: Path, count: int) -> Job:
    from lookalike.config import Pixels
    from lookalike.pixels.prepare import prepare_part

    paths = sorted((scratch / "whole").iterdir())[:count]
    candidates = pd.DataFrame({"row_id": range(len(paths)), "path": [path.name for path in paths]})
    pixels, output = Pixels(base=BASE, levels=LEVELS), scratch / "part-001.zarr"
    return partial(prepare_part, candidates, root=paths[0].parent, part=1, pixels=pixels, kind="mammography", output=output, processes=1)


def _write_exam(root: Path) -> None:
    """The files of one breast MR exam below `root`, and beside them its tables."""
    from lookalike.cohort.exams import group_exams
    from lookalike.cohort.index import build_index
    from lookalike.config import Exclude
    from lookalike.phantoms import breast_mr

    breast_mr.write_tree(root, patients=1, shape=(128, 128), seed=1)
    source = {"adapter": "breast_mr", "table": root / "lesions.csv", "key": b"0" * 32}
    index = build_index(root, processes=1, maximum_quarantined=0.0, **source)
    rules = Exclude(header_rules=("not_mr", "no_phase"))
    for table, name in zip(group_exams(index, rules, root=root, **source)[1:], ("exams", "lesions"), strict=True):
        table.to_parquet(root.with_name(f"{name}.parquet"))


def _patches(scratch: Path, count: int) -> Job:
    from lookalike.config import Patches, Pixels
    from lookalike.pixels.patches import cut_exams

    exams, lesions = (
        pd.concat([table.assign(exam=f"{number:016x}") for number in range(count)], ignore_index=True)
        for table in (pd.read_parquet(scratch / f"{name}.parquet") for name in ("exams", "lesions"))
    )
    settings = {"pixels": Pixels(base=(4, 4), levels=4, bits=16), "patches": Patches(grid=(128, 128, 12), normal=400, clear=8)}
    return partial(cut_exams, exams, lesions, root=scratch / "exam", part=1, output=scratch / "part-001.zarr", processes=1, **settings)


def _moments(scratch: Path, count: int) -> Job:
    from lookalike.measures.moments import image_moments

    return partial(image_moments, _images(scratch, count)[1].level(LEVELS - 1), bits=8)


def _spectra(scratch: Path, count: int) -> Job:
    from lookalike.measures.spectrum import image_spectra

    return partial(image_spectra, _images(scratch, count)[1].level(LEVELS - 1), bits=8)


def _compare(name: str, settings: dict[str, int], _: Path, count: int) -> Job:
    from lookalike.measures import compare

    return partial(getattr(compare, name), _normal(count, 5, 1), np.arange(count) // 4, _normal(count, 5, 2), **settings)


def _features(scratch: Path, count: int) -> Job:
    import torch

    from lookalike.utility.classifier import Classifier, extract_features

    torch.set_num_threads(2)
    images = _images(scratch, count)[1].level(LEVELS - 4).load()
    return partial(extract_features, Classifier(1, seed=1), images)


def _classifier(scratch: Path, count: int) -> Job:
    import torch

    from lookalike.utility.classifier import Classifier, Fold, Schedule, fit

    torch.set_num_threads(2)
    images, labels = _images(scratch, count)[1].level(LEVELS - 4), np.arange(count)[:, None] % 2
    small = Classifier(1, seed=1, size=64, init_features=16, growth_rate=8, block_config=(2, 2, 2, 2))
    schedule = Schedule(images=count, batch=16, epochs=1)
    return partial(fit, small, Fold(images, labels), Fold(images[:64], labels[:64]), schedule=schedule, seed=1)


def _auc_gap(_: Path, count: int) -> Job:
    from lookalike.utility.auc import Scored, auc_gap

    labels, groups = (_normal(count, 14, 1) > 0).astype(int), np.arange(count) // 4
    sets = [Scored(labels, labels + _normal(count, 14, seed), groups) for seed in (2, 3)]
    return partial(auc_gap, *sets, paired=True, draws=100, seed=1)


def _enhancement(_: Path, count: int) -> Job:
    from lookalike.measures.enhancement import Patches, tabulate_enhancement

    images = np.random.default_rng(1).integers(0, 2**16, (count, 7, 32, 32), dtype=np.uint16)
    patches = Patches(images, np.array(["benign", "malignant", "normal"])[np.arange(count) % 3], np.arange(count) // 4)
    return partial(tabulate_enhancement, patches, patches, {"other": patches}, draws=100, seed=1)


def _pair_plot(scratch: Path, count: int) -> Job:
    from lookalike.figures import pairplot

    sets = [pd.DataFrame(_normal(count, 5, seed), columns=list(pairplot.MOMENTS)) for seed in (1, 2)]
    return partial(pairplot.draw, *sets, scratch / "pairplot", label="")


def _frechet(_: Path, count: int) -> Job:
    from lookalike.measures.frechet import frechet_distance

    return partial(frechet_distance, _normal(count, 512, 1), _normal(count, 512, 2))


def _one_nn(_: Path, count: int) -> Job:
    from lookalike.measures.one_nn import one_nn

    return partial(one_nn, _normal(count, 512, 1), _normal(count, 512, 2))


def _copies(_: Path, count: int) -> Job:
    from lookalike.utility.neighbours import nearest_neighbours

    return partial(nearest_neighbours, _normal(500, 128, 1), _normal(count, 128, 2), k=5)


def _sample(scratch: Path, count: int) -> Job:
    from lookalike.sampling import sample
    from lookalike.training.device import choose_device

    choose_device("cpu", threads=2)  # the first time, torch loads much more

    def work() -> None:
        for _ in sample(scratch / "weights.safetensors", indices=range(count), seed=1, batch=16, device="cpu", threads=2):
            pass

    return work


def _train(scratch: Path, batches: int) -> Job:
    from lookalike.config import Generator
    from lookalike.training.device import choose_device
    from lookalike.training.loop import train_stage

    choose_device("cpu", threads=2)  # as for `_sample`
    stage = {"channels": [32] * 4, "stable_kimg": batches * 0.016, "batch": 16}
    return partial(
        train_stage,
        generator=Generator(cohort="any", latent=32, stages=[stage], device="cpu"),
        stage=0,
        base=BASE,
        images=np.random.default_rng(1).integers(0, 256, (64, 40, 32), dtype=np.uint8),
        previous=None,
        output=scratch / "weights.safetensors",
        digest=f"{batches}",
        state_folder=Path(tempfile.mkdtemp(dir=scratch)),  # a finished one would be gone on with
        statistics=scratch / "statistics.jsonl",
        threads=2,
    )


def _readers(scratch: Path, count: int) -> Job:
    from lookalike.config import ReaderStudy
    from lookalike.readers.build import build_study

    source = _images(scratch, count)
    study = ReaderStudy(protocol="single", synthetic=("other",), questions=count, sequences=1, readers=2)
    settings = {"level": LEVELS - 1, "key": b"0" * 32, "simulated": "", "output": scratch / "readers", "archive": scratch / "keys"}
    return partial(build_study, name="growth", study=study, real=source, synthetic={"other": source}, **settings)


STAGES = (
    Stage("header index", "files", 1000, _index),
    Stage("prepare", "files of 320 x 256", 200, _prepare, "one worker, beside the writer, which holds a shard of 409 images: nearly flat beyond"),
    Stage("patches", "exams of 12 slices of 128 x 128", 8, _patches, "one worker, beside the writer, which holds a shard of 2,340 patches"),
    Stage("moments", "images of 320 x 256", 2048, _moments, "two blocks of 204 images are in memory"),
    Stage("spectra", "images of 320 x 256", 256, _spectra),
    Stage("label MI", "images of either set", 1000, partial(_compare, "compare_label_mi", {"permutations": 20, **RESAMPLING})),
    Stage("pair MI", "images of either set", 1000, partial(_compare, "compare_pair_mi", RESAMPLING)),
    Stage(
        "coverage",
        "images of either set",
        1000,
        partial(_compare, "compare_coverage", RESAMPLING),
        "its grids cost the same for any number of images",
    ),
    Stage("enhancement", "patches of 7 x 32 x 32 in either set", 2000, _enhancement),
    Stage("classifier training", "images of 64 x 64 an epoch", 256, _classifier),
    Stage("classifier features", "images of 40 x 32, 50 at a time", 50, _features),
    Stage(
        "Frechet distance",
        "vectors of 512 in either set",
        1000,
        _frechet,
        "the matrices' roots cost the same for any number; in memory are the vectors' deviations",
    ),
    Stage(
        "exact 1-NN",
        "vectors of 512 in either set",
        500,
        _one_nn,
        "every image is compared with every other: quadratic by nature; in memory are the distances of 1,024 images to all",
    ),
    Stage("copy search", "gallery vectors of 128, 500 queries", 10_000, _copies),
    Stage("sampling", "images of 40 x 32", 64, _sample),
    Stage("training", "batches of 16 images of 40 x 32", 8, _train),
    Stage("AUC gap", "test images of 14 labels", 500, _auc_gap),
    Stage("figure of the moments", "images of either set", 500, _pair_plot),
    Stage("reader study", "questions of 320 x 256", 16, _readers),
)
