"""The page of a reader study, and where its answers go.

Every answer of the server is for one reader: who has no token learns the study's texts and nothing else, and a token opens the images of the present and the following
question only. The truth of an image is not in the study's folder, so no mistake here can tell it.
"""

from __future__ import annotations

import asyncio
import hmac
import io
import json
import os
import re
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import uvicorn
from pydantic import BaseModel, ConfigDict, Field, StrictBool, ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from lookalike.errors import LookalikeError
from lookalike.readers.database import Answer, Database, Refused, State
from lookalike.readers.study import CHOICES, IMAGE_ID, SEEN, Study, load_study

PAGE = Path(__file__).parent / "page"
TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-resource-policy": "same-origin",
}
BODY_BYTES = 16 * 1024
BODY_SECONDS = 20
HEAD_SECONDS = 15.0
"""What the head of a request may take to arrive, after which its connection is closed."""
FAILURES = (500, 5.0)
"""Wrong tokens and codes of one address: so many at once, and so many a second. 200 readers may sit behind one address."""
ENROLMENTS = (300, 0.2)
"""The same for readers who enrol, each of whom uses up a sequence of the study."""
REQUESTS = (600, 100.0)
"""The same for requests with one token; those beyond wait their turn."""
PATIENCE = 1.0
"""Seconds that a request may wait; beyond, it is refused."""
REBUILT = "The study was rebuilt: the server must be started again."
SLACK_MS = 1000
"""By which `ms` may differ from `active_ms` + `hidden_ms`."""
_TIME = Annotated[int, Field(ge=0, le=2**40)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class NothingBody(_Body):
    """An empty object."""


class EnrolBody(_Body):
    """The code of the readers' link."""

    code: str = Field(max_length=200)


class GroupsBody(_Body):
    """What a reader says; null = not asked."""

    groups: dict[str, StrictBool | None]


class AnswerBody(_Body):
    """An answer; see `study.COLUMNS`."""

    attempt: int = Field(ge=1, le=1000)
    question: int = Field(ge=1, le=100_000)
    choice: Literal["seen", "left", "right", "real", "synthetic", "no", "yes"]
    confidence: int | None = Field(ge=1, le=5)
    kind: str | None = Field(max_length=200)
    ms: _TIME
    active_ms: _TIME
    hidden_ms: _TIME
    zoom: float = Field(ge=0, le=1000)
    windowed: bool
    screen: str = Field(pattern=r"^([0-9A-Za-z][0-9A-Za-z .@,:/()-]*)?$", max_length=40)
    """No sign that a spreadsheet would take for a formula."""


class Session(BaseModel):
    """Where a reader is."""

    reader: str
    attempt: int
    attempts: int
    sequence: int
    stage: Literal["groups", "tutorial", "warmup", "questions", "done"]
    question: int | None
    answered: int
    total: int
    images: tuple[str, ...]
    truth: Literal["real", "synthetic"] | None
    next: tuple[str, ...]


class Token(BaseModel):
    """A reader and the token of its link."""

    reader: str
    token: str


class Progress(BaseModel):
    """Counts, and every reader's attempts."""

    study: str
    protocol: str
    enrolled: int
    finished: int
    answers: int
    sequences_left: int
    enrolment: bool
    code: str | None
    readers: list[dict[str, Any]]


class Problem(BaseModel):
    """One sentence."""

    error: str


class Limit:
    """So many at once and so many a second, by key, in a clock that nobody sets."""

    def __init__(self, burst: int, rate: float) -> None:
        self._burst, self._rate = burst, rate
        self._until: dict[str, float] = {}

    def wait(self, key: str) -> float:
        """Seconds until the next one is allowed; 0 = now."""
        return max(0.0, self._until.get(key, 0.0) - time.monotonic() - (self._burst - 1) / self._rate)

    def take(self, key: str, patience: float = 0.0) -> float:
        """Count one, unless it had to wait longer than `patience`; as `wait`."""
        wait = self.wait(key)
        if wait <= patience:
            now = time.monotonic()
            if len(self._until) > 10_000:
                self._until = {name: until for name, until in self._until.items() if until > now}
            self._until[key] = max(now, self._until.get(key, 0.0)) + 1 / self._rate
        return wait


@dataclass(frozen=True)
class _Endpoint:
    """A row of the interface: what the server does and what its description says."""

    method: Literal["GET", "POST"]
    path: str
    who: Literal["anyone", "reader", "staff"]
    call: Callable[..., Any]
    """Called in a thread with the reader's name (of a reader's endpoints), the path's parameters and the body (of POST)."""
    does: str
    body: type[_Body] | None = None
    answer: type[BaseModel] | str = Session
    """What a success returns: JSON of a model, or bytes of a media type (of which `call` may return the file's path)."""
    status: int = 200


def create_app(web: Path, study: Study, database: Database, *, report: Callable[[str], None] | None = None) -> ASGIApp:
    """The ASGI application.

    Args:
        web: folder of the study.
        study: its `study.json`.
        database: where answers go; its setting `code` is the code of the readers' link, "" = enrolment is closed.
        report: called with a line about the progress whenever there is any, every ten seconds at most.
    """
    server = _Server(web, study, database)
    failures, enrolments, requests = Limit(*FAILURES), Limit(*ENROLMENTS), Limit(*REQUESTS)
    endpoints = server.endpoints()
    description = json.dumps(_describe(endpoints)).encode()

    def route(endpoint: _Endpoint) -> Callable[[Request], Awaitable[Response]]:
        async def handle(request: Request) -> Response:
            address = request.client.host if request.client else ""
            arguments: list[Any] = []
            if endpoint.who != "anyone":
                token = request.headers.get("authorization", "").removeprefix("Bearer ")
                name = await run_in_threadpool(database.find_reader if endpoint.who == "reader" else _staff(database), token)
                if name is None:
                    _refuse_beyond(0, failures.take(address))
                    raise HTTPException(401, "The link does not work: it is incomplete or was replaced or revoked.", {"www-authenticate": "Bearer"})
                wait = requests.take(name, PATIENCE)
                _refuse_beyond(PATIENCE, wait)
                await asyncio.sleep(wait)
                if endpoint.who == "reader":
                    arguments.append(name)
            if endpoint.who == "reader" or endpoint.answer is Token:
                await run_in_threadpool(server.check)
            arguments += request.path_params.values()
            if endpoint.body:
                arguments.append(_parse(endpoint.body, await _read(request)))
                if isinstance(arguments[-1], EnrolBody):
                    # those who guess do not keep out those who know
                    opens = await run_in_threadpool(server.opens, arguments[-1])
                    _refuse_beyond(0, (enrolments if opens else failures).take(address))
            found = await run_in_threadpool(endpoint.call, *arguments)
            if isinstance(found, Path):
                return _stream(found, endpoint.status, str(endpoint.answer))
            if isinstance(endpoint.answer, str):
                return Response(found, endpoint.status, media_type=endpoint.answer)
            return JSONResponse(found, endpoint.status)

        return handle

    async def watch() -> None:
        last = ""
        while report:
            progress = await run_in_threadpool(database.progress)
            line = f"{progress['enrolled']} enrolled, {progress['finished']} finished, {progress['answers']} answers"
            if line != last:
                report(line)
            last = line
            await asyncio.sleep(10)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        asyncio.get_running_loop().set_exception_handler(_note)
        watching = asyncio.create_task(watch())
        yield
        watching.cancel()

    routes = [Route(endpoint.path, route(endpoint), methods=[endpoint.method]) for endpoint in endpoints]
    routes.append(Route("/openapi.json", partial(_send, description, "application/json")))
    app = Starlette(
        routes=routes,
        exception_handlers={
            HTTPException: _refuse,
            Refused: _conflict,
            LookalikeError: _rebuilt,
            sqlite3.OperationalError: _disk_full,
            Exception: _failure,
        },
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    return _WithHeaders(app)


class _Server:
    """What each request does."""

    def __init__(self, web: Path, study: Study, database: Database) -> None:
        self._web, self._study, self._database = web, study, database
        self._seen = self._sign()

    def _sign(self) -> tuple[int, int, int]:
        try:
            found = (self._web / "study.json").stat()
        except OSError:
            raise HTTPException(503, REBUILT) from None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def check(self) -> None:
        """Refuse where the folder no longer holds the study that is served: its images would not be those of the stored sequences."""
        if (now := self._sign()) != self._seen:
            if load_study(self._web).digest != self._study.digest:
                raise HTTPException(503, REBUILT)
            self._seen = now

    def endpoints(self) -> list[_Endpoint]:
        files = {f"/{path.name}": path for path in self._web.iterdir() if path.suffix in TYPES}
        files["/"] = files.pop("/index.html", self._web / "index.html")
        files |= {"/admin": PAGE / "admin.html", "/admin.js": PAGE / "admin.js"}
        return [
            *(
                _Endpoint("GET", name, "anyone", partial(_file, path), "A file of the page", answer=TYPES[path.suffix])
                for name, path in files.items()
            ),
            _Endpoint("GET", "/study.json", "anyone", self.study, "The study", answer=Study),
            _Endpoint("POST", "/api/enrol", "anyone", self.enrol, "Take part, by the code of the readers' link", EnrolBody, Token, 201),
            _Endpoint("GET", "/api/session", "reader", self.session, "Where the reader is"),
            _Endpoint("POST", "/api/groups", "reader", self.groups, "Say what the study asks about the reader", GroupsBody),
            _Endpoint("POST", "/api/tutorial", "reader", self.tutorial, "Go on after the tutorial", NothingBody),
            _Endpoint("POST", "/api/answers", "reader", self.answer, "Answer the present question", AnswerBody),
            _Endpoint("POST", "/api/attempts", "reader", self.attempts, "Read once more", NothingBody, status=201),
            _Endpoint(
                "GET",
                "/api/images/{image}",
                "reader",
                self.image,
                "An image of the present or the following question",
                answer="application/octet-stream",
            ),
            _Endpoint("GET", "/api/admin/progress", "staff", self.progress, "How far the study is", answer=Progress),
            _Endpoint("GET", "/api/admin/export.csv", "staff", self.export, "All answers", answer="text/csv; charset=utf-8"),
            _Endpoint("POST", "/api/admin/readers", "staff", self.invite, "Make a reader and a link", NothingBody, Token, 201),
            _Endpoint("POST", "/api/admin/readers/{reader}/revoke", "staff", self.revoke, "End a reader's link for good", NothingBody, NothingBody),
            _Endpoint(
                "POST", "/api/admin/readers/{reader}/token", "staff", self.renew, "A new link in place of a reader's old one", NothingBody, Token, 201
            ),
        ]

    def study(self) -> dict[str, Any]:
        return self._study.model_copy(update={"mode": "server"}).model_dump(mode="json")

    def opens(self, body: EnrolBody) -> bool:
        code = self._database.setting("code") or ""
        return hmac.compare_digest(code.encode(), body.code.encode()) and bool(code)

    def enrol(self, body: EnrolBody) -> dict[str, str]:
        if not self.opens(body):
            raise HTTPException(403, "The code is wrong, or enrolment is closed.")
        return self.invite(NothingBody())

    def session(self, reader: str) -> dict[str, Any]:
        return _session(self._study, self._database.state(reader)).model_dump(mode="json")

    def groups(self, reader: str, body: GroupsBody) -> dict[str, Any]:
        names = [group.name for group in self._study.groups]
        if not names:
            raise HTTPException(422, "This study asks nothing about its readers.")
        if sorted(body.groups) != sorted(names):
            raise HTTPException(422, f"`groups` must have exactly the keys {', '.join(names)}.")
        first, *rest = (body.groups[name] for name in names)
        if first is None or any((said is None) == first for said in rest):
            raise HTTPException(422, "`groups`: the first must be true or false; the others too if it is true, and null if it is false.")
        self._database.store_groups(reader, body.groups)
        return self.session(reader)

    def tutorial(self, reader: str, body: NothingBody) -> dict[str, Any]:
        self._database.store_tutorial(reader)
        return self.session(reader)

    def answer(self, reader: str, body: AnswerBody) -> dict[str, Any]:
        if problem := _problem(self._study, body):
            raise HTTPException(422, problem)
        values = body.model_dump()
        self._database.store_answer(reader, values.pop("attempt"), values.pop("question"), Answer(**values))
        return self.session(reader)

    def attempts(self, reader: str, body: NothingBody) -> dict[str, Any]:
        self._database.begin_attempt(reader)
        return self.session(reader)

    def image(self, reader: str, image: str) -> Path:
        state = self._database.state(reader)
        shown = {name for question in state.questions[state.answered : state.answered + 2] for name in question.images}
        if not IMAGE_ID.fullmatch(image) or image not in shown:
            raise HTTPException(404, "There is no such image for you now.")
        return self._web / "images" / f"{image}.bin"

    def progress(self) -> dict[str, Any]:
        code = self._database.setting("code") or None
        return {**self._database.progress(), "enrolment": code is not None, "code": code}

    def export(self) -> bytes:
        text = io.StringIO()
        self._database.export(text)
        return text.getvalue().encode()

    def invite(self, body: NothingBody) -> dict[str, str]:
        reader, token = self._database.add_reader()
        return {"reader": reader, "token": token}

    def revoke(self, reader: str, body: NothingBody) -> dict[str, str]:
        self._database.revoke_reader(reader)
        return {}

    def renew(self, reader: str, body: NothingBody) -> dict[str, str]:
        return {"reader": reader, "token": self._database.renew_token(reader)}


def _session(study: Study, state: State) -> Session:
    present, following = ((*state.questions[state.answered :], None, None)[:2]) if state.grouped and state.tutorial else (None, state.questions[0])
    stage: Literal["groups", "tutorial", "warmup", "questions", "done"]
    if not state.grouped:
        stage = "groups"
    elif not state.tutorial:
        stage = "tutorial"
    elif present is None:
        stage = "done"
    else:
        stage = "warmup" if state.answered < study.warmup else "questions"
    return Session(
        reader=state.reader,
        attempt=state.attempt,
        attempts=study.attempts,
        sequence=state.sequence,
        stage=stage,
        question=state.answered + 1 if present else None,
        answered=state.answered,
        total=len(state.questions),
        images=present.images if present else (),
        truth=present.truth if present else None,
        next=following.images if following else (),
    )


def _problem(study: Study, body: AnswerBody) -> str:
    """A sentence on what does not fit the study, or ""."""
    warmup = body.question <= study.warmup
    choices = (SEEN,) if warmup else CHOICES[study.protocol]
    kinds = study.kinds if study.protocol == "artefacts" and body.choice == "yes" else ()
    if body.choice not in choices:
        return f"`choice` must be {' or '.join(choices)}."
    if (body.confidence is None) == (study.confidence and not warmup):
        return f"`confidence` must be {'null' if body.confidence else '1 to 5'}."
    if body.kind not in (kinds or (None,)):
        return f"`kind` must be {' or '.join(kinds) or 'null'}."
    if body.ms < body.active_ms or abs(body.ms - body.active_ms - body.hidden_ms) > SLACK_MS:
        return "`ms` must be the sum of `active_ms` and `hidden_ms`."
    return ""


def _file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        raise HTTPException(404, "The server lacks this file.") from None


def _stream(path: Path, status: int, media: str) -> Response:
    """A file in pieces, so that slow readers do not fill the memory; its time stays untold."""

    def pieces() -> Iterator[bytes]:
        with file:
            while piece := file.read(2**18):
                yield piece

    try:
        file = path.open("rb")
    except OSError:
        raise HTTPException(404, "The server lacks this file.") from None
    return StreamingResponse(pieces(), status, {"content-length": str(os.fstat(file.fileno()).st_size)}, media)


def _staff(database: Database) -> Callable[[str], str | None]:
    return lambda token: "" if database.is_admin(token) else None


def _refuse_beyond(patience: float, wait: float) -> None:
    if wait > patience:
        raise HTTPException(429, "Too many requests: wait a little.", {"retry-after": str(int(wait) + 1)})


async def _read(request: Request) -> bytes:
    """The body, of which never more than the limit is held."""
    body = b""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > BODY_BYTES:
                    raise HTTPException(413, f"The request has more than {BODY_BYTES // 1024} KiB.", {"connection": "close"})
    except TimeoutError:
        raise HTTPException(408, "The request did not arrive in time.", {"connection": "close"}) from None
    except ClientDisconnect:
        raise HTTPException(400, "The request broke off.") from None
    return body


_WORDS = {
    "json_invalid": "is no JSON",
    "model_type": "must be an object",
    "dict_type": "must be an object",
    "missing": "is missing",
    "extra_forbidden": "is not known here",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "string_too_long": "is too long",
    "string_pattern_mismatch": "may have letters, digits, spaces and . @ , : / ( ) - only, and begins with a letter or digit",
    "greater_than_equal": "is too small",
    "less_than_equal": "is too large",
    "finite_number": "must be a finite number",
    "literal_error": "is no such choice",
}
"""What is wrong, by pydantic's names of it."""


def _parse(model: type[_Body], body: bytes) -> _Body:
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"])[:80]
        raise HTTPException(422, f"{f'`{place}`' if place else 'The request'} {_WORDS.get(first['type'], 'has a value that cannot be')}.") from None


async def _send(body: bytes, media: str, request: Request) -> Response:
    return Response(body, media_type=media)


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    words = {404: "There is no such page.", 405: "The page does not take this method."}
    plain = error.detail in ("Not Found", "Method Not Allowed")
    return JSONResponse({"error": words[error.status_code] if plain else error.detail}, error.status_code, error.headers)


async def _conflict(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 409)


async def _rebuilt(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": REBUILT}, 503)


async def _disk_full(request: Request, error: Exception) -> Response:
    print(f"Nothing could be written: {error}.", file=sys.stderr, flush=True)
    return JSONResponse({"error": "Nothing was saved, since the server cannot write to its disk: tell the study's staff, then try again."}, 507)


async def _failure(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": "The server has made a mistake: tell the study's staff."}, 500)


def _note(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A line in place of a traceback a second while there are too many connections."""
    error = context.get("exception")
    if isinstance(error, OSError):
        print(f"A connection failed: {error}.", file=sys.stderr, flush=True)
    else:
        loop.default_exception_handler(context)


class _WithHeaders:
    """Adds the security headers to every answer, those of errors too."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_more(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *((name.encode(), value.encode()) for name, value in HEADERS.items())]
            await send(message)

        await self._app(scope, receive, send_more)


def _describe(endpoints: list[_Endpoint]) -> dict[str, Any]:
    """The OpenAPI description of the interface."""
    paths: dict[str, dict[str, Any]] = {}
    models: dict[str, Any] = {}

    def content(model: type[BaseModel], mode: Literal["validation", "serialization"]) -> dict[str, Any]:
        schema = model.model_json_schema(mode=mode, ref_template="#/components/schemas/{model}")
        models.update(schema.pop("$defs", {}))
        models[model.__name__] = schema
        return {"application/json": {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}}

    problem = {"description": "One sentence says why", "content": content(Problem, "serialization")}
    for endpoint in endpoints:
        plain = isinstance(endpoint.answer, str)
        success = {endpoint.answer.partition(";")[0]: {}} if isinstance(endpoint.answer, str) else content(endpoint.answer, "serialization")
        statuses = [404] if plain else []
        if endpoint.who == "reader" or endpoint.answer is Token:
            statuses.append(503)
        if endpoint.who != "anyone":
            statuses += [401, 429]
        if endpoint.body:
            statuses += [400, 408, 409, 413, 422, 507]
        if endpoint.path == "/api/enrol":
            statuses += [403, 429]
        operation: dict[str, Any] = {
            "summary": endpoint.does,
            "responses": {str(endpoint.status): {"description": "Done", "content": success}}
            | {str(status): problem for status in sorted(set(statuses))},
        }
        if endpoint.body:
            operation["requestBody"] = {"required": True, "content": content(endpoint.body, "validation")}
        if endpoint.who != "anyone":
            operation["security"] = [{endpoint.who: []}]
        if names := re.findall(r"{(\w+)}", endpoint.path):
            operation["parameters"] = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "Reader study", "version": "1"},
        "paths": paths,
        "components": {"schemas": models, "securitySchemes": {who: {"type": "http", "scheme": "bearer"} for who in ("reader", "staff")}},
    }


class _Protocol(H11Protocol):
    """Closes a connection whose next request is not there in time; uvicorn itself waits for ever for one that has begun."""

    def __init__(self, *arguments: Any, head_seconds: float, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._head_seconds = head_seconds
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn types it as no base class does
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def _watch(self) -> None:
        if self.cycle and not self.cycle.response_complete:
            self._stop()
        elif not self._deadline:
            self._deadline = self.loop.call_later(self._head_seconds, self.transport.close)

    def _stop(self) -> None:
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None


def create_server(
    app: ASGIApp, *, certificate: Path | None = None, key: Path | None = None, proxy: bool = False, head_seconds: float = HEAD_SECONDS
) -> uvicorn.Server:
    """What serves the application: `create_server(...).run(sockets=[listener])`, until interrupted.

    Args:
        certificate: PEM file with the chain; None = no TLS.
        key: its PEM key; None = it is in the certificate's file.
        proxy: a proxy of this machine says whose requests it passes on; otherwise such headers are anyone's and mean nothing.
        head_seconds: what the head of a request may take to arrive.

    Raises:
        LookalikeError: the certificate cannot be used.
    """
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        http=partial(_Protocol, head_seconds=head_seconds),  # type: ignore[arg-type]
        proxy_headers=proxy,
        ws="none",
        timeout_keep_alive=60,
        timeout_graceful_shutdown=5,
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )
    if key and not certificate:
        raise LookalikeError("A key is of no use without its certificate", str(key), "Name the certificate too, with --certificate.")
    try:
        config.load()
    except OSError as error:
        raise LookalikeError(f"The certificate cannot be used: {error}", str(certificate), "Name PEM files with --certificate and --key.") from None
    return uvicorn.Server(config)
