"""Keyed hashes in place of patient, study and image identifiers.

A plain hash of a patient number is undone by trying all numbers; an HMAC with a secret key is not.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import uuid
from pathlib import Path
from typing import Literal

from lookalike.errors import LookalikeError

Kind = Literal["patient", "study", "image", "series"]
DEFAULT_KEY = Path("private/identity.key")
MINIMUM_KEY_BYTES = 16
# Phantoms have no identity to protect, and a public key makes their hashes the same on every machine.
PHANTOM_KEY = b"lookalike demo key: public, protects nobody"


def hash_identity(key: bytes, kind: Kind, value: str) -> str:
    """First 16 hex digits of HMAC-SHA256(key, "kind:value"); a given value has unrelated hashes as patient, study, series and image."""
    return hmac.new(key, f"{kind}:{value}".encode(), hashlib.sha256).hexdigest()[:16]


def load_key(path: Path | None, *, phantoms: bool) -> bytes:
    """The secret key that identities are hashed with.

    Args:
        path: key file; None = `private/identity.key` below the working directory, made on first use (mode 0600).
        phantoms: True = the public demo key, whatever `path` says.

    Returns:
        The file's bytes without surrounding white space, so that a newline added by an editor changes no hash.

    Raises:
        LookalikeError: a named key file is missing, or a key is shorter than 16 bytes.
    """
    if phantoms:
        return PHANTOM_KEY
    if path is None:
        path = DEFAULT_KEY
        if not path.exists():
            _make_key(path)
    if not path.is_file():
        raise LookalikeError("The identity key does not exist", str(path), "Name an existing file in `source.identity_key`, or set it to null.")
    key = path.read_bytes().strip()
    if len(key) < MINIMUM_KEY_BYTES:
        raise LookalikeError(
            f"The identity key has {len(key)} bytes, at least {MINIMUM_KEY_BYTES} are needed",
            str(path),
            "Fill it with random bytes: openssl rand -hex 32.",
        )
    return key


def _make_key(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(os.urandom(32).hex().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        # A link, unlike a rename, never replaces: of two jobs that start together the first one's key stands for both.
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        temporary.unlink(missing_ok=True)
