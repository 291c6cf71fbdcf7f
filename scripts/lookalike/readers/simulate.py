"""Programs that read in the place of people, through the running server: they enrol, answer and are exported as people are."""

from __future__ import annotations

import io
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pandas as pd

import lookalike
from lookalike.config import SimulatedReaders
from lookalike.errors import LookalikeError
from lookalike.readers.study import COLUMNS, SEEN, Study, load_study

SECONDS_TO_START = 60.0
AT_ONCE = 8
"""Readers who read at the same time."""
CONFIDENCE = (0.25, 0.6, 1.0, 1.5)
"""Distances from the criterion, in standard deviations, from which on a reader is one step surer."""
SHARE = 0.5
"""Of readers who say yes to a question that `shares` does not name."""


@dataclass(frozen=True)
class Server:
    """A running server."""

    address: str
    """HOST:PORT."""
    code: str
    """Of enrolment."""
    admin: str
    """Token of the staff."""


@contextmanager
def serving(web: Path) -> Iterator[Server]:
    """The server of a study on a free port of this machine, with a file of answers that is thrown away.

    Raises:
        LookalikeError: it did not start.
    """
    with tempfile.TemporaryDirectory() as scratch:
        said = Path(scratch) / "said"
        command = [sys.executable, "-m", "lookalike.readers", "serve", str(web), "--port", "0", "--database", f"{scratch}/answers.sqlite"]
        path = os.pathsep.join(filter(None, [str(Path(lookalike.__file__).parent.parent), os.environ.get("PYTHONPATH")]))
        with open(said, "wb") as out:
            process = subprocess.Popen(
                command, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": path}
            )
        try:
            links = _links(process, said)
            readers, admin = (urlsplit(links[name]) for name in ("Readers", "Admin"))
            yield Server(readers.netloc, readers.fragment.removeprefix("code="), admin.fragment.removeprefix("token="))
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _links(process: subprocess.Popen[bytes], said: Path) -> dict[str, str]:
    """The links that the server prints when it is ready."""
    end = time.monotonic() + SECONDS_TO_START
    while True:
        ended = process.poll() is not None
        lines = said.read_text(errors="replace").splitlines(keepends=True)
        links = {name: link.strip() for name, found, link in (line.partition(": ") for line in lines if line.endswith("\n")) if found}
        if {"Readers", "Admin"} <= links.keys():
            return links
        if ended or time.monotonic() > end:
            last = lines[-1].strip() if lines else "it said nothing"
            raise LookalikeError(f"The server did not start: {last}", "python -m lookalike.readers serve", "Start it by hand to see why.")
        time.sleep(0.05)


class Client:
    """One connection to the server."""

    def __init__(self, server: Server, token: str = "") -> None:
        self.token = token
        self._connection = HTTPConnection(server.address, timeout=60)

    def close(self) -> None:
        """Close the connection; the next request opens another one."""
        self._connection.close()

    def ask(self, method: str, path: str, body: Mapping[str, object] | None = None) -> bytes:
        """One request.

        Raises:
            LookalikeError: the server refused it.
        """
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        if body is not None:
            headers["Content-Type"] = "application/json"
        self._connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = self._connection.getresponse()
        content = response.read()
        if response.status >= 400:
            raise LookalikeError(
                f"The server refused: {content.decode(errors='replace')[:200]}", f"{method} {path}", "Report this: it is a fault of the program."
            )
        return content

    def post(self, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        """One POST request; returns the JSON of the answer."""
        content: dict[str, Any] = json.loads(self.ask("POST", path, body))
        return content

    def begin(self, groups: Mapping[str, bool | None]) -> dict[str, Any]:
        """Answer the questions about the reader, where the study has any, and the tutorial; returns the session."""
        if groups:
            self.post("/api/groups", {"groups": groups})
        return self.post("/api/tutorial", {})


def enrol(server: Server) -> Client:
    """A new reader."""
    client = Client(server)
    client.token = client.post("/api/enrol", {"code": server.code})["token"]
    return client


def simulate(web: Path, key: pd.DataFrame, readers: SimulatedReaders, *, log: Callable[[str], object]) -> pd.DataFrame:
    """Answers of simulated readers, as the server exports them.

    To a reader every image has a strength drawn from N(0, 1), a synthetic one from N(d', 1), d' being the reader's own. Single images are called synthetic from d' / 2
    on, of a pair the weaker one is called real. The same settings give the same answers, whatever the order in which the readers are served.

    Args:
        web: folder of the study.
        key: its images with their truth.
        readers: how many, and how they read.
        log: is told how far they are.

    Returns:
        COLUMNS and a column group_NAME a group, all as text; readers are called simulated-001, ...

    Raises:
        LookalikeError: the study has too few sequences for so many attempts, or the server failed.
    """
    study = load_study(web)
    repeats = min(readers.repeats, readers.readers) if study.attempts > 1 else 0
    if readers.readers + repeats > study.sequences:
        raise LookalikeError(
            f"{readers.readers} readers with {repeats} repeats need as many sequences, but the study has {study.sequences}",
            f"reader_studies.{study.study}.simulated",
            "Raise `sequences`, or simulate fewer readers.",
        )
    truth = dict(zip(key["image"], key["truth"], strict=True))
    with serving(web) as server, ThreadPoolExecutor(AT_ONCE) as pool:
        # one after another: the server deals out the sequences in the order of asking
        clients = [enrol(server) for _ in range(readers.readers)]
        names = {client.token.partition(".")[0]: f"simulated-{number:03d}" for number, client in enumerate(clients, start=1)}

        def read(number: int, attempt: int) -> None:
            _read(clients[number], study, truth, readers, number, attempt)

        for done, _ in enumerate(pool.map(lambda number: read(number, 1), range(readers.readers)), start=1):
            if done % max(readers.readers // 5, 1) == 0:
                log(f"{done} of {readers.readers} simulated readers have answered")
        for client in clients[:repeats]:
            client.post("/api/attempts", {})
        for _ in pool.map(lambda number: read(number, 2), range(repeats)):
            pass
        for client in clients:
            client.close()
        with closing(Client(server, server.admin)) as staff:
            answers = pd.read_csv(io.BytesIO(staff.ask("GET", "/api/admin/export.csv")), dtype=str, keep_default_na=False)
    answers["reader"] = answers["reader"].map(names)
    return answers[[*COLUMNS, *(f"group_{group.name}" for group in study.groups)]]


def _read(client: Client, study: Study, truth: Mapping[str, str], readers: SimulatedReaders, number: int, attempt: int) -> None:
    """One attempt of one reader."""
    person = np.random.default_rng([readers.seed, number])
    d_prime = readers.d_prime + readers.spread * person.standard_normal()
    groups = _groups(study, readers, person)
    random = np.random.default_rng([readers.seed, number, attempt])
    session = client.begin(groups) if attempt == 1 else json.loads(client.ask("GET", "/api/session"))
    while session["stage"] != "done":
        for image in session["images"]:
            client.ask("GET", f"/api/images/{image}")
        strengths = [random.standard_normal() + d_prime * (truth[image] == "synthetic") for image in session["images"]]
        choice, kind, evidence = _choose(study, readers, strengths, d_prime, random)
        warmup = session["stage"] == "warmup"
        milliseconds = round(4000 * math.exp(0.5 * random.standard_normal()))
        session = client.post(
            "/api/answers",
            {
                "attempt": attempt,
                "question": session["question"],
                "choice": SEEN if warmup else choice,
                "confidence": 1 + sum(evidence > step for step in CONFIDENCE) if study.confidence and not warmup else None,
                "kind": None if warmup else kind,
                "ms": milliseconds,
                "active_ms": milliseconds,
                "hidden_ms": 0,
                "zoom": 1.0,
                "windowed": False,
                "screen": "simulated",
            },
        )


def _groups(study: Study, readers: SimulatedReaders, person: np.random.Generator) -> dict[str, bool | None]:
    """What a reader says; only who says yes to the first question is asked the others."""
    said: dict[str, bool | None] = {group.name: bool(person.random() < readers.shares.get(group.name, SHARE)) for group in study.groups}
    return {name: yes if place == 0 or next(iter(said.values())) else None for place, (name, yes) in enumerate(said.items())}


def _choose(
    study: Study, readers: SimulatedReaders, strengths: list[float], d_prime: float, random: np.random.Generator
) -> tuple[str, str | None, float]:
    """Choice, kind of an artefact, and distance from the criterion."""
    if study.protocol == "artefacts":
        if random.random() < readers.artefacts:
            return "yes", str(random.choice(study.kinds)), 0.0
        return "no", None, 0.0
    if study.protocol == "pair2afc":
        difference = strengths[1] - strengths[0]
        return ("left" if difference > 0 else "right"), None, abs(difference)
    distance = strengths[0] - d_prime / 2
    return ("synthetic" if distance > 0 else "real"), None, abs(distance)
