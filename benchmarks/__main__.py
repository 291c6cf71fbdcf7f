"""`python -m benchmarks`: the table of ratios, and the same as JSON."""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import json
import os
import platform
import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.timing import FLOOR, Growth, Options, Row

MODULES = ("workflow", "measures", "data", "training", "scaling")
PACKAGES = ("numpy", "scipy", "scikit-learn", "torch", "pydicom", "zarr", "snakemake")


def main() -> None:
    """Run the modules asked for, print a line as each job is done, and add it to benchmarks/runs/bench.json."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=f"of {', '.join(MODULES)}; all without one")
    parser.add_argument("--zoo", type=Path, help="a checkout of pytorch_GAN_zoo, to train beside it (without: that job is left out, and said so)")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"), help="of the trainings")
    parser.add_argument("--quick", action="store_true", help="small sizes, one round: whether it runs, not how fast")
    parser.add_argument("--output", type=writable, default="benchmarks/runs/bench.json")
    asked = parser.parse_args()
    if unknown := set(asked.modules) - set(MODULES):
        parser.error(f"no module {', '.join(sorted(unknown))}; there are {', '.join(MODULES)}")
    if asked.zoo is not None and not (asked.zoo / "models/progressive_gan.py").is_file():
        parser.error(f"{asked.zoo} is no checkout of pytorch_GAN_zoo: it has no models/progressive_gan.py")
    if asked.device == "cuda" and not torch.cuda.is_available():
        parser.error("torch finds no CUDA device here; leave --device cuda out")
    if asked.zoo is None and asked.device == "cpu" and "training" in (asked.modules or MODULES):
        print("Left out: training beside pytorch_GAN_zoo, a checkout of which --zoo names.")
    about = machine()
    print(f"{about['machine']}; commit {about['commit']}; " + ", ".join(f"{name} {version}" for name, version in about["versions"].items()))
    if about["load"] > (os.cpu_count() or 1) / 2:
        print(f"Load average {about['load']:.1f}: something else runs here. Ratios are taken in turns, but trust them less.")
    print(f"\n{'job':58} {'against':34} {'ours':>9} {'peer':>9} {'ratio':>8} {'quartiles':>17} {'reach':>7}")
    found: dict[str, list[dict[str, object]]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name in asked.modules or MODULES:
            module = importlib.import_module(f"benchmarks.{name}")
            folder = Path(scratch, name)
            folder.mkdir()
            for row in module.run(Options(folder, asked.zoo, asked.device, asked.quick)):
                if asked.quick and isinstance(row, Row):
                    row = replace(row, reach=None)  # which is meant for the full size
                print(line(row), flush=True)
                found.setdefault(name, []).append(row.as_dict())
                asked.output.write_text(json.dumps({**about, "quick": asked.quick, "rows": found}, indent=1) + "\n")
    print(f"\n{asked.output}")


def writable(name: str) -> Path:
    """Type of a command line's option: a file that can be written, or made."""
    path = Path(name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("a").close()
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{name} cannot be written ({error.strerror}); name a file in a folder that you may write to") from None
    return path


def line(row: Row | Growth) -> str:
    """A row as text."""
    if isinstance(row, Growth):
        held = (
            f"{row.memory_slope:.2f} ({row.memory_low:.2f} to {row.memory_high:.2f})" if max(row.memory) > FLOOR else f"below {FLOOR / 2**20:.0f} MB"
        )
        slopes = f"time {row.time_slope:.2f} ({row.time_low:.2f} to {row.time_high:.2f}), memory {held}"
        costs = ", ".join(
            f"{size:,}: {short(taken)} {memory / 2**20:.0f} MB" for size, taken, memory in zip(row.sizes, row.seconds, row.memory, strict=True)
        )
        return f"growth of {row.stage:28} slopes: {slopes}\n    {row.unit}: {costs}" + (f"\n    {row.note}" if row.note else "")
    reach = "" if row.reach is None else f"{row.reach:g}{'' if row.met else ' MISSED'}"
    text = f"{row.job:58} {row.against:34} {short(row.ours):>9} {short(row.peer):>9} {row.ratio:8.3g} {f'{row.low:.3g} to {row.high:.3g}':>17} {reach:>7}"
    return f"{text}\n    {row.holds}" if row.holds else text


def short(seconds: float) -> str:
    """Seconds in a unit that fits."""
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1e3 * seconds:.3g} ms" if seconds >= 1e-3 else f"{1e6 * seconds:.3g} us"


def machine() -> dict[str, object]:
    """What the figures were taken on."""
    model = next(
        (text.split(":")[1].strip() for text in Path("/proc/cpuinfo").read_text().splitlines() if text.startswith("model name")), platform.machine()
    )
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True).stdout.strip()
    return {
        "machine": f"{model}, {os.cpu_count()} cores, {platform.system()}",
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
        "commit": commit or "unknown",
        "load": os.getloadavg()[0],
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


if __name__ == "__main__":
    main()
