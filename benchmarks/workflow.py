"""Snakemake's part: reading the rules, and the dry run of all three papers at their published size. Reaches are in seconds, told as a ratio of them."""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from benchmarks.timing import Options, Row, race, seconds


def run(options: Options) -> Iterator[Row]:
    """Parse and dry run; `peer` is the time allowed."""
    roots = options.scratch / "roots.yaml"
    cohorts = yaml.safe_load(Path("config/paper.yaml").read_text())["cohorts"]
    roots.write_text(yaml.safe_dump({"cohorts": {name: {"source": {"root": str(options.scratch)}} for name in cohorts}}))
    empty = options.scratch / "Snakefile"
    empty.write_text("rule all:\n    input:\n        [],\n")
    yield _within(1.5, "parse of the workflow", "--list")
    yield race(
        "parse of the workflow", "Snakemake with an empty file", _call("--list"), _call("--list", "--snakefile", str(empty)), reach=None, rounds=3
    )
    yield _within(30, "dry run of the whole paper", "-n", "--cores", "2", "--configfile", "config/paper.yaml", str(roots))


def _within(allowed: float, job: str, *arguments: str) -> Row:
    call = _call(*arguments)
    call()
    times = [seconds(call) for _ in range(3)]
    ratios = sorted(allowed / taken for taken in times)
    return Row(job, f"{allowed:g} s", statistics.median(times), allowed, ratios[1], ratios[0], ratios[2], 1.0)


def _call(*arguments: str) -> Callable[[], Any]:
    command = [sys.executable, "-m", "snakemake", *arguments]
    return lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
