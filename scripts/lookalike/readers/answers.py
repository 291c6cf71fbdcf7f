"""Answers of readers, from whatever file they come in, and what was right about them.

Three kinds of files are read: the server's CSV, the static page's JSON, and anyone's CSV of answers that are judged already. A mistake in a file is told with its row:
answers that are silently left out would be a selection.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from lookalike.errors import LookalikeError
from lookalike.readers import PROGRAMS, SUFFIXES
from lookalike.readers.study import CHOICES, COLUMNS, IMAGE_ID, SEEN, Protocol

JUDGED = ("reader", "attempt", "question", "right", "artefact", "kind", "truth", "set", "class", "view", "image", "patient", "score", "ms")
"""Columns of judged answers, before the groups. `question`: from 1, after the warm-up; `right` (`artefact`): 1 or 0, NaN where that is not asked; `truth`: "" of pairs and where it is not
known; `set`: of a pair, its synthetic image's, otherwise the image's, `real` of reals; `image`: what tells cases apart, "" of pairs and where it is not known; `patient`: the same of patients; `score`: how sure that the image is synthetic, -5 to 5 without 0, NaN where it was not asked."""
_OTHERS_NEED = ("reader", "question")
_OTHERS_MAY = ("attempt", "truth", "set", "class", "view", "image", "patient", "confidence", "ms")
_EVERY_SET = "all"
"""What tables call all sets together."""
_LARGEST = 10**9
_NUMBERS = ("attempt", "sequence", "question", "confidence", "ms", "active_ms", "hidden_ms", "zoom", "windowed", "right", "artefact")
_WHOLE = {
    "attempt": (1, _LARGEST),
    "sequence": (1, _LARGEST),
    "question": (1, _LARGEST),
    "confidence": (1, 5),
    "windowed": (0, 1),
    "right": (0, 1),
    "artefact": (0, 1),
}
_MEANINGS = {"attempt": "1 or more", "sequence": "1 or more", "question": "1 or more", "confidence": "1 to 5", "windowed": "0 or 1", "right": "0 or 1", "artefact": "0 or 1"}  # fmt: skip
_TRUTHS = ("real", "synthetic")
_YES_NO = {"yes": "yes", "true": "yes", "1": "yes", "no": "no", "false": "no", "0": "no", "": ""}
_WORDS = {"true": "1", "false": "0"}
_SAYS = ("sequence", "first", "second", "choice", "confidence", "kind", "right", "artefact", "truth", "set", "image")
"""Columns in which the same answer, sent twice, is the same."""


def read_answers(paths: Iterable[Path], *, programs: bool = False) -> pd.DataFrame:
    """The answers of all files below one another, in the order of readers, attempts and questions, each once.

    Args:
        paths: files, or folders of them: the server's CSV (`study.COLUMNS` and one column `group_NAME` a group; others' columns are refused, but `received`, which is dropped), the static page's
            JSON, or anyone's CSV: reader, question (1, 2, ...), right (0 or 1; of artefacts: artefact, and kind) and if known attempt, truth (real or synthetic), set, class, view, image (what tells images apart), patient (the same), confidence (1 to 5), ms and
            group_NAME (yes or no). Cells are parted by commas, semicolons or tabs. Lines that start with # above the header, and rows without any text, are skipped.
        programs: answers of simulated readers may be among them; otherwise a file that says it holds such is refused.

    Returns:
        The columns of the files. Attempts and questions are int64, other numbers float64 (NaN where empty), everything else text.

    Raises:
        LookalikeError: nothing there, a file that cannot be read, an unknown or missing column, a value that cannot be, files of two studies, two answers to one question, or a
            reader whose groups change: with file and row.
    """
    rows: list[dict[str, Any]] = []
    for path in _files(paths):
        try:
            rows += _read_json(path) if path.suffix.lower() == ".json" else _read_csv(path, programs)
        except csv.Error as error:
            raise LookalikeError(f"The table cannot be read: {error}", str(path), "See that every quotation mark in it has its second.") from None
    if not rows:
        raise LookalikeError(
            "There are no answers", ", ".join(map(str, paths)), "Name files with at least one answer in reader_studies.NAME.answers."
        )
    kept: dict[tuple[Any, ...], dict[str, Any]] = {}
    groups: dict[str, dict[str, str]] = {}
    for row in rows:
        place = row.pop("_place")
        if set(row) != set(rows[0]):
            odd = sorted(set(row) ^ set(rows[0]))[0]
            raise LookalikeError(
                f"Files of two kinds lie side by side: only one has `{odd}`", place, "Keep answers of one study and one kind together."
            )
        if row.get("digest") != rows[0].get("digest"):
            raise LookalikeError("The answers are of another study than those before", place, "Keep answers of one study together.")
        name = f"reader {row['reader']}, attempt {row['attempt']:.0f}, question {row['question']:.0f}"
        key = row["reader"], row["attempt"], row["question"]
        before = kept.setdefault(key, row)
        if any(column in row and not _same(row[column], before[column]) for column in _SAYS):
            raise LookalikeError(f"There are two answers of {name}", place, "Remove the one that is wrong.")
        own = {column: value for column, value in row.items() if column.startswith("group_")}
        if groups.setdefault(row["reader"], own) != own:
            raise LookalikeError(f"The groups of reader {row['reader']} change", place, "Correct them: a reader answers these once.")
    order = ["reader", "attempt", "question"]
    return pd.DataFrame(list(kept.values())).astype(dict.fromkeys(order[1:], "int64")).sort_values(order, kind="stable", ignore_index=True)


def judge(answers: pd.DataFrame, key: pd.DataFrame, *, protocol: Protocol) -> pd.DataFrame:
    """What each answer is worth; answers to labelled images of a warm-up are left out.

    Anyone's answers to single images: of synthetic images without a set it is `synthetic`. Without `image` the number of the question stands for it where its truth and set are
    the same for all readers; else every answer has an image of its own, so that nobody is taken to have seen what another saw.

    Args:
        answers: as `read_answers` gives them.
        key: truth of the images (`key.csv`): study, digest, image, truth, set, class, view, patient, warmup. Anyone's answers are judged already and do not use it.
        protocol: the study's.

    Returns:
        Columns JUDGED, then group_NAME ("yes", "no" or "" for not asked).

    Raises:
        LookalikeError: answers of another study or protocol, an image that is not in it, a choice that the images do not allow, an image that is both real and synthetic.
    """
    groups = [column for column in answers.columns if column.startswith("group_")]
    judged = _of_others(answers, protocol) if "choice" not in answers.columns else _of_page(answers, key)
    judged = judged.reindex(columns=[*JUDGED, *groups])
    if judged.empty:
        raise LookalikeError("There are no answers but those to the warm-up", "answers", "Wait until somebody reads on.")
    given, wanted = ("right", "artefact") if protocol == "artefacts" else ("artefact", "right")
    what = f"`{given}` is answered, but a study of the protocol {protocol} asks for `{wanted}`"
    _refuse(judged, judged[given].notna(), what, "Correct reader_studies.NAME.protocol, or name the study's own answers.")
    return judged.reset_index(drop=True)


def _refuse(rows: pd.DataFrame, wrong: pd.Series, what: str, fix: str) -> None:
    if wrong.any():
        row = rows[wrong].iloc[0]
        raise LookalikeError(what, f"reader {row['reader']}, attempt {row['attempt']}, question {row['question']}", fix)


def _of_others(answers: pd.DataFrame, protocol: Protocol) -> pd.DataFrame:
    judged = answers.copy()
    for column in ("kind", "truth", "set", "class", "view", "image", "patient"):
        judged[column] = judged.get(column, "")
    if protocol == "pair2afc":
        # a pair is real and synthetic
        judged[["truth", "image", "patient"]] = ""
    real, synthetic = judged["truth"] == "real", judged["truth"] == "synthetic"
    _refuse(judged, synthetic & (judged["set"] == "real"), "A synthetic image is of the set `real`", "Correct `truth` or `set`.")
    judged["set"] = judged["set"].mask(real, "real").mask(synthetic & (judged["set"] == ""), "synthetic")
    if "image" not in answers:
        own = judged[["reader", "attempt", "question"]].astype(str).agg("/".join, axis=1)
        alike = (judged.groupby("question")[["truth", "set"]].nunique() == 1).all(axis=None)
        judged["image"] = (judged["question"].astype(str) if alike else own).where(judged["truth"] != "", "")
    changing = judged.groupby("image")["truth"].transform("nunique") > 1
    _refuse(judged, changing & (judged["image"] != ""), "An image is real here and not there", "Correct `truth` or `image`.")
    judged["score"] = math.nan
    if "confidence" in judged:
        # a right answer names the truth
        judged["score"] = (judged["confidence"] * (synthetic == (judged["right"] == 1)).map({True: 1, False: -1})).where(judged["truth"] != "")
    return judged


def _of_page(answers: pd.DataFrame, key: pd.DataFrame) -> pd.DataFrame:
    # keys of former builds may lack the patients
    texts = key.assign(**{column: key.get(column, pd.Series("", key.index)).fillna("").astype(str) for column in ("set", "class", "view", "patient")})
    shown_rows: list[dict[Any, Any]] = texts.to_dict("records")
    truth = {row["image"]: row for row in shown_rows}
    digest, labelled = str(key["digest"].iloc[0]), int(key["warmup"].sum())
    given: list[dict[Any, Any]] = answers.to_dict("records")
    rows = []
    for row in given:
        place = f"reader {row['reader']}, attempt {row['attempt']}, question {row['question']}"
        images = [row["first"], *([row["second"]] if row["second"] else [])]
        if row["digest"] != digest:
            what = f"The answers are of another study ({row['digest'][:12]} instead of {digest[:12]})"
            raise LookalikeError(what, place, "Use the key of the study that was read.")
        if unknown := [image for image in images if image not in truth]:
            raise LookalikeError(f"The study has no image {unknown[0]}", place, "Correct the file of answers.")
        shown = [truth[image] for image in images]
        truths = [one["truth"] for one in shown]
        warmup = row["choice"] == SEEN
        # an answer that a file calls one of the warm-up would otherwise not count
        if any(one["warmup"] for one in shown) != warmup or not (warmup or _possible(row["choice"], truths)):
            raise LookalikeError(f"The answer `{row['choice']}` does not fit these images", place, "Correct the file of answers.")
        if warmup:
            continue
        pair, artefacts = len(images) == 2, row["choice"] in CHOICES["artefacts"]
        case = shown[truths.index("synthetic")] if pair else shown[0]
        right = row["choice"] == (CHOICES["pair2afc"][truths.index("real")] if pair else case["truth"])
        rows.append(
            {
                **row,
                "question": row["question"] - labelled,
                **{column: case[column] for column in ("set", "class", "view")},
                "right": math.nan if artefacts else float(right),
                "artefact": float(row["choice"] == "yes") if artefacts else math.nan,
                "truth": "" if pair else case["truth"],
                "image": "" if pair else row["first"],
                "patient": "" if pair else case["patient"],
                "score": row["confidence"] * (1 if row["choice"] == "synthetic" else -1) if row["choice"] in CHOICES["single"] else math.nan,
            }
        )
    return pd.DataFrame(rows, columns=None if rows else list(answers.columns))


def _possible(choice: str, truths: Sequence[str]) -> bool:
    if len(truths) == 2:
        return choice in CHOICES["pair2afc"] and sorted(truths) == sorted(_TRUTHS)
    return choice in CHOICES["single"] or (choice in CHOICES["artefacts"] and truths[0] == "synthetic")


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        yield from sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES) if path.is_dir() else [path]


def _read_csv(path: Path, programs: bool) -> Iterator[dict[str, Any]]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines(keepends=True)
    except (OSError, UnicodeDecodeError) as error:
        raise LookalikeError(f"The answers cannot be read: {error}", str(path), "Name a CSV file in UTF-8.") from None
    skipped = next((place for place, line in enumerate(lines) if not line.startswith("#")), len(lines))
    if not programs and any(PROGRAMS in line for line in lines[:skipped]):
        raise LookalikeError(
            "These are answers of programs, which must not pass for those of people", str(path), "Name other files in reader_studies.NAME.answers."
        )
    header = lines[skipped] if skipped < len(lines) else ""
    reader = csv.reader(lines[skipped:], delimiter=max(",;\t", key=header.count))
    columns = [column.strip().lower() for column in next(reader, ())]
    _check_columns(columns, path)
    for cells in reader:
        place = f"{path}, row {skipped + reader.line_num}"
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(columns):
            raise LookalikeError(f"The row has not {len(columns)} cells", place, "Correct it.")
        yield _typed({column: cell for column, cell in zip(columns, cells, strict=True) if column != "received"}, place)


def _check_columns(columns: Sequence[str], path: Path) -> None:
    fix = f"Columns are {', '.join(_OTHERS_NEED)}, right (of artefacts: artefact and kind) and, if known, {', '.join(_OTHERS_MAY)} and group_NAME; or those of the server's own export."
    groups = {column for column in columns if column.startswith("group_")}
    doubled = sorted({column for column in columns if columns.count(column) > 1})
    if doubled:
        raise LookalikeError(f"The column `{doubled[0]}` is there twice", f"{path}, header", fix)
    ours = "choice" in columns
    artefacts = "artefact" in columns
    needed = set(COLUMNS) if ours else {*_OTHERS_NEED, "artefact" if artefacts else "right"}
    allowed = needed | groups | ({"received"} if ours else {*_OTHERS_MAY, *(["kind"] if artefacts else [])})
    if missing := sorted(needed - set(columns)):
        raise LookalikeError(f"The column `{missing[0]}` is missing", f"{path}, header", fix)
    if "right" in columns and artefacts:
        raise LookalikeError("The columns `right` and `artefact` are of two protocols", f"{path}, header", fix)
    if unknown := [column for column in columns if column not in allowed]:
        raise LookalikeError(f"The column `{unknown[0]}` is unknown", f"{path}, header", fix)


def _read_json(path: Path) -> Iterator[dict[str, Any]]:
    try:
        file = json.loads(path.read_bytes())
        if file["format"] != 1:
            raise ValueError("another format")
        groups = {f"group_{name}": {True: "yes", False: "no", None: ""}[answer] for name, answer in file["groups"].items()}
        for attempt in file["attempts"]:
            for answer in attempt["answers"]:
                first, second = (*answer["images"], "")[:2]
                row = {column: "" if answer.get(column) is None else str(answer[column]) for column in COLUMNS if column in answer}
                row |= {
                    name: str(value)
                    for name, value in (("attempt", attempt["attempt"]), ("sequence", attempt["sequence"]), ("first", first), ("second", second))
                }
                row |= {name: str(file[name]) for name in ("study", "digest", "reader")} | groups
                row["phase"] = "warmup" if answer["choice"] == SEEN else "test"
                place = f"{path}, attempt {row['attempt']}, question {row['question']}"
                if missing := [column for column in COLUMNS if column not in row]:
                    raise LookalikeError(f"`{missing[0]}` is missing", place, "Download the file again from the page.")
                yield _typed({column: row[column] for column in (*COLUMNS, *groups)}, place)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise LookalikeError(
            f"The file is not one of answers ({type(error).__name__}: {error})", str(path), "Download it again from the page."
        ) from None


def _typed(cells: Mapping[str, str], place: str) -> dict[str, Any]:
    """A row with numbers, `attempt` and the file's place, and checked."""
    row: dict[str, Any] = {"attempt": 1.0, **{column: text.strip() for column, text in cells.items()}}
    for column, text in cells.items():
        if column in _NUMBERS:
            row[column] = _number(column, _WORDS.get(text.strip().lower(), text.strip()), place)
        elif column.startswith("group_"):
            if text.strip().lower() not in _YES_NO:
                raise LookalikeError(f"`{column}` is `{text}`", place, "Write yes, no, or nothing where it was not asked.")
            row[column] = _YES_NO[text.strip().lower()]
        elif column in ("first", "second") and row[column] and not IMAGE_ID.fullmatch(row[column]):
            raise LookalikeError(f"`{column}` is no image of a study: `{text}`", place, "Correct the file.")
    for column in ("choice", "truth"):
        if column in row:
            row[column] = row[column].lower()
    if "choice" in row and row["choice"] not in {SEEN, *(choice for both in CHOICES.values() for choice in both)}:
        raise LookalikeError(f"`choice` is `{row['choice']}`", place, "Correct it: the page knows no such answer.")
    if row.get("truth") and row["truth"] not in _TRUTHS:
        raise LookalikeError(f"`truth` is `{row['truth']}`", place, "Write real or synthetic.")
    if row.get("set", "").lower() == _EVERY_SET:
        raise LookalikeError(f"`set` is `{row['set']}`, which stands for all sets together", place, "Give the set another name.")
    if row.get("kind") and not (row.get("artefact") == 1 or row.get("choice") == "yes"):
        raise LookalikeError(f"`kind` is `{row['kind']}`, but no artefact was seen", place, "Correct the answer, or leave its kind empty.")
    if not row["reader"]:
        raise LookalikeError("`reader` is empty", place, "Give every reader a name.")
    return {**row, "_place": place}


def _number(column: str, text: str, place: str) -> float:
    optional = column not in ("attempt", "question", "right", "artefact")
    if not text and optional:
        return math.nan
    if not text and column in ("right", "artefact"):
        raise LookalikeError(f"The answer is missing: `{column}` is empty", place, "Remove the row, or fill it.")
    low, high = _WHOLE.get(column, (0, math.inf))
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high or (column in _WHOLE and value != int(value)) or value == math.inf:
        raise LookalikeError(f"`{column}` is `{text}`", place, f"Write a number: {_MEANINGS.get(column, '0 or more')}.")
    return value


def _same(one: Any, other: Any) -> bool:
    return bool(one == other) or (isinstance(one, float) and isinstance(other, float) and math.isnan(one) and math.isnan(other))
