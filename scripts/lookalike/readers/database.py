"""Readers, their attempts and their answers in one SQLite file.

Answers are only ever added, with the images that they are about, so that the file tells all without the study's folder. A write has reached the disk when its call returns, and nothing is decided by the time of day.
"""

from __future__ import annotations

import csv
import hashlib
import hmac
import json
import os
import secrets
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, TextIO

from pydantic import ValidationError

from lookalike.errors import LookalikeError
from lookalike.readers.study import COLUMNS, Question, Study, load_sequence

ADMIN = "admin"
_FORMAT = 0x10CA1101
"""SQLite's application id of these files; its last two digits count their versions."""
_SCHEMA = """
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE admins (secret BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE readers (
    number INTEGER PRIMARY KEY, reader TEXT NOT NULL UNIQUE, secret BLOB NOT NULL, created TEXT NOT NULL, revoked INTEGER NOT NULL DEFAULT 0,
    groups TEXT, tutorial INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE attempts (
    number INTEGER PRIMARY KEY, reader TEXT NOT NULL REFERENCES readers (reader), attempt INTEGER NOT NULL, sequence INTEGER NOT NULL UNIQUE,
    UNIQUE (reader, attempt)
);
CREATE TABLE answers (
    attempt INTEGER NOT NULL REFERENCES attempts (number), question INTEGER NOT NULL, first TEXT NOT NULL, second TEXT NOT NULL, choice TEXT NOT NULL, confidence INTEGER, kind TEXT,
    ms INTEGER NOT NULL, active_ms INTEGER NOT NULL, hidden_ms INTEGER NOT NULL, zoom REAL NOT NULL, windowed INTEGER NOT NULL, screen TEXT NOT NULL,
    received TEXT NOT NULL, PRIMARY KEY (attempt, question)
) WITHOUT ROWID;
CREATE TRIGGER answers_stay BEFORE UPDATE ON answers BEGIN SELECT RAISE(ABORT, 'answers are only added'); END;
CREATE TRIGGER answers_last BEFORE DELETE ON answers BEGIN SELECT RAISE(ABORT, 'answers are only added'); END;
"""
_ANSWER = "choice, confidence, kind, ms, active_ms, hidden_ms, zoom, windowed, screen"


class Refused(Exception):
    """What was asked does not fit what is stored; the message is one sentence for the one who asked."""


@dataclass(frozen=True)
class Answer:
    """What a reader said to one question, in the order of the table's columns."""

    choice: str
    confidence: int | None
    kind: str | None
    ms: int
    active_ms: int
    hidden_ms: int
    zoom: float
    windowed: bool
    screen: str


@dataclass(frozen=True)
class State:
    """How far a reader has come."""

    reader: str
    row: int
    """Of the table of attempts."""
    attempt: int
    sequence: int
    grouped: bool
    """Has said what there is to say about the groups."""
    tutorial: bool
    answered: int
    questions: tuple[Question, ...]
    """Of the whole sequence."""


class Database:
    """The file; one object may serve several threads, and several processes may have one open.

    Args:
        path: the SQLite file; its folder and itself are made where `make` allows it, for the owner's eyes only.
        web: folder of the study that is read, as `study` was loaded from it; a file that was made for another study is refused. None = nobody reads: whatever study the file is of.

    Raises:
        LookalikeError: the file is missing, is of another study, or cannot be opened.
    """

    def __init__(self, path: Path, web: Path | None = None, study: Study | None = None, *, make: bool = False) -> None:
        self._lock = threading.RLock()
        self._questions = lru_cache(maxsize=256)(lambda number: load_sequence(web or Path(), number).questions)
        if not make and not path.is_file():
            raise LookalikeError("The study has no answers yet", str(path), "Serve it first, or name its file with --database.")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._file = sqlite3.connect(path, timeout=20, isolation_level=None, check_same_thread=False)
            mode = self._file.execute("PRAGMA journal_mode=WAL").fetchone()[0]
            for pragma in ("synchronous=FULL", "foreign_keys=ON", "temp_store=MEMORY"):
                self._file.execute(f"PRAGMA {pragma}")
            self._study = self._open(study)
        except (OSError, sqlite3.OperationalError) as error:
            raise LookalikeError(
                f"The file of answers cannot be opened: {error}", str(path), "See that its folder can be written and has room."
            ) from None
        except (sqlite3.DatabaseError, ValidationError):
            raise LookalikeError("The file is no database of answers", str(path), "Name the one that the server wrote with --database.") from None
        if mode != "wal":
            raise LookalikeError("The folder cannot hold a shared SQLite file", str(path), "Name one on a local disk with --database.")
        if study and self._study.digest != study.digest:
            raise LookalikeError(
                "The answers are those of another study", str(path), "Name a new file with --database, or serve the study that it was made for."
            )

    def _open(self, study: Study | None) -> Study:
        """The study that the file is of; a new file becomes one of this study."""
        with self._write():
            if study and not self._file.execute("SELECT 1 FROM sqlite_master").fetchone():
                for statement in _SCHEMA.split(";\n"):  # executescript would end the transaction
                    self._file.execute(statement)
                self._file.execute(f"PRAGMA application_id={_FORMAT}")
                self._set("study", study.model_dump_json())
            if self._file.execute("PRAGMA application_id").fetchone()[0] != _FORMAT:
                raise sqlite3.DatabaseError
            return Study.model_validate_json(self.setting("study") or "")

    def close(self) -> None:
        """Close the file; answers are safe without it."""
        with self._lock:
            self._file.close()

    @contextmanager
    def _write(self) -> Iterator[None]:
        """All within is stored at once, or nothing."""
        with self._lock:
            self._file.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._file.execute("COMMIT")
            finally:
                if self._file.in_transaction:
                    self._file.execute("ROLLBACK")

    def _rows(self, statement: str, *values: Any) -> list[tuple]:
        with self._lock:
            return self._file.execute(statement, values).fetchall()

    def setting(self, name: str) -> str | None:
        """A stored word; None = never stored."""
        rows = self._rows("SELECT value FROM settings WHERE name = ?", name)
        return rows[0][0] if rows else None

    def store_setting(self, name: str, value: str) -> None:
        """Store a word under a name."""
        with self._write():
            self._set(name, value)

    def _set(self, name: str, value: str) -> None:
        self._file.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, value))

    def make_admin(self) -> str:
        """A new token of the study's staff; the former one stops working."""
        secret = secrets.token_urlsafe(32)
        with self._write():
            self._file.execute("DELETE FROM admins")
            self._file.execute("INSERT INTO admins VALUES (?)", (_hashed(secret),))
        return f"{ADMIN}.{secret}"

    def is_admin(self, token: str) -> bool:
        """Whether a token is one of the staff's."""
        name, _, secret = token.partition(".")
        known = [hmac.compare_digest(_hashed(secret), row[0]) for row in self._rows("SELECT secret FROM admins")]
        return name == ADMIN and any(known)

    def find_reader(self, token: str) -> str | None:
        """The reader whose token it is; None = nobody's, or revoked."""
        name, _, secret = token.partition(".")
        rows = self._rows("SELECT secret, revoked FROM readers WHERE reader = ?", name)
        stored, revoked = rows[0] if rows else (bytes(32), 1)
        return name if hmac.compare_digest(_hashed(secret), stored) and not revoked else None

    def add_reader(self) -> tuple[str, str]:
        """A new reader with the first attempt.

        Returns:
            reader and token.

        Raises:
            Refused: no sequence is left.
        """
        reader, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
        with self._write():
            self._file.execute("INSERT INTO readers (reader, secret, created) VALUES (?, ?, ?)", (reader, _hashed(secret), _now()))
            self._add_attempt(reader, 1)
        return reader, f"{reader}.{secret}"

    def _add_attempt(self, reader: str, attempt: int) -> None:
        used = {row[0] for row in self._file.execute("SELECT sequence FROM attempts")}
        free = next((number for number in range(1, self._study.sequences + 1) if number not in used), None)
        if free is None:
            raise Refused("The study has no sequence of questions left.")
        self._file.execute("INSERT INTO attempts (reader, attempt, sequence) VALUES (?, ?, ?)", (reader, attempt, free))

    def renew_token(self, reader: str) -> str:
        """A new token for a reader; the old one stops working.

        Raises:
            Refused: there is no such reader, or it is revoked.
        """
        secret = secrets.token_urlsafe(32)
        with self._write():
            if not self._file.execute("UPDATE readers SET secret = ? WHERE reader = ? AND NOT revoked", (_hashed(secret), reader)).rowcount:
                raise Refused("There is no such reader, or the reader is revoked.")
        return f"{reader}.{secret}"

    def revoke_reader(self, reader: str) -> None:
        """Let a reader's token stop working for good; the answers stay, and a sequence without any is free for another reader.

        Raises:
            Refused: there is no such reader.
        """
        with self._write():
            if not self._file.execute("UPDATE readers SET revoked = 1 WHERE reader = ?", (reader,)).rowcount:
                raise Refused("There is no such reader.")
            self._file.execute("DELETE FROM attempts WHERE reader = ? AND number NOT IN (SELECT attempt FROM answers)", (reader,))

    def revoke_unused(self) -> int:
        """`revoke_reader` all who have answered nothing; returns how many."""
        with self._write():
            answered = "SELECT reader FROM attempts JOIN answers ON answers.attempt = attempts.number"
            unused = self._file.execute(f"SELECT reader FROM readers WHERE NOT revoked AND reader NOT IN ({answered})").fetchall()
            self._file.executemany("UPDATE readers SET revoked = 1 WHERE reader = ?", unused)
            self._file.executemany("DELETE FROM attempts WHERE reader = ?", unused)
        return len(unused)

    def state(self, reader: str) -> State:
        """How far a reader has come in the latest attempt.

        Raises:
            Refused: the reader was revoked a moment ago.
        """
        with self._lock:
            groups, tutorial, revoked = self._rows("SELECT groups, tutorial, revoked FROM readers WHERE reader = ?", reader)[0]
            latest = self._rows("SELECT number, attempt, sequence FROM attempts WHERE reader = ? ORDER BY attempt DESC LIMIT 1", reader)
            if revoked or not latest:
                raise Refused("The link was revoked.")
            row, attempt, sequence = latest[0]
            answered = self._rows("SELECT count(*) FROM answers WHERE attempt = ?", row)[0][0]
        grouped = groups is not None or not self._study.groups
        return State(reader, row, attempt, sequence, grouped, bool(tutorial), answered, self._questions(sequence))

    def store_groups(self, reader: str, groups: Mapping[str, bool | None]) -> None:
        """Store what a reader says about the groups.

        Raises:
            Refused: something else is stored.
        """
        text = json.dumps(groups, sort_keys=True)
        with self._write():
            stored = self._file.execute("SELECT groups FROM readers WHERE reader = ?", (reader,)).fetchone()[0]
            if stored not in (None, text):
                raise Refused("The questions about you are answered already.")
            self._file.execute("UPDATE readers SET groups = ? WHERE reader = ?", (text, reader))

    def store_tutorial(self, reader: str) -> None:
        """Store that a reader has seen the tutorial.

        Raises:
            Refused: the questions about the reader come first.
        """
        with self._write():
            if not self.state(reader).grouped:
                raise Refused("The questions about you come first.")
            self._file.execute("UPDATE readers SET tutorial = 1 WHERE reader = ?", (reader,))

    def store_answer(self, reader: str, attempt: int, question: int, answer: Answer) -> None:
        """Store an answer; one that is stored already is left as it is.

        Raises:
            Refused: another answer is stored, or the question is not the reader's present one.
        """
        with self._write():
            stored = self._file.execute(
                f"SELECT {_ANSWER} FROM answers JOIN attempts ON attempts.number = answers.attempt WHERE reader = ? AND attempts.attempt = ? AND question = ?",
                (reader, attempt, question),
            ).fetchone()
            if stored == astuple(answer):
                return
            if stored:
                raise Refused("The question has another answer already.")
            state = self.state(reader)
            if not (state.grouped and state.tutorial and state.attempt == attempt and state.answered + 1 == question <= len(state.questions)):
                raise Refused("This is not the question that you are at.")
            first, second = (*state.questions[question - 1].images, "")[:2]
            self._file.execute(
                f"INSERT INTO answers VALUES (?, ?, ?, ?, {'?, ' * 9}?)", (state.row, question, first, second, *astuple(answer), _now())
            )

    def begin_attempt(self, reader: str) -> None:
        """Give a reader who is done one more attempt.

        Raises:
            Refused: the reader is not done, may not read again, or no sequence is left.
        """
        with self._write():
            state = self.state(reader)
            if state.answered < len(state.questions):
                raise Refused("The present attempt is not finished.")
            if state.attempt >= self._study.attempts:
                raise Refused("There is no further attempt for you.")
            self._add_attempt(reader, state.attempt + 1)

    def progress(self) -> dict[str, Any]:
        """Counts, and every reader's attempts with `answered`, `total` and when the last answer came (UTC)."""
        total = self._study.warmup + self._study.questions
        with self._lock:
            attempts = self._rows(
                "SELECT reader, attempts.attempt, count(question), max(received) FROM attempts LEFT JOIN answers ON answers.attempt = attempts.number"
                " GROUP BY attempts.number ORDER BY attempts.attempt"
            )
            readers = self._rows("SELECT reader, created, revoked FROM readers ORDER BY number")
        of: dict[str, list[dict[str, Any]]] = {row[0]: [] for row in readers}
        for reader, attempt, answered, last in attempts:
            of[reader].append({"attempt": attempt, "answered": answered, "total": total, "last": last})
        return {
            "study": self._study.study,
            "protocol": self._study.protocol,
            "enrolled": len(readers),
            "finished": sum(attempt["attempt"] == 1 and attempt["answered"] == total for attempts in of.values() for attempt in attempts),
            "answers": sum(row[2] for row in attempts),
            "sequences_left": self._study.sequences - len(attempts),
            "readers": [
                {"reader": reader, "created": created, "revoked": bool(revoked), "attempts": of[reader]} for reader, created, revoked in readers
            ],
        }

    def export(self, target: TextIO) -> None:
        """Write all answers as CSV: COLUMNS, a column `group_NAME` a group, and `received` (UTC); in the order of readers, attempts and questions."""
        groups = [group.name for group in self._study.groups]
        out = csv.writer(target, lineterminator="\n")
        out.writerow([*COLUMNS, *(f"group_{name}" for name in groups), "received"])
        rows = self._rows(
            f"SELECT readers.reader, groups, attempts.attempt, sequence, question, received, first, second, {_ANSWER} FROM answers JOIN attempts ON attempts.number = answers.attempt"
            " JOIN readers ON readers.reader = attempts.reader ORDER BY readers.number, attempts.attempt, question"
        )
        for reader, said, attempt, sequence, question, received, *answer in rows:
            phase = "warmup" if question <= self._study.warmup else "test"
            words = [{None: "", True: "yes", False: "no"}[json.loads(said or "{}").get(name)] for name in groups]
            out.writerow(
                [self._study.study, self._study.digest, reader, attempt, sequence, question, phase, *answer, *words, received],
            )


def count_answers(path: Path) -> int:
    """How many answers a file holds; 0 where it is none of these."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as file:
            return int(file.execute("SELECT count(*) FROM answers").fetchone()[0])
    except sqlite3.Error:
        return 0


def _hashed(secret: str) -> bytes:
    """A secret of 256 random bits needs no slow hash."""
    return hashlib.sha256(secret.encode()).digest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
