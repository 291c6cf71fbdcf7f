"""`python -m lookalike.readers`: serve a reader study, and look after it."""

from __future__ import annotations

import argparse
import re
import resource
import secrets
import socket
import sqlite3
import sys
from contextlib import suppress
from pathlib import Path

from lookalike.errors import LookalikeError
from lookalike.readers.database import Database, Refused, count_answers
from lookalike.readers.server import create_app, create_server
from lookalike.readers.study import Study, load_study, sequence_path

CLOSED = "closed"


def main() -> None:
    """Run one command; a user's mistake ends it with a sentence."""
    arguments = _parser().parse_args()
    try:
        arguments.command(arguments)
    except (LookalikeError, Refused) as error:
        sys.exit(str(error))
    except sqlite3.OperationalError as error:
        sys.exit(f"The file of answers cannot be written: {error}. Make room on its disk.")
    except KeyboardInterrupt:
        pass


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lookalike.readers", description="Serve a reader study, and look after its readers and answers.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, function: object, text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text)
        made.set_defaults(command=function)
        made.add_argument("study", type=Path, metavar="STUDY", help="its folder: results/readers/NAME")
        made.add_argument(
            "--database", type=Path, metavar="FILE", help="SQLite file of the answers, on a local disk (state/readers/NAME-DIGEST.sqlite)"
        )
        return made

    serving = command("serve", _serve, "Serve the page and collect answers, until Ctrl-C. Prints the link of the readers and that of the staff.")
    serving.add_argument(
        "--host", default="127.0.0.1", help="address to listen at; the default is for this machine only, 0.0.0.0 for the whole network: use TLS there"
    )
    serving.add_argument("--port", type=int, default=8000, help="0 = a free one (8000)")
    serving.add_argument("--url", help="what links begin with, where a proxy of this machine stands before the server (the server's own address)")
    serving.add_argument(
        "--enrolment",
        metavar="CODE",
        help="code of the readers' link, 8 or more letters and digits, kept for the next time; `closed`: only who is invited may read (a random code)",
    )
    serving.add_argument("--certificate", type=Path, metavar="PEM", help="certificate chain: serve TLS")
    serving.add_argument("--key", type=Path, metavar="PEM", help="key of the certificate, if it is in a file of its own")
    command("export", _export, "Write all answers as CSV to standard output; the server may be running.")
    inviting = command("invite", _invite, "Make readers and print a personal link for each.")
    inviting.add_argument("--number", type=int, default=1, help="how many (1)")
    revoking = command("revoke", _revoke, "End a reader's link for good; the answers stay.")
    who = revoking.add_mutually_exclusive_group(required=True)
    who.add_argument("reader", metavar="READER", nargs="?", help="name of the reader, as the staff's page shows it")
    who.add_argument("--unused", action="store_true", help="all readers who have answered nothing yet; their sequences are free again")
    command("admin", _admin, "Print a new link for the staff; the former one stops working.")
    return parser


def _web(arguments: argparse.Namespace) -> Path:
    study: Path = arguments.study
    return study if (study / "study.json").is_file() else study / "web"


def _database(arguments: argparse.Namespace, study: Study) -> Path:
    return arguments.database or Path("state/readers") / f"{study.study}-{study.digest[:12]}.sqlite"


def _look_after(arguments: argparse.Namespace) -> Database:
    """What is collected already; `--database` may be that of a study that was rebuilt since."""
    return Database(arguments.database or _database(arguments, load_study(_web(arguments))))


def _open(arguments: argparse.Namespace, *, make: bool) -> tuple[Path, Study, Database]:
    web = _web(arguments)
    study = load_study(web)
    missing = [path.name for path in (sequence_path(web, number + 1) for number in range(study.sequences)) if not path.is_file()]
    if missing:
        raise LookalikeError(f"The study lacks the sequence {missing[0]}", str(web), "Build it again: snakemake results/readers/NAME/web.")
    return web, study, Database(_database(arguments, study), web, study, make=make)


def _serve(arguments: argparse.Namespace) -> None:
    web, study, database = _open(arguments, make=True)
    code = arguments.enrolment or database.setting("code") or CLOSED * (database.setting("code") == "") or secrets.token_urlsafe(9)
    if code != CLOSED and not re.fullmatch(r"[A-Za-z0-9_-]{8,100}", code):
        raise LookalikeError(
            "The code of the readers' link is too short or has other signs than letters and digits", "--enrolment", "Take 8 or more."
        )
    app = create_app(web, study, database, report=lambda line: print(line, flush=True))
    server = create_server(app, certificate=arguments.certificate, key=arguments.key, proxy=arguments.url is not None)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    listener = _listen(arguments.host, arguments.port)
    url = arguments.url.rstrip("/") if arguments.url else _address(listener, secure=arguments.certificate is not None)
    database.store_setting("code", "" if code == CLOSED else code)
    database.store_setting("url", url)
    print(f"{study.title} ({study.study}, {study.protocol}): {study.sequences} sequences of {study.warmup + study.questions} questions.")
    if arguments.host not in ("127.0.0.1", "::1", "localhost") and not arguments.certificate:
        print("Not encrypted, and open to the network: use --certificate, or a proxy with TLS.")
    own = _database(arguments, study)
    for path in sorted(own.parent.glob("*.sqlite")):
        if re.fullmatch(re.escape(study.study) + "-[0-9a-f]{12}", path.stem) and path != own and (answers := count_answers(path)):
            print(f"Another build of this study has answers: {path} ({answers}).")
    print("Readers: by invitation only (python -m lookalike.readers invite)" if code == CLOSED else f"Readers: {url}/#code={code}")
    print(f"Admin: {url}/admin#token={database.make_admin()}", flush=True)
    server.run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    try:
        listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=1024)
    except (OSError, OverflowError) as error:
        raise LookalikeError(f"The server cannot listen: {error}", f"{host}, port {port}", "Choose others with --host and --port.") from None
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # inherited by connections; without it each answer waits 40 ms
    return listener


def _address(listener: socket.socket, *, secure: bool) -> str:
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = socket.getfqdn()
    return f"{'https' if secure else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


def _export(arguments: argparse.Namespace) -> None:
    _look_after(arguments).export(sys.stdout)


def _invite(arguments: argparse.Namespace) -> None:
    database = _open(arguments, make=False)[2]
    for _ in range(arguments.number):
        print(f"{database.setting('url')}/#token={database.add_reader()[1]}", flush=True)


def _revoke(arguments: argparse.Namespace) -> None:
    database = _look_after(arguments)
    if arguments.unused:
        print(f"{database.revoke_unused()} readers without answers are revoked.")
    else:
        database.revoke_reader(arguments.reader)


def _admin(arguments: argparse.Namespace) -> None:
    database = _look_after(arguments)
    print(f"Admin: {database.setting('url')}/admin#token={database.make_admin()}")


if __name__ == "__main__":
    main()
