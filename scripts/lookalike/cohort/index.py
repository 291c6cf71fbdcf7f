"""A folder of raw files to the index table: one row a file, from headers and tables alone, pixels unread.

The index table is private: it alone holds paths and SOP Instance UIDs. Nothing else that identifies is written anywhere.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from lookalike.cohort.adapters import (
    breast_mr,
    cbis_ddsm,
    chexpert,
    cmmd,
    dicom,
    duke_breast_mri,
    images,
    inbreast,
    nih_cxr14,
    rsna2022,
    rsna_ich,
    vindr_mammo,
)
from lookalike.cohort.header import EMPTY, no_wait, read_dicom, read_raster
from lookalike.cohort.identity import hash_identity
from lookalike.errors import LookalikeError
from lookalike.workers import start_workers

log = logging.getLogger("lookalike")


class Column(NamedTuple):
    """What stands in a column of a table."""

    dtype: str
    description: str


INDEX_COLUMNS: dict[str, Column] = {
    "row_id": Column("int64", "Position of the row, 0 upwards: the name of a file in all later tables."),
    "path": Column("str", "Path relative to the source's root, `/` between folders. Private."),
    "image": Column(
        "str", "16 hex digits: keyed hash of the SOP Instance UID (of the path for rasters and unreadable files); unique, see duplicate_uid."
    ),
    "patient": Column("str", "16 hex digits: keyed hash of the patient; of the study, else of the file, where no patient is known."),
    "study": Column("str", 'Keyed hash of the study, or "".'),
    "sop_uid": Column("str", 'SOP Instance UID, or "". Private.'),
    "readable": Column("bool", "The header can be read and the pixel data can be there."),
    "problem": Column("str", 'Why it is not readable, without identity; "" where it is.'),
    "modality": Column("str", 'Modality (MG, ...); "" for rasters.'),
    "sop_class": Column("str", "SOP Class UID."),
    "intent": Column("str", "PresentationIntentType; rasters count as FOR PRESENTATION."),
    "image_type": Column("str", r"ImageType, values joined by a backslash; adapters add CROP or MASK."),
    "view": Column(
        "str",
        'View: CC, MLO, ML, LM, LMO, XCCL, XCCM, FB, SIO, ISO, AT, CV, TAN, SPECIMEN, frontal, lateral, another word of the header, or "" (unknown).',
    ),
    "view_modifiers": Column(
        "str", "Modifiers of the view in lower case, joined by |; `magnification` also where only the magnification factor (>= 1.3) tells."
    ),
    "laterality": Column("str", 'L, R or "".'),
    "implant": Column("str", 'YES, NO or "" (unknown), from BreastImplantPresent or a table.'),
    "burned_in": Column("str", 'BurnedInAnnotation: YES, NO or "".'),
    "detector_mode": Column("str", "DetectorMode in capitals."),
    "body_part": Column("str", "BodyPartExamined in capitals; PHANTOM where QualityControlImage is YES."),
    "series_description": Column("str", "SeriesDescription. Private: people write names into it."),
    "paddle": Column("str", "PaddleDescription in capitals."),
    "rows": Column("int64", "Rows in pixels, 0 unknown."),
    "columns": Column("int64", "Columns in pixels, 0 unknown."),
    "frames": Column("int64", "Number of frames."),
    "spacing_mm": Column("float64", "Row spacing in mm (ImagerPixelSpacing, else PixelSpacing), NaN unknown."),
    "photometric": Column("str", "PhotometricInterpretation."),
    "bits_stored": Column("int64", "BitsStored, 0 unknown."),
    "transfer_syntax": Column("str", "Transfer Syntax UID."),
    "manufacturer": Column("str", "Manufacturer, as the header writes it."),
    "model": Column("str", "ManufacturerModelName."),
    "age": Column("float64", "Age in years, NaN unknown."),
    "label": Column("str", 'benign, malignant, normal or "" (unknown).'),
    "density": Column("str", 'BI-RADS density A to D, or "".'),
    "findings": Column("str", "Names in snake case joined by |, uncertain ones with a question mark behind; no_finding where the table says none."),
    "table_row": Column("bool", "The user's table has a row for the file; True where there is no table."),
    "series": Column("str", 'Keyed hash of the series, or "".'),
    "series_number": Column("float64", "SeriesNumber, NaN unknown."),
    "instance": Column("float64", "InstanceNumber, or the number by which a named data set counts slices; NaN unknown."),
    "position": Column("str", r'ImagePositionPatient in mm, x\y\z, or "".'),
    "orientation": Column("str", r'ImageOrientationPatient, six numbers joined by a backslash, or "".'),
    "acquired": Column(
        "float64", "AcquisitionTime, else ContentTime, else SeriesTime, in seconds since midnight, with the date since a first day; NaN unknown."
    ),
    "phase": Column(
        "str", 'Breast MR: t2, pre, post_1, post_2, ..., t1 (Duke), mask (a segmentation that the lesion table names), or "" (none of them).'
    ),
}


class Adapter(NamedTuple):
    """How a data set is read: its values a file, from headers, root and table; whether its files are rasters, else DICOM; and its lesions, if they are told."""

    values: Callable[..., pd.DataFrame]
    raster: bool = False
    lesions: Callable[..., pd.DataFrame] | None = None


ADAPTERS: dict[str, Adapter] = {
    "dicom": Adapter(dicom.values),
    "images": Adapter(images.values, raster=True),
    "cbis_ddsm": Adapter(cbis_ddsm.values),
    "inbreast": Adapter(inbreast.values),
    "vindr_mammo": Adapter(vindr_mammo.values),
    "rsna2022": Adapter(rsna2022.values),
    "cmmd": Adapter(cmmd.values),
    "chexpert": Adapter(chexpert.values, raster=True),
    "nih_cxr14": Adapter(nih_cxr14.values, raster=True),
    "rsna_ich": Adapter(rsna_ich.values),
    "breast_mr": Adapter(breast_mr.values, lesions=breast_mr.lesions),
    "duke_breast_mri": Adapter(duke_breast_mri.values, lesions=duke_breast_mri.lesions),
}

DICOM_SUFFIXES = {".dcm", ".dicom", ".ima", ""}
RASTER_SUFFIXES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".pgm", ".bmp"}
SIDE_NAMES = {"DICOMDIR", "LICENSE", "LICENCE", "README", "VERSION", "MANIFEST", "CHANGELOG", "THUMBS.DB"}
CHUNK = 64
# Of one file: most headers take a millisecond and some kilobytes.
HEADER_SECONDS = 20.0
HEADER_MEMORY = 2**30
LOG_SECONDS = 5.0


def build_index(root: Path, *, adapter: str, table: Path | None, key: bytes, processes: int, maximum_quarantined: float) -> pd.DataFrame:
    """Index table of all image files below `root`, sorted by path.

    Args:
        root: folder of raw files.
        adapter: a name of `ADAPTERS`.
        table: the user's table, or None (named data sets then find their own).
        key: secret of the identity hashes (`identity.load_key`).
        processes: header readers at work; the result does not depend on their number.
        maximum_quarantined: largest fraction of unreadable files.

    Returns:
        `INDEX_COLUMNS`, one row a file; files that cannot be read have `readable` False and a `problem`. What a table says of patient, view,
        side, implant or age wins over the header. Files that are no images (tables, texts, DICOMDIR, hidden ones) have no row; the log counts them.

    Raises:
        LookalikeError: root is missing or has no image, a table is wrong, or too many files are unreadable.
    """
    if not root.is_dir():
        raise LookalikeError("The folder of raw images does not exist", str(root), "Mend `source.root`, or set it to null to use phantoms.")
    values, raster, _ = ADAPTERS[adapter]
    paths, skipped = _image_files(root, raster=raster)
    log.info("%s: %d image files, %d other files skipped", adapter, len(paths), skipped)
    if not paths:
        wanted = ", ".join(sorted(RASTER_SUFFIXES)) if raster else "DICOM files: .dcm, .dicom, .ima, no extension, or DICM at byte 128"
        raise LookalikeError(
            f"No image file was found ({skipped} other files)",
            str(root),
            f"Set `source.root` to the folder that holds the images, unpacked ({wanted}), or set `source.adapter` to what the folder holds "
            f"(rasters: {', '.join(name for name in ADAPTERS if ADAPTERS[name].raster)}; DICOM: all others; it reads {'rasters' if raster else 'DICOM'} now).",
        )
    headers = pd.DataFrame(_read_headers(root, paths, raster=raster, processes=processes))
    headers.insert(0, "path", [_utf8(path) for path in paths])
    _check_quarantined(headers, root=root, maximum=maximum_quarantined)
    return _index_table(headers, values(headers, root=root, table=table), key=key)


def _image_files(root: Path, *, raster: bool) -> tuple[list[str], int]:
    """Relative paths of image files in sorted order, and the number of other files. Links to folders are followed, each folder once."""
    found: list[str] = []
    skipped = 0
    seen: set[tuple[int, int]] = set()
    for folder, folders, names in os.walk(root, followlinks=True, onerror=partial(_unlisted, root)):
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names:
            path = os.path.join(folder, name)
            if _is_raster(name) if raster else _is_dicom(path, name):
                found.append(os.path.relpath(path, root).replace(os.sep, "/"))
            else:
                skipped += 1
    return sorted(found), skipped


def _unlisted(root: Path, error: OSError) -> None:
    """A folder that cannot be listed hides an unknown number of images: no row could stand for them. Its name may be a patient's."""
    raise LookalikeError(
        f"A folder of raw images cannot be listed ({error.strerror})",
        f"below {root}",
        f"Find it (find {root} -type d ! -readable) and mend its permissions, or move it out of `source.root`.",
    )


def _is_raster(name: str) -> bool:
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in RASTER_SUFFIXES


def _is_dicom(path: str, name: str) -> bool:
    suffix = os.path.splitext(name)[1]
    if name.startswith(".") or name.upper() in SIDE_NAMES:
        return False
    # Files named by their UID end in a number, not in an extension.
    if suffix.lower() in DICOM_SUFFIXES or suffix[1:].isdigit():
        return True
    try:
        with open(path, "rb", opener=no_wait) as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def _read_headers(root: Path, paths: list[str], *, raster: bool, processes: int) -> list[dict[str, Any]]:
    """Header values in the order of `paths`."""
    chunks = [(str(root), paths[start : start + CHUNK], raster) for start in range(0, len(paths), CHUNK)]
    headers: list[dict[str, Any]] = []
    logged = time.monotonic()
    for chunk in _map(chunks, processes=processes):
        headers.extend(chunk)
        if time.monotonic() - logged > LOG_SECONDS:
            logged = time.monotonic()
            log.info("indexed %d of %d files", len(headers), len(paths))
    return headers


def _map(chunks: list[tuple[str, list[str], bool]], *, processes: int) -> Iterator[list[dict[str, Any]]]:
    with start_workers(min(processes, len(chunks)), memory=HEADER_MEMORY) as pool:
        yield from pool.map(_read_chunk, chunks)


def _read_chunk(chunk: tuple[str, list[str], bool]) -> list[dict[str, Any]]:
    root, paths, raster = chunk
    signal.signal(signal.SIGPROF, _give_up)
    # no table can hold a name that is not UTF-8, so no later step could find the file again
    return [_read_in_time(Path(root, path), raster) if _utf8(path) == path else _unreadable("file name is not valid UTF-8") for path in paths]


class _TooLongError(BaseException):
    """Not an Exception: whoever reads on over errors shall not read on over this one."""


def _give_up(number: int, frame: object) -> None:
    raise _TooLongError


def _read_in_time(path: Path, raster: bool) -> dict[str, Any]:
    """Header values of a file. The processor's time is limited, not the time of day: a slow file system is no fault of the file."""
    signal.setitimer(signal.ITIMER_PROF, HEADER_SECONDS)
    try:
        return read_raster(path) if raster else read_dicom(path)
    except _TooLongError:
        return _unreadable(f"reading its header takes more than {HEADER_SECONDS:.0f} s")
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _unreadable(problem: str) -> dict[str, Any]:
    return {**EMPTY, "readable": False, "problem": problem}


def _utf8(path: str) -> str:
    """A path with question marks in place of what is not UTF-8."""
    return path.encode("utf-8", "replace").decode()


def _check_quarantined(headers: pd.DataFrame, *, root: Path, maximum: float) -> None:
    problems = headers.loc[~headers["readable"], "problem"]
    if len(problems):
        log.warning("%d of %d files are unreadable", len(problems), len(headers))
    if len(problems) > maximum * len(headers):
        # Kinds of problems, not files: paths may name people.
        kinds = Counter(problem.split(":")[0] for problem in problems).most_common(3)
        raise LookalikeError(
            f"{len(problems)} of {len(headers)} files are unreadable, allowed are {maximum:.1%}; "
            "most often: " + "; ".join(f"{count} x {kind}" for kind, count in kinds),
            str(root),
            "Mend or move away these files, check `source.adapter`, or raise `source.maximum_quarantined` to go on without them.",
        )


def _index_table(headers: pd.DataFrame, values: pd.DataFrame, *, key: bytes) -> pd.DataFrame:
    """Headers and values merged (values win), identifiers hashed, columns typed and in order."""
    index = headers.copy()
    for name in ("view", "laterality", "implant", "image_type", "modality"):
        index[name] = values[name].where(values[name] != "", headers[name])
    for name in ("age", "instance"):
        index[name] = values[name].where(values[name].notna(), headers[name])
    for name in ("label", "density", "findings", "table_row", "phase"):
        index[name] = values[name]
    studies = values["study"].where(values["study"] != "", headers["study_uid"])
    patients = values["patient"].where(values["patient"] != "", headers["patient_id"])
    _log_patients(patients, studies)
    patients = patients.where(patients != "", studies.where(studies != "", headers["path"]))
    images = _image_keys(headers)
    index["patient"] = [hash_identity(key, "patient", value) for value in patients]
    index["study"] = [hash_identity(key, "study", value) if value else "" for value in studies]
    index["series"] = [hash_identity(key, "series", value) if value else "" for value in headers["series_uid"]]
    index["image"] = [hash_identity(key, "image", value) for value in images]
    index["row_id"] = range(len(index))
    return index[list(INDEX_COLUMNS)].astype({name: column.dtype for name, column in INDEX_COLUMNS.items()})


def _image_keys(headers: pd.DataFrame) -> pd.Series:
    """What an image's hash is taken of. A UID's second, third, ... file gets a number, so that every row has a name of its own."""
    uids = headers["sop_uid"].where(headers["readable"], "")
    copies = uids.groupby(uids).cumcount()
    numbered = uids + copies.map(lambda count: f"#{count}" if count else "")
    return numbered.where(uids != "", headers["path"])


def _log_patients(patients: pd.Series, studies: pd.Series) -> None:
    unknown = int((patients == "").sum())
    if unknown:
        log.warning("%d files name no patient; their study, else the file itself, counts as one", unknown)
    if patients.nunique() == 1 and studies.nunique() > 1 and not unknown:
        log.warning(
            "all %d files of %d studies name the same patient, as anonymised data may; give a table with a column `patient`, or the split has one side only",
            len(patients),
            studies.nunique(),
        )
