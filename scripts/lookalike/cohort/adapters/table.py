"""Users' tables: reading them, matching their rows to files, and joining several rows of one image."""

from __future__ import annotations

import csv
import logging
import math
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pandas as pd

from lookalike.cohort.header import normal_age, normal_laterality, normal_view, normal_yes_no
from lookalike.cohort.labels import UNCERTAIN
from lookalike.errors import LookalikeError

log = logging.getLogger("lookalike")

# What an adapter may say of a file; "" (age, instance: NaN) leaves the header's value standing.
TEXT_VALUES = ("patient", "study", "view", "laterality", "label", "density", "implant", "findings", "image_type", "modality", "phase")
# Columns of which the worst row counts, from unknown to worst.
WORST_LAST = {"label": ("", "normal", "benign", "malignant"), "implant": ("", "NO", "YES")}
LABEL_WORDS = {
    **dict.fromkeys(("malignant", "m", "cancer"), "malignant"),
    **dict.fromkeys(("benign", "benign_without_callback", "b"), "benign"),
    **dict.fromkeys(("normal", "norm", "n", "negative"), "normal"),
}
BLANKS = re.compile(r"(nan|na|n/a|none|null|removed)?", re.IGNORECASE)


def read_table(path: Path) -> pd.DataFrame:
    """A CSV (comma, semicolon or tab; UTF-8) or Excel table as stripped strings.

    Blank-like cells (nan, NA, none, null, removed) are ""; line breaks inside a cell are dropped; column names are stripped and in lower case.

    Raises:
        LookalikeError: no such file, not a table, or a column twice.
    """
    if not path.is_file():
        raise LookalikeError("The table does not exist", str(path), "Mend the path in the cohort's `source.table`.")
    try:
        if path.suffix.lower() in {".xlsx", ".xlsm"}:
            frame = pd.read_excel(path, dtype=str)
        else:
            with open(path, encoding="utf-8-sig", newline="") as file:
                first = file.readline()
            delimiter = max(",;\t", key=first.count)
            frame = pd.read_csv(path, sep=delimiter, dtype=str, keep_default_na=False, encoding="utf-8-sig", quoting=csv.QUOTE_MINIMAL)
    except (ValueError, UnicodeDecodeError, KeyError, OSError) as error:  # pandas' parser errors are ValueErrors
        raise LookalikeError(f"The table cannot be read ({type(error).__name__})", str(path), "Save it as UTF-8 CSV with one header line.") from error
    frame.columns = pd.Index([str(name).strip().lower() for name in frame.columns])
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise LookalikeError(f"The column `{twice[0]}` is there twice", str(path), "Rename or remove one of them.")
    for name in frame.columns:
        cells = frame[name].fillna("").astype(str).str.replace(r"[\r\n]+", "", regex=True).str.strip()
        frame[name] = cells.mask(cells.map(lambda cell: BLANKS.fullmatch(cell) is not None), "")
    return frame


def find_tables(root: Path, table: Path | None, patterns: Sequence[str], *, data_set: str) -> list[Path]:
    """The tables of a named data set: `table` where given, else files that fit `patterns` in root, beside it, or one folder below.

    Raises:
        LookalikeError: none is found.
    """
    if table is not None:
        return [table]
    if found := look_for(root, patterns):
        return found
    raise LookalikeError(
        f"No table of {data_set} was found ({' or '.join(patterns)})",
        f"in {root}, beside it, and one folder below it",
        "Put the data set's own table there, name it in `source.table`, or use the adapter `dicom`.",
    )


def look_for(root: Path, patterns: Sequence[str]) -> list[Path]:
    """Files that fit `patterns` in root, else beside it, else one folder below."""
    for place, prefix in ((root, ""), (root.parent, ""), (root, "*/")):
        if found := sorted({path for pattern in patterns for path in place.glob(prefix + pattern)}):
            return found
    return []


def columns_of(frame: pd.DataFrame, names: Sequence[str], *, table: Path) -> pd.DataFrame:
    """The named columns (in lower case).

    Raises:
        LookalikeError: one is missing.
    """
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise LookalikeError(
            f"The table lacks the column{'s' if len(missing) > 1 else ''} {', '.join(f'`{name}`' for name in missing)}",
            f"{table}; it has {', '.join(frame.columns)}",
            "Use the data set's own table, unchanged.",
        )
    return frame[list(names)]


def normal_label(text: str) -> str:
    """benign, malignant, normal or "" (unknown)."""
    return LABEL_WORDS.get(text.strip().lower(), "")


def normal_density(text: str) -> str:
    """BI-RADS density A to D from "A".."D", 1 to 4 or "DENSITY C"; "" otherwise."""
    match = re.fullmatch(r"(?:DENSITY\s*)?([A-D1-4])(?:\.0)?", text.strip().upper())
    return "" if match is None else match[1].translate(str.maketrans("1234", "ABCD"))


def snake_case(text: str) -> str:
    """`Pleural Effusion` -> `pleural_effusion`."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def normal_findings(text: str) -> str:
    """Findings joined by |, in snake case, each once: a finding that is certain is not uncertain as well."""
    certain = dict[str, bool]()
    for finding in text.split("|"):
        if name := snake_case(finding):
            certain[name] = certain.get(name, False) or not finding.rstrip().endswith(UNCERTAIN)
    return "|".join(name if sure else name + UNCERTAIN for name, sure in certain.items())


def birads_label(text: str) -> str:
    """Label from a BI-RADS assessment: 1 normal, 2 benign, 5 and 6 malignant; 0, 3 and 4 stay unknown, for an assessment is no diagnosis."""
    match = re.fullmatch(r"(?:BI-?RADS\s*)?([0-6])[ABC]?(?:\.0)?", text.strip().upper())
    return "" if match is None else {"1": "normal", "2": "benign", "5": "malignant", "6": "malignant"}.get(match[1], "")


def normal_rows(frame: pd.DataFrame, *, table: Path) -> pd.DataFrame:
    """The optional columns of a user's table (patient, view, laterality, label, density, implant, age, findings); others are not read.

    Raises:
        LookalikeError: a laterality, label, density or implant flag that is not understood, with its row.
    """
    checked: dict[str, tuple[Callable[[str], str], str]] = {
        "laterality": (normal_laterality, "L or R"),
        "label": (normal_label, "benign, malignant or normal"),
        "density": (normal_density, "A to D or 1 to 4"),
        "implant": (normal_yes_no, "YES or NO"),
    }
    rows = pd.DataFrame(index=frame.index)
    if "patient" in frame:
        rows["patient"] = frame["patient"]
    if "view" in frame:
        rows["view"] = frame["view"].map(normal_view)
    if "age" in frame:
        rows["age"] = frame["age"].map(normal_age)
    if "findings" in frame:
        rows["findings"] = frame["findings"]
    for name, (normal, allowed) in checked.items():
        if name not in frame:
            continue
        rows[name] = frame[name].map(normal)
        bad = ((frame[name] != "") & (rows[name] == "")).to_numpy().nonzero()[0]
        if len(bad):
            raise LookalikeError(
                f"The {name} `{frame[name].iloc[bad[0]]!s}` is not understood",
                f"{table}, line {bad[0] + 2}",
                f"Write {allowed}, or leave the cell empty.",
            )
    return rows


def match_paths(keys: pd.Series, paths: pd.Series, *, table: Path) -> pd.Series:
    """For every table row the file that its `path` cell means, as an index label of `paths`; -1 where there is none.

    A key with a folder in it is a path relative to root, with or without its extension; one without is a file name or stem anywhere below root.

    Raises:
        LookalikeError: a file name or stem fits several files.
    """
    wanted = keys.str.replace("\\", "/", regex=False).str.removeprefix("./")
    names = paths.str.rsplit("/", n=1).str[-1]
    bare = {name: [without(path) for path in frame] for name, frame in (("paths", paths), ("names", names))}
    lookup: dict[str, int] = {}
    several: set[str] = set()
    for candidates in (paths, bare["paths"], names, bare["names"]):
        fresh: dict[str, int] = {}
        for label, key in zip(paths.index, candidates, strict=True):
            if key in fresh:
                several.add(key)
            fresh[key] = label
        for key, label in fresh.items():
            # A whole path outranks a name: "a/1.dcm" and "1.dcm" may both exist.
            if key in lookup:
                several.discard(key)
            else:
                lookup[key] = label
    unclear = [key for key in wanted if key in several]
    if unclear:
        raise LookalikeError(
            f"{len(unclear)} rows of the table fit several files by name",
            str(table),
            "Write paths relative to root in the column `path`, with their extensions.",
        )
    return wanted.map(lambda key: lookup.get(key, -1)).astype(int)


def without(path: str) -> str:
    """A path without the extension of its file name."""
    folder, slash, name = path.rpartition("/")
    return folder + slash + (name.rpartition(".")[0] or name)


def combine_rows(rows: pd.DataFrame, files: pd.Index, *, data_set: str) -> pd.DataFrame:
    """Values a file from rows of a table: the worst label, any implant, the findings of all rows (`normal_findings`), else the first cell that is not empty.

    Args:
        rows: column `file` (index label of a file, -1 = none) and any of `TEXT_VALUES` and `age`.
        files: index labels of all files.

    Returns:
        One row a file with all value columns and `table_row` (bool). Rows without a file and files without a row are counted in the log.

    Raises:
        LookalikeError: there are rows, and not one has a file.
    """
    lost = int((rows["file"] == -1).sum())
    if lost and lost == len(rows):
        raise LookalikeError(
            f"None of the {lost} rows of the table ({data_set}) fits any of the {len(files)} files",
            "source.table",
            "Check `source.root`, and that the table's paths or identifiers are those of these files.",
        )
    rows = rows[rows["file"] != -1]
    values = blank_values(files)
    for name in rows.columns.intersection([*TEXT_VALUES, "age"]):
        cells = rows[name]
        if name in WORST_LAST:
            # As ranks, so that the worst is a maximum.
            joined = cells.map(WORST_LAST[name].index).groupby(rows["file"]).max().map(dict(enumerate(WORST_LAST[name])))
        elif name == "age":
            joined = cells.groupby(rows["file"]).first()
        elif name == "findings":
            joined = cells.groupby(rows["file"]).agg("|".join).map(normal_findings)
        else:
            joined = cells.where(cells != "").groupby(rows["file"]).first().fillna("")
        values.loc[joined.index, name] = joined
    values["table_row"] = files.isin(rows["file"])
    unmatched = int((~values["table_row"]).sum())
    if lost or unmatched:
        log.warning("%s: %d table rows have no file, %d of %d files have no table row", data_set, lost, unmatched, len(files))
    return values


def blank_values(files: pd.Index) -> pd.DataFrame:
    """Values that leave every header as it is."""
    values = pd.DataFrame({name: "" for name in TEXT_VALUES}, index=files)
    values["age"] = values["instance"] = math.nan
    values["table_row"] = False
    return values


def first_match(pattern: re.Pattern[str], texts: Iterable[str]) -> re.Match[str] | None:
    """The first match of `pattern` in any of the texts, in order."""
    return next((match for match in map(pattern.search, texts) if match is not None), None)
