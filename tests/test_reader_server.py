"""The server of reader studies, as a process: whole readings, other people's tokens, malformed input, kills, a full disk, a jumping clock."""

from __future__ import annotations

import csv
import http.client
import io
import json
import os
import random
import re
import resource
import shutil
import socket
import sqlite3
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from reader_folder import make_study

from lookalike.readers.database import Answer, Database, Refused
from lookalike.readers.server import BODY_BYTES, create_app, create_server
from lookalike.readers.study import COLUMNS, load_sequence, load_study

SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"
ANSWER = {"confidence": None, "kind": None, "ms": 5100, "active_ms": 5000, "hidden_ms": 100, "zoom": 2.5, "windowed": True, "screen": "1280x800@1.5"}


HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-resource-policy": "same-origin",
}
"""What every answer carries; written out, so that a weaker policy is seen."""


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """A command of `python -m lookalike.readers`."""
    return subprocess.run(command(*arguments), env=environment(), capture_output=True, text=True, timeout=60)


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "lookalike.readers", *map(str, arguments)]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(SCRIPTS), **more}


class Server:
    """A served study; `kill` and `start` may follow each other."""

    def __init__(self, web: Path, *arguments: str | Path, **variables: str) -> None:
        self.web, self.database, self._arguments, self._variables = web, web.parent / "answers.sqlite", arguments, variables
        self.log = web.parent / "log"
        self.port = 0
        self.start()

    def start(self) -> None:
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(
                command("serve", self.web, "--database", self.database, "--port", str(self.port), *self._arguments),
                env=environment(**self._variables),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        lines = ""
        for line in self.process.stdout or ():
            lines += line
            self.said = lines
            if line.startswith("Admin:"):
                break
        found = re.search(r"Admin: https?://127.0.0.1:(\d+)/admin#token=(\S+)", lines)
        assert found, (lines, self.log.read_text())
        self.port, self.admin = int(found[1]), found[2]
        code = re.search(r"#code=(\S+)", lines)
        self.code = code[1] if code else None

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def call(self, method: str, path: str, token: str = "", body: Any = None) -> tuple[int, Any]:
        """Status and content of one request on a connection of its own."""
        client = Client(self, token)
        try:
            return client.call(method, path, body)
        finally:
            client.connection.close()

    def enrol(self) -> Client:
        status, found = self.call("POST", "/api/enrol", body={"code": self.code})
        assert status == 201, found
        return Client(self, found["token"])

    def reader(self) -> Client:
        """A reader at the first question."""
        client = self.enrol()
        assert client.call("POST", "/api/groups", {"groups": {"radiologist": True, "breast": False}})[0] == 200
        assert client.call("POST", "/api/tutorial", {})[0] == 200
        return client

    def export(self) -> list[dict[str, str]]:
        status, text = self.call("GET", "/api/admin/export.csv", self.admin)
        assert status == 200
        return list(csv.DictReader(io.StringIO(text)))


class Client:
    """One who holds a token, on one connection."""

    def __init__(self, server: Server, token: str) -> None:
        self.token, self.name = token, token.partition(".")[0]
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        self.connection.request(method, path, data, {"Authorization": f"Bearer {self.token}"})
        response = self.connection.getresponse()
        content = response.read()
        for name, value in HEADERS.items():
            assert response.getheader(name) == value
        kind = response.getheader("content-type") or ""
        if kind == "application/octet-stream":
            return response.status, content
        text = content.decode()
        assert "Traceback" not in text
        return response.status, json.loads(text) if kind == "application/json" else text

    def answer(self, question: int, choice: str, **more: Any) -> tuple[int, Any]:
        return self.call("POST", "/api/answers", {**ANSWER, "attempt": 1, "question": question, "choice": choice, **more})


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Any]:
    """Starts servers; at the end none may have shown a traceback."""
    servers: list[Server] = []

    def start(web: Path, *arguments: str | Path, **variables: str) -> Server:
        servers.append(Server(web, *arguments, **variables))
        return servers[-1]

    yield start
    for server in servers:
        server.kill()
        assert "Traceback" not in server.log.read_text()


def test_a_reader_from_the_link_to_the_export(tmp_path: Path, served: Any) -> None:
    web = make_study(tmp_path / "study", attempts=2, sequences=3)
    server = served(web)
    assert server.call("GET", "/study.json")[1]["mode"] == "server"
    reader = server.enrol()
    assert reader.answer(1, "left")[0] == 409  # groups and tutorial come first
    assert reader.call("POST", "/api/tutorial", {})[0] == 409
    groups = {"groups": {"radiologist": True, "breast": False}}
    assert reader.call("POST", "/api/groups", groups)[1]["stage"] == "tutorial"
    assert reader.call("POST", "/api/groups", groups)[0] == 200
    assert reader.call("POST", "/api/groups", {"groups": {"radiologist": True, "breast": True}})[0] == 409
    session = reader.call("POST", "/api/tutorial", {})[1]
    assert reader.call("POST", "/api/tutorial", {}) == (200, session)
    shown = [question.images for question in load_sequence(web, session["sequence"]).questions]
    for number in (1, 2, 3):
        assert session == reader.call("GET", "/api/session")[1]
        assert (session["stage"], session["question"], session["answered"], session["total"], session["truth"]) == (
            "questions",
            number,
            number - 1,
            3,
            None,
        )
        assert session["images"] == list(shown[number - 1])
        assert session["next"] == list((*shown, ())[number])
        for image in (*session["images"], *session["next"]):
            assert reader.call("GET", f"/api/images/{image}") == (200, (web / "images" / f"{image}.bin").read_bytes())
        assert reader.call("POST", "/api/attempts", {})[0] == 409
        status, session = reader.answer(number, "left")
        assert status == 200
        assert reader.answer(number, "left") == (200, session)  # the same again
        assert reader.answer(number, "right")[0] == 409
        assert reader.answer(number, "left", ms=5101)[0] == 409
        assert reader.answer(number + 2, "left")[0] == 409
    assert (session["stage"], session["question"], session["images"], session["next"]) == ("done", None, [], [])
    assert reader.answer(4, "left")[0] == 409
    assert reader.answer(1, "left", attempt=2)[0] == 409
    assert reader.call("POST", "/api/attempts", {})[1]["stage"] == "questions"
    assert reader.answer(2, "right")[0] == 409  # of the first attempt, whose answers stay
    session = reader.answer(1, "right", attempt=2)[1]
    assert (session["attempt"], session["attempts"], session["answered"]) == (2, 2, 1)

    rows = server.export()
    assert list(rows[0]) == [*COLUMNS, "group_radiologist", "group_breast", "received"]
    assert [(row["attempt"], row["question"], row["choice"]) for row in rows] == [
        ("1", "1", "left"),
        ("1", "2", "left"),
        ("1", "3", "left"),
        ("2", "1", "right"),
    ]
    assert [(row["first"], row["second"]) for row in rows[:3]] == shown
    assert {
        (row["reader"], row["phase"], row["zoom"], row["windowed"], row["screen"], row["group_radiologist"], row["group_breast"]) for row in rows
    } == {(reader.name, "test", "2.5", "1", "1280x800@1.5", "yes", "no")}
    assert run("export", tmp_path / "study", "--database", server.database).stdout == server.call("GET", "/api/admin/export.csv", server.admin)[1]
    progress = server.call("GET", "/api/admin/progress", server.admin)[1]
    assert (progress["enrolled"], progress["finished"], progress["answers"], progress["sequences_left"]) == (1, 1, 4, 1)
    assert [attempt["answered"] for attempt in progress["readers"][0]["attempts"]] == [3, 1]
    server.enrol()
    assert server.call("POST", "/api/enrol", body={"code": server.code})[0] == 409  # no sequence is left


def test_labelled_images_confidence_and_kinds(tmp_path: Path, served: Any) -> None:
    server = served(make_study(tmp_path / "single", "warmup+single", warmup=2, questions=2, confidence=True))
    reader = server.reader()
    assert reader.call("GET", "/api/session")[1]["truth"] == "real"
    assert reader.answer(1, "real")[0] == reader.answer(1, "seen", confidence=3)[0] == 422
    assert reader.answer(1, "seen")[1]["truth"] == "synthetic"
    session = reader.answer(2, "seen")[1]
    assert (session["stage"], session["truth"]) == ("questions", None)
    assert reader.answer(3, "seen", confidence=3)[0] == reader.answer(3, "real")[0] == reader.answer(3, "real", confidence=6)[0] == 422
    assert reader.answer(3, "real", confidence=5)[0] == 200
    assert [(row["phase"], row["choice"], row["confidence"]) for row in server.export()] == [("warmup", "seen", "")] * 2 + [("test", "real", "5")]

    server = served(make_study(tmp_path / "artefacts", "artefacts"))
    reader = server.reader()
    wrong = [("yes", None), ("yes", "smear"), ("no", "blob"), ("left", None)]
    assert [reader.answer(1, choice, kind=kind)[0] for choice, kind in wrong] == [422] * 4
    assert reader.answer(1, "yes", kind="blob")[0] == reader.answer(2, "no")[0] == 200


def test_tokens(tmp_path: Path, served: Any) -> None:
    web = make_study(tmp_path / "study", sequences=6)
    server = served(web, "--enrolment", "closed")
    assert server.code is None
    assert server.call("POST", "/api/enrol", body={"code": ""})[0] == server.call("POST", "/api/enrol", body={"code": "closed"})[0] == 403
    links = run("invite", web, "--number", "2", "--database", server.database).stdout.split()
    first, second = (Client(server, link.partition("#token=")[2]) for link in links)
    second.call("POST", "/api/groups", {"groups": {"radiologist": False, "breast": None}})
    second.call("POST", "/api/tutorial", {})
    second.answer(1, "left")
    second.answer(2, "right")
    one, other = (client.call("GET", "/api/session")[1] for client in (first, second))
    assert (one["reader"], one["stage"], one["answered"]) == (first.name, "groups", 0)
    assert one["sequence"] != other["sequence"]
    mine = {image for question in load_sequence(web, one["sequence"]).questions[:2] for image in question.images}
    for image in (path.stem for path in (web / "images").iterdir()):
        assert first.call("GET", f"/api/images/{image}")[0] == (200 if image in mine else 404)

    progress, export = "/api/admin/progress", "/api/admin/export.csv"
    secret = first.token.partition(".")[2]
    for token in (
        "",
        "x",
        ".",
        "admin.",
        f"admin.{secret}",
        f"{second.name}.{secret}",
        f"{first.name}.{secret[:-1]}",
        f"{first.name}.",
        "é.é",
        first.token,
    ):
        assert [server.call("GET", path, token)[0] for path in (progress, export)] == [401, 401]
        assert server.call("POST", "/api/admin/readers", token, {})[0] == 401
        if token != first.token:
            assert server.call("GET", "/api/session", token)[0] == server.call("GET", f"/api/images/{one['next'][0]}", token)[0] == 401
    assert server.call("GET", "/api/session", server.admin)[0] == 401
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("study/answers.sqlite*"))
    assert first.name.encode() in stored and secret.encode() not in stored and server.admin[6:].encode() not in stored

    renewed = server.call("POST", f"/api/admin/readers/{first.name}/token", server.admin, {})[1]["token"]
    assert first.call("GET", "/api/session")[0] == 401
    assert server.call("GET", "/api/session", renewed)[0] == 200
    assert server.call("POST", f"/api/admin/readers/{first.name}/revoke", server.admin, {}) == (200, {})
    assert server.call("GET", "/api/session", renewed)[0] == 401
    assert server.call("POST", f"/api/admin/readers/{first.name}/token", server.admin, {})[0] == 409
    left = server.call("GET", progress, server.admin)[1]["sequences_left"]
    assert left == 5  # the reader had answered nothing
    assert run("revoke", web, second.name, "--database", server.database).returncode == 0
    assert second.call("GET", "/api/session")[0] == 401
    assert len(server.export()) == 2
    links = run("invite", web, "--number", "5", "--database", server.database).stdout.split()
    assert run("invite", web, "--database", server.database).stderr == "The study has no sequence of questions left.\n"
    third = Client(server, links[0].partition("#token=")[2])
    assert third.call("GET", "/api/session")[1]["sequence"] == one["sequence"]
    third.call("POST", "/api/groups", {"groups": {"radiologist": False, "breast": None}})
    third.call("POST", "/api/tutorial", {})
    third.answer(1, "left")
    assert run("revoke", web, "--unused", "--database", server.database).stdout.startswith("4 readers")
    assert third.call("GET", "/api/session")[0] == 200
    assert server.call("GET", progress, server.admin)[1]["sequences_left"] == 4
    assert run("revoke", web, "--unused", third.name, "--database", server.database).returncode == 2
    former = server.admin
    server.kill()
    server.start()
    assert server.call("GET", progress, former)[0] == 401
    former = server.admin
    link = run("admin", web, "--database", server.database).stdout
    assert server.call("GET", progress, former)[0] == 401
    assert server.call("GET", progress, link.split("#token=")[1].strip())[0] == 200


def test_a_reader_who_is_revoked_stores_nothing_more(tmp_path: Path) -> None:
    """Not even what was on its way when the token was looked at."""
    web = make_study(tmp_path / "study", groups=())
    database = Database(tmp_path / "answers.sqlite", web, load_study(web), make=True)
    reader, _ = database.add_reader()
    database.store_tutorial(reader)
    given = Answer("left", None, None, 1000, 1000, 0, 1.0, False, "")
    database.store_answer(reader, 1, 1, given)
    database.revoke_reader(reader)
    with pytest.raises(Refused, match="revoked"):
        database.store_answer(reader, 1, 2, given)
    assert database.progress()["answers"] == 1


def test_mistakes_of_the_staff_are_sentences(tmp_path: Path, served: Any) -> None:
    web = make_study(tmp_path / "study")
    server = served(web)
    other = make_study(tmp_path / "other", seed=2)
    broken = make_study(tmp_path / "broken")
    (broken / "sequences/0002.json").unlink()
    (tmp_path / "text").write_text("no database")
    with closing(sqlite3.connect(tmp_path / "foreign")) as foreign:
        foreign.execute("CREATE TABLE answers (answer TEXT)")
    for arguments, part in [
        (("serve", other, "--database", server.database), "another study"),
        (("invite", other, "--database", server.database), "another study"),
        (("export", other, "--database", tmp_path / "none"), "no answers yet"),
        (("export", other, "--database", tmp_path / "text"), "no database of answers"),
        (("serve", web, "--database", tmp_path / "foreign"), "no database of answers"),
        (("serve", tmp_path, "--database", tmp_path / "new"), "no reader study"),
        (("serve", broken, "--database", tmp_path / "new"), "0002.json"),
        (("serve", other, "--database", tmp_path / "new", "--enrolment", "1234"), "8 or more"),
        (("serve", other, "--database", tmp_path / "new", "--port", str(server.port)), "cannot listen"),
        (("serve", other, "--database", tmp_path / "new", "--port", "0", "--certificate", tmp_path / "text"), "certificate"),
        (("serve", other, "--database", tmp_path / "new", "--port", "0", "--key", tmp_path / "text"), "without its certificate"),
        (("revoke", web, "nobody", "--database", server.database), "no such reader"),
    ]:
        run_ = run(*arguments)
        assert run_.returncode == 1 and part in run_.stderr and "Traceback" not in run_.stderr, run_
    assert not (tmp_path / "none").exists()


def test_malformed_requests_get_a_sentence(tmp_path: Path, served: Any) -> None:
    server = served(make_study(tmp_path / "study", groups=()))
    reader = server.enrol()
    reader.call("POST", "/api/tutorial", {})
    good = {**ANSWER, "attempt": 1, "question": 1, "choice": "left"}
    bodies: list[bytes] = [b"", b"{", b"[]", b"null", b"\xff", b'{"a":' * 3000, b'"\\ud800"', json.dumps({**good, "more": 1}).encode()]
    for name, value in [
        *((name, None) for name in ("attempt", "choice", "ms", "zoom", "windowed", "screen")),
        *(("ms", value) for value in (-1, 1.5, "1", True, 2**70, [])),
        *(("ms", value) for value in (4999, 6101)),
        *(("zoom", value) for value in (float("nan"), float("inf"), "1")),
        *(("screen", value) for value in ("x" * 41, "=1+1", "a\n", "\x00")),
        ("windowed", 1),
        ("confidence", 3),
        ("question", 10**30),
    ]:
        bodies.append(json.dumps({**good, name: value}).encode())
    bodies += [json.dumps({name: value for name, value in good.items() if name != left}).encode() for left in good]
    for body in bodies:
        status, found = reader.call("POST", "/api/answers", body)
        assert status == 422 and list(found) == ["error"] and found["error"].endswith("."), (body[:200], status, found)
    assert server.export() == []
    for groups in ({}, {"radiologist": True}, None):
        assert reader.call("POST", "/api/groups", {"groups": groups})[0] == 422

    assert server.call("POST", "/api/answers", reader.token, json.dumps(good).encode().ljust(BODY_BYTES))[0] == 200
    assert server.call("POST", "/api/answers", reader.token, b" " * (BODY_BYTES + 1))[0] == 413
    assert raw(server, b"POST /api/enrol HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + b"4001\r\n" + b" " * 0x4001 + b"\r\n") == 413
    assert raw(server, b"nonsense\r\n\r\n") == 400
    for path in ("study.json", "%2e%2e/study.json", "..%2fstudy.json", "../study.json", "%00", "a" * 32, "..\\study.json", "é".encode().hex() * 8):
        assert raw(server, f"GET /api/images/{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {reader.token}\r\n\r\n".encode()) == 404
    for path in ("/sequences/0001.json", "/images/", "/key.csv", "/../key.csv", "/answers.sqlite", "/api/session/", "//study.json", "/admin.html"):
        assert raw(server, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()) == 404
    assert server.call("DELETE", "/api/session") == (405, {"error": "The page does not take this method."})


def raw(server: Server, request: bytes) -> int:
    """Status of a request that no client would send."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(request)
        return int(connection.recv(1000).split()[1])


def test_limits_of_rate(tmp_path: Path, served: Any) -> None:
    server = served(make_study(tmp_path / "study"))
    reader, stranger = server.reader(), Client(server, "0123.4567")
    began = time.monotonic()
    statuses = Counter(stranger.call("GET", "/api/session")[0] for _ in range(900))
    assert time.monotonic() - began < 20  # an answer in two packets would wait 40 ms for an acknowledgement
    assert statuses[401] >= 500 and statuses[429] >= 50 and sum(statuses.values()) == 900
    assert server.call("POST", "/api/enrol", body={"code": "a guess"})[0] == 429
    client = server.enrol()  # who knows the code is not kept out by those who guess
    statuses = Counter(client.call("POST", "/api/enrol", {"code": server.code})[0] for _ in range(310))
    assert statuses[409] >= 290 and statuses[429] >= 5
    assert reader.call("GET", "/api/session")[0] == 200  # who has a token is not kept out by others behind the same address

    def ask(requests: int) -> Counter[int]:
        client = Client(server, reader.token)
        return Counter(client.call("GET", "/api/session")[0] for _ in range(requests))

    began = time.monotonic()
    assert ask(1000) == {200: 1000}  # of one after another none is refused
    assert time.monotonic() - began > 3  # but 600 at once and 100 a second are the most
    with ThreadPoolExecutor(300) as pool:
        statuses = sum(pool.map(ask, [3] * 300), Counter())
    assert statuses[200] >= 100 and set(statuses) == {200, 429}
    assert server.call("GET", "/api/admin/progress", server.admin)[0] == 200


def test_only_a_proxy_says_where_requests_come_from(tmp_path: Path, served: Any) -> None:
    server = served(make_study(tmp_path / "study"))

    def guess() -> Counter[int]:
        connection, statuses = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20), Counter[int]()
        for number in range(600):
            connection.request("GET", "/api/session", headers={"X-Forwarded-For": f"10.0.{number // 200}.{number % 200}"})
            response = connection.getresponse()
            response.read()
            statuses[response.status] += 1
        return statuses

    assert guess()[429] > 20
    server.kill()
    server._arguments = ("--url", f"http://127.0.0.1:{server.port}")
    server.start()
    assert guess() == {401: 600}


def test_a_rebuilt_study_is_not_mixed_with_the_former_one(tmp_path: Path, served: Any) -> None:
    web = make_study(tmp_path / "study")
    database = tmp_path / f"study/study-{load_study(web).digest[:12]}.sqlite"
    server = served(web)
    reader = server.reader()
    assert reader.answer(1, "left")[0] == 200
    rows = server.export()
    shutil.copyfile(web / "study.json", tmp_path / "same")
    os.replace(tmp_path / "same", web / "study.json")  # the same study, written again
    session = reader.call("GET", "/api/session")[1]
    assert session["question"] == 2
    shutil.rmtree(web)

    def refused() -> None:
        for method, path, body in [
            ("GET", "/api/session", None),
            ("GET", f"/api/images/{session['images'][0]}", None),
            ("POST", "/api/answers", {**ANSWER, "attempt": 1, "question": 2, "choice": "left"}),
            ("POST", "/api/enrol", {"code": server.code}),
        ]:
            assert reader.call(method, path, body) == (503, {"error": "The study was rebuilt: the server must be started again."})
        assert server.call("POST", "/api/admin/readers", server.admin, {})[0] == 503

    refused()
    shutil.move(make_study(tmp_path / "again/study", seed=2), web)
    refused()
    assert server.export() == rows and rows[0]["first"]
    server.kill()
    for suffix in ("", "-wal", "-shm"):
        if Path(f"{server.database}{suffix}").exists():
            os.replace(f"{server.database}{suffix}", f"{database}{suffix}")
    exported = run("export", tmp_path / "study", "--database", database).stdout
    assert list(csv.DictReader(io.StringIO(exported))) == rows
    for command_ in (("revoke", tmp_path / "study", reader.name), ("admin", tmp_path / "study")):
        assert run(*command_, "--database", database).returncode == 0
    server.start()
    assert f"Another build of this study has answers: {database} (1)." in server.said
    assert server.export() == []


def test_connections_that_say_nothing_are_closed(tmp_path: Path) -> None:
    web = make_study(tmp_path / "study")
    study = load_study(web)
    app = create_app(web, study, Database(tmp_path / "answers.sqlite", web, study, make=True))
    server = create_server(app, head_seconds=1.5)
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    address = listener.getsockname()
    half, whole = b"GET /study.json HTTP/1.1\r\nHost: x\r\n", b"GET /study.json HTTP/1.1\r\nHost: x\r\n\r\n"
    with ExitStack() as stack:
        stack.callback(thread.join)
        stack.callback(setattr, server, "should_exit", True)
        slow = [stack.enter_context(socket.create_connection(address, timeout=20)) for _ in range(300)]
        for place, connection in enumerate(slow):
            if place % 2:  # a kept connection
                connection.sendall(whole)
                assert connection.recv(10_000).startswith(b"HTTP/1.1 200")
            connection.sendall(half)
        began = time.monotonic()
        honest = http.client.HTTPConnection(*address, timeout=5)
        honest.request("GET", "/study.json")
        assert honest.getresponse().read()
        while time.monotonic() - began < 1:  # a byte now and then does not help
            for connection in slow:
                connection.sendall(b"x")
            time.sleep(0.2)
        for connection in slow:
            while connection.recv(10_000):
                pass
        assert time.monotonic() - began < 4
        honest.request("GET", "/study.json")  # which waits between two requests
        assert honest.getresponse().status == 200
        honest.close()


@pytest.mark.slow
def test_200_readers_and_ten_kills(tmp_path: Path, served: Any) -> None:
    """Whatever was acknowledged is in the export once, and nothing else that was not sent."""
    readers, questions = 200, 10
    server = served(make_study(tmp_path / "study", questions=questions, sequences=2 * readers + 100), "--enrolment", "load-test")
    acknowledged: list[tuple[str, ...]] = []
    retried = Counter[int]()
    deadline = time.monotonic() + 400

    def insist(client: Client, method: str, path: str, body: Any = None) -> Any:
        """Repeat a request, as it is, until there is an answer to it."""
        while time.monotonic() < deadline:
            try:
                status, found = client.call(method, path, body)
                assert status < 300, (path, status, found)
                return found
            except (OSError, http.client.HTTPException):
                retried[os.getpid()] += 1
                client.connection.close()
                time.sleep(0.05 + random.random() / 10)
        raise TimeoutError

    def read(number: int) -> None:
        draw = random.Random(number)
        client = Client(server, insist(Client(server, ""), "POST", "/api/enrol", {"code": "load-test"})["token"])
        insist(client, "POST", "/api/groups", {"groups": {"radiologist": False, "breast": None}})
        session = insist(client, "POST", "/api/tutorial", {})
        while session["stage"] == "questions":
            for image in session["images"]:
                assert len(insist(client, "GET", f"/api/images/{image}")) == 40 * 32 * 2
            ms = draw.randrange(10**9)
            times = {"ms": ms, "active_ms": ms, "hidden_ms": 0}
            body = {**ANSWER, **times, "attempt": 1, "question": session["question"], "choice": draw.choice(["left", "right"])}
            session = insist(client, "POST", "/api/answers", body)
            acknowledged.append((client.name, str(body["question"]), body["choice"], str(body["ms"])))

    stop = threading.Event()

    def fail() -> None:
        for answers in sorted(random.sample(range(readers * questions - 100), 10)):
            while len(acknowledged) < answers and not stop.wait(0.01):
                pass
            server.kill()
            server.start()

    killer = threading.Thread(target=fail)
    killer.start()
    try:
        with ThreadPoolExecutor(readers) as pool:
            list(pool.map(read, range(readers)))
    finally:
        stop.set()
        killer.join()
    rows = [(row["reader"], row["question"], row["choice"], row["ms"]) for row in server.export()]
    print(f"{retried.total()} requests repeated, {len(rows)} answers")
    assert retried.total() > 10
    assert len(rows) == readers * questions
    assert sorted(rows) == sorted(acknowledged)


def test_a_full_disk_is_told_and_got_over(tmp_path: Path, served: Any) -> None:
    server = served(make_study(tmp_path / "study", questions=60))
    reader = server.reader()
    log = Path(f"{server.database}-wal")
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (log.stat().st_size + 30_000, resource.RLIM_INFINITY))
    question = 1
    while (status := reader.answer(question, "left")[0]) == 200:
        question += 1
    assert status == 507 and 1 < question < 60
    status, found = reader.answer(question, "left")
    assert status == 507 and "Nothing was saved" in found["error"]
    assert reader.call("GET", "/api/session")[1]["question"] == question  # reading goes on
    assert server.call("POST", "/api/enrol", body={"code": server.code})[0] == 507
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    for number in range(question, 61):
        assert reader.answer(number, "left")[0] == 200
    server.kill()
    server.start()
    assert [row["question"] for row in server.export()] == [str(number) for number in range(1, 61)]


CLOCK = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
int clock_gettime(clockid_t clock, struct timespec *now) {
  int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
  int status = real(clock, now);
  FILE *file = clock == CLOCK_REALTIME ? fopen(getenv("CLOCK_OFFSET"), "r") : NULL;
  long offset = 0;
  if (file) { if (fscanf(file, "%ld", &offset) == 1) now->tv_sec += offset; fclose(file); }
  return status;
}
"""


def test_a_clock_that_jumps(tmp_path: Path, served: Any) -> None:
    if not (compiler := shutil.which("cc") or shutil.which("gcc")):
        pytest.skip("no C compiler to make a clock that jumps (Debian: gcc)")
    offset = tmp_path / "offset"
    offset.write_text("0")
    (tmp_path / "clock.c").write_text(CLOCK)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", tmp_path / "clock.so", tmp_path / "clock.c", "-ldl"], check=True)
    server = served(make_study(tmp_path / "study", questions=6), LD_PRELOAD=str(tmp_path / "clock.so"), CLOCK_OFFSET=str(offset))
    reader = server.reader()
    year = 365 * 86400
    for number, years in enumerate((0, 10, -20, 10, 30, -40), start=1):
        offset.write_text(str(years * year))
        assert reader.answer(number, "left")[0] == 200
        assert reader.answer(number, "left")[0] == 200
    rows = server.export()
    assert [row["question"] for row in rows] == ["1", "2", "3", "4", "5", "6"]
    times = [int(row["received"][:4]) for row in rows]
    assert times[1] > times[0] > times[2]  # the clock did jump
    assert server.reader().call("GET", "/api/session")[0] == 200


@pytest.mark.slow
def test_fuzzed_requests_make_no_server_error(tmp_path: Path, served: Any) -> None:
    server = served(make_study(tmp_path / "study", questions=100, sequences=500))
    tool = shutil.which("schemathesis", path=Path(sys.executable).parent)
    assert tool
    for token, selection in [(server.reader().token, "--exclude-path-regex=/admin/"), (server.admin, "--include-path-regex=/admin/")]:
        # whether an answer is accepted depends on the question that the reader is at, which the description cannot say
        checks = ("--checks=all", "--exclude-checks=positive_data_acceptance", "--max-examples=30", "--seed=1")
        fuzzed = subprocess.run(
            [
                tool,
                "run",
                f"http://127.0.0.1:{server.port}/openapi.json",
                f"--header=Authorization: Bearer {token}",
                selection,
                *checks,
                "--no-color",
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert fuzzed.returncode == 0, fuzzed.stdout
        assert "Fuzzing (in" in fuzzed.stdout, fuzzed.stdout


def test_tls(tmp_path: Path, served: Any) -> None:
    if not (openssl := shutil.which("openssl")):
        pytest.skip("no openssl to make a certificate (Debian: openssl)")
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", tmp_path / "key.pem", "-out", tmp_path / "chain.pem"]
    subprocess.run([openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *files, *names], check=True, capture_output=True)
    server = served(make_study(tmp_path / "study"), "--certificate", tmp_path / "chain.pem", "--key", tmp_path / "key.pem")
    context = ssl.create_default_context(cafile=tmp_path / "chain.pem")
    connection = http.client.HTTPSConnection("127.0.0.1", server.port, timeout=20, context=context)
    connection.request("GET", "/study.json")
    assert connection.getresponse().status == 200
