"""One image file to the picture that a workstation shows: the grey-scale pipeline of DICOM PS3.3, in this order.

Stored values (C.7.6.3) -> padding masked (C.7.5.1.1.2) -> modality LUT or rescale (C.11.1) -> VOI window or LUT (C.11.2) -> inversion
(C.7.6.3.1.2, C.11.6) -> padding black. Padding is found on stored values, before any windowing, because a window would mix it with air.
"""

from __future__ import annotations

import hashlib
import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pydicom import Dataset

    from lookalike.config import Kind

Window = int | Literal["voi_lut", "min_max"] | tuple[float, float]
Mapping = Callable[[NDArray[np.float64]], NDArray[np.float64]]

RASTER_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".pgm", ".bmp"})
# The largest clinical mammograms have 2^24.5 pixels, films scanned at 0.042 mm 2^25; twice that is a broken header or an attack.
MAXIMUM_SAMPLES = 2**26
# Values are mapped through a table with one entry a possible value while that is smaller than the work it saves.
MAXIMUM_TABLE = 2**20
# Values that go through the table at a time: their indices stay in the processor's cache.
BLOCK = 2**16
# Share of the unpadded pixels cut off at either end without a window: dead pixels and scratches must not set the scale.
ROBUST_TAIL = 0.001
# Centre and width of the window of a head CT whose file has none, in HU: that of the brain.
HEAD_WINDOW = (40.0, 80.0)
# Of these syntaxes the code stream knows its own precision; all others are cut to BitsStored (PS3.5, 8.1.1).
SELF_DESCRIBING = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in (80, 81, 90, 91, 201, 202, 203))

# pydicom logs what it stumbles over, values of the header included, and those may identify; what is wrong reaches the quarantine anyway.
logging.getLogger("pydicom").disabled = True  # a level would be set anew when pydicom is imported


class UndecodableError(Exception):
    """An image that cannot be shown, in a sentence without path, UID or name: it is what the quarantine prints."""


@dataclass(frozen=True)
class StoredImage:
    """Decoded pixels before any display transform.

    Attributes:
        values: stored values, [H, W], integer (floating only for floating TIFF).
        padding: [H, W], True where a pixel is padding and no image.
        bits: bits a value.
        header: the DICOM header, None of a raster image.
        spacing_mm: distance of rows in mm, NaN where unknown.
    """

    values: NDArray[Any]
    padding: NDArray[np.bool_]
    bits: int
    header: Dataset | None
    spacing_mm: float


@dataclass(frozen=True)
class DisplayImage:
    """A picture as a workstation shows it.

    Attributes:
        pixels: [H, W] float32 in [0, 1], 1 = white; 0 where padding.
        padding: [H, W], True where a pixel is padding.
        spacing_mm: distance of rows in mm, NaN where unknown.
        window: what scaled it: `window 0`, `window 40/80` (centre and width), `voi_lut`, `min_max`, or `full_range` (an 8-bit image that brings no window).
    """

    pixels: NDArray[np.float32]
    padding: NDArray[np.bool_]
    spacing_mm: float
    window: str


def read_display(path: Path, *, window: Window, kind: Kind = "mammography") -> DisplayImage:
    """The picture in a DICOM or raster file.

    Args:
        path: DICOM, or a raster with one of `RASTER_SUFFIXES`.
        window: n-th window of the file, centre and width (DICOM only), its first VOI LUT, or none. A file without the one asked for falls back to its
            other kind, then to no window: the full range of an 8-bit image, else `HEAD_WINDOW` of a head CT, else `min_max`.
        kind: what the image shows; head CTs are mended where their values are wrapped (`_modality`).

    Raises:
        UndecodableError: the file is broken, too large, has several frames, or no decoder reads it.
    """
    return display(read_stored(path), window=window, kind=kind)


def read_stored(path: Path) -> StoredImage:
    """Decode a file; arguments and errors as of `read_display`."""
    return _read_raster(path) if path.suffix.lower() in RASTER_SUFFIXES else _read_dicom(path)


def pixel_hash(stored: StoredImage) -> str:
    """32 hex characters of SHA-256 over shape and stored values: equal images have it equal, whatever file they are in."""
    values = stored.values
    if values.dtype.kind == "f":
        code = "<f4"
    elif values.dtype in (np.uint8, np.uint16) or values.size == 0 or (values.min() >= 0 and values.max() < 2**16):
        code = "<u2"
    else:
        code = "<i4"
    digest = hashlib.sha256(f"{values.shape[0]}x{values.shape[1]}{code}".encode())
    digest.update(np.ascontiguousarray(values, dtype=code).data)
    return digest.hexdigest()[:32]


def display(stored: StoredImage, *, window: Window, kind: Kind = "mammography") -> DisplayImage:
    """Apply modality LUT, VOI and inversion to stored values; arguments and errors as of `read_display`."""
    try:
        with np.errstate(all="ignore"):
            return _display(stored, window, kind)
    except (UndecodableError, MemoryError):
        raise
    except Exception as error:  # a broken header may raise anything; it costs one row, not the job
        raise UndecodableError(f"a rescale, window or lookup table of the header makes no sense ({type(error).__name__})") from None


def _display(stored: StoredImage, window: Window, kind: Kind) -> DisplayImage:
    header = stored.header
    modality = _modality(header, kind)
    voi, used = _voi(header, window)
    if voi is None and kind == "head_ct" and header is not None and stored.bits > 8 and window != "min_max":
        voi, used = _voi(header, HEAD_WINDOW)
    if voi is None:
        full_range = stored.bits <= 8 and window != "min_max"
        used = "full_range" if full_range else "min_max"
        ends = np.array([0.0, 2.0**stored.bits - 1]) if full_range else _robust_ends(stored, modality)
        if full_range:
            if header is not None and header.get("PixelRepresentation") == 1:
                ends -= 2.0 ** (stored.bits - 1)
            ends = np.sort(modality(ends))
        voi = _linear_exact(*ends)
    inverted = header is not None and (header.get("PhotometricInterpretation") == "MONOCHROME1" or header.get("PresentationLUTShape") == "INVERSE")

    def shown(values: NDArray[np.float64]) -> NDArray[np.float32]:
        result = np.clip(voi(modality(values)), 0, 1)
        if np.isnan(result).any():
            raise UndecodableError("a rescale or window of the header makes no numbers of the pixels")
        return (1 - result if inverted else result).astype(np.float32)

    pixels = _map(stored.values, shown)
    if stored.padding.any():
        pixels[stored.padding] = 0
    return DisplayImage(pixels=pixels, padding=stored.padding, spacing_mm=stored.spacing_mm, window=used)


def _map(values: NDArray[Any], function: Callable[[NDArray[np.float64]], NDArray[np.float32]]) -> NDArray[np.float32]:
    """`function` of every value, worked out once a possible value where there are few."""
    if values.dtype.kind != "f":
        low, high = min(0, int(values.min())), int(values.max())
        if high - low < MAXIMUM_TABLE:
            table = function(np.arange(low, high + 1, dtype=np.float64))
            indices, result = np.ascontiguousarray(values).ravel(), np.empty(values.size, dtype=np.float32)
            for start in range(0, values.size, BLOCK):
                block = slice(start, start + BLOCK)
                np.take(
                    table, indices[block] if low == 0 else indices[block].astype(np.int64) - low, out=result[block], mode="clip"
                )  # `raise` copies
            return result.reshape(values.shape)
    return function(values.astype(np.float64))


# Rasters ---------------------------------------------------------------------------------------------------------------------------------


def _read_raster(path: Path) -> StoredImage:
    from PIL import Image, UnidentifiedImageError

    from lookalike.cohort.header import RASTER_FORMATS

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(path, formats=RASTER_FORMATS)
        with image:
            columns, rows = image.size
            _check_size(rows, columns, getattr(image, "n_frames", 1), 1)
            # Pillow's L is the luma of ITU-R 601; alpha is no part of the picture
            values = np.asarray(image if image.mode in ("L", "I", "F") or image.mode.startswith("I;16") else image.convert("L"))
    except UndecodableError:
        raise
    except UnidentifiedImageError:
        raise UndecodableError("the file is no image of a kind that can be read") from None
    except Image.DecompressionBombError:
        raise UndecodableError("the image claims more pixels than any mammogram has") from None
    except FileNotFoundError:
        raise UndecodableError("the file does not exist") from None
    except Exception as error:  # a broken file may raise anything; it costs one row, not the job
        raise UndecodableError(f"the image is broken ({type(error).__name__})") from None
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise UndecodableError("the image holds values that are no numbers")
    if values.dtype.kind != "f" and values.dtype.itemsize > 2 and values.min() >= 0 and values.max() < 2**16:
        values = values.astype(np.uint16)  # Pillow opens some 16-bit files as 32-bit
    padding = np.zeros(values.shape, dtype=bool)
    return StoredImage(values=values, padding=padding, bits=8 * values.dtype.itemsize, header=None, spacing_mm=float("nan"))


def _check_size(rows: int, columns: int, frames: int, samples: int) -> None:
    if rows < 1 or columns < 1:
        raise UndecodableError("the image has no rows or no columns")
    if frames > 1:
        raise UndecodableError(f"the image has {frames} frames, and only single images are taken")
    if rows * columns * samples > MAXIMUM_SAMPLES:
        raise UndecodableError(f"the image claims {rows} x {columns} pixels of {samples} samples, more than any mammogram has")


# DICOM: decoding -------------------------------------------------------------------------------------------------------------------------


def _read_dicom(path: Path) -> StoredImage:
    import pydicom
    from pydicom.errors import InvalidDicomError
    from pydicom.pixels.utils import pixel_array
    from pydicom.uid import ImplicitVRLittleEndian

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom quotes values of the header, which may identify
        try:
            header = pydicom.dcmread(path, force=True)
            rows, columns = int(header.get("Rows") or 0), int(header.get("Columns") or 0)
            samples = int(header.get("SamplesPerPixel") or 1)
            if "Rows" not in header or not any(name in header for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
                raise UndecodableError("the file holds no image")
            _check_size(rows, columns, int(header.get("NumberOfFrames") or 1), samples)
            # force=True reads files without a preamble, which then name no transfer syntax: implicit little endian is DICOM's default
            if "TransferSyntaxUID" not in header.file_meta:
                header.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
            raw = pixel_array(header, correct_unused_bits=False)
            # a big-endian file's pixels come in its byte order
            stored = _stored(header, raw.astype(raw.dtype.newbyteorder("="), copy=False), samples)
        except UndecodableError:
            raise
        except FileNotFoundError:
            raise UndecodableError("the file does not exist") from None
        except InvalidDicomError:
            raise UndecodableError("the file is not DICOM") from None
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a broken file may raise anything (a panic of the RLE decoder is no Exception); it costs one row, not the job
            raise UndecodableError(_sentence(error)) from None
    if stored.values.shape != (rows, columns):
        raise UndecodableError("the decoded image has another size than its header says")
    return stored


def _sentence(error: BaseException) -> str:
    """A decoder's error without its text, which may quote the header."""
    text = str(error)
    if "less than expected" in text or isinstance(error, EOFError):
        return "the pixel data are shorter than the header says"
    if "all available plugins" in text or "missing required dependencies" in text or isinstance(error, NotImplementedError):
        return "no installed decoder reads this compression"
    return f"the pixel data cannot be decoded ({type(error).__name__})"


def _stored(header: Dataset, raw: NDArray[Any], samples: int) -> StoredImage:
    spacing = header.get("ImagerPixelSpacing") or header.get("PixelSpacing")
    spacing_mm = float(spacing[0]) if spacing else float("nan")
    if samples == 3:
        # a colour screen shot or export: its luma, as for rasters; VOI does not apply to colour (C.7.6.3.1.2)
        if raw.dtype != np.uint8 or header.PhotometricInterpretation == "PALETTE COLOR":
            raise UndecodableError("the image is in colour with more than 8 bits")
        from PIL import Image

        values = np.asarray(Image.fromarray(raw).convert("L"))
        return StoredImage(values=values, padding=np.zeros(values.shape, dtype=bool), bits=8, header=None, spacing_mm=spacing_mm)
    if samples != 1 or header.PhotometricInterpretation not in ("MONOCHROME1", "MONOCHROME2"):
        raise UndecodableError("the image is not monochrome")
    if raw.dtype.kind == "f":
        return StoredImage(values=raw, padding=np.zeros(raw.shape, dtype=bool), bits=8 * raw.itemsize, header=header, spacing_mm=spacing_mm)
    padding = _padding(header, raw)
    bits = int(header.BitsStored)
    if bits < 8 * raw.itemsize and header.file_meta.TransferSyntaxUID not in SELF_DESCRIBING:
        # bits beyond BitsStored are no part of the pixel, except a negative number's sign
        least, most = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if raw.dtype.kind == "i" else (0, 2**bits)
        if raw.min() < least or raw.max() >= most:
            shift = 8 * raw.itemsize - bits
            raw = np.right_shift(np.left_shift(raw, shift), shift)
    return StoredImage(values=raw, padding=padding, bits=bits, header=header, spacing_mm=spacing_mm)


def _padding(header: Dataset, raw: NDArray[Any]) -> NDArray[np.bool_]:
    """Pixel Padding Value to Range Limit, inclusive, whichever is larger (the order is reversed for MONOCHROME1)."""
    value = header.get("PixelPaddingValue")
    if value is None:
        return np.zeros(raw.shape, dtype=bool)
    limit = header.get("PixelPaddingRangeLimit")
    low, high = sorted((_as_stored(value, raw.dtype), _as_stored(value if limit is None else limit, raw.dtype)))
    return np.asarray(raw == low if low == high else (raw >= low) & (raw <= high))


def _as_stored(value: int | bytes, dtype: np.dtype[Any]) -> int:
    """A padding value read as the pixels are: writers mix up US and SS, so that -2000 comes as 63536 and the reverse."""
    number = int.from_bytes(value[:2], "little") if isinstance(value, bytes) else int(value)
    return int(np.array(number % 2 ** (8 * dtype.itemsize), dtype=f"u{dtype.itemsize}").view(dtype))


# DICOM: from stored values to the display ------------------------------------------------------------------------------------------------


def _modality(header: Dataset | None, kind: Kind) -> Mapping:
    """Modality LUT Sequence, or rescale slope and intercept, or nothing (C.11.1).

    Some scanners of the RSNA's head CTs wrapped negative values into 12 bits and called them unsigned, with an intercept of 0: they are unwrapped, as public
    code does (1000 is added and what then has more than 12 bits loses 4096).
    """
    if header is None:
        return lambda values: values
    if header.get("ModalityLUTSequence"):
        first, entries, _ = _lut(header.ModalityLUTSequence[0], header)
        return lambda values: entries[np.clip(values - first, 0, len(entries) - 1).astype(np.int64)]
    slope, intercept = header.get("RescaleSlope"), header.get("RescaleIntercept")
    slope, intercept = 1.0 if slope is None else float(slope), 0.0 if intercept is None else float(intercept)
    if kind == "head_ct" and header.get("BitsStored") == 12 and header.get("PixelRepresentation") == 0 and intercept > -100:
        return lambda values: np.where(values + 1000 >= 4096, values + 1000 - 4096, values + 1000) * slope - 1000
    return lambda values: values * slope + intercept


def _voi(header: Dataset | None, window: Window) -> tuple[Mapping | None, str]:
    """The transform to [0, 1] that was asked for, or the file's other kind; None where it has neither or none was asked for (C.11.2)."""
    if header is None or window == "min_max":
        return None, ""
    if isinstance(window, tuple):
        return _linear(*window), f"window {window[0]:g}/{window[1]:g}"
    number = window if isinstance(window, int) else 0
    by_window, by_lut = _window(header, number), _voi_lut(header)
    order = [(by_lut, "voi_lut"), (by_window, f"window {number}")]
    if window != "voi_lut":
        order.reverse()
    return next((item for item in order if item[0] is not None), (None, ""))


def _window(header: Dataset, number: int) -> Mapping | None:
    """The n-th window as a function, None where there is none or its width makes no sense."""
    centres, widths = _numbers(header.get("WindowCenter")), _numbers(header.get("WindowWidth"))
    if number >= min(len(centres), len(widths)):
        return None
    centre, width = centres[number], widths[number]
    function = header.get("VOILUTFunction") or "LINEAR"
    if not (np.isfinite(centre) and np.isfinite(width)) or width <= 0 or (function == "LINEAR" and width < 1):
        return None
    if function == "SIGMOID":
        # C.11.2.1.3.1; the exponent is bounded, because a narrow window overflows it where the result is 0 anyway
        return lambda values: 1 / (1 + np.exp(np.minimum(-4 * (values - centre) / width, 700)))
    if function == "LINEAR_EXACT":
        return _linear_exact(centre - width / 2, centre + width / 2)
    return _linear(centre, width)


def _linear(centre: float, width: float) -> Mapping:
    """C.11.2.1.2.1: LINEAR runs from centre - 0.5 - (width - 1) / 2 to centre - 0.5 + (width - 1) / 2."""
    return _linear_exact(centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2)


def _linear_exact(low: float, high: float) -> Mapping:
    """Straight from 0 at `low` to 1 at `high`; a step where they are equal."""
    if high <= low:
        return lambda values: (values > low).astype(np.float64)
    return lambda values: (values - low) / (high - low)


def _numbers(value: Any) -> list[float]:
    if value is None or value == "":
        return []
    return [float(item) for item in value] if hasattr(value, "__iter__") and not isinstance(value, str) else [float(value)]


def _voi_lut(header: Dataset) -> Mapping | None:
    """The first item of the VOI LUT Sequence as a function, None where there is none."""
    if not header.get("VOILUTSequence") or any(name not in header.VOILUTSequence[0] for name in ("LUTDescriptor", "LUTData")):
        return None
    first, entries, bits = _lut(header.VOILUTSequence[0], header)
    # a third value of 8 to 16 bits an entry; where entries are larger than it allows, they know better
    top = max(2.0**bits - 1, entries.max())
    return lambda values: entries[np.clip(np.floor(values) - first, 0, len(entries) - 1).astype(np.int64)] / top


def _lut(item: Dataset, header: Dataset) -> tuple[int, NDArray[np.float64], int]:
    """First input value mapped, entries, bits an entry, of a LUT item (C.11.1.1)."""
    length, first, bits = (int(number) for number in item.LUTDescriptor)
    length = length or 2**16
    data = item.LUTData
    if isinstance(data, bytes):
        big = header.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.2"
        # one byte an entry where there are no more bytes than that (C.11.1.1.1 allows both)
        kind = np.dtype(np.uint8) if len(data) < 2 * length else np.dtype(">u2" if big else "<u2")
        entries = np.frombuffer(data[: length * kind.itemsize], dtype=kind)
    else:
        words = np.asarray(data, dtype=np.uint16)
        entries = words if len(words) >= length else words.astype("<u2").view(np.uint8)
    if len(entries) == 0:
        raise UndecodableError("a lookup table of the header is empty")
    return first, entries[:length].astype(np.float64), bits


def _robust_ends(stored: StoredImage, modality: Mapping) -> NDArray[np.float64]:
    """Lowest and highest value after the modality transform, without padding and outliers."""
    image = stored.values[~stored.padding] if stored.padding.any() else stored.values.ravel()
    if image.size == 0:
        return np.zeros(2)
    return np.quantile(modality(image.astype(np.float64)), [ROBUST_TAIL, 1 - ROBUST_TAIL])
