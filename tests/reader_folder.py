"""A reader study small enough for a test: images are noise, so there is no truth to know."""

from __future__ import annotations

import hashlib
import random
import shutil
from pathlib import Path

import numpy as np

from lookalike.readers import study as page
from lookalike.readers.study import Group, Images, Protocol, Question, Sequence, Study, sequence_path

PAGE = Path(page.__file__).parent / "page"
GROUPS = (Group(name="radiologist", question="Are you a radiologist?"), Group(name="breast", question="Do you specialise in breast imaging?"))


def make_study(
    folder: Path,
    protocol: Protocol = "pair2afc",
    *,
    shape: tuple[int, int, int] = (1, 40, 32),
    channels: tuple[str, ...] = (),
    questions: int = 3,
    warmup: int = 0,
    sequences: int = 5,
    attempts: int = 1,
    confidence: bool = False,
    groups: tuple[Group, ...] = GROUPS,
    seed: int = 1,
) -> Path:
    """Write a study below `folder`, with the page's files, and return its folder `web`.

    Args:
        shape: channels, rows, columns.
        channels: names; none = channel 1, 2, ...
        questions: of a sequence, after `warmup`.
    """
    web = folder / "web"
    (web / "images").mkdir(parents=True)
    (web / "sequences").mkdir()
    generator, draw = np.random.default_rng(seed), random.Random(seed)
    size = 2 if protocol == "pair2afc" else 1
    ids = [generator.bytes(16).hex() for _ in range(max(size * 4, warmup + questions))]
    for name in ids:
        (web / "images" / f"{name}.bin").write_bytes(generator.integers(0, 65536, shape).astype("<u2").tobytes())
    for number in range(1, sequences + 1):
        warm = [Question(images=(name,), truth=("real", "synthetic")[place % 2]) for place, name in enumerate(ids[:warmup])]
        if size == 2:
            shown = [draw.sample(ids, 2) for _ in range(questions)]
        else:
            shown = [[name] for name in draw.sample(ids[warmup : warmup + questions], questions)]
        sequence = Sequence(sequence=number, questions=(*warm, *(Question(images=tuple(images)) for images in shown)))
        sequence_path(web, number).write_text(sequence.model_dump_json())
    study = Study(
        study=folder.name,
        digest=hashlib.sha256(repr((ids, protocol, shape, warmup, questions, sequences, attempts, confidence, groups)).encode()).hexdigest(),
        protocol=protocol,
        title="Which image is real?",
        tutorial=("You will see images.", "Say which is real."),
        images=Images(shape=shape, channels=channels or tuple(f"channel {number}" for number in range(1, shape[0] + 1))),
        questions=questions,
        warmup=warmup,
        sequences=sequences,
        attempts=attempts,
        confidence=confidence,
        kinds=("blob", "other") if protocol == "artefacts" else (),
        groups=groups,
        simulated="Simulated: images are noise.",
    )
    (web / "study.json").write_text(study.model_dump_json(indent=1))
    for file in PAGE.glob("*"):
        if not file.name.startswith("admin"):
            shutil.copyfile(file, web / file.name)
    return web
