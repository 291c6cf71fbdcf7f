"""A seeded part of `python -m benchmarks.mutate`, and that it would tell."""

from __future__ import annotations

import os
import signal
import struct
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import mutate
from lookalike.cohort import header, index


@pytest.mark.slow
def test_broken_files_are_kept_excluded_or_quarantined(tmp_path: Path) -> None:
    *_, (done, told) = mutate.attack(500, 1, tmp_path)
    assert done == told.counts.total() == 500
    assert told.failures == 0, told.notable
    assert told.memory < mutate.MEMORY
    assert {mutation for mutation, _ in told.counts} == set(mutate.MUTATIONS)
    assert {outcome for mutation, outcome in told.counts if mutation == "untouched"} == {"kept"}


def changed(syntax: str, *elements: tuple[int, bytes, bytes]) -> bytes:
    source = next(source for source in mutate.sources(1) if source.syntax == syntax)
    for tag, vr, value in elements:
        source = source.put(tag, vr, value)
    return source.whole()


def overrun() -> bytes:
    """Runs of zeros for far more than the 160 x 128 pixels."""
    source = next(source for source in mutate.sources(1) if source.syntax == "RLE")
    runs = b"\x81\x00" * 2**20
    frame = struct.pack("<16I", 2, 64, 64 + len(runs), *[0] * 13) + runs * 2
    return source.put(mutate.PIXELS, b"OB", mutate.items(b"", frame), 2**32 - 1).whole()


@pytest.mark.parametrize(
    ("data", "outcome", "words"),
    [
        (lambda: changed("explicit", (0x00281050, b"DS", b"five")), "undecodable", "makes no sense (ValueError)"),
        (lambda: changed("explicit", (0x00281052, b"DS", b"nan ")), "undecodable", "no numbers of the pixels"),
        (lambda: changed("explicit", (0x00181164, b"DS", b"1e308\\1e308 ")), "excluded", "160 x 128 pixels"),
        (lambda: changed("JPEG 2000", (0x00280008, b"IS", b"99999999999999999999")), "excluded", "frames"),
        (lambda: changed("deflated", (0x00091001, b"UN", bytes(header.MAXIMUM_INFLATED))), "unreadable", "deflated in it is larger"),
        (overrun, "undecodable", "cannot be decoded (PanicException)"),
    ],
    ids=["window", "rescale", "spacing", "frames", "deflated", "runs"],
)
def test_what_once_took_a_job_down_costs_a_row(tmp_path: Path, data: Callable[[], bytes], outcome: str, words: str) -> None:
    (tmp_path / "a.dcm").write_bytes(data())
    verdicts, memory = mutate.judge([tmp_path / "a.dcm"], tmp_path)
    assert verdicts["a.dcm"].outcome == outcome, verdicts
    assert words in verdicts["a.dcm"].why
    assert memory < 5e8


@pytest.mark.parametrize(
    ("tag", "vr", "value", "seconds", "words"),
    [
        (0x00100020, b"UN", b"\xe9" * (60 * 2**20), 20.0, "MemoryError"),
        (0x00540220, b"SQ", b"\xfe\xff\x00\xe0\0\0\0\0" * 300_000, 1.0, "takes more than 1 s"),
    ],
    ids=["text", "items"],
)
def test_a_header_has_so_much_memory_and_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tag: int, vr: bytes, value: bytes, seconds: float, words: str
) -> None:
    monkeypatch.setattr(index, "HEADER_SECONDS", seconds)
    (tmp_path / "a.dcm").write_bytes(changed("deflated", (tag, vr, value)))
    verdicts, memory = mutate.judge([tmp_path / "a.dcm"], tmp_path)
    assert verdicts["a.dcm"].outcome == "unreadable" and words in verdicts["a.dcm"].why, verdicts
    assert memory < index.HEADER_MEMORY + 2.5e8


def planted(root: Path, output: Path) -> pd.DataFrame:
    """A pipeline in which a file does the harm that it is named after."""
    names = sorted(path.name for path in root.iterdir())
    if "crash.dcm" in names:
        os.kill(os.getpid(), signal.SIGKILL)
    if "hang.dcm" in names:
        time.sleep(60)
    if "memory.dcm" in names:
        held = np.ones(150_000_000)  # far above the bound: Linux counts a process's pages roughly, and takes some of them back
        assert held[-1] == 1
    return pd.DataFrame({"path": [name for name in names if name != "ledger.dcm"], "decision": "kept", "rule": "", "detail": ""})


@pytest.mark.parametrize("harm", mutate.BAD)
def test_what_goes_wrong_is_found_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: str) -> None:
    monkeypatch.setattr(mutate, "MEMORY", 1e8)
    if harm == "hang":
        monkeypatch.setattr(mutate, "SECONDS", 1.0)
    files = [tmp_path / f"{name}.dcm" for name in ("a", harm, "z")]
    for file in files:
        file.touch()
    verdicts, _ = mutate.judge(files, tmp_path, planted)
    assert {name: verdict.outcome for name, verdict in verdicts.items()} == {"a.dcm": "kept", f"{harm}.dcm": harm, "z.dcm": "kept"}
