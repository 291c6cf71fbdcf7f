"""What every rule script shares: its log, its one-sentence errors, its provenance record. The only library of ours that knows Snakemake's object."""

from __future__ import annotations

import errno
import logging
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lookalike.errors import LookalikeError
from lookalike.provenance import record
from lookalike.readers import PROGRAMS

SIMULATED = "Demo: simulated phantoms, not patients; nothing here is comparable with the paper"
# A full disk, a quota, a missing permission, a read-only or vanished file system: the system's own words say it best.
NO_FAULT_OF_OURS = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.ESTALE}
OUTSIDE = "Images from outside, not simulated"
KEPT = "state/readers"
"""Folder of what must outlive a rebuild of a reader study: answers that the server took, and keys."""
STAND_IN = {"t2": "", "t1": "T1 without contrast or fat suppression stands in for T2"}
"""What the first channel of breast MR patches is, where it is not what it is called."""


def label(simulated: bool, remark: str = "") -> str:
    """The line at the foot of every figure and table of simulated data, and whatever else a reader must know; "" where there is nothing."""
    return " | ".join(filter(None, [SIMULATED if simulated else "", remark]))


def answers_label(task: dict[str, Any]) -> str:
    """The same for what answers of readers say."""
    return label(task["simulated"], PROGRAMS if task["programs"] else "")


def origin(simulated: bool) -> str:
    """What kind of data stand behind a file, for its `data` column or record."""
    return SIMULATED if simulated else OUTSIDE


@contextmanager
def job(snakemake: Any) -> Iterator[dict[str, Any]]:
    """Run a rule's script: yields its task, logs to the rule's log file and the screen, and records provenance beside the first output on success."""
    started = time.monotonic()
    Path(snakemake.log[0]).parent.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(message)s",
        datefmt="%H:%M:%S",
        handlers=[logging.StreamHandler(sys.stderr), logging.FileHandler(snakemake.log[0], mode="a")],
        force=True,
    )
    for chatty in ("fontTools", "openjpeg"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    for output in map(Path, snakemake.output):
        for leftover in output.parent.glob(f".{output.name}.*.part"):  # of an attempt that was killed while it wrote
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
    task = dict(snakemake.params.task)
    try:
        yield task
    except LookalikeError as error:
        logging.error("ERROR in %s: %s", snakemake.rule, error)
        sys.exit(1)
    except OSError as error:
        if error.errno not in NO_FAULT_OF_OURS:
            logging.exception("Unexpected error in %s", snakemake.rule)
            sys.exit(1)
        logging.error(
            "ERROR in %s: %s (%s). Mend that and run the same command again: finished work is kept.",
            snakemake.rule,
            error.strerror,
            error.filename or "writing results",
        )
        sys.exit(1)
    except Exception:
        logging.exception("Unexpected error in %s", snakemake.rule)
        sys.exit(1)
    first = str(snakemake.output[0])
    record(
        f"{first}.provenance.json",
        rule=snakemake.rule,
        task=task,
        inputs=[item for item in snakemake.input if str(item).startswith(("results/", "config/"))],  # never a path of raw data
        seconds=time.monotonic() - started,
        note=origin(bool(task.get("simulated", task.get("source", {}).get("simulated", False)))),
    )
