"""Digests: comments and formatting do not count, code does, in every module that a script reaches."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from lookalike import provenance
from lookalike.files import atomic


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A small package in place of ours, in a folder where Snakemake runs: script -> a -> b; c is not reached."""
    (tmp_path / ".snakemake").mkdir()
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "lookalike"
    (root / "sub").mkdir(parents=True)
    for name, text in {
        "__init__": "",
        "a": "from lookalike.sub import b\n",
        "sub/__init__": "",
        "sub/b": 'def f(x):\n    """Doc."""\n    return x + 1\n',
        "c": "C = 1\n",
    }.items():
        (root / f"{name}.py").write_text(text)
    (tmp_path / "script.py").write_text("import lookalike.a\n")
    monkeypatch.setattr(provenance, "PACKAGE", root)
    yield tmp_path
    forget()


def forget() -> None:
    """As another process would start."""
    for function in (provenance.code_digest, provenance._imports, provenance._files, provenance._parsed):
        function.cache_clear()


def fresh(package: Path) -> str:
    forget()
    return provenance.code_digest(package / "script.py")


def test_code_digest_follows_imports(package: Path) -> None:
    before = fresh(package)
    module = package / "lookalike/sub/b.py"
    module.write_text('def f(x):\n    """Another text."""\n    # and a comment\n    return (x + 1)\n')
    (package / "lookalike/c.py").write_text("C = 2\n")
    assert fresh(package) == before
    module.write_text("def f(x):\n    return x + 2\n")
    assert fresh(package) != before
    shutil.rmtree(provenance.PARSED)
    assert fresh(package) == fresh(package) != before  # parsed, and looked up


def test_templates_beside_a_module_count(package: Path) -> None:
    before = fresh(package)
    (package / "lookalike/a.jinja").write_text("x")
    assert fresh(package) != before


def test_atomic_leaves_the_old_file_when_writing_fails(tmp_path: Path) -> None:
    target = tmp_path / "x"
    target.write_text("old")
    with pytest.raises(RuntimeError), atomic(target) as path:
        path.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old" and list(tmp_path.iterdir()) == [target]
