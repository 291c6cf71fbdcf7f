"""One file's header to normalised values, pixels unread.

View codes: DICOM PS3.16, CID 4014 (View for Mammography) and CID 4015 (View Modifier for Mammography), SNOMED RT and CT identifiers.
"""

from __future__ import annotations

import io
import logging
import math
import os
import re
import stat
import struct
import warnings
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import pydicom
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.tag import BaseTag, Tag
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

STANDARD_VIEWS = ("CC", "MLO", "ML", "LM", "LMO", "XCCL", "XCCM", "FB", "SIO", "ISO", "AT", "CV", "TAN", "SPECIMEN")
# Views that may be named in public tables: the standard ones, one more usual word, and those of chest X-rays. Any other text could be anything.
KNOWN_VIEWS = (*STANDARD_VIEWS, "LAT", "frontal", "lateral")
# Makers of mammography machines and what their headers say, the more specific name first; the last four exist only in phantoms.
MANUFACTURERS = {
    "Lorad": r"lorad",
    "Hologic": r"hologic",
    "IMS Giotto": r"giotto|(?<![a-z])i\.?m\.?s\.?(?![a-z])",
    "Siemens": r"siemens",
    "Philips": r"philips",
    "Fujifilm": r"fuji",
    "Carestream": r"carestream",
    "Kodak": r"kodak",
    "Planmed": r"planmed",
    "Agfa": r"agfa",
    "Sectra": r"sectra",
    # Two letters are in many words, so they must stand alone.
    "GE": r"(?<![a-z])ge(?:ms)?(?![a-z])|general electric",
    "Auriga": r"auriga medical",
    "Borealis": r"borealis imaging",
    "Corvid": r"corvid r",
    "Delphin": r"delphin healthcare",
}
VIEW_CODES = {
    **dict.fromkeys(("R-10224", "399260004"), "ML"),
    **dict.fromkeys(("R-10226", "399368009"), "MLO"),
    **dict.fromkeys(("R-10228", "399352003"), "LM"),
    **dict.fromkeys(("R-10230", "399099002"), "LMO"),
    **dict.fromkeys(("R-10242", "399162004"), "CC"),
    **dict.fromkeys(("R-10244", "399196006"), "FB"),
    **dict.fromkeys(("R-102D0", "399188001"), "SIO"),
    **dict.fromkeys(("R-40AAA", "441555000"), "ISO"),
    # Y-X1770 and Y-X1771 stood in former editions of CID 4014.
    **dict.fromkeys(("R-1024A", "399192008", "Y-X1770"), "XCCL"),
    **dict.fromkeys(("R-1024B", "399101009", "Y-X1771"), "XCCM"),
    **dict.fromkeys(("G-8310", "127457009"), "SPECIMEN"),
}
VIEW_MEANINGS = {
    "mediolateral": "ML",
    "mediallateral": "ML",
    "mediolateraloblique": "MLO",
    "mediallateraloblique": "MLO",
    "lateromedial": "LM",
    "lateromedialoblique": "LMO",
    "craniocaudal": "CC",
    "caudocranial": "FB",
    "caudocranialfrombelow": "FB",
    **dict.fromkeys(("frontal", "pa", "ap", "posteroanterior", "anteroposterior"), "frontal"),
    **dict.fromkeys(("lateral", "ll", "rl"), "lateral"),
    "frombelow": "FB",
    "superolateraltoinferomedialoblique": "SIO",
    "inferomedialtosuperolateraloblique": "ISO",
    "craniocaudalexaggeratedlaterally": "XCCL",
    "craniocaudalexaggeratedmedially": "XCCM",
    "exaggeratedcraniocaudallaterally": "XCCL",
    "exaggeratedcraniocaudalmedially": "XCCM",
    "axillarytail": "AT",
    "tissuespecimenfrombreast": "SPECIMEN",
}
MODIFIER_CODES = {
    **dict.fromkeys(("R-102D2", "399161006"), "cleavage"),
    **dict.fromkeys(("R-102D1", "399011000"), "axillary tail"),
    **dict.fromkeys(("R-102D3", "399197002"), "rolled lateral"),
    **dict.fromkeys(("R-102D4", "399226006"), "rolled medial"),
    **dict.fromkeys(("R-102CA", "414493004"), "rolled inferior"),
    **dict.fromkeys(("R-102C9", "415670009"), "rolled superior"),
    **dict.fromkeys(("R-102D5", "399209000"), "implant displaced"),
    **dict.fromkeys(("R-102D6", "399163009"), "magnification"),
    **dict.fromkeys(("R-102D7", "399055006"), "spot compression"),
    **dict.fromkeys(("R-102C2", "399110001"), "tangential"),
    **dict.fromkeys(("R-40AB3", "442581004"), "nipple in profile"),
    **dict.fromkeys(("P2-00161", "441752004"), "anterior compression"),
    **dict.fromkeys(("R-40ABE", "442593008"), "infra-mammary fold"),
    **dict.fromkeys(("R-40AB2", "442580003"), "axillary tissue"),
}
# "LCC", "RMLO", "CCID", "LMLOID"; a side before other names would be guessing ("LAT" is lateral, not a left axillary tail).
DECORATED_VIEW = re.compile(r"(?P<side>[LR]?)(?P<view>CC|MLO|ML|LMO|LM|XCCL|XCCM)(?P<displaced>(?:ID)?)")
# The header calls these modifiers of a view, the field calls them views (as do the tables of public data sets).
VIEW_OF_MODIFIER = {"axillary tail": "AT", "cleavage": "CV", "tangential": "TAN"}
# Value representations that are text, and what a number among them must look like for its text to stand (all else, pydicom judges).
PLAIN = {"AS", "CS", "DA", "DS", "IS", "LO", "SH", "TM", "UI"}
PLAIN_NUMBERS = {"DS": re.compile(r"[+-]?\d{1,8}(\.\d{0,7})?"), "IS": re.compile(r"[+-]?\d{1,9}")}
NATIVE_SYNTAXES = {"", ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian}
# Contact views of thick breasts reach 1.1; magnification stands start at 1.5.
MAGNIFICATION_FACTOR = 1.3
# No detector has pixels of a metre; what lies beyond is a broken number.
LARGEST_SPACING = 1000.0
# Nearly three times the bytes of the largest clinical mammogram: a deflated file that holds more is broken or an attack.
MAXIMUM_INFLATED = 2**27

TAGS = [
    "ImageType",
    "SOPClassUID",
    "SOPInstanceUID",
    "Modality",
    "PresentationIntentType",
    "Manufacturer",
    "SeriesDescription",
    "ManufacturerModelName",
    "PatientID",
    "PatientAge",
    "BodyPartExamined",
    "EstimatedRadiographicMagnificationFactor",
    "ImagerPixelSpacing",
    "PaddleDescription",
    "ViewPosition",
    "DetectorMode",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "Laterality",
    "ImageLaterality",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "PixelSpacing",
    "BitsAllocated",
    "BitsStored",
    "QualityControlImage",
    "BurnedInAnnotation",
    "BreastImplantPresent",
    "ViewCodeSequence",
    "ViewModifierCodeSequence",
    "SeriesNumber",
    "InstanceNumber",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "AcquisitionDate",
    "SeriesDate",
    "ContentDate",
    "AcquisitionTime",
    "ContentTime",
    "SeriesTime",
    "TemporalPositionIdentifier",
    "ContrastBolusAgent",
]

# Every value that a header can give; patient_id, study_uid, series_uid, temporal and contrast never leave memory.
EMPTY: dict[str, Any] = {
    "sop_uid": "",
    "patient_id": "",
    "study_uid": "",
    "series_uid": "",
    "readable": True,
    "problem": "",
    "modality": "",
    "sop_class": "",
    "intent": "",
    "image_type": "",
    "view": "",
    "view_modifiers": "",
    "laterality": "",
    "implant": "",
    "burned_in": "",
    "detector_mode": "",
    "body_part": "",
    "series_description": "",
    "paddle": "",
    "rows": 0,
    "columns": 0,
    "frames": 1,
    "spacing_mm": math.nan,
    "photometric": "",
    "bits_stored": 0,
    "transfer_syntax": "",
    "manufacturer": "",
    "model": "",
    "age": math.nan,
    "series_number": math.nan,
    "instance": math.nan,
    "position": "",
    "orientation": "",
    "acquired": math.nan,
    "temporal": math.nan,
    "contrast": False,
}


def normal_view(text: str) -> str:
    """A view's short name (CC, MLO, ..., frontal, lateral) from any usual spelling; "" for nothing, the cleaned text in capitals where it is unknown.

    A side in front ("LCC", "R-MLO") and an implant-displaced ending ("CCID") are taken off.
    """
    letters = re.sub(r"[^A-Z]", "", text.upper())
    if letters in STANDARD_VIEWS or not letters:
        return letters
    if letters.lower() in VIEW_MEANINGS:
        return VIEW_MEANINGS[letters.lower()]
    named = DECORATED_VIEW.fullmatch(letters)
    return named["view"] if named else letters[:16]


def normal_laterality(text: str) -> str:
    """L, R or "" (both, unpaired and unknown are "")."""
    return {"L": "L", "LEFT": "L", "R": "R", "RIGHT": "R"}.get(text.strip().upper(), "")


def normal_yes_no(text: str) -> str:
    """YES, NO or "" from a DICOM flag or a table's 1/0, true/false, yes/no."""
    word = text.strip().upper()
    if word in {"YES", "Y", "1", "1.0", "TRUE"}:
        return "YES"
    return "NO" if word in {"NO", "N", "0", "0.0", "FALSE"} else ""


def normal_manufacturer(text: str) -> str:
    """A manufacturer's short name of `MANUFACTURERS`; "other" for any other text (the field is free, so it may hold anything), "" for none."""
    known = (name for name, pattern in MANUFACTURERS.items() if re.search(pattern, text, re.IGNORECASE))
    return next(known, "other" if text.strip() else "")


def normal_age(text: str) -> float:
    """Age in years from "056Y", "18M" or a plain number; NaN where absent, unreadable, zero (an anonymiser's filler) or above 120."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([YMWD]?)\s*", text.upper())
    if match is None:
        return math.nan
    years = float(match[1]) / {"M": 12.0, "W": 52.1775, "D": 365.2425}.get(match[2], 1.0)
    return years if 0 < years <= 120 else math.nan


def seconds(text: str) -> float:
    """Seconds since midnight from a DICOM time ("HHMMSS.FFFFFF", also cut short or with colons); NaN where it is none."""
    match = re.fullmatch(r"([01]\d|2[0-3]):?([0-5]\d)(?::?([0-5]\d|60)(\.\d{1,6})?)?", text.strip())
    return math.nan if match is None else 3600.0 * int(match[1]) + 60 * int(match[2]) + int(match[3] or 0) + float(match[4] or 0)


def _moment(dataset: Dataset, event: str) -> float:
    """Seconds of an event, since midnight where its date is unknown, else since midnight of a first day: exams go on past midnight."""
    match = re.fullmatch(r"(\d{4})(\d\d)(\d\d)", _text(dataset, f"{event}Date"))
    try:
        days = date(int(match[1]), int(match[2]), int(match[3])).toordinal() if match else 0
    except ValueError:
        days = 0
    return 86400.0 * days + seconds(_text(dataset, f"{event}Time"))


def parse_header(dataset: Dataset, *, transfer_syntax: str = "") -> dict[str, Any]:
    """Values of one DICOM header, keyed as `EMPTY`.

    Args:
        dataset: any data set with the tags of `TAGS`; all may be absent.
        transfer_syntax: UID of the file's transfer syntax.

    Returns:
        Strings stripped and "" where absent, spacing in mm and age in years NaN where absent. Where only
        EstimatedRadiographicMagnificationFactor (>= 1.3) tells of a magnification view, `view_modifiers` gets "magnification";
        a QualityControlImage has the body part PHANTOM. One unreadable tag counts as absent.
    """
    modifiers = _modifiers(dataset)
    position = _text(dataset, "ViewPosition")
    decorated = None if position.upper() in STANDARD_VIEWS else DECORATED_VIEW.fullmatch(re.sub(r"[^A-Z]", "", position.upper()))
    if decorated is not None and decorated["displaced"]:
        modifiers.append("implant displaced")
    if _number(dataset, "EstimatedRadiographicMagnificationFactor") >= MAGNIFICATION_FACTOR:
        modifiers.append("magnification")
    modifiers = list(dict.fromkeys(modifiers))
    spacing = _number(dataset, "ImagerPixelSpacing")
    if not spacing > 0:
        spacing = _number(dataset, "PixelSpacing")
    quality_control = normal_yes_no(_text(dataset, "QualityControlImage")) == "YES"
    return {
        **EMPTY,
        "sop_uid": _text(dataset, "SOPInstanceUID"),
        "patient_id": _text(dataset, "PatientID"),
        "study_uid": _text(dataset, "StudyInstanceUID"),
        "series_uid": _text(dataset, "SeriesInstanceUID"),
        "modality": _text(dataset, "Modality").upper(),
        "sop_class": _text(dataset, "SOPClassUID"),
        "intent": _text(dataset, "PresentationIntentType").upper(),
        "image_type": _text(dataset, "ImageType").upper(),
        "view": _view(dataset, position, modifiers),
        "view_modifiers": "|".join(modifiers),
        "laterality": normal_laterality(_text(dataset, "ImageLaterality"))
        or normal_laterality(_text(dataset, "Laterality"))
        or (decorated["side"] if decorated is not None else ""),
        "implant": normal_yes_no(_text(dataset, "BreastImplantPresent")),
        "burned_in": normal_yes_no(_text(dataset, "BurnedInAnnotation")),
        "detector_mode": _text(dataset, "DetectorMode").upper(),
        "body_part": "PHANTOM" if quality_control else _text(dataset, "BodyPartExamined").upper(),
        "series_description": _text(dataset, "SeriesDescription"),
        "paddle": _text(dataset, "PaddleDescription").upper(),
        "rows": _integer(dataset, "Rows", 0),
        "columns": _integer(dataset, "Columns", 0),
        "frames": max(_integer(dataset, "NumberOfFrames", 1), 1),
        "spacing_mm": spacing if 0 < spacing < LARGEST_SPACING else math.nan,
        "photometric": _text(dataset, "PhotometricInterpretation").upper(),
        "bits_stored": _integer(dataset, "BitsStored", 0),
        "transfer_syntax": transfer_syntax,
        "manufacturer": _text(dataset, "Manufacturer"),
        "model": _text(dataset, "ManufacturerModelName"),
        "age": normal_age(_text(dataset, "PatientAge")),
        "series_number": _number(dataset, "SeriesNumber"),
        "instance": _number(dataset, "InstanceNumber"),
        "position": _numbers(dataset, "ImagePositionPatient", 3),
        "orientation": _numbers(dataset, "ImageOrientationPatient", 6),
        "acquired": next(filter(math.isfinite, (_moment(dataset, tag) for tag in ("Acquisition", "Content", "Series"))), math.nan),
        "temporal": _number(dataset, "TemporalPositionIdentifier"),
        "contrast": _text(dataset, "ContrastBolusAgent") != "",
    }


def no_wait(path: str, flags: int) -> int:
    """For `open`: a pipe is opened, and nobody waits for what might come out of it."""
    return os.open(path, flags | os.O_NONBLOCK)


class _TooLargeError(Exception):
    pass


class _File(io.BufferedReader):
    """pydicom reads to the end of a file in one case: a deflated data set, which it then inflates whole. Here it is measured first, in little memory."""

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        if size is None or size < 0:
            inflate, rest, total = zlib.decompressobj(-zlib.MAX_WBITS), data, 0
            while rest and not inflate.eof:
                total += len(inflate.decompress(rest, 2**23))
                rest = inflate.unconsumed_tail
                if total > MAXIMUM_INFLATED:
                    raise _TooLargeError
        return data


def read_dicom(path: Path) -> dict[str, Any]:
    """Header values of a DICOM file (see `parse_header`); what cannot be read comes back with `readable` False and a `problem`."""
    try:
        with _File(io.FileIO(path, opener=no_wait)) as file, _quiet():
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                return {**EMPTY, "readable": False, "problem": "no file but a pipe, socket or device"}
            size = status.st_size
            if size == 0:
                return {**EMPTY, "readable": False, "problem": "file is empty"}
            dataset = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=[_element(keyword)[0] for keyword in TAGS])
            syntax = str(dataset.file_meta.get("TransferSyntaxUID", ""))
            values = parse_header(dataset, transfer_syntax=syntax)
            problem = _pixel_problem(file, size, dataset, values)
    except InvalidDicomError:
        return {**EMPTY, "readable": False, "problem": "not a DICOM file (no DICM at byte 128)"}
    except OSError as error:
        # strerror alone: str(error) holds the path.
        return {**EMPTY, "readable": False, "problem": f"cannot be read ({error.strerror or type(error).__name__})"}
    except _TooLargeError:
        return {**EMPTY, "readable": False, "problem": f"what is deflated in it is larger than {MAXIMUM_INFLATED // 2**20} MiB"}
    except Exception as error:  # a broken header can raise anything at all, and costs one row
        return {**EMPTY, "readable": False, "problem": f"header cannot be parsed ({type(error).__name__})"}
    return {**values, "readable": not problem, "problem": problem}


RASTER_FORMATS = ("PNG", "JPEG", "TIFF", "PPM", "BMP")
"""By Pillow's names. It opens many more, some of them (PostScript) by other programs."""


def read_raster(path: Path) -> dict[str, Any]:
    """Header values of a PNG, JPEG, TIFF, PGM or BMP file: size, bits and colour; it counts as for presentation, and tells no modality."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with open(path, "rb", opener=no_wait) as file, Image.open(file, formats=RASTER_FORMATS) as image:
                (columns, rows), mode, frames = image.size, image.mode, int(getattr(image, "n_frames", 1))
    except OSError as error:
        return {**EMPTY, "readable": False, "problem": f"not a readable raster image ({error.strerror or type(error).__name__})"}
    except Exception as error:  # Pillow's plugins raise SyntaxError, ValueError, struct.error and more on broken files
        return {**EMPTY, "readable": False, "problem": f"not a readable raster image ({type(error).__name__})"}
    return {
        **EMPTY,
        "intent": "FOR PRESENTATION",
        "rows": rows,
        "columns": columns,
        "frames": frames,
        "photometric": "MONOCHROME2" if mode in {"1", "L", "LA", "I", "F"} or mode.startswith("I;16") else mode,
        "bits_stored": 1 if mode == "1" else 16 if mode.startswith("I") else 32 if mode == "F" else 8,
    }


@contextmanager
def _quiet() -> Iterator[None]:
    """pydicom both warns and logs on every odd value of a header; a thousand such lines hide the one that matters."""
    logger = logging.getLogger("pydicom")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _pixel_problem(file: BinaryIO, size: int, dataset: Dataset, values: dict[str, Any]) -> str:
    """Whether the pixel data that the header promises can be there, from file sizes alone; `file` stands where reading stopped."""
    if not (values["rows"] and values["columns"]):
        # Reports and presentation states have no pixels and are excluded as what they are; a mammogram without a size is broken, and so
        # is a file cut off before its modality.
        return "no Rows or Columns in the header" if values["modality"] in {"MG", ""} else ""
    if values["transfer_syntax"] == DeflatedExplicitVRLittleEndian:
        return ""  # the file's size says nothing about the size of what is compressed in it
    implicit, little = dataset.original_encoding
    # Tag, then (explicit only) value representation and two reserved bytes, then the length.
    element = file.read(8 if implicit else 12)
    order = "<" if little else ">"
    if len(element) < (8 if implicit else 12) or struct.unpack(f"{order}H", element[:2])[0] != 0x7FE0:
        return "no PixelData"
    length = struct.unpack(f"{order}I", element[-4:])[0]
    mislabelled = ""
    if length == 0xFFFFFFFF:
        if values["transfer_syntax"] not in NATIVE_SYNTAXES:
            return ""  # encapsulated: only decoding tells
        mislabelled = " (compressed pixels under an uncompressed transfer syntax)"
        length = size - file.tell() - 8  # less the sequence delimiter
    there = max(0, min(length, size - file.tell()))
    if _integer(dataset, "SamplesPerPixel", 1) != 1:
        promised = length  # chroma may be subsampled, so sizes follow from no product
    else:
        promised = (values["rows"] * values["columns"] * values["frames"] * _integer(dataset, "BitsAllocated", 8) + 7) // 8
    return f"PixelData truncated: {there:,} of {promised:,} bytes{mislabelled}" if there < promised else ""


def _view(dataset: Dataset, position: str, modifiers: Iterable[str]) -> str:
    for modifier in modifiers:
        if modifier in VIEW_OF_MODIFIER:
            return VIEW_OF_MODIFIER[modifier]
    named = normal_view(position)
    if named in STANDARD_VIEWS:
        return named
    for item in _items(dataset, "ViewCodeSequence"):
        coded = VIEW_CODES.get(_text(item, "CodeValue").upper()) or normal_view(_text(item, "CodeMeaning"))
        if coded in STANDARD_VIEWS:
            return coded
    return named


def _modifiers(dataset: Dataset) -> list[str]:
    """Modifiers of the view in lower case, from the sequence itself and from inside the view's own items (where the standard puts it)."""
    holders = [dataset, *_items(dataset, "ViewCodeSequence")]
    codes = [item for holder in holders for item in _items(holder, "ViewModifierCodeSequence")]
    meanings = (MODIFIER_CODES.get(_text(code, "CodeValue").upper()) or _text(code, "CodeMeaning").lower() for code in codes)
    return [meaning.replace("|", " ") for meaning in meanings if meaning]


def _items(dataset: Dataset, keyword: str) -> Iterator[Dataset]:
    if dataset.get_item(_element(keyword)[0]) is None:
        return
    try:
        yield from dataset.get(keyword) or ()
    except MemoryError:
        raise
    except Exception:  # an unreadable sequence counts as absent
        return


@cache
def _element(keyword: str) -> tuple[BaseTag, str]:
    """Tag, and value representation by the dictionary."""
    tag = Tag(keyword)
    return tag, dictionary_VR(tag)


def _text(dataset: Dataset, keyword: str) -> str:
    plain = _plain(dataset, keyword)
    return _converted(dataset, keyword) if plain is None else plain


def _plain(dataset: Dataset, keyword: str) -> str | None:
    """What `_converted` gives, from the bytes of the file: pydicom's conversion takes most of an index. None where it has to decide."""
    tag, representation = _element(keyword)
    element = dataset.get_item(tag)
    if element is None:
        return ""
    if not isinstance(element, RawDataElement) or not isinstance(element.value, bytes):
        return None
    data, representation = element.value, element.VR or representation
    if representation == "US" and len(data) == 2:
        return str(int.from_bytes(data, "little" if element.is_little_endian else "big"))
    # an escape starts another character set; in all sets, ASCII else stands for itself
    if representation not in PLAIN or not data.isascii() or b"\x1b" in data:
        return None
    parts = [part.strip() for part in data.decode("ascii").split("\\")]
    if representation in PLAIN_NUMBERS and not all(map(PLAIN_NUMBERS[representation].fullmatch, parts)):
        return None
    return "\\".join(parts).replace("\x00", "").strip()


def _converted(dataset: Dataset, keyword: str) -> str:
    try:
        value = dataset.get(keyword)
        if value is None:
            return ""
        parts = [value] if isinstance(value, str) or not isinstance(value, Iterable) else list(value)
        return "\\".join(str(part).strip() for part in parts).replace("\x00", "").strip()
    except MemoryError:
        raise
    except Exception:  # a value that its own VR forbids counts as absent
        return ""


def _number(dataset: Dataset, keyword: str) -> float:
    """First value as a float, NaN where there is none."""
    try:
        return float(_text(dataset, keyword).split("\\")[0])
    except ValueError:
        return math.nan


def _numbers(dataset: Dataset, keyword: str, count: int) -> str:
    """So many finite numbers joined by a backslash, "" where they are not there."""
    text = _text(dataset, keyword)
    try:
        numbers = [float(part) for part in text.split("\\")]
    except ValueError:
        return ""
    return text if len(numbers) == count and all(map(math.isfinite, numbers)) else ""


def _integer(dataset: Dataset, keyword: str, default: int) -> int:
    number = _number(dataset, keyword)
    return int(min(max(number, -(2**31)), 2**31 - 1)) if math.isfinite(number) else default  # tables hold no larger ones
