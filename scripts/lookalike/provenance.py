"""What a result was made from: the task contract of the rules, code digests, and the provenance record beside each result.

A rule has exactly one parameter, `task`: a sorted plain dict with the config branches that the rule reads and a digest of the code that it runs. Snakemake
reruns a job when that dict changes, and never because a file was touched, a comment edited, or YAML keys reordered.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.metadata
import json
import os
import platform
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lookalike.files import atomic, sha256

PACKAGE = Path(__file__).parent
RECORDED_PACKAGES = ("numpy", "scipy", "pandas", "torch", "pydicom", "zarr", "matplotlib", "snakemake")
# Paths of raw data stay out of results.
PRIVATE_KEYS = ("root", "table", "identity_key", "weights", "path")
# Read by every script, but never by what a script computes: an error's wording or a record's fields must not retrain a network.
UNDIGESTED = ("errors", "provenance", "config")
# Every job of a cluster parses the workflow again, so what a source file holds is looked up by the file's bytes. Safe to delete.
PARSED = Path(".snakemake/lookalike")
METHOD = Path(__file__).read_bytes()
"""How they are read: another method looks up nothing of a former one's."""


def canonical(value: Any) -> str:
    """JSON with sorted keys: equal data, equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def digest(value: Any) -> str:
    """SHA-256 of plain data, first 16 hex digits."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:16]


@functools.cache
def code_digest(script: Path) -> str:
    """Digest of a script and of every library file that it imports, directly or not.

    Python files count by their syntax tree without docstrings, so comments and formatting do not; templates and style sheets that lie beside
    an imported module under its own stem (`index.html.jinja`, say) count by their bytes.
    """
    parts = {path.relative_to(PACKAGE.parent).as_posix(): sha256(path) if path.suffix != ".py" else _parsed(path)[0] for path in _closure(script)}
    return digest(parts)


def _closure(script: Path) -> list[Path]:
    found: dict[Path, None] = {}
    waiting = [script.resolve()]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found[path] = None
        if path.suffix == ".py":
            waiting += _imports(path)
    return sorted(found)


@functools.cache
def _imports(path: Path) -> set[Path]:
    """Library files that a Python file imports."""
    return {file for name in _parsed(path)[1] for file in _files(name)}


@functools.cache
def _files(name: str) -> set[Path]:
    """Library files of a dotted name; importing `lookalike.a.b` also runs `lookalike/a/__init__.py`."""
    head, *rest = name.split(".")
    if head != PACKAGE.name or (rest and rest[0] in UNDIGESTED):
        return set()
    files: set[Path] = set()
    for depth in range(len(rest) + 1):
        place = PACKAGE.joinpath(*rest[:depth])
        files.update(file for file in (place / "__init__.py", place.with_suffix(".py")) if file.is_file())
        if depth:
            files.update(file for file in place.parent.glob(f"{place.name}.*") if file.suffix in {".jinja", ".mplstyle"})
    return files


@functools.cache
def _parsed(path: Path) -> tuple[str, list[str]]:
    """Digest of a Python file's syntax tree without docstrings, and the modules and names that it imports."""
    text = path.read_bytes()
    known = PARSED / hashlib.sha256(text + METHOD).hexdigest()
    if known.is_file():
        return tuple(json.loads(known.read_text()))
    tree = ast.parse(text)
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
        body = getattr(node, "body", None)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and body and _is_text(body[0]):
            node.body = body[1:]
    found = hashlib.sha256(ast.dump(tree).encode()).hexdigest(), sorted(names)
    if PARSED.parent.is_dir():
        with atomic(known) as temporary:
            temporary.write_text(json.dumps(found))
    return found


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def record(path: str | Path, *, rule: str, task: Mapping[str, Any], inputs: Iterable[str | Path], seconds: float, note: str) -> None:
    """Write the provenance record that lies beside a result.

    Args:
        path: the JSON file to write.
        rule: name of the rule.
        task: the rule's task dict (config branches and code digest).
        inputs: input files, none of them raw data; folders are named without a digest.
        seconds: wall time of the job.
        note: one line that says what kind of data stand behind the result.
    """
    content = {
        "rule": rule,
        "note": note,
        "task": _without_paths(task),
        "inputs": {str(item): sha256(item) if Path(item).is_file() and Path(item).stat().st_size < 2**24 else None for item in inputs},
        "packages": {name: importlib.metadata.version(name) for name in RECORDED_PACKAGES if _installed(name)},
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seconds": round(seconds, 1),
    }
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")


def _without_paths(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: "private" if key in PRIVATE_KEYS and item is not None else _without_paths(item) for key, item in value.items()}
    return value


def _installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
