"""A reader study from image sets: draws, opaque names, orders and sides, the images as they are served, and the key.

All that is left to chance is decided by HMAC-SHA256 with the secret key that also hashes identities: whoever has the code, the config and the page cannot work out which
image is which, and whoever has the key builds the same study again, byte for byte.

Of pairs, every showing has an id, a file and noise of its own: if an image kept its id, the pairs would be edges between reals and synthetic ones, and whoever saw enough of
them could part the two. What remains, and no treatment can take away, is what an image shows: whoever saves the pixels of many pairs (of many readers, or of the static
export), or of a study of artefacts, where all are synthetic, can find the same image again in them by correlation.
Single images are the same for all readers and come alone, so that nothing parts them.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from lookalike.config import ReaderStudy
from lookalike.errors import LookalikeError
from lookalike.files import atomic, sha256
from lookalike.pixels import patches
from lookalike.pixels.store import ImageStore
from lookalike.readers import study as page
from lookalike.readers.blinding import treat
from lookalike.readers.study import Group, Images, Question, Study, sequence_path

LOG = logging.getLogger("lookalike")
PAGE = Path(page.__file__).with_name("page")
PAGE_FILES = ("index.html", "app.js", "viewer.js", "style.css")
Source = tuple[pd.DataFrame, ImageStore]
REAL = "real"
# All files carry one time of modification, 2000-01-01 UTC: it is served, and must not tell which were written together.
MODIFIED = 946684800

_ALL = (
    "You get no feedback, and you cannot go back to a question that you have answered.",
    "Every answer is saved at once. You may stop at any time and go on later on the same device, with the same link.",
    "Take the time that you need. Please do not talk about the images with others who take part.",
)
TEXTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "pair2afc": (
        "Which image is real?",
        (
            "You will see {questions} pairs of images. In every pair one image is real, of a patient, and one is synthetic, made by a computer program. "
            "Choose the one that you believe to be real.",
            "Which side the real image is on is decided by chance. An image can come up more than once.",
        ),
    ),
    "single": (
        "Real or synthetic?",
        (
            "You will see {questions} images, one after another. Some are real, of patients, and some are synthetic, made by a computer program. Say of each which it is.",
        ),
    ),
    "warmup+single": (
        "Real or synthetic?",
        (
            "First you will see {warmup} images of which you are told whether they are real, of patients, or synthetic, made by a computer program.",
            "Then you will see {questions} other images, one after another. Some are real and some are synthetic. Say of each which it is.",
        ),
    ),
    "artefacts": (
        "Has this image an obvious artefact?",
        (
            "You will see {questions} synthetic images, made by a computer program, one after another. Say of each whether it has an obvious artefact: something that "
            "you would not see in an image of a patient and that you notice without a long search. If it has one, say of which kind.",
        ),
    ),
}
"""Title and first paragraphs of the tutorial. Of single images readers are not told how many are real."""


@dataclass(frozen=True)
class _Image:
    """An image that takes part, or one showing of it."""

    id: str
    """Of its file."""
    set: str
    row: int
    """Of its set's table and store."""
    source: str
    patient: str
    finding: str
    view: str
    warmup: bool

    @property
    def truth(self) -> str:
        return "real" if self.set == REAL else "synthetic"


class _Chance:
    """Chance that only the key's holder can repeat."""

    def __init__(self, key: bytes, name: str, seed: int) -> None:
        self._key, self._scope = key, (name, seed)

    def mark(self, *what: str | int) -> bytes:
        """32 bytes, different for different `what`."""
        return hmac.new(self._key, json.dumps([*self._scope, *what]).encode(), hashlib.sha256).digest()

    def below(self, limit: int, *what: str | int) -> int:
        """One of 0 to limit - 1."""
        return int.from_bytes(self.mark(*what)) % limit

    def shuffle(self, names: Iterable[str], *what: str | int) -> list[str]:
        """Names in random order."""
        return sorted(names, key=lambda name: self.mark(*what, name))


def build_study(
    *,
    name: str,
    study: ReaderStudy,
    real: Source,
    synthetic: Mapping[str, Source],
    level: int,
    key: bytes,
    simulated: str,
    output: Path,
    archive: Path,
) -> None:
    """Write `web`, which holds all that readers see and no truth, and `key.csv` (study, digest, image, truth, set, class, view, source, patient, warmup) below `output`.

    `key.csv` has a row a file: an image, or of pairs a showing of one, with its `source`. A class is told only where all sets have classes.

    Images are read and written one at a time, in the order of their opaque names; `web` appears whole, or not at all.

    Args:
        name: of the study.
        study: its settings.
        real: table and store of the real images.
        synthetic: the same of every synthetic set, by its name.
        level: of detail that all stores have.
        key: secret (see `cohort.identity.load_key`).
        simulated: line that says that images are phantoms, or "".
        output: folder of the study.
        archive: folder that keeps the key of every build, as NAME-<first 12 digits of the digest>.key.csv, so that answers to it can be judged after another one.

    Raises:
        LookalikeError: there are fewer images than the study asks for, or the stores have not one shape at that level.
    """
    chance = _Chance(key, name, study.seed)
    sources = {REAL: real, **synthetic}
    shape = _shape(name, sources, level)
    drawn = _draw(name, study, {set_name: table for set_name, (table, _) in sources.items()}, chance)
    sequences = [_sequence(study, drawn, number, chance) for number in range(1, study.sequences + 1)]
    shown = {image.id: image for sequence in sequences for question in sequence for image in question}

    web = output / "web"
    temporary = output / f".web.{uuid.uuid4().hex}.part"
    try:
        (temporary / "images").mkdir(parents=True)
        (temporary / "sequences").mkdir()
        for file in PAGE_FILES:
            shutil.copyfile(PAGE / file, temporary / file)
        for number, sequence in enumerate(sequences, start=1):
            questions = tuple(
                Question(images=tuple(image.id for image in images), truth=images[0].truth if images[0].warmup else None) for images in sequence
            )
            sequence_path(temporary, number).write_text(page.Sequence(sequence=number, questions=questions).model_dump_json())
        _write_images(temporary / "images", study, sources, [shown[identity] for identity in sorted(shown)], level, shape, chance)
        about = _study(name, study, shape, questions=len(sequences[0]) - study.warmup, simulated=simulated)
        about = about.model_copy(update={"digest": _digest(about, temporary)})
        with atomic(temporary / "study.json") as path:
            path.write_text(about.model_dump_json(indent=1))
        for path in temporary.rglob("*"):
            os.utime(path, (MODIFIED, MODIFIED))
        shutil.rmtree(web, ignore_errors=True)
        os.replace(temporary, web)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    truth = _key(about, [shown[identity] for identity in sorted(shown)])
    for place in (output / "key.csv", archive / f"{name}-{about.digest[:12]}.key.csv"):
        with atomic(place) as path:
            truth.to_csv(path, index=False)


def _shape(name: str, sources: Mapping[str, Source], level: int) -> tuple[int, int, int]:
    """Channels, rows and columns of all sets."""
    shapes = {}
    for set_name, (_, store) in sources.items():
        rows, columns = store.level(level).shape[-2:]
        shapes[set_name] = (store.channels, rows, columns)
    if len(set(shapes.values())) > 1:
        raise LookalikeError(
            f"The images have different shapes: {', '.join(f'{set_name} {shape}' for set_name, shape in shapes.items())}",
            f"reader_studies.{name}.synthetic",
            "Name sets that were made at one resolution, with as many channels as the real images.",
        )
    return shapes[REAL]


def _draw(name: str, study: ReaderStudy, tables: Mapping[str, pd.DataFrame], chance: _Chance) -> list[_Image]:
    """The images that take part."""
    ready = {set_name: _prepared(study, set_name, table) for set_name, table in tables.items()}
    sets = [set_name for set_name in tables if set_name != REAL]
    drawn: list[_Image] = []
    missing: list[str] = []

    def take(rows: pd.DataFrame, set_name: str, first: int, then: int, asked: str = "") -> None:
        """`first` images for the warm-up and `then` others."""
        if len(rows) < first + then:
            missing.append(f"{first + then} of {set_name}{asked and f', class {asked}'} (there are {len(rows)})")
            return
        columns = (rows.index, rows["patient"].astype(str), rows["class"], rows["view"])
        images = dict(zip(rows["image"], zip(*columns, strict=True), strict=True))
        order = chance.shuffle(images, "draw", set_name)
        for place, image in enumerate(order[: first + then]):
            row, patient, finding, view = images[image]
            identity = chance.mark("id", set_name, image).hex()[:32]
            drawn.append(_Image(identity, set_name, int(row), image, patient, finding, view, warmup=place < first))

    def deal(first: int, then: int, chosen: Sequence[str]) -> None:
        """So many images of each of the sets, and of each class where that is wanted, as equally as the numbers allow."""
        ones, others = (_equal(total, chosen, chance, what) for total, what in ((first, "warm-up"), (then, "test")))
        for set_name in chosen:
            rows = ready[set_name]
            if not study.balanced:
                take(rows, set_name, ones[set_name], others[set_name])
                continue
            classes = sorted(set(ready[REAL]["class"]))
            a, b = (_equal(dealt[set_name], classes, chance, what, set_name) for dealt, what in ((ones, "warm-up"), (others, "test")))
            for finding in classes:
                take(rows[rows["class"] == finding], set_name, a[finding], b[finding], finding)

    if study.protocol == "artefacts":
        if not any(len(ready[set_name]) for set_name in sets):
            raise LookalikeError("No synthetic image is of the views that take part", f"reader_studies.{name}.views", "Name others, or none for all.")
        for view in sorted({view for set_name in sets for view in ready[set_name]["view"]}):
            for set_name, wanted in _equal(study.pool, sets, chance, view).items():
                rows = ready[set_name][ready[set_name]["view"] == view]
                take(rows, set_name, 0, _at_most(wanted, len(rows), f"reader_studies.{name}: the pool of {set_name} {view}"))
    elif study.protocol == "pair2afc":
        # as many of either kind: one that came up more often than the other would be known by that
        there = min(_available(study, ready[REAL]), len(sets) * min(_available(study, ready[set_name]) for set_name in sets))
        pool = _at_most(study.pool, there, f"reader_studies.{name}: the pool of each kind") if there else 1
        deal(0, pool, [REAL])
        deal(0, pool, sets)
    else:
        deal(study.warmup // 2, study.questions // 2, [REAL])
        deal(study.warmup // 2, study.questions // 2, sets)
    if missing:
        raise LookalikeError(
            f"There are too few images for {'; '.join(missing)}",
            f"reader_studies.{name}",
            "Ask fewer questions, let more `views` or another `split` take part, or make more images.",
        )
    # a class on one side only would give the key's holder a result by class that compares reals with nothing
    if {image.set for image in drawn} != {image.set for image in drawn if image.finding}:
        drawn = [replace(image, finding="") for image in drawn]
    return drawn


def _prepared(study: ReaderStudy, name: str, table: pd.DataFrame) -> pd.DataFrame:
    """The rows that may take part; their index is the row of the store."""
    rows = table.reset_index(drop=True)
    rows = rows.assign(**{"class": rows.get("class", "")})
    if name == REAL and study.split != "all":
        rows = rows[rows["split"] == study.split]
    if study.views and (rows["view"] != "").any():
        rows = rows[rows["view"].isin(study.views)]
    return rows


def _available(study: ReaderStudy, rows: pd.DataFrame) -> int:
    """How many images can be drawn, as many of each class where that is wanted."""
    return int(rows["class"].value_counts().min() * rows["class"].nunique()) if study.balanced and len(rows) else len(rows)


def _at_most(wanted: int, there: int, what: str) -> int:
    if there < wanted:
        LOG.warning("%s is %d images instead of %d: there are no more", what, there, wanted)
    return min(wanted, there)


def _equal(total: int, names: Sequence[str], chance: _Chance, *what: str) -> dict[str, int]:
    """Whole numbers that add up to `total` and differ by one at most; which are the larger is left to chance."""
    shuffled = chance.shuffle(names, "remainder", *what)
    return {name: total // len(names) + (shuffled.index(name) < total % len(names)) for name in names}


def _sequence(study: ReaderStudy, drawn: Sequence[_Image], number: int, chance: _Chance) -> list[tuple[_Image, ...]]:
    """Images of every question of an attempt; of pairs, showings with ids of their own."""
    if study.protocol == "pair2afc":
        kinds = [[image for image in drawn if image.truth == truth] for truth in ("real", "synthetic")]
        pairs = []
        for question in range(study.questions):
            pair = [images[chance.below(len(images), "pair", number, question, images[0].truth)] for images in kinds]
            sides = pair[:: 1 if chance.below(2, "side", number, question) else -1]
            pairs.append(tuple(replace(image, id=chance.mark("showing", number, question, side).hex()[:32]) for side, image in enumerate(sides)))
        return pairs
    parts = ({image.id: image for image in drawn if image.warmup is warmup} for warmup in (True, False))
    return [(part[name],) for part in parts for name in chance.shuffle(part, "order", number)]


def _write_images(
    folder: Path,
    study: ReaderStudy,
    sources: Mapping[str, Source],
    images: Iterable[_Image],
    level: int,
    shape: tuple[int, int, int],
    chance: _Chance,
) -> None:
    levels = {name: store.level(level) for name, (_, store) in sources.items()}
    common = min(store.bits for _, store in sources.values())
    for image in images:
        pixels = levels[image.set]
        random = np.random.default_rng(int.from_bytes(chance.mark("dither", image.id)))
        served = treat(pixels[image.row], bits=pixels.bits, common_bits=common, floor=study.noise_floor, dither=study.dither, random=random)
        (folder / f"{image.id}.bin").write_bytes(served.reshape(shape).astype("<u2").tobytes())


def _study(name: str, study: ReaderStudy, shape: tuple[int, int, int], *, questions: int, simulated: str) -> Study:
    """`study.json`, without the digest."""
    title, paragraphs = TEXTS[study.protocol]
    numbers = {"questions": questions, "warmup": study.warmup}
    return Study(
        study=name,
        digest="",
        protocol=study.protocol,
        title=title,
        tutorial=tuple(paragraph.format(**numbers) for paragraph in (*paragraphs, *_ALL)),
        images=Images(shape=shape, channels=tuple(_channels(shape[0]))),
        questions=questions,
        warmup=study.warmup,
        sequences=study.sequences,
        attempts=study.attempts,
        confidence=study.confidence,
        kinds=study.kinds if study.protocol == "artefacts" else (),
        groups=tuple(Group(name=group, question=question) for group, question in study.groups.items()),
        simulated=simulated,
    )


def _channels(count: int) -> Iterator[str]:
    """Names of the channels, none of a single one."""
    if count == len(patches.CHANNELS):
        yield from ("T2" if name == "t2" else name.replace("_", " ") for name in patches.CHANNELS)
    else:
        yield from ("" if count == 1 else f"channel {number}" for number in range(1, count + 1))


def _digest(study: Study, folder: Path) -> str:
    """SHA-256 of the study's texts, sequences and images; the page's program, which may be mended while people read, is not in it."""
    files = {str(path.relative_to(folder)): sha256(path) for part in ("images", "sequences") for path in (folder / part).iterdir()}
    return hashlib.sha256(json.dumps([study.model_dump(mode="json"), files], sort_keys=True).encode()).hexdigest()


def _key(study: Study, images: Sequence[_Image]) -> pd.DataFrame:
    columns = {
        "image": [image.id for image in images],
        "truth": [image.truth for image in images],
        "set": [image.set for image in images],
        "class": [image.finding for image in images],
        "view": [image.view for image in images],
        "source": [image.source for image in images],
        "patient": [image.patient for image in images],
        "warmup": [int(image.warmup) for image in images],
    }
    return pd.DataFrame({"study": study.study, "digest": study.digest, **columns})
