"""`python -m benchmarks.kill`: does a run that is killed over and over end in the bytes of one that is left alone?

Snakemake and all its jobs are one process group, which gets SIGKILL at random moments of random jobs, each of another rule while there are any, so that short
rules are hit as well as long trainings. After each kill: unlock, and the same command again.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.__main__ import writable
from lookalike.files import sha256

STARTED = re.compile(r"Job (\d+): (.+)")
FINISHED = re.compile(r"Finished jobid: (\d+) \(Rule: (\w+)\)")


@dataclass(frozen=True)
class Job:
    """A job of a finished run, known by the message of its rule; seconds: its time, to a second."""

    message: str
    rule: str
    seconds: float


@dataclass(frozen=True)
class Run:
    """How a workflow is run: its folder, Snakemake's arguments, and whatever `subprocess.Popen` takes (`umask`, say); before: a command that starts it."""

    folder: Path
    arguments: tuple[str, ...]
    before: tuple[str, ...] = ()
    process: Mapping[str, Any] = field(default_factory=dict)

    def start(self, *more: str) -> subprocess.Popen[str]:
        """A process group of its own; standard error is merged into standard output."""
        return subprocess.Popen(
            [*self.before, sys.executable, "-m", "snakemake", *self.arguments, *more],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            **self.process,
        )

    def finish(self, *more: str) -> None:
        """Run to the end, which must be good."""
        process = self.start(*more)
        text = process.communicate()[0]
        if process.returncode:
            raise SystemExit(f"The run in {self.folder} failed:\n{text[-4000:]}")


def jobs_of(folder: Path) -> list[Job]:
    """The jobs of an undisturbed run, from Snakemake's log of it."""
    log = min(folder.glob(".snakemake/log/*.log"), key=os.path.getmtime).read_text()
    started: dict[str, tuple[str, float]] = {}
    jobs = []
    for stamp, event in re.findall(r"^\[(.+)\]\n(.+)$", log, re.M):
        at = time.mktime(time.strptime(stamp))
        if found := STARTED.match(event):
            started[found[1]] = found[2], at
        elif (found := FINISHED.match(event)) and found[1] in started:
            message, since = started[found[1]]
            jobs.append(Job(message, found[2], at - since))
    return jobs


def killed(run: Run, jobs: list[Job], *, times: int, seed: int) -> list[str]:
    """Run to the end, with kills on the way.

    Args:
        run: in a folder where nothing is made yet.
        jobs: of an undisturbed run of the same config.
        times: kills; fewer only where the run ends before.
        seed: of the moments.

    Returns:
        For each kill, the jobs that it hit.
    """
    waiting = _moments(jobs, seed)
    finished: set[str] = set()
    hits: list[str] = []
    while True:
        process = run.start()
        assert process.stdout is not None
        running: dict[str, str] = {}
        text, struck = [], False
        for line in process.stdout:
            text.append(line)
            if done := FINISHED.match(line):
                finished.add(running.pop(done[1], ""))
            elif found := STARTED.match(line):
                running[found[1]] = found[2]
                armed = itertools.islice((message for message in waiting if message not in finished), times - len(hits))
                if found[2] in armed and not struck:
                    struck = True
                    time.sleep(waiting.pop(found[2]))
                    os.killpg(process.pid, signal.SIGKILL)
        if (code := process.wait()) == 0:
            return hits
        if code != -signal.SIGKILL:
            raise SystemExit(f"The run in {run.folder} failed after {len(hits)} kills:\n{''.join(text)[-4000:]}")
        hits.append("; ".join(running.values()) or "between jobs")
        print(f"  kill {len(hits)} of {times}, after {len(finished)} of {len(jobs)} jobs: {hits[-1]}", flush=True)
        run.finish("--unlock")


def _moments(jobs: list[Job], seed: int) -> dict[str, float]:
    """Seconds after its start at which a job is killed, all jobs in random order: first one of each rule, then a second one of each, and so on."""
    rng = random.Random(seed)
    seen: dict[str, int] = {}
    drawn = []
    for job in rng.sample(jobs, len(jobs)):
        seen[job.rule] = seen.get(job.rule, 0) + 1
        drawn.append((seen[job.rule], job))
    return {job.message: rng.uniform(0, job.seconds + 1) for _, job in sorted(drawn, key=lambda pair: pair[0])}


# What cannot be equal, and why. Each file is compared by what `Left.out` leaves of it.


@dataclass(frozen=True)
class Left:
    """Files of a kind, what of them is not compared, and why."""

    pattern: str
    why: str
    out: Callable[[Path], Any]


def _record(path: Path) -> Any:
    record = json.loads(path.read_text())
    inputs = {name: digest for name, digest in record["inputs"].items() if not name.endswith("statistics.jsonl")}
    return {**record, "inputs": inputs, "finished": None, "seconds": None}


def _statistics(path: Path) -> Any:
    clock = ("images_per_second", "seconds", "memory_mb")
    return [{key: value for key, value in json.loads(line).items() if key not in clock} for line in path.read_text().splitlines()]


LEFT = (
    Left("**/*.provenance.json", "when the job ended, how long it took, and digests of statistics.jsonl", _record),
    Left("generators/**/statistics.jsonl", "images a second, seconds, memory", _statistics),
)


def differences(one: Path, other: Path) -> list[str]:
    """Files below two results folders that are in one only, or differ in more than what cannot be equal."""
    found = [_contents(folder) for folder in (one, other)]
    return sorted(name for name in found[0].keys() | found[1].keys() if found[0].get(name, "absent") != found[1].get(name, "absent"))


def _contents(folder: Path) -> dict[str, Any]:
    contents: dict[str, Any] = {path.relative_to(folder).as_posix(): sha256(path) for path in folder.rglob("*") if path.is_file()}
    for left in LEFT:
        contents |= {path.relative_to(folder).as_posix(): left.out(path) for path in folder.glob(left.pattern)}
    return contents


def main() -> None:
    """Make both runs and compare them; exit code 1 where they differ."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kill", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=20, help="kills")
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    parser.add_argument("--cores", default="2")
    parser.add_argument("--configfile", nargs="+", default=[], help="as Snakemake's; without: the demo")
    parser.add_argument("--output", type=writable, default="benchmarks/runs/kill.json")
    asked = parser.parse_args()
    if asked.times < 0:
        parser.error("--times must be 0 or more")
    if lost := [name for name in ("Snakefile", *asked.configfile) if not Path(name).is_file()]:
        parser.error(f"there is no file {lost[0]} here; run this in the repository's folder, and name files that exist")
    arguments = ("--cores", asked.cores, *(["--configfile", *(os.path.abspath(name) for name in asked.configfile)] if asked.configfile else []))
    scratch = Path(tempfile.mkdtemp(prefix="kill-"))
    alone, disturbed = (Run(scratch / name, arguments) for name in ("undisturbed", "killed"))
    for run in (alone, disturbed):
        subprocess.run(["git", "clone", "--quiet", ".", run.folder], check=True)
    print(f"An undisturbed run of the last commit, as long as `make demo`, in {alone.folder}", flush=True)
    alone.finish()
    print(f"A run with {asked.times} kills, which takes longer, in {disturbed.folder}", flush=True)
    jobs = jobs_of(alone.folder)
    hits = killed(disturbed, jobs, times=asked.times, seed=asked.seed)
    found = differences(alone.folder / "results", disturbed.folder / "results")
    files = sum(path.is_file() for path in (alone.folder / "results").rglob("*"))
    rules = {job.message: job.rule for job in jobs}
    struck = {rules[message] for hit in hits for message in hit.split("; ") if message in rules}
    print(f"{len(hits)} kills in {len(struck)} of {len(set(rules.values()))} rules, {len(jobs)} jobs, {files} files; not compared:")
    print(*(f"  {left.pattern}: {left.why}" for left in LEFT), sep="\n")
    asked.output.write_text(json.dumps({"seed": asked.seed, "kills": hits, "jobs": len(jobs), "files": files, "different": found}, indent=1) + "\n")
    if found:
        sys.exit("\n".join([f"{len(found)} files differ; both runs are kept in {scratch}:", *found[:50]]))
    print("Everything else is equal, byte for byte.")
    shutil.rmtree(scratch)


if __name__ == "__main__":
    main()
