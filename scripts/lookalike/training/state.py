"""What is on disk: a stage's weights (its output) and the state of a training that is under way (nobody's output).

A workflow deletes the outputs of a failed job, so the state lives in a folder that no rule declares. It is stamped with the digest of the job that wrote it,
is replaced in one step, and is set aside, never loaded, when it belongs to another job or is damaged. A folder has one owner: a job whose scheduler or node
was lost can live on while the stage has been started again.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import sys
import time
import uuid
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

import lookalike
from lookalike.errors import LookalikeError
from lookalike.files import atomic
from lookalike.generators.families import Discriminator, Generator, build_discriminator, build_generator

logger = logging.getLogger(__name__)
Network = Literal["generator", "discriminator", "ema"]
PREFIXES: Mapping[Network, str] = {"generator": "G.", "discriminator": "D.", "ema": "E."}


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """`files.atomic`, with a failed write told in a sentence; what was at `path` before is still there then."""
    try:
        with atomic(path) as temporary:
            yield temporary
    except (OSError, RuntimeError, SafetensorError) as error:  # torch and safetensors wrap a full disk in errors of their own
        raise LookalikeError(
            f"The training could not write its files: {' '.join(str(error).split())[:200]}",
            str(path),
            "Free disk space or raise the quota, then start it again: it goes on from the state saved last.",
        ) from error


def save_state(folder: Path, digest: str, content: Mapping[str, Any]) -> None:
    """Replace the state in a folder, whole or not at all.

    Args:
        folder: made if absent.
        digest: of the job; only a job with the same one will load the state.
        content: tensors, numbers, strings, lists and dicts only.

    Raises:
        LookalikeError: it could not be written (a full disk); the former state is intact.
    """
    with writing(folder / "state.pt") as temporary, open(temporary, "wb") as handle:
        torch.save({"digest": digest, "content": dict(content)}, handle)


def load_state(folder: Path, digest: str) -> dict[str, Any] | None:
    """The state in a folder (on the CPU), or None where there is none of this job.

    A state of another job becomes `state.<digest8>.stale`, a damaged one `state.damaged`; either way the log says so.
    """
    path = folder / "state.pt"
    for leftover in folder.glob(".state.pt.*.part"):  # of a process that was killed while it saved
        leftover.unlink(missing_ok=True)
    if not path.exists():
        return None
    try:
        with zipfile.ZipFile(path) as archive:  # torch.load itself does not look at the checksums
            if (member := archive.testzip()) is not None:
                raise zipfile.BadZipFile(f"checksum of {member} is wrong")
        state = torch.load(path, map_location="cpu", weights_only=True)
        found, content = str(state["digest"]), state["content"]
    except Exception as error:  # the ways in which a damaged archive fails are many and not documented
        aside = path.replace(folder / "state.damaged")
        logger.warning("The training state in %s is damaged (%s): set aside as %s; this stage starts anew.", folder, error, aside.name)
        return None
    if found != digest:
        aside = path.replace(folder / f"state.{found[:8]}.stale")
        logger.warning(
            "The training state in %s is of another job (code, settings or data): set aside as %s; this stage starts anew.", folder, aside.name
        )
        return None
    return dict(content)


def drop_state(folder: Path) -> None:
    """Delete the state of a stage that is done, and its owner's token; states that were set aside stay."""
    for name in ("state.pt", "owner"):
        (folder / name).unlink(missing_ok=True)


class Owner:
    """The right to write into a state folder and to write results: it goes to the job that started last."""

    def __init__(self, folder: Path) -> None:
        self.path, self.token, self.checked = folder / "owner", uuid.uuid4().hex, time.monotonic()
        with writing(self.path) as temporary:
            temporary.write_text(self.token)

    @contextmanager
    def writes(self) -> Iterator[None]:
        """What is written inside is written by the owner, or not at all."""
        self.check()
        try:
            yield
        except LookalikeError:
            self.check()  # a job that starts clears away what a former one was writing
            raise

    def check(self, seconds: float = 0) -> None:
        """End this process with code 75 if another job owns the folder; looked up if so much time has passed since it was looked up last."""
        if time.monotonic() - self.checked >= seconds:
            self.checked = time.monotonic()
            try:
                found = self.path.read_text()  # opened anew each time: network file systems ask the server then
            except FileNotFoundError:
                found = ""  # the other job is done
            if found != self.token:
                logger.warning("Another job has taken this stage over; this one stops and writes nothing.")
                sys.exit(os.EX_TEMPFAIL)


def save_networks(path: Path, networks: Mapping[Network, torch.nn.Module], description: Mapping[str, Any]) -> None:
    """Write weights as safetensors (prefixes G., D. and E. for the averaged generator) and, beside them, what they are as JSON.

    Args:
        path: `<name>.safetensors`; the JSON is `<name>.json`. Both are the same bytes for the same training.
        networks: generator, discriminator and ema.
        description: family, base, channels, latent, labels (names), group, image_channels, of a DCGAN condition and discriminator_norm, and whatever else is
            worth knowing; versions are added.

    Raises:
        LookalikeError: it could not be written.
    """
    tensors = {
        PREFIXES[which] + name: tensor.detach().cpu().contiguous()
        for which, network in networks.items()
        for name, tensor in network.state_dict().items()
    }
    versions = {"lookalike": lookalike.__version__, "torch": str(torch.__version__), "python": platform.python_version()}
    with writing(path.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps({**description, "versions": versions}, indent=2) + "\n")
    with writing(path) as temporary:
        temporary.write_bytes(save(tensors))  # save_file would leave a file that only its owner can read


def read_weights(path: Path) -> tuple[dict[Network, dict[str, Tensor]], dict[str, Any]]:
    """State dicts by network, and the description, of a weights file.

    Raises:
        LookalikeError: either file is missing or damaged.
    """
    try:
        description = json.loads(path.with_suffix(".json").read_text())
        weights: dict[Network, dict[str, Tensor]] = {which: {} for which in PREFIXES}
        with safe_open(str(path), framework="pt") as file:
            for which, prefix in PREFIXES.items():
                weights[which] = {key.removeprefix(prefix): file.get_tensor(key) for key in file.keys() if key.startswith(prefix)}  # noqa: SIM118
    except (OSError, ValueError, SafetensorError) as error:
        raise LookalikeError(f"A generator's weights cannot be read: {error}", str(path), "Delete the file and run the workflow again.") from error
    return weights, description


def load_networks(path: Path, which: Network = "ema") -> Generator | Discriminator:
    """A trained network, in evaluation mode on the CPU; `ema` is the averaged generator, the one to sample from.

    Raises:
        LookalikeError: the file is missing, damaged, or not what its JSON says.
    """
    weights, about = read_weights(path)
    try:
        shape = {"family": about["family"], "base": tuple(about["base"]), "channels": about["channels"], "labels": len(about["labels"]), "seed": 0}
        shape["image_channels"] = about.get("image_channels", 1)  # older weights have one
        network: Generator | Discriminator
        if which == "discriminator":
            own = {"group": about["group"], "condition": about.get("condition", "maps"), "norm": about.get("discriminator_norm", "hidden")}
            network = build_discriminator(**shape, **own)
        else:
            network = build_generator(**shape, latent=about["latent"])
        network.load_state_dict(weights[which])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise LookalikeError(
            f"A generator's weights do not fit their description: {error}", str(path), "Delete both files and run the workflow again."
        ) from error
    return network.eval()
