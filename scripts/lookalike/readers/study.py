"""A reader study as it lies in a folder that a browser may see: `study.json`, `sequences/NNNN.json` and `images/ID.bin`. The truth is not in it (`key.csv` is elsewhere).

A sequence is one attempt: the images of every question, in order. An image is raw little-endian uint16, [C, H, W]; so all files have one size.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lookalike.errors import LookalikeError

IMAGE_ID = re.compile(r"[0-9a-f]{32}")
Protocol = Literal["pair2afc", "single", "warmup+single", "artefacts"]
SEEN = "seen"
"""The choice that stands for a labelled image of a warm-up."""
CHOICES: dict[Protocol, tuple[str, str]] = {
    "pair2afc": ("left", "right"),
    "single": ("real", "synthetic"),
    "warmup+single": ("real", "synthetic"),
    "artefacts": ("no", "yes"),
}
"""Answers of each protocol; of a pair: where the real image is."""
COLUMNS = (
    "study",
    "digest",
    "reader",
    "attempt",
    "sequence",
    "question",
    "phase",
    "first",
    "second",
    "choice",
    "confidence",
    "kind",
    "ms",
    "active_ms",
    "hidden_ms",
    "zoom",
    "windowed",
    "screen",
)
"""Columns of the answers, a row an answer, before one column `group_NAME` (yes, no or empty) a group. `phase`: warmup or test; `first`, `second`: images (left and right; a
single one is `first`); `ms`: time from the image's appearance to the answer; `active_ms`: of it, with the page in sight; `hidden_ms`: not in sight; `zoom`: the largest factor."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


_P = TypeVar("_P", bound=_Part)


class Group(_Part):
    """A yes-or-no question about the reader."""

    name: str
    question: str


class Images(_Part):
    """How the image files are to be read."""

    shape: tuple[int, int, int]
    """Channels, rows, columns."""
    channels: tuple[str, ...]


class Study(_Part):
    """`study.json`."""

    format: Literal[1] = 1
    study: str
    digest: str
    """SHA-256 of all that readers are shown; answers carry it."""
    mode: Literal["static", "server"] = "static"
    """Where the page keeps answers: in the browser, or at the server that it came from (which changes the word as it serves the file)."""
    protocol: Protocol
    title: str
    tutorial: tuple[str, ...]
    """Paragraphs."""
    images: Images
    questions: int
    warmup: int
    """Questions of a sequence, before `questions`, whose truth is told."""
    sequences: int
    attempts: int
    confidence: bool
    kinds: tuple[str, ...]
    groups: tuple[Group, ...]
    simulated: str
    """The line that says that images are phantoms, or ""."""


class Question(_Part):
    """One question of a sequence."""

    images: tuple[str, ...] = Field(min_length=1, max_length=2)
    truth: Literal["real", "synthetic"] | None = None
    """Told in a warm-up only."""


class Sequence(_Part):
    """`sequences/NNNN.json`."""

    sequence: int
    questions: tuple[Question, ...]


def load_study(folder: Path) -> Study:
    """Read `study.json` of the folder that the page is served from.

    Raises:
        LookalikeError: there is none, or it is of another version.
    """
    return _read(folder / "study.json", Study)


def load_sequence(folder: Path, number: int) -> Sequence:
    """Read one sequence, numbered from 1.

    Raises:
        LookalikeError: as `load_study`.
    """
    return _read(sequence_path(folder, number), Sequence)


def sequence_path(folder: Path, number: int) -> Path:
    """File of a sequence."""
    return folder / "sequences" / f"{number:04d}.json"


def _read(path: Path, model: type[_P]) -> _P:
    fix = "Name the folder `web` of a reader study, or build it: snakemake results/readers/NAME/web."
    try:
        return model.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise LookalikeError("There is no reader study", str(path), fix) from None
    except ValidationError as error:
        place = ".".join(map(str, error.errors()[0]["loc"]))
        raise LookalikeError(f"The reader study cannot be read{place and f': `{place}` is missing or wrong'}", str(path), fix) from None
