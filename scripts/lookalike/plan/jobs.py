"""The jobs of a config, from a dry run of Snakemake in a process of its own: this library does not import it."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lookalike.errors import LookalikeError

LOGGERS = Path("workflow/loggers")
"""Folder of the plugin with which Snakemake tells its jobs."""


@dataclass(frozen=True)
class Job:
    """A job of the workflow. memory: megabytes that it asks for; gpus: GPUs that it takes where there are any."""

    rule: str
    wildcards: Mapping[str, str]
    threads: int
    memory: int
    gpus: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def done(self) -> bool:
        """Whether its files are there."""
        return all(Path(path).exists() for path in self.outputs)


def merged(files: Sequence[Path]) -> dict[str, Any]:
    """config/config.yaml with overlays on it, as Snakemake merges them: sections key by key, everything else as a whole.

    Raises:
        LookalikeError: a file cannot be read, or is no section of keys.
    """
    config: dict[str, Any] = {}
    for path in (Path("config/config.yaml"), *files):
        try:
            overlay = yaml.safe_load(path.read_text())
            config = _over(config, overlay) if isinstance(overlay, dict) else {}
        except (OSError, UnicodeDecodeError, RecursionError, yaml.YAMLError) as error:
            raise LookalikeError(
                f"The config cannot be read: {' '.join(str(error).split())}", str(path), "Name a YAML file, from the repository's folder."
            ) from None
        if not isinstance(overlay, dict):
            raise LookalikeError("The config has no keys", str(path), "Write it like config/config.yaml.")
    return config


def _over(below: Any, above: Mapping[Any, Any]) -> dict[Any, Any]:
    merged = dict(below) if isinstance(below, Mapping) else {}
    for key, value in above.items():
        merged[key] = _over(merged.get(key), value) if isinstance(value, Mapping) else copy.copy(value)
    return merged


def jobs_of(config: Mapping[str, Any], files: Sequence[Path], *, cores: int) -> list[Job]:
    """Every job that a fresh run would do, those included whose files are there already, in no particular order.

    Args:
        config: merged, as written.
        files: the overlays that it was merged of.
        cores: no job has more threads.

    Raises:
        LookalikeError: Snakemake refuses the config.
    """
    with tempfile.TemporaryDirectory() as scratch:
        stand_in, missing, listing = Path(scratch, "any"), Path(scratch, "missing.yaml"), Path(scratch, "jobs")
        stand_in.touch()
        missing.write_text(yaml.safe_dump(_stand_ins(config, str(stand_in))))
        dry_run = [sys.executable, "-m", "snakemake", "-n", "--forceall", "--quiet", "host", "--cores", str(cores), "--logger", "jobs"]
        environment = {
            **{name: value for name, value in os.environ.items() if name != "SNAKEMAKE_PROFILE"},
            "LOOKALIKE_GPU": "gpu",
            "LOOKALIKE_JOBS": str(listing),
            "PYTHONPATH": os.pathsep.join(filter(None, [str(LOGGERS.resolve()), os.environ.get("PYTHONPATH")])),
        }
        run = subprocess.run([*dry_run, "--configfile", *map(str, files), str(missing)], capture_output=True, text=True, env=environment)
        if run.returncode:
            said = [line for line in run.stderr.splitlines() if line.strip()]
            raise LookalikeError(f"Snakemake lists no jobs: {' '.join(said[-2:])}", ", ".join(map(str, files)) or "config", "Mend the config.")
        told = [json.loads(line) for line in listing.read_text().splitlines()]
    return [
        Job(
            rule=job["rule"],
            wildcards=job["wildcards"],
            threads=job["threads"],
            memory=job["mem_mb"] or 0,
            gpus=job["gpu"] or 0,
            inputs=tuple(job["inputs"]),
            outputs=tuple(job["outputs"]),
        )
        for job in told
        if job["outputs"]  # a target names files, and makes none
    ]


def _stand_ins(config: Mapping[str, Any], file: str) -> dict[str, Any]:
    """An overlay that puts something that exists in the place of data, networks and answers that are not here: a plan needs none of them."""

    def gone(path: Any) -> bool:
        return isinstance(path, str) and path != "null" and not os.path.exists(path)

    cohorts = {
        name: {"source": {key: file for key in ("root", "table") if gone((cohort.get("source") or {}).get(key))}}
        for name, cohort in config["cohorts"].items()
        if cohort
    }
    studies = {name: {"answers": file} for name, study in (config.get("reader_studies") or {}).items() if study and gone(study.get("answers"))}
    utility: dict[str, Any] = {}
    given = config.get("utility") or {}
    if gone((given.get("classifier") or {}).get("weights")):
        utility["classifier"] = {"weights": file}
    if gone((given.get("inception") or {}).get("path")):
        utility["inception"] = {"path": file, "sha256": hashlib.sha256(Path(file).read_bytes()).hexdigest()}
    return {
        "cohorts": {name: sections for name, sections in cohorts.items() if sections["source"]},
        **({"reader_studies": studies} if studies else {}),
        **({"utility": utility} if utility else {}),
    }
